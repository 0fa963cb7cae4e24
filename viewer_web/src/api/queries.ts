import { infiniteQueryOptions, queryOptions } from '@tanstack/react-query';

import { ApiProblem, call } from './http';
import type { LinkMade, Session, ShareLink, StudyDetail, WorklistPage } from './types';

export interface WorklistFilter {
  state?: string | undefined;
  triage?: string | undefined;
  modality?: string | undefined;
  search?: string | undefined;
}

const PAGE = 100;

export const sessionQuery = queryOptions({
  queryKey: ['session'],
  /** null: nobody is signed in, and no shared link is held. */
  queryFn: async ({ signal }): Promise<Session | null> => {
    try {
      return await call<Session>('/api/v1/session', { signal });
    } catch (error) {
      if (error instanceof ApiProblem && error.status === 401) return null;
      throw error;
    }
  },
  staleTime: 60_000,
});

export const worklistKey = ['worklist'] as const;

export const worklistQuery = (filter: WorklistFilter) =>
  infiniteQueryOptions({
    queryKey: [...worklistKey, filter],
    queryFn: ({ pageParam, signal }) => {
      const query = new URLSearchParams({ limit: String(PAGE), offset: String(pageParam) });
      for (const [name, value] of Object.entries(filter)) {
        if (typeof value === 'string' && value !== '') query.set(name, value);
      }
      return call<WorklistPage>(`/api/v1/worklist?${query}`, { signal });
    },
    initialPageParam: 0,
    getNextPageParam: (last, pages) => {
      const loaded = pages.reduce((sum, page) => sum + page.items.length, 0);
      return last.items.length > 0 && loaded < last.total ? loaded : undefined;
    },
    placeholderData: (previous) => previous,
    staleTime: 30_000,
  });

export const studyKey = (uid: string) => ['study', uid] as const;

export const studyQuery = (uid: string) =>
  queryOptions({
    queryKey: studyKey(uid),
    queryFn: ({ signal }) => call<StudyDetail>(`/api/v1/studies/${encodeURIComponent(uid)}`, { signal }),
    staleTime: 30_000,
  });

export const linksQuery = (uid: string) =>
  queryOptions({
    queryKey: ['links', uid],
    queryFn: ({ signal }) => call<ShareLink[]>(`/api/v1/studies/${encodeURIComponent(uid)}/links`, { signal }),
  });

export const signIn = (credentials: { username: string; password: string }) =>
  call<Session>('/api/v1/session', { method: 'POST', body: credentials });

export const signOut = () => call<undefined>('/api/v1/session', { method: 'DELETE' });

export const createLink = (uid: string, wish: { expiresInHours: number; basis: string }) =>
  call<LinkMade>(`/api/v1/studies/${encodeURIComponent(uid)}/links`, { method: 'POST', body: wish });

export const revokeLink = (id: string) =>
  call<undefined>(`/api/v1/links/${encodeURIComponent(id)}`, { method: 'DELETE' });
