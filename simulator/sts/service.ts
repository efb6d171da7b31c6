/** STS behind the endpoint: the Query protocol, and the operations that an SDK needs to assume roles. */
import { randomUUID } from "node:crypto";
import type { Clock } from "../clock.js";
import type { AuditLog } from "../cloudtrail/audit-log.js";
import type { Faults } from "../endpoint/faults.js";
import type { AwsReply, AwsRequest, Service } from "../endpoint/service.js";
import { AwsError } from "../errors.js";
import type { Decisions } from "../iam/decisions.js";
import type { Principals } from "../iam/principals.js";
import { endpointOfRequest } from "../iam/request-context.js";
import type { Signature } from "../iam/sigv4.js";
import { verifySignature } from "../iam/sigv4.js";
import type { CallTrace } from "../kms/operation.js";
import type { Regions } from "../kms/regions.js";
import { toStsError } from "./errors.js";
import type { StsOperation } from "./operation.js";
import { assumeRole } from "./operations/assume-role.js";
import { getCallerIdentity } from "./operations/get-caller-identity.js";
import { getSessionToken } from "./operations/get-session-token.js";
import type { QueryRequest } from "./query.js";
import { parseQuery } from "./query.js";
import { encodeAnswer, encodeError } from "./xml.js";

export interface StsServiceOptions {
  readonly principals: Principals;
  readonly regions: Regions;
  readonly auditLog: AuditLog;
  readonly clock: Clock;
  readonly faults: Faults;
  readonly decisions: Decisions;
  readonly onInternalError: (error: unknown) => void;
}

const VERSION = "2011-06-15";
export const OPERATIONS: ReadonlyMap<string, StsOperation> = new Map(
  [assumeRole, getCallerIdentity, getSessionToken].map((one) => [one.name, one]),
);

/** One call: what is known of it so far. */
interface Progress {
  eventName: string;
  signature: Signature | undefined;
  readonly trace: CallTrace;
}

export class StsService implements Service {
  readonly #options: StsServiceOptions;

  constructor(options: StsServiceOptions) {
    this.#options = options;
  }

  /** Answers a request and records it. Never rejects. */
  async answer(request: AwsRequest): Promise<AwsReply> {
    const requestId = randomUUID();
    try {
      return this.#answerRecorded(request, requestId);
    } catch (failure) {
      // What cannot be recorded is not answered otherwise either.
      this.#options.onInternalError(failure);
      return errorReply(internalFailure(), requestId);
    }
  }

  #answerRecorded(request: AwsRequest, requestId: string): AwsReply {
    const now = this.#options.clock();
    const trace: CallTrace = { parameters: {}, resources: [], recipient: undefined, questions: [] };
    const progress: Progress = { eventName: "UnknownOperation", signature: undefined, trace };
    const { sourceIp, userAgent, tlsDetails } = request;
    const finish = (error?: AwsError): void => {
      const { eventName, signature } = progress;
      const { world } = this.#options.principals;
      const vpcEndpoint = signature && endpointOfRequest(request, { ...signature, service: "sts" }, world);
      const call = {
        eventSource: "sts.amazonaws.com",
        eventName,
        readOnly: true,
        requestId,
        now,
        sourceIp,
        userAgent,
        tlsDetails,
        vpcEndpoint,
      };
      this.#options.auditLog.append({ ...call, ...signature, trace, error });
      const { questions } = trace;
      const accountId = signature?.key.principal.accountId;
      const about = { requestId, eventName, eventTime: now, accountId, errorCode: error?.type };
      this.#options.decisions.remember({ ...about, questions });
    };
    try {
      const body = this.#run(request, requestId, now, progress);
      finish();
      return reply(200, requestId, body);
    } catch (cause) {
      const error = cause instanceof AwsError ? toStsError(cause) : internalFailure();
      if (!(cause instanceof AwsError)) this.#options.onInternalError(cause);
      finish(error);
      return errorReply(error, requestId);
    }
  }

  /** The XML of the answer. @throws AwsError */
  #run(request: AwsRequest, requestId: string, now: Date, progress: Progress): string {
    const { principals, regions, faults } = this.#options;
    const isRegion = (name: string): boolean => regions.has(name);
    progress.signature = verifySignature(request, principals, { isRegion, service: "sts", now });
    const query = parseQuery(request.body);
    const operation = findOperation(query);
    progress.eventName = operation.name;
    faults.throwDue({ operation: operation.name, region: progress.signature.region });
    const { trace, signature } = progress;
    const answer = operation.run({ ...signature, members: query.members, now, request, principals, trace });
    return encodeAnswer(operation.name, answer, requestId);
  }
}

function findOperation({ action, version }: QueryRequest): StsOperation {
  if (action === "") throw new AwsError("MissingAction", "Missing Action");
  const operation = OPERATIONS.get(action);
  if (operation === undefined || version !== VERSION) {
    throw new AwsError(
      "InvalidAction",
      `Could not find operation ${action} for version ${version || "NO_VERSION_SPECIFIED"}`,
    );
  }
  return operation;
}

const reply = (status: number, requestId: string, body: string): AwsReply => ({
  status,
  requestId,
  contentType: "text/xml",
  body,
});

const errorReply = (error: AwsError, requestId: string): AwsReply =>
  reply(error.status, requestId, encodeError(error, requestId));

const internalFailure = (): AwsError => new AwsError("InternalFailure", "", 500);
