import { frameUrl, renderedUrl } from '../api/dicomweb';
import type { Instance, Series } from '../api/types';

/** One picture: a frame of an instance. `frame` counts from 1. */
export interface Frame {
  studyUID: string;
  seriesUID: string;
  sopUID: string;
  frame: number;
  rows: number;
  columns: number;
}

/** The pictures of a series in the order in which they are scrolled. */
export interface Stack {
  studyUID: string;
  seriesUID: string;
  frames: Frame[];
}

/** SR, key objects, presentation states, segmentations, encapsulated documents, waveforms. */
const NOT_PICTURES = /^1\.2\.840\.10008\.5\.1\.4\.1\.1\.(88|104|11|66|9|68|67|78|79)(\.|$)/;

export const isPicture = (instance: Instance): boolean =>
  (instance.rows ?? 0) > 0 && (instance.columns ?? 0) > 0 && !NOT_PICTURES.test(instance.sopClassUID);

/** null for a series without pictures. */
export function stackOf(studyUID: string, series: Series): Stack | null {
  const { seriesInstanceUID: seriesUID } = series;
  const frames = series.instances.filter(isPicture).flatMap((instance) =>
    Array.from({ length: Math.max(1, instance.frames) }, (_, index) => ({
      studyUID,
      seriesUID,
      sopUID: instance.sopInstanceUID,
      frame: index + 1,
      rows: instance.rows ?? 0,
      columns: instance.columns ?? 0,
    })),
  );
  return frames.length === 0 ? null : { studyUID, seriesUID, frames };
}

export const imageId = (frame: Frame): string =>
  `wadors:${frameUrl(frame.studyUID, frame.seriesUID, frame.sopUID, frame.frame)}`;

export const renderedFrameUrl = (frame: Frame): string =>
  renderedUrl(frame.studyUID, frame.seriesUID, frame.sopUID, frame.frame);

export interface Window {
  center: number;
  width: number;
}

const SIDES = [512, 1024, 2048];
/** Larger ones take the server longer as WebP than the line needs for them as JPEG. */
const LARGEST_WEBP = 1024;

/** The picture no larger than `pixels` of the screen need it, in a window or in the object's own. */
export function pictureUrl(frame: Frame, pixels: number, window: Window | null): string {
  const side = SIDES.find((one) => one >= pixels);
  const asked = new URLSearchParams();
  if (side !== undefined && side < Math.max(frame.rows, frame.columns)) asked.set('viewport', `${side},${side}`);
  if (side !== undefined && side <= LARGEST_WEBP) asked.set('accept', 'image/webp');
  if (window !== null) asked.set('window', `${window.center.toFixed(1)},${window.width.toFixed(1)},linear`);
  return asked.size === 0 ? renderedFrameUrl(frame) : `${renderedFrameUrl(frame)}?${asked.toString()}`;
}

/** A picture of about screen size, to look at while the stored pixels are on their way. */
export const previewUrl = (frame: Frame): string => `${renderedFrameUrl(frame)}?viewport=900,900`;
