/** What /api/v1 speaks: the JSON of viewer_api, field for field. */

export type Role = 'admin' | 'radiologist' | 'technician' | 'clinician' | 'service';
export type Language = 'vi' | 'en';
export type Sex = 'M' | 'F' | 'O';
export type TriageClass = 'critical' | 'urgent' | 'routine';
export type TriageStatus = 'pending' | 'assessed' | 'not_assessed' | 'hidden';
export type StudyState = 'arriving' | 'complete' | 'triaged' | 'read' | 'reported' | 'delivered';

export interface User {
  username: string;
  fullName: string;
  role: Role;
}

export interface LinkGrant {
  studyInstanceUID: string;
  expiresAt: string;
}

export interface ServerInfo {
  version: string;
  institution: string;
  language: Language;
  /** Results of models that are not registered medical devices are shown. */
  researchModels: boolean;
  /** The OHIF viewer is installed at /ohif/. */
  ohif: boolean;
  waitingTargetMinutes: Record<TriageClass, number>;
}

export interface Session {
  user: User | null;
  link: LinkGrant | null;
  permissions: string[];
  server: ServerInfo;
}

export interface Finding {
  code: string;
  probability: number;
  threshold: number;
  present: boolean;
}

export interface Model {
  name: string;
  version: string;
  registered: boolean;
}

export interface Triage {
  class: TriageClass | null;
  status: TriageStatus;
  score: number | null;
  /** Why the study was not assessed: a code such as "not_frontal". */
  reason: string | null;
  findings: Finding[];
  model: Model | null;
}

export interface Patient {
  /** DICOM person name, components separated by "^". */
  name: string;
  id: string;
  issuer: string;
  birthDate: string | null;
  sex: Sex | null;
  identityConflict: boolean;
}

export interface WorklistItem {
  studyInstanceUID: string;
  patient: Patient;
  accessionNumber: string;
  studyDate: string | null;
  studyTime: string | null;
  modalities: string[];
  bodyPart: string;
  description: string;
  station: string;
  institution: string;
  referringPhysician: string;
  seriesCount: number;
  instanceCount: number;
  arrivedAt: string;
  state: StudyState;
  /** SOP and series instance UIDs of the picture that stands for the study. */
  thumbnail: string | null;
  seriesInstanceUID: string | null;
  triage: Triage;
}

export interface WorklistPage {
  total: number;
  items: WorklistItem[];
}

export interface Instance {
  sopInstanceUID: string;
  sopClassUID: string;
  instanceNumber: number | null;
  frames: number;
  rows: number | null;
  columns: number | null;
  transferSyntaxUID: string;
}

export interface Series {
  seriesInstanceUID: string;
  modality: string;
  number: number | null;
  description: string;
  bodyPart: string;
  /** Made from the images (by the AI), not acquired. */
  result: boolean;
  instances: Instance[];
}

export interface Assessment extends Triage {
  sopInstanceUID: string;
  heatmapInstanceUID: string | null;
  heatmapSeriesUID: string | null;
  srInstanceUID: string | null;
}

export interface StudyDetail {
  study: WorklistItem;
  series: Series[];
  assessments: Assessment[];
  priors: WorklistItem[];
}

export interface StudyEvent {
  studyInstanceUID: string;
  change: string;
  item: WorklistItem | null;
}

/** A link just made: its URL is never shown again. */
export interface LinkMade {
  id: string;
  url: string;
  expiresAt: string;
}

export interface ShareLink {
  id: string;
  madeBy: string;
  basis: string;
  createdAt: string;
  expiresAt: string;
  revokedAt: string | null;
  revokedBy: string | null;
  openCount: number;
  lastOpenedAt: string | null;
}
