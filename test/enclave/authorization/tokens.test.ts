/** Tokens: one that is accepted, and every way to be refused, by exact code. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { TokenRules } from "../../../enclave/authorization/tokens.js";
import { TokenVerifier } from "../../../enclave/authorization/tokens.js";
import type { IssuerConfiguration } from "../../../enclave/configuration.js";
import { toBase64Url, utf8 } from "../../../shared/bytes.js";
import { ServiceError } from "../../../shared/errors.js";
import type { Json, TestKey } from "../../support/jwt.js";
import { hmacJwt, signJwt, signSegments, testKey } from "../../support/jwt.js";
import { mutated } from "../../support/mutate.js";
import { START } from "../fakes.js";

const NOW_MS = START.getTime();
const NOW = NOW_MS / 1000;
const SKEW = 30;
const MAX_AGE = 3_600;
const JKT = toBase64Url(new Uint8Array(32).fill(7));

const payroll = testKey("ES256", "payroll-1");
const payrollRsa = testKey("RS256", "payroll-2");
const partner = testKey("RS256", "partner-1");
const strict = testKey("EdDSA", "strict-1");

const issuerOf = (name: string, keys: TestKey[], changes: Partial<IssuerConfiguration> = {}): IssuerConfiguration => ({
  name,
  issuer: `https://${name}.example`,
  audiences: ["https://decrypt.example", "urn:decrypt"],
  algorithms: ["ES256", "RS256"],
  jwks: { keys: keys.map(({ jwk }) => ({ ...jwk })) },
  proofOfPossession: "whereBound",
  ...changes,
});

const rules: TokenRules = {
  issuers: [
    issuerOf("payroll", [payroll, payrollRsa]),
    issuerOf("partner", [partner], { algorithms: ["RS256"] }),
    issuerOf("strict", [strict], { algorithms: ["EdDSA"], proofOfPossession: "required" }),
  ],
  skewSeconds: SKEW,
  maxTokenAgeSeconds: MAX_AGE,
};

const verifier = await TokenVerifier.create(rules);

const HEADER: Json = { alg: "ES256", kid: "payroll-1", typ: "at+jwt" };
const CLAIMS: Json = {
  iss: "https://payroll.example",
  sub: "svc-7",
  aud: "https://decrypt.example",
  iat: NOW - 10,
  exp: NOW + 300,
};

/** A token with changes to a good header and good claims; `undefined` leaves a member out. */
const token = (claims: Json = {}, header: Json = {}, key = payroll): string =>
  signJwt({ ...HEADER, ...header }, { ...CLAIMS, ...claims }, key);

const verify = (text: string, scheme = "Bearer", nowMs = NOW_MS) => verifier.verify(`${scheme} ${text}`, nowMs);

describe("a token of a pinned issuer", () => {
  it("says who asks, with the claims as they came", async () => {
    const text = token({ department: ["a", { b: 1 }] });
    const verified = await verify(text);
    expect(verified).toEqual({
      principal: {
        id: "payroll/svc-7",
        issuer: "payroll",
        subject: "svc-7",
        claims: { ...CLAIMS, department: ["a", { b: 1 }] },
      },
      token: text,
      boundTo: undefined,
    });
  });

  it.each(["ES256", "ES384", "ES512", "EdDSA", "PS256", "PS384", "PS512", "RS256", "RS384", "RS512"] as const)(
    "may be signed with %s where that is pinned, and not where it is not",
    async (alg) => {
      const key = testKey(alg, "k");
      const signed = token({ iss: "https://any.example" }, { alg, kid: "k" }, key);
      const pinned = await TokenVerifier.create({ ...rules, issuers: [issuerOf("any", [key], { algorithms: [alg] })] });
      expect((await pinned.verify(`Bearer ${signed}`, NOW_MS)).principal.id).toBe("any/svc-7");
      const other = alg === "RS256" ? testKey("PS256", "other") : testKey("RS256", "other");
      const algorithms = [other.alg === "RS256" ? ("RS256" as const) : ("PS256" as const)];
      const elsewhere = await TokenVerifier.create({ ...rules, issuers: [issuerOf("any", [other], { algorithms })] });
      await expect(elsewhere.verify(`Bearer ${signed}`, NOW_MS)).rejects.toThrowCode("ERR_TOKEN_UNTRUSTED");
    },
  );

  it("may leave out typ, and kid where one key alone fits its algorithm", async () => {
    expect((await verify(token({}, { typ: undefined, kid: undefined }))).principal.id).toBe("payroll/svc-7");
    for (const typ of ["JWT", "jwt", "AT+JWT", "application/at+jwt"]) await verify(token({}, { typ }));
  });

  it("may have several audiences of which one is pinned, and hints that say nothing", async () => {
    await verify(token({ aud: ["https://other.example", "urn:decrypt"] }, { x5t: "aGludA", "x5t#S256": "aGludA" }));
  });

  it("may come under either spelling of a scheme's letters", async () => {
    await verify(token(), "bEARER");
    expect((await verify(token({ cnf: { jkt: JKT } }), "dpop")).boundTo).toBe(JKT);
  });
});

describe("the authorization header", () => {
  it("is missing", async () => {
    await expect(verifier.verify(undefined, NOW_MS)).rejects.toThrowCode("ERR_TOKEN_MISSING");
  });

  it.each([
    ["is empty", () => ""],
    ["has a scheme alone", () => "Bearer"],
    ["has a scheme and a space alone", () => "Bearer "],
    ["has no scheme", () => token()],
    ["has another scheme", () => `Basic ${token()}`],
    ["has a scheme that begins like ours", () => `BearerX ${token()}`],
    ["has two spaces", () => `Bearer  ${token()}`],
    ["has a space before it", () => ` Bearer ${token()}`],
    ["has a space after it", () => `Bearer ${token()} `],
    ["has a line break after it", () => `Bearer ${token()}\n`],
    ["has two tokens, as joined headers do", () => `Bearer ${token()}, Bearer ${token()}`],
  ])("%s", async (_, header) => {
    await expect(verifier.verify(header(), NOW_MS)).rejects.toThrowCode("ERR_TOKEN_MALFORMED");
  });
});

describe("the size of a token", () => {
  /** A genuine token of exactly `length` characters; base64url has no text of length 1 mod 4, so the header helps out. */
  function tokenOf(length: number): string {
    for (let fill = length * 0.75 - 400; ; fill++) {
      for (const pad of ["", "p", "pp"]) {
        const text = token({ fill: "x".repeat(fill) }, { pad });
        if (text.length === length) return text;
      }
    }
  }

  it("is accepted at 8 KiB exactly, under either scheme's length", async () => {
    const text = tokenOf(8_192);
    expect(text).toHaveLength(8_192);
    await verify(text);
  });

  it("is refused one above, before anything is parsed", async () => {
    await expect(verify(tokenOf(8_193))).rejects.toThrowCode("ERR_TOKEN_MALFORMED");
    await expect(verify(tokenOf(8_193), "DPoP")).rejects.toThrowCode("ERR_TOKEN_MALFORMED");
    await expect(verify("x".repeat(8_193))).rejects.toThrow(/at most 8192/);
    await expect(verifier.verify("x".repeat(9_000), NOW_MS)).rejects.toThrow(/at most 8192/);
    await expect(verify(`${"a.".repeat(2_000_000)}`)).rejects.toThrow(/at most 8192/);
  });
});

describe("the form of a token", () => {
  const [header = "", claims = "", signature = ""] = token().split(".");
  const raw = (text: string | Uint8Array): string => toBase64Url(typeof text === "string" ? utf8(text) : text);
  /** Signed as it stands, so that only the form is wrong. */
  const signed = (head: string, body: string): string => signSegments(`${head}.${body}`, "ES256", payroll.privateKey);

  /** With one more member, of which one byte is wrong. */
  const notUtf8 = (members: Json): string =>
    toBase64Url(Buffer.from(JSON.stringify({ ...members, more: "\u00ff" }), "latin1"));

  it("is of the baseline, which passes", async () => {
    await verify(`${header}.${claims}.${signature}`);
    await verify(signed(header, claims));
  });

  it.each([
    ["one segment", header],
    ["two segments", `${header}.${claims}`],
    ["four segments", `${header}.${claims}.${signature}.${signature}`],
    ["five segments, as encrypted tokens have", `${header}.${claims}.${claims}.${claims}.${signature}`],
    ["an empty header", `.${claims}.${signature}`],
    ["no claims", `${header}..${signature}`],
    ["no signature", `${header}.${claims}.`],
    ["a header that is no base64url", `${header}+.${claims}.${signature}`],
    ["padding", `${header}==.${claims}.${signature}`],
    ["a signature with padding", `${header}.${claims}.${signature}==`],
    ["a header with spare bits set", signed(raw("{}").replace(/0$/, "1"), claims)],
    ["a signature of a length that base64 has not", `${header}.${claims}.${signature}AAA`],
    ["a header that is no JSON", signed(raw("{"), claims)],
    ["a header that is a list", signed(raw("[]"), claims)],
    ["a header that is null", signed(raw("null"), claims)],
    ["a header that is no UTF-8", signed(notUtf8(HEADER), claims)],
    ["a header with a byte order mark", signed(raw(`\ufeff${JSON.stringify(HEADER)}`), claims)],
    ["a header with __proto__", signed(raw(`{"alg":"ES256","kid":"payroll-1","__proto__":{}}`), claims)],
    ["claims that are no JSON", signed(header, raw("{"))],
    ["claims that are a list", signed(header, raw("[]"))],
    ["claims that are text", signed(header, raw(`"claims"`))],
    ["claims that are no UTF-8", signed(header, notUtf8(CLAIMS))],
    [
      "claims with __proto__ inside",
      signed(header, raw(JSON.stringify({ ...CLAIMS, x: 1 }).replace('"x"', '"__proto__"'))),
    ],
  ])("is refused with %s", async (_, text) => {
    await expect(verify(text)).rejects.toThrowCode("ERR_TOKEN_MALFORMED");
  });

  it("has one spelling: a signature with spare bits set is refused though it decodes to the same bytes", async () => {
    const last = signature.at(-1) ?? "";
    const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    const twin = `${signature.slice(0, -1)}${alphabet[alphabet.indexOf(last) + 1]}`;
    expect(Buffer.from(twin, "base64url")).toEqual(Buffer.from(signature, "base64url"));
    await expect(verify(`${header}.${claims}.${twin}`)).rejects.toThrowCode("ERR_TOKEN_MALFORMED");
  });
});

describe("the header of a token", () => {
  it.each<[string, Json]>([
    ["crit", { crit: ["exp"] }],
    ["crit with what it names", { crit: ["urn:x"], "urn:x": 1 }],
    ["crit that is empty", { crit: [] }],
    ["crit with b64, which jose itself knows", { crit: ["b64"], b64: true }],
    ["b64", { b64: true }],
    ["an embedded key", { jwk: payroll.jwk }],
    ["a URL of keys", { jku: "https://payroll.example/jwks" }],
    ["a URL of certificates", { x5u: "https://payroll.example/chain" }],
    ["certificates", { x5c: ["AAAA"] }],
    ["cty, as nested tokens have", { cty: "JWT" }],
    ["enc", { enc: "A256GCM" }],
    ["zip", { zip: "DEF" }],
    ["the type of a proof of possession", { typ: "dpop+jwt" }],
    ["the type of an identity event", { typ: "secevent+jwt" }],
    ["the type JOSE", { typ: "JOSE" }],
    ["a type that contains an accepted one", { typ: "xat+jwt" }],
    ["a type that begins like an accepted one", { typ: "JWTX" }],
    ["a type that is no text", { typ: 1 }],
    ["a kid that is no text", { kid: 1 }],
    ["no algorithm", { alg: undefined }],
    ["an algorithm that is no text", { alg: ["ES256"] }],
  ])("is refused with %s", async (_, header) => {
    await expect(verify(token({}, header))).rejects.toThrowCode("ERR_TOKEN_MALFORMED");
  });

  it("is refused with an embedded key that it is signed with", async () => {
    const own = testKey("ES256", "payroll-1");
    await expect(verify(token({}, { jwk: own.jwk }, own))).rejects.toThrowCode("ERR_TOKEN_MALFORMED");
  });

  it.each(["none", "None", "NONE", "nOnE"])("is refused with alg %s, with a signature or without", async (alg) => {
    await expect(verify(token({}, { alg }))).rejects.toThrowCode("ERR_TOKEN_MALFORMED");
    const unsigned = token({}, { alg }).replace(/[^.]*$/, "");
    await expect(verify(unsigned)).rejects.toThrowCode("ERR_TOKEN_MALFORMED");
  });

  const SECRETS = [payroll, partner].flatMap((key) => {
    const jwk = JSON.stringify(key.publicKey.export({ format: "jwk" }));
    const { kid } = key;
    const pem = key.publicKey.export({ type: "spki", format: "pem" }).toString();
    return [
      { kid, form: "PEM", secret: utf8(pem) },
      { kid, form: "PEM without its last line break", secret: utf8(pem.trimEnd()) },
      { kid, form: "DER", secret: new Uint8Array(key.publicKey.export({ type: "spki", format: "der" })) },
      { kid, form: "JWK", secret: utf8(jwk) },
      { kid, form: "JWK as configured", secret: utf8(JSON.stringify(key.jwk)) },
    ];
  });

  it.each(SECRETS.flatMap((secret) => ["HS256", "HS384", "HS512", "hs256"].map((alg) => ({ ...secret, alg }))))(
    "is refused with $alg under the public key $kid as $form",
    async ({ kid, secret, alg }) => {
      const iss = kid === "partner-1" ? "https://partner.example" : CLAIMS.iss;
      const forged = hmacJwt({ ...HEADER, alg, kid }, { ...CLAIMS, iss }, secret);
      await expect(verify(forged)).rejects.toThrowCode("ERR_TOKEN_MALFORMED");
    },
  );
});

describe("the claims of a token", () => {
  it.each(["iss", "sub", "aud", "exp", "iat"])("lack %s", async (claim) => {
    await expect(verify(token({ [claim]: undefined }))).rejects.toThrowCode("ERR_TOKEN_MALFORMED");
  });

  it.each<[string, Json]>([
    ["an issuer that is no text", { iss: ["https://payroll.example"] }],
    ["a subject that is empty", { sub: "" }],
    ["a subject that is a number", { sub: 7 }],
    ["a subject of 257 characters", { sub: "s".repeat(257) }],
    ["a subject with a line break", { sub: "svc\nroot" }],
    ["a subject with NUL", { sub: "svc\u0000" }],
    ["a subject with DEL", { sub: "svc\u007f" }],
    ["a subject with a C1 control character", { sub: "svc\u0085" }],
    ["a subject with a line separator", { sub: "svc\u2028root" }],
    ["a subject with a paragraph separator", { sub: "svc\u2029root" }],
    ["a subject with half a character", { sub: "svc\ud800" }],
    ["an audience that is a number", { aud: 1 }],
    ["an audience that is an object", { aud: { "urn:decrypt": true } }],
    ["audiences of which one is a number", { aud: ["urn:decrypt", 1] }],
    ["exp as text", { exp: String(NOW + 300) }],
    ["exp before 1970", { exp: -1 }],
    ["exp after 9999", { exp: 253_402_300_800 }],
    ["exp null", { exp: null }],
    ["iat as text", { iat: String(NOW) }],
    ["iat before 1970", { iat: -1 }],
    ["nbf as text", { nbf: String(NOW) }],
    ["nbf null", { nbf: null }],
  ])("are refused with %s", async (_, claims) => {
    await expect(verify(token(claims))).rejects.toThrowCode("ERR_TOKEN_MALFORMED");
  });

  it("are refused with a number that JSON has and that becomes infinite", async () => {
    const [header = "", claims = ""] = token({ exp: 4242 }).split(".");
    const infinite = Buffer.from(claims, "base64url").toString().replace("4242", "1e999");
    const signed = signSegments(`${header}.${toBase64Url(utf8(infinite))}`, "ES256", payroll.privateKey);
    await expect(verify(signed)).rejects.toThrowCode("ERR_TOKEN_MALFORMED");
  });

  it("may have a subject of 256 characters, of any script, with a slash", async () => {
    expect((await verify(token({ sub: "s".repeat(256) }))).principal.subject).toHaveLength(256);
    expect((await verify(token({ sub: "přístup/𝒮" }))).principal.id).toBe("payroll/přístup/𝒮");
  });
});

describe("the origin of a token", () => {
  const partnerClaims = { iss: "https://partner.example" };

  it("is accepted of the other issuer with that one's own key", async () => {
    const text = token(partnerClaims, { alg: "RS256", kid: "partner-1" }, partner);
    expect((await verify(text)).principal.id).toBe("partner/svc-7");
  });

  it.each<[string, () => string]>([
    ["of an unknown issuer", () => token({ iss: "https://evil.example" })],
    ["of an issuer with a slash more", () => token({ iss: "https://payroll.example/" })],
    ["of an issuer in capitals", () => token({ iss: "https://PAYROLL.example" })],
    ["of an issuer with the name of a member of all objects", () => token({ iss: "constructor" })],
    ["for another audience", () => token({ aud: "https://other.example" })],
    ["for no audience", () => token({ aud: [] })],
    ["for an audience that contains a pinned one", () => token({ aud: "https://decrypt.example.evil" })],
    ["with an unknown kid", () => token({}, { kid: "payroll-9" })],
    ["with an empty kid", () => token({}, { kid: "" })],
    ["with the kid of another issuer, and its key", () => token({}, { alg: "RS256", kid: "partner-1" }, partner)],
    ["with the kid of another issuer, and the right key", () => token({}, { kid: "partner-1" })],
    ["with the kid of a key of another type", () => token({}, { kid: "payroll-2" })],
    ["with an algorithm that is not pinned", () => token({}, { alg: "ES384" }, testKey("ES384", "payroll-1"))],
    [
      "with an algorithm that is pinned for another issuer",
      () => token(partnerClaims, { alg: "ES256", kid: "partner-1" }),
    ],
    [
      "with PS256 under a key for RS256",
      () => token(partnerClaims, { alg: "PS256", kid: "partner-1" }, { ...partner, alg: "PS256" }),
    ],
    ["with an algorithm that nobody knows", () => token({}, { alg: "XX256" })],
    ["with the algorithm __proto__", () => token({}, { alg: "__proto__" })],
    ["signed by another issuer's key", () => token(partnerClaims, { alg: "RS256", kid: "partner-1" }, payrollRsa)],
    ["signed by a key of nobody", () => token({}, {}, testKey("ES256", "payroll-1"))],
    ["whose claims were changed", () => withClaims(token(), token({ sub: "root" }))],
    ["whose signature is DER", () => withDerSignature()],
    ["whose signature is all zeros", () => token().replace(/[^.]*$/, toBase64Url(new Uint8Array(64)))],
    ["whose signature is cut", () => token().slice(0, -2)],
  ])("is refused %s", async (_, text) => {
    await expect(verify(text())).rejects.toThrowCode("ERR_TOKEN_UNTRUSTED");
  });

  it("is refused without kid where several keys fit", async () => {
    const second = testKey("ES256", "payroll-3");
    const two = await TokenVerifier.create({ ...rules, issuers: [issuerOf("payroll", [payroll, second])] });
    await two.verify(`Bearer ${token()}`, NOW_MS);
    await expect(two.verify(`Bearer ${token({}, { kid: undefined })}`, NOW_MS)).rejects.toThrowCode(
      "ERR_TOKEN_UNTRUSTED",
    );
  });

  it("is told only when the form is right, and the time only when the origin is", async () => {
    const stranger = testKey("ES256", "payroll-1");
    await expect(verify(token({ exp: NOW - 900 }, {}, stranger))).rejects.toThrowCode("ERR_TOKEN_UNTRUSTED");
    await expect(verify(token({ sub: "" }, {}, stranger))).rejects.toThrowCode("ERR_TOKEN_MALFORMED");
  });

  it("keeps what the token says out of messages and causes", async () => {
    for (const text of [
      token({ aud: "urn:secret" }),
      token({ exp: NOW - 900, sub: "secret" }),
      token({ sub: "secret\n" }),
    ]) {
      const error = await verify(text).catch((reason: unknown) => reason);
      expect(error).toBeInstanceOf(ServiceError);
      expect(String(error)).not.toContain("secret");
      expect((error as ServiceError).cause).toBeUndefined();
    }
  });

  function withClaims(text: string, other: string): string {
    const [header, , signature] = text.split(".");
    return [header, other.split(".")[1], signature].join(".");
  }

  function withDerSignature(): string {
    const [header, claims, signature = ""] = token().split(".");
    const raw = Buffer.from(signature, "base64url");
    const integer = (bytes: Uint8Array): number[] => [0x02, 33, 0, ...bytes];
    const body = [...integer(raw.subarray(0, 32)), ...integer(raw.subarray(32))];
    return [header, claims, toBase64Url(Uint8Array.of(0x30, body.length, ...body))].join(".");
  }
});

describe("the time of a token", () => {
  const at = (claims: Json, nowMs: number) => verify(token(claims), "Bearer", nowMs);

  it("ends with exp and the skew: the last millisecond is accepted, the next is not", async () => {
    const claims = { exp: NOW };
    await at(claims, NOW_MS + SKEW * 1000 - 1);
    await expect(at(claims, NOW_MS + SKEW * 1000)).rejects.toThrowCode("ERR_TOKEN_TIME");
  });

  it("begins with nbf less the skew", async () => {
    const claims = { nbf: NOW + SKEW };
    await at(claims, NOW_MS);
    await expect(at(claims, NOW_MS - 1)).rejects.toThrowCode("ERR_TOKEN_TIME");
  });

  it("begins with iat less the skew", async () => {
    const claims = { iat: NOW + SKEW };
    await at(claims, NOW_MS);
    await expect(at(claims, NOW_MS - 1)).rejects.toThrowCode("ERR_TOKEN_TIME");
  });

  it("ends with its age and the skew, whatever exp says", async () => {
    const claims = { iat: NOW - MAX_AGE - SKEW, exp: NOW + 100_000 };
    await at(claims, NOW_MS + 999);
    await expect(at(claims, NOW_MS + 1_000)).rejects.toThrowCode("ERR_TOKEN_TIME");
  });

  it("may be in fractions of a second", async () => {
    await at({ iat: NOW - 0.5, exp: NOW + 0.5, nbf: NOW - 0.25 }, NOW_MS);
  });

  it("is held against the caller's clock alone: a token of 2001 in 2001", async () => {
    await at({ iat: 1_000_000_000, exp: 1_000_000_060 }, 1_000_000_030_000);
  });

  it("is never right when the caller has no time", async () => {
    await expect(at({}, Number.NaN)).rejects.toThrow(TypeError);
  });
});

describe("the binding of a token", () => {
  const bound = (cnf: unknown): string => token({ cnf });

  it("is handed on for the proof to be verified", async () => {
    expect((await verify(bound({ jkt: JKT }), "DPoP")).boundTo).toBe(JKT);
  });

  it("is lost under Bearer, which is refused", async () => {
    await expect(verify(bound({ jkt: JKT }), "Bearer")).rejects.toThrowCode("ERR_TOKEN_BINDING");
  });

  it("cannot be claimed for a token that has none", async () => {
    await expect(verify(token(), "DPoP")).rejects.toThrowCode("ERR_TOKEN_BINDING");
  });

  it.each<[string, unknown]>([
    ["a certificate", { "x5t#S256": JKT }],
    ["a certificate besides", { jkt: JKT, "x5t#S256": JKT }],
    ["a key", { jwk: payroll.jwk }],
    ["a key id", { kid: "payroll-1" }],
    ["nothing", {}],
    ["null", null],
    ["text", JKT],
    ["a list", [{ jkt: JKT }]],
    ["a thumbprint that is no text", { jkt: 7 }],
    ["a thumbprint of 31 bytes", { jkt: toBase64Url(new Uint8Array(31)) }],
    ["a thumbprint of 33 bytes", { jkt: toBase64Url(new Uint8Array(33)) }],
    ["a thumbprint with padding", { jkt: `${JKT}=` }],
    ["a thumbprint with spare bits set", { jkt: `${JKT.slice(0, -1)}d` }],
  ])("is refused with %s, under either scheme", async (_, cnf) => {
    await expect(verify(bound(cnf), "DPoP")).rejects.toThrowCode("ERR_TOKEN_BINDING");
    await expect(verify(bound(cnf), "Bearer")).rejects.toThrowCode("ERR_TOKEN_BINDING");
  });

  it("must be there where the configuration demands it", async () => {
    const strictToken = (cnf?: unknown) =>
      token({ iss: "https://strict.example", cnf }, { alg: "EdDSA", kid: "strict-1" }, strict);
    expect((await verify(strictToken({ jkt: JKT }), "DPoP")).principal.id).toBe("strict/svc-7");
    await expect(verify(strictToken(), "Bearer")).rejects.toThrowCode("ERR_TOKEN_BINDING");
    await expect(verify(strictToken(), "DPoP")).rejects.toThrowCode("ERR_TOKEN_BINDING");
  });
});

describe("whatever the header holds", () => {
  const CODES = ["ERR_TOKEN_MALFORMED", "ERR_TOKEN_UNTRUSTED", "ERR_TOKEN_TIME", "ERR_TOKEN_BINDING"];
  const genuine = token({ cnf: { jkt: JKT } });

  /** The token that was accepted, or the code of the refusal; any other error fails the test. */
  async function outcomeOf(header: string): Promise<string> {
    try {
      return (await verifier.verify(header, NOW_MS)).token;
    } catch (error) {
      if (error instanceof ServiceError) return error.code;
      throw error;
    }
  }

  it("random text is refused with a code of tokens", async () => {
    const json = fc.json().map((text) => toBase64Url(utf8(text)));
    const segments = fc.array(fc.oneof(fc.string(), fc.base64String(), json), { maxLength: 5 });
    const text = fc.oneof(
      fc.string({ unit: "binary" }),
      segments.map((parts) => parts.join(".")),
    );
    const scheme = fc.constantFrom("Bearer ", "DPoP ", "");
    await fc.assert(
      fc.asyncProperty(scheme, text, async (prefix, rest) => {
        expect(CODES).toContain(await outcomeOf(prefix + rest));
      }),
      { seed: 20261123, numRuns: 2_000 },
    );
  });

  it("a genuine header with changes is refused with a code of tokens, or has the genuine token", async () => {
    const header = mutated([utf8(`DPoP ${genuine}`)]).map((bytes) => Buffer.from(bytes).toString("latin1"));
    expect(await outcomeOf(`DPoP ${genuine}`)).toBe(genuine);
    await fc.assert(
      fc.asyncProperty(header, async (text) => {
        expect([...CODES, genuine]).toContain(await outcomeOf(text));
      }),
      { seed: 20261123, numRuns: 2_000 },
    );
  });

  it("what an issuer signed, of any JSON, is refused with a code of tokens or accepted", async () => {
    const names = [...Object.keys(HEADER), ...Object.keys(CLAIMS), "nbf", "cnf", "crit", "jwk"];
    const changes = fc.dictionary(fc.constantFrom(...names), fc.jsonValue(), { maxKeys: 2 });
    await fc.assert(
      fc.asyncProperty(changes, changes, async (header, claims) => {
        const text = token(claims, header);
        expect([...CODES, text]).toContain(await outcomeOf(`Bearer ${text}`));
      }),
      { seed: 20261123, numRuns: 1_000 },
    );
  });
});
