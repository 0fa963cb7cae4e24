import { Clock, ClockAlert } from 'lucide-react';

import { useSession } from '../app/SignedIn';
import type { WorklistItem } from '../api/types';
import { useWords } from '../i18n/format';
import { waiting } from './clock';

/** The running clock; past its target it stands out by sign, word and colour. */
export function WaitCell({ item, now }: { item: WorklistItem; now: number }) {
  const { t, span } = useWords();
  const { waitingTargetMinutes } = useSession().server;
  const wait = waiting(item, waitingTargetMinutes, now);
  if (wait === null) {
    return (
      <div role="gridcell" className="cell cell-wait">
        {t('app.none')}
      </div>
    );
  }
  const late = wait.lateMinutes > 0;
  return (
    <div role="gridcell" className="cell cell-wait" data-late={late} data-new={wait.isNew}>
      <span className="line1">
        {late ? <ClockAlert aria-hidden="true" /> : <Clock aria-hidden="true" />}
        {span(wait.minutes)}
      </span>
      {late && (
        <span className="line2" title={t('worklist.lateLong', { time: span(wait.lateMinutes) })}>
          {t('worklist.late', { time: span(wait.lateMinutes) })}
        </span>
      )}
      {wait.isNew && <span className="line2 new-word">{t('worklist.new')}</span>}
    </div>
  );
}
