import { useSyncExternalStore } from 'react';

import { serverNow } from '../api/serverClock';

const TICK_MS = 5_000;
let now = serverNow();
let timer: ReturnType<typeof setInterval> | undefined;
const watchers = new Set<() => void>();

function subscribe(watcher: () => void): () => void {
  watchers.add(watcher);
  timer ??= setInterval(() => {
    now = serverNow();
    for (const one of watchers) one();
  }, TICK_MS);
  return () => {
    watchers.delete(watcher);
    if (watchers.size === 0) {
      clearInterval(timer);
      timer = undefined;
    }
  };
}

/** The server's time in milliseconds; one clock for all that ticks. */
export function useNow(): number {
  return useSyncExternalStore(subscribe, () => now);
}
