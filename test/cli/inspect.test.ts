import { createSecretKey, generateKeyPairSync, randomBytes } from "node:crypto";
import { describe, expect, test } from "vitest";
import { inspect } from "../../cli/inspect.js";
import { concatBytes, fromHex, toBase64, toHex, utf8 } from "../../shared/bytes.js";
import { measureImage } from "../../shared/eif.js";
import { createDocumentMaker } from "../../simulator/nsm/document.js";
import { INSTANCE_ID, NOW, testPki } from "../simulator/fixtures.js";
import { encodeEnvelope, seal } from "../support/cms-builder.js";
import { buildEif, parts, plainSections, SECTION, signatureSection, toPem } from "../support/eif-builder.js";
import { recordedIo } from "../support/io.js";

async function run(input: Uint8Array, ...options: readonly string[]) {
  const io = recordedIo({ input });
  const exitCode = await inspect.run(["-", ...options], io);
  return { exitCode, out: io.out, err: io.err };
}

async function jsonOf(input: Uint8Array) {
  const { exitCode, out } = await run(input, "--json");
  expect(exitCode).toBe(0);
  return JSON.parse(out);
}

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
  const certificate = new Uint8Array(500).fill(0x33);
  const signature = { type: SECTION.signature, data: signatureSection(toPem("CERTIFICATE", certificate)) };

  test("is decoded and measured", async () => {
    const { pcr0, pcr1, pcr2, pcr8 } = await measureImage({
      kernel: parts.kernel,
      cmdline: parts.cmdline,
      ramdisks: [parts.base, parts.application],
      signingCertificateDer: certificate,
    });
    const json = await jsonOf(buildEif({ sections: [...plainSections, signature] }));
    expect(json).toMatchObject({ kind: "eif", verified: false, crcOk: true, metadata: { ImageName: "test" } });
    expect(json.pcrs).toEqual({ 0: toHex(pcr0), 1: toHex(pcr1), 2: toHex(pcr2), 8: toHex(pcr8 ?? new Uint8Array()) });
    expect(json.sections.map(({ type }: { type: string }) => type)).toEqual([
      ...["kernel", "cmdline", "metadata", "ramdisk", "ramdisk", "signature"],
    ]);
    expect(json.header).toMatchObject({ version: 4, architecture: "x86_64", defaultMemoryBytes: "536870912" });
  });

  test("says for people what is there, and that the signature is not checked", async () => {
    const { exitCode, out } = await run(buildEif({ sections: [...plainSections, signature] }));
    expect(exitCode).toBe(0);
    expect(out).toMatch(/^CRC-32 +[0-9a-f]{8}, which is that of the file$/m);
    expect(out).toMatch(/^sections +kernel +700 bytes at 548$/m);
    expect(out).toMatch(/^PCR8 +[0-9a-f]{96}$/m);
    expect(out).toContain("the signature is not checked");
  });

  test("that is unsigned has no PCR8, and one whose CRC is wrong is shown all the same", async () => {
    const { exitCode, out } = await run(buildEif({ crc: 0 }));
    expect(exitCode).toBe(0);
    expect(out).not.toContain("PCR8");
    expect(out).toContain("which is NOT that of the file");
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

  test("--help says that nothing is verified", async () => {
    const io = recordedIo();
    expect(await inspect.run(["--help"], io)).toBe(0);
    expect(io.out).toContain("Nothing is verified");
  });
});
