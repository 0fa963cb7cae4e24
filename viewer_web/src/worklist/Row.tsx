import { Link } from '@tanstack/react-router';
import { Layers, TriangleAlert } from 'lucide-react';
import { memo } from 'react';

import { ohifUrl, thumbnailUrl } from '../api/dicomweb';
import type { WorklistItem } from '../api/types';
import { useWords } from '../i18n/format';
import { TriageCell } from './TriageCell';
import { triageKey } from './order';
import { WaitCell } from './WaitCell';

interface Props {
  id: string;
  index: number;
  top: number;
  height: number;
  item: WorklistItem;
  now: number;
  isCursor: boolean;
  hasOhif: boolean;
  onOpen: (uid: string) => void;
}

export const Row = memo(function Row({ id, index, top, height, item, now, isCursor, hasOhif, onOpen }: Props) {
  const words = useWords();
  const { t } = words;
  const uid = item.studyInstanceUID;
  const { patient } = item;
  const study = [item.bodyPart === '' ? '' : words.bodyPart(item.bodyPart), item.description];
  return (
    <div
      id={id}
      role="row"
      aria-rowindex={index + 2}
      aria-selected={isCursor}
      className="row"
      data-testid="worklist-row"
      data-study-uid={uid}
      data-triage={triageKey(item)}
      style={{ height, transform: `translateY(${top}px)` }}
      onClick={(event) => {
        if (event.target instanceof Element && event.target.closest('a') === null) onOpen(uid);
      }}
    >
      <TriageCell triage={item.triage} />
      <WaitCell item={item} now={now} />
      <div role="gridcell" className="cell cell-patient">
        <Link className="line1 patient-name" to="/study/$uid" params={{ uid }} tabIndex={-1} title={words.name(patient)}>
          {words.name(patient)}
        </Link>
        <span className="line2">
          {`${words.age(patient, item.studyDate)} · ${words.sex(patient)}`}
          {patient.identityConflict && (
            <span className="conflict" title={t('worklist.conflict')}>
              <TriangleAlert aria-hidden="true" />
              {t('worklist.conflictShort')}
            </span>
          )}
        </span>
      </div>
      <div role="gridcell" className="cell cell-ids">
        <span className="line1">{patient.id || t('patient.noId')}</span>
        <span className="line2">{item.accessionNumber || t('app.none')}</span>
      </div>
      <div role="gridcell" className="cell cell-study">
        {item.thumbnail !== null && item.seriesInstanceUID !== null && (
          <img
            className="row-thumb"
            src={thumbnailUrl(uid, item.seriesInstanceUID, item.thumbnail)}
            alt=""
            loading="lazy"
            decoding="async"
          />
        )}
        <span className="study-words">
          <span className="line1">
            <b className="modality">{item.modalities.join(' ')}</b> {study.filter(Boolean).join(' · ')}
          </span>
          <span className="line2">
            {`${words.date(item.studyDate)} ${item.studyTime?.slice(0, 5) ?? ''} · ${t('worklist.images', { count: item.instanceCount })}`}
          </span>
        </span>
      </div>
      <div role="gridcell" className="cell cell-place">
        <span className="line1">{item.institution || t('app.none')}</span>
        <span className="line2">{item.station}</span>
      </div>
      <div role="gridcell" className="cell cell-state">
        {t(`state.${item.state}`)}
        {hasOhif && (
          <a className="row-ohif" href={ohifUrl(uid)} tabIndex={-1} title={t('study.ohif')} aria-label={t('study.ohif')} data-testid="row-ohif">
            <Layers aria-hidden="true" />
          </a>
        )}
      </div>
    </div>
  );
});
