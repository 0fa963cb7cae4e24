import { Link } from '@tanstack/react-router';
import { FileText } from 'lucide-react';

import { useSession } from '../app/SignedIn';
import { thumbnailUrl } from '../api/dicomweb';
import type { Assessment, StudyDetail, WorklistItem } from '../api/types';
import { useWords } from '../i18n/format';
import { AiPanel } from './AiPanel';
import { documentKind, documentsOf } from './layout';

export function SidePanel({ detail, assessment }: { detail: StudyDetail; assessment: Assessment | undefined }) {
  const { t } = useWords();
  const { user } = useSession();
  const documents = documentsOf(detail);
  const uid = detail.study.studyInstanceUID;
  return (
    <aside className="panel" aria-label={t('study.panel')}>
      <AiPanel triage={assessment ?? detail.study.triage} />
      {user !== null && (
        <section className="panel-part">
          <h2>{t('study.priors')}</h2>
          {detail.priors.length === 0 ? (
            <p className="quiet">{t('study.noPriors')}</p>
          ) : (
            <ul className="priors">
              {detail.priors.map((prior) => (
                <li key={prior.studyInstanceUID}>
                  <Prior prior={prior} from={uid} />
                </li>
              ))}
            </ul>
          )}
        </section>
      )}
      {documents.length > 0 && (
        <section className="panel-part">
          <h2>{t('study.documents')}</h2>
          <ul className="documents">
            {documents.map(({ series, instance }) => (
              <li key={instance.sopInstanceUID}>
                <FileText aria-hidden="true" />
                <span>
                  {t(`study.document.${documentKind(instance)}`)}
                  <small>{series.description}</small>
                </span>
              </li>
            ))}
          </ul>
        </section>
      )}
    </aside>
  );
}

function Prior({ prior, from }: { prior: WorklistItem; from: string }) {
  const { date, bodyPart } = useWords();
  const what = [prior.bodyPart && bodyPart(prior.bodyPart), prior.description].filter(Boolean).join(' · ');
  return (
    <Link className="prior" data-testid="prior" to="/study/$uid" params={{ uid: prior.studyInstanceUID }} search={{ from }}>
      {prior.thumbnail !== null && prior.seriesInstanceUID !== null && (
        <img
          src={thumbnailUrl(prior.studyInstanceUID, prior.seriesInstanceUID, prior.thumbnail)}
          alt=""
          loading="lazy"
        />
      )}
      <span>
        <b>{`${date(prior.studyDate)} · ${prior.modalities.join(' ')}`}</b>
        <small>{what}</small>
      </span>
    </Link>
  );
}
