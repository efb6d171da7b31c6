/** What a failed KMS call means to callers. */
import { KMSServiceException } from "@aws-sdk/client-kms";
import { describe, expect, it } from "vitest";
import { kmsErrorOf } from "../../../enclave/kms/kms-errors.js";
import { ServiceError } from "../../../shared/errors.js";

const answered = (name: string, httpStatusCode: number): KMSServiceException =>
  new KMSServiceException({
    name,
    message: "the value 'input bytes' at 'encryptionContext'",
    $fault: httpStatusCode < 500 ? "client" : "server",
    $metadata: { httpStatusCode, requestId: "8f2d" },
  });

describe("kmsErrorOf", () => {
  it.each([
    ["AccessDeniedException", 400, "ERR_KMS_DENIED"],
    ["InvalidCiphertextException", 400, "ERR_KMS_REFUSED"],
    ["IncorrectKeyException", 400, "ERR_KMS_REFUSED"],
    ["DisabledException", 400, "ERR_KMS_REFUSED"],
    ["NotFoundException", 400, "ERR_KMS_REFUSED"],
    ["ValidationException", 400, "ERR_KMS_REFUSED"],
    ["KMSInvalidStateException", 409, "ERR_KMS_REFUSED"],
    ["ThrottlingException", 400, "ERR_KMS_UNAVAILABLE"],
    ["KeyUnavailableException", 400, "ERR_KMS_UNAVAILABLE"],
    ["KMSInternalException", 500, "ERR_KMS_UNAVAILABLE"],
    ["DependencyTimeoutException", 503, "ERR_KMS_UNAVAILABLE"],
    ["SomethingNewException", 400, "ERR_KMS_REFUSED"],
    ["SomethingNewException", 502, "ERR_KMS_UNAVAILABLE"],
    ["ExpiredTokenException", 400, "ERR_CREDENTIALS"],
    ["UnrecognizedClientException", 400, "ERR_CREDENTIALS"],
    ["toString", 400, "ERR_KMS_REFUSED"],
  ] as const)("%s (%i) is %s", (name, status, code) => {
    expect(kmsErrorOf(answered(name, status))).toThrowCode(code);
  });

  it("pitfall 25: names the error and its request, and none of KMS's words", () => {
    const error = kmsErrorOf(answered("ValidationException", 400));
    expect(error).toMatchObject({ message: "AWS KMS answered ValidationException (its request 8f2d)" });
    const odd = kmsErrorOf(answered("input bytes\n", 400));
    expect(odd).toMatchObject({ message: "AWS KMS answered unnamed (its request 8f2d)" });
  });

  it("leaves ServiceErrors and programmer errors as they are", () => {
    const own = new ServiceError("ERR_KMS_KEY", "x");
    const mistake = new TypeError("x");
    expect(kmsErrorOf(own)).toBe(own);
    expect(kmsErrorOf(mistake)).toBe(mistake);
  });

  it("tells a call that was given up from one that failed", () => {
    expect(kmsErrorOf(Object.assign(new Error("x"), { name: "AbortError" }))).toThrowCode("ERR_TIMEOUT");
    expect(kmsErrorOf(Object.assign(new Error("x"), { name: "TimeoutError" }))).toThrowCode("ERR_TIMEOUT");
    expect(kmsErrorOf(new Error("socket hang up"))).toThrowCode("ERR_KMS_UNAVAILABLE");
  });
});
