/** Proofs of possession: one that is accepted, and every way to be refused, by exact code. */
import fc from "fast-check";
import { beforeEach, describe, expect, it } from "vitest";
import type { Credentials } from "../../../enclave/authorization/principal.js";
import { ProofVerifier } from "../../../enclave/authorization/proof.js";
import { toBase64Url, utf8 } from "../../../shared/bytes.js";
import { ServiceError } from "../../../shared/errors.js";
import { createProof, generateProofKey, hashOfToken, thumbprintOf } from "../../../shared/proof-of-possession.js";
import type { Json, TestKey } from "../../support/jwt.js";
import { hmacJwt, signJwt, signSegments, testKey } from "../../support/jwt.js";
import { mutated } from "../../support/mutate.js";
import { START, TestClock } from "../fakes.js";

const NOW_MS = START.getTime();
const NOW = NOW_MS / 1000;
const WINDOW = 60;
const TOKEN = "header.claims.signature";
const REQUEST = { authorization: `DPoP ${TOKEN}`, method: "POST", path: "/v1/decrypt" };

const holder = testKey("ES256", "holder");
const thief = testKey("ES256", "thief");

/** The public key as a proof carries it. */
const jwkOf = ({ publicKey }: TestKey): Json => ({ ...publicKey.export({ format: "jwk" }) });
async function thumbprint(key: TestKey): Promise<string> {
  const { kty, crv, n, e, x, y } = jwkOf(key);
  const members = kty === "RSA" ? { e, kty, n } : { crv, kty, x, y };
  return toBase64Url(new Uint8Array(await crypto.subtle.digest("SHA-256", utf8(JSON.stringify(members)))));
}

const boundTo = await thumbprint(holder);
const ath = await hashOfToken(TOKEN);
let made = 0;

/** A proof with changes to a good header and good claims; `undefined` leaves a member out. Each has another `jti`. */
function proof(claims: Json = {}, header: Json = {}, key = holder): string {
  made++;
  const good = { jti: `proof no. ${made}`, htm: "POST", htu: "https://enclave.invalid/v1/decrypt", iat: NOW, ath };
  return signJwt({ typ: "dpop+jwt", alg: key.alg, jwk: jwkOf(key), ...header }, { ...good, ...claims }, key);
}

let clock = new TestClock();
let verifier = new ProofVerifier({ windowSeconds: WINDOW, maxRemembered: 1_000 }, clock);
beforeEach(() => {
  clock = new TestClock();
  verifier = new ProofVerifier({ windowSeconds: WINDOW, maxRemembered: 1_000 }, clock);
});

/** Verifies a proof and takes it. */
async function verify(dpop: string | undefined, request: Partial<Credentials> = {}, nowMs = NOW_MS): Promise<void> {
  verifier.take(await verifier.verify({ ...REQUEST, dpop, ...request }, { token: TOKEN, boundTo }, nowMs));
}

const refused = (dpop: string | undefined, request: Partial<Credentials> = {}, nowMs = NOW_MS) =>
  expect(verify(dpop, request, nowMs)).rejects.toThrowCode("ERR_TOKEN_BINDING");

describe("a proof", () => {
  it("of the client's own making is accepted", async () => {
    const key = await generateProofKey();
    const dpop = await createProof({ key, method: "POST", path: "/v1/decrypt", token: TOKEN, now: START });
    const bound = { token: TOKEN, boundTo: await thumbprintOf(key.publicKey) };
    await verifier.verify({ ...REQUEST, dpop }, bound, NOW_MS);
  });

  it.each(["ES256", "ES384", "ES512", "EdDSA", "Ed25519", "PS256", "PS384", "PS512"])(
    "may be signed with %s",
    async (alg) => {
      const key = testKey(alg, "k");
      const bound = { token: TOKEN, boundTo: alg.startsWith("Ed") ? await okpThumbprint(key) : await thumbprint(key) };
      await verifier.verify({ ...REQUEST, dpop: proof({}, {}, key) }, bound, NOW_MS);
    },
  );

  it("may carry parameters and claims that say nothing", async () => {
    await verify(proof({ nonce: "x", jwk: 1 }, { kid: "x" }));
  });

  async function okpThumbprint(key: TestKey): Promise<string> {
    const { kty, crv, x } = jwkOf(key);
    return toBase64Url(new Uint8Array(await crypto.subtle.digest("SHA-256", utf8(JSON.stringify({ crv, kty, x })))));
  }
});

describe("the dpop header", () => {
  it("is refused when it is missing, empty, or two in one", async () => {
    await refused(undefined);
    await refused("");
    await refused(`${proof()}, ${proof()}`);
    await refused(` ${proof()}`);
    await refused(TOKEN);
  });

  it("is accepted at 4 KiB exactly, and refused above", async () => {
    await verify(ofLength(4_096));
    await refused(ofLength(4_097));
    await expect(verify(ofLength(4_097))).rejects.toThrow(/at most 4096/);
  });

  function ofLength(length: number): string {
    for (let fill = length * 0.75 - 500; ; fill++) {
      for (const pad of ["", "p", "pp"]) {
        const text = proof({ jti: "of one length", fill: "x".repeat(fill) }, { pad });
        if (text.length === length) return text;
      }
    }
  }
});

describe("the header of a proof", () => {
  it.each<[string, Json]>([
    ["no typ", { typ: undefined }],
    ["the typ of a token", { typ: "JWT" }],
    ["the typ in capitals", { typ: "DPOP+JWT" }],
    ["no alg", { alg: undefined }],
    ["alg none", { alg: "none" }],
    ["HS256", { alg: "HS256" }],
    ["RS256", { alg: "RS256" }],
    ["an algorithm for another curve", { alg: "ES384" }],
    ["an algorithm for another type of key", { alg: "PS256" }],
    ["no key", { jwk: undefined }],
    ["a key that is text", { jwk: "key" }],
    ["a key that is null", { jwk: null }],
    ["a symmetric key", { jwk: { kty: "oct", k: "AAAA" } }],
    ["a private key", { jwk: { ...holder.privateKey.export({ format: "jwk" }) } }],
    ["a key with a private member of another type", { jwk: { ...jwkOf(holder), k: "AAAA" } }],
    ["a key for encryption", { jwk: { ...jwkOf(holder), use: "enc" } }],
    ["a key that another algorithm is for", { jwk: { ...jwkOf(holder), alg: "ES384" } }],
    ["crit", { crit: ["jwk"] }],
    ["a URL of keys", { jku: "https://evil.example" }],
    ["certificates", { x5c: ["AAAA"] }],
    ["b64", { b64: false }],
  ])("is refused with %s", async (_, header) => {
    await verify(proof());
    await refused(proof({}, header));
  });

  it("is refused with RS256, whatever the key", async () => {
    const key = testKey("RS256", "k");
    const bound = { token: TOKEN, boundTo: await thumbprint(key) };
    const request = { ...REQUEST, dpop: proof({}, {}, key) };
    await expect(verifier.verify(request, bound, NOW_MS)).rejects.toThrowCode("ERR_TOKEN_BINDING");
  });

  it("is refused with an HMAC under the public key in it", async () => {
    const jwk = jwkOf(holder);
    for (const secret of [utf8(JSON.stringify(jwk)), holder.publicKey.export({ type: "spki", format: "der" })]) {
      await refused(hmacJwt({ typ: "dpop+jwt", alg: "HS256", jwk }, { jti: "12345678" }, secret));
    }
  });

  it("is refused with a point off the curve that has the thumbprint, or RSA of 1024 bits", async () => {
    const bad = { ...jwkOf(holder), y: jwkOf(holder).x };
    const { kty, crv, x, y } = bad as Json;
    const digest = await crypto.subtle.digest("SHA-256", utf8(JSON.stringify({ crv, kty, x, y })));
    const offCurve = { token: TOKEN, boundTo: toBase64Url(new Uint8Array(digest)) };
    await expect(verifier.verify({ ...REQUEST, dpop: proof({}, { jwk: bad }) }, offCurve, NOW_MS)).rejects.toThrowCode(
      "ERR_TOKEN_BINDING",
    );
    const short = testKey("PS256", "k", 1024);
    const bound = { token: TOKEN, boundTo: await thumbprint(short) };
    await expect(verifier.verify({ ...REQUEST, dpop: proof({}, {}, short) }, bound, NOW_MS)).rejects.toThrowCode(
      "ERR_TOKEN_BINDING",
    );
  });
});

describe("whose proof it is", () => {
  it("is refused with a thief's own key", async () => {
    await refused(proof({}, {}, thief));
  });

  it("is refused with the holder's key in it, but a thief's signature", async () => {
    await refused(proof({}, { jwk: jwkOf(holder) }, thief));
  });

  it("is refused with a thief's key in it, and the holder's signature", async () => {
    await refused(proof({}, { jwk: jwkOf(thief) }, holder));
  });

  it("is refused when its claims were changed", async () => {
    const [header, , signature] = proof().split(".");
    const [, claims] = proof({}, {}, thief).split(".");
    await refused([header, claims, signature].join("."));
  });
});

describe("the claims of a proof", () => {
  it.each<[string, Json]>([
    ["no jti", { jti: undefined }],
    ["a jti of 7 characters", { jti: "1234567" }],
    ["a jti of 129 characters", { jti: "j".repeat(129) }],
    ["a jti that is a number", { jti: 123_456_789 }],
    ["no method", { htm: undefined }],
    ["another method", { htm: "GET" }],
    ["the method in small letters", { htm: "post" }],
    ["no URI", { htu: undefined }],
    ["another path", { htu: "https://enclave.invalid/v1/random" }],
    ["the path with a slash more", { htu: "https://enclave.invalid/v1/decrypt/" }],
    ["the path encoded in another way", { htu: "https://enclave.invalid/v1/%64ecrypt" }],
    ["a query", { htu: "https://enclave.invalid/v1/decrypt?x" }],
    ["another host", { htu: "https://parent.example/v1/decrypt" }],
    ["another scheme", { htu: "http://enclave.invalid/v1/decrypt" }],
    ["a port", { htu: "https://enclave.invalid:443/v1/decrypt" }],
    ["the path alone", { htu: "/v1/decrypt" }],
    ["no hash of a token", { ath: undefined }],
    ["the hash of another token", { ath: toBase64Url(new Uint8Array(32)) }],
    ["the token itself", { ath: TOKEN }],
    ["no time", { iat: undefined }],
    ["a time that is text", { iat: String(NOW) }],
    ["a time before 1970", { iat: -1 }],
  ])("are refused with %s", async (_, claims) => {
    await verify(proof());
    await refused(proof(claims));
  });

  it("may have a jti of 8 characters, or of 128", async () => {
    await verify(proof({ jti: "12345678" }));
    await verify(proof({ jti: "j".repeat(128) }));
  });

  it("are for this request: another path, another method or another token is refused", async () => {
    await refused(proof(), { path: "/v1/random" });
    await refused(proof(), { method: "GET" });
    const other = { token: `${TOKEN}x`, boundTo };
    await expect(verifier.verify({ ...REQUEST, dpop: proof() }, other, NOW_MS)).rejects.toThrowCode(
      "ERR_TOKEN_BINDING",
    );
  });

  it("are of now, give or take the window, to the millisecond", async () => {
    await verify(proof({ iat: NOW - WINDOW }));
    await verify(proof({ iat: NOW + WINDOW }));
    await refused(proof({ iat: NOW - WINDOW }), {}, NOW_MS + 1);
    await refused(proof({ iat: NOW + WINDOW }), {}, NOW_MS - 1);
    await refused(proof(), {}, Number.NaN);
  });
});

describe("a proof that was seen before", () => {
  it("is refused, for as long as its time would let it be accepted and a window more", async () => {
    const dpop = proof({ iat: NOW + WINDOW });
    await verify(dpop);
    await expect(verify(dpop)).rejects.toThrowCode("ERR_REPLAYED");
    clock.advance(2 * WINDOW * 1000);
    await expect(verify(dpop, {}, NOW_MS + 2 * WINDOW * 1000)).rejects.toThrowCode("ERR_REPLAYED");
    clock.advance(WINDOW * 1000);
    await expect(verify(dpop)).rejects.toThrowCode("ERR_REPLAYED"); // though `now` has gone back by all of it
  });

  it("is refused when it comes twice at once", async () => {
    const dpop = proof();
    const outcomes = await Promise.allSettled([verify(dpop), verify(dpop), verify(dpop)]);
    expect(outcomes.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
    for (const outcome of outcomes)
      if (outcome.status === "rejected") expect(outcome.reason).toThrowCode("ERR_REPLAYED");
  });

  it("is refused with another signature over the same claims, or with other claims and the same jti", async () => {
    await verify(proof({ jti: "the same jti" }));
    await expect(verify(proof({ jti: "the same jti" }))).rejects.toThrowCode("ERR_REPLAYED");
    await expect(verify(proof({ jti: "the same jti", iat: NOW - 1 }))).rejects.toThrowCode("ERR_REPLAYED");
  });

  it("is another holder's own business", async () => {
    const other = { token: TOKEN, boundTo: await thumbprint(thief) };
    await verify(proof({ jti: "the same jti" }));
    const dpop = proof({ jti: "the same jti" }, {}, thief);
    verifier.take(await verifier.verify({ ...REQUEST, dpop }, other, NOW_MS));
  });

  it("is remembered only if it was valid", async () => {
    for (const claims of [{ htm: "GET" }, { htu: "/" }, { ath: "x" }, { iat: NOW - 900 }]) {
      await refused(proof({ ...claims, jti: "the same jti" }));
    }
    await refused(proof({ jti: "the same jti" }, { jwk: jwkOf(holder) }, thief));
    await verify(proof({ jti: "the same jti" }));
  });

  it("keeps its place: when no more can be remembered, a new one is refused", async () => {
    verifier = new ProofVerifier({ windowSeconds: WINDOW, maxRemembered: 2 }, clock);
    const first = proof();
    await verify(first);
    await verify(proof());
    await expect(verify(proof())).rejects.toThrowCode("ERR_BUSY");
    await expect(verify(first)).rejects.toThrowCode("ERR_REPLAYED");
  });
});

describe("whatever the dpop header holds", () => {
  async function outcomeOf(dpop: string): Promise<string> {
    try {
      await verify(dpop);
      return dpop;
    } catch (error) {
      if (error instanceof ServiceError) return error.code;
      throw error;
    }
  }

  it("random text and random JSON are refused", async () => {
    const segment = fc.oneof(
      fc.base64String(),
      fc.json().map((text) => toBase64Url(utf8(text))),
    );
    const segments = fc.array(segment, { minLength: 2, maxLength: 4 }).map((parts) => parts.join("."));
    await fc.assert(
      fc.asyncProperty(fc.oneof(fc.string({ unit: "binary" }), segments), async (text) => {
        expect(await outcomeOf(text)).toBe("ERR_TOKEN_BINDING");
      }),
      { seed: 20261123, numRuns: 2_000 },
    );
  });

  it("a valid proof with changes is refused, or is the valid one", async () => {
    const valid = proof();
    await verify(valid);
    const changed = mutated([utf8(valid)]).map((bytes) => Buffer.from(bytes).toString("latin1"));
    await fc.assert(
      fc.asyncProperty(changed, async (text) => {
        expect(await outcomeOf(text)).toBe(text === valid ? "ERR_REPLAYED" : "ERR_TOKEN_BINDING");
      }),
      { seed: 20261123, numRuns: 2_000 },
    );
  });

  it("what the holder signed, of any JSON, is refused or accepted", async () => {
    const names = ["typ", "alg", "jwk", "crit", "jti", "htm", "htu", "iat", "ath"];
    const changes = fc.dictionary(fc.constantFrom(...names), fc.jsonValue(), { maxKeys: 2 });
    await fc.assert(
      fc.asyncProperty(changes, changes, async (header, claims) => {
        const text = proof(claims, header);
        expect(["ERR_TOKEN_BINDING", text]).toContain(await outcomeOf(text));
      }),
      { seed: 20261123, numRuns: 500 },
    );
  });

  it("a header that is no UTF-8 is refused", async () => {
    const [, claims] = proof().split(".");
    await refused(signSegments(`${toBase64Url(Uint8Array.of(0xff))}.${claims}`, "ES256", holder.privateKey));
  });
});
