/**
 * The KMS without its server: a signed request in, an answer out. It authenticates, runs the operation, turns failures
 * into the API's errors and records each call. It holds the keys, and nothing of HTTP but what a signature covers.
 */
import { randomUUID } from "node:crypto";
import type { TrustAnchor } from "../../shared/attestation/trust-anchor.js";
import type { Clock } from "../clock.js";
import type { AuditLog } from "../cloudtrail/audit-log.js";
import { errorReply, jsonReply, parseBody } from "../endpoint/aws-json.js";
import type { Faults } from "../endpoint/faults.js";
import type { AwsReply, AwsRequest, Service } from "../endpoint/service.js";
import { AwsError } from "../errors.js";
import type { Decisions } from "../iam/decisions.js";
import type { Principals } from "../iam/principals.js";
import { endpointOfRequest, requestContext } from "../iam/request-context.js";
import type { Signature } from "../iam/sigv4.js";
import { verifySignature } from "../iam/sigv4.js";
import { encodeAnswer, wipeSecrets } from "./answer.js";
import { advance } from "./key-lifecycle.js";
import type { Caller, CallTrace, Operation } from "./operation.js";
import { OPERATIONS } from "./operations/table.js";
import type { RequestQuotas } from "./quotas.js";
import { RecipientVerifier } from "./recipient.js";
import type { Regions } from "./regions.js";

export interface KmsServiceOptions {
  readonly regions: Regions;
  readonly principals: Principals;
  readonly auditLog: AuditLog;
  readonly trustAnchor: TrustAnchor;
  readonly freshnessSeconds: number;
  readonly clock: Clock;
  readonly faults: Faults;
  /** AWS's request quotas, if they are to count. */
  readonly quotas: RequestQuotas | undefined;
  /** Where calls are remembered, to be explained. */
  readonly decisions: Decisions;
  /** Told of every failure that is answered with KMSInternalException: a fault of this simulator. */
  readonly onInternalError: (error: unknown) => void;
}

const TARGET_PREFIX = "TrentService.";

export class KmsService implements Service {
  readonly #options: KmsServiceOptions;
  readonly #recipients: RecipientVerifier;

  constructor(options: KmsServiceOptions) {
    this.#options = options;
    const { trustAnchor, freshnessSeconds } = options;
    this.#recipients = new RecipientVerifier({ trustAnchor, freshnessSeconds });
  }

  /** Answers a request. Never rejects: a failure that the API does not know is a KMSInternalException. */
  async answer(request: AwsRequest): Promise<AwsReply> {
    const requestId = randomUUID();
    try {
      return await this.#answerRecorded(request, requestId);
    } catch (failure) {
      // What cannot be recorded is not answered otherwise either.
      this.#options.onInternalError(failure);
      return errorReply(internalError(), requestId);
    }
  }

  async #answerRecorded(request: AwsRequest, requestId: string): Promise<AwsReply> {
    const now = this.#options.clock();
    const trace: CallTrace = { parameters: {}, resources: [], recipient: undefined, questions: [] };
    const { name, operation } = findOperation(request.operation);
    let signature: Signature | undefined;
    const finish = (error?: AwsError): void => {
      const { sourceIp, userAgent, tlsDetails } = request;
      const readOnly = operation?.readOnly ?? true;
      const { world } = this.#options.principals;
      const vpcEndpoint = signature && endpointOfRequest(request, { ...signature, service: "kms" }, world);
      const from = { sourceIp, userAgent, tlsDetails, vpcEndpoint, ...signature };
      const call = { eventName: name, readOnly, requestId, now, ...from, trace, error };
      this.#options.auditLog.append(call);
      const { questions } = trace;
      this.#options.decisions.remember({
        requestId,
        eventName: name,
        eventTime: now,
        accountId: signature?.key.principal.accountId,
        errorCode: error?.type,
        questions,
      });
    };
    try {
      signature = this.#authenticate(request, now);
      this.#options.faults.throwDue({ operation: name, region: signature.region });
      if (operation === undefined) throw new AwsError("UnknownOperationException");
      const answer = await this.#run(operation, request, signature, { now, trace });
      finish();
      return jsonReply(requestId, encodeAnswer(answer));
    } catch (cause) {
      const error = cause instanceof AwsError ? cause : internalError();
      if (error !== cause) this.#options.onInternalError(cause);
      finish(error);
      return errorReply(error, requestId);
    } finally {
      wipeSecrets(trace.answer);
    }
  }

  #authenticate(request: AwsRequest, now: Date): Signature {
    const { regions, principals } = this.#options;
    return verifySignature(request, principals, { isRegion: (name) => regions.has(name), service: "kms", now });
  }

  async #run(operation: Operation, request: AwsRequest, { key, region }: Signature, { now, trace }: CallTime) {
    const { regions, quotas, principals, auditLog } = this.#options;
    const { keys, grants } = regions.of(region);
    for (const event of advance(regions, now)) auditLog.appendEvent(event);
    const { world } = principals;
    const context = requestContext(request, { key, region, service: "kms", now }, world);
    const caller: Caller = { principal: key.principal, now, ...context, world, keys, grants, regions, quotas };
    const answer = await operation.run(parseBody(request.body), caller, this.#recipients, trace);
    // Nothing is acknowledged before it is kept, nor what rests on it: a reader has seen the changes of others.
    await regions.flush();
    return answer;
  }
}

interface CallTime {
  readonly now: Date;
  readonly trace: CallTrace;
}

const internalError = (): AwsError => new AwsError("KMSInternalException", "", 500);

function findOperation(target: string | undefined): { name: string; operation: Operation | undefined } {
  const name = target?.startsWith(TARGET_PREFIX) === true ? target.slice(TARGET_PREFIX.length) : "";
  const operation = OPERATIONS.get(name);
  return { name: operation?.name ?? "UnknownOperation", operation };
}
