/** Addresses under /dicomweb (PS3.18 section 10.4). */

const series = (study: string, seriesUID: string) => `/dicomweb/studies/${study}/series/${seriesUID}`;
const instance = (study: string, seriesUID: string, sop: string) => `${series(study, seriesUID)}/instances/${sop}`;

/** The study in the OHIF viewer. */
export const ohifUrl = (study: string) => `/ohif/viewer?StudyInstanceUIDs=${study}`;

/** The study as DICOM media in a ZIP, with a page that shows it offline. */
export const mediaUrl = (study: string) => `/dicomweb/studies/${study}?accept=application/zip`;

export const metadataUrl = (study: string, seriesUID: string) => `${series(study, seriesUID)}/metadata`;
export const instanceMetadataUrl = (study: string, seriesUID: string, sop: string) =>
  `${instance(study, seriesUID, sop)}/metadata`;
export const thumbnailUrl = (study: string, seriesUID: string, sop: string) =>
  `${instance(study, seriesUID, sop)}/thumbnail`;
export const renderedUrl = (study: string, seriesUID: string, sop: string, frame = 1) =>
  frame === 1
    ? `${instance(study, seriesUID, sop)}/rendered`
    : `${instance(study, seriesUID, sop)}/frames/${frame}/rendered`;
export const frameUrl = (study: string, seriesUID: string, sop: string, frame: number) =>
  `${instance(study, seriesUID, sop)}/frames/${frame}`;
