import { Button } from 'react-aria-components';

import { useWords } from '../i18n/format';

/** Why the list is empty, and what to do next. */
export function EmptyList({ isFiltered, onReset }: { isFiltered: boolean; onReset: () => void }) {
  const { t } = useWords();
  return (
    <div className="state" data-testid="empty-list">
      <h2>{t(isFiltered ? 'worklist.noMatchTitle' : 'worklist.emptyTitle')}</h2>
      <p>{t(isFiltered ? 'worklist.noMatchBody' : 'worklist.emptyBody')}</p>
      {isFiltered && (
        <Button className="button" onPress={onReset}>
          {t('worklist.resetFilters')}
        </Button>
      )}
    </div>
  );
}
