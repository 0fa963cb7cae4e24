import i18next from 'i18next';
import { initReactI18next } from 'react-i18next';

import type { Language } from '../api/types';
import { en, type Messages } from './en';
import { vi } from './vi';

declare module 'i18next' {
  interface CustomTypeOptions {
    defaultNS: 'translation';
    resources: { translation: Messages };
    returnNull: false;
  }
}

const KEY = 'filmless.language';
export const LANGUAGES: readonly Language[] = ['vi', 'en'];

const known = (value: string | null): Language | null => (value === 'vi' || value === 'en' ? value : null);

function remembered(): Language | null {
  try {
    return known(localStorage.getItem(KEY));
  } catch {
    // Storage is closed to us (private window): the choice lasts until the tab is closed.
    return null;
  }
}

export async function startLanguage(): Promise<void> {
  i18next.on('languageChanged', (language) => {
    document.documentElement.lang = language;
  });
  await i18next.use(initReactI18next).init({
    resources: { vi: { translation: vi }, en: { translation: en } },
    lng: remembered() ?? 'vi',
    fallbackLng: false,
    interpolation: { escapeValue: false },
  });
}

/** The reader's own choice, kept on this machine. */
export async function chooseLanguage(language: Language): Promise<void> {
  try {
    localStorage.setItem(KEY, language);
  } catch {
    // As in remembered().
  }
  await i18next.changeLanguage(language);
}

/** The hospital's language, for readers who never chose one. */
export async function adoptLanguage(language: Language): Promise<void> {
  if (remembered() === null && i18next.language !== language) await i18next.changeLanguage(language);
}
