/**
 * The recorded attestation documents of ../shared/vectors, genuine and not: each comes out as the index says. The folder is
 * no part of the project; where it is absent the suite says so and skips. (Recorded CMS objects: vectors-cms.test.ts.)
 */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { parseAttestationDocument } from "../shared/attestation/document.js";
import { AWS_NITRO_ENCLAVES_ROOT_G1 } from "../shared/attestation/trust-anchor.js";
import { verifyAttestation } from "../shared/attestation/verify.js";
import { isAllZero, toHex } from "../shared/bytes.js";
import { CertificateCache } from "../shared/certificate-cache.js";
import type { ErrorCode } from "../shared/errors.js";
import { projectRoot } from "./support/project.js";

interface DocumentVector {
  readonly id: string;
  readonly kind: "attestation-document";
  readonly sha256: string;
  readonly expected: "accept" | "reject";
  readonly verify_at_ms: number;
  readonly module_id: string;
  readonly region: string;
  readonly debug_mode: boolean;
  readonly payload_map: "definite" | "indefinite";
  readonly pcrs_nonzero: readonly number[];
  readonly public_key: number | "null";
  readonly user_data: number | "null";
  readonly nonce: number | "null";
  readonly file: string;
}

/** Why each of the two is refused: a signature that does not verify, and a root of somebody's own. */
const REFUSALS: Readonly<Record<string, ErrorCode>> = {
  neg_7df2cdc0: "ERR_COSE_SIGNATURE",
  neg_d8032479: "ERR_TRUST_ANCHOR",
};

const folder = join(projectRoot, "..", "shared", "vectors");
const present = existsSync(join(folder, "index.json"));
if (!present) process.stdout.write(`recorded documents skipped: there is no folder ${folder}\n`);

const anchor = AWS_NITRO_ENCLAVES_ROOT_G1;
const read = (vector: DocumentVector): Uint8Array => new Uint8Array(readFileSync(join(folder, vector.file)));
const sizeOf = (field: Uint8Array | null): number | "null" => field?.length ?? "null";

function loadVectors(): { count: number; documents: readonly DocumentVector[] } {
  if (!present) return { count: 0, documents: [] };
  const index = JSON.parse(readFileSync(join(folder, "index.json"), "utf8")) as { vectors: DocumentVector[] };
  return {
    count: index.vectors.length,
    documents: index.vectors.filter(({ kind }) => kind === "attestation-document"),
  };
}

const { count, documents } = loadVectors();
const genuine = documents.filter(({ expected }) => expected === "accept");

describe.skipIf(!present)("recorded attestation documents", () => {
  it("are all there: 12 documents among 15 vectors, of which 10 are genuine", () => {
    expect(count).toBe(15);
    expect(documents).toHaveLength(12);
    expect(genuine).toHaveLength(10);
  });

  it.each(genuine)("$id verifies under the root of AWS, and says what the index says", async (vector) => {
    const now = new Date(vector.verify_at_ms);
    const verified = await verifyAttestation(read(vector), { trustAnchor: anchor, now });
    expect(verified.moduleId).toBe(vector.module_id);
    expect(verified.instanceId).toBe(vector.module_id.split("-enc")[0]);
    expect(verified.region).toBe(vector.region);
    expect(verified.debug).toBe(vector.debug_mode);
    expect([...verified.pcrs].filter(([, value]) => !isAllZero(value)).map(([index]) => index)).toEqual(
      vector.pcrs_nonzero,
    );
    expect(sizeOf(verified.publicKey)).toBe(vector.public_key);
    expect(sizeOf(verified.userData)).toBe(vector.user_data);
    expect(sizeOf(verified.nonce)).toBe(vector.nonce);
    expect(verified.rootToLeaf).toHaveLength(5);
    expect(verified.rootToLeaf[0]?.subject).toBe("aws.nitro-enclaves");
    expect(verified.rootToLeaf.at(-1)?.subject).toBe(`${vector.module_id}.${vector.region}.aws`);
    expect(verified.verifiedAt).toEqual(now);
  });

  it.each(genuine)("$id has a payload map of the recorded form", (vector) => {
    const { cose } = parseAttestationDocument(read(vector));
    expect(cose.payload[0] === 0xbf ? "indefinite" : "definite").toBe(vector.payload_map);
  });

  it.each(genuine)("$id verifies the same with its intermediates remembered", async (vector) => {
    const options = { trustAnchor: anchor, now: new Date(vector.verify_at_ms), cache: new CertificateCache() };
    const cold = await verifyAttestation(read(vector), options);
    expect(options.cache.size).toBe(3);
    expect(await verifyAttestation(read(vector), options)).toEqual(cold);
    expect(options.cache.size).toBe(3);
  });

  it.each(genuine)("$id is refused today, because its certificates have expired", async (vector) => {
    const now = new Date(vector.verify_at_ms + 4 * 3600 * 1000);
    await expect(verifyAttestation(read(vector), { trustAnchor: anchor, now })).rejects.toThrowCode("ERR_CERT_TIME");
  });

  it.each(genuine)("$id is refused under another root", async (vector) => {
    const trustAnchor = { name: "another", sha256: toHex(new Uint8Array(32).fill(7)) };
    const now = new Date(vector.verify_at_ms);
    await expect(verifyAttestation(read(vector), { trustAnchor, now })).rejects.toThrowCode("ERR_TRUST_ANCHOR");
  });

  it.each(documents.filter(({ expected }) => expected === "reject"))("$id is refused", async (vector) => {
    const code = REFUSALS[vector.id];
    if (code === undefined) throw new Error(`no refusal is stated for ${vector.id}`);
    const now = new Date(vector.verify_at_ms);
    await expect(verifyAttestation(read(vector), { trustAnchor: anchor, now })).rejects.toThrowCode(code);
  });
});
