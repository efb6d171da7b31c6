/** What to try when an enclave cannot be reached or verified, beside what went wrong. */
import { ServiceError } from "../shared/errors.js";

/** An error that a wrong option explains best says so. */
export function withAdvice(error: unknown): unknown {
  if (!(error instanceof ServiceError)) return error;
  const { code, message, cause } = error;
  if (code === "ERR_TRUST_ANCHOR") {
    return new ServiceError(code, `${message}; a simulation has a root of its own: --root FILE`, { cause });
  }
  if (code !== "ERR_ENCLAVE_UNAVAILABLE") return error;
  const reason = codeOf(cause);
  const entrances = "http:// and https:// are for the parent's API, tls:// is for its pass-through";
  return new ServiceError(code, `${message}${reason ? ` (${reason})` : ""}; ${entrances}`, { cause });
}

/** The operating system's code of what went wrong: fetch wraps it. */
function codeOf(cause: unknown): string | undefined {
  if (!(cause instanceof Error)) return undefined;
  return "code" in cause && typeof cause.code === "string" ? cause.code : codeOf(cause.cause);
}
