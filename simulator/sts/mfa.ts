/** The MFA code of a call (STS API reference, AssumeRole and GetSessionToken, `SerialNumber` and `TokenCode`). */
import { accessDenied } from "./errors.js";
import type { StsCall } from "./operation.js";

export interface MfaInput {
  readonly SerialNumber?: string | undefined;
  readonly TokenCode?: string | undefined;
}

/** When the caller has just proved to have the device; undefined if the call has no code. @throws AwsError AccessDenied */
export function authenticateWithMfa({ SerialNumber, TokenCode }: MfaInput, call: StsCall): Date | undefined {
  if (SerialNumber === undefined && TokenCode === undefined) return undefined;
  if (SerialNumber === undefined || TokenCode === undefined) {
    throw accessDenied(
      "MultiFactorAuthentication failed, must provide both MFA serial number and one time pass code. ",
    );
  }
  const { principal } = call.key;
  const authenticator = call.principals.authenticatorOf(principal.arn, SerialNumber);
  if (authenticator === undefined) {
    throw accessDenied(
      "MultiFactorAuthentication failed, unable to validate MFA code.  Please verify your MFA serial number is valid and associated with this user.",
    );
  }
  if (!authenticator.takes(TokenCode, call.now)) {
    throw accessDenied("MultiFactorAuthentication failed with invalid MFA one time pass code. ");
  }
  return call.now;
}
