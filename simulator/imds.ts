/**
 * The EC2 instance metadata service as far as credentials need it, version 2 only (EC2 User Guide, "Use IMDSv2"): a token by
 * PUT, then the role's name and its credentials by GET with the token. Requests of version 1, without a token, are 401;
 * token requests that came through a proxy (X-Forwarded-For) are 403.
 */
import { randomBytes } from "node:crypto";
import type { IncomingMessage } from "node:http";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import type { Clock } from "./clock.js";
import { listen, stop } from "./endpoint/http-server.js";
import type { IssuedCredentials } from "./role-credentials.js";

export interface ImdsOptions {
  readonly roleName: string;
  readonly credentials: () => IssuedCredentials;
  readonly instanceId: string;
  readonly region: string;
  readonly clock: Clock;
  readonly host?: string;
  /** A free one if left out. */
  readonly port?: number;
}

/** A running metadata service. */
export interface SimulatedImds {
  /** `http://127.0.0.1:PORT`, for AWS_EC2_METADATA_SERVICE_ENDPOINT. */
  readonly endpoint: string;
  readonly port: number;
  close(): Promise<void>;
}

interface Reply {
  readonly status: number;
  readonly body: string;
  readonly headers?: Readonly<Record<string, string>>;
}

const TOKEN_TTL_HEADER = "x-aws-ec2-metadata-token-ttl-seconds";
const TOKEN_HEADER = "x-aws-ec2-metadata-token";
const MAX_TOKEN_SECONDS = 21_600;
const MAX_TOKENS = 1000;
const REQUEST_TIMEOUT_MS = 5_000;
const CREDENTIALS_PATH = "/latest/meta-data/iam/security-credentials";

const notFound: Reply = { status: 404, body: "" };

/** Starts the metadata service of one instance. */
export async function startImds(options: ImdsOptions): Promise<SimulatedImds> {
  const tokens = new Tokens(options.clock);
  const server = createServer(
    { requestTimeout: REQUEST_TIMEOUT_MS, headersTimeout: REQUEST_TIMEOUT_MS, maxHeaderSize: 8192 },
    (request, response) => {
      request.resume(); // no operation has a body
      const { status, body, headers } = answer(request, options, tokens);
      response.writeHead(status, { "content-type": "text/plain", ...headers }).end(body);
    },
  );
  const host = options.host ?? "127.0.0.1";
  await listen(server, { port: options.port ?? 0, host });
  const { port } = server.address() as AddressInfo; // listening on TCP, so neither null nor a path
  return { endpoint: `http://${host}:${port}`, port, close: () => stop(server) };
}

function answer(request: IncomingMessage, options: ImdsOptions, tokens: Tokens): Reply {
  const path = request.url ?? "/";
  if (request.method === "PUT") return path === "/latest/api/token" ? issueToken(request, tokens) : notFound;
  if (request.method !== "GET") return { status: 405, body: "" };
  const token = request.headers[TOKEN_HEADER];
  if (typeof token !== "string" || !tokens.has(token)) return { status: 401, body: "" };
  return metadata(path.replace(/\/$/, ""), options);
}

function issueToken(request: IncomingMessage, tokens: Tokens): Reply {
  if (request.headers["x-forwarded-for"] !== undefined) return { status: 403, body: "" };
  const ttl = request.headers[TOKEN_TTL_HEADER];
  const seconds = typeof ttl === "string" && /^\d{1,5}$/.test(ttl) ? Number(ttl) : 0;
  if (seconds < 1 || seconds > MAX_TOKEN_SECONDS) return { status: 400, body: "" };
  return { status: 200, body: tokens.issue(seconds), headers: { [TOKEN_TTL_HEADER]: String(seconds) } };
}

function metadata(path: string, { roleName, credentials, instanceId, region }: ImdsOptions): Reply {
  switch (path) {
    case CREDENTIALS_PATH:
      return { status: 200, body: roleName };
    case `${CREDENTIALS_PATH}/${roleName}`:
      return { status: 200, body: credentialsDocument(credentials()), headers: { "content-type": "application/json" } };
    case "/latest/meta-data/instance-id":
      return { status: 200, body: instanceId };
    case "/latest/meta-data/placement/region":
      return { status: 200, body: region };
    default:
      return notFound;
  }
}

function credentialsDocument(credentials: IssuedCredentials): string {
  const seconds = (date: Date) => `${date.toISOString().slice(0, 19)}Z`;
  return JSON.stringify({
    Code: "Success",
    LastUpdated: seconds(credentials.issuedAt),
    Type: "AWS-HMAC",
    AccessKeyId: credentials.accessKeyId,
    SecretAccessKey: credentials.secretAccessKey,
    Token: credentials.sessionToken,
    Expiration: seconds(credentials.expiration),
  });
}

/** The session tokens that are out, oldest first. */
class Tokens {
  readonly #clock: Clock;
  readonly #expiryMs = new Map<string, number>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  issue(seconds: number): string {
    const token = randomBytes(42).toString("base64");
    this.#expiryMs.set(token, this.#clock().getTime() + seconds * 1000);
    for (const oldest of this.#expiryMs.keys()) {
      if (this.#expiryMs.size <= MAX_TOKENS) break;
      this.#expiryMs.delete(oldest);
    }
    return token;
  }

  has(token: string): boolean {
    return (this.#expiryMs.get(token) ?? Number.NEGATIVE_INFINITY) > this.#clock().getTime();
  }
}
