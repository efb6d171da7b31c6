import type { Logger } from "pino";
import { ServiceError, toServiceError } from "../shared/errors.js";
import { errorOfProblem, PROBLEM_JSON } from "../shared/wire.js";
import type { AddressResponse } from "../transport/http.js";
import type { CredentialsSource } from "./credentials.js";
import { allowOrigins } from "./cross-origin.js";
import type { EnclaveClient } from "./enclave-client.js";
import type { EnclavePool } from "./enclave-pool.js";
import type { HttpApp } from "./http-app.js";
import { createHttpApp } from "./http-app.js";
import type { ParentLimits } from "./limits.js";
import type { ParentMetrics } from "./metrics.js";
import { addRelays, answerWith, jsonOf } from "./relay.js";
import type { Tunnel } from "./tunnel.js";

export interface ApiOptions {
  readonly enclaves: EnclavePool;
  readonly tunnels: readonly Tunnel[];
  readonly credentials: CredentialsSource;
  readonly limits: ParentLimits;
  readonly log: Logger;
  readonly metrics: ParentMetrics;
  /** Origins whose pages may call the API from a browser; none unless given. */
  readonly allowOrigins?: readonly string[] | undefined;
}

/** The API, not yet listening. */
export function createApi(options: ApiOptions): HttpApp {
  const { limits, log, metrics } = options;
  const http = createHttpApp({
    name: "api",
    limits,
    log,
    handlerDeadlineMs: limits.enclaveDeadlineMs,
    onFinished: ({ route, outcome, seconds }) => {
      metrics.requests.inc({ route, code: outcome });
      metrics.requestSeconds.observe({ route }, seconds);
    },
  });
  allowOrigins(http.app, options.allowOrigins ?? []);
  addRelays(http, options.enclaves);
  http.app.get("/healthz", () => health(options));
  http.app.get("/readyz", async (_request, reply) => answerWith(reply, await readiness(options.enclaves)));
  http.app.get("/metrics", async (_request, reply) =>
    reply.type(metrics.registry.contentType).send(await metrics.registry.metrics()),
  );
  return http;
}

/** Always 200 while the parent lives; what is wrong stands in the document. */
async function health({ enclaves, tunnels, credentials }: ApiOptions) {
  const all = await Promise.all(
    enclaves.all.map(async ({ target, client }) => [target.name, await healthOf(client)] as const),
  );
  const healthy = all.length > 0 && all.every(([, state]) => state.healthy) && !credentials.failing;
  return {
    status: healthy ? "ok" : "degraded",
    parent: {
      tunnelConnections: tunnels.reduce((sum, { open }) => sum + open, 0),
      credentialsAgeSeconds: credentials.ageSeconds() ?? null,
      credentialsFailing: credentials.failing,
    },
    enclaves: Object.fromEntries(all),
  };
}

async function healthOf(client: EnclaveClient) {
  try {
    const answer = await client.probe("/healthz");
    const health = jsonOf(answer) ?? null;
    return {
      reachable: true,
      healthy: answer.status === 200 && statusOf(health) === "ok",
      status: answer.status,
      health,
    };
  } catch (error) {
    return { reachable: false, healthy: false, code: toServiceError(error).code };
  }
}

/** What the enclave says of itself: it answers 200 also when a part of it fails. */
const statusOf = (health: unknown): unknown =>
  typeof health === "object" && health !== null && "status" in health ? health.status : undefined;

/** Ready means that an enclave made a real attested KMS call: only it can tell. @throws ServiceError with its code */
async function readiness(enclaves: EnclavePool): Promise<AddressResponse> {
  const probes = enclaves.all.map(({ client }) => readinessOf(client));
  if (probes.length === 0) throw new ServiceError("ERR_NOT_READY", "no enclave is known");
  return Promise.any(probes).catch((error: AggregateError) => Promise.reject(error.errors[0]));
}

async function readinessOf(enclave: EnclaveClient): Promise<AddressResponse> {
  const answer = await enclave.probe("/readyz");
  if (answer.status === 200) return answer;
  const refusal = answer.headers["content-type"]?.startsWith(PROBLEM_JSON) ? errorOfProblem(jsonOf(answer)) : undefined;
  throw refusal ?? new ServiceError("ERR_NOT_READY", `the enclave's readiness answered with status ${answer.status}`);
}
