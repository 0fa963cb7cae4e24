export type AgeUnit = 'days' | 'months' | 'years';

export interface Age {
  count: number;
  unit: AgeUnit;
}

/**
 * Age on a day, both "YYYY-MM-DD". Children are counted in months until three years and in days
 * until one month, as on a paediatric chart. null where the birth date is unknown or later.
 */
export function age(birthDate: string | null, onDate: string): Age | null {
  const birth = parts(birthDate);
  const day = parts(onDate);
  if (birth === null || day === null) return null;
  const days = Math.round((Date.UTC(...day) - Date.UTC(...birth)) / 86_400_000);
  if (days < 0) return null;
  const months = (day[0] - birth[0]) * 12 + day[1] - birth[1] - (day[2] < birth[2] ? 1 : 0);
  if (months < 1) return { count: days, unit: 'days' };
  if (months < 36) return { count: months, unit: 'months' };
  return { count: Math.floor(months / 12), unit: 'years' };
}

function parts(date: string | null): [number, number, number] | null {
  const match = /^(\d{4})-(\d{2})-(\d{2})$/.exec(date ?? '');
  return match === null ? null : [Number(match[1]), Number(match[2]) - 1, Number(match[3])];
}
