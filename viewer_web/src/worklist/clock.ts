import type { StudyState, TriageClass, WorklistItem } from '../api/types';

const DONE: ReadonlySet<StudyState> = new Set<StudyState>(['read', 'reported', 'delivered']);
/** For how long an arrival is marked as new. */
const NEW_MINUTES = 2;

export interface Waiting {
  minutes: number;
  /** Minutes past the target of its class; 0 while in time. */
  lateMinutes: number;
  isNew: boolean;
}

/**
 * How long a study has waited to be read; null once it has been read.
 * What no model has assessed must be read as soon as a routine study.
 */
export function waiting(
  item: WorklistItem,
  targets: Record<TriageClass, number>,
  now: number,
): Waiting | null {
  if (DONE.has(item.state)) return null;
  const minutes = Math.max(0, Math.floor((now - Date.parse(item.arrivedAt)) / 60_000));
  const target = targets[item.triage.class ?? 'routine'];
  return { minutes, lateMinutes: Math.max(0, minutes - target), isNew: minutes < NEW_MINUTES };
}

export interface Span {
  days: number;
  hours: number;
  minutes: number;
}

/** A number of minutes in days, hours and minutes. */
export function span(minutes: number): Span {
  return {
    days: Math.floor(minutes / 1440),
    hours: Math.floor((minutes % 1440) / 60),
    minutes: minutes % 60,
  };
}
