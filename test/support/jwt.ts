/** JWTs made with node:crypto alone, right ones and wrong ones: the second opinion on what reads them. */
import type { KeyObject } from "node:crypto";
import { constants, createHmac, generateKeyPairSync, sign } from "node:crypto";

export type Json = Readonly<Record<string, unknown>>;

export interface TestKey {
  readonly alg: string;
  readonly kid: string;
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
  /** The public key, with `kid` and nothing else besides its required members. */
  readonly jwk: Json;
}

const CURVES: Readonly<Record<string, string>> = { ES256: "P-256", ES384: "P-384", ES512: "P-521" };

export function testKey(alg: string, kid: string, modulusLength = 2048): TestKey {
  const pair = generatePair(alg, modulusLength);
  return { alg, kid, ...pair, jwk: { ...pair.publicKey.export({ format: "jwk" }), kid } };
}

function generatePair(alg: string, modulusLength: number): { privateKey: KeyObject; publicKey: KeyObject } {
  const namedCurve = CURVES[alg];
  if (namedCurve !== undefined) return generateKeyPairSync("ec", { namedCurve });
  return /^Ed/.test(alg) ? generateKeyPairSync("ed25519") : generateKeyPairSync("rsa", { modulusLength });
}

const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString("base64url");

/** A JWT with exactly this header and these claims, signed as `alg` says, whatever the header says. */
export function signJwt(header: unknown, claims: unknown, { alg, privateKey }: TestKey): string {
  return signSegments(`${encode(header)}.${encode(claims)}`, alg, privateKey);
}

export function signSegments(signed: string, alg: string, key: KeyObject): string {
  const hash = /^Ed/.test(alg) ? null : `sha${alg.slice(2)}`;
  const padding = alg.startsWith("PS") ? { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: -1 } : {};
  const signature = sign(hash, Buffer.from(signed), { key, dsaEncoding: "ieee-p1363", ...padding });
  return `${signed}.${signature.toString("base64url")}`;
}

/** A JWT with an HMAC under any bytes. */
export function hmacJwt(header: Json, claims: Json, secret: Uint8Array): string {
  const signed = `${encode(header)}.${encode(claims)}`;
  const hash = `sha${String(header.alg).slice(2)}`;
  return `${signed}.${createHmac(hash, secret).update(signed).digest("base64url")}`;
}
