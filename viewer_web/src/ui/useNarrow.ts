import { useSyncExternalStore } from 'react';

/** The same width at which the style sheets change to one column. */
const query = typeof matchMedia === 'function' ? matchMedia('(max-width: 760px)') : null;

function subscribe(watcher: () => void): () => void {
  query?.addEventListener('change', watcher);
  return () => query?.removeEventListener('change', watcher);
}

/** A phone, or a window as narrow as one. */
export function useNarrow(): boolean {
  return useSyncExternalStore(subscribe, () => query?.matches ?? false);
}
