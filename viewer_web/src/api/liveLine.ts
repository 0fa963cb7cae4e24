import type { StudyEvent } from './types';

export type LineState = 'connecting' | 'live' | 'lost';

interface Listener {
  study: (event: StudyEvent) => void;
  /** The line stands (again): what was missed meanwhile must be asked for. */
  open: () => void;
  /** The line broke or was refused; perhaps nobody is signed in any more. */
  lost: () => void;
}

/** The server pings every 15 s; a line silent for two pings is a dead one. */
const SILENCE_MS = 35_000;
const RETRY_MS = [1_000, 2_000, 4_000, 8_000, 15_000];

/**
 * The server-sent events of /api/v1/events, kept open for as long as somebody listens.
 * EventSource alone gives up after an HTTP error and never notices a half-open connection.
 */
export class LiveLine {
  #state: LineState = 'connecting';
  #source: EventSource | null = null;
  #watch: ReturnType<typeof setTimeout> | undefined;
  #retry: ReturnType<typeof setTimeout> | undefined;
  #attempt = 0;
  readonly #watchers = new Set<() => void>();

  constructor(
    private readonly url: string,
    private readonly listener: Listener,
  ) {}

  getState = (): LineState => this.#state;

  subscribe = (watcher: () => void): (() => void) => {
    this.#watchers.add(watcher);
    return () => this.#watchers.delete(watcher);
  };

  start(): void {
    this.#close();
    const source = new EventSource(this.url);
    this.#source = source;
    source.onopen = () => {
      this.#attempt = 0;
      this.#heard();
      this.#set('live');
      this.listener.open();
    };
    source.onerror = () => this.#lost();
    source.addEventListener('ping', () => this.#heard());
    source.addEventListener('study', (message) => {
      this.#heard();
      this.listener.study(JSON.parse(message.data as string) as StudyEvent);
    });
    this.#heard();
  }

  stop(): void {
    this.#close();
    clearTimeout(this.#retry);
  }

  #heard(): void {
    clearTimeout(this.#watch);
    this.#watch = setTimeout(() => this.#lost(), SILENCE_MS);
  }

  #lost(): void {
    this.#close();
    this.#set('lost');
    this.listener.lost();
    const wait = RETRY_MS[Math.min(this.#attempt, RETRY_MS.length - 1)];
    this.#attempt += 1;
    clearTimeout(this.#retry);
    this.#retry = setTimeout(() => this.start(), wait);
  }

  #close(): void {
    clearTimeout(this.#watch);
    this.#source?.close();
    this.#source = null;
  }

  #set(state: LineState): void {
    if (state === this.#state) return;
    this.#state = state;
    for (const watcher of this.#watchers) watcher();
  }
}
