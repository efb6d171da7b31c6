/**
 * One try to cheat: what is done, who must refuse it, and with which code. An attempt that succeeds, or is refused by
 * somebody else or for another reason, is not as told.
 */
import { KMSServiceException } from "@aws-sdk/client-kms";
import { ServiceError } from "../../shared/errors.js";
import type { Evidence, Since } from "./evidence.js";
import type { AttemptOutcome, Party, Refusal, Report } from "./report.js";

export interface Attempt {
  readonly what: string;
  readonly by: Party;
  /** A code of this package, or the name of KMS's exception where the plain AWS SDK is the caller. */
  readonly code: string;
  /** Where the refusing party must have written it down; a client writes nothing. */
  readonly record?: RecordPlace;
  run(): Promise<unknown>;
}

type RecordPlace =
  | { readonly in: "kms"; readonly eventName: string; readonly errorCode: string }
  | { readonly in: "log"; readonly label: string };

/** What KMS writes down when its key policy did not allow a Decrypt. */
export const DENIED_BY_KMS = { in: "kms", eventName: "Decrypt", errorCode: "AccessDeniedException" } as const;

/** Makes the attempts one after the other and reports them. */
export async function refuse(
  report: Report,
  evidence: Evidence,
  { id, title }: Pick<Refusal, "id" | "title">,
  attempts: readonly Attempt[],
): Promise<void> {
  const begin = performance.now();
  const outcomes: AttemptOutcome[] = [];
  for (const attempt of attempts) outcomes.push(await outcomeOf(attempt, evidence));
  report.refusal({ id, title, elapsedMs: performance.now() - begin, attempts: outcomes });
}

async function outcomeOf(attempt: Attempt, evidence: Evidence): Promise<AttemptOutcome> {
  const { what, by, code } = attempt;
  const expected = { by, code };
  const since = evidence.mark();
  const got = await codeOf(attempt);
  if (got !== code) return { what, expected, got: { code: got }, ok: false };
  if (attempt.record === undefined) return { what, expected, got: { code }, ok: true };
  const record = await recordOf(attempt.record, code, since);
  return { what, expected, got: { code, record: record ?? "but it has no record of that" }, ok: record !== undefined };
}

/** The code of the refusal; what is no refusal has none of that form. */
async function codeOf({ run }: Attempt): Promise<string> {
  try {
    await run();
    return "no refusal";
  } catch (error) {
    if (error instanceof ServiceError) return error.code;
    if (error instanceof KMSServiceException) return error.name;
    return `an unexpected failure (${String(error)})`;
  }
}

/** What the refusing party wrote down, or undefined. */
async function recordOf(place: RecordPlace, code: string, since: Since): Promise<string | undefined> {
  try {
    if (place.in === "log") {
      const { reason } = await since.line(place.label, (fields) => fields.code === code);
      return `its log: "${String(reason)}"`;
    }
    const { eventName, errorCode } = place;
    await since.call((call) => call.eventName === eventName && call.errorCode === errorCode);
    return `its audit log: ${eventName}, ${errorCode}`;
  } catch (error) {
    if (error instanceof ServiceError && error.code === "ERR_TIMEOUT") return undefined;
    throw error;
  }
}
