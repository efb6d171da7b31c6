/** What `verify` and `inspect` show of an attestation document's fields; they differ in what they may claim about them. */
import { isAllZero, toBase64, toHex } from "../shared/bytes.js";
import type { Line } from "./report.js";

interface Fields {
  readonly pcrs: ReadonlyMap<number, Uint8Array>;
  readonly publicKey: Uint8Array | null;
  readonly userData: Uint8Array | null;
  readonly nonce: Uint8Array | null;
}

export interface CertificateDates {
  readonly subject: string;
  readonly notBefore: Date;
  readonly notAfter: Date;
}

/** The registers that hold something, and in one line those that do not. */
export function pcrLines(pcrs: ReadonlyMap<number, Uint8Array>): Line[] {
  const sorted = [...pcrs].sort(([a], [b]) => a - b);
  const set = sorted.filter(([, value]) => !isAllZero(value));
  const zero = sorted.filter(([, value]) => isAllZero(value)).map(([index]) => index);
  const lines = set.map(([index, value]): Line => [`PCR${index}`, toHex(value)]);
  return zero.length === 0 ? lines : [...lines, ["PCRs of zeros", zero.join(", ")]];
}

export const certificateLines = (rootToLeaf: readonly CertificateDates[]): Line[] =>
  rootToLeaf.map(({ subject, notBefore, notAfter }, i) => [
    i === 0 ? "certificates" : "",
    `${subject}, ${notBefore.toISOString()} to ${notAfter.toISOString()}`,
  ]);

export const claimLines = ({ publicKey, userData, nonce }: Fields): Line[] => [
  ["public_key", lengthOf(publicKey)],
  ["user_data", lengthOf(userData)],
  ["nonce", lengthOf(nonce)],
];

const lengthOf = (bytes: Uint8Array | null): string => (bytes === null ? "absent" : `${bytes.length} bytes`);

/** The same fields in JSON: PCRs in hexadecimal, the others in base64, null where absent. */
export const fieldsToJson = ({ pcrs, publicKey, userData, nonce }: Fields) => ({
  pcrs: Object.fromEntries([...pcrs].map(([index, value]) => [index, toHex(value)])),
  publicKey: publicKey && toBase64(publicKey),
  userData: userData && toBase64(userData),
  nonce: nonce && toBase64(nonce),
});

export const certificatesToJson = (rootToLeaf: readonly CertificateDates[]) =>
  rootToLeaf.map(({ subject, notBefore, notAfter }) => ({
    subject,
    notBefore: notBefore.toISOString(),
    notAfter: notAfter.toISOString(),
  }));
