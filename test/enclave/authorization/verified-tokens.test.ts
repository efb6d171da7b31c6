/** Tokens that come again: what is kept of them, for whom, and what is checked all the same. */
import fc from "fast-check";
import { beforeEach, describe, expect, it } from "vitest";
import { TokenVerifier } from "../../../enclave/authorization/tokens.js";
import { VerifiedTokens } from "../../../enclave/authorization/verified-tokens.js";
import { toBase64Url } from "../../../shared/bytes.js";
import { ServiceError } from "../../../shared/errors.js";
import type { Json } from "../../support/jwt.js";
import { signJwt, testKey } from "../../support/jwt.js";
import { START } from "../fakes.js";

const MAX_TOKENS = 1_000;
const MAX_TOKEN_LENGTH = 4_096;

describe("the memory of verified tokens", () => {
  let tokens: VerifiedTokens<Json>;
  beforeEach(() => {
    tokens = new VerifiedTokens();
  });

  it("finds what was kept of the same text, and of no other", () => {
    tokens.keep("a.b.c", { name: "first" });
    tokens.keep("a.b.d", { name: "second" });
    expect(tokens.find("a.b.c")).toEqual({ name: "first" });
    expect(tokens.find("a.b.d")).toEqual({ name: "second" });
    for (const other of ["", "a.b.", "a.b.C", "a.b.cc", " a.b.c"]) expect(tokens.find(other)).toBeUndefined();
  });

  it("has a bounded number of places, and lets go of the one that was used least recently", () => {
    for (let n = 0; n < MAX_TOKENS; n++) tokens.keep(`token ${n}`, { n });
    expect(tokens.find("token 0")).toEqual({ n: 0 }); // from now on the most recent one
    tokens.keep("one more", { n: MAX_TOKENS });
    expect(tokens.find("token 1")).toBeUndefined();
    for (const n of [0, 2, MAX_TOKENS - 1]) expect(tokens.find(`token ${n}`)).toEqual({ n });
    expect(tokens.find("one more")).toEqual({ n: MAX_TOKENS });
  });

  it("gives a token that comes twice at a time one place", () => {
    for (let n = 0; n < MAX_TOKENS; n++) tokens.keep(`token ${n}`, { n });
    tokens.keep("token 5", { n: 5 });
    expect(tokens.find("token 0")).toEqual({ n: 0 });
  });

  it("keeps nothing of long tokens", () => {
    const longest = "x".repeat(MAX_TOKEN_LENGTH);
    tokens.keep(longest, { name: "longest" });
    tokens.keep(`${longest}x`, { name: "longer" });
    expect(tokens.find(longest)).toEqual({ name: "longest" });
    expect(tokens.find(`${longest}x`)).toBeUndefined();
  });

  it("freezes what it keeps, lists and objects within and as deep as a token can go", () => {
    let deepest: Json = { end: true };
    for (let depth = 0; depth < MAX_TOKEN_LENGTH / 2; depth++) deepest = { deepest };
    tokens.keep("a", { claims: { groups: [{ name: "x" }], none: null }, deepest });
    const { claims } = tokens.find("a") ?? {};
    const { groups } = Object(claims);
    for (const part of [claims, groups, groups[0]]) expect(Object.isFrozen(part)).toBe(true);
    expect(() => groups.push("y")).toThrow(TypeError);
  });
});

const NOW_MS = START.getTime();
const NOW = NOW_MS / 1_000;
const JKT = toBase64Url(new Uint8Array(32).fill(7));
const key = testKey("ES256", "k");
const CLAIMS = { iss: "https://idp.example", sub: "a", aud: "https://us.example", iat: NOW - 10, exp: NOW + 300 };
const token = (claims: Json = {}, signer = key): string =>
  signJwt({ alg: "ES256", kid: "k" }, { ...CLAIMS, ...claims }, signer);

const newVerifier = (): Promise<TokenVerifier> =>
  TokenVerifier.create({
    issuers: [
      {
        ...{ name: "idp", issuer: CLAIMS.iss, audiences: [CLAIMS.aud], algorithms: ["ES256"] },
        jwks: { keys: [{ ...key.jwk }] },
        proofOfPossession: "whereBound",
      },
    ],
    skewSeconds: 30,
    maxTokenAgeSeconds: 3_600,
  });

describe("a token that comes again", () => {
  let verifier: TokenVerifier;
  beforeEach(async () => {
    verifier = await newVerifier();
  });

  it("says the same, and is not verified again", async () => {
    const header = `Bearer ${token({ groups: ["x"] })}`;
    const first = await verifier.verify(header, NOW_MS);
    const again = await verifier.verify(header, NOW_MS);
    expect(again).toEqual(first);
    expect(again.principal).toBe(first.principal);
  });

  it("cannot be made to say something else by who was told about it", async () => {
    const header = `Bearer ${token({ groups: ["x"] })}`;
    const { principal } = await verifier.verify(header, NOW_MS);
    expect(() => Object.assign(principal.claims, { tenant: "b" })).toThrow(TypeError);
    expect(() => Object(principal.claims.groups).push("admins")).toThrow(TypeError);
  });

  it.each([
    ["exp and the skew", { exp: NOW + 300 }, 329_999, 330_000],
    ["the greatest age and the skew", { iat: NOW - 10, exp: NOW + 9_000 }, 3_620_999, 3_621_000],
  ])("is good until %s, and no longer", async (_, claims, goodMs, lateMs) => {
    const header = `Bearer ${token(claims)}`;
    await verifier.verify(header, NOW_MS);
    await verifier.verify(header, NOW_MS + goodMs);
    await expect(verifier.verify(header, NOW_MS + lateMs)).rejects.toThrowCode("ERR_TOKEN_TIME");
    await verifier.verify(header, NOW_MS + goodMs);
  });

  it.each([
    ["nbf less the skew", { nbf: NOW + 30 }],
    ["iat less the skew", { iat: NOW + 30 }],
  ])("is good from %s, and no earlier, should the time be corrected", async (_, claims) => {
    const header = `Bearer ${token(claims)}`;
    await verifier.verify(header, NOW_MS);
    await expect(verifier.verify(header, NOW_MS - 1)).rejects.toThrowCode("ERR_TOKEN_TIME");
  });

  it("needs a time to be judged by", async () => {
    const header = `Bearer ${token()}`;
    await verifier.verify(header, NOW_MS);
    await expect(verifier.verify(header, Number.NaN)).rejects.toThrow(TypeError);
  });

  it("needs its scheme each time", async () => {
    const [bound, unbound] = [token({ cnf: { jkt: JKT } }), token()];
    await verifier.verify(`DPoP ${bound}`, NOW_MS);
    await verifier.verify(`Bearer ${unbound}`, NOW_MS);
    await expect(verifier.verify(`Bearer ${bound}`, NOW_MS)).rejects.toThrowCode("ERR_TOKEN_BINDING");
    await expect(verifier.verify(`DPoP ${unbound}`, NOW_MS)).rejects.toThrowCode("ERR_TOKEN_BINDING");
    expect((await verifier.verify(`DPoP ${bound}`, NOW_MS)).boundTo).toBe(JKT);
  });

  it("is remembered with its signature: the same claims under another one are refused", async () => {
    const [genuine, forged] = [token(), token({}, testKey("ES256", "k"))];
    await verifier.verify(`Bearer ${genuine}`, NOW_MS);
    await expect(verifier.verify(`Bearer ${forged}`, NOW_MS)).rejects.toThrowCode("ERR_TOKEN_UNTRUSTED");
    await expect(verifier.verify(`Bearer ${forged}`, NOW_MS)).rejects.toThrowCode("ERR_TOKEN_UNTRUSTED");
  });

  it("is refused again where it was refused before, and accepted once its time has come", async () => {
    const header = `Bearer ${token({ nbf: NOW + 60 })}`;
    await expect(verifier.verify(header, NOW_MS)).rejects.toThrowCode("ERR_TOKEN_TIME");
    await expect(verifier.verify(header, NOW_MS)).rejects.toThrowCode("ERR_TOKEN_TIME");
    await verifier.verify(header, NOW_MS + 30_000);
    await expect(verifier.verify(header, NOW_MS)).rejects.toThrowCode("ERR_TOKEN_TIME");
  });

  it("has at every time the outcome of one that comes for the first time", async () => {
    const seconds = (min: number, max: number) => fc.integer({ min: min * 4, max: max * 4 }).map((n) => n / 4);
    const claims = fc.record(
      { iat: seconds(-3_700, 40), exp: seconds(-40, 3_700), nbf: seconds(-40, 40) },
      { requiredKeys: ["iat", "exp"] },
    );
    await fc.assert(
      fc.asyncProperty(claims, fc.integer({ min: -40_000, max: 40_000 }), async (offsets, laterMs) => {
        const times = Object.fromEntries(Object.entries(offsets).map(([name, offset]) => [name, NOW + offset]));
        const header = `Bearer ${token(times)}`;
        const known = await newVerifier();
        await known.verify(header, NOW_MS).catch(() => undefined); // where it is refused there is nothing to remember
        const again = await outcomeOf(known, header, NOW_MS + laterMs);
        expect(again).toBe(await outcomeOf(await newVerifier(), header, NOW_MS + laterMs));
      }),
      { seed: 20261124, numRuns: 500 },
    );
  });
});

async function outcomeOf(verifier: TokenVerifier, header: string, nowMs: number): Promise<string> {
  try {
    return (await verifier.verify(header, nowMs)).principal.id;
  } catch (error) {
    if (error instanceof ServiceError) return error.code;
    throw error;
  }
}
