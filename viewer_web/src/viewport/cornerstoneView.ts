import {
  cache,
  Enums,
  eventTarget,
  imageLoader,
  init as initCore,
  RenderingEngine,
  utilities,
  type Types,
} from '@cornerstonejs/core';
import { init as initLoader, wadors } from '@cornerstonejs/dicom-image-loader';
import supportsNorm16Linear from '@kitware/vtk.js/Rendering/OpenGL/Texture/supportsNorm16Linear';

import { type ImageView, NOTHING, type Placement, ViewStore } from './imageView';
import { type DicomJson, SOP_INSTANCE_UID, textOf } from './metadata';
import { imageId, type Frame, type Stack } from './stack';

/** For a PC with 4 GB: a chest radiograph takes 8 to 20 MB, a CT slice half of one. */
const CACHE_BYTES = 256 * 1024 * 1024;
const DECODERS = 2;
const AHEAD = 3;
/** A series of more instances than this shows its first image before it knows all of them. */
const FEW = 8;
const PHOTOMETRIC_INTERPRETATION = '00280004';
const RED_PALETTE = '00281201';
/** Decoding that says neither yes nor no for so long has died in its worker. */
const STUCK_MS = 20_000;
const MAX_ZOOM = 30;
const MIN_ZOOM = 0.2;

interface Metadata {
  ofSeries: (stack: Stack) => Promise<DicomJson[]>;
  ofInstance: (frame: Frame) => Promise<DicomJson[]>;
}

let engine: RenderingEngine | null = null;
let views = 0;

/**
 * One engine for the page's life: its drawing context takes longer to make, and to make larger,
 * than a frame takes to come. A viewport that nobody sees keeps it as large as the window is now.
 */
export function start(): RenderingEngine {
  if (engine !== null) return engine;
  initCore({ rendering: { webGlContextCount: 1 } } as Types.Cornerstone3DConfig);
  initLoader({ maxWebWorkers: DECODERS });
  cache.setMaxCacheSize(CACHE_BYTES);
  engine = new RenderingEngine('engine');
  const ground = document.createElement('div');
  ground.ariaHidden = 'true';
  ground.style.cssText = `position: fixed; left: -10000px; width: ${innerWidth}px; height: ${innerHeight}px`;
  document.body.append(ground);
  engine.enableElement({ viewportId: 'ground', type: Enums.ViewportType.STACK, element: ground });
  // Asked with the first picture otherwise.
  supportsNorm16Linear();
  return engine;
}

/** Stored pixels, windowed on the graphics card. */
export class CornerstoneView extends ViewStore implements ImageView {
  readonly #engine = start();
  readonly #id: string;
  #viewport: Types.IStackViewport;
  readonly #watchSize: ResizeObserver;
  readonly #stop = new AbortController();
  #imageIds: string[] = [];
  /** Of each image, whether its smallest value is white (MONOCHROME1). */
  #isWhiteLow: boolean[] = [];
  #isInverted = false;
  #lastByte = 0;
  /** The whole stack is described; until then only its first image can be shown. */
  #isDescribed = false;

  constructor(
    private readonly element: HTMLDivElement,
    private readonly metadata: Metadata,
  ) {
    super();
    views += 1;
    this.#id = `viewport-${views}`;
    this.#viewport = this.#freshViewport();
    const { signal } = this.#stop;
    element.addEventListener(Enums.Events.IMAGE_RENDERED, () => this.#rendered(), { signal });
    const progress = (event: Event) => this.#progressed(event as CustomEvent<LoadProgress>);
    eventTarget.addEventListener('cornerstoneimageloadprogress', progress);
    signal.addEventListener('abort', () =>
      eventTarget.removeEventListener('cornerstoneimageloadprogress', progress),
    );
    this.#watchSize = new ResizeObserver(() => this.#resized());
    this.#watchSize.observe(element);
  }

  /** A used viewport would carry window and inversion of its last stack into the next. */
  #freshViewport(): Types.IStackViewport {
    if (this.#imageIds.length > 0) this.#engine.disableElement(this.#id);
    this.#engine.enableElement({ viewportId: this.#id, type: Enums.ViewportType.STACK, element: this.element });
    return this.#engine.getViewport<Types.IStackViewport>(this.#id);
  }

  open = (stack: Stack, index: number): void => {
    this.#viewport = this.#freshViewport();
    this.#imageIds = stack.frames.map(imageId);
    this.#isWhiteLow = [];
    this.#isInverted = false;
    this.#isDescribed = false;
    this.set({ ...NOTHING, status: 'loading', index });
    const wanted = this.#imageIds;
    this.#show(stack, index).catch((error: unknown) => {
      if (this.#isStale(wanted)) return;
      console.warn('stack not shown', stack.seriesUID, error);
      this.set({ status: 'failed' });
    });
  };

  async #show(stack: Stack, index: number): Promise<void> {
    const wanted = this.#imageIds;
    const first = stack.frames[index];
    if (first === undefined) return;
    const whole = this.metadata.ofSeries(stack);
    // Its failure is told below, where it is waited for.
    whole.catch(() => undefined);
    const isLong = new Set(stack.frames.map(({ sopUID }) => sopUID)).size > FEW;
    this.#describe(stack, wanted, isLong ? await this.metadata.ofInstance(first) : await whole);
    if (this.#isStale(wanted)) return;
    // Loaded first on its own, so that a failure is an exception here and not an event elsewhere.
    await this.#load(wanted[index] ?? '');
    if (this.#isStale(wanted)) return;
    await this.#viewport.setStack(wanted, index);
    this.#applyInvert();
    this.#viewport.render();
    if (isLong) this.#describe(stack, wanted, await whole);
    if (this.#isStale(wanted)) return;
    this.#isDescribed = true;
    const { index: now } = this.getState();
    if (now === index) this.#fetchAround(index);
    else this.goTo(now);
  }

  /** Tell the loader what the images are; those that `instances` leave out are not known yet. */
  #describe(stack: Stack, wanted: string[], instances: DicomJson[]): void {
    if (this.#isStale(wanted)) return;
    const bySop = new Map(instances.map((one) => [textOf(one, SOP_INSTANCE_UID), one]));
    stack.frames.forEach((frame, at) => {
      const metadata = bySop.get(frame.sopUID);
      if (metadata === undefined) return;
      if (lacksPalette(metadata)) throw new Error(`no colour palette for ${frame.sopUID}`);
      this.#isWhiteLow[at] = textOf(metadata, PHOTOMETRIC_INTERPRETATION) === 'MONOCHROME1';
      if (frame.frame === 1) wadors.metaDataManager.add(wanted[at] ?? '', { ...metadata } as never);
    });
  }

  /** Some failures in the decoder never reach its promise: silence after the last byte is one too. */
  #load(id: string): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const watch = setInterval(() => {
        if (this.#stop.signal.aborted) clearInterval(watch);
        else if (performance.now() - this.#lastByte > STUCK_MS) reject(new Error(`${id}: no pixels`));
      }, 1_000);
      this.#lastByte = performance.now();
      imageLoader
        .loadAndCacheImage(id)
        .then(resolve, reject)
        .finally(() => clearInterval(watch));
    });
  }

  /** Something else was opened meanwhile, or the view is gone. */
  #isStale(wanted: string[]): boolean {
    return this.#stop.signal.aborted || wanted !== this.#imageIds;
  }

  goTo = (index: number): void => {
    if (this.#imageIds[index] === undefined) return;
    this.set({ index });
    if (!this.#isDescribed) return;
    this.#viewport
      .setImageIdIndex(index)
      .then(() => {
        this.#applyInvert();
        this.#viewport.render();
        this.#fetchAround(index);
      })
      .catch((error: unknown) => {
        if (this.#stop.signal.aborted) return;
        console.warn('image not shown', index, error);
        this.set({ status: 'failed' });
      });
  };

  windowBy = (dx: number, dy: number): void => {
    const { voiRange: range, invert = false } = this.#viewport.getProperties();
    if (range === undefined) return;
    const { windowWidth, windowCenter } = utilities.windowLevel.toWindowLevel(range.lower, range.upper);
    const perPixel = Math.max(windowWidth, 16) / 300;
    const width = Math.max(1, windowWidth + dx * perPixel);
    // Upwards is brighter, whichever way the grey scale runs.
    const center = windowCenter + (invert ? -dy : dy) * perPixel;
    this.#viewport.setProperties({ voiRange: utilities.windowLevel.toLowHighRange(width, center) });
    this.#viewport.render();
  };

  panBy = (dx: number, dy: number): void => {
    const [x, y] = this.#viewport.getPan();
    this.#viewport.setPan([x + dx, y + dy]);
    this.#viewport.render();
  };

  zoomBy = (factor: number, at?: { x: number; y: number }): void => {
    const before = this.#viewport.getZoom();
    const zoom = Math.min(MAX_ZOOM, Math.max(MIN_ZOOM, before * factor));
    const ratio = zoom / before;
    const [panX, panY] = this.#viewport.getPan();
    const { clientWidth, clientHeight } = this.element;
    const x = (at?.x ?? clientWidth / 2) - clientWidth / 2;
    const y = (at?.y ?? clientHeight / 2) - clientHeight / 2;
    this.#viewport.setZoom(zoom);
    this.#viewport.setPan([x - (x - panX) * ratio, y - (y - panY) * ratio]);
    this.#viewport.render();
  };

  toggleInvert = (): void => {
    this.#isInverted = !this.#isInverted;
    this.#applyInvert();
    this.#viewport.render();
  };

  reset = (): void => {
    this.#isInverted = false;
    const { windowWidth, windowCenter, voiLUTFunction } = this.#viewport.getCornerstoneImage();
    const voiRange = utilities.getVOIRangeFromWindowLevel(
      windowWidth,
      windowCenter,
      voiLUTFunction,
    );
    if (voiRange !== undefined) this.#viewport.setProperties({ voiRange });
    this.#viewport.resetCamera();
    this.#applyInvert();
    this.#viewport.render();
  };

  destroy = (): void => {
    this.#stop.abort();
    this.#watchSize.disconnect();
    this.#engine.disableElement(this.#id);
    this.set(NOTHING);
  };

  /** MONOCHROME1, and the reader's own wish; never resetProperties(), which forgets the former. */
  #applyInvert(): void {
    const isWhiteLow = this.#isWhiteLow[this.#viewport.getCurrentImageIdIndex()] ?? false;
    this.#viewport.setProperties({ invert: isWhiteLow !== this.#isInverted });
  }

  #rendered(): void {
    if (!this.#viewport.hasImageId(this.#imageIds[this.getState().index] ?? '')) return;
    const { voiRange } = this.#viewport.getProperties();
    const window = voiRange && utilities.windowLevel.toWindowLevel(voiRange.lower, voiRange.upper);
    this.set({
      status: 'shown',
      progress: null,
      window: window
        ? { center: Math.round(window.windowCenter), width: Math.round(window.windowWidth), isPercent: false }
        : null,
      zoom: this.#viewport.getZoom(),
      isInverted: this.#isInverted,
      placement: this.#placement(),
    });
  }

  /** Three corners of the picture, through the camera, give the matrix of whatever lies on it. */
  #placement(): Placement | null {
    // Declared as always there, yet undefined before the first image.
    const data = this.#viewport.getImageData() as Types.IImageData | undefined;
    if (data === undefined) return null;
    const [columns, rows] = data.dimensions;
    const canvas = (i: number, j: number) => {
      const corner: Types.Point3 = [i - 0.5, j - 0.5, 0];
      return this.#viewport.worldToCanvas(
        utilities.transformIndexToWorld(data.imageData, corner) as Types.Point3,
      );
    };
    const [e, f] = canvas(0, 0);
    const [rightX, rightY] = canvas(columns, 0);
    const [downX, downY] = canvas(0, rows);
    return {
      matrix: [(rightX - e) / columns, (rightY - f) / columns, (downX - e) / rows, (downY - f) / rows, e, f],
      columns,
      rows,
    };
  }

  #resized(): void {
    const [x, y] = this.#viewport.getPan();
    const isFitted = Math.abs(this.#viewport.getZoom() - 1) < 0.001 && Math.hypot(x, y) < 1;
    this.#engine.resize(true, !isFitted);
  }

  #progressed({ detail }: CustomEvent<LoadProgress>): void {
    const state = this.getState();
    if (state.status !== 'loading' || detail.imageId !== this.#imageIds[state.index]) return;
    this.#lastByte = performance.now();
    this.set({ progress: detail.percentComplete ?? null });
  }

  /** The next pictures are fetched before they are asked for. */
  #fetchAround(index: number): void {
    for (let step = 1; step <= AHEAD; step += 1) {
      for (const near of [this.#imageIds[index + step], this.#imageIds[index - step]]) {
        if (near === undefined || cache.getImageLoadObject(near) !== undefined) continue;
        // What fails ahead of time fails again, and is said, when the reader gets there.
        imageLoader.loadAndCacheImage(near).catch(() => undefined);
      }
    }
  }
}

interface LoadProgress {
  imageId: string;
  percentComplete?: number;
}

/** Where the palette is not in the metadata, only the server can colour the image. */
const lacksPalette = (instance: DicomJson): boolean =>
  textOf(instance, PHOTOMETRIC_INTERPRETATION) === 'PALETTE COLOR' &&
  instance[RED_PALETTE]?.Value === undefined;

/** Forget the pixels of a study that is no longer shown. */
export function forgetPixels(): void {
  cache.purgeCache();
  wadors.metaDataManager.purge();
}
