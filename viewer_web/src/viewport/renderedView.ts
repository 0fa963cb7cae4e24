import { type ImageView, NOTHING, ViewStore } from './imageView';
import type { OwnWindow } from './metadata';
import { type Frame, pictureUrl, type Stack, type Window } from './stack';

const MAX_ZOOM = 20;
const MIN_ZOOM = 0.2;
const clamp = (value: number, low: number, high: number) => Math.min(high, Math.max(low, value));

/**
 * The light path: the server's picture in an <img>, no larger than it is looked at, in the window
 * that is asked for; moved by CSS. Needs no WebGL, little memory and little of the line.
 *
 * One picture is on its way at a time. What is wanted meanwhile is asked for when it is there, so
 * that a slow line does not fill with what nobody wants any more.
 */
export class RenderedView extends ViewStore implements ImageView {
  readonly #image = new Image();
  readonly #watchSize: ResizeObserver;
  #frames: Frame[] = [];
  #asked = '';
  #isUnderWay = false;
  /** The window that the object names; null where it names none, and CSS must do. */
  #own: OwnWindow | null = null;
  #window: Window | null = null;
  #pan = { x: 0, y: 0 };
  #brightness = 100;
  #contrast = 100;

  constructor(
    private readonly element: HTMLElement,
    private readonly ownWindow: (frame: Frame) => Promise<OwnWindow | null>,
  ) {
    super();
    this.#image.className = 'rendered-image';
    this.#image.alt = '';
    this.#image.draggable = false;
    this.#image.onload = () => {
      this.#isUnderWay = false;
      this.set({ status: 'shown' });
      this.#place();
    };
    this.#image.onerror = () => {
      this.#isUnderWay = false;
      this.#asked = '';
      this.set({ status: 'failed' });
    };
    element.append(this.#image);
    this.#watchSize = new ResizeObserver(() => this.#place());
    this.#watchSize.observe(element);
  }

  open = (stack: Stack, index: number): void => {
    this.#frames = stack.frames;
    this.#own = null;
    this.set({ index });
    this.reset();
    this.goTo(index);
  };

  goTo = (index: number): void => {
    const frame = this.#frames[index];
    if (frame === undefined) return;
    this.set({ index, status: 'loading' });
    this.#place();
    this.ownWindow(frame)
      .then((own) => {
        if (this.#frames[this.getState().index] !== frame) return;
        this.#own = own;
        this.#place();
      })
      .catch((error: unknown) => console.warn('no window is known', error));
  };

  windowBy = (dx: number, dy: number): void => {
    if (this.#own !== null) {
      const { center, width } = this.#window ?? this.#own;
      const perPixel = Math.max(width, 16) / 300;
      // Upwards is brighter, whichever way the grey scale runs.
      const up = this.#own.isInverse ? -dy : dy;
      this.#window = { center: center + up * perPixel, width: Math.max(1, width + dx * perPixel) };
      this.#place();
      return;
    }
    this.#contrast = clamp(this.#contrast - dx / 2, 20, 400);
    this.#brightness = clamp(this.#brightness - dy / 2, 20, 400);
    this.#place();
  };

  panBy = (dx: number, dy: number): void => {
    this.#pan = { x: this.#pan.x + dx, y: this.#pan.y + dy };
    this.#place();
  };

  zoomBy = (factor: number, at?: { x: number; y: number }): void => {
    const before = this.getState().zoom;
    const zoom = clamp(before * factor, MIN_ZOOM, MAX_ZOOM);
    const { clientWidth, clientHeight } = this.element;
    const x = (at?.x ?? clientWidth / 2) - clientWidth / 2;
    const y = (at?.y ?? clientHeight / 2) - clientHeight / 2;
    const ratio = zoom / before;
    this.#pan = { x: x - (x - this.#pan.x) * ratio, y: y - (y - this.#pan.y) * ratio };
    this.set({ zoom });
    this.#place();
  };

  toggleInvert = (): void => {
    this.set({ isInverted: !this.getState().isInverted });
    this.#place();
  };

  reset = (): void => {
    this.#pan = { x: 0, y: 0 };
    this.#brightness = 100;
    this.#contrast = 100;
    this.#window = null;
    this.set({ zoom: 1, isInverted: false });
    this.#place();
  };

  destroy = (): void => {
    this.#watchSize.disconnect();
    this.#image.remove();
    this.set(NOTHING);
  };

  #place(): void {
    const { index, zoom, isInverted } = this.getState();
    const frame = this.#frames[index];
    if (frame === undefined) return;
    const { rows, columns } = frame;
    const { clientWidth, clientHeight } = this.element;
    const scale = Math.min(clientWidth / columns, clientHeight / rows) * zoom;
    const e = (clientWidth - columns * scale) / 2 + this.#pan.x;
    const f = (clientHeight - rows * scale) / 2 + this.#pan.y;
    const matrix: [number, number, number, number, number, number] = [scale, 0, 0, scale, e, f];
    const { style } = this.#image;
    style.width = `${columns}px`;
    style.height = `${rows}px`;
    style.transform = `matrix(${matrix.join(',')})`;
    style.filter = `invert(${isInverted ? 1 : 0}) brightness(${this.#brightness}%) contrast(${this.#contrast}%)`;
    const shown = this.#window ?? this.#own;
    this.set({
      placement: { matrix, rows, columns },
      window:
        shown === null
          ? { center: Math.round(this.#brightness), width: Math.round(this.#contrast), isPercent: true }
          : { center: Math.round(shown.center), width: Math.round(shown.width), isPercent: false },
    });
    this.#ask(pictureUrl(frame, Math.max(rows, columns) * scale * devicePixelRatio, this.#window));
  }

  #ask(url: string): void {
    if (url === this.#asked || this.#isUnderWay) return;
    this.#asked = url;
    this.#isUnderWay = true;
    this.#image.src = url;
  }
}
