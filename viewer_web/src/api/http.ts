import { noteServerTime } from './serverClock';

/** The server answered, but with a problem (RFC 9457). `code` is what the screens translate. */
export class ApiProblem extends Error {
  override readonly name = 'ApiProblem';

  constructor(
    readonly status: number,
    readonly code: string,
    detail: string,
  ) {
    super(detail || code);
  }
}

/** No answer came: the line or the server is down. */
export class Unreachable extends Error {
  override readonly name = 'Unreachable';
}

async function problemOf(response: Response): Promise<ApiProblem> {
  const fallback = `http_${response.status}`;
  try {
    const body = (await response.json()) as { code?: unknown; detail?: unknown };
    return new ApiProblem(
      response.status,
      typeof body.code === 'string' ? body.code : fallback,
      typeof body.detail === 'string' ? body.detail : response.statusText,
    );
  } catch {
    return new ApiProblem(response.status, fallback, response.statusText);
  }
}

export interface Call {
  method?: 'GET' | 'POST' | 'DELETE';
  body?: unknown;
  accept?: string;
  signal?: AbortSignal | undefined;
}

/** Ask the server; `path` begins with "/". Throws ApiProblem or Unreachable. */
export async function call<T>(path: string, { method = 'GET', body, accept, signal }: Call = {}): Promise<T> {
  const headers: Record<string, string> = { Accept: accept ?? 'application/json' };
  if (body !== undefined) headers['Content-Type'] = 'application/json';
  let response: Response;
  try {
    response = await fetch(path, {
      method,
      headers,
      credentials: 'same-origin',
      signal: signal ?? null,
      body: body === undefined ? null : JSON.stringify(body),
    });
  } catch (error) {
    if (error instanceof DOMException && error.name === 'AbortError') throw error;
    throw new Unreachable(path, { cause: error });
  }
  noteServerTime(response.headers.get('Date'));
  // A proxy that has lost its server says so with these.
  if (response.status === 502 || response.status === 503 || response.status === 504) {
    throw new Unreachable(path);
  }
  if (!response.ok) throw await problemOf(response);
  if (response.status === 204) return undefined as T;
  return (await response.json()) as T;
}
