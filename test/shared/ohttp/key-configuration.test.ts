/** Key configurations and their list: RFC 9458's example, what is skipped, and each refusal by one change. */
import { describe, expect, it } from "vitest";
import { encodeUint } from "../../../shared/byte-writer.js";
import { concatBytes, toHex } from "../../../shared/bytes.js";
import type { KeyConfiguration } from "../../../shared/ohttp/key-configuration.js";
import {
  deriveKeyPair,
  encodeKeyConfigurations,
  generateKeyPair,
  parseKeyConfigurations,
} from "../../../shared/ohttp/key-configuration.js";
import { openRequest, sealRequest } from "../../../shared/ohttp/request.js";
import { KEM_P256_HKDF_SHA256, KEM_X25519_HKDF_SHA256, SYMMETRIC_ALGORITHMS } from "../../../shared/ohttp/suites.js";
import { hex } from "../../support/hex.js";
import { exampleKeyPair, KEY_CONFIGURATION } from "./rfc9458.js";

const listOf = (...configurations: readonly Uint8Array[]) =>
  concatBytes(...configurations.map((bytes) => concatBytes(encodeUint(bytes.length, 2), bytes)));

/** One configuration part by part, to change one of them. */
const PARTS = {
  keyId: hex("01"),
  kemId: hex("0020"),
  publicKey: new Uint8Array(32).fill(9),
  length: hex("0008"),
  symmetric: hex("0001000200010001"),
  after: new Uint8Array(0),
};
const configuration = (changes: Partial<typeof PARTS> = {}) => concatBytes(...Object.values({ ...PARTS, ...changes }));
const BASELINE: KeyConfiguration = {
  keyId: 1,
  kemId: 0x20,
  publicKey: PARTS.publicKey,
  symmetric: [
    { kdfId: 1, aeadId: 2 },
    { kdfId: 1, aeadId: 1 },
  ],
};

describe("RFC 9458 appendix A", () => {
  it("the key configuration is read, and written byte for byte", async () => {
    const { configuration: example } = await exampleKeyPair();
    expect(parseKeyConfigurations(listOf(KEY_CONFIGURATION))).toEqual([example]);
    expect(toHex(encodeKeyConfigurations([example]))).toBe(toHex(listOf(KEY_CONFIGURATION)));
  });
});

describe("parseKeyConfigurations", () => {
  it("reads several configurations in their order, the P-256 one with its longer key", () => {
    const p256 = { keyId: hex("ff"), kemId: hex("0010"), publicKey: new Uint8Array(65).fill(4) };
    const parsed = parseKeyConfigurations(listOf(configuration(), configuration(p256)));
    expect(parsed).toEqual([BASELINE, { ...BASELINE, keyId: 255, kemId: 0x10, publicKey: p256.publicKey }]);
  });

  it("hands out public keys that are their own", () => {
    const bytes = listOf(configuration());
    const [{ publicKey }] = parseKeyConfigurations(bytes);
    bytes.fill(0);
    expect(publicKey).toEqual(PARTS.publicKey);
  });

  it("keeps combinations that this package does not have, in their order", () => {
    const symmetric = hex("0001000300010001");
    expect(parseKeyConfigurations(listOf(configuration({ symmetric })))[0].symmetric).toEqual([
      { kdfId: 1, aeadId: 3 },
      { kdfId: 1, aeadId: 1 },
    ]);
  });

  it.each([
    ["an unknown KEM", { keyId: hex("02"), kemId: hex("647a"), publicKey: new Uint8Array(1216) }],
    [
      "an unknown KEM and the shortest of keys",
      { keyId: hex("02"), kemId: hex("647a"), publicKey: hex("00"), length: hex("0004"), symmetric: hex("00010001") },
    ],
    ["no combination that is known", { keyId: hex("02"), symmetric: hex("0001000300020001") }],
  ])("skips a configuration with %s", (_, changes) => {
    expect(parseKeyConfigurations(listOf(configuration(changes), configuration()))).toEqual([BASELINE]);
    expect(() => parseKeyConfigurations(listOf(configuration(changes)))).toThrowCode("ERR_OHTTP_MALFORMED");
  });

  it.each([
    ["no configuration", new Uint8Array(0)],
    ["a length that is cut", hex("00")],
    ["a configuration that is cut", listOf(configuration()).subarray(0, -1)],
    ["a byte after the last configuration", concatBytes(listOf(configuration()), hex("00"))],
    ["an empty configuration", listOf(configuration(), new Uint8Array(0))],
    ["a configuration of an unknown KEM that is too short", listOf(configuration(), hex("02647a000004000100"))],
    ["a key identifier twice", listOf(configuration(), configuration())],
    ["the key identifier of a skipped configuration", listOf(configuration(), configuration({ kemId: hex("647a") }))],
    ["a public key that is too short", listOf(configuration({ publicKey: new Uint8Array(31) }))],
    ["a public key that is too long", listOf(configuration({ publicKey: new Uint8Array(33) }))],
    ["no algorithms", listOf(configuration({ length: hex("0000"), symmetric: new Uint8Array(0) }))],
    ["half a pair of algorithms", listOf(configuration({ length: hex("0006"), symmetric: hex("000100020001") }))],
    ["fewer algorithms than it says", listOf(configuration({ length: hex("000c") }))],
    ["more algorithms than it says", listOf(configuration({ length: hex("0004") }))],
    ["bytes after its algorithms", listOf(configuration({ after: hex("00") }))],
  ])("refuses a list with %s", (_, bytes) => {
    expect(parseKeyConfigurations(listOf(configuration()))).toEqual([BASELINE]);
    expect(() => parseKeyConfigurations(bytes)).toThrowCode("ERR_OHTTP_MALFORMED");
  });

  it("takes a list of 4096 bytes and refuses one byte more", () => {
    const filler = (bytes: number) => concatBytes(hex("02647a"), new Uint8Array(bytes));
    const list = (bytes: number) => listOf(configuration(), filler(bytes));
    const room = 4096 - list(0).length;
    expect(parseKeyConfigurations(list(room))).toHaveLength(1);
    expect(() => parseKeyConfigurations(list(room + 1))).toThrowCode("ERR_OHTTP_MALFORMED");
  });
});

describe("encodeKeyConfigurations", () => {
  it("writes what is read back as it was", () => {
    const list = [BASELINE, { ...BASELINE, keyId: 0 }];
    expect(parseKeyConfigurations(encodeKeyConfigurations(list))).toEqual(list);
  });

  it.each<[string, readonly KeyConfiguration[]]>([
    ["an empty list", []],
    ["a key identifier twice", [BASELINE, BASELINE]],
    ["a key identifier of 256", [{ ...BASELINE, keyId: 256 }]],
    ["a negative key identifier", [{ ...BASELINE, keyId: -1 }]],
    ["a fraction of a key identifier", [{ ...BASELINE, keyId: 0.5 }]],
    ["a KEM that it does not have", [{ ...BASELINE, kemId: 0x12 }]],
    ["a public key of another length", [{ ...BASELINE, publicKey: new Uint8Array(31) }]],
    ["no usable combination", [{ ...BASELINE, symmetric: [{ kdfId: 1, aeadId: 3 }] }]],
    ["more than 4096 bytes", Array.from({ length: 90 }, (_, keyId) => ({ ...BASELINE, keyId }))],
  ])("writes no list with %s", (_, list) => {
    expect(() => encodeKeyConfigurations(list)).toThrow(TypeError);
  });
});

describe("generateKeyPair", () => {
  it.each([KEM_X25519_HKDF_SHA256, KEM_P256_HKDF_SHA256])(
    "of KEM %d gives a configuration, and a private key that stays",
    async (kemId) => {
      const { configuration: own, keys } = await generateKeyPair(kemId, 7);
      expect(own).toMatchObject({ keyId: 7, kemId, symmetric: SYMMETRIC_ALGORITHMS });
      expect(parseKeyConfigurations(encodeKeyConfigurations([own]))).toEqual([own]);
      expect(keys.privateKey.extractable).toBe(false);
      await expect(crypto.subtle.exportKey("pkcs8", keys.privateKey)).rejects.toThrow();
      expect(new Uint8Array(await crypto.subtle.exportKey("raw", keys.publicKey))).toEqual(own.publicKey);
    },
  );

  it("gives another key each time", async () => {
    const [one, other] = [await generateKeyPair(0x20, 1), await generateKeyPair(0x20, 1)];
    expect(one.configuration.publicKey).not.toEqual(other.configuration.publicKey);
  });

  it("throws a TypeError for a KEM that it does not have, and for what is no key identifier", async () => {
    await expect(generateKeyPair(0x12, 1)).rejects.toThrow(TypeError);
    for (const keyId of [256, -1, 0.5]) await expect(generateKeyPair(0x20, keyId)).rejects.toThrow(TypeError);
  });
});

describe("deriveKeyPair", () => {
  /** RFC 9180 appendix A.1.1 and A.3.1: ikmR and pkRm. */
  it.each([
    [
      KEM_X25519_HKDF_SHA256,
      "6db9df30aa07dd42ee5e8181afdb977e538f5e1fec8a06223f33f7013e525037",
      "3948cfe0ad1ddb695d780e59077195da6c56506b027329794ab02bca80815c4d",
    ],
    [
      KEM_P256_HKDF_SHA256,
      "668b37171f1072f3cf12ea8a236a45df23fc13b82af3609ad1e354f6ef817550",
      "04fe8c19ce0905191ebc298a9245792531f26f0cece2460639e8bc39cb7f706a826a779b4cf969b8a0e539c7f62fb3d30ad6aa8f80e30f1d128aafd68a2ce72ea0",
    ],
  ])(
    "gives the recipient's key of RFC 9180 appendix A for KEM %d, and a private key that stays",
    async (kemId, ikm, pk) => {
      const { configuration: own, keys } = await deriveKeyPair(kemId, 7, hex(ikm));
      expect(own).toMatchObject({ keyId: 7, kemId, symmetric: SYMMETRIC_ALGORITHMS });
      expect(toHex(own.publicKey)).toBe(pk);
      expect(keys.privateKey.extractable).toBe(false);
      const { sealed, openResponse } = await sealRequest(own, hex("01"));
      const { request, sealResponse } = await openRequest({ configuration: own, keys }, sealed);
      expect(toHex(request)).toBe("01");
      expect(toHex(await openResponse(await sealResponse(hex("02"))))).toBe("02");
    },
  );

  it("throws a TypeError for less than a private key's length, and as generateKeyPair does", async () => {
    const ikm = new Uint8Array(32);
    await expect(deriveKeyPair(0x20, 1, ikm)).resolves.toBeDefined();
    await expect(deriveKeyPair(0x20, 1, ikm.slice(1))).rejects.toThrow(TypeError);
    await expect(deriveKeyPair(0x12, 1, ikm)).rejects.toThrow(TypeError);
    await expect(deriveKeyPair(0x20, 256, ikm)).rejects.toThrow(TypeError);
  });
});
