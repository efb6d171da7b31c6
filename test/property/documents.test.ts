/**
 * Every strict prefix and every single-bit flip of a signed document is refused.
 *
 * A full verification of each of some 38,000 flips would take minutes, so a flip is held to the layers of verification in
 * their order, and the first refusal counts: the document's form, the certificates' form, and then the document's
 * signature under the key that its leaf certificate names. Where the flip is in that key, and for every 32nd flip of all,
 * the complete `verifyAttestation` has to refuse.
 */
import { beforeAll, describe, expect, it } from "vitest";
import { parseAttestationDocument } from "../../shared/attestation/document.js";
import { verifyAttestation } from "../../shared/attestation/verify.js";
import { equalBytes, utf8 } from "../../shared/bytes.js";
import { CertificateCache } from "../../shared/certificate-cache.js";
import { verifyCoseSign1 } from "../../shared/cose.js";
import { ServiceError } from "../../shared/errors.js";
import { parseCertificate } from "../../shared/x509.js";
import type { Platform } from "../support/attestation.js";
import { createPlatform, NOW } from "../support/attestation.js";

/** One bit of every fourth byte, each of the eight in turn. */
const isVerifiedInFull = (bit: number): boolean => bit % 32 === (bit >> 5) % 8;
/** How many verifications run at once. */
const LANES = 8;

let platform: Platform;
let document: Uint8Array<ArrayBuffer>;
let leafSpki: Uint8Array<ArrayBuffer>;
let leafKey: CryptoKey;
const cache = new CertificateCache();

beforeAll(async () => {
  platform = await createPlatform();
  document = await platform.make({ nonce: utf8("nonce"), userData: utf8("user data"), publicKey: utf8("public key") });
  leafSpki = parseCertificate(platform.maker.leaf.certificateDer).spki;
  leafKey = await crypto.subtle.importKey("spki", leafSpki, { name: "ECDSA", namedCurve: "P-384" }, false, ["verify"]);
});

const verify = (bytes: Uint8Array) => verifyAttestation(bytes, { trustAnchor: platform.trustAnchor, now: NOW, cache });

/** Runs `check` on all indices, some at a time. */
async function onEach(count: number, check: (index: number) => Promise<void>): Promise<void> {
  let next = 0;
  const lane = async () => {
    while (next < count) await check(next++);
  };
  await Promise.all(Array.from({ length: LANES }, lane));
}

/** Whether `attempt` ends in a refusal. Any other error fails the test. */
async function isRefused(attempt: () => Promise<unknown>): Promise<boolean> {
  try {
    await attempt();
    return false;
  } catch (error) {
    if (error instanceof ServiceError) return true;
    throw error;
  }
}

/** The layers of verification as far as the first refusal. */
async function verifyInLayers(bytes: Uint8Array): Promise<void> {
  const { cose, caBundle, certificate } = parseAttestationDocument(bytes);
  caBundle.forEach(parseCertificate);
  const hasLeafKey = equalBytes(parseCertificate(certificate).spki, leafSpki);
  await (hasLeafKey ? verifyCoseSign1(cose, leafKey) : verify(bytes));
}

function flipped(bit: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(document);
  bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) ^ (1 << (bit & 7));
  return bytes;
}

describe("a signed document", () => {
  it("verifies, in one call and in layers, or nothing below would mean anything", async () => {
    expect((await verify(document)).moduleId).toBe(platform.maker.moduleId);
    await expect(verifyInLayers(document)).resolves.toBeUndefined();
    expect(document.length).toBeGreaterThan(4000);
  });

  it("is refused when it is cut short, at every byte", async () => {
    const accepted: number[] = [];
    await onEach(document.length, async (length) => {
      if (!(await isRefused(() => verify(document.subarray(0, length))))) accepted.push(length);
    });
    expect(accepted).toEqual([]);
  });

  it("is refused when any one bit of it is flipped", async () => {
    const accepted: number[] = [];
    await onEach(document.length * 8, async (bit) => {
      const attempt = isVerifiedInFull(bit) ? verify : verifyInLayers;
      if (!(await isRefused(() => attempt(flipped(bit))))) accepted.push(bit);
    });
    expect(accepted).toEqual([]);
  }, 240_000);
});
