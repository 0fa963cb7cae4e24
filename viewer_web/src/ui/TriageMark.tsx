import type { Triage } from '../api/types';
import { useWords } from '../i18n/format';

type Mark = 'critical' | 'urgent' | 'routine' | 'none' | 'pending';

const SHAPES: Record<Mark, React.ReactNode> = {
  critical: <path d="M8 1.5 15 14H1z" fill="currentColor" />,
  urgent: <circle cx="8" cy="8" r="5.5" fill="currentColor" />,
  routine: <circle cx="8" cy="8" r="4.75" fill="none" stroke="currentColor" strokeWidth="1.75" />,
  none: <path d="M3 8h10" stroke="currentColor" strokeWidth="2" />,
  pending: (
    <g fill="currentColor">
      <circle cx="3" cy="8" r="1.5" />
      <circle cx="8" cy="8" r="1.5" />
      <circle cx="13" cy="8" r="1.5" />
    </g>
  ),
};

const markOf = (triage: Triage): Mark => triage.class ?? (triage.status === 'pending' ? 'pending' : 'none');

/** The triage class as shape, word and colour. */
export function TriageMark({ triage, large = false }: { triage: Triage; large?: boolean }) {
  const { t } = useWords();
  const mark = markOf(triage);
  return (
    <span className={large ? 'mark mark-large' : 'mark'} data-mark={mark}>
      <svg viewBox="0 0 16 16" aria-hidden="true">
        {SHAPES[mark]}
      </svg>
      {t(`triage.${triage.class ?? triage.status}`)}
    </span>
  );
}
