/** The client's proofs, against the examples of RFC 9449 and against jose. */
import { calculateJwkThumbprint, compactVerify, decodeProtectedHeader, EmbeddedJWK } from "jose";
import { describe, expect, it } from "vitest";
import { fromBase64Url } from "../../shared/bytes.js";
import {
  createProof,
  generateProofKey,
  hashOfToken,
  PROOF_ORIGIN,
  thumbprintOf,
} from "../../shared/proof-of-possession.js";

const NOW = new Date("2026-11-23T10:00:00.999Z");
const key = await generateProofKey();
const request = { key, method: "POST", path: "/v1/messages/decrypt", token: "a.b.c", now: NOW };

/** RFC 9449 §4.1 and §6.1: a key, its thumbprint; §7.1: a token and its hash. */
const RFC_KEY = {
  kty: "EC",
  x: "l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs",
  y: "9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA",
  crv: "P-256",
};
const RFC_THUMBPRINT = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I";
const RFC_TOKEN = "Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU";
const RFC_HASH = "fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo";

const importKey = (name: "ECDSA" | "ECDH") =>
  crypto.subtle.importKey("jwk", RFC_KEY, { name, namedCurve: "P-256" }, true, name === "ECDSA" ? ["verify"] : []);

describe("thumbprintOf", () => {
  it("is that of RFC 9449's example", async () => {
    expect(await thumbprintOf(await importKey("ECDSA"))).toBe(RFC_THUMBPRINT);
  });

  it("is what jose makes of a new key", async () => {
    const jwk = await crypto.subtle.exportKey("jwk", key.publicKey);
    expect(await thumbprintOf(key.publicKey)).toBe(await calculateJwkThumbprint({ kty: "EC", ...jwk }));
  });

  it("takes no private key, no other curve and no other algorithm", async () => {
    const other = await crypto.subtle.generateKey({ name: "ECDSA", namedCurve: "P-384" }, true, ["sign", "verify"]);
    await expect(thumbprintOf(key.privateKey)).rejects.toThrow(TypeError);
    await expect(thumbprintOf(other.publicKey)).rejects.toThrow(TypeError);
    await expect(thumbprintOf(await importKey("ECDH"))).rejects.toThrow(TypeError);
  });
});

describe("hashOfToken", () => {
  it("is that of RFC 9449's example", async () => {
    expect(await hashOfToken(RFC_TOKEN)).toBe(RFC_HASH);
  });
});

describe("generateProofKey", () => {
  it("makes a key whose private half cannot be exported", async () => {
    expect(key.privateKey.extractable).toBe(false);
    await expect(crypto.subtle.exportKey("jwk", key.privateKey)).rejects.toThrow();
  });
});

describe("createProof", () => {
  it("verifies under the key that it carries, by jose", async () => {
    const proof = await createProof(request);
    const { payload, protectedHeader } = await compactVerify(proof, EmbeddedJWK, { algorithms: ["ES256"] });
    const { kty, crv, x, y } = await crypto.subtle.exportKey("jwk", key.publicKey);
    expect(protectedHeader).toEqual({ typ: "dpop+jwt", alg: "ES256", jwk: { kty, crv, x, y } });
    expect(JSON.parse(new TextDecoder().decode(payload))).toEqual({
      jti: expect.stringMatching(/^[\w-]{22}$/),
      htm: "POST",
      htu: "https://enclave.invalid/v1/messages/decrypt",
      iat: 1_795_428_000,
      ath: await hashOfToken("a.b.c"),
    });
  });

  it("carries no private member", async () => {
    const extractable = await crypto.subtle.generateKey({ name: "ECDSA", namedCurve: "P-256" }, true, [
      "sign",
      "verify",
    ]);
    const { jwk } = decodeProtectedHeader(await createProof({ ...request, key: extractable }));
    expect(Object.keys(jwk ?? {}).sort()).toEqual(["crv", "kty", "x", "y"]);
  });

  it("has another jti, of 16 bytes, each time", async () => {
    const proofs = await Promise.all(Array.from({ length: 20 }, () => createProof(request)));
    const ids = proofs.map((proof) => jtiOf(proof));
    expect(new Set(ids).size).toBe(20);
    for (const id of ids) expect(fromBase64Url(id)).toHaveLength(16);
  });

  it.each(["", "v1/decrypt", "https://enclave.invalid/v1", "/v1/decrypt?x=1", "/v1/decrypt#x"])(
    "takes a path alone, so not %j",
    async (path) => {
      await expect(createProof({ ...request, path })).rejects.toThrow(TypeError);
    },
  );

  it("takes no key but ECDSA on P-256", async () => {
    const other = await crypto.subtle.generateKey({ name: "ECDSA", namedCurve: "P-384" }, true, ["sign", "verify"]);
    await expect(createProof({ ...request, key: other })).rejects.toThrow(TypeError);
  });

  it("names an origin that cannot exist", () => {
    expect(new URL(PROOF_ORIGIN).origin).toBe(PROOF_ORIGIN);
    expect(PROOF_ORIGIN).toMatch(/^https:\/\/[a-z]+\.invalid$/);
  });

  function jtiOf(proof: string): string {
    const claims: { jti: string } = JSON.parse(Buffer.from(proof.split(".")[1] ?? "", "base64url").toString());
    return claims.jti;
  }
});
