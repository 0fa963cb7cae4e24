import { WifiOff } from 'lucide-react';

import { useLineState } from '../app/live';
import { useWords } from '../i18n/format';

/** Says that live updates have stopped; empty while the line stands. */
export function LineBanner() {
  const { t } = useWords();
  const state = useLineState();
  return (
    <div role="status">
      {state === 'lost' && (
        <p className="banner banner-warning" data-testid="line-lost">
          <WifiOff aria-hidden="true" />
          {t('line.lost')}
        </p>
      )}
    </div>
  );
}
