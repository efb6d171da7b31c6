/**
 * The simulator's own service, beside those of AWS: what tests and tools ask of it in any language. It is signed for like
 * any other, under the service name `simulator`, and needs permissions of that name, which an administrator has.
 */
import { randomUUID } from "node:crypto";
import type { Clock } from "../clock.js";
import { errorReply, jsonReply, parseBody } from "../endpoint/aws-json.js";
import type { AwsReply, AwsRequest, Service } from "../endpoint/service.js";
import { AwsError, accessDenied } from "../errors.js";
import { assertAuthorized } from "../iam/authorization.js";
import type { CallerIdentity } from "../iam/caller-identity.js";
import type { Principal } from "../iam/principal.js";
import type { Principals } from "../iam/principals.js";
import { verifySignature } from "../iam/sigv4.js";
import type { Regions } from "../kms/regions.js";

/** One operation: JSON in, JSON out, for a caller who may. @throws AwsError */
export type ControlOperation = (input: unknown, caller: CallerIdentity) => Readonly<Record<string, unknown>>;

export interface ControlServiceOptions {
  readonly principals: Principals;
  readonly regions: Regions;
  readonly clock: Clock;
  /** By name. */
  readonly operations: ReadonlyMap<string, ControlOperation>;
  readonly onInternalError: (error: unknown) => void;
}

export const CONTROL_SERVICE = "simulator";
export const CONTROL_TARGET_PREFIX = "Simulator.";

export class ControlService implements Service {
  readonly #options: ControlServiceOptions;

  constructor(options: ControlServiceOptions) {
    this.#options = options;
  }

  async answer(request: AwsRequest): Promise<AwsReply> {
    const requestId = randomUUID();
    try {
      return jsonReply(requestId, JSON.stringify(this.#run(request)));
    } catch (cause) {
      const error = cause instanceof AwsError ? cause : new AwsError("InternalFailure", "", 500);
      if (error !== cause) this.#options.onInternalError(cause);
      return errorReply(error, requestId);
    }
  }

  #run(request: AwsRequest): Readonly<Record<string, unknown>> {
    const { principals, regions, clock, operations } = this.#options;
    const isRegion = (name: string): boolean => regions.has(name);
    const { key } = verifySignature(request, principals, { isRegion, service: CONTROL_SERVICE, now: clock() });
    const name = request.operation?.startsWith(CONTROL_TARGET_PREFIX)
      ? request.operation.slice(CONTROL_TARGET_PREFIX.length)
      : "";
    const operation = operations.get(name);
    if (operation === undefined) throw new AwsError("UnknownOperationException");
    assertMay(key.principal, name);
    assertAtHome(key.principal, name, principals.accountId);
    return operation(parseBody(request.body), key.principal);
  }
}

/** What an operation shows or changes is everybody's; of explanations each account has its own. */
const OF_EVERY_ACCOUNT = new Set(["ExplainRequest"]);

/** @throws AwsError AccessDeniedException for another account than the one that the simulator was started for */
function assertAtHome({ arn, accountId }: Principal, operation: string, home: string): void {
  if (accountId === home || OF_EVERY_ACCOUNT.has(operation)) return;
  throw accessDenied(
    `User: ${arn} is not authorized to perform: ${CONTROL_SERVICE}:${operation}: it is for principals of account ${home}`,
  );
}

/**
 * Whether the caller's own policies allow it. An organisation's lists of what AWS services its accounts may use are not about
 * this one. @throws AwsError AccessDeniedException
 */
function assertMay({ serviceControlPolicies: _, ...principal }: Principal, operation: string): void {
  const resource = { arn: "*", accountId: principal.accountId };
  assertAuthorized({ principal, action: `${CONTROL_SERVICE}:${operation}`, resource, values: new Map() });
}
