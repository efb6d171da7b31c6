/** Sealed requests and their answers: RFC 9458's example, a second implementation, and each refusal by one change. */
import { beforeAll, describe, expect, it } from "vitest";
import { concatBytes, toHex, utf8 } from "../../../shared/bytes.js";
import { ServiceError } from "../../../shared/errors.js";
import type { KeyConfiguration, OhttpKeyPair } from "../../../shared/ohttp/key-configuration.js";
import { generateKeyPair } from "../../../shared/ohttp/key-configuration.js";
import { encodeHeader, openRequest, parseSealedHeader, sealRequest, sealWith } from "../../../shared/ohttp/request.js";
import { openResponse, responseContextOf, sealResponse, sealResponseUnder } from "../../../shared/ohttp/response.js";
import type { SymmetricAlgorithms } from "../../../shared/ohttp/suites.js";
import { SYMMETRIC_ALGORITHMS, suiteOf } from "../../../shared/ohttp/suites.js";
import { present } from "../../support/attestation.js";
import { hex } from "../../support/hex.js";
import { generateNodeKeyPair, nodeOpen, nodeSeal } from "../../support/node-hpke.js";
import * as rfc from "./rfc9458.js";

const REQUEST = utf8("a request in Binary HTTP");
const RESPONSE = utf8("an answer in Binary HTTP");
const AES_128 = { kdfId: 1, aeadId: 1 };
const AES_256 = { kdfId: 1, aeadId: 2 };

/** The KEMs and AEADs, each with each. */
const SUITES = [0x20, 0x10].flatMap((kemId) =>
  SYMMETRIC_ALGORITHMS.map((algorithms) => ({ kemId, ...algorithms, name: `KEM ${kemId}, AEAD ${algorithms.aeadId}` })),
);

async function pairFor(kemId: number, ...symmetric: [SymmetricAlgorithms, ...SymmetricAlgorithms[]]) {
  const pair = await generateKeyPair(kemId, 5);
  return { ...pair, configuration: { ...pair.configuration, symmetric } };
}

describe("RFC 9458 appendix A", () => {
  const suite = () => present(suiteOf(0x20, AES_128));

  it("the client's request comes out byte for byte, and it opens the answer", async () => {
    const { configuration } = await rfc.exampleKeyPair();
    const { hpke } = suite();
    const sender = await hpke.createSenderContext({
      recipientPublicKey: await hpke.kem.deserializePublicKey(configuration.publicKey),
      info: rfc.INFO,
      ekm: await rfc.importX25519(rfc.EPHEMERAL_PRIVATE_KEY, rfc.ENC),
    });
    const header = encodeHeader({ keyId: 1, kemId: 0x20, ...AES_128 });
    const sealed = await sealWith(sender, { suite: suite(), header }, rfc.REQUEST);
    expect(toHex(sealed.sealed)).toBe(toHex(rfc.ENCAPSULATED_REQUEST));
    expect(toHex(await sealed.openResponse(rfc.ENCAPSULATED_RESPONSE))).toBe(toHex(rfc.RESPONSE));
  });

  it("the gateway opens the request", async () => {
    const opened = await openRequest(await rfc.exampleKeyPair(), rfc.ENCAPSULATED_REQUEST);
    expect(toHex(opened.request)).toBe(toHex(rfc.REQUEST));
    expect(toHex(opened.enc)).toBe(toHex(rfc.ENC));
    expect(parseSealedHeader(rfc.ENCAPSULATED_REQUEST)).toEqual({ keyId: 1, kemId: 0x20, ...AES_128, enc: rfc.ENC });
  });

  it("the gateway's exported secret and its answer come out byte for byte", async () => {
    const { keys: recipientKey } = await rfc.exampleKeyPair();
    const recipient = await suite().hpke.createRecipientContext({ recipientKey, enc: rfc.ENC, info: rfc.INFO });
    const context = await responseContextOf(recipient, suite(), rfc.ENC);
    expect(toHex(context.secret)).toBe(toHex(rfc.EXPORTED_SECRET));
    const sealed = await sealResponseUnder(rfc.RESPONSE_NONCE, context, rfc.RESPONSE);
    expect(toHex(sealed)).toBe(toHex(rfc.ENCAPSULATED_RESPONSE));
  });

  it("its configuration, which offers AES-128-GCM and ChaCha20-Poly1305, is sealed to with AES-128-GCM", async () => {
    const pair = await rfc.exampleKeyPair();
    const { sealed } = await sealRequest(pair.configuration, rfc.REQUEST);
    expect(parseSealedHeader(sealed)).toMatchObject(AES_128);
    expect((await openRequest(pair, sealed)).request).toEqual(rfc.REQUEST);
  });
});

describe.each(SUITES)("a second implementation, $name", ({ kemId, kdfId, aeadId }) => {
  const configurationOf = (publicKey: Uint8Array<ArrayBuffer>): KeyConfiguration => ({
    keyId: 9,
    kemId,
    publicKey,
    symmetric: [{ kdfId, aeadId }],
  });

  it("opens what sealRequest sealed, and its answer is opened", async () => {
    const keys = generateNodeKeyPair(kemId);
    const request = await sealRequest(configurationOf(keys.publicKey), REQUEST);
    const opened = nodeOpen(kemId, keys, request.sealed);
    expect(opened.request).toEqual(REQUEST);
    await expect(request.openResponse(opened.sealResponse(RESPONSE))).resolves.toEqual(RESPONSE);
  });

  it("seals what openRequest opens, and opens its answer", async () => {
    const pair = await pairFor(kemId, { kdfId, aeadId });
    const header = encodeHeader({ keyId: 5, kemId, kdfId, aeadId });
    const request = nodeSeal(header, pair.configuration.publicKey, REQUEST);
    const opened = await openRequest(pair, request.sealed);
    expect(opened.request).toEqual(REQUEST);
    expect(request.openResponse(await opened.sealResponse(RESPONSE))).toEqual(RESPONSE);
  });
});

describe.each(SUITES)("$name", ({ kemId, kdfId, aeadId }) => {
  it("carries a request and its answer, empty ones too", async () => {
    const pair = await pairFor(kemId, { kdfId, aeadId });
    for (const [question, answer] of [
      [REQUEST, RESPONSE],
      [new Uint8Array(0), new Uint8Array(0)],
    ] as const) {
      const { sealed, openResponse } = await sealRequest(pair.configuration, question);
      const { request, enc, sealResponse } = await openRequest(pair, sealed);
      expect(request).toEqual(question);
      expect(parseSealedHeader(sealed)).toEqual({ keyId: 5, kemId, kdfId, aeadId, enc });
      await expect(openResponse(await sealResponse(answer))).resolves.toEqual(answer);
    }
  });
});

describe("sealRequest", () => {
  let pair: OhttpKeyPair;
  beforeAll(async () => {
    pair = await generateKeyPair(0x20, 5);
  });

  it("takes the best combination that is offered, wherever it stands", async () => {
    for (const [offered, taken] of [
      [[AES_128, AES_256], AES_256],
      [[AES_256, AES_128], AES_256],
      [[{ kdfId: 2, aeadId: 2 }, AES_128], AES_128],
    ] as const) {
      const { sealed } = await sealRequest({ ...pair.configuration, symmetric: offered }, REQUEST);
      expect(parseSealedHeader(sealed)).toMatchObject(taken);
    }
  });

  it("never seals alike: the encapsulated key tells requests apart", async () => {
    const [one, other] = [
      await sealRequest(pair.configuration, REQUEST),
      await sealRequest(pair.configuration, REQUEST),
    ];
    expect(parseSealedHeader(one.sealed).enc).not.toEqual(parseSealedHeader(other.sealed).enc);
  });

  it.each([
    ["an X25519 point of small order", 0x20, () => new Uint8Array(32)],
    ["what is no point of P-256", 0x10, () => concatBytes(hex("04"), new Uint8Array(64).fill(1))],
    ["a P-256 point in hybrid form", 0x10, () => hybridForm()],
    [
      "a P-256 point whose first byte is another",
      0x10,
      async () => (await generateKeyPair(0x10, 1)).configuration.publicKey.map((byte, i) => (i === 0 ? 0 : byte)),
    ],
  ])("refuses a public key that is %s", async (_, kemId, publicKey) => {
    const configuration = { keyId: 1, kemId, publicKey: await publicKey(), symmetric: [AES_256] } as const;
    await expect(sealRequest(configuration, REQUEST)).rejects.toThrowCode("ERR_OHTTP_MALFORMED");
  });

  it("throws a TypeError for a configuration that parseKeyConfigurations would not return", async () => {
    const { configuration } = pair;
    await expect(sealRequest({ ...configuration, kemId: 0x12 }, REQUEST)).rejects.toThrow(TypeError);
    const symmetric = [{ kdfId: 1, aeadId: 3 }] as const;
    await expect(sealRequest({ ...configuration, symmetric }, REQUEST)).rejects.toThrow(TypeError);
  });

  /** SEC 1 §2.3.3: both coordinates behind a byte that also says the parity of y; OpenSSL reads it. */
  async function hybridForm() {
    const { publicKey } = (await generateKeyPair(0x10, 1)).configuration;
    return publicKey.map((byte, i) => (i === 0 ? 6 + ((publicKey[64] ?? 0) & 1) : byte));
  }
});

describe("openRequest", () => {
  let pair: OhttpKeyPair;
  let sealed: Uint8Array<ArrayBuffer>;
  beforeAll(async () => {
    pair = await pairFor(0x20, AES_256);
    sealed = (await sealRequest(pair.configuration, REQUEST)).sealed;
  });
  const withHeader = (text: string) => concatBytes(hex(text), sealed.subarray(7));

  it("opens the baseline", async () => {
    expect(toHex(sealed.subarray(0, 7))).toBe("05002000010002");
    expect((await openRequest(pair, withHeader("05002000010002"))).request).toEqual(REQUEST);
  });

  it.each([
    ["another key", "06002000010002"],
    ["another KEM of the table", "05001000010002"],
    ["a KEM that is not in the table", "05001200010002"],
    ["a KDF that is not in the table", "05002000020002"],
    ["an AEAD that the key does not offer", "05002000010001"],
    ["an AEAD that is not in the table", "05002000010003"],
    ["an export-only AEAD", "0500200001ffff"],
  ])("refuses a header of %s", async (_, header) => {
    // Long enough for every KEM of the table: the header alone is wrong.
    const request = concatBytes(withHeader(header), new Uint8Array(64));
    await expect(openRequest(pair, request)).rejects.toThrowCode("ERR_KEY_CONFIGURATION");
  });

  it("refuses algorithms that its key's configuration names and the tables lack", async () => {
    const configuration = { ...pair.configuration, symmetric: [AES_256, { kdfId: 1, aeadId: 3 }] } as const;
    const request = withHeader("05002000010003");
    await expect(openRequest({ ...pair, configuration }, request)).rejects.toThrowCode("ERR_KEY_CONFIGURATION");
  });

  it("refuses what is too short for a header, a key and a tag, and no more than that", async () => {
    const shortest = 7 + 32 + 16;
    for (const length of [0, 6, 7, 7 + 31, 7 + 32, shortest - 1]) {
      await expect(openRequest(pair, sealed.subarray(0, length))).rejects.toThrowCode("ERR_OHTTP_MALFORMED");
      expect(() => parseSealedHeader(sealed.subarray(0, length))).toThrowCode("ERR_OHTTP_MALFORMED");
    }
    await expect(openRequest(pair, sealed.subarray(0, shortest))).rejects.toThrowCode("ERR_DECRYPTION_FAILED");
    expect(parseSealedHeader(sealed.subarray(0, shortest)).enc).toHaveLength(32);
  });

  it.each([
    ["a flipped tag", () => concatBytes(sealed.subarray(0, -1), Uint8Array.of((sealed.at(-1) ?? 0) ^ 1))],
    ["a byte after the tag", () => concatBytes(sealed, hex("00"))],
    [
      "an encapsulated key of small order",
      () => concatBytes(sealed.subarray(0, 7), new Uint8Array(32), sealed.subarray(39)),
    ],
    ["another encapsulated key", () => concatBytes(sealed.subarray(0, 7), rfc.ENC, sealed.subarray(39))],
  ])("refuses %s as it refuses everything that depends on a secret: without a cause", async (_, request) => {
    const error = await openRequest(pair, request()).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(ServiceError);
    expect(error).toMatchObject({ code: "ERR_DECRYPTION_FAILED", message: "decryption failed" });
    expect(error).not.toHaveProperty("cause");
  });

  it("refuses a P-256 request whose encapsulated key is no point, alike", async () => {
    const p256 = await pairFor(0x10, AES_256);
    const request = (await sealRequest(p256.configuration, REQUEST)).sealed;
    expect((await openRequest(p256, request)).request).toEqual(REQUEST);
    const wrong = request.map((byte, i) => (i === 7 + 64 ? byte ^ 1 : byte));
    const error = await openRequest(p256, wrong).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: "ERR_DECRYPTION_FAILED" });
    expect(error).not.toHaveProperty("cause");
  });

  it("refuses a request to another key with the same identifier", async () => {
    const other = await pairFor(0x20, AES_256);
    await expect(openRequest(other, sealed)).rejects.toThrowCode("ERR_DECRYPTION_FAILED");
  });

  it("refuses a request whose header was another when it was sealed, though key and algorithms fit", async () => {
    const renamed = { ...pair, configuration: { ...pair.configuration, keyId: 6 } };
    await expect(openRequest(renamed, withHeader("06002000010002"))).rejects.toThrowCode("ERR_DECRYPTION_FAILED");
  });

  it("hands out an encapsulated key that is its own", async () => {
    const bytes = new Uint8Array(sealed);
    const { enc } = await openRequest(pair, bytes);
    const header = parseSealedHeader(bytes);
    bytes.fill(0);
    expect(enc).toEqual(sealed.subarray(7, 39));
    expect(header.enc).toEqual(enc);
  });
});

describe("the answer", () => {
  let pair: OhttpKeyPair;
  beforeAll(async () => {
    pair = await pairFor(0x20, AES_256);
  });
  async function exchange() {
    const client = await sealRequest(pair.configuration, REQUEST);
    return { client, enclave: await openRequest(pair, client.sealed) };
  }

  it("opens once: a second call is a programmer's mistake, whatever the first gave", async () => {
    const { client, enclave } = await exchange();
    const answer = await enclave.sealResponse(RESPONSE);
    await expect(client.openResponse(answer)).resolves.toEqual(RESPONSE);
    await expect(client.openResponse(answer)).rejects.toThrow(TypeError);
    await expect(enclave.sealResponse(RESPONSE)).rejects.toThrow(TypeError);

    const second = await exchange();
    const good = await second.enclave.sealResponse(RESPONSE);
    await Promise.all([
      expect(second.client.openResponse(answer)).rejects.toThrowCode("ERR_DECRYPTION_FAILED"),
      expect(second.client.openResponse(good)).rejects.toThrow(TypeError),
    ]);
  });

  it("has a fresh nonce of max(Nn, Nk) bytes before it", async () => {
    const answers = [await exchange(), await exchange()].map(({ enclave }) => enclave.sealResponse(RESPONSE));
    const [one, other] = await Promise.all(answers);
    expect(one).toHaveLength(32 + RESPONSE.length + 16);
    expect(present(one).subarray(0, 32)).not.toEqual(present(other).subarray(0, 32));
  });

  it("of another request is refused (pitfall 33)", async () => {
    const [one, other] = [await exchange(), await exchange()];
    const answer = await other.enclave.sealResponse(RESPONSE);
    await expect(one.client.openResponse(answer)).rejects.toThrowCode("ERR_DECRYPTION_FAILED");
  });

  it("that is damaged is refused without a cause", async () => {
    const { client, enclave } = await exchange();
    const answer = await enclave.sealResponse(RESPONSE);
    const damaged = answer.map((byte, i) => (i === 40 ? byte ^ 1 : byte));
    const error = await client.openResponse(damaged).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: "ERR_DECRYPTION_FAILED", message: "decryption failed" });
    expect(error).not.toHaveProperty("cause");
  });

  it("that is too short for a nonce and a tag is malformed, and no more than that", async () => {
    for (const [length, code] of [
      [0, "ERR_OHTTP_MALFORMED"],
      [32 + 15, "ERR_OHTTP_MALFORMED"],
      [32 + 16, "ERR_DECRYPTION_FAILED"],
    ] as const) {
      const { client, enclave } = await exchange();
      const answer = await enclave.sealResponse(RESPONSE);
      await expect(client.openResponse(answer.subarray(0, length))).rejects.toThrowCode(code);
    }
  });

  it("leaves no secret behind: sealed, opened or refused", async () => {
    const suite = present(suiteOf(0x20, AES_256));
    const contextWith = (secret: Uint8Array<ArrayBuffer>) => ({ suite, enc: rfc.ENC, secret });
    const secrets = Array.from({ length: 4 }, () => new Uint8Array(32).fill(7));
    const [sealing, opening, short, wrong] = secrets.map(contextWith);
    const answer = await sealResponse(present(sealing), RESPONSE);
    await expect(openResponse(present(opening), answer)).resolves.toEqual(RESPONSE);
    await expect(openResponse(present(short), hex("00"))).rejects.toThrowCode("ERR_OHTTP_MALFORMED");
    await expect(openResponse(present(wrong), new Uint8Array(64))).rejects.toThrowCode("ERR_DECRYPTION_FAILED");
    expect(secrets).toEqual(secrets.map(() => new Uint8Array(32)));
  });
});
