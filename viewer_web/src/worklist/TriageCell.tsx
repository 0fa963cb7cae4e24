import type { Triage } from '../api/types';
import { useWords, type Words } from '../i18n/format';
import { TriageMark } from '../ui/TriageMark';
import { strongest } from './reason';

function why(triage: Triage, { t, finding, reason }: Words): string {
  switch (triage.status) {
    case 'pending':
      return t('triage.pendingWhy');
    case 'hidden':
      return t('triage.hiddenWhy');
    case 'not_assessed':
      return reason(triage.reason ?? '');
    case 'assessed': {
      const loudest = strongest(triage);
      if (loudest.length === 0) return t('triage.noFinding');
      return loudest.map(({ code }) => finding(code)).join(t('app.and'));
    }
  }
}

/** Class, score, and in words what they rest on. */
export function TriageCell({ triage }: { triage: Triage }) {
  const words = useWords();
  const said = why(triage, words);
  return (
    <div role="gridcell" className="cell cell-triage">
      <span className="line1">
        <TriageMark triage={triage} />
        {triage.score !== null && (
          <span className="score" title={words.t('triage.score', { score: words.score(triage.score) })}>
            {words.score(triage.score)}
          </span>
        )}
      </span>
      <span className="line2" title={said}>
        {said}
      </span>
    </div>
  );
}
