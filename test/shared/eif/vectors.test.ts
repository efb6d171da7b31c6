/** Images that AWS's crate wrote: PCRs, CRC and signatures as it printed them; and what one changed byte does. */
import { X509Certificate } from "node:crypto";
import { readdirSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { toHex } from "../../../shared/bytes.js";
import { assertEifCrc, measureEif, metadataOf, parseEif } from "../../../shared/eif/eif.js";
import { verifyEifSignature } from "../../../shared/eif/signature.js";
import { signingCertificateOf } from "../../../shared/eif/signature-section.js";
import type { SECTION } from "../../support/eif-builder.js";
import {
  changeByte,
  eifVectors,
  readVector,
  VECTOR_FOLDER,
  VECTORS_EXPIRED,
  VECTORS_VALID,
} from "../../support/eif-vectors.js";

/** Everything that the project says of an image. */
async function check(bytes: Uint8Array, now = VECTORS_VALID) {
  const eif = parseEif(bytes);
  assertEifCrc(eif);
  const measurements = await measureEif(eif);
  return { eif, measurements, signature: await verifyEifSignature(eif, { pcr0: measurements.pcr0, now }) };
}

const signedFiles = eifVectors.filter(({ signed }) => signed).map(({ file }) => file);
const ALGORITHMS: Readonly<Record<string, string>> = {
  "signed-p256.eif": "ES256",
  "signed-p384.eif": "ES384",
  "signed-p521-arm64.eif": "ES512",
  "signed-v1-certificate.eif": "ES384",
  "signed-later.eif": "ES384",
  "signed-again.eif": "ES384",
};

describe("images of AWS's crate", () => {
  test("there are nine, each with what the crate printed of it", () => {
    expect(eifVectors).toHaveLength(9);
    expect([...signedFiles].sort()).toEqual(Object.keys(ALGORITHMS).sort());
    const files = readdirSync(VECTOR_FOLDER).filter((name) => name.endsWith(".eif"));
    expect(files.sort()).toEqual(eifVectors.map(({ file }) => file).sort());
  });

  test.each(eifVectors)("$file has the PCRs that the crate printed", async ({ file, architecture, measurements }) => {
    const { eif, measurements: own } = await check(readVector(file));
    const { HashAlgorithm: _, ...pcrs } = measurements;
    const inHex = Object.fromEntries(Object.entries(own).map(([name, value]) => [name.toUpperCase(), toHex(value)]));
    expect(inHex).toEqual(pcrs);
    expect(eif.header).toMatchObject({ architecture, version: 4, defaultCpus: 2n });
    expect(metadataOf(eif)).toMatchObject({ BuildMetadata: { BuildTool: "eif-writer" } });
  });

  test.each(eifVectors.filter(({ signed }) => !signed))("$file has no signature", async ({ file }) => {
    expect((await check(readVector(file))).signature).toBeUndefined();
  });

  test.each(signedFiles)("%s has a valid signature, by a certificate that node:crypto reads alike", async (file) => {
    const { eif, signature } = await check(readVector(file));
    const certificate = new X509Certificate(signingCertificateOf(eif) ?? new Uint8Array());
    expect(signature).toMatchObject({ algorithm: ALGORITHMS[file], certificateCurrent: true });
    expect(signature?.certificate.sha256).toBe(certificate.fingerprint256.replaceAll(":", "").toLowerCase());
    expect(signature?.certificate.notBefore).toEqual(new Date(certificate.validFrom));
    expect(signature?.certificate.notAfter).toEqual(new Date(certificate.validTo));
    expect(signature?.certificate.subject).toBe(certificate.subject.replaceAll("\n", ","));
  });

  test("a certificate that has expired or is not valid yet is a fact, not a refusal", async () => {
    const currentAt = async (file: string, now: Date) =>
      (await check(readVector(file), now)).signature?.certificateCurrent;
    expect(await currentAt("signed-p384.eif", VECTORS_EXPIRED)).toBe(true); // it ends after 2100
    expect(await currentAt("signed-p256.eif", VECTORS_EXPIRED)).toBe(false);
    expect(await currentAt("signed-p256.eif", new Date("2026-01-01T00:00:00Z"))).toBe(false);
  });

  test("signed again, an image has the old signature's size in its table, and is read all the same", async () => {
    const bytes = readVector("signed-again.eif");
    const { sections } = parseEif(bytes);
    const sizeInTable = Number(new DataView(bytes.buffer).getBigUint64(284 + 8 * (sections.length - 1)));
    expect(sizeInTable).toBeGreaterThan(1000);
    expect(sizeInTable).toBeLessThan(sections.at(-1)?.bytes.length ?? 0);
  });
});

describe("one changed byte", () => {
  const AREAS = ["kernel", "cmdline", "ramdisk"] as const satisfies readonly (keyof typeof SECTION)[];

  test.each(signedFiles)("anywhere in %s is ERR_EIF_CRC or malformed, while the CRC is left", async (file) => {
    const image = readVector(file);
    for (const at of [...Array(48).keys()].map((i) => Math.floor((i * image.length) / 48))) {
      const changed = image.slice();
      changed[at] = (changed[at] ?? 0) ^ 1;
      await expect(check(changed), `${at}`).rejects.toThrow(
        expect.objectContaining({ code: expect.stringMatching(/^ERR_EIF_(CRC|MALFORMED)$/) }),
      );
    }
  });

  test.each(signedFiles.flatMap((file) => AREAS.map((area) => [file, area] as const)))(
    "in %s's %s, the CRC computed anew, is ERR_EIF_SIGNATURE",
    async (file, area) => {
      await expect(check(changeByte(file, area, 3))).rejects.toThrowCode("ERR_EIF_SIGNATURE");
    },
  );

  test("in the metadata is not measured and not signed", async () => {
    const { signature, eif } = await check(changeByte("signed-p384.eif", "metadata", 15));
    expect(signature?.algorithm).toBe("ES384");
    expect(metadataOf(eif)).not.toEqual(metadataOf(parseEif(readVector("signed-p384.eif"))));
  });

  test.each(signedFiles)(
    "at the end of %s's signature section, the last of the signature, is ERR_COSE_SIGNATURE",
    async (file) => {
      await expect(check(changeByte(file, "signature", -1))).rejects.toThrowCode("ERR_COSE_SIGNATURE");
    },
  );

  test("at the start of the signature section is other CBOR", async () => {
    await expect(check(changeByte("signed-p384.eif", "signature", 0))).rejects.toThrowCode("ERR_CBOR_MALFORMED");
  });
});
