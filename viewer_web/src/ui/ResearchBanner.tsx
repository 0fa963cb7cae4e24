import { FlaskConical } from 'lucide-react';

import { useWords } from '../i18n/format';

/** Said where results of an unregistered model stand. */
export function ResearchBanner() {
  const { t } = useWords();
  return (
    <aside className="banner banner-research" data-testid="research-banner">
      <FlaskConical aria-hidden="true" />
      {t('ai.researchBanner')}
    </aside>
  );
}
