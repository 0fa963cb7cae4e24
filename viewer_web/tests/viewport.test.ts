import { describe, expect, it } from 'vitest';

import type { Instance, Series } from '../src/api/types';
import { ownWindowOf, withPalette, withSaneSpacing } from '../src/viewport/metadata';
import { factsOf, letters } from '../src/viewport/orientation';
import { imageId, pictureUrl, stackOf } from '../src/viewport/stack';

const CR = '1.2.840.10008.5.1.4.1.1.1';
const SR = '1.2.840.10008.5.1.4.1.1.88.33';
const MR = '1.2.840.10008.5.1.4.1.1.4';

const instance = (sop: string, sopClassUID: string, more: Partial<Instance> = {}): Instance => ({
  sopInstanceUID: sop,
  sopClassUID,
  instanceNumber: 1,
  frames: 1,
  rows: 10,
  columns: 20,
  transferSyntaxUID: '1.2.840.10008.1.2.1',
  ...more,
});
const series = (...instances: Instance[]): Series => ({
  seriesInstanceUID: '1.2',
  modality: 'CR',
  number: 1,
  description: '',
  bodyPart: '',
  result: false,
  instances,
});

describe('a stack', () => {
  it('has every frame of every picture, in order', () => {
    const stack = stackOf('1', series(instance('1.2.1', MR, { frames: 3 }), instance('1.2.2', CR, { frames: 0 })));
    expect(stack?.frames.map((frame) => [frame.sopUID, frame.frame])).toEqual([
      ['1.2.1', 1],
      ['1.2.1', 2],
      ['1.2.1', 3],
      ['1.2.2', 1],
    ]);
    expect(stack?.frames.map(imageId)[1]).toBe('wadors:/dicomweb/studies/1/series/1.2/instances/1.2.1/frames/2');
  });

  it('is none where a series has no pictures', () => {
    expect(stackOf('1', series(instance('1.2.1', SR, { rows: null, columns: null })))).toBeNull();
    expect(stackOf('1', series(instance('1.2.1', '1.2.840.10008.5.1.4.1.1.66.4')))).toBeNull();
    expect(stackOf('1', series())).toBeNull();
  });
});

describe('the edges of a picture', () => {
  it('come from the direction cosines', () => {
    const facts = factsOf({ '00200037': { vr: 'DS', Value: [1, 0, 0, 0, 1, 0] } });
    expect(facts.edges).toEqual({ left: 'R', right: 'L', top: 'A', bottom: 'P' });
    expect(letters([0.7, -0.6, 0.1])).toBe('LA');
  });

  it('come from the patient orientation of a radiograph', () => {
    const facts = factsOf({ '00200020': { vr: 'CS', Value: ['L', 'F'] }, '00185101': { vr: 'CS', Value: ['PA'] } });
    expect(facts).toEqual({ edges: { left: 'R', right: 'L', top: 'H', bottom: 'F' }, laterality: '', viewPosition: 'PA' });
  });

  it('are not guessed', () => {
    expect(factsOf({}).edges).toBeNull();
    expect(factsOf(undefined).edges).toBeNull();
  });
});

describe('pixel spacing', () => {
  it('is dropped where it is nought, and kept where it is not', () => {
    const bad = { '00280030': { vr: 'DS', Value: [0, 0] }, '00280010': { vr: 'US', Value: [5] } };
    expect(withSaneSpacing(bad)).toEqual({ '00280010': { vr: 'US', Value: [5] } });
    const good = { '00280030': { vr: 'DS', Value: [0.2, 0.2] } };
    expect(withSaneSpacing(good)).toBe(good);
  });
});

describe('a colour palette', () => {
  const descriptor = (entries: number) => ({ '00281101': { vr: 'US', Value: [entries, 0, 16] } });

  it('is read as words, or as bytes where there are no more than entries', () => {
    const words = withPalette({ ...descriptor(2), '00281201': { vr: 'OW', InlineBinary: btoa('\x01\x02\xff\x00') } });
    expect(words['00281201']?.Value).toEqual([0x0201, 0xff]);
    const bytes = withPalette({ ...descriptor(4), '00281201': { vr: 'OW', InlineBinary: btoa('\x01\x02\xff\x00') } });
    expect(bytes['00281201']?.Value).toEqual([1, 2, 255, 0]);
  });

  it('is no concern of grey images', () => {
    const grey = { '00280004': { vr: 'CS', Value: ['MONOCHROME2'] } };
    expect(withPalette(grey)).toBe(grey);
  });
});

describe('pictures of the light path', () => {
  const frame = { studyUID: '1', seriesUID: '2', sopUID: '3', frame: 1, rows: 2500, columns: 2048 };
  const path = '/dicomweb/studies/1/series/2/instances/3/rendered';

  it.each([
    [300, '?viewport=512%2C512&accept=image%2Fwebp'],
    [900, '?viewport=1024%2C1024&accept=image%2Fwebp'],
    [1500, '?viewport=2048%2C2048'],
    [5000, ''],
  ])('are no larger than %d pixels of the screen need', (pixels, query) => {
    expect(pictureUrl(frame, pixels, null)).toBe(path + query);
  });

  it('come in the window that is asked for', () => {
    expect(pictureUrl(frame, 5000, { center: 40, width: 400.26 })).toBe(`${path}?window=40.0%2C400.3%2Clinear`);
  });

  it('begin with the window that the object names', () => {
    const named = (center: unknown[], width: unknown[], photometric = 'MONOCHROME2') =>
      ownWindowOf({
        '00281050': { vr: 'DS', Value: center },
        '00281051': { vr: 'DS', Value: width },
        '00280004': { vr: 'CS', Value: [photometric] },
      });
    expect(named([40, 600], [400, 1500])).toEqual({ center: 40, width: 400, isInverse: false });
    expect(named([40], [400], 'MONOCHROME1')?.isInverse).toBe(true);
    expect(named([], [])).toBeNull();
    expect(named([40], [0])).toBeNull();
    expect(ownWindowOf({})).toBeNull();
  });
});
