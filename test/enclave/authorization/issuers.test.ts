/** Keys of issuers at boot: what is accepted, and what keeps an enclave from starting. */
import { describe, expect, it } from "vitest";
import { keyFor, pinIssuers } from "../../../enclave/authorization/issuers.js";
import type { IssuerConfiguration } from "../../../enclave/configuration.js";
import { ServiceError } from "../../../shared/errors.js";
import { present } from "../../support/attestation.js";
import type { Json } from "../../support/jwt.js";
import { testKey } from "../../support/jwt.js";

const ec = testKey("ES256", "ec");
const rsa = testKey("RS256", "rsa");
const ed = testKey("EdDSA", "ed");

const issuer = (changes: Partial<IssuerConfiguration> = {}): IssuerConfiguration => ({
  name: "idp",
  issuer: "https://idp.example",
  audiences: ["urn:decrypt"],
  algorithms: ["ES256", "RS256", "PS256", "EdDSA"],
  jwks: { keys: [{ ...ec.jwk }, { ...rsa.jwk }, { ...ed.jwk }] },
  proofOfPossession: "whereBound",
  ...changes,
});

const withKey = (jwk: Json): IssuerConfiguration => issuer({ jwks: { keys: [{ ...ec.jwk }, { ...jwk }] } });
const messageOf = (issuers: IssuerConfiguration[]): Promise<string> =>
  pinIssuers(issuers).then(
    () => "accepted",
    (error: unknown) => (error instanceof ServiceError ? `${error.code} ${error.message}` : `wrong: ${String(error)}`),
  );

describe("keys of an issuer", () => {
  it("are imported for every pinned algorithm that they fit, and for no other", async () => {
    const pinned = present((await pinIssuers([issuer()])).get("https://idp.example"));
    const found = (alg: string, kid?: string) => keyFor(pinned, alg, kid)?.algorithm.name;
    expect(found("ES256", "ec")).toBe("ECDSA");
    expect(found("ES256")).toBe("ECDSA");
    expect(found("RS256", "rsa")).toBe("RSASSA-PKCS1-v1_5");
    expect(found("PS256", "rsa")).toBe("RSA-PSS");
    expect(found("EdDSA", "ed")).toBe("Ed25519");
    expect(found("RS512", "rsa")).toBeUndefined(); // fits, but is not pinned
    expect(found("ES256", "rsa")).toBeUndefined();
    expect(found("ES256", "EC")).toBeUndefined();
  });

  it("may have no kid, and then are found by tokens without one alone", async () => {
    const { kid, ...unnamed } = ec.jwk;
    const pinned = present((await pinIssuers([issuer({ jwks: { keys: [unnamed] } })])).get("https://idp.example"));
    expect(keyFor(pinned, "ES256", undefined)).toBeDefined();
    expect(keyFor(pinned, "ES256", String(kid))).toBeUndefined();
  });

  it("may say what they are for, and carry members that are ignored", async () => {
    const jwk = { ...ec.jwk, kid: "2", alg: "ES256", use: "sig", key_ops: ["verify"], x5c: ["AAAA"], ext: false };
    expect(await messageOf([withKey(jwk)])).toBe("accepted");
  });

  const privateRsa = { ...rsa.privateKey.export({ format: "jwk" }), kid: "2" };
  const privateEc = { ...ec.privateKey.export({ format: "jwk" }), kid: "2" };

  it.each<[string, Json, string]>([
    ["a private EC key", privateEc, "keys.1.d: expected a public key"],
    ["a private RSA key", privateRsa, "keys.1.d: expected a public key"],
    ["a symmetric key", { kty: "oct", k: "c2VjcmV0", kid: "2" }, "keys.1.kty: expected a public key of type"],
    ["a key of an unknown type", { ...ec.jwk, kid: "2", kty: "AKP" }, "keys.1.kty: expected"],
    ["a key of no type", { kid: "2" }, "keys.1.kty: expected"],
    ["another curve", { ...ec.jwk, kid: "2", crv: "secp256k1" }, "keys.1.crv: "],
    ["Ed448", { ...ed.jwk, kid: "2", crv: "Ed448" }, "keys.1.crv: "],
    ["a coordinate missing", { ...ec.jwk, kid: "2", y: undefined }, "keys.1.y: "],
    ["a coordinate that is no base64url", { ...ec.jwk, kid: "2", y: "+/+/" }, "keys.1.y: expected base64url"],
    ["an empty kid", { ...ec.jwk, kid: "" }, "keys.1.kid: "],
    ["a kid that is no text", { ...ec.jwk, kid: 2 }, "keys.1.kid: "],
    ["a kid that is there before", { ...rsa.jwk, kid: "ec" }, "keys.1.kid: expected each value once"],
    ["no algorithm pinned for its type", testKey("ES384", "2").jwk, "keys.1: expected a key for one of"],
    ["no algorithm pinned that it names", { ...ec.jwk, kid: "2", alg: "ES384" }, "keys.1: expected a key for one of"],
    ["an encryption key", { ...rsa.jwk, kid: "2", use: "enc" }, "keys.1: expected a key for one of"],
    ["a key that may not verify", { ...ec.jwk, kid: "2", key_ops: ["sign"] }, "keys.1: expected a key for one of"],
    ["a point off the curve", { ...ec.jwk, kid: "2", y: ec.jwk.x }, "keys.1: expected a valid key"],
    ["RSA of 1024 bits", testKey("RS256", "2", 1024).jwk, "keys.1: expected a valid key, of 2048"],
    ["RSA of 2040 bits", testKey("RS256", "2", 2040).jwk, "keys.1: expected a valid key, of 2048"],
    ["RSA of too many bits", { ...rsa.jwk, kid: "2", n: "v".repeat(1400) }, "keys.1: expected a valid key, of 2048"],
    ["Ed25519 of 31 bytes", { ...ed.jwk, kid: "2", x: "A".repeat(42) }, "keys.1: expected a valid key"],
  ])("are refused with %s, by path", async (_, jwk, expected) => {
    const message = await messageOf([issuer({ name: "first", issuer: "https://first.example" }), withKey(jwk)]);
    expect(message).toContain(`ERR_CONFIGURATION authorization.issuers.1.jwks.${expected}`);
  });

  it.each(["d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"])(
    "are refused with the private member %s alone, unnamed in value",
    async (member) => {
      for (const key of [ec, rsa, ed]) {
        const message = await messageOf([withKey({ ...key.jwk, kid: "2", [member]: "c2VjcmV0" })]);
        expect(message).toContain(
          `ERR_CONFIGURATION authorization.issuers.0.jwks.keys.1.${member}: expected a public key`,
        );
        expect(message).not.toContain("c2VjcmV0");
      }
    },
  );
});

describe("issuers", () => {
  it("have one issuer each", async () => {
    const message = await messageOf([issuer(), issuer({ name: "other" })]);
    expect(message).toBe("ERR_CONFIGURATION authorization.issuers.1.issuer: expected each value once");
  });

  it("have one name each, since principals are called by it", async () => {
    const message = await messageOf([issuer(), issuer({ issuer: "https://other.example" })]);
    expect(message).toBe("ERR_CONFIGURATION authorization.issuers.1.name: expected each value once");
  });

  it("may share a key and a kid", async () => {
    expect(await messageOf([issuer(), issuer({ name: "other", issuer: "https://other.example" })])).toBe("accepted");
  });
});
