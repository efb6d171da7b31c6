/**
 * The little DER (X.690) that @peculiar/x509 cannot say: taking a finished certificate apart at its top level, so that a test
 * can change any field, put it together again with shared/der-encode.ts and have the result signed anew.
 *
 * It reads only what this simulator wrote: it checks no more than that lengths stay inside. The strict reader is shared/der.ts.
 */

/** The encoded values inside one constructed value, in order. */
export function splitConstructed(der: Uint8Array): Uint8Array<ArrayBuffer>[] {
  const { contentStart, end } = elementAt(der, 0);
  const values: Uint8Array<ArrayBuffer>[] = [];
  for (let offset = contentStart; offset < end; ) {
    const element = elementAt(der, offset);
    values.push(new Uint8Array(der.subarray(offset, element.end)));
    offset = element.end;
  }
  return values;
}

function elementAt(der: Uint8Array, offset: number): { contentStart: number; end: number } {
  const first = der[offset + 1] ?? 0;
  const octets = first < 0x80 ? 0 : first & 0x7f;
  const contentStart = offset + 2 + octets;
  const long = der.subarray(offset + 2, contentStart).reduce((length, octet) => length * 256 + octet, 0);
  const end = contentStart + (octets === 0 ? first : long);
  if (end > der.length) throw new TypeError("splitConstructed takes DER that this simulator wrote");
  return { contentStart, end };
}
