import { useQueryClient } from '@tanstack/react-query';
import { useEffect, useState, useSyncExternalStore } from 'react';

import { type ImageView, NOTHING, type ViewState } from './imageView';
import { instanceMetadataQuery, metadataQuery, ownWindowOf } from './metadata';
import { RenderedView } from './renderedView';
import type { Frame, Stack } from './stack';
import { hasWebGL } from './webgl';

/** Why the server's JPEG stands in place of stored pixels. */
export type Fallback = 'light' | 'webgl' | 'decode';

const nobody = () => () => undefined;
let forget: () => void = () => undefined;

/** Pixels of the last study are given back when its page closes. */
export function forgetStudy(): void {
  forget();
}

interface Shown {
  view: ImageView | null;
  state: ViewState;
  fallback: Fallback | null;
  /** Try the stored pixels again, after a failure that may have passed. */
  retry: () => void;
}

/** Shows `stack` in `element`, from stored pixels where that works and else from JPEG. */
export function useImageView(element: HTMLDivElement | null, stack: Stack | null, isLight: boolean): Shown {
  const client = useQueryClient();
  const [view, setView] = useState<ImageView | null>(null);
  const [undecodable, setUndecodable] = useState<string | null>(null);
  const fallback: Fallback | null = isLight
    ? 'light'
    : !hasWebGL()
      ? 'webgl'
      : stack !== null && stack.seriesUID === undecodable
        ? 'decode'
        : null;
  const isFull = fallback === null;

  useEffect(() => {
    if (element === null) return undefined;
    let made: ImageView | null = null;
    const ownWindow = async ({ studyUID, seriesUID, sopUID }: Frame) => {
      const [instance] = await client.query(instanceMetadataQuery(studyUID, seriesUID, sopUID));
      return ownWindowOf(instance);
    };
    let isOver = false;
    const use = (one: ImageView) => {
      made = one;
      setView(one);
    };
    if (isFull) {
      import('./cornerstoneView')
        .then(({ CornerstoneView, forgetPixels }) => {
          forget = forgetPixels;
          if (isOver) return;
          use(
            new CornerstoneView(element, {
              ofSeries: ({ studyUID, seriesUID }) => client.query(metadataQuery(studyUID, seriesUID)),
              ofInstance: ({ studyUID, seriesUID, sopUID }) =>
                client.query(instanceMetadataQuery(studyUID, seriesUID, sopUID)),
            }),
          );
        })
        .catch((error: unknown) => {
          console.warn('no image viewer', error);
          if (!isOver) use(new RenderedView(element, ownWindow));
        });
    } else {
      use(new RenderedView(element, ownWindow));
    }
    return () => {
      isOver = true;
      made?.destroy();
      setView(null);
    };
  }, [element, isFull, client]);

  useEffect(() => {
    if (view !== null && stack !== null) view.open(stack, Math.min(view.getState().index, stack.frames.length - 1));
  }, [view, stack]);

  const state = useSyncExternalStore(view?.subscribe ?? nobody, () => view?.getState() ?? NOTHING);
  if (isFull && state.status === 'failed' && stack !== null && stack.seriesUID !== undecodable) {
    setUndecodable(stack.seriesUID);
  }
  const retry = () => {
    setUndecodable(null);
    if (!isFull && stack !== null) view?.open(stack, state.index);
  };
  return { view, state, fallback, retry };
}
