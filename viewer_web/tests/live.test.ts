import { QueryClient, type InfiniteData } from '@tanstack/react-query';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { LiveLine } from '../src/api/liveLine';
import { noteServerTime, serverNow } from '../src/api/serverClock';
import type { StudyEvent, WorklistItem, WorklistPage } from '../src/api/types';
import { applyEvent } from '../src/app/live';

/** The browser's EventSource, which jsdom lacks, driven by hand. */
class Line extends EventTarget {
  static all: Line[] = [];
  onopen: (() => void) | null = null;
  onerror: (() => void) | null = null;
  isClosed = false;

  constructor(readonly url: string) {
    super();
    Line.all.push(this);
  }

  close(): void {
    this.isClosed = true;
  }

  say(type: string, data: unknown): void {
    this.dispatchEvent(new MessageEvent(type, { data: JSON.stringify(data) }));
  }
}

const newest = () => {
  const line = Line.all.at(-1);
  if (line === undefined) throw new Error('no line was opened');
  return line;
};

describe('the live line', () => {
  const heard: StudyEvent[] = [];
  const opened = vi.fn();
  const lost = vi.fn();
  let line: LiveLine;

  beforeEach(() => {
    vi.useFakeTimers();
    vi.stubGlobal('EventSource', Line);
    Line.all = [];
    heard.length = 0;
    opened.mockClear();
    lost.mockClear();
    line = new LiveLine('/api/v1/events', { study: (event) => heard.push(event), open: opened, lost });
    line.start();
  });

  afterEach(() => {
    line.stop();
    vi.useRealTimers();
    vi.unstubAllGlobals();
  });

  it('passes on what happens', () => {
    newest().onopen?.();
    expect(line.getState()).toBe('live');
    newest().say('study', { studyInstanceUID: '1', change: 'arrived', item: null });
    expect(heard).toEqual([{ studyInstanceUID: '1', change: 'arrived', item: null }]);
  });

  it('says that it is lost, and comes back by itself, ever more patiently', () => {
    newest().onopen?.();
    newest().onerror?.();
    expect(line.getState()).toBe('lost');
    expect(lost).toHaveBeenCalledOnce();
    vi.advanceTimersByTime(1_000);
    expect(Line.all).toHaveLength(2);
    newest().onerror?.();
    vi.advanceTimersByTime(1_999);
    expect(Line.all).toHaveLength(2);
    vi.advanceTimersByTime(1);
    expect(Line.all).toHaveLength(3);
    newest().onopen?.();
    expect(line.getState()).toBe('live');
    expect(opened).toHaveBeenCalledTimes(2);
  });

  it('notices a line that has gone silent', () => {
    newest().onopen?.();
    vi.advanceTimersByTime(20_000);
    newest().say('ping', {});
    vi.advanceTimersByTime(34_000);
    expect(line.getState()).toBe('live');
    vi.advanceTimersByTime(1_000);
    expect(line.getState()).toBe('lost');
    expect(Line.all[0]?.isClosed).toBe(true);
  });

  it('stays closed once stopped', () => {
    newest().onerror?.();
    line.stop();
    vi.advanceTimersByTime(60_000);
    expect(Line.all).toHaveLength(1);
  });
});

describe('an event in the cache', () => {
  const item = (uid: string, state: WorklistItem['state']) =>
    ({
      studyInstanceUID: uid,
      state,
      arrivedAt: '2026-11-22T10:00:00Z',
      modalities: ['CR'],
      triage: { class: 'critical', status: 'assessed' },
    }) as WorklistItem;
  const held = (): InfiniteData<WorklistPage, number> => ({ pages: [{ total: 0, items: [] }], pageParams: [0] });

  it('patches plain lists, and asks anew where only the server can judge', () => {
    const client = new QueryClient();
    client.setQueryData(['worklist', {}], held());
    client.setQueryData(['worklist', { state: 'read' }], held());
    client.setQueryData(['worklist', { search: 'duc' }], held());
    applyEvent(client, { studyInstanceUID: '1', change: 'triaged', item: item('1', 'triaged') });
    const total = (filter: object) =>
      client.getQueryData<InfiniteData<WorklistPage, number>>(['worklist', filter])?.pages[0]?.total;
    expect([total({}), total({ state: 'read' }), total({ search: 'duc' })]).toEqual([1, 0, 0]);
    expect(client.getQueryState(['worklist', { search: 'duc' }])?.isInvalidated).toBe(true);
    expect(client.getQueryState(['worklist', {}])?.isInvalidated).toBe(false);
  });
});

describe("the server's clock", () => {
  it('counts where the PC is wrong, and is left alone where it is right', () => {
    const now = Date.now();
    noteServerTime(new Date(now + 3_600_000).toUTCString(), now);
    expect(serverNow() - Date.now()).toBeGreaterThan(3_590_000);
    noteServerTime(new Date(now).toUTCString(), now);
    expect(Math.abs(serverNow() - Date.now())).toBeLessThan(50);
    noteServerTime(null);
    noteServerTime('never');
    expect(Math.abs(serverNow() - Date.now())).toBeLessThan(50);
  });
});
