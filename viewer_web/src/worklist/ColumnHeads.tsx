import { useWords } from '../i18n/format';

const COLUMNS = ['triage', 'wait', 'patient', 'ids', 'study', 'place', 'state'] as const;

export function ColumnHeads({ research }: { research: boolean }) {
  const { t } = useWords();
  return (
    <div className="list-head" role="row" aria-rowindex={1}>
      {COLUMNS.map((column) => (
        <div key={column} role="columnheader" className={`cell cell-${column}`}>
          {t(`worklist.column.${column}`)}
          {column === 'triage' && research && (
            <span className="head-note">{t('worklist.column.triageNote')}</span>
          )}
        </div>
      ))}
    </div>
  );
}
