/**
 * An issuer of tokens for a first try, where there is no identity provider yet. Whoever has KEYFILE is every caller: for
 * a trial, on the client's machine, and never on the parent instance.
 *
 *   node deploy/trial-issuer.mjs new KEYFILE         makes the key, and prints the issuer for the enclave's configuration
 *   node deploy/trial-issuer.mjs token KEYFILE SUBJECT [NAME=VALUE …]   prints a token of ten minutes with these claims
 */
import { createPrivateKey, generateKeyPairSync, randomUUID, sign } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";

const ISSUER = "https://trial.invalid";
const AUDIENCE = "https://decrypt.invalid";
const LIFETIME_SECONDS = 600;

const [command, file, subject, ...claims] = process.argv.slice(2);
if (command === "new" && file !== undefined) process.stdout.write(`${JSON.stringify(newIssuer(file), null, 2)}\n`);
else if (command === "token" && subject !== undefined) process.stdout.write(`${token(file, subject, claims)}\n`);
else {
  process.stderr.write("trial-issuer: new KEYFILE, or token KEYFILE SUBJECT [NAME=VALUE …]\n");
  process.exitCode = 2;
}

function newIssuer(path) {
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const jwk = { ...publicKey.export({ format: "jwk" }), kid: randomUUID() };
  const { d } = privateKey.export({ format: "jwk" });
  writeFileSync(path, JSON.stringify({ ...jwk, d }), { mode: 0o600, flag: "wx" });
  const keys = { algorithms: ["ES256"], jwks: { keys: [jwk] } };
  return { name: "trial", issuer: ISSUER, audiences: [AUDIENCE], ...keys, proofOfPossession: "whereBound" };
}

function token(path, sub, pairs) {
  const { kid, ...jwk } = JSON.parse(readFileSync(path, "utf8"));
  const iat = Math.floor(Date.now() / 1000);
  const own = Object.fromEntries(pairs.map((pair) => pair.split(/=(.*)/s, 2)));
  const payload = { ...own, iss: ISSUER, sub, aud: AUDIENCE, iat, exp: iat + LIFETIME_SECONDS };
  const text = [{ alg: "ES256", typ: "JWT", kid }, payload].map((part) => encode(JSON.stringify(part))).join(".");
  const key = createPrivateKey({ key: jwk, format: "jwk" });
  return `${text}.${encode(sign("sha256", Buffer.from(text), { key, dsaEncoding: "ieee-p1363" }))}`;
}

function encode(bytes) {
  return Buffer.from(bytes).toString("base64url");
}
