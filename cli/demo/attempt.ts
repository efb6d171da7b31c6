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
  /** What the refusing party must have recorded. */
  readonly record?:
    | { readonly in: "kms"; readonly eventName: string; readonly errorCode: string }
    | { readonly in: "log"; readonly label: string };
  run(): Promise<unknown>;
}

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
  const since = evidence.mark();
  const got = await codeOf(attempt);
  const expected = { by, code };
  if (got.code !== code) return { what, expected, got, ok: false };
  const detail = await recordOf(attempt, since);
  return { what, expected, got: { code, ...(detail === undefined ? {} : { detail }) }, ok: detail !== NO_RECORD };
}

async function codeOf({ run }: Attempt): Promise<{ code: string; detail?: string }> {
  try {
    await run();
    return { code: "no refusal" };
  } catch (error) {
    if (error instanceof ServiceError) return { code: error.code, detail: error.message };
    if (error instanceof KMSServiceException) return { code: error.name, detail: error.message };
    return { code: "unexpected failure", detail: String(error) };
  }
}

const NO_RECORD = "it has no record of that";

/** What the refusing party's own record says; a client has none but the error itself. */
async function recordOf({ code, record }: Attempt, since: Since): Promise<string | undefined> {
  if (record === undefined) return undefined;
  try {
    if (record.in === "log") {
      const line = await since.line(record.label, (fields) => fields.code === code);
      return `its log: "${String(line.reason)}"`;
    }
    const { eventName, errorCode } = record;
    await since.call((call) => call.eventName === eventName && call.errorCode === errorCode);
    return `its audit log: ${eventName}, ${errorCode}`;
  } catch (error) {
    if (error instanceof ServiceError && error.code === "ERR_TIMEOUT") return NO_RECORD;
    throw error;
  }
}
