import { useQueryClient, type InfiniteData, type QueryClient } from '@tanstack/react-query';
import { createContext, useContext, useEffect, useState, useSyncExternalStore } from 'react';

import { LiveLine, type LineState } from '../api/liveLine';
import { sessionQuery, studyKey, worklistKey, type WorklistFilter } from '../api/queries';
import type { StudyEvent, WorklistPage } from '../api/types';
import { patch } from '../worklist/order';

/** Bring every list in the cache up to date with one event. */
export function applyEvent(client: QueryClient, event: StudyEvent): void {
  void client.invalidateQueries({ queryKey: studyKey(event.studyInstanceUID) });
  const lists = client.getQueryCache().findAll({ queryKey: worklistKey });
  for (const list of lists) {
    const filter = (list.queryKey[1] ?? {}) as WorklistFilter;
    if (event.item === null || filter.search) {
      void client.invalidateQueries({ queryKey: list.queryKey, exact: true });
    } else {
      client.setQueryData<InfiniteData<WorklistPage, number>>(
        list.queryKey,
        (data) => data && patch(data, event, filter),
      );
    }
  }
}

const idle = { subscribe: () => () => undefined, getState: (): LineState => 'connecting' };
const LineContext = createContext<Pick<LiveLine, 'subscribe' | 'getState'>>(idle);
export const LineProvider = LineContext.Provider;

/** Keep the live line open while mounted (and `on`). */
export function useLiveLine(on: boolean): Pick<LiveLine, 'subscribe' | 'getState'> {
  const client = useQueryClient();
  const [line] = useState(
    () =>
      new LiveLine('/api/v1/events', {
        study: (event) => applyEvent(client, event),
        open: () => void client.invalidateQueries({ queryKey: worklistKey }),
        lost: () => void client.invalidateQueries({ queryKey: sessionQuery.queryKey }),
      }),
  );
  useEffect(() => {
    if (!on) return undefined;
    line.start();
    return () => line.stop();
  }, [line, on]);
  return line;
}

export function useLineState(): LineState {
  const line = useContext(LineContext);
  return useSyncExternalStore(line.subscribe, line.getState);
}
