import type { KeyObject } from "node:crypto";
import { createHash, createPrivateKey, createSecretKey, generateKeyPairSync, randomBytes } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openCiphertextForRecipient, recipientOpener } from "../../../enclave/kms/ciphertext-for-recipient.js";
import { ServiceError } from "../../../shared/errors.js";
import { sealForRecipient } from "../../../simulator/kms/ciphertext-for-recipient.js";
import type { Sealing } from "../../support/cms-builder.js";
import { encodeEnvelope, seal } from "../../support/cms-builder.js";
import { needsOpenssl, openssl } from "../../support/openssl.js";

const recipient = generateKeyPairSync("rsa", { modulusLength: 2048 });
const stranger = generateKeyPairSync("rsa", { modulusLength: 2048 });
const plaintextOf = (length: number) => new Uint8Array(length).map((_, i) => i);

/** What came of opening an envelope that was sealed to the recipient in the given way. */
const reopen = (sealing: Sealing) =>
  openCiphertextForRecipient(encodeEnvelope(seal(recipient.publicKey, sealing)), recipient.privateKey);

function refusalOf(open: () => unknown): ServiceError {
  try {
    open();
  } catch (error) {
    if (error instanceof ServiceError) return error;
    throw error;
  }
  throw new Error("expected a refusal");
}

describe("what is opened", () => {
  test.each([0, 1, 15, 16, 17, 32, 1000, 4095, 4096])("opens an envelope of %i bytes", (length) => {
    expect(reopen({ plaintext: plaintextOf(length) })).toEqual(plaintextOf(length));
  });

  test.each(["kms", "definite", "indefinite"] as const)("opens it in %s framing, in chunks and whole", (framing) => {
    const fields = seal(recipient.publicKey, { plaintext: plaintextOf(100) });
    for (const chunkBytes of [1000, 10, "primitive"] as const) {
      const envelope = encodeEnvelope(fields, { framing, chunkBytes });
      expect(openCiphertextForRecipient(envelope, recipient.privateKey)).toEqual(plaintextOf(100));
    }
  });

  test("returns an owned array, not a part of a pool", () => {
    const plaintext = reopen({ plaintext: plaintextOf(5) });
    expect(plaintext.buffer.byteLength).toBe(5);
    expect(Buffer.isBuffer(plaintext)).toBe(false);
  });

  test("one opener opens many, also after failures", () => {
    const open = recipientOpener(recipient.privateKey);
    const envelopeOf = (sealing: Sealing) => encodeEnvelope(seal(recipient.publicKey, sealing));
    for (let length = 0; length < 5; length++) {
      expect(() => open(envelopeOf({ oaepHash: "sha1" }))).toThrowCode("ERR_DECRYPTION_FAILED");
      expect(open(envelopeOf({ plaintext: plaintextOf(length) }))).toEqual(plaintextOf(length));
    }
  });
});

/** Each is one change to an envelope that opens; only the holder of the private key could tell them apart. */
const secretFailures: readonly (readonly [string, Sealing])[] = [
  ["a key that is wrapped with SHA-1", { oaepHash: "sha1" }],
  ["a key that is wrapped with SHA-384", { oaepHash: "sha384" }],
  ["a key that is wrapped under a label", { oaepLabel: Buffer.from("label") }],
  ["a wrapped key of no bytes", { wrappedKey: new Uint8Array() }],
  ["a wrapped key of 16 bytes", { wrappedKey: randomBytes(16) }],
  ["a wrapped key of 31 bytes", { wrappedKey: randomBytes(31) }],
  ["a wrapped key of 33 bytes", { wrappedKey: randomBytes(33) }],
  ["padding of 0", { padded: new Uint8Array(16).fill(0) }],
  ["padding of 17", { padded: new Uint8Array(32).fill(17) }],
  ["padding of 255", { padded: new Uint8Array(32).fill(255) }],
  ["padding of 2 of which one byte differs", { padded: Uint8Array.of(...new Uint8Array(14), 1, 2) }],
  ["padding of 16 of which the first byte differs", { padded: Uint8Array.of(15, ...new Uint8Array(15).fill(16)) }],
];

describe("pitfall 17: everything that depends on the key fails alike", () => {
  test("the baseline opens", () => {
    expect(reopen({ plaintext: plaintextOf(32) })).toEqual(plaintextOf(32));
  });

  test.each(secretFailures)("pitfall 17: refuses %s with one code, one message and no cause", (_, sealing) => {
    const refusal = refusalOf(() => reopen(sealing));
    expect(refusal.code).toBe("ERR_DECRYPTION_FAILED");
    expect(refusal.message).toBe("decryption failed");
    expect(refusal.cause).toBeUndefined();
    expect(Object.keys(refusal)).toEqual(Object.keys(new ServiceError("ERR_DECRYPTION_FAILED", "")));
  });

  test("pitfall 17: a wrapped key that is not below the modulus fails in the same way", () => {
    const fields = { ...seal(recipient.publicKey), encryptedKey: new Uint8Array(256).fill(0xff) };
    const open = () => openCiphertextForRecipient(encodeEnvelope(fields), recipient.privateKey);
    expect(refusalOf(open)).toMatchObject({ code: "ERR_DECRYPTION_FAILED", message: "decryption failed" });
  });

  test("pitfall 17: every value of the last byte opens or fails exactly as PKCS#7 says", () => {
    const body = new Uint8Array(32).fill(16);
    for (let last = 0; last <= 255; last++) {
      for (const filler of [last, 3]) {
        const padded = body.slice().fill(filler, 16);
        padded[31] = last;
        const valid = last >= 1 && last <= 16 && padded.subarray(32 - last).every((byte) => byte === last);
        if (valid) expect(reopen({ padded })).toEqual(padded.subarray(0, 32 - last));
        else expect(() => reopen({ padded })).toThrowCode("ERR_DECRYPTION_FAILED");
      }
    }
  });

  test("pitfalls 17 and 28: a substituted key whose padding happens to fit still fails, 2000 times over", () => {
    const open = recipientOpener(recipient.privateKey);
    const fields = seal(recipient.publicKey, { oaepHash: "sha1" });
    // About 8 of these decrypt to valid padding; a failure that is not remembered would hand out their garbage.
    for (let i = 0; i < 2000; i++) {
      const envelope = encodeEnvelope({ ...fields, ciphertext: randomBytes(16) });
      expect(() => open(envelope)).toThrowCode("ERR_DECRYPTION_FAILED");
    }
  });

  test("refuses an envelope for another recipient's key", () => {
    const envelope = encodeEnvelope(seal(stranger.publicKey));
    expect(openCiphertextForRecipient(envelope, stranger.privateKey).length).toBeGreaterThan(0);
    const refusal = refusalOf(() => openCiphertextForRecipient(envelope, recipient.privateKey));
    expect(refusal).toMatchObject({ code: "ERR_DECRYPTION_FAILED", message: "decryption failed" });
    expect(refusal.cause).toBeUndefined();
  });

  test("refuses an envelope that names another key, although the key was wrapped for ours", () => {
    const { subjectKeyIdentifier } = seal(stranger.publicKey);
    const envelope = encodeEnvelope({ ...seal(recipient.publicKey), subjectKeyIdentifier });
    expect(() => openCiphertextForRecipient(envelope, recipient.privateKey)).toThrowCode("ERR_DECRYPTION_FAILED");
  });

  test("structure is a different code: it depends on nothing secret", () => {
    const envelope = encodeEnvelope(seal(recipient.publicKey), { edits: { version: () => [] } });
    expect(() => openCiphertextForRecipient(envelope, recipient.privateKey)).toThrowCode("ERR_CMS_MALFORMED");
  });
});

describe("the recipient's key", () => {
  const spkiOf = (key: KeyObject) => key.export({ type: "spki", format: "der" });

  test("is named by the SHA-256 of its SubjectPublicKeyInfo", () => {
    const expected = createHash("sha256").update(spkiOf(recipient.publicKey)).digest();
    expect(Buffer.from(seal(recipient.publicKey).subjectKeyIdentifier)).toEqual(expected);
  });

  test.each([
    ["a public key", recipient.publicKey],
    ["a secret key", createSecretKey(randomBytes(32))],
    ["an elliptic curve key", generateKeyPairSync("ec", { namedCurve: "P-384" }).privateKey],
    ["an RSA-1024 key", generateKeyPairSync("rsa", { modulusLength: 1024 }).privateKey],
    ["an RSA-3072 key", generateKeyPairSync("rsa", { modulusLength: 3072 }).privateKey],
    ["an RSA-PSS key", generateKeyPairSync("rsa-pss", { modulusLength: 2048 }).privateKey],
  ])("is not %s: that is a TypeError", (_, key) => {
    expect(() => recipientOpener(key)).toThrow(TypeError);
    expect(() => openCiphertextForRecipient(encodeEnvelope(seal(recipient.publicKey)), key)).toThrow(TypeError);
  });
});

describe("held against OpenSSL's CMS", () => {
  let folder = "";
  const file = (name: string) => join(folder, name);

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "nitro-decrypt-cms-"));
    writeFileSync(file("key.pem"), recipient.privateKey.export({ type: "pkcs8", format: "pem" }));
    writeFileSync(file("plaintext"), plaintextOf(3000));
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  test("OpenSSL opens what the builder of these tests seals", (context) => {
    needsOpenssl(context);
    const fields = seal(recipient.publicKey, { plaintext: plaintextOf(2500) });
    for (const framing of ["kms", "definite", "indefinite"] as const) {
      const opened = openssl(
        ["cms", "-decrypt", "-inform", "DER", "-binary", "-inkey", file("key.pem")],
        encodeEnvelope(fields, { framing }),
      );
      expect(new Uint8Array(opened), framing).toEqual(plaintextOf(2500));
    }
  });

  test.for(["-nostream", "-stream"])("opens what OpenSSL seals with %s", (streaming, context) => {
    needsOpenssl(context);
    // OpenSSL names the recipient by its certificate's subjectKeyIdentifier: here as KMS computes it.
    const identifier = Buffer.from(seal(recipient.publicKey).subjectKeyIdentifier).toString("hex");
    const extension = `subjectKeyIdentifier=${identifier.replace(/..(?=.)/g, "$&:")}`;
    const certificate = ["-subj", "/CN=recipient", "-addext", extension, "-out", file("certificate.pem")];
    openssl(["req", "-x509", "-new", "-key", file("key.pem"), ...certificate]);
    const sealing = ["cms", "-encrypt", "-aes-256-cbc", "-binary", "-in", file("plaintext"), "-outform", "DER"];
    const keyOptions = ["-keyid", "-keyopt", "rsa_padding_mode:oaep", "-keyopt", "rsa_oaep_md:sha256"];
    const stream = streaming === "-stream" ? [streaming] : [];
    const envelope = openssl([...sealing, ...stream, "-recip", file("certificate.pem"), ...keyOptions]);
    expect(openCiphertextForRecipient(envelope, recipient.privateKey)).toEqual(plaintextOf(3000));
  });
});

test.each([1, 32, 984, 1000, 4096])("opens what the simulated KMS seals, %i bytes", (length) => {
  const { publicKey, privateKey } = recipient;
  const envelope = sealForRecipient(plaintextOf(length), {
    publicKey,
    spki: publicKey.export({ type: "spki", format: "der" }),
  });
  expect(openCiphertextForRecipient(envelope, privateKey)).toEqual(plaintextOf(length));
});

test("reads keys as they come from files", () => {
  const pem = recipient.privateKey.export({ type: "pkcs1", format: "pem" });
  const envelope = encodeEnvelope(seal(recipient.publicKey, { plaintext: plaintextOf(3) }));
  expect(openCiphertextForRecipient(envelope, createPrivateKey(pem))).toEqual(plaintextOf(3));
});
