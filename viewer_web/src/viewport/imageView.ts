import type { Stack } from './stack';

export type Tool = 'window' | 'zoom' | 'pan' | 'scroll';

/** Where the picture lies: the CSS matrix from its pixels to the viewport's. */
export interface Placement {
  matrix: [a: number, b: number, c: number, d: number, e: number, f: number];
  columns: number;
  rows: number;
}

export interface ViewState {
  status: 'empty' | 'loading' | 'shown' | 'failed';
  /** Percent loaded, where the server says how long the picture is. */
  progress: number | null;
  index: number;
  /** Window of stored values, or brightness and contrast in percent where `isPercent`. */
  window: { center: number; width: number; isPercent: boolean } | null;
  /** 1 fits the viewport. */
  zoom: number;
  isInverted: boolean;
  placement: Placement | null;
}

export const NOTHING: ViewState = {
  status: 'empty',
  progress: null,
  index: 0,
  window: null,
  zoom: 1,
  isInverted: false,
  placement: null,
};

/** A viewport that shows one stack: by Cornerstone from stored pixels, or by the browser from JPEG. */
export interface ImageView {
  getState: () => ViewState;
  subscribe: (watcher: () => void) => () => void;
  open: (stack: Stack, index: number) => void;
  goTo: (index: number) => void;
  /** Change the window by a drag of so many CSS pixels. */
  windowBy: (dx: number, dy: number) => void;
  panBy: (dx: number, dy: number) => void;
  /** Zoom about a point of the viewport, in CSS pixels from its top left corner. */
  zoomBy: (factor: number, at?: { x: number; y: number }) => void;
  toggleInvert: () => void;
  reset: () => void;
  destroy: () => void;
}

/** The state of a view, and those who watch it. */
export class ViewStore {
  #state: ViewState = NOTHING;
  readonly #watchers = new Set<() => void>();

  getState = (): ViewState => this.#state;

  subscribe = (watcher: () => void): (() => void) => {
    this.#watchers.add(watcher);
    return () => this.#watchers.delete(watcher);
  };

  protected set(change: Partial<ViewState>): void {
    this.#state = { ...this.#state, ...change };
    for (const watcher of this.#watchers) watcher();
  }
}
