/** Each function as clients call it: through a sealed channel, on the simulated platform. */
import assert from "node:assert/strict";
import { createHash, createPublicKey, randomBytes, verify } from "node:crypto";
import { after, before, describe, it } from "node:test";
import type { Enclave } from "nitro-decrypt";
import { encodeList } from "../functions/match-list.js";
import { CARD_NUMBER, LIST } from "../local/samples.js";
import type { LocalStack } from "../local/stack.js";
import { startLocalStack } from "../local/stack.js";

const TENANT = "acme";
const CARD = { tenant: TENANT, purpose: "card-number" };
const KEY = { tenant: TENANT, purpose: "signing-key" };
const MATCH = { tenant: TENANT, purpose: "match-list" };
const text = (value: string) => Buffer.from(value);
const refused = (code: string) => ({ name: "ServiceError", code });

let stack: LocalStack;
let acme: Enclave;
let other: Enclave;
before(async () => {
  stack = await startLocalStack();
  [acme, other] = await Promise.all([stack.connect(TENANT), stack.connect("other")]);
});
after(async () => {
  acme?.close();
  other?.close();
  await stack?.close();
});

interface CardToken {
  lastFour: string;
  token: string;
}

async function cardToken(digits: string, context: Record<string, string> = CARD, enclave = acme): Promise<CardToken> {
  const ciphertext = await stack.operator.encrypt(text(digits), context);
  return (await enclave.callFunction("card-token", { ciphertext, encryptionContext: context })) as CardToken;
}

describe("card-token", () => {
  it("gives the last four digits and a token, and nothing else", async () => {
    const answer = await cardToken(CARD_NUMBER);
    assert.deepEqual(Object.keys(answer).sort(), ["lastFour", "token"]);
    assert.equal(answer.lastFour, "1111");
    assert.match(answer.token, /^[\w-]{43}$/);
  });

  it("gives the same number the same token, however it was encrypted, and another number another one", async () => {
    const message = await stack.operator.encryptMessage(text(CARD_NUMBER), CARD);
    const { token } = await cardToken(CARD_NUMBER);
    assert.equal(((await acme.callFunction("card-token", { message })) as CardToken).token, token);
    assert.equal((await cardToken(CARD_NUMBER)).token, token);
    assert.notEqual((await cardToken("5555555555554444")).token, token);
  });

  it("gives two tenants tokens that cannot be compared", async () => {
    const context = { ...CARD, tenant: "other" };
    assert.notEqual((await cardToken(CARD_NUMBER, context, other)).token, (await cardToken(CARD_NUMBER)).token);
  });

  it("does not take the end of a tenant's name for a digit", async () => {
    const acme0 = await stack.connect("acme0");
    const { token } = await cardToken(CARD_NUMBER, { ...CARD, tenant: "acme0" }, acme0);
    assert.notEqual((await cardToken(`0${CARD_NUMBER}`)).token, token);
  });

  it("does not give the plain digest of the number, nor of tenant and number", async () => {
    const { token } = await cardToken(CARD_NUMBER);
    for (const guess of [CARD_NUMBER, `${TENANT}${CARD_NUMBER}`]) {
      assert.notEqual(token, createHash("sha256").update(guess).digest("base64url"));
    }
  });

  it("takes 12 to 19 digits", async () => {
    for (const digits of ["000000000000", "4222222222222", "6304000000000000000"]) {
      assert.equal((await cardToken(digits)).lastFour, digits.slice(-4));
    }
  });

  for (const [what, digits] of [
    ["a wrong check digit", "4111111111111112"],
    ["two digits exchanged", "4111111111111711"],
    ["11 digits", "00000000000"],
    ["20 digits", "00000000000000000000"],
    ["digits in groups", "4111 1111 1111 1111"],
    ["the byte before the digits, where the sum would be right", "00000000020/"],
    ["the byte after the digits, where the sum would be right", "00000000090:"],
    ["fullwidth digits", "１１１１"],
  ] as const) {
    it(`refuses ${what}`, () => assert.rejects(cardToken(digits), refused("ERR_FUNCTION_REFUSED")));
  }

  it("takes no input", async () => {
    const ciphertext = await stack.operator.encrypt(text(CARD_NUMBER), CARD);
    const call = acme.callFunction("card-token", { ciphertext, encryptionContext: CARD, input: { tenant: "other" } });
    await assert.rejects(call, refused("ERR_MESSAGE_MALFORMED"));
  });
});

describe("sign-digest", () => {
  const message = randomBytes(200);
  const digest = createHash("sha256").update(message).digest();
  const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString("base64");

  async function makeKey(spec: "ECC_NIST_P256" | "RSA_2048" | "ECC_NIST_P384") {
    const { ciphertext, publicKey } = await stack.operator.makeSigningKey(spec, KEY);
    const key = createPublicKey({ key: Buffer.from(publicKey), format: "der", type: "spki" });
    const sign = async (input: unknown): Promise<Buffer> => {
      const output = await acme.callFunction("sign-digest", { ciphertext, encryptionContext: KEY, input });
      assert.deepEqual(Object.keys(output as object), ["signature"]);
      return Buffer.from((output as { signature: string }).signature, "base64");
    };
    return { key, sign };
  }

  it("signs with ECDSA on P-256", async () => {
    const { key, sign } = await makeKey("ECC_NIST_P256");
    const signature = await sign({ algorithm: "ECDSA_SHA_256", message: base64(message) });
    assert.ok(verify("sha256", message, key, signature));
    assert.ok(!verify("sha256", digest, key, signature));
  });

  it("signs a digest with RSASSA-PKCS1-v1_5", async () => {
    const { key, sign } = await makeKey("RSA_2048");
    const signature = await sign({ algorithm: "RSASSA_PKCS1_V1_5_SHA_256", digest: base64(digest) });
    assert.ok(verify("sha256", message, key, signature));
  });

  it("signs with RSASSA-PSS, with a salt as long as the digest", async () => {
    const { key, sign } = await makeKey("RSA_2048");
    const signature = await sign({ algorithm: "RSASSA_PSS_SHA_256", message: base64(message) });
    const padding = 6; // constants.RSA_PKCS1_PSS_PADDING
    assert.ok(verify("sha256", message, { key, padding, saltLength: 32 }, signature));
  });

  it("refuses a key that is not one for the algorithm", async () => {
    const [p256, p384, rsa] = await Promise.all([
      makeKey("ECC_NIST_P256"),
      makeKey("ECC_NIST_P384"),
      makeKey("RSA_2048"),
    ]);
    const ecdsa = { algorithm: "ECDSA_SHA_256", message: base64(message) };
    await assert.rejects(rsa.sign(ecdsa), refused("ERR_FUNCTION_REFUSED"));
    await assert.rejects(p384.sign(ecdsa), refused("ERR_FUNCTION_REFUSED"));
    const pkcs1 = { algorithm: "RSASSA_PKCS1_V1_5_SHA_256", digest: base64(digest) };
    await assert.rejects(p256.sign(pkcs1), refused("ERR_FUNCTION_REFUSED"));
  });

  it("refuses what is no private key", async () => {
    const ciphertext = await stack.operator.encrypt(text("no key"), KEY);
    const input = { algorithm: "ECDSA_SHA_256", message: base64(message) };
    const call = acme.callFunction("sign-digest", { ciphertext, encryptionContext: KEY, input });
    await assert.rejects(call, refused("ERR_FUNCTION_REFUSED"));
  });

  it("refuses input of another form", async () => {
    const { sign } = await makeKey("RSA_2048");
    const algorithm = "RSASSA_PKCS1_V1_5_SHA_256";
    for (const input of [
      { algorithm, digest: base64(digest.subarray(1)) },
      { algorithm, digest: base64(Buffer.concat([digest, digest])) },
      { algorithm, digest: `${base64(digest).slice(0, -2)}1=` }, // the same bytes, not canonical
      { algorithm, digest: base64(digest), message: base64(message) },
      { algorithm, message: base64(message) },
      { algorithm: "RSASSA_PSS_SHA_256", message: "" },
      { algorithm: "RSASSA_PSS_SHA_256", message: base64(new Uint8Array(4097)) },
      { algorithm: "RSASSA_PKCS1_V1_5_SHA_1", digest: base64(digest) },
      undefined,
    ]) {
      await assert.rejects(sign(input), refused("ERR_MESSAGE_MALFORMED"));
    }
  });
});

describe("match-list", () => {
  const matches = async (list: Uint8Array, value: unknown): Promise<unknown> => {
    const message = await stack.operator.encryptMessage(list, MATCH);
    return acme.callFunction("match-list", { message, encryptionContext: MATCH, input: { value } });
  };

  it("tells whether the value is on the list, and nothing else", async () => {
    const list = encodeList(LIST);
    for (const value of LIST) assert.deepEqual(await matches(list, value), { matches: true });
    for (const value of ["Alice Example", "mallory", "mallory example\ntrent example"]) {
      assert.deepEqual(await matches(list, value), { matches: false });
    }
  });

  it("compares in normal form: case, spaces, and ways to write the same letters", async () => {
    const list = encodeList(["José  ÁLVAREZ"]);
    assert.deepEqual(await matches(list, " jose\u0301 a\u0301lvarez "), { matches: true });
    assert.deepEqual(await matches(list, "jose alvarez"), { matches: false });
  });

  it("finds each of many values, the first and the last too", async () => {
    const values = Array.from({ length: 2_000 }, (_, index) => `value ${index}`);
    const list = encodeList(values);
    for (const value of ["value 0", "value 1234", "value 999"])
      assert.deepEqual(await matches(list, value), { matches: true });
    assert.deepEqual(await matches(list, "value 2000"), { matches: false });
  });

  it("refuses lists that are not of its form", async () => {
    for (const list of ["mallory example", "mallory example\n\n", "\nmallory example\n"]) {
      await assert.rejects(matches(text(list), "trent"), refused("ERR_FUNCTION_REFUSED"));
    }
    assert.throws(() => encodeList([]), TypeError);
    assert.throws(() => encodeList(["mallory", " "]), TypeError);
  });

  it("refuses values that are empty in normal form, or longer than a value is", async () => {
    for (const value of ["", " \t", "x".repeat(1025), 7]) {
      await assert.rejects(matches(encodeList(LIST), value), refused("ERR_MESSAGE_MALFORMED"));
    }
  });
});

describe("who may what", () => {
  it("a caller may have nothing done with what is another tenant's", async () => {
    await assert.rejects(cardToken(CARD_NUMBER, CARD, other), refused("ERR_NOT_AUTHORIZED"));
    const { ciphertext } = await stack.operator.makeSigningKey("ECC_NIST_P256", KEY);
    const input = { algorithm: "ECDSA_SHA_256", message: "AAAA" };
    const signing = other.callFunction("sign-digest", { ciphertext, encryptionContext: KEY, input });
    await assert.rejects(signing, refused("ERR_NOT_AUTHORIZED"));
    const message = await stack.operator.encryptMessage(encodeList(LIST), MATCH);
    const matching = other.callFunction("match-list", { message, input: { value: "mallory" } });
    await assert.rejects(matching, refused("ERR_NOT_AUTHORIZED"));
  });

  it("a ciphertext does not open under another context than its own", async () => {
    const ciphertext = await stack.operator.encrypt(text(CARD_NUMBER), CARD);
    const call = other.callFunction("card-token", { ciphertext, encryptionContext: { ...CARD, tenant: "other" } });
    await assert.rejects(call, refused("ERR_KMS_REFUSED"));
  });

  it("a ciphertext serves one purpose: a card number is no list to guess from, and a list no key", async () => {
    const message = await stack.operator.encryptMessage(text(`${CARD_NUMBER}\n`), CARD);
    const guess = acme.callFunction("match-list", { message, input: { value: CARD_NUMBER } });
    await assert.rejects(guess, refused("ERR_NOT_AUTHORIZED"));
    await assert.rejects(cardToken(CARD_NUMBER, MATCH), refused("ERR_NOT_AUTHORIZED"));
    const ciphertext = await stack.operator.encrypt(text("no key"), MATCH);
    const input = { algorithm: "ECDSA_SHA_256", message: "AAAA" };
    const signing = acme.callFunction("sign-digest", { ciphertext, encryptionContext: MATCH, input });
    await assert.rejects(signing, refused("ERR_NOT_AUTHORIZED"));
  });

  it("what is bound to no tenant is nobody's: the HMAC key is no data", async () => {
    await assert.rejects(cardToken(CARD_NUMBER, { purpose: "card-number" }), refused("ERR_NOT_AUTHORIZED"));
    await assert.rejects(cardToken(CARD_NUMBER, { purpose: "card-token-key" }), refused("ERR_NOT_AUTHORIZED"));
  });

  it("no caller gets plaintext, and the operator does not either", async () => {
    const ciphertext = await stack.operator.encrypt(text(CARD_NUMBER), CARD);
    await assert.rejects(acme.decrypt({ ciphertext, encryptionContext: CARD }), refused("ERR_NOT_AUTHORIZED"));
    await assert.rejects(acme.random(16), refused("ERR_NOT_AUTHORIZED"));
    await assert.rejects(stack.operator.decrypt(ciphertext, CARD), { name: "AccessDeniedException" });
  });
});
