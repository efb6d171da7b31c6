/** CRC-32/ISO-HDLC (the CRC of zip and Ethernet), as the header of an enclave image carries it. Finds accidents, not attacks. */

/** The polynomial 0x04c11db7, bits reversed. */
const POLYNOMIAL = 0xedb88320;

/** The CRC-32 of all parts one after the other. */
export function crc32(...parts: readonly Uint8Array[]): number {
  const table = crcTable();
  let crc = 0xffff_ffff;
  for (const part of parts) {
    for (const byte of part) crc = (crc >>> 8) ^ (table[(crc ^ byte) & 0xff] ?? 0);
  }
  return (crc ^ 0xffff_ffff) >>> 0;
}

/** What each value of a byte does to the register. */
function crcTable(): Uint32Array {
  return Uint32Array.from({ length: 256 }, (_, byte) => {
    let register = byte;
    for (let bit = 0; bit < 8; bit++) register = register & 1 ? (register >>> 1) ^ POLYNOMIAL : register >>> 1;
    return register;
  });
}
