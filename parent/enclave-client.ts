/**
 * The parent's way to its enclave: HTTP over one address, with kept connections, a deadline and a size limit per request
 * and a bound on requests under way. An enclave that is gone is reported as such and found again by the next request.
 */
import { ServiceError } from "../shared/errors.js";
import { MAX_REQUEST_BYTES } from "../shared/wire.js";
import type { AddressRequest, AddressResponse } from "../transport/http.js";
import { createAddressAgent, requestOver } from "../transport/http.js";
import type { ParentLimits } from "./limits.js";

export interface RelayedRequest {
  readonly method: string;
  /** Path and query. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: Uint8Array | undefined;
  readonly maxResponseBytes: number;
  readonly idempotent: boolean;
  readonly signal: AbortSignal;
}

export interface EnclaveClient {
  /** Takes one of the places for requests under way; the function it returns gives it back. @throws ServiceError ERR_BUSY */
  admit(): () => void;
  /** Sends one request. @throws ServiceError ERR_ENCLAVE_UNAVAILABLE, ERR_TIMEOUT */
  send(request: RelayedRequest): Promise<AddressResponse>;
  /** Asks for health or readiness; those who ask at the same time share one answer. @throws as `send` */
  probe(path: "/healthz" | "/readyz"): Promise<AddressResponse>;
  close(): void;
}

/** `onAnswer` is told after every request whether the enclave answered. */
export function createEnclaveClient(
  address: string,
  limits: ParentLimits,
  onAnswer: (answered: boolean) => void,
): EnclaveClient {
  const agent = createAddressAgent(address, { maxSockets: limits.maxConcurrentRequests + 2 }); // two for the probes
  const probes = new Map<string, Promise<AddressResponse>>();
  let underWay = 0;

  async function send(request: AddressRequest): Promise<AddressResponse> {
    try {
      const response = await requestOver(address, { ...request, agent, failureCode: "ERR_ENCLAVE_UNAVAILABLE" });
      assertStatus(response);
      onAnswer(true);
      return response;
    } catch (error) {
      if (!request.signal?.aborted) onAnswer(false);
      throw error;
    }
  }

  return {
    admit() {
      if (underWay >= limits.maxConcurrentRequests) {
        throw new ServiceError("ERR_BUSY", `${limits.maxConcurrentRequests} requests are under way`);
      }
      underWay += 1;
      return () => {
        underWay -= 1;
      };
    },
    send: (request) => send({ ...request, deadlineMs: limits.enclaveDeadlineMs }),
    probe(path) {
      const running = probes.get(path);
      if (running) return running;
      const { probeDeadlineMs: deadlineMs } = limits;
      const probe = send({ method: "GET", path, deadlineMs, maxResponseBytes: MAX_REQUEST_BYTES }).finally(() =>
        probes.delete(path),
      );
      probes.set(path, probe);
      return probe;
    },
    close: () => agent.destroy(),
  };
}

/** What HTTP has no status for, no client can be told (RFC 9110 §15). */
function assertStatus({ status }: AddressResponse): void {
  if (status >= 200 && status <= 599) return;
  throw new ServiceError("ERR_ENCLAVE_UNAVAILABLE", `expected a status from 200 to 599 of the enclave, got ${status}`);
}
