/** What every channel reads of an HTTP request in the same way. */
import { ServiceError } from "../../shared/errors.js";

/** Path and query of a request's target in origin form (RFC 9112 §3.2.1). @throws ServiceError ERR_NOT_FOUND for any other. */
export function parseTarget(target: string): URL {
  if (!target.startsWith("/") || target.startsWith("//") || !URL.canParse(target, "http://enclave")) {
    throw new ServiceError("ERR_NOT_FOUND", "expected the path of an operation");
  }
  return new URL(target, "http://enclave");
}

/** A media type without its parameters, in lower case; empty where there is none. */
export function mediaTypeOf(contentType: string | undefined): string {
  const [type = ""] = (contentType ?? "").split(";");
  return type.trim().toLowerCase();
}
