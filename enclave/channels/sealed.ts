/**
 * Sealed requests: Oblivious HTTP (RFC 9458) whose gateway and target are the enclave. The parent carries
 * `message/ohttp-req` and `message/ohttp-res` and can read neither; the answer's key comes from the request's HPKE
 * context, so only who opened the request can answer it (PITFALLS 33).
 *
 * A request is good once and for a while: its `date` must be near the enclave's own time (RFC 9458 §6.5.1), and an
 * encapsulated key that has been used is refused (ERR_REPLAYED). The repetition is looked for when the caller is known:
 * before that a request does nothing that could be repeated, and nobody without a token fills the store.
 *
 * Where a fleet shares its keys, each enclave remembers what it has seen, and none knows of the others: whoever carries a
 * request could have it served once by each, and again by one that has booted since. So what does harm twice names, under the
 * seal, the enclave that its caller attested (field `enclave`, the document's module id), and no other serves it, and none
 * serves it without (ERR_OTHER_ENCLAVE). Whatever names an enclave is served by that one alone.
 *
 * What goes wrong before the request is open is told in the clear, because nothing else can be; all else is sealed.
 */

import type { BinaryRequest } from "../../shared/bhttp.js";
import { encodeBinaryResponse, parseBinaryRequest } from "../../shared/bhttp.js";
import { copyBytes, utf8, wipe } from "../../shared/bytes.js";
import { ServiceError, toServiceError } from "../../shared/errors.js";
import { MEDIA_TYPE_OHTTP_RESPONSE } from "../../shared/ohttp/media-types.js";
import { openRequest, parseSealedHeader } from "../../shared/ohttp/request.js";
import { MAX_MESSAGE_REQUEST_BYTES, PROBLEM_JSON, parseHttpDate, problemOf } from "../../shared/wire.js";
import type { Clock } from "../clock.js";
import type { RequestBody, Route, RoutedAnswer, RoutedRequest } from "../operations/route.js";
import type { Router } from "../operations/router.js";
import type { ReplayStore } from "../replay-store.js";
import type { SealedKeys } from "../sealing/sealed-keys.js";
import { mediaTypeOf, parseTarget } from "./http-request.js";
import type { RequestLog } from "./request-log.js";

export interface SealedChannelOptions {
  readonly keys: Pick<SealedKeys, "find">;
  /** This one, and whether others have its keys as well. */
  readonly enclave: { readonly moduleId: string; readonly isShared: boolean };
  readonly router: Router;
  readonly replays: Pick<ReplayStore, "remember">;
  readonly windowSeconds: number;
  /** The enclave's own time, in milliseconds since 1970. */
  readonly nowMs: () => number;
  readonly clock: Clock;
  readonly log: RequestLog;
}

/** An answer before it is sealed. */
interface InnerAnswer {
  readonly status: number;
  readonly contentType: string;
  readonly content: Uint8Array<ArrayBuffer>;
}

export class SealedChannel {
  readonly #options: SealedChannelOptions;

  constructor(options: SealedChannelOptions) {
    this.#options = options;
  }

  /**
   * Serves one sealed request.
   * @throws ServiceError ERR_OHTTP_MALFORMED, ERR_KEY_CONFIGURATION, ERR_DECRYPTION_FAILED: it cannot be opened, and the
   *   answer could not be sealed. Every other refusal is a sealed answer.
   */
  async serve(sealed: Uint8Array, outer: Pick<RoutedRequest, "requestId" | "signal">): Promise<RoutedAnswer> {
    const { request, enc, sealResponse } = await openRequest(await this.#keyOf(sealed), sealed);
    const answer = await this.#answer(request, enc, outer);
    const encoded = this.#encode(answer);
    const body = await sealResponse(encoded).finally(() => wipe(encoded));
    return { contentType: MEDIA_TYPE_OHTTP_RESPONSE, body, keyArn: undefined };
  }

  #encode({ status, contentType, content }: InnerAnswer): Uint8Array {
    const date = new Date(this.#options.nowMs()).toUTCString();
    const fields = [["content-type", contentType] as const, ["date", date] as const];
    try {
      return encodeBinaryResponse({ status, fields, content, trailers: [] });
    } finally {
      wipe(content);
    }
  }

  #keyOf(sealed: Uint8Array) {
    return this.#options.keys.find(parseSealedHeader(sealed).keyId);
  }

  async #answer(
    encoded: Uint8Array,
    enc: Uint8Array,
    { requestId, signal }: Pick<RoutedRequest, "requestId" | "signal">,
  ): Promise<InnerAnswer> {
    const { clock, log, router } = this.#options;
    const startedAtMs = clock.monotonicMs();
    let route: Route | undefined;
    let request: BinaryRequest | undefined;
    const logged = () => ({ requestId, channel: "sealed" as const, startedAtMs, route });
    try {
      request = parseBinaryRequest(encoded, { maxContentBytes: MAX_MESSAGE_REQUEST_BYTES });
      this.#assertDate(request);
      const routed = routedRequest(request, {
        ...{ requestId, signal },
        assertFirst: () => this.#options.replays.remember(enc),
      });
      route = router.match("sealed", { ...routed, contentType: routed.fields.contentType });
      this.#assertMeant(request, route);
      const { body, contentType, keyArn, release } = await route.serve(routed);
      try {
        const content = taken(body);
        log.served(logged(), keyArn);
        return { status: 200, contentType, content };
      } finally {
        release?.();
      }
    } catch (error) {
      const refusal = toServiceError(error);
      const problem = problemOf(refusal.code, requestId);
      log.refused(logged(), refusal, problem.status);
      return { status: problem.status, contentType: PROBLEM_JSON, content: utf8(JSON.stringify(problem)) };
    } finally {
      wipe(encoded, ...(request ? [request.content] : []));
    }
  }

  #assertMeant({ fields }: BinaryRequest, { idempotent }: Route): void {
    const { moduleId, isShared } = this.#options.enclave;
    const enclave = fieldOf(fields, "enclave");
    if (enclave === undefined ? idempotent || !isShared : enclave === moduleId) return;
    throw new ServiceError("ERR_OTHER_ENCLAVE", "expected a request that names this enclave, it names another or none");
  }

  /** RFC 9458 §6.5.1. */
  #assertDate({ fields }: BinaryRequest): void {
    const dates = fields.filter(([name]) => name === "date").map(([, value]) => parseHttpDate(value));
    const [date, ...more] = dates;
    if (date === undefined || more.length > 0) {
      throw new ServiceError("ERR_CLOCK_SKEW", "expected one date field of the form of RFC 9110 §5.6.7");
    }
    const aheadMs = date - this.#options.nowMs();
    if (Math.abs(aheadMs) <= this.#options.windowSeconds * 1_000) return;
    throw new ServiceError(
      "ERR_CLOCK_SKEW",
      `expected a date within ${this.#options.windowSeconds} s of the enclave's time, it is ${Math.round(aheadMs / 1_000)} s ahead`,
    );
  }
}

function routedRequest(
  { method, path, fields, content }: BinaryRequest,
  rest: Pick<RoutedRequest, "requestId" | "signal" | "assertFirst">,
): RoutedRequest {
  const target = parseTarget(path);
  const one = (name: string): string | undefined => fieldOf(fields, name);
  return {
    ...rest,
    channel: "sealed",
    method,
    path: target.pathname,
    query: target.searchParams,
    fields: {
      authorization: one("authorization"),
      dpop: one("dpop"),
      contentType: mediaTypeOf(one("content-type")),
      encryptionContext: undefined,
      messageOptions: undefined,
    },
    body: wholeBody(content),
    connectionKey: () => undefined,
  };
}

/** A field that may be left out. @throws ServiceError ERR_MESSAGE_MALFORMED when it is there twice. */
function fieldOf(fields: BinaryRequest["fields"], name: string): string | undefined {
  const [value, ...more] = fields.filter(([field]) => field === name);
  if (more.length > 0) throw new ServiceError("ERR_MESSAGE_MALFORMED", "expected each field once");
  return value?.[1];
}

/** A body that is there already. */
const wholeBody = (content: Uint8Array): RequestBody => ({
  whole: async (maxBytes) => {
    if (content.length <= maxBytes) return content;
    throw new ServiceError("ERR_MESSAGE_TOO_LARGE", `expected a body of at most ${maxBytes} bytes`);
  },
  stream: () => {
    throw new ServiceError("ERR_CONTENT_TYPE", "expected a body in JSON: sealed requests do not stream");
  },
});

/** A copy of what is the route's, which is overwritten. */
function taken(body: RoutedAnswer["body"]): Uint8Array<ArrayBuffer> {
  if (!(body instanceof Uint8Array)) throw new TypeError("unreachable: what is not streamed in is not streamed out");
  const content = copyBytes(body);
  wipe(body);
  return content;
}
