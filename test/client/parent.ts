/** A parent as the client sees one: a `fetch` that records what was sent and answers with documents of a simulated NSM. */
import type { EnclavePolicy } from "../../client/policy.js";
import { fromBase64Url } from "../../shared/bytes.js";
import { base64Of } from "../../shared/wire.js";
import type { DocumentFields, DocumentMaker, DocumentOverrides } from "../../simulator/nsm/document.js";

export interface Sent {
  readonly method: string;
  readonly path: string;
  readonly body: unknown;
  readonly init: RequestInit;
}

export interface FakeParentOptions {
  readonly maker: DocumentMaker;
  /** What the document says in place of what an honest one would. */
  readonly fields?: Partial<DocumentFields>;
  readonly overrides?: DocumentOverrides;
  /** Answers in the parent's place; undefined leaves the answer to it. */
  readonly answer?: (sent: Sent) => Response | Promise<Response> | undefined;
}

export interface FakeParent {
  readonly fetch: typeof fetch;
  readonly sent: readonly Sent[];
}

export function fakeParent({ maker, fields, overrides, answer }: FakeParentOptions): FakeParent {
  const sent: Sent[] = [];
  const fetch: typeof globalThis.fetch = async (input, init = {}) => {
    const url = new URL(String(input));
    const body: unknown = typeof init.body === "string" ? JSON.parse(init.body) : undefined;
    const request: Sent = { method: init.method ?? "GET", path: url.pathname + url.search, body, init };
    sent.push(request);
    const given = answer?.(request);
    if (given !== undefined) return given;
    if (!url.pathname.endsWith("/attestation"))
      throw new TypeError(`the fake parent has no answer for ${url.pathname}`);
    const nonce = fromBase64Url(url.searchParams.get("nonce") ?? "") ?? null;
    return json({ document: base64Of(await maker.make({ nonce, ...fields }, overrides)) });
  };
  return { fetch, sent };
}

export const json = (body: unknown, status = 200): Response =>
  new Response(JSON.stringify(body), { status, headers: { "content-type": "application/json" } });

/** A body that comes in these parts, and then ends or does not. */
export function streamed(parts: readonly Uint8Array[], end: "ends" | "hangs" | "breaks"): Response {
  const pending = [...parts];
  return new Response(
    new ReadableStream<Uint8Array>({
      pull(controller) {
        const part = pending.shift();
        if (part !== undefined) return controller.enqueue(part);
        if (end === "ends") return controller.close();
        if (end === "breaks") return controller.error(new Error("ECONNRESET"));
        return new Promise(() => undefined);
      },
    }),
  );
}

/** The policy for what `createDocumentMaker` makes by default. */
export const EXAMPLE_POLICY: EnclavePolicy = {
  pcrs: [{ 0: "a0".repeat(48), 1: "a1".repeat(48), 2: "a2".repeat(48) }],
  freshness: { kind: "within", seconds: 60, skewSeconds: 5 },
  debug: "reject",
  userData: { kind: "absent" },
  publicKey: { kind: "absent" },
};
