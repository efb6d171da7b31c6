/**
 * What the parent does for its enclave, as HTTP at an address of its own: `GET /credentials`, and `POST /kms` where the
 * gateway is configured. Whoever can open the address can ask; on vsock that is every enclave of the instance.
 */
import type { KMSClient } from "@aws-sdk/client-kms";
import type { Logger } from "pino";
import { ServiceError } from "../shared/errors.js";
import { listenAt } from "../vsock/transport.js";
import type { CredentialsSource } from "./credentials.js";
import { callKms } from "./gateway.js";
import { createHttpApp } from "./http-app.js";
import type { ParentLimits } from "./limits.js";
import type { ParentMetrics } from "./metrics.js";

export interface ServicesOptions {
  readonly address: string;
  readonly credentials: CredentialsSource;
  readonly gateway?: { readonly client: KMSClient } | undefined;
  readonly limits: ParentLimits;
  readonly log: Logger;
  readonly metrics: ParentMetrics;
}

export interface Services {
  close(): Promise<void>;
}

/** Opens the services. @throws ServiceError ERR_ADDRESS */
export async function createServices(options: ServicesOptions): Promise<Services> {
  const { credentials, gateway, limits, log, metrics } = options;
  const http = createHttpApp({
    name: "services",
    limits,
    log,
    handlerDeadlineMs: limits.awsDeadlineMs,
    onFinished: ({ route, outcome }) => {
      if (route === "/credentials") metrics.credentialsServed.inc({ code: outcome });
    },
  });
  http.app.get("/credentials", () => credentials.take());
  if (gateway) {
    http.app.post("/kms", ({ body }) => {
      if (!(body instanceof Uint8Array)) throw new ServiceError("ERR_MESSAGE_MALFORMED", "expected a body");
      return callKms(gateway.client, new TextDecoder().decode(body), limits.awsDeadlineMs);
    });
  }
  await http.app.ready();
  await listenAt(http.server, options.address);
  http.server.on("error", (error) => log.error({ err: error }, "services: a connection could not be accepted"));
  return { close: () => http.close() };
}
