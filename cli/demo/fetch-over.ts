/**
 * `fetch` straight to an enclave's address: what a client gets whose parent has been replaced by somebody who passes its
 * requests on. The client itself is the ordinary one.
 */
import { requestOver } from "../../transport/http.js";

const DEADLINE_MS = 20_000;
const MAX_ANSWER_BYTES = 2 * 1024 * 1024;

/** A `fetch` whose requests all go to `address`, whatever host their URL names. */
export function fetchOver(address: string): typeof fetch {
  return async (input, init) => {
    const request = new Request(input, init);
    const { pathname, search } = new URL(request.url);
    const body = request.body === null ? undefined : new Uint8Array(await request.arrayBuffer());
    const answer = await requestOver(address, {
      method: request.method,
      path: pathname + search,
      headers: Object.fromEntries(request.headers),
      body,
      deadlineMs: DEADLINE_MS,
      maxResponseBytes: MAX_ANSWER_BYTES,
      signal: request.signal,
    });
    const contentType = answer.headers["content-type"] ?? "";
    return new Response(new Uint8Array(answer.body), {
      status: answer.status,
      headers: { "content-type": contentType },
    });
  };
}
