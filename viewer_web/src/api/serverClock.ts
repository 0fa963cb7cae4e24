/**
 * Waiting times are counted on the server's clock: the clock of an old ward PC may be hours off.
 */
let offset = 0;

/** Learn the server's clock from the Date header of an answer; whole seconds are enough. */
export function noteServerTime(header: string | null, localNow: number = Date.now()): void {
  const said = header === null ? Number.NaN : Date.parse(header);
  if (Number.isFinite(said)) offset = Math.abs(said - localNow) < 2000 ? 0 : said - localNow;
}

/** Milliseconds since 1970 by the server's clock. */
export function serverNow(): number {
  return Date.now() + offset;
}
