/** Writes enclave image files for tests, right or wrong. Shares no code with the reader: its CRC-32 is zlib's. */
import { crc32 } from "node:zlib";

export const SECTION = { kernel: 1, cmdline: 2, ramdisk: 3, signature: 4, metadata: 5 } as const;

export interface SectionSource {
  readonly type: number;
  readonly data: Uint8Array;
  readonly flags?: number;
  /** In place of the true values, in the section's own header or in the file header's table. */
  readonly headerSize?: bigint;
  readonly tableSize?: bigint;
  readonly tableOffset?: bigint;
}

export interface EifSource {
  readonly sections?: readonly SectionSource[];
  readonly magic?: string;
  readonly version?: number;
  readonly flags?: number;
  readonly sectionCount?: number;
  readonly crc?: number;
  /** Bytes between the header and the first section, and after the last one. */
  readonly gap?: Uint8Array;
  readonly trailing?: Uint8Array;
}

const text = (value: string) => new Uint8Array(Buffer.from(value));

export const parts = {
  kernel: new Uint8Array(700).fill(0x6b),
  cmdline: text("reboot=k panic=30 pci=off nomodules console=ttyS0 random.trust_cpu=on"),
  base: new Uint8Array(300).fill(0x62),
  application: new Uint8Array(500).fill(0x61),
  metadata: text(JSON.stringify({ ImageName: "test", ImageVersion: "1.0", BuildMetadata: { BuildTool: "builder" } })),
} as const;

/** As nitro-cli orders them: kernel, command line, metadata, ramdisks. */
export const plainSections: readonly SectionSource[] = [
  { type: SECTION.kernel, data: parts.kernel },
  { type: SECTION.cmdline, data: parts.cmdline },
  { type: SECTION.metadata, data: parts.metadata },
  { type: SECTION.ramdisk, data: parts.base },
  { type: SECTION.ramdisk, data: parts.application },
];

export function buildEif(source: EifSource = {}): Uint8Array<ArrayBuffer> {
  const { sections = plainSections, gap = new Uint8Array(), trailing = new Uint8Array() } = source;
  const header = Buffer.alloc(548);
  header.write(source.magic ?? ".eif", 0, "latin1");
  header.writeUInt16BE(source.version ?? 4, 4);
  header.writeUInt16BE(source.flags ?? 0, 6);
  header.writeBigUInt64BE(512n * 1024n * 1024n, 8);
  header.writeBigUInt64BE(2n, 16);
  header.writeUInt16BE(source.sectionCount ?? sections.length, 26);
  const body: Uint8Array[] = [gap];
  let offset = 548 + gap.length;
  for (const [i, section] of sections.entries()) {
    const sectionHeader = Buffer.alloc(12);
    sectionHeader.writeUInt16BE(section.type, 0);
    sectionHeader.writeUInt16BE(section.flags ?? 0, 2);
    sectionHeader.writeBigUInt64BE(section.headerSize ?? BigInt(section.data.length), 4);
    if (i < 32) {
      header.writeBigUInt64BE(section.tableOffset ?? BigInt(offset), 28 + 8 * i);
      header.writeBigUInt64BE(section.tableSize ?? BigInt(section.data.length), 284 + 8 * i);
    }
    body.push(sectionHeader, section.data);
    offset += 12 + section.data.length;
  }
  body.push(trailing);
  header.writeUInt32BE(source.crc ?? crc32(Buffer.concat([header.subarray(0, 544), ...body])), 544);
  return new Uint8Array(Buffer.concat([header, ...body]));
}

/** A CBOR array of 24 integers or more, as the signature section holds bytes. */
function integers(bytes: Uint8Array): Uint8Array {
  const items = Array.from(bytes, (byte) => (byte < 24 ? [byte] : [0x18, byte])).flat();
  const head = bytes.length < 256 ? [0x98, bytes.length] : [0x99, bytes.length >> 8, bytes.length & 0xff];
  return Buffer.from([...head, ...items]);
}

const cborText = (value: string) => Buffer.from([0x60 | Math.min(value.length, 23), ...Buffer.from(value)]);

/** The contents of a signature section; `count` times the same signature. */
export function signatureSection(certificatePem: string, count = 1): Uint8Array {
  const one = Buffer.concat([
    Buffer.from([0xa2]),
    cborText("signing_certificate"),
    integers(Buffer.from(certificatePem)),
    cborText("signature"),
    integers(new Uint8Array(300).fill(0xff)),
  ]);
  return new Uint8Array(Buffer.concat([Buffer.from([0x80 | count]), ...Array<Uint8Array>(count).fill(one)]));
}

export function toPem(label: string, der: Uint8Array): string {
  const base64 = Buffer.from(der)
    .toString("base64")
    .replace(/.{64}(?=.)/g, "$&\n");
  return `-----BEGIN ${label}-----\n${base64}\n-----END ${label}-----\n`;
}
