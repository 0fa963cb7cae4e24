import type { TFunction } from 'i18next';
import { useMemo } from 'react';
import { useTranslation } from 'react-i18next';

import { ApiProblem, Unreachable } from '../api/http';
import type { Language, Patient } from '../api/types';
import { age as ageOn } from '../people/age';
import { personName } from '../people/name';
import { span } from '../worklist/clock';
import { en } from './en';

/** "2026-11-22" or an instant; vi 22/11/2026, en 22 Nov 2026. */
export function formatDate(value: string | Date, language: Language): string {
  const plain = typeof value === 'string' ? /^(\d{4})-(\d{2})-(\d{2})$/.exec(value) : null;
  const date =
    plain === null ? new Date(value) : new Date(Number(plain[1]), Number(plain[2]) - 1, Number(plain[3]));
  if (Number.isNaN(date.getTime())) return String(value);
  const day = String(date.getDate()).padStart(2, '0');
  if (language === 'vi') return `${day}/${String(date.getMonth() + 1).padStart(2, '0')}/${date.getFullYear()}`;
  const month = new Intl.DateTimeFormat('en', { month: 'short' }).format(date);
  return `${day} ${month} ${date.getFullYear()}`;
}

export function formatDateTime(value: string, language: Language): string {
  const date = new Date(value);
  const time = `${String(date.getHours()).padStart(2, '0')}:${String(date.getMinutes()).padStart(2, '0')}`;
  return `${time} ${formatDate(date, language)}`;
}

/** A probability with two digits after the decimal mark of the language. */
export function formatScore(value: number, language: Language): string {
  return new Intl.NumberFormat(language, { minimumFractionDigits: 2, maximumFractionDigits: 2 }).format(value);
}

function has<T extends object>(table: T, key: string): key is keyof T & string {
  return Object.hasOwn(table, key);
}

export function words(t: TFunction, language: Language) {
  return {
    t,
    language,
    date: (value: string | null) => (value === null ? t('app.none') : formatDate(value, language)),
    dateTime: (value: string) => formatDateTime(value, language),
    score: (value: number) => formatScore(value, language),
    name: (patient: Patient) => personName(patient.name) || t('patient.noName'),
    sex: (patient: Patient) => t(`patient.${patient.sex ?? 'sexUnknown'}`),
    age: (patient: Patient, on: string | null) => {
      const found = ageOn(patient.birthDate, on ?? new Date().toISOString().slice(0, 10));
      return found === null ? t('patient.ageUnknown') : t(`age.${found.unit}`, { count: found.count });
    },
    span: (minutes: number) => {
      const { days, hours, minutes: rest } = span(minutes);
      if (days > 0) return t('span.days', { days, hours });
      if (hours > 0) return t('span.hours', { hours, minutes: String(rest).padStart(2, '0') });
      return minutes === 0 ? t('span.now') : t('span.minutes', { minutes: rest });
    },
    finding: (code: string) => (has(en.finding, code) ? t(`finding.${code}`) : code),
    reason: (code: string) =>
      code !== 'unknown' && has(en.reason, code) ? t(`reason.${code}`) : t('reason.unknown', { code }),
    bodyPart: (code: string) => (has(en.bodyPart, code) ? t(`bodyPart.${code}`) : code),
    problem: (error: unknown) => {
      if (error instanceof Unreachable) return t('problem.unreachable');
      const code = error instanceof ApiProblem ? error.code : 'client';
      return code !== 'unknown' && has(en.problem, code) ? t(`problem.${code}`) : t('problem.unknown', { code });
    },
  };
}

export type Words = ReturnType<typeof words>;

/** What a screen needs to speak: t() and the formats of the reader's language. */
export function useWords(): Words {
  const { t, i18n } = useTranslation();
  const language: Language = i18n.language === 'en' ? 'en' : 'vi';
  return useMemo(() => words(t, language), [t, language]);
}
