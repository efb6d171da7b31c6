/** The simulated issuer: its tokens are ones that an enclave takes, and that jose takes. */
import { createLocalJWKSet, decodeProtectedHeader, jwtVerify } from "jose";
import { describe, expect, it } from "vitest";
import { TokenVerifier } from "../../enclave/authorization/tokens.js";
import type { TokenAlgorithm } from "../../simulator/index.js";
import { createTokenIssuer } from "../../simulator/index.js";

const NOW = new Date("2026-11-23T10:00:00.000Z");
const issuer = await createTokenIssuer({ clock: () => NOW });

const verifierOf = ({ configuration }: typeof issuer) =>
  TokenVerifier.create({ issuers: [configuration], skewSeconds: 30, maxTokenAgeSeconds: 3_600 });

describe("createTokenIssuer", () => {
  it("says in its URL and its audience that it is none", () => {
    expect(issuer.issuer).toBe("https://issuer.simulated.invalid");
    expect(issuer.audience).toMatch(/\.simulated\.invalid$/);
  });

  it("publishes its public key, and no private member", () => {
    const [key = {}] = issuer.jwks.keys;
    expect(Object.keys(key).sort()).toEqual(["alg", "crv", "kid", "kty", "use", "x", "y"]);
    expect(issuer.configuration).toEqual({
      name: "idp",
      issuer: issuer.issuer,
      audiences: [issuer.audience],
      algorithms: ["ES256"],
      jwks: issuer.jwks,
      proofOfPossession: "whereBound",
    });
    expect(issuer.configuration.jwks.keys).not.toBe(issuer.jwks.keys); // changing one leaves the other
  });

  it("issues what was asked, at its own time", async () => {
    const token = await issuer.issue({
      subject: "svc-7",
      claims: { team: "pay" },
      lifetimeSeconds: 60,
      boundTo: "print",
    });
    expect(decodeProtectedHeader(token)).toEqual({ alg: "ES256", typ: "at+jwt", kid: issuer.jwks.keys[0]?.kid });
    const { payload } = await jwtVerify(token, createLocalJWKSet({ keys: [{ kty: "EC", ...issuer.jwks.keys[0] }] }), {
      currentDate: NOW,
    });
    const iat = NOW.getTime() / 1000;
    expect(payload).toEqual({
      iss: issuer.issuer,
      aud: issuer.audience,
      sub: "svc-7",
      team: "pay",
      cnf: { jkt: "print" },
      iat,
      exp: iat + 60,
    });
  });

  it.each<TokenAlgorithm>(["ES256", "ES384", "ES512", "EdDSA", "PS256", "RS256"])(
    "issues tokens of %s that an enclave with its configuration takes",
    async (algorithm) => {
      const own = await createTokenIssuer({
        algorithm,
        clock: () => NOW,
        issuer: "https://idp.test",
        audience: "urn:x",
      });
      const verifier = await verifierOf(own);
      const { principal } = await verifier.verify(`Bearer ${await own.issue({ subject: "svc-7" })}`, NOW.getTime());
      expect(principal).toMatchObject({ id: "idp/svc-7", claims: { iss: "https://idp.test", aud: "urn:x" } });
    },
  );

  it("lives five minutes unless told otherwise", async () => {
    const verifier = await verifierOf(issuer);
    const header = `Bearer ${await issuer.issue({ subject: "svc-7" })}`;
    await verifier.verify(header, NOW.getTime() + 329_999);
    await expect(verifier.verify(header, NOW.getTime() + 330_000)).rejects.toThrowCode("ERR_TOKEN_TIME");
  });

  it("is nobody to an enclave that names another issuer's keys", async () => {
    const verifier = await verifierOf(await createTokenIssuer({ clock: () => NOW }));
    const header = `Bearer ${await issuer.issue({ subject: "svc-7" })}`;
    await expect(verifier.verify(header, NOW.getTime())).rejects.toThrowCode("ERR_TOKEN_UNTRUSTED");
  });

  it.each([
    ["aud", "urn:other", "ERR_TOKEN_UNTRUSTED"],
    ["iat", NOW.getTime() / 1000 + 60, "ERR_TOKEN_TIME"],
    ["sub", undefined, "ERR_TOKEN_MALFORMED"],
  ] as const)("lets a test say %s itself", async (claim, value, code) => {
    const verifier = await verifierOf(issuer);
    const token = await issuer.issue({ subject: "svc-7", claims: { [claim]: value } });
    await expect(verifier.verify(`Bearer ${token}`, NOW.getTime())).rejects.toThrowCode(code);
  });
});
