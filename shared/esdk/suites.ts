/**
 * The algorithm suites of the AWS Encryption SDK (Developer Guide, "Algorithms reference"): all are AES-GCM with a 12-byte IV
 * and a 16-byte tag. A suite that is not in the table is refused by header.ts.
 */

export const IV_BYTES = 12;
export const TAG_BYTES = 16;

export interface Suite {
  readonly id: number;
  /** Of the data key, and of the key that is derived from it: 16, 24 or 32. */
  readonly keyBytes: number;
  /** Whether the header holds a commitment to the data key, so that no message opens under two of them. */
  readonly commits: boolean;
  /** Whether a footer holds an ECDSA signature over the message, under a key in the encryption context. */
  readonly signed: boolean;
}

/** Suites of message version 2: AES-256-GCM, HKDF with SHA-512, key commitment; unsigned, and ECDSA over P-384. */
export const COMMITTED = 0x0478;
export const COMMITTED_SIGNED = 0x0578;

const uncommitted = (id: number, keyBytes: number, signed = false): Suite => ({ id, keyBytes, commits: false, signed });

const SUITES: readonly Suite[] = [
  uncommitted(0x0014, 16),
  uncommitted(0x0046, 24),
  uncommitted(0x0078, 32),
  uncommitted(0x0114, 16),
  uncommitted(0x0146, 24),
  uncommitted(0x0178, 32),
  uncommitted(0x0214, 16, true),
  uncommitted(0x0346, 24, true),
  uncommitted(0x0378, 32, true),
  { id: COMMITTED, keyBytes: 32, commits: true, signed: false },
  { id: COMMITTED_SIGNED, keyBytes: 32, commits: true, signed: true },
];

/** The suite of this identifier, or undefined when there is none. */
export const suiteOf = (id: number): Suite | undefined => SUITES.find((suite) => suite.id === id);
