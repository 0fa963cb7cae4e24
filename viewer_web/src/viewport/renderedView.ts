import { type ImageView, NOTHING, ViewStore } from './imageView';
import { renderedFrameUrl, type Frame, type Stack } from './stack';

const MAX_ZOOM = 20;
const MIN_ZOOM = 0.2;
const clamp = (value: number, low: number, high: number) => Math.min(high, Math.max(low, value));

/** The light path: the server's JPEG in an <img>, moved by CSS. Needs no WebGL and little memory. */
export class RenderedView extends ViewStore implements ImageView {
  readonly #image = new Image();
  readonly #watchSize: ResizeObserver;
  #frames: Frame[] = [];
  #pan = { x: 0, y: 0 };
  #brightness = 100;
  #contrast = 100;

  constructor(private readonly element: HTMLElement) {
    super();
    this.#image.className = 'rendered-image';
    this.#image.alt = '';
    this.#image.draggable = false;
    this.#image.onload = () => {
      this.set({ status: 'shown' });
      this.#place();
    };
    this.#image.onerror = () => this.set({ status: 'failed' });
    element.append(this.#image);
    this.#watchSize = new ResizeObserver(() => this.#place());
    this.#watchSize.observe(element);
  }

  open = (stack: Stack, index: number): void => {
    this.#frames = stack.frames;
    this.reset();
    this.goTo(index);
  };

  goTo = (index: number): void => {
    const frame = this.#frames[index];
    if (frame === undefined) return;
    this.set({ index, status: 'loading' });
    this.#image.src = renderedFrameUrl(frame);
  };

  windowBy = (dx: number, dy: number): void => {
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
    this.set({
      placement: { matrix, rows, columns },
      window: { center: Math.round(this.#brightness), width: Math.round(this.#contrast), isPercent: true },
    });
  }
}
