import { ChevronDown, ChevronLeft, ChevronUp, Download, Layers, Share2, TriangleAlert } from 'lucide-react';
import { useState } from 'react';
import { Button } from 'react-aria-components';

import { mediaUrl, ohifUrl } from '../api/dicomweb';
import type { WorklistItem } from '../api/types';
import { useSession } from '../app/SignedIn';
import { useWords } from '../i18n/format';
import { LanguageSwitch } from '../ui/LanguageSwitch';
import { ShareDialog } from './ShareDialog';
import { useNeighbours } from './useNeighbours';

/** Whose pictures these are: always there, always in the same place. */
export function StudyHeader({ study, onBack }: { study: WorklistItem | undefined; onBack: (() => void) | null }) {
  const { t } = useWords();
  const { server, permissions } = useSession();
  const [sharing, setSharing] = useState(false);
  return (
    <header className="study-header">
      {onBack !== null && (
        <Button className="button button-quiet study-back" aria-label={t('study.backLong')} onPress={onBack}>
          <ChevronLeft aria-hidden="true" />
          <span className="wide-only">{t('study.back')}</span>
        </Button>
      )}
      <div className="patient-banner" data-testid="patient-banner" role="group" aria-label={t('patient.banner')}>
        {study !== undefined && <PatientWords study={study} />}
      </div>
      {study !== undefined && onBack !== null && <Steps uid={study.studyInstanceUID} />}
      {study !== undefined && server.ohif && (
        <a
          className="button button-quiet"
          href={ohifUrl(study.studyInstanceUID)}
          title={t('study.ohif')}
          aria-label={t('study.ohif')}
          data-testid="study-ohif"
        >
          <Layers aria-hidden="true" />
          <span className="roomy-only">{t('study.ohifShort')}</span>
        </a>
      )}
      {study !== undefined && permissions.includes('studies:export') && (
        <a
          className="button button-quiet button-icon"
          href={mediaUrl(study.studyInstanceUID)}
          download
          title={t('study.downloadLong')}
          aria-label={t('study.download')}
          data-testid="study-download"
        >
          <Download aria-hidden="true" />
        </a>
      )}
      {study !== undefined && permissions.includes('links:write') && (
        <>
          <Button className="button button-quiet" data-testid="share-open" aria-label={t('share.open')} onPress={() => setSharing(true)}>
            <Share2 aria-hidden="true" />
            <span className="roomy-only">{t('share.open')}</span>
          </Button>
          <ShareDialog uid={study.studyInstanceUID} isOpen={sharing} onOpenChange={setSharing} />
        </>
      )}
      <LanguageSwitch />
    </header>
  );
}

function Steps({ uid }: { uid: string }) {
  const { t } = useWords();
  const { next, previous } = useNeighbours(uid);
  if (next === null && previous === null) return null;
  return (
    <span className="steps wide-only">
      {[
        { way: previous, label: t('study.previous'), Icon: ChevronUp },
        { way: next, label: t('study.next'), Icon: ChevronDown },
      ].map(({ way, label, Icon }) => (
        <Button
          key={label}
          className="button button-quiet button-icon"
          aria-label={label}
          isDisabled={way === null}
          onPress={() => way?.()}
        >
          <Icon aria-hidden="true" />
        </Button>
      ))}
    </span>
  );
}

function PatientWords({ study }: { study: WorklistItem }) {
  const { t, name, age, sex, date, bodyPart } = useWords();
  const { patient } = study;
  const what = [study.modalities.join(' '), study.bodyPart && bodyPart(study.bodyPart), study.description];
  return (
    <>
      <h1 className="banner-name">{name(patient)}</h1>
      <span className="banner-fact banner-person">
        {`${age(patient, study.studyDate)} · ${sex(patient)}`}
        {patient.birthDate !== null && (
          <small className="wide-only">{t('patient.bornShort', { date: date(patient.birthDate) })}</small>
        )}
      </span>
      {patient.identityConflict && (
        <span className="conflict" title={t('patient.conflict')}>
          <TriangleAlert aria-hidden="true" />
          {t('worklist.conflictShort')}
        </span>
      )}
      <span className="banner-fact">
        <small>{t('patient.id')}</small>
        {patient.id || t('patient.noId')}
      </span>
      <span className="banner-fact">
        <small>{t('patient.accession')}</small>
        {study.accessionNumber || t('app.none')}
      </span>
      <span className="banner-fact">
        <small>{t('patient.date')}</small>
        {`${date(study.studyDate)} ${study.studyTime?.slice(0, 5) ?? ''}`}
      </span>
      <span className="banner-fact banner-what" title={what.filter(Boolean).join(' · ')}>
        {what.filter(Boolean).join(' · ')}
      </span>
    </>
  );
}
