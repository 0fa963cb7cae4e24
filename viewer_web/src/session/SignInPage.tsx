import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useRouter, useSearch } from '@tanstack/react-router';
import { useEffect, type SyntheticEvent } from 'react';
import { Button, Input, Label, TextField } from 'react-aria-components';

import { sessionQuery, signIn } from '../api/queries';
import { useWords } from '../i18n/format';
import { LanguageSwitch } from '../ui/LanguageSwitch';
import './sign-in.css';

export function SignInPage() {
  const { t, problem } = useWords();
  const { next } = useSearch({ from: '/sign-in' });
  const client = useQueryClient();
  const { history } = useRouter();
  const { data: session } = useQuery(sessionQuery);
  const entering = useMutation({
    mutationFn: signIn,
    onSuccess: (opened) => {
      // Nothing of the reader before may show to the next one.
      client.removeQueries({ predicate: (query) => query.queryKey[0] !== sessionQuery.queryKey[0] });
      client.setQueryData(sessionQuery.queryKey, opened);
    },
  });
  const isInside = session?.user != null;
  useEffect(() => {
    if (!isInside) return;
    // The EMR's link into the viewer, and OHIF, are the server's to answer, not pages of ours.
    if (next?.startsWith('/viewer?') || next?.startsWith('/ohif/')) window.location.replace(next);
    else history.replace(next ?? '/');
  }, [isInside, history, next]);
  useEffect(() => {
    document.title = t('title.signIn');
  }, [t]);

  const submit = (event: SyntheticEvent<HTMLFormElement>) => {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    const field = (name: string) => {
      const value = form.get(name);
      return typeof value === 'string' ? value : '';
    };
    entering.mutate({ username: field('username').trim(), password: field('password') });
  };

  return (
    <main className="sign-in">
      <div className="sign-in-language">
        <LanguageSwitch />
      </div>
      <form onSubmit={submit}>
        <header>
          <img src="/icon.svg" alt="" />
          <h1>{t('app.name')}</h1>
          <p>{t('signIn.heading')}</p>
        </header>
        <TextField name="username" autoComplete="username" isRequired autoFocus>
          <Label>{t('signIn.username')}</Label>
          <Input data-testid="sign-in-username" autoCapitalize="none" spellCheck={false} />
        </TextField>
        <TextField name="password" type="password" autoComplete="current-password" isRequired>
          <Label>{t('signIn.password')}</Label>
          <Input data-testid="sign-in-password" />
        </TextField>
        <p className="sign-in-error" role="alert" data-testid="sign-in-error">
          {entering.isError ? problem(entering.error) : null}
        </p>
        <Button className="button button-primary" type="submit" isPending={entering.isPending} data-testid="sign-in-submit">
          {entering.isPending ? t('signIn.busy') : t('signIn.submit')}
        </Button>
      </form>
    </main>
  );
}
