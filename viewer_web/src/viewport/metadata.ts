import { queryOptions } from '@tanstack/react-query';

import { instanceMetadataUrl, metadataUrl } from '../api/dicomweb';
import { call } from '../api/http';

/** A data set in the DICOM JSON model (PS3.18 annex F). */
export type DicomJson = Record<string, { vr: string; Value?: unknown[]; InlineBinary?: string } | undefined>;

export const SOP_INSTANCE_UID = '00080018';
const SPACINGS = ['00280030', '00181164', '00182010'];

const read = async (url: string, signal: AbortSignal): Promise<DicomJson[]> => {
  const instances = await call<DicomJson[]>(url, { accept: 'application/dicom+json', signal });
  return instances.map(withSaneSpacing).map(withPalette);
};

/** One image's, which comes long before that of a thousand. */
export const instanceMetadataQuery = (studyUID: string, seriesUID: string, sopUID: string) =>
  queryOptions({
    queryKey: ['metadata', studyUID, seriesUID, sopUID],
    queryFn: ({ signal }) => read(instanceMetadataUrl(studyUID, seriesUID, sopUID), signal),
    staleTime: 60_000,
  });

/** Series metadata does not change while a study is read. */
export const metadataQuery = (studyUID: string, seriesUID: string) =>
  queryOptions({
    queryKey: ['metadata', studyUID, seriesUID],
    queryFn: ({ signal }) => read(metadataUrl(studyUID, seriesUID), signal),
    staleTime: 60_000,
  });

/** Some modalities say "0\0" where they do not know the pixel spacing; geometry dies of it. */
export function withSaneSpacing(instance: DicomJson): DicomJson {
  const bad = SPACINGS.filter((tag) => {
    const values = instance[tag]?.Value;
    return values?.some((value) => !(Number(value) > 0));
  });
  if (bad.length === 0) return instance;
  return Object.fromEntries(Object.entries(instance).filter(([tag]) => !bad.includes(tag)));
}

const PALETTES = ['00281201', '00281202', '00281203'];
const PALETTE_DESCRIPTOR = '00281101';

/**
 * Cornerstone reads colour palettes as numbers, DICOM JSON has them as binary: bytes where there
 * are as many as entries (PS3.3 C.7.6.3.1.6), else little-endian 16-bit words.
 */
export function withPalette(instance: DicomJson): DicomJson {
  const entries = Number(instance[PALETTE_DESCRIPTOR]?.Value?.[0] ?? 0) || 65_536;
  const read = PALETTES.flatMap((tag) => {
    const binary = instance[tag]?.InlineBinary;
    if (binary === undefined) return [];
    const bytes = Uint8Array.from(atob(binary), (letter) => letter.charCodeAt(0));
    const words = new DataView(bytes.buffer);
    const Value =
      bytes.length < 2 * entries
        ? [...bytes]
        : Array.from({ length: entries }, (_, at) => words.getUint16(2 * at, true));
    return [[tag, { vr: 'OW', Value }] as const];
  });
  return read.length === 0 ? instance : { ...instance, ...Object.fromEntries(read) };
}

export interface OwnWindow {
  center: number;
  width: number;
  /** Low values are bright (MONOCHROME1). */
  isInverse: boolean;
}

/** The first window that an object names; null where it names none. */
export function ownWindowOf(instance: DicomJson | undefined): OwnWindow | null {
  const [center, width] = ['00281050', '00281051'].map((tag) => Number(valuesOf(instance, tag)[0] ?? NaN));
  if (center === undefined || width === undefined || !Number.isFinite(center) || !(width > 0)) return null;
  return { center, width, isInverse: textOf(instance, '00280004') === 'MONOCHROME1' };
}

export function textOf(instance: DicomJson | undefined, tag: string): string {
  const value = instance?.[tag]?.Value?.[0];
  return typeof value === 'string' || typeof value === 'number' ? String(value) : '';
}

export function valuesOf(instance: DicomJson | undefined, tag: string): string[] {
  const values = instance?.[tag]?.Value ?? [];
  return values.filter((value) => typeof value === 'string' || typeof value === 'number').map(String);
}
