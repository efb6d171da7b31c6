/**
 * The grammar of IAM policy documents (IAM User Guide, "Grammar of the IAM JSON policy language"), read strictly: an
 * element that the grammar does not have is a malformed policy, for a misspelt Condition would otherwise widen access.
 */
import { z } from "zod";
import { malformedPolicy } from "../../errors.js";
import type { ConditionBlock } from "./conditions.js";
import { parsePolicyJson } from "./json.js";
import type { PolicyVersion } from "./template.js";

const scalar = z.union([z.string(), z.number(), z.boolean()]).transform(String);
const texts = z.union([z.string(), z.array(z.string())]).transform((value): readonly string[] => [value].flat());
const oneOrMore = z
  .union([z.string().min(1), z.array(z.string().min(1)).min(1)])
  .transform((value): readonly string[] => [value].flat());
const principal = z.union([
  z.literal("*").transform(() => ({ AWS: ["*"] })),
  z.strictObject({
    AWS: oneOrMore.optional(),
    Service: oneOrMore.optional(),
    Federated: oneOrMore.optional(),
    CanonicalUser: oneOrMore.optional(),
  }),
]);

const statement = z.strictObject({
  Sid: z.string().optional(),
  Effect: z.enum(["Allow", "Deny"]),
  Principal: principal.optional(),
  NotPrincipal: principal.optional(),
  Action: texts.optional(),
  NotAction: texts.optional(),
  Resource: texts.optional(),
  NotResource: texts.optional(),
  Condition: z
    .record(
      z.string(),
      z.record(
        z.string(),
        z.union([scalar, z.array(scalar)]).transform((value) => [value].flat()),
      ),
    )
    .optional(),
});

const document = z.strictObject({
  Version: z.enum(["2012-10-17", "2008-10-17"]).optional(),
  Id: z.string().optional(),
  Statement: z.union([statement.transform((one) => [one]), z.array(statement).min(1)]),
});

/** Principals by kind. */
export interface PrincipalElement {
  readonly AWS?: readonly string[] | undefined;
  readonly Service?: readonly string[] | undefined;
  readonly Federated?: readonly string[] | undefined;
  readonly CanonicalUser?: readonly string[] | undefined;
}

/** One statement, with every one-or-many element as a list. */
export interface Statement {
  readonly Sid?: string | undefined;
  readonly Effect: "Allow" | "Deny";
  readonly Principal?: PrincipalElement | undefined;
  readonly NotPrincipal?: PrincipalElement | undefined;
  readonly Action?: readonly string[] | undefined;
  readonly NotAction?: readonly string[] | undefined;
  readonly Resource?: readonly string[] | undefined;
  readonly NotResource?: readonly string[] | undefined;
  readonly Condition?: ConditionBlock | undefined;
}

/** A policy whose grammar is right; what its kind demands besides is not looked at here. */
export interface PolicyDocument {
  readonly version: PolicyVersion;
  readonly statements: readonly Statement[];
}

/** Reads a policy text. @throws AwsError MalformedPolicyDocumentException */
export function parsePolicy(text: string): PolicyDocument {
  const parsed = document.safeParse(parsePolicyJson(text));
  if (!parsed.success) throw syntaxErrors();
  const { Version: version = "2008-10-17", Statement: statements } = parsed.data;
  for (const one of statements) assertOneOfBoth(one);
  assertDistinctSids(statements);
  for (const { Action, NotAction, Resource, NotResource } of statements) {
    if ((Action ?? NotAction)?.length === 0) throw malformedPolicy("Policy statement must contain actions.");
    if ((Resource ?? NotResource)?.length === 0) throw malformedPolicy("Policy statement must contain resources.");
    for (const action of Action ?? NotAction ?? []) assertAction(action);
  }
  return { version, statements };
}

const syntaxErrors = () => malformedPolicy("Syntax errors in policy.");

/** An element or its negation. */
function assertOneOfBoth({ Action, NotAction, Resource, NotResource }: Statement): void {
  if (Action !== undefined && NotAction !== undefined) throw syntaxErrors();
  if (Resource !== undefined && NotResource !== undefined) throw syntaxErrors();
}

/** `*`, or a vendor and a name; which names a vendor has is not looked at. */
function assertAction(action: string): void {
  const [vendor = "", name, ...more] = action.split(":");
  if (more.length > 0) throw malformedPolicy("Actions/Condition can contain only one colon.");
  if (action !== "*" && (vendor === "" || name === undefined)) {
    throw malformedPolicy("Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.");
  }
  if (vendor !== "*" && !/^[A-Za-z0-9.-]+$/.test(vendor)) throw malformedPolicy(`Vendor ${vendor} is not valid`);
}

function assertDistinctSids(statements: readonly Statement[]): void {
  const sids = statements.flatMap(({ Sid }) => (Sid === undefined || Sid === "" ? [] : [Sid]));
  if (new Set(sids).size < sids.length) {
    throw malformedPolicy("Statement IDs (SID) in a single policy must be unique.");
  }
}
