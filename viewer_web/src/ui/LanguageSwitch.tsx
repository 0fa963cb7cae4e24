import { Button } from 'react-aria-components';

import type { Language } from '../api/types';
import { chooseLanguage } from '../i18n';
import { useWords } from '../i18n/format';

/** Each language by its own name, so that who reads only that one finds it. */
const NAMES: Record<Language, { short: string; full: string }> = {
  vi: { short: 'VI', full: 'Tiếng Việt' },
  en: { short: 'EN', full: 'English' },
};

/** Shows the language in use, and switches to the other one. */
export function LanguageSwitch() {
  const { language } = useWords();
  const other: Language = language === 'vi' ? 'en' : 'vi';
  return (
    <Button
      className="button button-quiet language"
      data-testid="language-switch"
      aria-label={`${NAMES.vi.short} ${NAMES.en.short}: ${NAMES[other].full}`}
      onPress={() => void chooseLanguage(other)}
    >
      <span data-current={language === 'vi'}>{NAMES.vi.short}</span>{' '}
      <span data-current={language === 'en'}>{NAMES.en.short}</span>
    </Button>
  );
}
