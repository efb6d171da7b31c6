/**
 * A parent as the client sees one, and an enclave behind it: a `fetch` that records what was sent, answers with documents of
 * a simulated NSM, and opens and answers sealed requests with real keys.
 */
import type { EnclavePolicy } from "../../client/policy.js";
import { endpointKeysUserData } from "../../shared/attestation/endpoint-keys.js";
import { encodeBinaryResponse, parseBinaryRequest } from "../../shared/bhttp.js";
import { copyBytes, fromBase64Url, utf8 } from "../../shared/bytes.js";
import type { ErrorCode } from "../../shared/errors.js";
import type { OhttpKeyPair } from "../../shared/ohttp/key-configuration.js";
import { encodeKeyConfigurations, generateKeyPair } from "../../shared/ohttp/key-configuration.js";
import { openRequest, parseSealedHeader } from "../../shared/ohttp/request.js";
import { KEM_P256_HKDF_SHA256, KEM_X25519_HKDF_SHA256 } from "../../shared/ohttp/suites.js";
import { base64Of, decodeUtf8, PROBLEM_JSON, problemOf } from "../../shared/wire.js";
import type { DocumentFields, DocumentMaker, DocumentOverrides } from "../../simulator/nsm/document.js";

/** What came to the parent. */
export interface Sent {
  readonly method: string;
  readonly path: string;
  readonly body: Uint8Array<ArrayBuffer> | undefined;
  readonly init: RequestInit;
}

/** What the enclave found in a sealed request. */
export interface Opened {
  readonly method: string;
  readonly path: string;
  readonly fields: Readonly<Record<string, string>>;
  readonly body: unknown;
}

/** What the enclave answers, before it is sealed. */
export interface Inner {
  readonly status?: number;
  readonly contentType?: string;
  readonly body: unknown;
}

export interface FakeParentOptions {
  readonly maker: DocumentMaker;
  /** What the document says in place of what an honest one would. */
  readonly fields?: Partial<DocumentFields>;
  readonly overrides?: DocumentOverrides;
  /** Answers in the parent's place; undefined leaves the answer to it. */
  readonly answer?: (sent: Sent) => Response | Promise<Response> | undefined;
  /** The enclave's operations. */
  readonly serve?: (opened: Opened) => Inner | Promise<Inner>;
  /** The `Content-Location` of `/attestation`. */
  readonly location?: string;
  /** Makes something else of the JSON of `/attestation`. */
  readonly editAttestation?: (answer: AttestationJson) => unknown;
  /** Makes something else of sealed answers. */
  readonly editSealed?: (sealed: Uint8Array<ArrayBuffer>) => Uint8Array<ArrayBuffer>;
}

export interface AttestationJson {
  readonly document: string;
  readonly keyConfigurations: string;
}

export interface FakeParent {
  readonly fetch: typeof fetch;
  readonly sent: readonly Sent[];
  readonly opened: readonly Opened[];
  /** Puts keys with other identifiers in use; the old ones are gone at once. */
  rotate(): Promise<void>;
  /** Puts other keys in use, with the identifiers of the first ones, as an enclave that has booted again. */
  reboot(): Promise<void>;
}

const keysFrom = (firstId: number): Promise<OhttpKeyPair[]> =>
  Promise.all(
    [KEM_X25519_HKDF_SHA256, KEM_P256_HKDF_SHA256].map((kem, index) => generateKeyPair(kem, firstId + index)),
  );

const FIRST_KEYS = await keysFrom(0);

export const published = (keys: readonly OhttpKeyPair[]): Uint8Array<ArrayBuffer> =>
  encodeKeyConfigurations(keys.map(({ configuration }) => configuration));

export function fakeParent(options: FakeParentOptions): FakeParent {
  const sent: Sent[] = [];
  const opened: Opened[] = [];
  let keys = FIRST_KEYS;
  const fetch: typeof globalThis.fetch = async (input, init = {}) => {
    const url = new URL(String(input));
    const body = init.body instanceof Uint8Array ? copyBytes(init.body) : undefined;
    const request: Sent = { method: init.method ?? "GET", path: url.pathname + url.search, body, init };
    sent.push(request);
    const given = options.answer?.(request);
    if (given !== undefined) return given;
    if (url.pathname.endsWith("/attestation")) return attestation(options, keys, url);
    if (url.pathname.endsWith("/v1/sealed") && body) {
      return Promise.race([sealed(options, { keys, opened }, body), aborted(init.signal)]);
    }
    throw new TypeError(`the fake parent has no answer for ${url.pathname}`);
  };
  const rotate = async (): Promise<void> => {
    keys = await keysFrom((keys.at(-1)?.configuration.keyId ?? 0) + 1);
  };
  const reboot = async (): Promise<void> => {
    keys = await keysFrom(0);
  };
  return { fetch, sent, opened, rotate, reboot };
}

/** Rejects when `signal` fires, as `fetch` does. */
const aborted = (signal: AbortSignal | null | undefined): Promise<never> =>
  new Promise((_resolve, reject) => signal?.addEventListener("abort", () => reject(signal.reason)));

async function attestation(
  { maker, fields, overrides, editAttestation, location }: FakeParentOptions,
  keys: readonly OhttpKeyPair[],
  url: URL,
): Promise<Response> {
  const nonce = fromBase64Url(url.searchParams.get("nonce") ?? "") ?? null;
  const keyConfigurations = published(keys);
  const userData = await endpointKeysUserData({ keyConfigurations, tlsKey: undefined });
  const document = await maker.make({ nonce, userData, ...fields }, overrides);
  const answer = { document: base64Of(document), keyConfigurations: base64Of(keyConfigurations) };
  const response = json(editAttestation ? editAttestation(answer) : answer);
  if (location !== undefined) response.headers.set("content-location", location);
  return response;
}

interface FakeEnclave {
  readonly keys: readonly OhttpKeyPair[];
  readonly opened: Opened[];
}

async function sealed(
  { serve, editSealed = (bytes) => bytes }: FakeParentOptions,
  { keys, opened }: FakeEnclave,
  body: Uint8Array,
): Promise<Response> {
  const { keyId } = parseSealedHeader(body);
  const pair = keys.find(({ configuration }) => configuration.keyId === keyId);
  if (pair === undefined) return problem("ERR_KEY_CONFIGURATION");
  const received = await openRequest(pair, body).catch(() => undefined);
  if (received === undefined) return problem("ERR_DECRYPTION_FAILED");
  const { request, sealResponse } = received;
  const { method, path, fields, content } = parseBinaryRequest(request, { maxContentBytes: 2_000_000 });
  const found = { method, path, fields: Object.fromEntries(fields), body: JSON.parse(decodeUtf8(content)) };
  opened.push(found);
  const { status = 200, contentType = "application/json", body: answer } = (await serve?.(found)) ?? { body: {} };
  const encoded = encodeBinaryResponse({
    status,
    fields: [["content-type", contentType]],
    content: answer instanceof Uint8Array ? copyBytes(answer) : utf8(JSON.stringify(answer)),
    trailers: [],
  });
  return ohttp(editSealed(await sealResponse(encoded)));
}

/** A refusal of the enclave's, to be sealed. */
export const refusal = (code: ErrorCode): Inner => {
  const body = problemOf(code, "r-1");
  return { status: body.status, contentType: PROBLEM_JSON, body };
};

/** A refusal in the clear, as anybody on the way can make it. */
export function problem(code: ErrorCode): Response {
  const body = problemOf(code, "r-1");
  return new Response(JSON.stringify(body), { status: body.status, headers: { "content-type": PROBLEM_JSON } });
}

export const ohttp = (body: Uint8Array<ArrayBuffer>): Response =>
  new Response(body, { headers: { "content-type": "message/ohttp-res" } });

export const json = (body: unknown, status = 200): Response =>
  new Response(JSON.stringify(body), { status, headers: { "content-type": "application/json" } });

/** A body that comes in these parts, and then ends or does not. */
export function streamed(
  parts: readonly Uint8Array[],
  end: "ends" | "hangs" | "breaks",
  contentType = "application/json",
): Response {
  const pending = [...parts];
  const stream = new ReadableStream<Uint8Array>({
    pull(controller) {
      const part = pending.shift();
      if (part !== undefined) return controller.enqueue(part);
      if (end === "ends") return controller.close();
      if (end === "breaks") return controller.error(new Error("ECONNRESET"));
      return new Promise(() => undefined);
    },
  });
  return new Response(stream, { headers: { "content-type": contentType } });
}

/** The policy for what `createDocumentMaker` makes by default, which has no PCR16. */
export const EXAMPLE_POLICY: EnclavePolicy = {
  pcrs: [{ 0: "a0".repeat(48), 1: "a1".repeat(48), 2: "a2".repeat(48) }],
  configuration: { kind: "unused", because: "the example documents have no PCR16" },
  freshness: { kind: "within", seconds: 60, skewSeconds: 5 },
  debug: "reject",
};
