import type { Assessment, Instance, Series, StudyDetail } from '../api/types';
import { isPicture, stackOf, type Stack } from '../viewport/stack';

/** A series as the strip shows it. */
export interface Picture {
  series: Series;
  stack: Stack;
  /** Made by the AI, not by a modality. */
  isHeatmap: boolean;
}

export interface Document {
  series: Series;
  instance: Instance;
}

export function picturesOf(detail: StudyDetail): Picture[] {
  const heatmaps = new Set(detail.assessments.map((one) => one.heatmapInstanceUID));
  return detail.series
    .flatMap((series) => {
      const stack = stackOf(detail.study.studyInstanceUID, series);
      if (stack === null) return [];
      const isHeatmap = series.instances.some((instance) => heatmaps.has(instance.sopInstanceUID));
      return [{ series, stack, isHeatmap }];
    })
    .toSorted((a, b) => Number(a.series.result) - Number(b.series.result));
}

export const documentsOf = (detail: StudyDetail): Document[] =>
  detail.series.flatMap((series) =>
    series.instances.filter((one) => !isPicture(one)).map((instance) => ({ series, instance })),
  );

export type DocumentKind = 'sr' | 'pdf' | 'pr' | 'ko' | 'seg' | 'other';

export function documentKind({ sopClassUID }: Instance): DocumentKind {
  const tail = sopClassUID.replace('1.2.840.10008.5.1.4.1.1.', '');
  if (tail === '88.59') return 'ko';
  if (tail.startsWith('88.')) return 'sr';
  if (tail.startsWith('104.')) return 'pdf';
  if (tail.startsWith('11.')) return 'pr';
  if (tail === '66.4') return 'seg';
  return 'other';
}

const RANK = { critical: 0, urgent: 1, routine: 2 } as const;
const rank = (one: Assessment) => (one.class === null ? 3 : RANK[one.class]);

/** The picture to begin with: the one that the triage speaks of, or the first. */
export function firstPicture(detail: StudyDetail, pictures: Picture[]): Picture | undefined {
  const gravest = detail.assessments.toSorted((a, b) => rank(a) - rank(b))[0];
  return (
    pictures.find(({ stack }) => stack.frames.some((frame) => frame.sopUID === gravest?.sopInstanceUID)) ??
    pictures[0]
  );
}

/** What the AI says of this image, or else of the study's gravest one. */
export function assessmentFor(detail: StudyDetail, sopUID: string | undefined): Assessment | undefined {
  return (
    detail.assessments.find((one) => one.sopInstanceUID === sopUID) ??
    detail.assessments.toSorted((a, b) => rank(a) - rank(b))[0]
  );
}
