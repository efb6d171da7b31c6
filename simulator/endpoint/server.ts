/**
 * The simulated KMS as an HTTPS server: AWS JSON 1.1 over POST /, under a CA of its own. Everything that a client can make
 * large or slow is bounded, and nothing that a client does ends more than its own connection.
 */
import { randomUUID } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import type { TrustAnchor } from "../../shared/attestation/trust-anchor.js";
import type { Clock } from "../clock.js";
import { systemClock } from "../clock.js";
import { AuditLog } from "../cloudtrail/records.js";
import { AwsError } from "../errors.js";
import type { AccessKey } from "../iam/principals.js";
import { ADMINISTRATOR_POLICY, Principals } from "../iam/principals.js";
import { Regions } from "../kms/regions.js";
import { errorBody, KmsService } from "../kms/service.js";
import { listen, stop } from "./http-server.js";
import type { AwsReply, Service } from "./service.js";
import { Services } from "./service.js";
import { createTlsIdentity } from "./tls.js";

export interface KmsOptions {
  /** Whose attestation documents are believed: the root of a simulated Nitro PKI. */
  readonly trustAnchor: TrustAnchor;
  readonly region?: string;
  readonly accountId?: string;
  readonly clock?: Clock;
  /** How old an attestation document may be. */
  readonly freshnessSeconds?: number;
  readonly host?: string;
  /** A free one if left out. */
  readonly port?: number;
  /** Who may call, besides the operator. */
  readonly principals?: Principals;
  /** The access key of the administrator user `operator`; a new one if left out. */
  readonly operatorAccessKey?: AccessKey;
  /** Told of faults of the simulator itself; a Node warning if left out. */
  readonly onInternalError?: (error: unknown) => void;
}

/** A running KMS. */
export interface SimulatedKms extends AsyncDisposable {
  /** `https://localhost:PORT`. */
  readonly endpoint: string;
  readonly port: number;
  readonly region: string;
  readonly accountId: string;
  /** PEM of the CA that clients must trust. */
  readonly caCertificate: string;
  readonly auditLog: AuditLog;
  readonly principals: Principals;
  /** Of an IAM user with all permissions. */
  readonly operator: AccessKey;
  close(): Promise<void>;
}

export const DEFAULT_REGION = "us-east-1";
export const DEFAULT_ACCOUNT_ID = "111122223333";
const DEFAULT_FRESHNESS_SECONDS = 300;

/** Room for the largest attestation document in base64, and the rest of a request. */
const MAX_BODY_BYTES = 512 * 1024;
const MAX_HEADER_BYTES = 16 * 1024;
const REQUEST_TIMEOUT_MS = 30_000;
const MAX_CONNECTIONS = 4096;

/** Starts a KMS for one Region on loopback, or on `host`. */
export async function startKms(options: KmsOptions): Promise<SimulatedKms> {
  const { clock = systemClock, region = DEFAULT_REGION, accountId = DEFAULT_ACCOUNT_ID } = options;
  const principals = options.principals ?? new Principals({ accountId, region, clock });
  const operator = principals.addUser({
    name: "operator",
    policies: [ADMINISTRATOR_POLICY],
    ...(options.operatorAccessKey === undefined ? {} : { accessKey: options.operatorAccessKey }),
  });
  const { trustAnchor, freshnessSeconds = DEFAULT_FRESHNESS_SECONDS, onInternalError = warn } = options;
  const auditLog = new AuditLog({ region, accountId: principals.accountId });
  const regions = new Regions(region);
  const kms = new KmsService({
    ...{ regions, principals, auditLog, trustAnchor, freshnessSeconds, clock },
    onInternalError,
  });
  const services = new Services({ kms });
  const tls = await createTlsIdentity(region, systemClock);
  const server = createServer(
    {
      key: tls.privateKey,
      cert: tls.certificate,
      minVersion: "TLSv1.2",
      maxHeaderSize: MAX_HEADER_BYTES,
      requestTimeout: REQUEST_TIMEOUT_MS,
      headersTimeout: REQUEST_TIMEOUT_MS,
    },
    (request, response) => void respond(services, request, response, clock),
  );
  server.maxConnections = MAX_CONNECTIONS;
  await listen(server, { port: options.port ?? 0, host: options.host ?? "127.0.0.1" });
  const { port } = server.address() as AddressInfo; // listening on TCP, so neither null nor a path
  const close = () => stop(server);
  return {
    endpoint: `https://localhost:${port}`,
    port,
    region,
    accountId: principals.accountId,
    caCertificate: tls.caCertificate,
    auditLog,
    principals,
    operator,
    close,
    [Symbol.asyncDispose]: close,
  };
}

const warn = (error: unknown): void => process.emitWarning(error instanceof Error ? error : String(error));

async function respond(service: Service, request: IncomingMessage, response: ServerResponse, clock: Clock) {
  const reply = await replyTo(service, request);
  const body = Buffer.from(reply.body);
  response.writeHead(reply.status, {
    "content-type": reply.contentType,
    "content-length": body.length,
    "x-amzn-requestid": reply.requestId,
    // Clients set their signing clock by it.
    date: clock().toUTCString(),
    "cache-control": "no-cache, no-store, must-revalidate, private",
    ...(request.complete ? {} : { connection: "close" }),
  });
  response.end(body);
}

async function replyTo(service: Service, request: IncomingMessage): Promise<AwsReply> {
  if (request.method !== "POST" || request.url !== "/")
    return refusal(new AwsError("UnknownOperationException", "", 404));
  const body = await readBody(request);
  if (body === undefined) return refusal(new AwsError("RequestEntityTooLargeException", "", 413));
  const { headers } = request;
  return service.answer({
    method: request.method,
    target: request.url,
    rawHeaders: request.rawHeaders,
    body,
    operation: typeof headers["x-amz-target"] === "string" ? headers["x-amz-target"] : undefined,
    sourceIp: request.socket.remoteAddress?.replace(/^::ffff:/, "") ?? "",
    userAgent: headers["user-agent"] ?? "",
  });
}

const refusal = (error: AwsError): AwsReply => ({
  status: error.status,
  requestId: randomUUID(),
  contentType: "application/x-amz-json-1.1",
  body: errorBody(error),
});

/** The body; undefined as soon as it is too long, or if its sender went away. */
function readBody(request: IncomingMessage): Promise<Uint8Array | undefined> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    let length = 0;
    request.on("data", (chunk: Buffer) => {
      length += chunk.length;
      if (length <= MAX_BODY_BYTES) chunks.push(chunk);
      else resolve(undefined); // what still comes is dropped until the answer closes the connection
    });
    request.on("end", () => resolve(Buffer.concat(chunks)));
    request.on("error", () => resolve(undefined));
    request.on("close", () => resolve(undefined));
  });
}
