import { Link } from '@tanstack/react-router';
import { History, Link2, TriangleAlert } from 'lucide-react';

import { useSession } from '../app/SignedIn';
import type { WorklistItem } from '../api/types';
import { useWords } from '../i18n/format';

/** What must be known before reading: an earlier study, a doubtful identity, a shared link. */
export function StudyNotices({ study, from }: { study: WorklistItem | undefined; from: string | undefined }) {
  const { t, date, dateTime } = useWords();
  const { link } = useSession();
  return (
    <>
      {study?.patient.identityConflict === true && (
        <p className="banner banner-warning">
          <TriangleAlert aria-hidden="true" />
          {t('patient.conflict')}
        </p>
      )}
      {study !== undefined && from !== undefined && (
        <p className="banner banner-prior" data-testid="prior-banner">
          <History aria-hidden="true" />
          <b>{t('study.viewingPrior', { date: date(study.studyDate) })}</b>
          <Link className="text-link" to="/study/$uid" params={{ uid: from }}>
            {t('study.backToCurrent')}
          </Link>
        </p>
      )}
      {link !== null && (
        <p className="banner banner-prior">
          <Link2 aria-hidden="true" />
          {t('study.sharedUntil', { date: dateTime(link.expiresAt) })}
        </p>
      )}
    </>
  );
}
