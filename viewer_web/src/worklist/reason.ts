import type { Finding, Triage } from '../api/types';

const SHOWN = 3;

/** What speaks loudest in a triage: findings over their thresholds, the most probable first. */
export function strongest(triage: Triage): Finding[] {
  const present = triage.findings.filter((finding) => finding.present);
  const named = present.filter((finding) => finding.code !== 'abnormal');
  return (named.length > 0 ? named : present)
    .toSorted((a, b) => b.probability - a.probability)
    .slice(0, SHOWN);
}
