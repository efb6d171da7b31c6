/**
 * TLS connections to one enclave, for node:https. Who is at the other end is not decided by names and CAs: the certificate
 * is the enclave's own, and what vouches for its key is the attestation document that was fetched over the first
 * connection. Every further connection must show the same key, or it is not used; TLS proves that the other side holds
 * the key (RFC 8446 §4.4.3), whoever carries the bytes.
 */
import { X509Certificate } from "node:crypto";
import type { AgentOptions } from "node:https";
import { Agent } from "node:https";
import { isIP } from "node:net";
import type { Duplex } from "node:stream";
import type { TLSSocket } from "node:tls";
import { connect } from "node:tls";
import { equalBytes } from "../../shared/bytes.js";
import { ServiceError } from "../../shared/errors.js";

export interface AgentTarget {
  readonly host: string;
  readonly port: number;
  /** For the connection and its handshake. */
  readonly connectMs: number;
  readonly maxConnections: number;
}

/** Until `pin` it opens connections to whoever answers: for the request for a document, and nothing else. */
export class AttestedAgent extends Agent {
  readonly #target: AgentTarget;
  #key: Uint8Array | undefined;
  #retired = false;

  constructor(target: AgentTarget) {
    const options: AgentOptions = { keepAlive: true, maxSockets: target.maxConnections };
    super({ ...options, maxFreeSockets: target.maxConnections, maxCachedSessions: 0 });
    this.#target = target;
  }

  /** From now on connections must show `key` (DER SubjectPublicKeyInfo). */
  pin(key: Uint8Array): void {
    this.#key = key;
  }

  /** Lets go of connections: of those that carry a request, when it has been answered. */
  retire(): void {
    this.#retired = true;
    for (const sockets of Object.values(this.freeSockets)) for (const socket of sockets ?? []) socket.destroy();
  }

  override keepSocketAlive(socket: Duplex): boolean {
    const kept: unknown = super.keepSocketAlive(socket); // a boolean, whatever its types say
    return kept !== false && !this.#retired;
  }

  override createConnection(_: unknown, done?: (error: Error | null, stream: Duplex) => void): undefined {
    this.#open().then(
      (socket) => done?.(null, socket),
      // node:http looks at no stream where there is an error; its types want one.
      (error: Error) => (done as ((error: Error) => void) | undefined)?.(error),
    );
  }

  async #open(): Promise<TLSSocket> {
    const socket = await handshake(this.#target);
    if (this.#key === undefined || equalBytes(keyOf(socket), this.#key)) return socket;
    socket.destroy();
    throw new ServiceError("ERR_USER_DATA_MISMATCH", "expected the attested TLS key, another one was shown");
  }
}

/** The key that the other side of a connection has shown, and proved to hold. */
export function keyOf(socket: unknown): Uint8Array {
  const certificate = isTlsSocket(socket) ? socket.getPeerX509Certificate() : undefined;
  if (!(certificate instanceof X509Certificate)) throw new TypeError("unreachable: TLS servers show a certificate");
  return new Uint8Array(certificate.publicKey.export({ type: "spki", format: "der" }));
}

const isTlsSocket = (socket: unknown): socket is TLSSocket =>
  typeof socket === "object" && socket !== null && "getPeerX509Certificate" in socket;

function handshake({ host, port, connectMs }: AgentTarget): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const socket = connect({
      ...{ host, port },
      servername: isIP(host) === 0 ? host : "",
      ALPNProtocols: ["http/1.1"],
      minVersion: "TLSv1.3",
      // No CA vouches for an enclave's key. The attestation does, and it is asked for next; nothing else is sent before.
      rejectUnauthorized: false,
    });
    const fail = (cause: Error | undefined, message: string): void => {
      clearTimeout(timer);
      socket.off("close", onClose);
      socket.on("error", () => undefined).destroy(); // it has failed already: what it says later changes nothing
      reject(new ServiceError("ERR_ENCLAVE_UNAVAILABLE", message, { cause }));
    };
    const onError = (cause: Error): void => fail(cause, `no TLS connection to ${host}:${port}`);
    const onClose = (): void => fail(undefined, `${host}:${port} closed the connection within the handshake`);
    const timer = setTimeout(() => fail(undefined, `no TLS connection within ${connectMs} ms`), connectMs);
    socket.once("error", onError).once("close", onClose);
    socket.once("secureConnect", () => {
      clearTimeout(timer);
      socket.off("error", onError).off("close", onClose);
      resolve(socket);
    });
  });
}
