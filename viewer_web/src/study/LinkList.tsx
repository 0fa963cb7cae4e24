import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { Button } from 'react-aria-components';

import { serverNow } from '../api/serverClock';
import { linksQuery, revokeLink } from '../api/queries';
import type { ShareLink } from '../api/types';
import { useWords } from '../i18n/format';

/** The links that stand, each with its end. */
export function LinkList({ uid }: { uid: string }) {
  const { t, problem } = useWords();
  const { data = [], error, isSuccess } = useQuery(linksQuery(uid));
  return (
    <section className="links">
      <h3>{t('share.existing')}</h3>
      {error !== null && (
        <p className="error" role="alert">
          {problem(error)}
        </p>
      )}
      {isSuccess && data.length === 0 && <p className="quiet">{t('share.noneYet')}</p>}
      <ul>
        {data.map((link) => (
          <LinkRow key={link.id} link={link} uid={uid} />
        ))}
      </ul>
    </section>
  );
}

function LinkRow({ link, uid }: { link: ShareLink; uid: string }) {
  const { t, dateTime, problem } = useWords();
  const client = useQueryClient();
  const revoking = useMutation({
    mutationFn: () => revokeLink(link.id),
    onSuccess: () => client.invalidateQueries({ queryKey: linksQuery(uid).queryKey }),
  });
  const date = dateTime(link.expiresAt);
  const isRevoked = link.revokedAt !== null;
  const isExpired = Date.parse(link.expiresAt) <= serverNow();
  return (
    <li className="link-row" data-testid="share-link">
      <span>
        {link.basis}
        <small>
          {`${link.madeBy.replace(/^user:/, '')} · ${t(isExpired ? 'share.expired' : 'share.until', { date })} · ${t('share.opened', { count: link.openCount })}`}
        </small>
        {revoking.isError && <small className="error">{problem(revoking.error)}</small>}
      </span>
      {isRevoked ? (
        <small>{t('share.revoked')}</small>
      ) : (
        !isExpired && (
          <Button className="button" data-testid="share-revoke" isPending={revoking.isPending} onPress={() => revoking.mutate()}>
            {t('share.revoke')}
          </Button>
        )
      )}
    </li>
  );
}
