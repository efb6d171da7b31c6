/**
 * Attested TLS: TLS 1.3 that ends in the enclave, through the parent's pass-through. The document is taken over the very
 * connection that it is to vouch for, with a nonce of this client's; it must bind that connection's key. Nothing but the
 * request for it is sent before, and afterwards only over connections that show the same key.
 *
 * An enclave replaces its key at times: a connection that shows another one leads to a fresh attestation, once for a call.
 */
import type { IncomingMessage } from "node:http";
import { equalBytes } from "../../shared/bytes.js";
import { ServiceError } from "../../shared/errors.js";
import { attestationResponse, decodeUtf8, parseJson } from "../../shared/wire.js";
import type { Appraiser } from "../attest.js";
import { attestKeys, MAX_ATTESTATION_BYTES } from "../attest.js";
import type { Channel } from "../channel.js";
import { carrierRefusalOf, refusalOf } from "../channel.js";
import { withDeadline } from "../deadline.js";
import type { Session } from "../sessions.js";
import { Sessions } from "../sessions.js";
import type { AgentTarget } from "./attested-agent.js";
import { AttestedAgent, keyOf } from "./attested-agent.js";
import type { AgentRequest } from "./https.js";
import { contentTypeOf, readWhole, send } from "./https.js";

export interface TlsChannelOptions {
  readonly target: AgentTarget;
  readonly appraiser: Appraiser;
  readonly deadlineMs: number;
  readonly maxAgeMs: number;
}

interface TlsSession extends Session {
  readonly agent: AttestedAgent;
}

/** A channel that also carries streams. */
export interface TlsChannel extends Channel {
  /** Sends a request with a body of any size; returns the answer when its head is there and its status is 200. */
  stream(request: Omit<AgentRequest, "agent" | "method">): Promise<IncomingMessage>;
}

/** More than any problem document, less than any nuisance. */
const MAX_PROBLEM_BYTES = 16 * 1024;

/** Attests, and returns the channel to the enclave that passed. */
export async function openTlsChannel(options: TlsChannelOptions, signal?: AbortSignal): Promise<TlsChannel> {
  const { deadlineMs, maxAgeMs, appraiser } = options;
  const open = () => withDeadline({ deadlineMs }, (deadline) => openSession(options, deadline));
  const sessions = new Sessions<TlsSession>({ open, maxAgeMs, clock: appraiser.clock });
  await sessions.current(signal).catch((error: unknown) => {
    sessions.close(); // whoever gave up has nothing to close
    throw error;
  });
  /** Runs `run` on the session in use, and once more on a fresh one when the enclave shows another key by now. */
  const onSession = async <T>(given: AbortSignal, run: (session: TlsSession) => Promise<T>): Promise<T> => {
    const session = await sessions.current(given);
    try {
      return await run(session);
    } catch (error) {
      if (!(error instanceof ServiceError && error.code === "ERR_USER_DATA_MISMATCH")) throw error;
      return run(await sessions.renewed(session, given));
    }
  };
  return {
    get attestation() {
      if (sessions.latest === undefined) throw new TypeError("the channel is closed");
      return sessions.latest.attestation;
    },
    call: ({ operation, body, fields, maxResponseBytes, signal: given }) =>
      onSession(given, async ({ agent }) => {
        const content = { fields: { ...fields, "content-type": "application/json" }, body };
        const request = { agent, method: "POST", path: `/v1/${operation}`, ...content, signal: given } as const;
        return readWhole(await accepted(await send(request)), maxResponseBytes);
      }),
    // A stream can be sent once: whether the key is still the same is seen before any of it is.
    stream: async (request) => {
      const { agent } = await onSession(request.signal, (session) => probe(session, request.signal));
      return accepted(await send({ ...request, agent, method: "POST" }));
    },
    close: () => sessions.close(),
  };
}

/** The answer, if its status is 200. @throws ServiceError the refusal that it is otherwise. */
async function accepted(response: IncomingMessage, refusedBy = refusalOf): Promise<IncomingMessage> {
  if (response.statusCode === 200) return response;
  throw refusedBy(contentTypeOf(response), await readWhole(response, MAX_PROBLEM_BYTES));
}

/** Makes a connection that shows the session's key, or fails as it does. */
async function probe(session: TlsSession, signal: AbortSignal): Promise<TlsSession> {
  await readWhole(await send({ agent: session.agent, method: "GET", path: "/healthz", signal }), MAX_PROBLEM_BYTES);
  return session;
}

async function openSession({ target, appraiser }: TlsChannelOptions, signal: AbortSignal): Promise<TlsSession> {
  const agent = new AttestedAgent(target);
  try {
    let key = new Uint8Array();
    const { attestation, tlsKey } = await attestKeys(appraiser, async (path) => {
      const response = await send({ agent, method: "GET", path: `/${path}`, signal });
      key = new Uint8Array(keyOf(response.socket));
      // Who answers is not known yet.
      const body = await readWhole(await accepted(response, carrierRefusalOf), MAX_ATTESTATION_BYTES);
      return parseJson(attestationResponse, decodeUtf8(body), "ERR_MESSAGE_MALFORMED");
    });
    if (tlsKey === undefined || !equalBytes(tlsKey, key)) {
      throw new ServiceError("ERR_USER_DATA_MISMATCH", "expected the document to bind this connection's TLS key");
    }
    agent.pin(key);
    return { attestation, agent, close: () => agent.retire() };
  } catch (error) {
    agent.destroy();
    throw error;
  }
}
