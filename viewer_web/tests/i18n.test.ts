import { describe, expect, it } from 'vitest';

import { en } from '../src/i18n/en';
import { vi } from '../src/i18n/vi';

function flat(node: object, path = ''): Map<string, string> {
  return new Map(
    Object.entries(node).flatMap(([key, value]) =>
      typeof value === 'string'
        ? [[`${path}${key}`, value] as const]
        : [...flat(value as object, `${path}${key}.`)],
    ),
  );
}

const english = flat(en);
const vietnamese = flat(vi);
const sources = Object.entries(
  import.meta.glob<string>(['../src/**/*.{ts,tsx}', '!../src/i18n/{vi,en}.ts'], {
    query: '?raw',
    import: 'default',
    eager: true,
  }),
);

describe('the languages', () => {
  it('have the same keys', () => {
    expect([...vietnamese.keys()].toSorted()).toEqual([...english.keys()].toSorted());
  });

  it('leave nothing empty', () => {
    for (const words of [english, vietnamese]) {
      for (const [key, value] of words) expect(value.trim(), key).not.toBe('');
    }
  });

  it('put the same values into the same words', () => {
    const holes = (text: string) => [...text.matchAll(/\{\{(\w+)\}\}/g)].map((hole) => hole[1]).toSorted();
    for (const [key, value] of english) expect(holes(vietnamese.get(key) ?? ''), key).toEqual(holes(value));
  });

  it('are really translated', () => {
    const shared = new Set(['app.name', 'app.none', 'app.and', 'title.study', 'ai.heading', 'image.zoom', 'image.window']);
    for (const [key, value] of english) {
      if (!shared.has(key)) expect(vietnamese.get(key), key).not.toBe(value);
    }
  });

  it('hold no key that no screen uses', () => {
    expect(sources.length).toBeGreaterThan(40);
    const all = sources.map(([, text]) => text).join('\n');
    // t(`state.${x}`) uses all of state; t('age.years', { count }) uses its plural forms.
    const families = [...all.matchAll(/`([\w.]+)\.\$\{/g)].map((match) => `${match[1] ?? ''}.`);
    const unused = [...english.keys()].filter((key) => {
      const base = key.replace(/_(one|other)$/, '');
      return !all.includes(`'${base}'`) && !families.some((family) => base.startsWith(family));
    });
    expect(unused).toEqual([]);
  });
});

describe('the screens', () => {
  it('hold no text of their own', () => {
    const spoken = sources.flatMap(([name, text]) =>
      [...text.matchAll(/>\s*([^<>{}()=;]*[\p{L}]{2,}[^<>{}()=;]*)\s*<\/\w/gu)].map((match) => `${name}: ${match[1] ?? ''}`),
    );
    expect(spoken).toEqual([]);
  });
});
