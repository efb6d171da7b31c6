/** Sealed requests to an enclave, made by hand: so that a test can send any of them twice, changed, or wrong inside. */
import type { BinaryRequest } from "../../shared/bhttp.js";
import { encodeBinaryRequest, parseBinaryResponse } from "../../shared/bhttp.js";
import { concatBytes, copyBytes, fromBase64, toBase64Url, utf8 } from "../../shared/bytes.js";
import type { KeyConfiguration } from "../../shared/ohttp/key-configuration.js";
import { parseKeyConfigurations } from "../../shared/ohttp/key-configuration.js";
import { encodeHeader } from "../../shared/ohttp/request.js";
import { openResponse, responseContextOf } from "../../shared/ohttp/response.js";
import { suiteOf } from "../../shared/ohttp/suites.js";
import type { Json } from "./fakes.js";
import type { Stack } from "./stack.js";

export type Field = readonly [name: string, value: string];

/** What a sealed request says, besides what every one does. */
export interface InnerChanges {
  readonly method?: string;
  readonly path?: string;
  readonly body?: unknown;
  /** In place of `date`, `content-type` and a good token. */
  readonly fields?: readonly Field[];
  readonly configuration?: KeyConfiguration;
}

/** An answer as a client sees it: of the enclave under the seal, or in the clear of whoever could not open the request. */
export interface SealedAnswer {
  readonly sealed: boolean;
  readonly status: number;
  readonly contentType: string;
  readonly fields: readonly Field[];
  readonly body: Json;
}

/** The keys that the enclave publishes now, in its order. */
export async function publishedBy(stack: Stack): Promise<readonly [KeyConfiguration, ...KeyConfiguration[]]> {
  const nonce = toBase64Url(crypto.getRandomValues(new Uint8Array(16)));
  const { body } = await stack.json("GET", `/attestation?nonce=${nonce}`);
  return parseKeyConfigurations(fromBase64(String(body.keyConfigurations)) ?? new Uint8Array());
}

export const goodFields = (token: string, date: Date = new Date()): Field[] => [
  ["content-type", "application/json"],
  ["date", date.toUTCString()],
  ["authorization", `Bearer ${token}`],
];

export const binaryRequest = ({
  method = "POST",
  path = "/v1/random",
  body,
  fields = [],
}: InnerChanges): BinaryRequest => ({
  ...{ method, scheme: "https", authority: "enclave.invalid", path, fields, trailers: [] },
  content:
    body instanceof Uint8Array ? copyBytes(body) : body === undefined ? new Uint8Array() : utf8(JSON.stringify(body)),
});

export interface SealedBytes {
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Opens an answer to these bytes; as often as they are sent, which a client never does. */
  readonly openResponse: (sealed: Uint8Array) => Promise<Uint8Array>;
}

const keys = new WeakMap<Stack, Promise<readonly [KeyConfiguration, ...KeyConfiguration[]]>>();

/** The keys that the enclave published when they were first asked for. Each document sets the enclave's time: tests that move it ask once. */
function firstKeysOf(stack: Stack): Promise<readonly [KeyConfiguration, ...KeyConfiguration[]]> {
  const known = keys.get(stack) ?? publishedBy(stack);
  keys.set(stack, known);
  return known;
}

const INFO_LABEL = utf8("message/bhttp request\0"); // RFC 9458 §4.3

/** Any bytes, sealed to the enclave. */
export async function sealBytes(stack: Stack, inner: Uint8Array, given?: KeyConfiguration): Promise<SealedBytes> {
  const { keyId, kemId, publicKey, symmetric } = given ?? (await firstKeysOf(stack))[0];
  const suite = suiteOf(kemId, symmetric[0]);
  if (suite === undefined) throw new TypeError("unreachable: the enclave publishes what this package has");
  const header = encodeHeader({ keyId, kemId, ...symmetric[0] });
  const recipientPublicKey = await suite.hpke.kem.deserializePublicKey(publicKey);
  const sender = await suite.hpke.createSenderContext({ recipientPublicKey, info: concatBytes(INFO_LABEL, header) });
  const enc = new Uint8Array(sender.enc);
  return {
    bytes: concatBytes(header, enc, new Uint8Array(await sender.seal(copyBytes(inner)))),
    openResponse: async (sealed) => openResponse(await responseContextOf(sender, suite, enc), sealed),
  };
}

/** A request, sealed to the enclave. */
export const seal = (stack: Stack, changes: InnerChanges): Promise<SealedBytes> =>
  sealBytes(stack, encodeBinaryRequest(binaryRequest(changes)), changes.configuration);

/** Sends sealed bytes, and opens the answer if it is a sealed one. */
export async function sendSealed(stack: Stack, { bytes, openResponse }: SealedBytes): Promise<SealedAnswer> {
  const headers = { "content-type": "message/ohttp-req" };
  const outer = await stack.request("POST", "/v1/sealed", { body: bytes, headers });
  const contentType = String(outer.headers["content-type"]);
  if (contentType !== "message/ohttp-res") {
    return { sealed: false, status: outer.status, contentType, fields: [], body: jsonOf(outer.body) };
  }
  const { status, fields, content } = parseBinaryResponse(await openResponse(outer.body), {
    maxContentBytes: 2_000_000,
  });
  const [, type = ""] = fields.find(([name]) => name === "content-type") ?? [];
  return { sealed: true, status, contentType: type, fields, body: jsonOf(content) };
}

/** One sealed request and its answer. */
export const callSealed = async (stack: Stack, changes: InnerChanges): Promise<SealedAnswer> =>
  sendSealed(stack, await seal(stack, changes));

const jsonOf = (bytes: Uint8Array): Json => JSON.parse(Buffer.from(bytes).toString());

/** A `fetch` to the enclave itself, as a parent would relay it. */
export function fetchTo(stack: Stack): typeof fetch {
  return async (input, init = {}) => {
    const { pathname, search } = new URL(String(input));
    const body = init.body instanceof Uint8Array ? { body: init.body } : {};
    const headers = Object.fromEntries(new Headers(init.headers));
    const answer = await stack.request(init.method ?? "GET", pathname + search, { ...body, headers });
    const type = String(answer.headers["content-type"]);
    return new Response(copyBytes(answer.body), { status: answer.status, headers: { "content-type": type } });
  };
}
