/** The parent's Prometheus metrics, in a registry of their own: several parents may live in one process. */
import { Counter, Gauge, Histogram, Registry } from "prom-client";

export interface ParentMetrics {
  readonly registry: Registry;
  readonly requests: Counter<"route" | "code">;
  readonly requestSeconds: Histogram<"route">;
  readonly tunnelOpen: Gauge;
  readonly tunnelConnections: Counter<"outcome">;
  readonly tunnelBytes: Counter<"direction">;
  readonly tlsOpen: Gauge;
  readonly tlsConnections: Counter<"outcome">;
  readonly tlsBytes: Counter<"direction">;
  readonly credentialsServed: Counter<"code">;
  readonly enclaveUp: Gauge<"enclave">;
}

/** `credentialsAgeSeconds` tells the time since credentials were last handed over, or undefined before the first time. */
export function createMetrics(credentialsAgeSeconds: () => number | undefined): ParentMetrics {
  const registry = new Registry();
  const registers = [registry];
  const age = new Gauge({
    name: "nitro_parent_credentials_age_seconds",
    help: "Time since credentials were last handed to the enclave; absent before the first time",
    registers,
    collect() {
      const seconds = credentialsAgeSeconds();
      if (seconds === undefined) this.remove();
      else this.set(seconds);
    },
  });
  age.remove();
  return {
    registry,
    requests: new Counter({
      name: "nitro_parent_requests_total",
      help: "Requests by route and outcome: OK, a refusal's code, or ABORTED when the client left before its answer",
      labelNames: ["route", "code"],
      registers,
    }),
    requestSeconds: new Histogram({
      name: "nitro_parent_request_duration_seconds",
      help: "Time from a request's head to its answer's last byte",
      labelNames: ["route"],
      buckets: [0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
      registers,
    }),
    tunnelOpen: new Gauge({
      name: "nitro_parent_tunnel_connections_open",
      help: "KMS tunnel connections at the moment",
      registers,
    }),
    tunnelConnections: new Counter({
      name: "nitro_parent_tunnel_connections_total",
      help: "KMS tunnel connections by their end",
      labelNames: ["outcome"],
      registers,
    }),
    tunnelBytes: new Counter({
      name: "nitro_parent_tunnel_bytes_total",
      help: "Bytes through the KMS tunnel",
      labelNames: ["direction"],
      registers,
    }),
    tlsOpen: new Gauge({
      name: "nitro_parent_tls_connections_open",
      help: "Connections of clients through the TLS pass-through at the moment",
      registers,
    }),
    tlsConnections: new Counter({
      name: "nitro_parent_tls_connections_total",
      help: "Connections of clients through the TLS pass-through by their end",
      labelNames: ["outcome"],
      registers,
    }),
    tlsBytes: new Counter({
      name: "nitro_parent_tls_bytes_total",
      help: "Bytes through the TLS pass-through",
      labelNames: ["direction"],
      registers,
    }),
    credentialsServed: new Counter({
      name: "nitro_parent_credentials_total",
      help: "Requests of the enclave for credentials, by outcome",
      labelNames: ["code"],
      registers,
    }),
    enclaveUp: new Gauge({
      name: "nitro_parent_enclave_up",
      help: "Whether an enclave answered the last time it was asked anything",
      labelNames: ["enclave"],
      registers,
    }),
  };
}
