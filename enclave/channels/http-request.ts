/** What every channel reads of an HTTP request in the same way. */
import { ServiceError } from "../../shared/errors.js";

/**
 * Path and query of a request's target in origin form (RFC 9112 §3.2.1). A path has one spelling: what a URL parser would
 * read as another one (dot segments, backslashes, a host, a fragment) is refused, so that nobody on the way, and no proof of
 * possession, names another path than the one that is served.
 * @throws ServiceError ERR_NOT_FOUND.
 */
export function parseTarget(target: string): URL {
  const url = URL.canParse(target, "http://enclave") ? new URL(target, "http://enclave") : undefined;
  if (url !== undefined && url.pathname === target.split("?", 1)[0]) return url;
  throw new ServiceError("ERR_NOT_FOUND", "expected the path of an operation");
}

/** A media type without its parameters, in lower case; empty where there is none. */
export function mediaTypeOf(contentType: string | undefined): string {
  const [type = ""] = (contentType ?? "").split(";");
  return type.trim().toLowerCase();
}
