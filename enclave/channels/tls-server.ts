/**
 * The HTTP server of attested TLS: TLS 1.3 (RFC 8446) and nothing older, ALPN `http/1.1` (RFC 7301), and no resumption:
 * every connection makes its own handshake and shows the certificate in use, so a key that was replaced serves no new one.
 * TLS 1.3 has neither renegotiation nor compression. Clients show no certificate; who they are, their tokens say.
 *
 * It is a node:http server that puts TLS between the streams it accepts and HTTP: so it listens as the plain one does, at
 * any address, and whatever stream is handed to it by `emit("connection", stream)` is served likewise (the `server`
 * documentation of node:http and node:tls). node:https would do for sockets, but its handshake timeout begins anew with
 * every byte, and a client that drips one at a time would hold its place for ever (PITFALLS 15).
 *
 * Refused by closing the connection: a stream while there is no certificate, one beyond the bound, a handshake that is not
 * done in time, anything that is not TLS 1.3.
 */
import { constants } from "node:crypto";
import type { RequestListener, ServerOptions } from "node:http";
import { Server } from "node:http";
import type { Duplex } from "node:stream";
import type { SecureContext } from "node:tls";
import { createSecureContext, TLSSocket } from "node:tls";
import type { ServedCertificate } from "./served-certificate.js";
import type { TlsIdentity } from "./tls-identity.js";

export interface TlsServerLimits {
  /** From a stream's arrival to the end of its handshake. */
  readonly handshakeMs: number;
  /** Streams at a time, those in their handshake included. */
  readonly maxConnections: number;
  /** Of the HTTP inside. */
  readonly http: Pick<
    ServerOptions,
    "headersTimeout" | "requestTimeout" | "keepAliveTimeout" | "connectionsCheckingInterval" | "maxHeaderSize"
  >;
}

export const TLS_HANDSHAKE_MS = 10_000;

type Identity = Pick<TlsIdentity, "current" | "onChange">;

/** A server that does not listen yet: `listenAt` of transport/listen.ts takes it as it takes a plain one. */
export function createTlsHttpServer(identity: Identity, limits: TlsServerLimits, listener: RequestListener): Server {
  return new TlsHttpServer(identity, limits, listener);
}

class TlsHttpServer extends Server {
  readonly #limits: TlsServerLimits;
  readonly #serveHttp: (stream: Duplex) => void;
  readonly #open = new Set<Duplex>();
  readonly #inHandshake = new Set<Duplex>();
  #context: SecureContext | undefined;
  #closing = false;

  constructor(identity: Identity, limits: TlsServerLimits, listener: RequestListener) {
    super(limits.http, listener);
    this.#limits = limits;
    this.#serveHttp = takeConnectionListener(this);
    this.on("connection", (stream: Duplex) => this.#accept(stream));
    if (identity.current !== undefined) this.#context = createContext(identity.current);
    identity.onChange((certificate) => {
      this.#context = createContext(certificate);
    });
  }

  /** As node:http's; streams in their handshake, of which HTTP does not know, are ended at once, and no more are taken. */
  override close(callback?: (error?: Error) => void): this {
    this.#closing = true;
    for (const stream of this.#inHandshake) stream.destroy();
    return super.close(callback);
  }

  #accept(stream: Duplex): void {
    stream.on("error", () => stream.destroy()); // the client's doing, whatever it is; it ends this connection alone
    const isFull = this.#open.size >= this.#limits.maxConnections;
    if (this.#context === undefined || isFull || this.#closing) stream.destroy();
    else if (!stream.destroyed) this.#secure(stream, this.#context);
  }

  #secure(stream: Duplex, secureContext: SecureContext): void {
    this.#open.add(stream);
    this.#inHandshake.add(stream);
    const overdue = setTimeout(() => stream.destroy(), this.#limits.handshakeMs);
    const settle = (): void => {
      clearTimeout(overdue);
      this.#inHandshake.delete(stream);
    };
    stream.once("close", () => {
      settle();
      this.#open.delete(stream);
    });
    const secure = new TLSSocket(stream, { isServer: true, secureContext, ALPNProtocols: ["http/1.1"] });
    // Node's TLSSocket sees to both by itself; a lost place or a crash is too much to rest on that.
    secure.on("error", () => secure.destroy());
    secure.once("close", () => stream.destroy());
    const abandon = (): void => void stream.destroy();
    secure.once("end", abandon); // the client left during its handshake; later, HTTP sees to it
    // The end of a server's handshake, which node:tls names in no documentation; its own server waits for the same.
    secure.once("secure", () => {
      settle();
      secure.off("end", abandon);
      this.#serveHttp(secure);
    });
  }
}

/** node:http's own listener for streams, in whose place TLS comes. @throws TypeError when there is not exactly one. */
function takeConnectionListener(server: Server): (stream: Duplex) => void {
  const [serve, ...others] = server.listeners("connection");
  if (serve === undefined || others.length > 0) throw new TypeError("expected one connection listener of node:http");
  server.removeAllListeners("connection");
  return (stream) => void serve.call(server, stream);
}

function createContext({ certificateChainPem, privateKey }: ServedCertificate): SecureContext {
  return createSecureContext({
    cert: certificateChainPem,
    key: privateKey.export({ type: "pkcs8", format: "pem" }),
    minVersion: "TLSv1.3",
    maxVersion: "TLSv1.3",
    // No tickets that hold a session; those that name one (RFC 8446 §4.6.1) name one that is not kept.
    secureOptions: constants.SSL_OP_NO_TICKET,
  });
}

/**
 * SubjectPublicKeyInfo (DER) of the certificate that *this* connection was served with, whatever new ones are served with
 * since: a document that is fetched over a connection must bind that connection's key.
 * @throws TypeError when `socket` is no TLS connection of a server, or has ended.
 */
export function tlsSpkiOf(socket: unknown): Uint8Array {
  const certificate = socket instanceof TLSSocket ? socket.getX509Certificate() : undefined;
  if (certificate === undefined) throw new TypeError("expected an open TLS connection of a server");
  return new Uint8Array(certificate.publicKey.export({ type: "spki", format: "der" }));
}
