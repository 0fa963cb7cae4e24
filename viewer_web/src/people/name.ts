/**
 * A DICOM person name as people read it, family name first.
 *
 * PN (PS3.5 section 6.2.1) has up to three component groups ("=": alphabetic, ideographic,
 * phonetic) of five components ("^": family, given, middle, prefix, suffix). Their order is kept:
 * Vietnamese modalities write "Nguyễn^Văn Đức" and "Nguyễn^Văn^Đức" for the same person, though in
 * the latter the standard would have the given name before the middle one.
 */
export function personName(pn: string): string {
  const group = pn.split('=').find((part) => part.replaceAll('^', '').trim() !== '') ?? '';
  if (!group.includes('^')) return tidy(group);
  const [family = '', given = '', middle = '', , suffix = ''] = group.split('^');
  return tidy([family, given, middle, suffix].join(' '));
}

const tidy = (text: string) => text.replace(/\s+/g, ' ').trim().normalize('NFC');
