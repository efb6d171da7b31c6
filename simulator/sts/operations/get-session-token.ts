/**
 * GetSessionToken: short-lived credentials of a user, with an MFA code if there is one (API_GetSessionToken). They may do
 * what the user may; a code that was given for them counts in every call that they sign.
 */
import { z } from "zod";
import { parseInput } from "../../kms/schema.js";
import { credentialsOf } from "../credentials.js";
import { accessDenied } from "../errors.js";
import { authenticateWithMfa } from "../mfa.js";
import type { StsOperation } from "../operation.js";
import { integer, serialNumber, tokenCode } from "../operation.js";

const HOUR_SECONDS = 3600;

const input = z.object({
  DurationSeconds: integer(900, 36 * HOUR_SECONDS).optional(),
  SerialNumber: serialNumber.optional(),
  TokenCode: tokenCode.optional(),
});

export const getSessionToken: StsOperation = {
  name: "GetSessionToken",
  run: (call) => {
    const { TokenCode, ...named } = parseInput(input, call.members);
    call.trace.parameters = named;
    const { key, principals } = call;
    if (key.sessionToken !== undefined || key.principal.kind === "service") {
      throw accessDenied("Cannot call GetSessionToken with session credentials");
    }
    const mfaAuthenticatedAt = authenticateWithMfa({ ...named, TokenCode }, call);
    const wanted = named.DurationSeconds ?? 12 * HOUR_SECONDS;
    const durationSeconds = key.principal.kind === "root" ? Math.min(wanted, HOUR_SECONDS) : wanted;
    const credentials = principals.issueUserSession(key, { durationSeconds, mfaAuthenticatedAt });
    const answer = { Credentials: credentialsOf(credentials) };
    call.trace.shownAnswer = answer;
    return answer;
  },
};
