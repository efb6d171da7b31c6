/**
 * Verifies AWS Signature Version 4 in the Authorization header (IAM User Guide, "Create a signed AWS API request").
 * The canonical request is built from what really arrived: the body is hashed here, and an x-amz-content-sha256 header
 * is only one more header. Refused: presigned queries, any other algorithm, a signature that leaves out `host` or any
 * x-amz-* header that came along, times more than 15 minutes away.
 */
import { createHash, createHmac, timingSafeEqual } from "node:crypto";
import { AwsError } from "../errors.js";
import type { IssuedKey, Principals } from "./principals.js";

/** A request as it came off the wire. */
export interface SignedRequest {
  readonly method: string;
  /** The request target: path and query, still encoded. */
  readonly target: string;
  /** Name, value, name, value …, in order and with duplicates (`IncomingMessage.rawHeaders`). */
  readonly rawHeaders: readonly string[];
  readonly body: Uint8Array;
}

/** What the credential scope must say, and when it is now. */
export interface SignatureScope {
  readonly isRegion: (name: string) => boolean;
  readonly service: string;
  readonly now: Date;
}

const WINDOW_SECONDS = 15 * 60;
const ALGORITHM = "AWS4-HMAC-SHA256";

const invalidSignature = (message: string): AwsError => new AwsError("InvalidSignatureException", message);
const incomplete = (message: string): AwsError => new AwsError("IncompleteSignatureException", message);

/** Who signed a request, and for which Region. */
export interface Signature {
  readonly key: IssuedKey;
  readonly region: string;
}

/**
 * The access key that signed `request`, and the Region of its credential scope. On return its holder had the secret, meant this very method, target, body and
 * signed headers, and did so within the time window. Says nothing about what the holder may do.
 * @throws AwsError MissingAuthenticationTokenException, IncompleteSignatureException, UnrecognizedClientException,
 * ExpiredTokenException, InvalidSignatureException.
 */
export function verifySignature(request: SignedRequest, principals: Principals, scope: SignatureScope): Signature {
  const headers = collectHeaders(request.rawHeaders);
  const authorization = parseAuthorization(headers.get("authorization"));
  const time = signingTime(headers);
  assertScope(authorization, time, scope);
  assertSignedHeaders(authorization.signedHeaders, headers);
  const key = lookUpKey(authorization.accessKeyId, headers.get("x-amz-security-token"), principals);
  const expected = signatureOf(request, headers, authorization, time, key.secretAccessKey);
  if (!timingSafeEqual(expected, authorization.signature)) {
    throw invalidSignature(
      "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access " +
        "Key and signing method. Consult the service documentation for details.",
    );
  }
  // Last, and only for those who hold the secret: who does not shall not learn whose key has ended.
  if (key.expiration !== undefined && scope.now >= key.expiration) {
    throw new AwsError("ExpiredTokenException", "The security token included in the request is expired");
  }
  return { key, region: authorization.region };
}

/** The Region and service that a request says it was signed for; nothing of that is verified. */
export function claimedScopeOf({ rawHeaders }: Pick<SignedRequest, "rawHeaders">): {
  readonly region: string;
  readonly service: string;
} {
  const at = rawHeaders.findIndex((name, i) => i % 2 === 0 && name.toLowerCase() === "authorization");
  const fields = at < 0 ? [] : (rawHeaders[at + 1] ?? "").split(/[ ,]/);
  const credential = fields.find((field) => field.startsWith("Credential=")) ?? "";
  const [, , region = "", service = ""] = credential.split("/");
  return { region, service };
}

interface Authorization {
  readonly accessKeyId: string;
  readonly date: string;
  readonly region: string;
  readonly service: string;
  readonly scope: string;
  readonly signedHeaders: readonly string[];
  readonly signature: Buffer;
}

/** Header values by lower-case name; repeated ones are joined with commas, runs of spaces become one. */
function collectHeaders(rawHeaders: readonly string[]): Map<string, string> {
  const headers = new Map<string, string>();
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const name = rawHeaders[i]?.toLowerCase() ?? "";
    const value = (rawHeaders[i + 1] ?? "").trim().replace(/ +/g, " ");
    const earlier = headers.get(name);
    headers.set(name, earlier === undefined ? value : `${earlier},${value}`);
  }
  return headers;
}

function parseAuthorization(header: string | undefined): Authorization {
  if (header === undefined) throw new AwsError("MissingAuthenticationTokenException", "Missing Authentication Token");
  if (!header.startsWith(`${ALGORITHM} `)) throw incomplete(`Unsupported algorithm, expected '${ALGORITHM}'.`);
  const fields = new Map<string, string>();
  for (const part of header.slice(ALGORITHM.length + 1).split(",")) {
    const at = part.indexOf("=");
    fields.set(part.slice(0, at).trim(), part.slice(at + 1).trim());
  }
  const missing = ["Credential", "Signature", "SignedHeaders"].filter((name) => !fields.get(name));
  if (missing.length > 0) {
    throw incomplete(missing.map((name) => `Authorization header requires '${name}' parameter.`).join(" "));
  }
  const [accessKeyId = "", date = "", region = "", service = "", end, ...more] = (fields.get("Credential") ?? "").split(
    "/",
  );
  if (accessKeyId === "" || end !== "aws4_request" || more.length > 0) {
    throw incomplete("Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term.");
  }
  const hex = fields.get("Signature") ?? "";
  if (!/^[0-9a-f]{64}$/.test(hex)) throw incomplete("Signature must be 64 lower-case hexadecimal digits.");
  const signedHeaders = (fields.get("SignedHeaders") ?? "").split(";");
  const scope = `${date}/${region}/${service}/aws4_request`;
  return { accessKeyId, date, region, service, scope, signedHeaders, signature: Buffer.from(hex, "hex") };
}

/** The signing time in its basic ISO 8601 form, from X-Amz-Date. */
function signingTime(headers: ReadonlyMap<string, string>): string {
  const text = headers.get("x-amz-date");
  if (text === undefined) {
    throw incomplete("Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.");
  }
  if (!/^\d{8}T\d{6}Z$/.test(text)) throw incomplete("Date must be in ISO-8601 'basic format'.");
  return text;
}

const toDate = (basic: string): Date =>
  new Date(basic.replace(/^(\d{4})(\d{2})(\d{2})T(\d{2})(\d{2})(\d{2})Z$/, "$1-$2-$3T$4:$5:$6Z"));

const toBasic = (date: Date): string => `${date.toISOString().replace(/[-:]/g, "").slice(0, 15)}Z`;

function assertScope(authorization: Authorization, time: string, scope: SignatureScope): void {
  if (!scope.isRegion(authorization.region)) throw invalidSignature("Credential should be scoped to a valid region.");
  if (authorization.service !== scope.service) {
    throw invalidSignature(`Credential should be scoped to correct service: '${scope.service}'.`);
  }
  if (authorization.date !== time.slice(0, 8)) {
    throw invalidSignature("Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP.");
  }
  const ageSeconds = (scope.now.getTime() - toDate(time).getTime()) / 1000;
  const [now, minutes] = [toBasic(scope.now), WINDOW_SECONDS / 60];
  // Written so that a date that is none (month 13 is NaN) is outside the window too.
  if (!(ageSeconds <= WINDOW_SECONDS)) {
    throw invalidSignature(`Signature expired: ${time} is now earlier than the window before ${now} (${minutes} min.)`);
  }
  if (ageSeconds < -WINDOW_SECONDS) {
    throw invalidSignature(
      `Signature not yet current: ${time} is still later than the window after ${now} (${minutes} min.)`,
    );
  }
}

/** What is not signed could be changed on the way: the host, and every x-amz-* header (the operation is one of them). */
function assertSignedHeaders(signed: readonly string[], headers: ReadonlyMap<string, string>): void {
  if (!signed.includes("host")) {
    throw invalidSignature("'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.");
  }
  for (const name of headers.keys()) {
    if (name.startsWith("x-amz-") && !signed.includes(name)) {
      throw invalidSignature(`'${name}' must be a 'SignedHeader' in the AWS Authorization.`);
    }
  }
  for (const name of signed) {
    if (!headers.has(name)) throw invalidSignature(`The signed header '${name}' is not in the request.`);
  }
}

function lookUpKey(accessKeyId: string, token: string | undefined, principals: Principals): IssuedKey {
  const key = principals.lookUp(accessKeyId);
  if (key === undefined || !sameToken(key.sessionToken, token)) {
    throw new AwsError("UnrecognizedClientException", "The security token included in the request is invalid.");
  }
  return key;
}

/** Compares by hash, so that the time taken tells neither length nor content of the right token. */
function sameToken(expected: string | undefined, actual: string | undefined): boolean {
  if (expected === undefined || actual === undefined) return expected === actual;
  return timingSafeEqual(sha256(expected), sha256(actual));
}

/** The signature that a request with these headers has to carry. */
export function signatureOf(
  request: Omit<SignedRequest, "rawHeaders">,
  headers: ReadonlyMap<string, string>,
  authorization: Omit<Authorization, "accessKeyId" | "signature">,
  time: string,
  secretAccessKey: string,
): Buffer {
  const canonicalHeaders = authorization.signedHeaders.map((name) => `${name}:${headers.get(name)}\n`).join("");
  const [path = "/", query = ""] = splitOnce(request.target, "?");
  const canonicalRequest = [
    request.method,
    path,
    query.split("&").sort().join("&"),
    canonicalHeaders,
    authorization.signedHeaders.join(";"),
    sha256(request.body).toString("hex"),
  ].join("\n");
  const stringToSign = [ALGORITHM, time, authorization.scope, sha256(canonicalRequest).toString("hex")].join("\n");
  const parts = [authorization.date, authorization.region, authorization.service, "aws4_request"];
  const signingKey = parts.reduce<Buffer>((key, part) => hmac(key, part), Buffer.from(`AWS4${secretAccessKey}`));
  return hmac(signingKey, stringToSign);
}

function splitOnce(text: string, separator: string): readonly string[] {
  const at = text.indexOf(separator);
  return at < 0 ? [text] : [text.slice(0, at), text.slice(at + 1)];
}

const sha256 = (content: string | Uint8Array): Buffer => createHash("sha256").update(content).digest();
const hmac = (key: Buffer, text: string): Buffer => createHmac("sha256", key).update(text).digest();
