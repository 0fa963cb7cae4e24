import type { InfiniteData } from '@tanstack/react-query';
import { describe, expect, it } from 'vitest';

import type { StudyState, TriageClass, WorklistItem, WorklistPage } from '../src/api/types';
import { span, waiting } from '../src/worklist/clock';
import { compare, patch } from '../src/worklist/order';
import { strongest } from '../src/worklist/reason';

const NOON = Date.parse('2026-11-22T12:00:00Z');
const TARGETS = { critical: 15, urgent: 60, routine: 240 };

function study(uid: string, triage: TriageClass | null, minutesAgo: number, state: StudyState = 'triaged'): WorklistItem {
  return {
    studyInstanceUID: uid,
    patient: { name: `P^${uid}`, id: uid, issuer: 'H', birthDate: null, sex: null, identityConflict: false },
    accessionNumber: '',
    studyDate: null,
    studyTime: null,
    modalities: ['CR'],
    bodyPart: '',
    description: '',
    station: '',
    institution: '',
    referringPhysician: '',
    seriesCount: 1,
    instanceCount: 1,
    arrivedAt: new Date(NOON - minutesAgo * 60_000).toISOString(),
    state,
    thumbnail: null,
    seriesInstanceUID: null,
    triage: {
      class: triage,
      status: triage === null ? 'pending' : 'assessed',
      score: null,
      reason: null,
      findings: [],
      model: null,
    },
  };
}

type Pages = InfiniteData<WorklistPage, number>;
const list = (total: number, ...pages: WorklistItem[][]): Pages => ({
  pages: pages.map((items) => ({ total, items })),
  pageParams: pages.map((_, index) => index * 2),
});
const order = (data: Pages) => data.pages.map((page) => page.items.map((item) => item.studyInstanceUID).join(''));

const A = study('a', 'critical', 5);
const B = study('b', 'urgent', 90);
const C = study('c', 'routine', 300);
const D = study('d', null, 400);

describe('the order of the list', () => {
  it('is critical, urgent, all others, and of these the longest waiting first', () => {
    const later = study('e', 'urgent', 10);
    expect([D, later, C, A, B].toSorted(compare)).toEqual([A, B, later, D, C]);
  });
});

describe('a live event', () => {
  it('puts a new study into its place', () => {
    const next = patch(list(3, [A, B, C]), { studyInstanceUID: 'x', change: 'triaged', item: study('x', 'urgent', 1) }, {});
    expect(order(next)).toEqual(['abxc']);
    expect(next.pages[0]?.total).toBe(4);
  });

  it('moves a study whose class has changed, across pages', () => {
    const risen = { ...D, triage: { ...D.triage, class: 'critical' as const, status: 'assessed' as const } };
    const next = patch(list(4, [A, B], [C, D]), { studyInstanceUID: 'd', change: 'triaged', item: risen }, {});
    expect(order(next)).toEqual(['dab', 'c']);
    expect(next.pages.map((page) => page.total)).toEqual([4, 4]);
  });

  it('takes out what the filter no longer lets through', () => {
    const read = { ...B, state: 'read' as const };
    const event = { studyInstanceUID: 'b', change: 'read', item: read };
    const next = patch(list(3, [A, B, C]), event, { state: 'triaged' });
    expect(order(next)).toEqual(['ac']);
    expect(next.pages[0]?.total).toBe(2);
  });

  it('takes out what is signed, unless signed studies were asked for', () => {
    const event = { studyInstanceUID: 'b', change: 'reported', item: { ...B, state: 'reported' as const } };
    expect(order(patch(list(3, [A, B, C]), event, {}))).toEqual(['ac']);
    expect(order(patch(list(0, []), event, { state: 'reported' }))).toEqual(['b']);
  });

  it('leaves alone what is neither held nor wanted', () => {
    const data = list(3, [A, B, C]);
    expect(patch(data, { studyInstanceUID: 'x', change: 'triaged', item: study('x', 'routine', 1) }, { modality: 'CT' })).toBe(data);
  });

  it('counts, but does not show, what belongs behind pages not yet loaded', () => {
    const next = patch(list(50, [A, B]), { studyInstanceUID: 'x', change: 'arrived', item: study('x', null, 1) }, {});
    expect(order(next)).toEqual(['ab']);
    expect(next.pages[0]?.total).toBe(51);
  });

  it('fills an empty list', () => {
    expect(order(patch(list(0, []), { studyInstanceUID: 'a', change: 'arrived', item: A }, {}))).toEqual(['a']);
  });

  it('changes nothing in what was cached before', () => {
    const before = list(2, [A, C]);
    patch(before, { studyInstanceUID: 'b', change: 'arrived', item: B }, {});
    expect(order(before)).toEqual(['ac']);
  });
});

describe('the waiting clock', () => {
  it('is late past the target of its class', () => {
    expect(waiting(study('x', 'critical', 15), TARGETS, NOON)).toMatchObject({ minutes: 15, lateMinutes: 0 });
    expect(waiting(study('x', 'critical', 16), TARGETS, NOON)).toMatchObject({ minutes: 16, lateMinutes: 1 });
    expect(waiting(study('x', 'routine', 200), TARGETS, NOON)).toMatchObject({ lateMinutes: 0 });
  });

  it('holds what nobody has assessed to the routine target', () => {
    expect(waiting(study('x', null, 250), TARGETS, NOON)).toMatchObject({ lateMinutes: 10 });
  });

  it('stops when the study has been read', () => {
    expect(waiting(study('x', 'critical', 100, 'read'), TARGETS, NOON)).toBeNull();
  });

  it('marks an arrival for two minutes and never runs backwards', () => {
    expect(waiting(study('x', null, 1), TARGETS, NOON)).toMatchObject({ isNew: true });
    expect(waiting(study('x', null, 2), TARGETS, NOON)).toMatchObject({ isNew: false });
    expect(waiting(study('x', null, -3), TARGETS, NOON)).toMatchObject({ minutes: 0 });
  });

  it('spells long waits in days', () => {
    expect(span(1440 * 3 + 61)).toEqual({ days: 3, hours: 1, minutes: 1 });
  });
});

describe('the reason', () => {
  const finding = (code: string, probability: number, present = true) => ({ code, probability, threshold: 0.5, present });

  it('names the most probable findings, and not merely that something is abnormal', () => {
    const triage = { ...A.triage, findings: [finding('abnormal', 0.99), finding('nodule', 0.6), finding('mass', 0.9), finding('edema', 0.2, false)] };
    expect(strongest(triage).map((one) => one.code)).toEqual(['mass', 'nodule']);
  });

  it('says abnormal where no finding is named', () => {
    expect(strongest({ ...A.triage, findings: [finding('abnormal', 0.9)] }).map((one) => one.code)).toEqual(['abnormal']);
  });
});
