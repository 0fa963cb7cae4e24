import { useQuery } from '@tanstack/react-query';
import { Outlet, useLocation } from '@tanstack/react-router';
import { createContext, useContext, useEffect } from 'react';

import { sessionQuery } from '../api/queries';
import type { Session } from '../api/types';
import { adoptLanguage } from '../i18n';
import { Failed, Waiting } from '../ui/States';
import { LineProvider, useLiveLine } from './live';
import { Redirect } from './Redirect';

const SessionContext = createContext<Session | null>(null);

/** The session of the pages behind sign-in. */
export function useSession(): Session {
  const session = useContext(SessionContext);
  if (session === null) throw new Error('useSession outside SignedIn');
  return session;
}

/** The pages that need a session; a shared link's holder stays on the study it is for. */
export function SignedIn() {
  const { data: session, error, isPending, refetch } = useQuery(sessionQuery);
  const { pathname, href } = useLocation();
  const line = useLiveLine(session?.user != null);
  const language = session?.server.language;
  useEffect(() => {
    if (language !== undefined) void adoptLanguage(language);
  }, [language]);

  if (isPending) return <Waiting />;
  if (session === undefined) return <Failed error={error} onRetry={() => void refetch()} />;
  if (session === null) {
    return <Redirect to="/sign-in" search={pathname === '/' ? {} : { next: href }} />;
  }
  if (session.user === null) {
    if (session.link === null) return <Redirect to="/sign-in" />;
    const uid = session.link.studyInstanceUID;
    if (pathname !== `/study/${uid}`) return <Redirect to="/study/$uid" params={{ uid }} />;
  }
  return (
    <SessionContext value={session}>
      <LineProvider value={line}>
        <Outlet />
      </LineProvider>
    </SessionContext>
  );
}
