/**
 * Attested TLS: the enclave's routes inside TLS that ends here, at an address to which the parent passes bytes on blindly.
 * A document that is asked for over a connection binds that connection's own key, so who asks knows whom the connection
 * leads to, whatever the parent did on the way (PITFALLS 13, 14).
 */
import type { IncomingMessage } from "node:http";
import type { Router } from "../operations/router.js";
import type { ServedChannel } from "./server.js";
import { MAX_CONNECTIONS } from "./server.js";
import type { TlsIdentity } from "./tls-identity.js";
import { createTlsHttpServer, TLS_HANDSHAKE_MS, tlsSpkiOf } from "./tls-server.js";

export function tlsChannel(router: Router, identity: TlsIdentity, listen: ServedChannel["listen"]): ServedChannel {
  return {
    name: "tls",
    streams: true,
    create: (http, listener) => {
      const limits = { handshakeMs: TLS_HANDSHAKE_MS, maxConnections: MAX_CONNECTIONS, http };
      return createTlsHttpServer(identity, limits, listener);
    },
    listen,
    match: (target) => router.match("tls", target),
    connectionKey: ({ socket }: IncomingMessage) => tlsSpkiOf(socket),
  };
}
