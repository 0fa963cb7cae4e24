import { describe, expect, it } from 'vitest';

import { age } from '../src/people/age';
import { personName } from '../src/people/name';

describe('a person name', () => {
  it.each([
    ['Nguyễn^Văn Đức', 'Nguyễn Văn Đức'],
    ['Nguyễn^Văn^Đức', 'Nguyễn Văn Đức'],
    ['NGUYEN^VAN DUC^^^', 'NGUYEN VAN DUC'],
    ['CompressedSamples^RG1', 'CompressedSamples RG1'],
    ['Smith^John^^Dr.^Jr.', 'Smith John Jr.'],
    ['^Lan', 'Lan'],
    ['Trần Thị Bé', 'Trần Thị Bé'],
    ['Yamada^Tarou=山田^太郎=やまだ^たろう', 'Yamada Tarou'],
    ['=山田^太郎', '山田 太郎'],
    ['  Lê   ^  Hoàng ', 'Lê Hoàng'],
    ['', ''],
    ['^^^^', ''],
  ])('%s reads %s', (pn, read) => {
    expect(personName(pn)).toBe(read);
  });

  it('is composed, however it was stored', () => {
    expect(personName('Nguyễn^Đức'.normalize('NFD'))).toBe('Nguyễn Đức');
  });
});

describe('an age', () => {
  it.each([
    ['1972-03-14', '2026-11-22', 54, 'years'],
    ['1972-11-22', '2026-11-22', 54, 'years'],
    ['1972-11-23', '2026-11-22', 53, 'years'],
    ['2023-11-22', '2026-11-22', 3, 'years'],
    ['2023-11-23', '2026-11-22', 35, 'months'],
    ['2026-10-22', '2026-11-22', 1, 'months'],
    ['2026-10-23', '2026-11-22', 30, 'days'],
    ['2026-11-22', '2026-11-22', 0, 'days'],
    ['2024-02-29', '2026-11-22', 32, 'months'],
  ] as const)('of %s on %s is %i %s', (birth, on, count, unit) => {
    expect(age(birth, on)).toEqual({ count, unit });
  });

  it.each([
    [null, '2026-11-22'],
    ['2026-11-23', '2026-11-22'],
    ['19720314', '2026-11-22'],
  ])('of %s on %s is unknown', (birth, on) => {
    expect(age(birth, on)).toBeNull();
  });
});
