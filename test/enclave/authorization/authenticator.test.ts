/** From headers to a principal, with the simulated issuer's tokens and the client's own proofs. */
import { beforeEach, describe, expect, it } from "vitest";
import { Authenticator } from "../../../enclave/authorization/authenticator.js";
import type { Credentials } from "../../../enclave/authorization/principal.js";
import { createProof, generateProofKey, thumbprintOf } from "../../../shared/proof-of-possession.js";
import { createTokenIssuer } from "../../../simulator/token-issuer.js";
import { START, TestClock } from "../fakes.js";

const LIMITS = { windowSeconds: 60, maxRemembered: 1_000 };
const REQUEST = { method: "POST", path: "/v1/decrypt" };

const issuer = await createTokenIssuer({ clock: () => START });
const rules = { issuers: [issuer.configuration], skewSeconds: 30, maxTokenAgeSeconds: 3_600 };
const key = await generateProofKey();
const unbound = await issuer.issue({ subject: "svc-7" });
const bound = await issuer.issue({ subject: "svc-7", boundTo: await thumbprintOf(key.publicKey) });

let nowMs = START.getTime();
let clock = new TestClock();
let authenticator = await Authenticator.create(rules, LIMITS, { now: () => nowMs, clock });
beforeEach(async () => {
  nowMs = START.getTime();
  clock = new TestClock();
  authenticator = await Authenticator.create(rules, LIMITS, { now: () => nowMs, clock });
});

const proofWith = (by: CryptoKeyPair, token = bound): Promise<string> =>
  createProof({ key: by, ...REQUEST, token, now: new Date(nowMs) });

const credentials = (authorization: string | undefined, dpop?: string): Credentials => ({
  ...REQUEST,
  authorization,
  dpop,
});
async function authenticate(authorization: string | undefined, dpop?: string) {
  const { principal, takeProof } = await authenticator.authenticate(credentials(authorization, dpop));
  takeProof();
  return principal;
}

describe("Authenticator", () => {
  it("knows the bearer of an unbound token", async () => {
    expect(await authenticate(`Bearer ${unbound}`)).toMatchObject({ id: "idp/svc-7", issuer: "idp", subject: "svc-7" });
  });

  it("knows the holder of the key that a token is bound to", async () => {
    expect((await authenticate(`DPoP ${bound}`, await proofWith(key))).id).toBe("idp/svc-7");
  });

  it("refuses who brings nothing, a proof alone included", async () => {
    await expect(authenticate(undefined)).rejects.toThrowCode("ERR_TOKEN_MISSING");
    await expect(authenticate(undefined, await proofWith(key))).rejects.toThrowCode("ERR_TOKEN_MISSING");
  });

  it("refuses a stolen bound token without a proof, as Bearer, and with the thief's own proof", async () => {
    await expect(authenticate(`DPoP ${bound}`)).rejects.toThrowCode("ERR_TOKEN_BINDING");
    await expect(authenticate(`Bearer ${bound}`)).rejects.toThrowCode("ERR_TOKEN_BINDING");
    const thief = await generateProofKey();
    await expect(authenticate(`DPoP ${bound}`, await proofWith(thief))).rejects.toThrowCode("ERR_TOKEN_BINDING");
  });

  it("refuses a recorded request, token and proof together", async () => {
    const dpop = await proofWith(key);
    await authenticate(`DPoP ${bound}`, dpop);
    await expect(authenticate(`DPoP ${bound}`, dpop)).rejects.toThrowCode("ERR_REPLAYED");
  });

  it("remembers a proof only once it is taken", async () => {
    const request = credentials(`DPoP ${bound}`, await proofWith(key));
    const [first, second] = [await authenticator.authenticate(request), await authenticator.authenticate(request)];
    first.takeProof();
    expect(() => second.takeProof()).toThrowCode("ERR_REPLAYED");
  });

  it("refuses a proof that goes with another token of the same key, path or method", async () => {
    const other = await issuer.issue({ subject: "svc-8", boundTo: await thumbprintOf(key.publicKey) });
    await expect(authenticate(`DPoP ${other}`, await proofWith(key))).rejects.toThrowCode("ERR_TOKEN_BINDING");
    for (const change of [{ path: "/v1/random" }, { method: "GET" }]) {
      const request = { ...credentials(`DPoP ${bound}`, await proofWith(key)), ...change };
      await expect(authenticator.authenticate(request)).rejects.toThrowCode("ERR_TOKEN_BINDING");
    }
  });

  it("ignores a proof beside an unbound token, and does not remember it", async () => {
    const dpop = await proofWith(key, unbound);
    for (const text of [dpop, dpop, "no proof at all"]) await authenticate(`Bearer ${unbound}`, text);
    await expect(authenticate(`DPoP ${unbound}`, dpop)).rejects.toThrowCode("ERR_TOKEN_BINDING");
  });

  it("goes by the time that it is given, for tokens and for proofs; the wall clock of `clock` stands still meanwhile", async () => {
    const dpop = await proofWith(key);
    nowMs += 60_001;
    await expect(authenticate(`DPoP ${bound}`, dpop)).rejects.toThrowCode("ERR_TOKEN_BINDING");
    nowMs = START.getTime() + (300 + 30) * 1000;
    await expect(authenticate(`Bearer ${unbound}`)).rejects.toThrowCode("ERR_TOKEN_TIME");
    nowMs -= 1;
    await authenticate(`Bearer ${unbound}`);
  });

  it("tells of a bad token before it looks at the proof", async () => {
    nowMs += 400_000;
    await expect(authenticate(`DPoP ${bound}`, "no proof")).rejects.toThrowCode("ERR_TOKEN_TIME");
  });

  it("does not start with a configuration whose keys cannot be used", async () => {
    const issuers = [{ ...issuer.configuration, algorithms: ["RS256" as const] }];
    const created = Authenticator.create({ ...rules, issuers }, LIMITS, { now: () => nowMs, clock });
    await expect(created).rejects.toThrowCode("ERR_CONFIGURATION");
  });
});
