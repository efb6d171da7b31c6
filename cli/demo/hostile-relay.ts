/**
 * A parent that stands between a client and the enclave, keeps what passes, and changes what it likes: the attestation's
 * answer, a sealed request, a sealed answer.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { concatBytes } from "../../shared/bytes.js";
import type { AddressResponse } from "../../transport/http.js";
import { requestOver } from "../../transport/http.js";
import type { Hostile } from "./hostile-parent.js";

const DEADLINE_MS = 20_000;
const MAX_BYTES = 2 * 1024 * 1024;

/** One exchange, as it stood on the wire. */
export interface Seen {
  readonly path: string;
  readonly request: Uint8Array;
  readonly answer: Uint8Array;
}

/** What the relay makes of the enclave's answers. */
export interface RelayConduct {
  attestation?: (answer: Uint8Array) => Uint8Array | Promise<Uint8Array>;
  sealed?: (answer: Uint8Array) => Uint8Array | Promise<Uint8Array>;
}

export interface HostileRelay extends Hostile {
  readonly url: string;
  readonly seen: readonly Seen[];
  conduct: RelayConduct;
}

/** Serves on loopback; `address` is the enclave's. */
export async function serveRelay(address: string): Promise<HostileRelay> {
  const seen: Seen[] = [];
  const relay = { conduct: {} as RelayConduct };
  const server = createServer((request, response) => {
    passOn(address, request).then(
      async ({ path, sent, answer }) => {
        const conduct = path.startsWith("/attestation") ? relay.conduct.attestation : relay.conduct.sealed;
        seen.push({ path, request: sent, answer: answer.body });
        reply(response, answer, (await conduct?.(answer.body)) ?? answer.body);
      },
      (error: unknown) => response.destroy(error instanceof Error ? error : new Error(String(error))),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo; // of a server that listens on TCP
  const close = (): Promise<void> =>
    new Promise((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
  return Object.assign(relay, { url: `http://127.0.0.1:${port}`, seen, close });
}

async function passOn(address: string, request: IncomingMessage) {
  const parts: Uint8Array[] = [];
  for await (const part of request) parts.push(part);
  const sent = concatBytes(...parts);
  const path = request.url ?? "/";
  return { path, sent, answer: await sendSealed(address, { method: request.method ?? "GET", path, body: sent }) };
}

/** A request straight to the enclave, with its content type as a sealed request. */
export function sendSealed(
  address: string,
  { method, path, body }: { readonly method: string; readonly path: string; readonly body: Uint8Array },
): Promise<AddressResponse> {
  const content = body.length === 0 ? {} : { body, headers: { "content-type": "message/ohttp-req" } };
  return requestOver(address, { method, path, ...content, deadlineMs: DEADLINE_MS, maxResponseBytes: MAX_BYTES });
}

function reply(response: ServerResponse, { status, headers }: AddressResponse, body: Uint8Array): void {
  response.writeHead(status, { "content-type": headers["content-type"] ?? "" }).end(body);
}
