// @vitest-environment jsdom
import i18next from 'i18next';
import { beforeAll, describe, expect, it } from 'vitest';

import { ApiProblem, Unreachable } from '../src/api/http';
import { startLanguage } from '../src/i18n';
import { formatDate, formatScore, words } from '../src/i18n/format';

beforeAll(startLanguage);

const vi = () => words(i18next.getFixedT('vi'), 'vi');
const en = () => words(i18next.getFixedT('en'), 'en');
const patient = { name: 'Nguyễn^Văn Đức', id: '1', issuer: '', birthDate: '1972-03-14', sex: 'M' as const, identityConflict: false };

describe('words', () => {
  it('speak Vietnamese first', () => {
    expect(i18next.language).toBe('vi');
    expect(document.documentElement.lang).toBe('vi');
  });

  it('write dates and numbers as each language does', () => {
    expect(formatDate('2026-11-02', 'vi')).toBe('02/11/2026');
    expect(formatDate('2026-11-02', 'en')).toBe('02 Nov 2026');
    expect(formatScore(0.875, 'vi')).toBe('0,88');
    expect(formatScore(0.9, 'en')).toBe('0.90');
  });

  it('tell age and sex', () => {
    expect(`${vi().age(patient, '2026-11-22')} · ${vi().sex(patient)}`).toBe('54 tuổi · Nam');
    expect(en().age({ ...patient, birthDate: '2025-11-01' }, '2025-11-02')).toBe('1 day');
    expect(vi().age({ ...patient, birthDate: null }, null)).toBe('Tuổi không rõ');
  });

  it('tell how long', () => {
    expect(vi().span(0)).toBe('vừa đến');
    expect(vi().span(65)).toBe('1 giờ 05');
    expect(en().span(47)).toBe('47 min');
    expect(vi().span(1500)).toBe('1 ngày 1 giờ');
  });

  it('name findings and reasons, and show codes that they do not know', () => {
    expect(vi().finding('pneumothorax')).toBe('Tràn khí màng phổi');
    expect(vi().finding('new_thing')).toBe('new_thing');
    expect(vi().reason('not_frontal')).toBe('Không phải phim ngực thẳng');
    expect(vi().reason('constructor')).toContain('constructor');
  });

  it('say what went wrong', () => {
    expect(en().problem(new Unreachable('/x'))).toContain('cannot be reached');
    expect(vi().problem(new ApiProblem(401, 'bad_credentials', ''))).toContain('Sai tên đăng nhập');
    expect(en().problem(new ApiProblem(500, 'http_500', ''))).toContain('http_500');
  });
});
