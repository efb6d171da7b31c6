/** The tables, and HPKE in base mode held to RFC 9180's own vectors through the interface that requests are sealed by. */
import { describe, expect, it } from "vitest";
import { toHex, utf8 } from "../../../shared/bytes.js";
import {
  AEAD_AES_128_GCM,
  AEAD_AES_256_GCM,
  KDF_HKDF_SHA256,
  KEM_P256_HKDF_SHA256,
  KEM_X25519_HKDF_SHA256,
  kemOf,
  SYMMETRIC_ALGORITHMS,
  suiteOf,
} from "../../../shared/ohttp/suites.js";
import { present } from "../../support/attestation.js";
import { hex } from "../../support/hex.js";

/** RFC 9180 appendices A.1.1 and A.3.1, AES-128-GCM, sequence number 0. */
const VECTORS = [
  {
    name: "A.1.1, DHKEM(X25519, HKDF-SHA256)",
    kemId: KEM_X25519_HKDF_SHA256,
    ikmE: "7268600d403fce431561aef583ee1613527cff655c1343f29812e66706df3234",
    ikmR: "6db9df30aa07dd42ee5e8181afdb977e538f5e1fec8a06223f33f7013e525037",
    publicKey: "3948cfe0ad1ddb695d780e59077195da6c56506b027329794ab02bca80815c4d",
    enc: "37fda3567bdbd628e88668c3c8d7e97d1d1253b6d4ea6d44c150f741f1bf4431",
    ciphertext: "f938558b5d72f1a23810b4be2ab4f84331acc02fc97babc53a52ae8218a355a96d8770ac83d07bea87e13c512a",
    exported: "e9e43065102c3836401bed8c3c3c75ae46be1639869391d62c61f1ec7af54931",
  },
  {
    name: "A.3.1, DHKEM(P-256, HKDF-SHA256)",
    kemId: KEM_P256_HKDF_SHA256,
    ikmE: "4270e54ffd08d79d5928020af4686d8f6b7d35dbe470265f1f5aa22816ce860e",
    ikmR: "668b37171f1072f3cf12ea8a236a45df23fc13b82af3609ad1e354f6ef817550",
    publicKey:
      "04fe8c19ce0905191ebc298a9245792531f26f0cece2460639e8bc39cb7f706a826a779b4cf969b8a0e539c7f62fb3d30ad6aa8f80e30f1d128aafd68a2ce72ea0",
    enc: "04a92719c6195d5085104f469a8b9814d5838ff72b60501e2c4466e5e67b325ac98536d7b61a1af4b78e5b7f951c0900be863c403ce65c9bfcb9382657222d18c4",
    ciphertext: "5ad590bb8baa577f8619db35a36311226a896e7342a6d836d8b7bcd2f20b6c7f9076ac232e3ab2523f39513434",
    exported: "d8f1ea7942adbba7412c6d431c62d01371ea476b823eb697e1f6e6cae1dab85a",
  },
] as const;

const INFO = utf8("Ode on a Grecian Urn");
const PLAINTEXT = utf8("Beauty is truth, truth beauty");
const AAD = utf8("Count-0");
const EXPORTER_CONTEXT = utf8("TestContext");

describe("RFC 9180 appendix A, base mode", () => {
  it.each(VECTORS)("$name: seals, opens and exports byte for byte", async (vector) => {
    const { hpke } = present(suiteOf(vector.kemId, { kdfId: KDF_HKDF_SHA256, aeadId: AEAD_AES_128_GCM }));
    const recipientKey = await hpke.kem.deriveKeyPair(hex(vector.ikmR));
    const recipientPublicKey = await hpke.kem.deserializePublicKey(hex(vector.publicKey));
    expect(toHex(new Uint8Array(await hpke.kem.serializePublicKey(recipientKey.publicKey)))).toBe(vector.publicKey);

    const sender = await hpke.createSenderContext({ recipientPublicKey, info: INFO, ekm: hex(vector.ikmE) });
    expect(toHex(new Uint8Array(sender.enc))).toBe(vector.enc);
    expect(toHex(new Uint8Array(await sender.seal(PLAINTEXT, AAD)))).toBe(vector.ciphertext);
    expect(toHex(new Uint8Array(await sender.export(EXPORTER_CONTEXT, 32)))).toBe(vector.exported);

    const recipient = await hpke.createRecipientContext({ recipientKey, enc: hex(vector.enc), info: INFO });
    expect(new Uint8Array(await recipient.open(hex(vector.ciphertext), AAD))).toEqual(PLAINTEXT);
    expect(toHex(new Uint8Array(await recipient.export(EXPORTER_CONTEXT, 32)))).toBe(vector.exported);
  });
});

describe("the tables", () => {
  it.each([
    ["X25519", KEM_X25519_HKDF_SHA256, 32, 32],
    ["P-256", KEM_P256_HKDF_SHA256, 65, 65],
  ])("have DHKEM(%s) with the sizes of RFC 9180 §7.1", (_, kemId, publicKeyBytes, encBytes) => {
    expect(kemOf(kemId)).toMatchObject({ publicKeyBytes, encBytes });
    for (const algorithms of SYMMETRIC_ALGORITHMS) expect(suiteOf(kemId, algorithms)).toMatchObject({ encBytes });
  });

  it("prefer AES-256-GCM to AES-128-GCM", () => {
    expect(SYMMETRIC_ALGORITHMS.map(({ aeadId }) => aeadId)).toEqual([AEAD_AES_256_GCM, AEAD_AES_128_GCM]);
  });

  it.each([
    ["KEM", 0x11, 1, 1],
    ["KDF", 0x20, 2, 1],
    ["AEAD", 0x20, 1, 3],
    ["AEAD, export only", 0x20, 1, 0xffff],
  ])("have no suite with another %s", (_, kemId, kdfId, aeadId) => {
    expect(suiteOf(0x20, { kdfId: 1, aeadId: 1 })).toBeDefined();
    expect(suiteOf(kemId, { kdfId, aeadId })).toBeUndefined();
  });

  it("have no KEM of another number", () => {
    expect(kemOf(0x12)).toBeUndefined();
  });
});
