/** The parent's bounds on time and number, with their defaults. Nothing that a client or enclave sends is waited for or kept without one. */

export interface ParentLimits {
  /** HTTP connections from clients at a time; further ones are closed at once. */
  readonly maxConnections: number;
  /** Requests to the enclave under way at a time, bodies being received included; further ones get ERR_BUSY. */
  readonly maxConcurrentRequests: number;
  /** Time for a client to send its whole request, and again to take its whole answer. */
  readonly transferDeadlineMs: number;
  /** Time for the enclave to answer a relayed request. */
  readonly enclaveDeadlineMs: number;
  /** Time for the enclave to answer a health or readiness question. */
  readonly probeDeadlineMs: number;
  /** Until an enclave that did not answer, and is left out while others answer, is asked for its health again. */
  readonly enclaveRestMs: number;
  /** Between questions which enclaves there are, where they are found and not listed. */
  readonly discoveryIntervalMs: number;
  /** Time for the answer which enclaves there are; the parent does not start before the first one, or this time. */
  readonly discoveryDeadlineMs: number;
  /** Time for the credential chain, and for KMS in a gateway call. */
  readonly awsDeadlineMs: number;
  /** Tunnel: time for name resolution and connection to the target, all addresses together. */
  readonly tunnelConnectDeadlineMs: number;
  /** Tunnel: time in which at least one byte must pass, in either direction. */
  readonly tunnelIdleDeadlineMs: number;
  /** Tunnel: life of a connection. */
  readonly tunnelTotalDeadlineMs: number;
  /** TLS pass-through: time for an enclave to take a connection, before another one is asked. */
  readonly tlsConnectDeadlineMs: number;
  /** TLS pass-through: time in which at least one byte must pass, in either direction. */
  readonly tlsIdleDeadlineMs: number;
  /** TLS pass-through: life of a connection. */
  readonly tlsTotalDeadlineMs: number;
  /** Shutdown: time for requests under way to finish. */
  readonly closeDeadlineMs: number;
}

export const DEFAULT_LIMITS: ParentLimits = {
  maxConnections: 1024,
  maxConcurrentRequests: 256,
  transferDeadlineMs: 15_000,
  enclaveDeadlineMs: 30_000,
  probeDeadlineMs: 10_000,
  enclaveRestMs: 5_000,
  discoveryIntervalMs: 5_000,
  discoveryDeadlineMs: 15_000,
  awsDeadlineMs: 8_000, // less than the enclave waits, so that it hears why
  tunnelConnectDeadlineMs: 5_000,
  tunnelIdleDeadlineMs: 120_000,
  tunnelTotalDeadlineMs: 3_600_000,
  tlsConnectDeadlineMs: 3_000,
  tlsIdleDeadlineMs: 120_000,
  tlsTotalDeadlineMs: 3_600_000,
  closeDeadlineMs: 10_000,
};
