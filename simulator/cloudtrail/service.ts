/** CloudTrail behind the endpoint: AWS JSON 1.1, and of its operations LookupEvents. */
import { randomUUID } from "node:crypto";
import type { Clock } from "../clock.js";
import { errorReply, jsonReply, parseBody } from "../endpoint/aws-json.js";
import type { AwsReply, AwsRequest, Service } from "../endpoint/service.js";
import { AwsError } from "../errors.js";
import { assertAuthorized } from "../iam/authorization.js";
import type { Principals } from "../iam/principals.js";
import type { RequestContext } from "../iam/request-context.js";
import { conditionValues, requestContext } from "../iam/request-context.js";
import type { Signature } from "../iam/sigv4.js";
import { verifySignature } from "../iam/sigv4.js";
import type { Regions } from "../kms/regions.js";
import type { AuditLog } from "./audit-log.js";
import { lookUpEvents, parseLookupEvents } from "./lookup-events.js";
import type { RecordedTrace } from "./records.js";

export interface CloudTrailOptions {
  readonly auditLog: AuditLog;
  readonly principals: Principals;
  readonly regions: Regions;
  readonly clock: Clock;
  readonly onInternalError: (error: unknown) => void;
}

/** Whole in the service model; the SDK for JavaScript sends the last part alone. */
const TARGET = /^(com\.amazonaws\.cloudtrail\.v20131101\.)?CloudTrail_20131101\.LookupEvents$/;

export class CloudTrail implements Service {
  readonly #options: CloudTrailOptions;

  constructor(options: CloudTrailOptions) {
    this.#options = options;
  }

  /** Answers a request, and records it as CloudTrail records its own operations. Never rejects. */
  async answer(request: AwsRequest): Promise<AwsReply> {
    const requestId = randomUUID();
    const trace: RecordedTrace = { parameters: {}, resources: [], recipient: undefined };
    try {
      const page = await this.#lookUp(request, requestId, trace);
      return jsonReply(requestId, JSON.stringify(page));
    } catch (cause) {
      const error = cause instanceof AwsError ? cause : new AwsError("InternalFailure", "", 500);
      if (error !== cause) this.#options.onInternalError(cause);
      return errorReply(error, requestId);
    }
  }

  async #lookUp(request: AwsRequest, requestId: string, trace: RecordedTrace) {
    const { auditLog, principals, regions, clock } = this.#options;
    const now = clock();
    let signature: Signature | undefined;
    const record = (error?: AwsError): void => {
      const { sourceIp, userAgent, tlsDetails } = request;
      const names = { eventSource: "cloudtrail.amazonaws.com", eventName: "LookupEvents", readOnly: true };
      auditLog.append({ ...names, requestId, now, sourceIp, userAgent, tlsDetails, ...signature, trace, error });
    };
    try {
      const isRegion = (name: string) => regions.has(name);
      signature = verifySignature(request, principals, { isRegion, service: "cloudtrail", now });
      if (!TARGET.test(request.operation ?? "")) throw new AwsError("UnknownOperationException");
      const input = parseLookupEvents(parseBody(request.body));
      trace.parameters = input;
      const context = requestContext(request, { ...signature, service: "cloudtrail", now }, principals.world);
      assertMayLookUp(signature, context);
      const { region, key } = signature;
      const page = await lookUpEvents(auditLog, { region, accountId: key.principal.accountId }, input);
      record();
      return page;
    } catch (error) {
      if (error instanceof AwsError) record(error);
      throw error;
    }
  }
}

/** @throws AwsError AccessDeniedException */
function assertMayLookUp({ key }: Signature, { conditions }: RequestContext): void {
  assertAuthorized({
    principal: key.principal,
    action: "cloudtrail:LookupEvents",
    resource: { arn: "*", accountId: key.principal.accountId },
    values: conditionValues(conditions),
  });
}
