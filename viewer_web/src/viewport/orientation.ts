import { type DicomJson, textOf, valuesOf } from './metadata';

/** Which side of the patient lies at the edges of the picture, as letters (L, R, A, P, H, F). */
export interface Edges {
  left: string;
  right: string;
  top: string;
  bottom: string;
}

export interface ImageFacts {
  edges: Edges | null;
  /** "L", "R", "B" or "". */
  laterality: string;
  viewPosition: string;
}

const OPPOSITE: Record<string, string> = { L: 'R', R: 'L', A: 'P', P: 'A', H: 'F', F: 'H' };
const opposite = (side: string) => side.replace(/./g, (letter) => OPPOSITE[letter] ?? '');

/** A direction cosine in the patient's axes as letters, the strongest first. */
export function letters(cosine: readonly number[]): string {
  const [x = 0, y = 0, z = 0] = cosine;
  const axes: [number, string][] = [
    [Math.abs(x), x > 0 ? 'L' : 'R'],
    [Math.abs(y), y > 0 ? 'P' : 'A'],
    [Math.abs(z), z > 0 ? 'H' : 'F'],
  ];
  return axes
    .filter(([size]) => size > 0.25)
    .toSorted((a, b) => b[0] - a[0])
    .map(([, letter]) => letter)
    .join('');
}

function edgesOf(instance: DicomJson | undefined): Edges | null {
  const cosines = valuesOf(instance, '00200037').map(Number);
  const said = valuesOf(instance, '00200020');
  const [right, bottom] =
    cosines.length === 6 ? [letters(cosines.slice(0, 3)), letters(cosines.slice(3))] : said;
  if (!right || !bottom) return null;
  return { left: opposite(right), right, top: opposite(bottom), bottom };
}

export function factsOf(instance: DicomJson | undefined): ImageFacts {
  return {
    edges: edgesOf(instance),
    laterality: textOf(instance, '00200062') || textOf(instance, '00200060'),
    viewPosition: textOf(instance, '00185101'),
  };
}
