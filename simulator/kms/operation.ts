/**
 * What an operation of the KMS API is, and the one order in which each of them runs: validate, verify the recipient, find
 * what the call is about, authorise every action that it needs, and only then act. An operation says the parts; it cannot
 * leave out a step.
 */
import type { z } from "zod";
import { wipe } from "../../shared/bytes.js";
import { AwsError } from "../errors.js";
import type { AuthorizationRequest, Resource } from "../iam/authorization.js";
import { assertAuthorized } from "../iam/authorization.js";
import type { Principal } from "../iam/principal.js";
import type { Conditions, RequestContext } from "../iam/request-context.js";
import { conditionValues, controlled, resourceConditions } from "../iam/request-context.js";
import type { World } from "../world/world.js";
import type { Answer } from "./answer.js";
import { sealForRecipient } from "./ciphertext-for-recipient.js";
import type { Grant } from "./grant.js";
import { allowedByGrants, answeredOnce } from "./grant-authorization.js";
import type { GrantStore } from "./grants.js";
import type { KeyStore } from "./keys.js";
import type { RequestQuotas } from "./quotas.js";
import type { AttestedRecipient, RecipientInfo, RecipientVerifier } from "./recipient.js";
import { recipientConditions } from "./recipient.js";
import type { Regions } from "./regions.js";
import { parseInput } from "./schema.js";

export type { Conditions } from "../iam/request-context.js";

/** One permission that a call needs. */
export interface Demand {
  readonly action: string;
  readonly resource: Resource;
  readonly conditions?: Conditions;
  /** Where the permission is asked for; in the Region of the call if left out. */
  readonly region?: string;
  /** Whether a grant that allows the action allows it as it is asked for; every one does if left out. */
  readonly throughGrant?: (grant: Grant) => boolean;
}

/** Who calls, when, where and over what: the same for every operation. */
export interface Caller extends RequestContext {
  readonly principal: Principal;
  readonly now: Date;
  /** What is around the keys: organisations' policies above all. */
  readonly world: World;
  /** The keys of the Region that the request was signed for. */
  readonly keys: KeyStore;
  /** The grants on them. */
  readonly grants: GrantStore;
  /** All Regions, for what reaches beyond one. */
  readonly regions: Regions;
  /** Where AWS's request quotas are on. */
  readonly quotas: RequestQuotas | undefined;
}

/** What a handler works with. */
export interface Call<Input> extends Caller {
  readonly input: Input;
  readonly recipient: AttestedRecipient | undefined;
}

/** What the audit record of a call is made from; filled as far as the call gets. */
export interface CallTrace {
  parameters: Readonly<Record<string, unknown>>;
  resources: readonly Resource[];
  recipient: AttestedRecipient | undefined;
  /** What was asked of the policies, as far as it came. */
  questions: readonly AuthorizationRequest[];
  answer?: Answer;
  /** What the record shows of an answer although the call has changed nothing. */
  shownAnswer?: Answer;
}

export interface OperationDefinition<Input, Subject> {
  readonly name: string;
  readonly readOnly: boolean;
  readonly input: z.ZodType<Input>;
  /** What the call is about, found and not yet authorised. @throws AwsError NotFoundException and the like */
  readonly subject: (call: Call<Input>) => Subject;
  readonly demands: (call: Call<Input>, subject: Subject) => readonly Demand[];
  readonly perform: (call: Call<Input>, subject: Subject) => Answer | Promise<Answer>;
}

/** An operation of the table, its input type hidden. */
export interface Operation {
  readonly name: string;
  readonly readOnly: boolean;
  /** Runs the whole call. @throws AwsError */
  run(json: unknown, caller: Caller, recipients: RecipientVerifier, trace: CallTrace): Promise<Answer>;
}

/** The members that mean the same wherever they occur. */
interface CommonInput {
  readonly Recipient?: RecipientInfo | undefined;
  readonly GrantTokens?: readonly string[] | undefined;
  readonly DryRun?: boolean | undefined;
}

/** Makes an operation of its parts. */
export function defineOperation<Input extends CommonInput & Readonly<Record<string, unknown>>, Subject>(
  definition: OperationDefinition<Input, Subject>,
): Operation {
  const { name, readOnly } = definition;
  return {
    name,
    readOnly,
    run: async (json, caller, recipients, trace) => {
      const input = parseInput(definition.input, json);
      trace.parameters = input;
      const { Recipient: info } = input;
      const recipient = info && (await recipients.verify(info, caller.now));
      trace.recipient = recipient;
      const call: Call<Input> = { ...caller, input, recipient };
      const subject = definition.subject(call);
      const demands = definition.demands(call, subject);
      trace.resources = demands.map((demand) => demand.resource);
      const tokens = new Set((input.GrantTokens ?? []).map((token) => call.grants.redeem(token, call.now).grantId));
      const questions = demands.map((demand) => questionFor(demand, call, tokens));
      call.quotas?.take({ operation: name, ...quotaOf(call, questions) });
      for (const question of questions) {
        trace.questions = [...trace.questions, question];
        assertAuthorized(question);
      }
      const answer = await definition.perform(call, subject);
      trace.answer = answer;
      if (input.DryRun === true) {
        throw new AwsError(
          "DryRunOperationException",
          "The request would have succeeded, but the DryRun option is set.",
        );
      }
      return answer;
    },
  };
}

/** What a demand asks of the policies. `tokens`: the ids of the grants whose tokens the call carries. */
function questionFor(demand: Demand, call: Call<unknown>, tokens: ReadonlySet<string>): AuthorizationRequest {
  const { principal, conditions, recipient, endpointPolicy, world } = call;
  const { action, resource } = demand;
  const { grants = allowedByGrants(call, tokens, demand.throughGrant) } = resource;
  return {
    principal,
    action,
    resource: controlled({ ...resource, grants: answeredOnce(grants) }, world),
    values: conditionValues(
      placed(conditions, demand.region),
      ...[recipientConditions(recipient), resourceConditions(resource, world), demand.conditions ?? []],
    ),
    ...(endpointPolicy === undefined ? {} : { endpointPolicy }),
  };
}

/** The conditions of a call as they are in the Region that its permission is asked for in. */
const placed = (conditions: Conditions, region: string | undefined): Conditions =>
  region === undefined
    ? conditions
    : [...conditions].map(([key, values]) => [key, key === "aws:RequestedRegion" ? [region] : values]);

/** What quotas want to know of a call: whose it is, and the spec of the key that it uses or of the pair that it makes. */
function quotaOf({ principal, keys }: Call<unknown>, [question]: readonly AuthorizationRequest[]) {
  const specs = question?.values.get("kms:datakeypairspec") ?? question?.values.get("kms:keyspec");
  return { accountId: principal.accountId, region: keys.region, keySpec: specs?.[0] };
}

/**
 * The one place where a secret enters an answer: under `member`, or, for a caller with a verified document, only as
 * CiphertextForRecipient.
 */
export function secretAnswer(call: Call<unknown>, member: string, secret: Uint8Array): Answer {
  if (call.recipient === undefined) return { [member]: secret };
  try {
    return { CiphertextForRecipient: sealForRecipient(secret, call.recipient) };
  } finally {
    wipe(secret);
  }
}
