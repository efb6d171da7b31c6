/** Records of a key store as a DynamoDB item in JSON, and a key store and a KMS that are told what to answer. */
import { randomBytes } from "node:crypto";
import type { WantedBranchKey } from "../../../../enclave/data-keys/branch/branch-key-record.js";
import { typeOf } from "../../../../enclave/data-keys/branch/branch-key-record.js";
import type { BranchKeyStorage } from "../../../../enclave/data-keys/branch/branch-key-storage.js";
import type { DataKeyKms } from "../../../../enclave/data-keys/source.js";
import { toBase64, toHex } from "../../../../shared/bytes.js";
import { KEY_ARN } from "../../fakes.js";

export const LOGICAL_NAME = "tenants-keys";
export const VERSION = "11111111-2222-4333-8444-555555555555";
export const NEXT_VERSION = "99999999-2222-4333-8444-555555555555";
export const CREATED = "2026-11-23T10:00:00.123000Z";
export const LATER = "2026-11-23T10:00:01.5Z";

export type Item = Readonly<Record<string, Readonly<Record<string, unknown>>>>;

/** A record of the branch key `a`, with some attributes changed or, if undefined, left out. */
export function item(
  changes: Readonly<Record<string, unknown>> = {},
  { branchKeyId, version }: WantedBranchKey = { branchKeyId: "a" },
) {
  const active = version === undefined ? { version: { S: `branch:version:${VERSION}` } } : {};
  const whole: Record<string, unknown> = {
    "branch-key-id": { S: branchKeyId },
    type: { S: typeOf({ branchKeyId, version }) },
    ...active,
    "create-time": { S: CREATED },
    "hierarchy-version": { N: "1" },
    "kms-arn": { S: KEY_ARN },
    enc: { B: toBase64(Uint8Array.of(1, 2, 3)) },
    "aws-crypto-ec:tenant": { S: branchKeyId },
    ...changes,
  };
  return Object.fromEntries(Object.entries(whole).filter(([, value]) => value !== undefined)) as Item;
}

/** A key store of records made here, whose keys the KMS beside it knows. */
export class FakeKeyStore implements BranchKeyStorage {
  readonly #items = new Map<string, Item>();
  readonly #keys = new Map<string, Uint8Array>();
  /** The sort keys asked for. */
  readonly asked: string[] = [];
  /** What KMS was asked to decrypt. */
  readonly decrypted: Readonly<Record<string, string>>[] = [];
  /** Set, KMS answers this. */
  decryptAnswer: (() => Promise<{ Plaintext?: Uint8Array }>) | undefined;
  /** Set, the store answers this. */
  findAnswer: (() => Promise<unknown>) | undefined;
  /** Every plaintext that KMS has answered. */
  readonly plaintexts: Uint8Array[] = [];

  /** Makes the records of a new version, and that version the active one. */
  make(branchKeyId: string, version: string, created = CREATED): void {
    const key = new Uint8Array(randomBytes(32));
    const attributes = { "create-time": { S: created } };
    this.put({ branchKeyId, version }, item({ ...attributes, enc: this.#sealed(key) }, { branchKeyId, version }));
    this.put(
      { branchKeyId },
      item({ ...attributes, enc: this.#sealed(key), version: { S: `branch:version:${version}` } }, { branchKeyId }),
    );
  }

  put(wanted: WantedBranchKey, record: Item): void {
    this.#items.set(nameOf(wanted), record);
  }

  get(wanted: WantedBranchKey): Item {
    return this.#items.get(nameOf(wanted)) ?? {};
  }

  remove(wanted: WantedBranchKey): void {
    this.#items.delete(nameOf(wanted));
  }

  async find(wanted: WantedBranchKey): Promise<unknown> {
    this.asked.push(typeOf(wanted));
    return this.findAnswer ? this.findAnswer() : this.#items.get(nameOf(wanted));
  }

  readonly kms: Pick<DataKeyKms, "decrypt"> = {
    decrypt: async ({ CiphertextBlob, EncryptionContext = {} }) => {
      this.decrypted.push(EncryptionContext);
      if (this.decryptAnswer) return this.decryptAnswer();
      const plaintext = new Uint8Array(this.#keys.get(toHex(CiphertextBlob)) ?? []);
      this.plaintexts.push(plaintext);
      return { KeyId: KEY_ARN, Plaintext: plaintext };
    },
  };

  #sealed(key: Uint8Array): { readonly B: string } {
    const blob = new Uint8Array(randomBytes(48));
    this.#keys.set(toHex(blob), key);
    return { B: toBase64(blob) };
  }
}

const nameOf = (wanted: WantedBranchKey): string => `${wanted.branchKeyId} ${typeOf(wanted)}`;
