import type { InfiniteData } from '@tanstack/react-query';

import type { WorklistFilter } from '../api/queries';
import type { StudyEvent, StudyState, TriageClass, WorklistItem, WorklistPage } from '../api/types';

const RANK: Record<TriageClass, number> = { critical: 0, urgent: 1, routine: 2 };
/** What leaves the list, unless its state is asked for. */
const GONE: ReadonlySet<StudyState> = new Set<StudyState>(['reported', 'delivered']);

/** What no model has assessed waits among the routine studies: it may be anything. */
const rank = (item: WorklistItem): number => RANK[item.triage.class ?? 'routine'];

/** The server's order: critical, urgent, all others; and of these who has waited longest first. */
export function compare(a: WorklistItem, b: WorklistItem): number {
  return rank(a) - rank(b) || Date.parse(a.arrivedAt) - Date.parse(b.arrivedAt);
}

/** The value of the triage filter that an item answers to. */
export const triageKey = (item: WorklistItem): string => item.triage.class ?? item.triage.status;

/** Only the server can judge a search; the rest of a filter is judged here too. */
export function matches(item: WorklistItem, filter: WorklistFilter): boolean {
  return (
    (filter.state ? item.state === filter.state : !GONE.has(item.state)) &&
    (!filter.triage || triageKey(item) === filter.triage) &&
    (!filter.modality || item.modalities.includes(filter.modality))
  );
}

type Pages = InfiniteData<WorklistPage, number>;

/**
 * A list after a live event: the study leaves its old place and enters its new one.
 * Pages keep their borders but not their lengths; what comes next is counted from what is held.
 */
export function patch(data: Pages, event: StudyEvent, filter: WorklistFilter): Pages {
  const uid = event.studyInstanceUID;
  const held = data.pages.some((page) => page.items.some((item) => item.studyInstanceUID === uid));
  const item = event.item !== null && matches(event.item, filter) ? event.item : null;
  if (!held && item === null) return data;

  const pages = data.pages.map((page) => page.items.filter((one) => one.studyInstanceUID !== uid));
  const total = (data.pages.at(-1)?.total ?? 0) + (item === null ? 0 : 1) - (held ? 1 : 0);
  if (item !== null) insert(pages, item, total);
  return { ...data, pages: pages.map((items) => ({ total, items })) };
}

function insert(pages: WorklistItem[][], item: WorklistItem, total: number): void {
  for (const items of pages) {
    const place = items.findIndex((other) => compare(item, other) < 0);
    if (place >= 0) {
      items.splice(place, 0, item);
      return;
    }
  }
  // After everything held: it belongs here only if nothing unseen stands between.
  const heldNow = pages.reduce((sum, items) => sum + items.length, 0);
  if (heldNow + 1 >= total) pages.at(-1)?.push(item);
}
