import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useNavigate } from '@tanstack/react-router';
import { Keyboard, LogOut } from 'lucide-react';
import { Button } from 'react-aria-components';

import { useSession } from '../app/SignedIn';
import { sessionQuery, signOut } from '../api/queries';
import { useWords } from '../i18n/format';
import { LanguageSwitch } from '../ui/LanguageSwitch';

export function TopBar({ onHelp }: { onHelp: () => void }) {
  const { t } = useWords();
  const { user, server } = useSession();
  const client = useQueryClient();
  const navigate = useNavigate();
  const leaving = useMutation({
    mutationFn: signOut,
    onSuccess: async () => {
      client.setQueryData(sessionQuery.queryKey, null);
      await navigate({ to: '/sign-in' });
      client.removeQueries({ predicate: (query) => query.queryKey[0] !== sessionQuery.queryKey[0] });
    },
  });
  return (
    <header className="topbar">
      <img src="/icon.svg" alt={t('app.name')} />
      <h1>{t('worklist.heading')}</h1>
      <span className="topbar-place">{server.institution}</span>
      <span className="topbar-user">{user?.fullName || user?.username}</span>
      <Button className="button button-quiet button-icon keys-button" aria-label={t('app.keys')} onPress={onHelp}>
        <Keyboard aria-hidden="true" />
      </Button>
      <LanguageSwitch />
      <Button
        className="button button-quiet button-icon"
        aria-label={t('app.signOut')}
        isPending={leaving.isPending}
        onPress={() => leaving.mutate()}
      >
        <LogOut aria-hidden="true" />
      </Button>
    </header>
  );
}
