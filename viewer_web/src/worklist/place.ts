import type { QueryClient } from '@tanstack/react-query';

import { worklistQuery, type WorklistFilter } from '../api/queries';
import type { WorklistItem } from '../api/types';

/** The reader's place in the list: what was filtered, and the study last pointed at or opened. */
interface Place {
  filter: WorklistFilter;
  uid: string | null;
}

let place: Place = { filter: {}, uid: null };

export const placeInList = (): Place => place;

export function keepPlace(next: Place): void {
  place = next;
}

/** The study `step` places after `uid` in the list that the reader came from. */
export function neighbour(client: QueryClient, uid: string, step: 1 | -1): WorklistItem | null {
  const pages = client.getQueryData(worklistQuery(place.filter).queryKey)?.pages ?? [];
  const items = pages.flatMap((page) => page.items);
  const at = items.findIndex((item) => item.studyInstanceUID === uid);
  return at < 0 ? null : (items[at + step] ?? null);
}
