/** The recorded `CiphertextForRecipient` blobs of AWS KMS, where the folder of recorded vectors lies beside the project. */
import { createHash, createPrivateKey, createPublicKey } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { openCiphertextForRecipient } from "../enclave/kms/ciphertext-for-recipient.js";
import { parseCiphertextForRecipient } from "../shared/cms.js";

interface CmsVector {
  readonly id: string;
  readonly kind: string;
  readonly sha256: string;
  readonly size: number;
  readonly expected: string;
  readonly file: string;
  readonly private_key?: string;
  readonly plaintext?: string;
}

const folder = new URL("../../shared/vectors/", import.meta.url);
const index = new URL("index.json", folder);
const reason = "the recorded vectors (../shared/vectors) are not here";

const read = (name: string) => new Uint8Array(readFileSync(new URL(name, folder)));

/** The recorded envelopes; empty only where the whole folder is absent. */
function loadVectors(): readonly CmsVector[] {
  if (!existsSync(index)) return [];
  const { vectors } = JSON.parse(readFileSync(index, "utf8")) as { vectors: readonly CmsVector[] };
  return vectors.filter(({ kind }) => kind === "ciphertext-for-recipient");
}

describe("recorded CiphertextForRecipient", () => {
  const vectors = loadVectors();

  test("there are three, two of them with key and plaintext, unchanged", ({ skip }) => {
    if (!existsSync(index)) skip(reason);
    expect(vectors).toHaveLength(3);
    expect(vectors.filter((vector) => vector.private_key !== undefined)).toHaveLength(2);
    for (const { id, file, sha256, size } of vectors) {
      expect(createHash("sha256").update(read(file)).digest("hex"), id).toBe(sha256);
      expect(read(file).length, id).toBe(size);
    }
  });

  test("every one is read", ({ skip }) => {
    if (!existsSync(index)) skip(reason);
    for (const { file } of vectors) expect(parseCiphertextForRecipient(read(file)).encryptedKey).toHaveLength(256);
  });

  test("those with a key open to the recorded plaintext, and name the key by the SHA-256 of its SPKI", ({ skip }) => {
    if (!existsSync(index)) skip(reason);
    let opened = 0;
    for (const { id, file, private_key, plaintext } of vectors) {
      if (private_key === undefined || plaintext === undefined) continue;
      const key = createPrivateKey({ key: Buffer.from(read(private_key)), format: "der", type: "pkcs8" });
      expect(openCiphertextForRecipient(read(file), key), id).toEqual(read(plaintext));
      const spki = createPublicKey(key).export({ type: "spki", format: "der" });
      const { subjectKeyIdentifier } = parseCiphertextForRecipient(read(file));
      expect(Buffer.from(subjectKeyIdentifier), id).toEqual(createHash("sha256").update(spki).digest());
      opened += 1;
    }
    expect(opened).toBe(2);
  });

  test("with a stranger's key they do not open", ({ skip }) => {
    if (!existsSync(index)) skip(reason);
    const [first, second] = vectors.filter((vector) => vector.private_key !== undefined);
    if (!first || !second?.private_key) throw new Error("expected two vectors with keys");
    const key = createPrivateKey({ key: Buffer.from(read(second.private_key)), format: "der", type: "pkcs8" });
    expect(() => openCiphertextForRecipient(read(first.file), key)).toThrowCode("ERR_DECRYPTION_FAILED");
  });
});
