import { createSecretKey, generateKeyPairSync, randomBytes } from "node:crypto";
import { describe, expect, test } from "vitest";
import { MAX_TEXT_BYTES } from "../../cli/input.js";
import { inspect } from "../../cli/inspect.js";
import { concatBytes, fromHex, toBase64, toHex, utf8 } from "../../shared/bytes.js";
import { measureImage } from "../../shared/eif/eif.js";
import { createDocumentMaker } from "../../simulator/nsm/document.js";
import { INSTANCE_ID, NOW, testPki } from "../simulator/fixtures.js";
import { encodeEnvelope, seal } from "../support/cms-builder.js";
import { buildEif, parts, plainSections, SECTION } from "../support/eif-builder.js";
import { changeByte, eifVectors, readVector, VECTORS_EXPIRED, VECTORS_VALID } from "../support/eif-vectors.js";
import { recordedIo } from "../support/io.js";

const run = (input: Uint8Array, ...options: readonly string[]) => runAt(NOW, input, ...options);

async function runAt(now: Date, input: Uint8Array, ...options: readonly string[]) {
  const io = recordedIo({ input, now: () => now });
  const exitCode = await inspect.run(["-", ...options], io);
  return { exitCode, out: io.out, err: io.err };
}

async function jsonOf(input: Uint8Array) {
  const { exitCode, out } = await run(input, "--json");
  expect(exitCode).toBe(0);
  return JSON.parse(out);
}

test("control characters of a file do not reach the terminal, in JSON either", async () => {
  const text = "a\u001b[31mb\u009b32m\u202e\u{e0001}é";
  const metadata = { type: SECTION.metadata, data: utf8(JSON.stringify({ ImageName: text })) };
  const image = buildEif({ sections: plainSections.map((part) => (part.type === SECTION.metadata ? metadata : part)) });
  for (const options of [[], ["--json"]]) {
    const { exitCode, out } = await run(image, ...options);
    expect(exitCode).toBe(0);
    expect(out.replaceAll("\n", "")).not.toMatch(/\p{C}/u);
  }
  expect((await jsonOf(image)).metadata).toEqual({ ImageName: text });
});

test("a file of letters that is larger than any text is refused as any other", async () => {
  const { exitCode, err } = await run(new Uint8Array(MAX_TEXT_BYTES + 1).fill(0x61));
  expect([exitCode, err]).toEqual([1, expect.stringContaining("got something that starts with 61616161")]);
});

describe("an attestation document", async () => {
  const maker = await createDocumentMaker({ pki: await testPki(), instanceId: INSTANCE_ID });
  const document = await maker.make({ publicKey: new Uint8Array(294) });

  test("is decoded and not judged", async () => {
    const { exitCode, out } = await run(document);
    expect(exitCode).toBe(0);
    expect(out).toMatch(/^an attestation document; nothing of it is verified$/m);
    expect(out).toContain(maker.moduleId);
    expect(out).toMatch(/^public_key +294 bytes$/m);
    expect(out).toContain("which is NOT that of AWS Nitro Enclaves Root G1");
  });

  test("in JSON has its fields, and says that it is not verified", async () => {
    const json = await jsonOf(utf8(toBase64(document)));
    expect(json).toMatchObject({
      kind: "attestation-document",
      verified: false,
      moduleId: maker.moduleId,
      debug: false,
    });
    expect(json.timestamp).toBe(NOW.toISOString());
    expect(json.certificates).toHaveLength(5);
    expect(json.pcrs["0"]).toBe("a0".repeat(48));
  });

  test("with a wrong signature is shown all the same", async () => {
    const editSignature = (signature: Uint8Array) => signature.map((byte) => byte ^ 1);
    expect((await jsonOf(await maker.make({}, { editSignature }))).moduleId).toBe(maker.moduleId);
  });

  test("under tag 18 is known too", async () => {
    expect((await jsonOf(await maker.make({}, { tag: 18 }))).kind).toBe("attestation-document");
  });

  test("with a certificate that cannot be read shows the others", async () => {
    const json = await jsonOf(await maker.make({}, { payload: { certificate: Uint8Array.of(1, 2, 3) } }));
    expect(json.certificates).toHaveLength(5);
    expect(json.certificates[4].unreadable).toMatch(/^ERR_(DER|CERT)_MALFORMED/);
  });

  test("that is malformed is refused with its code", async () => {
    const { exitCode, err } = await run(await maker.make({}, { payload: { pcrs: undefined } }));
    expect(exitCode).toBe(1);
    expect(err).toContain("ERR_ATTESTATION_MALFORMED: ");
  });
});

describe("a CiphertextForRecipient", () => {
  const fields = seal(generateKeyPairSync("rsa", { modulusLength: 2048 }).publicKey, { plaintext: new Uint8Array(32) });

  test("is decoded", async () => {
    const { exitCode, out } = await run(encodeEnvelope(fields));
    expect(exitCode).toBe(0);
    expect(out).toMatch(/^a CiphertextForRecipient; nothing of it is verified$/m);
    expect(out).toContain(toHex(fields.subjectKeyIdentifier));
    expect(out).toContain("48 bytes, AES-256-CBC: 32 to 47 of plaintext");
  });

  test("in JSON names recipient and algorithms", async () => {
    expect(await jsonOf(encodeEnvelope(fields))).toEqual({
      kind: "ciphertext-for-recipient",
      verified: false,
      bytes: 493,
      subjectKeyIdentifier: toHex(fields.subjectKeyIdentifier),
      keyEncryptionAlgorithm: "RSAES_OAEP_SHA_256",
      encryptedKeyBytes: 256,
      contentEncryptionAlgorithm: "AES-256-CBC",
      iv: toHex(fields.iv),
      ciphertextBytes: 48,
    });
  });

  test("that is malformed is refused with its code", async () => {
    const { exitCode, err } = await run(encodeEnvelope(fields, { edits: { version: () => [] } }));
    expect(exitCode).toBe(1);
    expect(err).toContain("ERR_CMS_MALFORMED: ");
  });
});

describe("a ciphertext of AWS KMS", () => {
  /** The shape of a real 184-byte blob for a 32-byte data key, around bytes of our own. */
  const content = fromHex(
    `307c06092a864886f70d010706a06f306d020100306806092a864886f70d010701301e060960864801650304012e3011040c${"0c".repeat(12)}020110803b${"ee".repeat(59)}`,
  );
  const blob = concatBytes(
    Uint8Array.of(1, 2, 2, 0, 0x78),
    new Uint8Array(32).fill(0xaa),
    Uint8Array.of(1),
    new Uint8Array(16).fill(0xbb),
    Uint8Array.of(0, 0, 0, 0x7e),
    content ?? new Uint8Array(),
  );

  test("is taken apart as far as its shape is known", async () => {
    expect(blob).toHaveLength(184);
    expect(toBase64(blob)).toMatch(/^AQICAH/);
    expect(await jsonOf(utf8(toBase64(blob)))).toEqual({
      kind: "kms-ciphertext",
      verified: false,
      bytes: 184,
      prefix: "0102020078",
      keyBytes: "aa".repeat(32),
      otherBytes: "bb".repeat(16),
      content: { algorithm: "AES-256-GCM", nonce: "0c".repeat(12), tagBytes: 16, sealedBytes: 59 },
    });
  });

  test("of another inner form is shown without it", async () => {
    const changed = blob.slice();
    changed[60] = 0xff;
    expect((await jsonOf(changed)).content).toBeNull();
    expect((await run(changed)).out).toMatch(/^content +not of the usual form$/m);
    expect((await jsonOf(blob.subarray(0, -1))).content).toBeNull();
  });

  test("of the simulated KMS has the same shape", async () => {
    const { sealBlob } = await import("../../simulator/kms/ciphertext-blob.js");
    const key = { keyId: new Uint8Array(16), materialId: new Uint8Array(16) };
    const sealed = sealBlob(key, createSecretKey(randomBytes(32)), new Uint8Array(32), new Map());
    expect((await jsonOf(sealed)).content).toMatchObject({ algorithm: "AES-256-GCM", tagBytes: 16 });
  });
});

describe("an enclave image file", () => {
  test("is decoded and measured", async () => {
    const { pcr0, pcr1, pcr2 } = await measureImage({
      kernel: parts.kernel,
      cmdline: parts.cmdline,
      ramdisks: [parts.base, parts.application],
    });
    const json = await jsonOf(buildEif());
    expect(json).toMatchObject({ kind: "eif", verified: false, crcOk: true, metadata: { ImageName: "test" } });
    expect(json).toMatchObject({ pcrs: { 0: toHex(pcr0), 1: toHex(pcr1), 2: toHex(pcr2) }, signature: null });
    expect(json.sections.map(({ type }: { type: string }) => type)).toEqual([
      ...["kernel", "cmdline", "metadata", "ramdisk", "ramdisk"],
    ]);
    expect(json.header).toMatchObject({ version: 4, architecture: "x86_64", defaultMemoryBytes: "536870912" });
  });

  test("says for people what is there, and that it has no signature", async () => {
    const { exitCode, out } = await run(buildEif());
    expect(exitCode).toBe(0);
    expect(out).toMatch(/^an enclave image file \(EIF\); its CRC-32 and its signature are checked/);
    expect(out).toMatch(/^CRC-32 +[0-9a-f]{8}, which is that of the file$/m);
    expect(out).toMatch(/^sections +kernel +700 bytes at 548$/m);
    expect(out).toMatch(/^signature +none$/m);
    expect(out).not.toContain("PCR8");
  });

  test.each(eifVectors)("$file has the PCRs that AWS's crate printed", async ({ file, signed, measurements }) => {
    const json = JSON.parse((await runAt(VECTORS_VALID, readVector(file), "--json")).out);
    const { PCR0, PCR1, PCR2, PCR8 } = measurements;
    expect(json.pcrs).toEqual({ 0: PCR0, 1: PCR1, 2: PCR2, ...(PCR8 && { 8: PCR8 }) });
    expect(json.signature?.valid ?? false).toBe(signed);
    expect(json).not.toHaveProperty("error");
  });

  test("that is signed shows the signer, with the dates", async () => {
    const { exitCode, out } = await runAt(VECTORS_VALID, readVector("signed-p521-arm64.eif"));
    expect(exitCode).toBe(0);
    expect(out).toMatch(/^PCR8 +[0-9a-f]{96}$/m);
    expect(out).toMatch(/^signature +valid: ES512 over this PCR0/m);
    expect(out).toMatch(/^signer +C=DE,O=Nobody\\, Inc\.,CN=EIF test p521$/m);
    expect(out).toMatch(/^ +SHA-256 [0-9a-f]{64}$/m);
    const json = JSON.parse((await runAt(VECTORS_VALID, readVector("signed-p521-arm64.eif"), "--json")).out);
    expect(json.signature).toMatchObject({ valid: true, algorithm: "ES512", certificate: { current: true } });
  });

  test("whose certificate has expired is shown so, and not refused", async () => {
    const { exitCode, out } = await runAt(VECTORS_EXPIRED, readVector("signed-p256.eif"));
    expect(exitCode).toBe(0);
    expect(out).toContain("which is NOT now: nitro-cli does not start");
    const json = JSON.parse((await runAt(VECTORS_EXPIRED, readVector("signed-p256.eif"), "--json")).out);
    expect(json.signature.certificate.current).toBe(false);
  });

  test("whose CRC is wrong is shown, and refused", async () => {
    const { exitCode, out, err } = await run(buildEif({ crc: 0 }));
    expect(exitCode).toBe(1);
    expect(out).toContain("which is NOT that of the file");
    expect(err).toBe("nitro-decrypt inspect: ERR_EIF_CRC: the CRC-32 of the file is not the one in its header\n");
    const json = JSON.parse((await run(buildEif({ crc: 0 }), "--json")).out);
    expect(json).toMatchObject({ crcOk: false, error: { code: "ERR_EIF_CRC" } });
  });

  test("whose signature is of another image is shown, and refused", async () => {
    const image = changeByte("signed-p384.eif", "ramdisk", 0);
    const { exitCode, out, err } = await runAt(VECTORS_VALID, image);
    expect(exitCode).toBe(1);
    expect(out).toMatch(/^signature +NOT valid: ERR_EIF_SIGNATURE: /m);
    expect(err).toContain("inspect: ERR_EIF_SIGNATURE: ");
    const json = JSON.parse((await runAt(VECTORS_VALID, image, "--json")).out);
    expect(json.error.code).toBe("ERR_EIF_SIGNATURE");
    expect(json.signature).toEqual({ valid: false, error: json.error });
  });

  test("that is malformed is refused with its code", async () => {
    const { exitCode, err } = await run(buildEif({ trailing: Uint8Array.of(0) }));
    expect(exitCode).toBe(1);
    expect(err).toContain("ERR_EIF_MALFORMED: ");
  });
});

describe("something else", () => {
  test("is refused with what was expected and how it starts", async () => {
    const { exitCode, err } = await run(Uint8Array.of(0x7f, 0x45, 0x4c, 0x46));
    expect(exitCode).toBe(1);
    expect(err).toContain("got something that starts with 7f454c46");
  });

  test("and wrong usage is exit code 2", async () => {
    for (const argv of [[], ["a", "b"], ["--pcr0", "00"]]) {
      expect(await inspect.run(argv, recordedIo()), argv.join(" ")).toBe(2);
    }
  });

  test("--help says that nothing else is verified", async () => {
    const io = recordedIo();
    expect(await inspect.run(["--help"], io)).toBe(0);
    expect(io.out).toContain("Nothing else is verified");
  });
});
