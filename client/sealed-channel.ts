/**
 * Sealed requests (RFC 9458) to an attested enclave, over the platform's `fetch`: each is a Binary HTTP request under an
 * HPKE key of its own, and its answer opens with that key alone. The parent carries both and reads neither; it sees sizes
 * and times.
 *
 * Where several enclaves share their keys (the attestation says so, a hint of where to send), calls that do no harm twice go to
 * whichever the parent has free. All else goes to the enclave that was attested, and names it under the seal, so that no other
 * serves it, however often somebody on the way sends it on.
 *
 * A request to a key that the enclave has given up is sent once more, sealed to the key of a fresh attestation, where it
 * does no harm twice; otherwise the caller is told, and the next call has the fresh key. So is one that nobody could open:
 * identifiers of keys are one byte, and may come again with a boot, so that an enclave which has booted again, or another
 * one, takes it for its own.
 */
import type { BinaryResponse } from "../shared/bhttp.js";
import { encodeBinaryRequest, parseBinaryResponse } from "../shared/bhttp.js";
import { wipe } from "../shared/bytes.js";
import type { ErrorCode } from "../shared/errors.js";
import { ServiceError } from "../shared/errors.js";
import type { KeyConfiguration } from "../shared/ohttp/key-configuration.js";
import { parseKeyConfigurations } from "../shared/ohttp/key-configuration.js";
import { MEDIA_TYPE_OHTTP_REQUEST, MEDIA_TYPE_OHTTP_RESPONSE } from "../shared/ohttp/media-types.js";
import { sealRequest } from "../shared/ohttp/request.js";
import { PROOF_ORIGIN } from "../shared/proof-of-possession.js";
import { attestationResponse, decodeUtf8, MAX_SEALED_BYTES, parseJson } from "../shared/wire.js";
import type { Appraiser } from "./attest.js";
import { attestKeys, MAX_ATTESTATION_BYTES } from "./attest.js";
import type { Channel, ChannelCall } from "./channel.js";
import { carrierRefusalOf, refusalOf } from "./channel.js";
import { withDeadline } from "./deadline.js";
import type { HttpOptions } from "./http.js";
import { exchange } from "./http.js";
import type { Session } from "./sessions.js";
import { Sessions } from "./sessions.js";

export interface SealedChannelOptions {
  readonly http: HttpOptions;
  readonly appraiser: Appraiser;
  readonly deadlineMs: number;
  readonly maxAgeMs: number;
}

interface SealedSession extends Session {
  /** The key to seal to. */
  readonly configuration: KeyConfiguration;
  /** Where the enclave that was attested is reached; ends with a slash. */
  readonly baseUrl: URL;
  /** Where others that have the key are reached as well; undefined where there are none. */
  readonly sharedUrl: URL | undefined;
}

/** What somebody says in the clear who has not the key that a request is sealed to. */
const OTHER_KEY: ReadonlySet<ErrorCode> = new Set<ErrorCode>(["ERR_KEY_CONFIGURATION", "ERR_DECRYPTION_FAILED"]);

/** What came back: the enclave's answer, or the word of whoever carries the requests. */
type Answer =
  | { readonly kind: "content"; readonly content: Uint8Array }
  /** By an enclave, under its seal: it has done nothing, and another attestation leads to the right one. */
  | { readonly kind: "elsewhere"; readonly refusal: ServiceError }
  | { readonly kind: "refused"; readonly refusal: ServiceError };

/** Beside the content: status, fields and padding. */
const MAX_OVERHEAD_BYTES = 32 * 1024;

/** Attests, and returns the channel to the enclave that passed. */
export async function openSealedChannel(options: SealedChannelOptions, signal?: AbortSignal): Promise<Channel> {
  const { http, appraiser, deadlineMs, maxAgeMs } = options;
  const open = () => withDeadline({ deadlineMs }, (deadline) => openSession(http, appraiser, deadline));
  const sessions = new Sessions({ open, maxAgeMs, clock: appraiser.clock });
  await sessions.current(signal);
  return {
    get attestation() {
      return latest(sessions).attestation;
    },
    async call(call) {
      const session = await sessions.current(call.signal);
      const answer = await send(options, session, call);
      if (answer.kind === "content") return answer.content;
      if (!isOfOtherKey(answer)) throw answer.refusal;
      const renewed = await sessions.renewed(session, call.signal);
      // Anybody on the way can say so, having passed the request on.
      if (answer.kind === "refused" && !call.idempotent) throw answer.refusal;
      const second = await send(options, renewed, call);
      if (second.kind === "content") return second.content;
      throw second.refusal;
    },
    close: () => sessions.close(),
  };
}

const isOfOtherKey = ({ kind, refusal }: Exclude<Answer, { kind: "content" }>): boolean =>
  kind === "elsewhere" || OTHER_KEY.has(refusal.code);

function latest(sessions: Sessions<SealedSession>): SealedSession {
  if (sessions.latest === undefined) throw new TypeError("the channel is closed");
  return sessions.latest;
}

async function openSession(http: HttpOptions, appraiser: Appraiser, signal: AbortSignal): Promise<SealedSession> {
  let { baseUrl } = http;
  let shared = false;
  const { attestation, keyConfigurations } = await attestKeys(appraiser, async (path) => {
    const request = { method: "GET", path, maxResponseBytes: MAX_ATTESTATION_BYTES, signal } as const;
    const { status, contentType, contentLocation, body } = await exchange(http, request);
    if (status !== 200) throw carrierRefusalOf(contentType, body);
    baseUrl = enclaveUrl(baseUrl, contentLocation);
    const answer = parseJson(attestationResponse, decodeUtf8(body), "ERR_MESSAGE_MALFORMED");
    shared = answer.shared === true;
    return answer;
  });
  const configuration = await usableConfiguration(parseKeyConfigurations(keyConfigurations));
  return { attestation, configuration, baseUrl, sharedUrl: shared ? http.baseUrl : undefined };
}

/**
 * Where the enclave that attested is reached: a parent with several says so by the location of its attestation, on the same
 * origin. It is a hint of somebody who is not trusted: what is sent there is sealed to the key that was attested.
 */
function enclaveUrl(baseUrl: URL, contentLocation: string | undefined): URL {
  if (contentLocation === undefined || !URL.canParse(contentLocation, baseUrl)) return baseUrl;
  const location = new URL(contentLocation, baseUrl);
  const sameOrigin = location.origin === baseUrl.origin && location.username === "" && location.password === "";
  const below = location.pathname.startsWith(baseUrl.pathname) && location.pathname.endsWith("/attestation");
  if (!sameOrigin || !below) return baseUrl;
  return new URL(".", location);
}

/** The first that this platform can seal to, in the enclave's order: not every browser has X25519. */
async function usableConfiguration(configurations: readonly KeyConfiguration[]): Promise<KeyConfiguration> {
  const causes: unknown[] = [];
  for (const configuration of configurations) {
    try {
      await sealRequest(configuration, new Uint8Array());
      return configuration;
    } catch (cause) {
      causes.push(cause);
    }
  }
  throw new ServiceError("ERR_OHTTP_MALFORMED", "this platform can seal to none of the enclave's keys", {
    cause: causes,
  });
}

/**
 * Whoever shares the key first, where the call may go to any; the one that was attested where that says to have another key:
 * at the root of a parent there may be enclaves of other versions as well.
 */
async function send(options: SealedChannelOptions, session: SealedSession, call: ChannelCall): Promise<Answer> {
  const { configuration, baseUrl, sharedUrl, attestation } = session;
  const attested = { configuration, baseUrl, enclave: attestation.attestation.moduleId };
  if (sharedUrl === undefined || !call.idempotent) return sendTo(attested, options, call);
  const answer = await sendTo({ configuration, baseUrl: sharedUrl, enclave: undefined }, options, call);
  return answer.kind !== "content" && isOfOtherKey(answer) ? sendTo(attested, options, call) : answer;
}

interface Destination {
  readonly configuration: KeyConfiguration;
  readonly baseUrl: URL;
  /** The one that may serve it; undefined for any that has the key. */
  readonly enclave: string | undefined;
}

async function sendTo(
  { configuration, baseUrl, enclave }: Destination,
  { http, appraiser }: SealedChannelOptions,
  call: ChannelCall,
): Promise<Answer> {
  const request = encodeBinaryRequest(binaryRequest(call, appraiser.clock(), enclave));
  const { sealed, openResponse } = await sealRequest(configuration, request);
  wipe(request);
  const { status, contentType, body } = await exchange(
    { ...http, baseUrl },
    {
      method: "POST",
      path: "v1/sealed",
      content: { type: MEDIA_TYPE_OHTTP_REQUEST, bytes: sealed },
      maxResponseBytes: Math.min(MAX_SEALED_BYTES, call.maxResponseBytes + MAX_OVERHEAD_BYTES),
      signal: call.signal,
    },
  );
  if (status !== 200) return { kind: "refused", refusal: carrierRefusalOf(contentType, body) };
  if (contentType !== MEDIA_TYPE_OHTTP_RESPONSE) {
    throw new ServiceError("ERR_OHTTP_MALFORMED", `expected an answer of type ${MEDIA_TYPE_OHTTP_RESPONSE}`);
  }
  const opened = await openResponse(body);
  return answerOf(parseBinaryResponse(opened, { maxContentBytes: call.maxResponseBytes }));
}

/** RFC 9458 §6.5.1: the date, so that the enclave need not remember the request for ever. */
const binaryRequest = ({ operation, body, fields }: ChannelCall, now: Date, enclave: string | undefined) => ({
  method: "POST",
  scheme: "https",
  authority: new URL(PROOF_ORIGIN).host,
  path: `/v1/${operation}`,
  fields: [
    ["content-type", "application/json"] as const,
    ["date", now.toUTCString()] as const,
    ...(enclave === undefined ? [] : [["enclave", enclave] as const]),
    ...Object.entries(fields),
  ],
  content: body,
  trailers: [],
});

/** @throws ServiceError the enclave's refusal, but for those that lead elsewhere. */
function answerOf({ status, fields, content }: BinaryResponse): Answer {
  if (status === 200) return { kind: "content", content };
  const [, contentType = ""] = fields.find(([name]) => name === "content-type") ?? [];
  const refusal = refusalOf(contentType, content);
  if (refusal.code === "ERR_OTHER_ENCLAVE") return { kind: "elsewhere", refusal };
  throw refusal;
}
