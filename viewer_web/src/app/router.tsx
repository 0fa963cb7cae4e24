import type { QueryClient } from '@tanstack/react-query';
import {
  createRootRouteWithContext,
  createRoute,
  createRouter,
  lazyRouteComponent,
} from '@tanstack/react-router';

import type { WorklistFilter } from '../api/queries';
import { SignInPage } from '../session/SignInPage';
import { WorklistPage } from '../worklist/WorklistPage';
import { Redirect } from './Redirect';
import { SignedIn } from './SignedIn';

const text = (value: unknown): string | undefined =>
  typeof value === 'string' && value !== '' ? value : typeof value === 'number' ? String(value) : undefined;

/** Only a path of our own may be returned to after signing in. */
const ownPath = (value: unknown): string | undefined => {
  const path = text(value);
  return path?.startsWith('/') && !path.startsWith('//') && !path.startsWith('/\\') ? path : undefined;
};

const root = createRootRouteWithContext<{ client: QueryClient }>()({
  notFoundComponent: () => <Redirect to="/" />,
});

const signIn = createRoute({
  getParentRoute: () => root,
  path: '/sign-in',
  validateSearch: (search): { next?: string } => {
    const next = ownPath(search.next);
    return next === undefined ? {} : { next };
  },
  component: SignInPage,
});

const signedIn = createRoute({ getParentRoute: () => root, id: 'signed-in', component: SignedIn });

const worklist = createRoute({
  getParentRoute: () => signedIn,
  path: '/',
  validateSearch: (search): WorklistFilter => ({
    state: text(search.state),
    triage: text(search.triage),
    modality: text(search.modality),
    search: text(search.search),
  }),
  component: WorklistPage,
});

export interface StudySearch {
  /** The study from which this earlier one was opened. */
  from?: string;
  /** Show the server's JPEG instead of the stored pixels. */
  light?: boolean;
}

const study = createRoute({
  getParentRoute: () => signedIn,
  path: '/study/$uid',
  validateSearch: (search): StudySearch => {
    const from = text(search.from);
    return { ...(from === undefined ? {} : { from }), ...(search.light === true ? { light: true } : {}) };
  },
  component: lazyRouteComponent(() => import('../study/StudyPage'), 'StudyPage'),
});

export function makeRouter(client: QueryClient) {
  return createRouter({
    routeTree: root.addChildren([signIn, signedIn.addChildren([worklist, study])]),
    context: { client },
    defaultPreload: false,
    scrollRestoration: false,
  });
}

declare module '@tanstack/react-router' {
  interface Register {
    router: ReturnType<typeof makeRouter>;
  }
}
