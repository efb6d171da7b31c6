/**
 * The KMS without its server: a signed request in, an answer out. It authenticates, runs the operation, turns failures
 * into the API's errors and records each call. It holds the keys, and nothing of HTTP but what a signature covers.
 */
import { randomUUID } from "node:crypto";
import type { TrustAnchor } from "../../shared/attestation/trust-anchor.js";
import type { Clock } from "../clock.js";
import type { FinishedCall } from "../cloudtrail/records.js";
import { AuditLog } from "../cloudtrail/records.js";
import { AwsError } from "../errors.js";
import type { IssuedKey, Principals } from "../iam/principals.js";
import type { SignedRequest } from "../iam/sigv4.js";
import { verifySignature } from "../iam/sigv4.js";
import { KeyStore } from "./keys.js";
import type { Caller, CallTrace, Conditions, Operation, OperationEnvironment } from "./operation.js";
import { encodeAnswer } from "./operation.js";
import { OPERATIONS } from "./operations/table.js";
import { RecipientVerifier } from "./recipient.js";

export interface KmsServiceOptions {
  readonly region: string;
  readonly principals: Principals;
  readonly trustAnchor: TrustAnchor;
  readonly freshnessSeconds: number;
  readonly clock: Clock;
  /** Told of every failure that is answered with KMSInternalException: a fault of this simulator. */
  readonly onInternalError: (error: unknown) => void;
}

/** A request and where it came from. */
export interface KmsRequest extends SignedRequest {
  /** The X-Amz-Target header. */
  readonly operation: string | undefined;
  readonly sourceIp: string;
  readonly userAgent: string;
}

export interface KmsReply {
  readonly status: number;
  readonly requestId: string;
  /** JSON. */
  readonly body: string;
}

const TARGET_PREFIX = "TrentService.";

export class KmsService {
  readonly auditLog = new AuditLog();
  readonly #options: KmsServiceOptions;
  readonly #environment: OperationEnvironment;

  constructor(options: KmsServiceOptions) {
    this.#options = options;
    const { trustAnchor, freshnessSeconds, region } = options;
    const recipients = new RecipientVerifier({ trustAnchor, freshnessSeconds });
    this.#environment = { keys: new KeyStore(region), recipients };
  }

  /** Answers a request. Never rejects: a failure that the API does not know is a KMSInternalException. */
  async answer(request: KmsRequest): Promise<KmsReply> {
    const { clock, region, principals } = this.#options;
    const now = clock();
    const requestId = randomUUID();
    const trace: CallTrace = { parameters: {}, resources: [], recipient: undefined };
    const { name, operation } = findOperation(request.operation);
    let key: IssuedKey | undefined;
    const finish = (error?: AwsError): void => {
      const { sourceIp, userAgent } = request;
      const readOnly = operation?.readOnly ?? true;
      const call = { eventName: name, readOnly, requestId, now, region, sourceIp, userAgent, key, trace, error };
      this.auditLog.append({ ...call, accountId: principals.accountId } satisfies FinishedCall);
    };
    try {
      key = verifySignature(request, principals, { region, service: "kms", now });
      if (operation === undefined) throw new AwsError("UnknownOperationException");
      const caller: Caller = { principal: key.principal, now, conditions: callerConditions(key, request, now, region) };
      const answer = await operation.run(parseBody(request.body), caller, this.#environment, trace);
      finish();
      return { status: 200, requestId, body: encodeAnswer(answer) };
    } catch (cause) {
      const error = cause instanceof AwsError ? cause : new AwsError("KMSInternalException", "", 500);
      if (error !== cause) this.#options.onInternalError(cause);
      finish(error);
      return { status: error.status, requestId, body: errorBody(error) };
    }
  }
}

function findOperation(target: string | undefined): { name: string; operation: Operation | undefined } {
  const name = target?.startsWith(TARGET_PREFIX) === true ? target.slice(TARGET_PREFIX.length) : "";
  const operation = OPERATIONS.get(name);
  return { name: operation?.name ?? "UnknownOperation", operation };
}

function parseBody(body: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(body));
  } catch {
    throw new AwsError("SerializationException"); // neither UTF-8 nor JSON: nothing more can be said of it
  }
}

/** The error as JSON 1.1. AccessDenied really has a capital Message; clients of all languages read either. */
export function errorBody({ type, message }: AwsError): string {
  const member = type === "AccessDeniedException" ? "Message" : "message";
  return JSON.stringify({ __type: type, ...(message === "" ? {} : { [member]: message }) });
}

/** The global condition keys that a request has, whatever the operation. */
function callerConditions({ principal }: IssuedKey, request: KmsRequest, now: Date, region: string): Conditions {
  const { accountId, arn, roleArn, userId, kind } = principal;
  const types = { root: "Account", user: "User", session: "AssumedRole", service: "Service" };
  return [
    ["aws:PrincipalArn", [roleArn ?? arn]],
    ["aws:PrincipalAccount", [accountId]],
    ["aws:PrincipalType", [types[kind]]],
    ["aws:userid", [userId]],
    ...(kind === "user" ? [["aws:username", [arn.slice(arn.lastIndexOf("/") + 1)]] as const] : []),
    ["aws:SourceIp", [request.sourceIp]],
    ["aws:UserAgent", [request.userAgent]],
    ["aws:SecureTransport", ["true"]],
    ["aws:RequestedRegion", [region]],
    ["aws:CurrentTime", [now.toISOString()]],
    ["aws:EpochTime", [String(Math.floor(now.getTime() / 1000))]],
    ["kms:CallerAccount", [accountId]],
  ];
}
