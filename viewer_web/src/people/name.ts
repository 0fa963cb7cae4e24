/**
 * A DICOM person name as people read it, family name first.
 *
 * PN (PS3.5 section 6.2.1) has up to three component groups ("=": alphabetic, ideographic,
 * phonetic) of five components ("^": family, given, middle, prefix, suffix). A Vietnamese middle
 * name stands before the given name.
 */
export function personName(pn: string): string {
  const group = pn.split('=').find((part) => part.replaceAll('^', '').trim() !== '') ?? '';
  if (!group.includes('^')) return tidy(group);
  const [family = '', given = '', middle = '', , suffix = ''] = group.split('^');
  return tidy([family, middle, given, suffix].join(' '));
}

const tidy = (text: string) => text.replace(/\s+/g, ' ').trim().normalize('NFC');
