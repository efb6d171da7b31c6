/** SigV4 against AWS's published test suite (aws-sig-v4-test-suite, post-vanilla and get-vanilla), one thing changed at a time. */
import { describe, expect, it } from "vitest";
import { utf8 } from "../../../shared/bytes.js";
import { AwsError } from "../../../simulator/errors.js";
import { Principals } from "../../../simulator/iam/principals.js";
import type { SignatureScope, SignedRequest } from "../../../simulator/iam/sigv4.js";
import { claimedScopeOf, verifySignature } from "../../../simulator/iam/sigv4.js";

const NOW = new Date("2015-08-30T12:36:00Z");
const ACCESS_KEY = { accessKeyId: "AKIDEXAMPLE", secretAccessKey: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY" };
const SIGNATURE = "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b";

interface Changes {
  readonly authorization?: string | undefined;
  readonly headers?: readonly string[];
  readonly request?: Partial<SignedRequest>;
  readonly scope?: Partial<SignatureScope>;
  readonly accessKey?: typeof ACCESS_KEY;
}

const authorizationOf = ({
  credential = "AKIDEXAMPLE/20150830/us-east-1/service/aws4_request",
  signedHeaders = "host;x-amz-date",
  signature = SIGNATURE,
} = {}) => `AWS4-HMAC-SHA256 Credential=${credential}, SignedHeaders=${signedHeaders}, Signature=${signature}`;

/** "accepted", or the error's name and text. */
function outcome(changes: Changes = {}): string {
  const principals = new Principals({ accountId: "111122223333", region: "us-east-1", clock: () => NOW });
  principals.addUser({ name: "example", accessKey: changes.accessKey ?? ACCESS_KEY });
  const authorization = "authorization" in changes ? changes.authorization : authorizationOf();
  const request: SignedRequest = {
    method: "POST",
    target: "/",
    rawHeaders: [
      ...["Host", "example.amazonaws.com", "X-Amz-Date", "20150830T123600Z"],
      ...(authorization === undefined ? [] : ["Authorization", authorization]),
      ...(changes.headers ?? []),
    ],
    body: new Uint8Array(),
    ...changes.request,
  };
  const scope: SignatureScope = {
    isRegion: (name) => name === "us-east-1",
    service: "service",
    now: NOW,
    ...changes.scope,
  };
  try {
    return `accepted ${verifySignature(request, principals, scope).key.principal.arn}`;
  } catch (error) {
    return error instanceof AwsError ? `${error.type}: ${error.message}` : `unexpected ${String(error)}`;
  }
}

const ACCEPTED = "accepted arn:aws:iam::111122223333:user/example";
const DOES_NOT_MATCH = /^InvalidSignatureException: The request signature we calculated does not match/;
const seconds = (count: number) => new Date(NOW.getTime() + count * 1000);

describe("the SigV4 check", () => {
  it("accepts AWS's own test vectors", () => {
    expect(outcome()).toBe(ACCEPTED);
    const getVanilla = "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31";
    expect(outcome({ authorization: authorizationOf({ signature: getVanilla }), request: { method: "GET" } })).toBe(
      ACCEPTED,
    );
  });

  it("refuses a request without a signature", () => {
    expect(outcome({ authorization: undefined })).toBe(
      "MissingAuthenticationTokenException: Missing Authentication Token",
    );
  });

  it.each([
    [
      "another algorithm",
      "AWS4-ECDSA-P256-SHA256 Credential=a, SignedHeaders=host, Signature=b",
      "Unsupported algorithm",
    ],
    ["no credential", "AWS4-HMAC-SHA256 SignedHeaders=host, Signature=b", "Authorization header requires 'Credential'"],
    ["no signature", "AWS4-HMAC-SHA256 Credential=a, SignedHeaders=host", "Authorization header requires 'Signature'"],
    [
      "no signed headers",
      "AWS4-HMAC-SHA256 Credential=a, Signature=b",
      "Authorization header requires 'SignedHeaders'",
    ],
    [
      "a short credential",
      authorizationOf({ credential: "AKIDEXAMPLE/20150830/us-east-1" }),
      "Credential must have exactly 5",
    ],
    ["a signature that is no hash", authorizationOf({ signature: "00" }), "Signature must be 64"],
  ])("calls %s incomplete", (_what, authorization, text) => {
    expect(outcome({ authorization })).toContain(`IncompleteSignatureException: ${text}`);
  });

  it("refuses an access key that it did not issue", () => {
    expect(outcome({ accessKey: { ...ACCESS_KEY, accessKeyId: "AKIAOTHER" } })).toBe(
      "UnrecognizedClientException: The security token included in the request is invalid.",
    );
  });

  it.each<[string, Changes]>([
    ["another secret", { accessKey: { ...ACCESS_KEY, secretAccessKey: "another" } }],
    ["another body", { request: { body: utf8("{}") } }],
    ["another method", { request: { method: "PUT" } }],
    ["another path", { request: { target: "/other" } }],
    ["a query", { request: { target: "/?a=b" } }],
    ["a second value of a signed header", { headers: ["Host", "other.amazonaws.com"] }],
    [
      "one flipped bit of the signature",
      { authorization: authorizationOf({ signature: SIGNATURE.replace(/^5/, "4") }) },
    ],
  ])("refuses %s", (_what, changes) => {
    expect(outcome(changes)).toMatch(DOES_NOT_MATCH);
  });

  it("hashes the body itself, whatever an unsigned or signed header says of it", () => {
    const emptyHash = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    const headers = ["X-Amz-Content-Sha256", emptyHash];
    const request = { body: utf8("{}") };
    expect(outcome({ headers, request })).toContain("'x-amz-content-sha256' must be a 'SignedHeader'");
    const signedHeaders = "host;x-amz-content-sha256;x-amz-date";
    expect(outcome({ headers, request, authorization: authorizationOf({ signedHeaders }) })).toMatch(DOES_NOT_MATCH);
  });

  it("demands that the host is signed", () => {
    expect(outcome({ authorization: authorizationOf({ signedHeaders: "x-amz-date" }) })).toBe(
      "InvalidSignatureException: 'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.",
    );
  });

  it("demands that every x-amz- header is signed, the operation among them", () => {
    expect(outcome({ headers: ["X-Amz-Target", "TrentService.Decrypt"] })).toContain(
      "'x-amz-target' must be a 'SignedHeader'",
    );
    expect(outcome({ headers: ["amz-sdk-invocation-id", "1"] })).toBe(ACCEPTED);
  });

  it("refuses signed headers that are not there", () => {
    expect(outcome({ authorization: authorizationOf({ signedHeaders: "host;x-amz-date;x-other" }) })).toContain(
      "'x-other' is not in",
    );
  });

  it("takes times up to 15 minutes away, and no more", () => {
    expect(outcome({ scope: { now: seconds(900) } })).toBe(ACCEPTED);
    expect(outcome({ scope: { now: seconds(901) } })).toContain("InvalidSignatureException: Signature expired");
    expect(outcome({ scope: { now: seconds(-900) } })).toBe(ACCEPTED);
    expect(outcome({ scope: { now: seconds(-901) } })).toContain(
      "InvalidSignatureException: Signature not yet current",
    );
  });

  it("refuses another Region, service and date in the credential scope", () => {
    expect(outcome({ scope: { isRegion: (name) => name === "eu-west-1" } })).toContain(
      "should be scoped to a valid region",
    );
    expect(outcome({ scope: { service: "kms" } })).toContain("should be scoped to correct service: 'kms'");
    const credential = "AKIDEXAMPLE/20150829/us-east-1/service/aws4_request";
    expect(outcome({ authorization: authorizationOf({ credential }) })).toContain(
      "Date in Credential scope does not match",
    );
  });

  it("refuses a session token on a long-lived key", () => {
    const headers = ["X-Amz-Security-Token", "token"];
    const signedHeaders = "host;x-amz-date;x-amz-security-token";
    expect(outcome({ headers, authorization: authorizationOf({ signedHeaders }) })).toMatch(
      /^UnrecognizedClientException/,
    );
  });
});

describe("claimedScopeOf", () => {
  const scopeOf = (authorization: string) => claimedScopeOf({ rawHeaders: ["Authorization", authorization] });

  it.each([
    ["AWS4-HMAC-SHA256 Credential=AKIA/20260101/eu-west-1/sts/aws4_request, SignedHeaders=host, Signature=00"],
    ["AWS4-HMAC-SHA256 SignedHeaders=host,Signature=00,Credential=AKIA/20260101/eu-west-1/sts/aws4_request"],
  ])("reads what a request says: %s", (authorization) => {
    expect(scopeOf(authorization)).toEqual({ region: "eu-west-1", service: "sts" });
  });

  it("finds nothing where nothing is, however long that takes to be sent", () => {
    for (const nothing of ["", "Credential=".repeat(100_000), "Credential=,".repeat(100_000), "/".repeat(1_000_000)]) {
      expect(scopeOf(nothing)).toEqual({ region: "", service: "" });
    }
  });
});
