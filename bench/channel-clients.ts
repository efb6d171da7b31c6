/** The clients of the channels' benchmark, all of one enclave, and how long it takes to become one. */
import { Agent, get } from "node:http";
import { buffer } from "node:stream/consumers";
import type { Child } from "../cli/child.js";
import type { ConnectOptions, Enclave } from "../client/index.js";
import { connectEnclave, trustAnchorFromSha256 } from "../client/index.js";
import { connectEnclaveTls } from "../client/node/index.js";
import { functionResponse } from "../shared/wire.js";
import type { Platform } from "./stack.js";
import { startPlatform } from "./stack.js";

const ENTRY = new URL("./channel-enclave.js", import.meta.url);
/** As many as calls at a time. */
const MAX_CONNECTIONS = 32;
/** Every sealed request is remembered for three windows, and none is to be refused for want of room. */
const SEALED = { windowSeconds: 30, maxRemembered: 2_000_000 };

export interface Clients {
  /** Calls a function over the plain channel. Nothing is known there of who answers. */
  readonly plain: (name: string, input: object) => Promise<unknown>;
  readonly sealed: Enclave;
  readonly tls: Enclave;
  /** Makes each client anew. */
  readonly connect: { readonly sealed: () => Promise<Enclave>; readonly tls: () => Promise<Enclave> };
  /** The parent's HTTP API. */
  readonly url: string;
  close(): Promise<void>;
}

/** Starts everything, and connects. */
export async function connectClients(): Promise<Clients> {
  const functions = ["functions/echo"];
  const platform = await startPlatform({
    ...{ entry: ENTRY, functions, channels: { sealed: SEALED, tls: { certificate: "generated" } } },
  });
  try {
    const options = connectOptions(platform, await platform.startEnclave());
    const { url, token, parent } = platform;
    const connect = {
      sealed: () => connectEnclave(url, options),
      tls: () => connectEnclaveTls(`https://${parent.ready.tls}`, { ...options, maxConnections: MAX_CONNECTIONS }),
    };
    const [sealed, tls] = [await connect.sealed(), await connect.tls()];
    const close = async (): Promise<void> => {
      sealed.close();
      tls.close();
      await platform.close();
    };
    return { plain: plainClient(url, token), sealed, tls, connect, url, close };
  } catch (error) {
    await platform.close();
    throw error;
  }
}

/** What the platform measures to: the image, and the configuration with which the enclave says that it runs. */
export function connectOptions({ kms, nsm, token }: Platform, enclave: Child): ConnectOptions {
  const pcrs = Object(nsm.ready.pcrs);
  const { name, sha256 } = Object(kms.ready.trustAnchor);
  const reference = { 0: pcrs[0], 1: pcrs[1], 2: pcrs[2], 16: String(enclave.ready.configurationPcr) };
  return {
    trustAnchor: trustAnchorFromSha256(name, sha256),
    policy: {
      pcrs: [reference],
      configuration: "pinned",
      freshness: { kind: "within", seconds: 60, skewSeconds: 5 },
      debug: "reject",
    },
    token,
    maxRetries: 0,
  };
}

function plainClient(url: string, token: string): Clients["plain"] {
  const headers = { "content-type": "application/json", authorization: `Bearer ${token}` };
  return async (name, input) => {
    const body = JSON.stringify({ input });
    const response = await fetch(`${url}/v1/functions/${name}`, { method: "POST", headers, body });
    if (!response.ok) throw new Error(`${name} answered ${response.status}: ${await response.text()}`);
    return functionResponse.parse(await response.json()).output;
  };
}

/** Milliseconds: for a document over a connection of its own, which nobody looks at; and for each attested client. */
export async function timesToConnect({ url, connect }: Clients, times: number) {
  const figures = { document: [] as number[], sealed: [] as number[], tls: [] as number[] };
  for (let time = 0; time < times; time++) {
    figures.document.push(await milliseconds(() => getDocument(url)));
    figures.sealed.push(await milliseconds(async () => (await connect.sealed()).close()));
    figures.tls.push(await milliseconds(async () => (await connect.tls()).close()));
  }
  return figures;
}

async function milliseconds(call: () => Promise<unknown>): Promise<number> {
  const startedAt = performance.now();
  await call();
  return performance.now() - startedAt;
}

async function getDocument(url: string): Promise<void> {
  const agent = new Agent();
  const status = await new Promise<number | undefined>((resolve, reject) => {
    const request = get(`${url}/attestation?nonce=${"A".repeat(43)}`, { agent }, (response) => {
      buffer(response).then(() => resolve(response.statusCode), reject);
    });
    request.once("error", reject);
  });
  agent.destroy();
  if (status !== 200) throw new Error(`attestation answered ${status}`);
}
