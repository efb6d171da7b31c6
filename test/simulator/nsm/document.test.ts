/** The form of documents, and overrides that change one thing and leave the signature good. */
import { X509Certificate as NodeCertificate, verify } from "node:crypto";
import { beforeAll, describe, expect, test } from "vitest";
import { AWS_NITRO_ENCLAVES_ROOT_G1 } from "../../../shared/attestation/trust-anchor.js";
import { verifyAttestation } from "../../../shared/attestation/verify.js";
import { concatBytes, toHex, utf8 } from "../../../shared/bytes.js";
import type { CborMap } from "../../../shared/cbor.js";
import { decodeCbor, encodeCbor } from "../../../shared/cbor.js";
import { decodeCoseSign1, encodeSigStructure } from "../../../shared/cose.js";
import type { DocumentMaker, DocumentOverrides } from "../../../simulator/nsm/document.js";
import { createDocumentMaker, signDocument } from "../../../simulator/nsm/document.js";
import { generateKeyPair } from "../../../simulator/pki/certificate.js";
import type { NitroPki } from "../../../simulator/pki/nitro-pki.js";
import { NOW, testPki } from "../fixtures.js";

const NAMES = [
  "module_id",
  "digest",
  "timestamp",
  "pcrs",
  "certificate",
  "cabundle",
  "public_key",
  "user_data",
  "nonce",
];

let pki: NitroPki;
let maker: DocumentMaker;
beforeAll(async () => {
  pki = await testPki();
  maker = await createDocumentMaker({ pki });
});

function payloadOf(document: Uint8Array): CborMap {
  const payload = decodeCbor(decodeCoseSign1(document).payload, { maxBytes: 16384, indefiniteMaps: true });
  if (!(payload instanceof Map)) throw new Error("the payload is not a map");
  return payload;
}
/** Whether the leaf's key signed what is in the document, by Node's own verification. */
function isSigned(document: Uint8Array): boolean {
  const { protectedHeader, payload, rawSignature } = decodeCoseSign1(document);
  const { publicKey } = new NodeCertificate(maker.leaf.certificateDer);
  const key = { key: publicKey, dsaEncoding: "ieee-p1363" } as const;
  return verify("sha384", encodeSigStructure(protectedHeader, payload), key, rawSignature);
}
const make = (overrides: DocumentOverrides) => maker.make({}, overrides);

describe("a document", () => {
  test("verifies under the simulated root", async () => {
    const verified = await verifyAttestation(await maker.make(), { trustAnchor: pki.trustAnchor, now: NOW });
    expect(verified).toMatchObject({ moduleId: maker.moduleId, region: "us-east-1", digest: "SHA384", debug: false });
  });

  test("pitfall 22: is refused under AWS's root, and under another simulated one", async () => {
    const document = await maker.make();
    const under = (trustAnchor: NitroPki["trustAnchor"]) => verifyAttestation(document, { trustAnchor, now: NOW });
    await expect(under(pki.trustAnchor)).resolves.toBeDefined();
    await expect(under(AWS_NITRO_ENCLAVES_ROOT_G1)).rejects.toThrowCode("ERR_TRUST_ANCHOR");
    await expect(under((await testPki()).trustAnchor)).rejects.toThrowCode("ERR_TRUST_ANCHOR");
  });

  test("is an untagged array of four: header {1: -35}, empty map, payload, 96 bytes of signature", async () => {
    const document = await maker.make();
    expect(toHex(document.subarray(0, 7))).toBe("8444a1013822a0");
    expect(toHex(document.subarray(-98, -96))).toBe("5860");
    expect(isSigned(document)).toBe(true);
  });

  test("has nine entries in the order of real ones, null where nothing is said", async () => {
    const payload = payloadOf(await maker.make());
    expect([...payload.keys()]).toEqual(NAMES);
    expect(["public_key", "user_data", "nonce"].map((name) => payload.get(name))).toEqual([null, null, null]);
  });

  test("has a payload of indefinite length; only the map, not what is in it", async () => {
    const { payload } = decodeCoseSign1(await maker.make());
    expect(toHex(payload.subarray(0, 1))).toBe("bf");
    expect(toHex(payload.subarray(-1))).toBe("ff");
    expect(toHex(payload)).toContain(`${toHex(encodeCbor("pcrs"))}b0005830`);
    expect(toHex(payload)).toContain(`${toHex(encodeCbor("cabundle"))}8459`);
  });

  test("has its time as eight bytes of milliseconds", async () => {
    const timestamp = `${toHex(encodeCbor("timestamp"))}1b${NOW.getTime().toString(16).padStart(16, "0")}`;
    expect(toHex(decodeCoseSign1(await maker.make()).payload)).toContain(timestamp);
  });
});

describe("overrides, each signed again", () => {
  test("a value, a missing entry, a further one", async () => {
    const changed = await make({ payload: { digest: "SHA512", nonce: undefined, nitrotpm_pcrs: new Map() } });
    expect(payloadOf(changed).get("digest")).toBe("SHA512");
    expect([...payloadOf(changed).keys()]).toEqual([...NAMES.slice(0, 8), "nitrotpm_pcrs"]);
    expect(isSigned(changed)).toBe(true);
  });

  test("the order, and an entry twice", async () => {
    const reversed = await make({ editEntries: (entries) => [...entries].reverse() });
    expect([...payloadOf(reversed).keys()]).toEqual([...NAMES].reverse());
    const twice = await make({ editEntries: (entries) => [...entries, ...entries.slice(0, 1)] });
    expect(isSigned(twice)).toBe(true);
    expect(() => payloadOf(twice)).toThrowCode("ERR_CBOR_MALFORMED");
  });

  test("the old form, with the same entries", async () => {
    const document = await make({ form: "definite" });
    expect(toHex(decodeCoseSign1(document).payload.subarray(0, 1))).toBe("a9");
    expect([...payloadOf(document)]).toEqual([...payloadOf(await maker.make())]);
    expect(isSigned(document)).toBe(true);
  });

  test("the payload's bytes", async () => {
    const document = await make({ editPayload: (payload) => concatBytes(payload, Uint8Array.of(0)) });
    expect(decodeCoseSign1(document).payload.at(-1)).toBe(0);
    expect(isSigned(document)).toBe(true);
  });

  test("the headers and the tag", async () => {
    expect(toHex(await make({ protectedHeader: Uint8Array.of(0xa0) })).slice(0, 8)).toBe("8441a0a0");
    expect(toHex(await make({ unprotectedHeader: Uint8Array.of(0xa1, 4, 5) })).slice(0, 18)).toBe("8444a1013822a10405");
    expect(toHex(await make({ tag: 18 })).slice(0, 4)).toBe("d284");
    expect(toHex(await make({ tag: 61 })).slice(0, 6)).toBe("d83d84");
  });

  test("who signs, and the signature", async () => {
    const { privateKey } = await generateKeyPair();
    expect(isSigned(await make({}))).toBe(true);
    expect(isSigned(await make({ signingKey: privateKey }))).toBe(false);
    expect(isSigned(await make({ editSignature: () => new Uint8Array(96) }))).toBe(false);
  });

  test("the whole", async () => {
    expect((await make({ editDocument: (whole) => whole.subarray(1) }))[0]).toBe(0x44);
  });
});

test("fields are what the caller says", async () => {
  const { leaf, moduleId } = maker;
  const fields = { moduleId, timestampMs: 7, pcrs: new Map([[0, new Uint8Array(48)]]), userData: utf8("u") };
  const payload = payloadOf(await signDocument({ ...fields, nonce: utf8("n"), publicKey: utf8("p") }, leaf));
  expect(payload.get("timestamp")).toBe(7);
  expect(payload.get("pcrs")).toEqual(fields.pcrs);
  expect(["user_data", "nonce", "public_key"].map((name) => payload.get(name))).toEqual([..."unp"].map(utf8));
});
