/**
 * The grammar of IAM policy documents (IAM User Guide, "Grammar of the IAM JSON policy language"), read strictly: an
 * element that the grammar does not have is a malformed policy, for a misspelt Condition would otherwise widen access.
 */
import { z } from "zod";
import { malformedPolicy } from "../../errors.js";
import type { ConditionBlock } from "./conditions.js";

const scalar = z.union([z.string(), z.number(), z.boolean()]).transform(String);
const oneOrMore = z.union([z.string(), z.array(z.string()).min(1)]).transform((value) => [value].flat());
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
  Action: oneOrMore.optional(),
  NotAction: oneOrMore.optional(),
  Resource: oneOrMore.optional(),
  NotResource: oneOrMore.optional(),
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

/** Principals by kind; only those of kind AWS can be callers of the simulated KMS. */
export interface PrincipalElement {
  readonly AWS?: readonly string[] | undefined;
}

/** One statement, with every one-or-many element as a list. */
export interface Statement {
  readonly Effect: "Allow" | "Deny";
  readonly Principal?: PrincipalElement | undefined;
  readonly NotPrincipal?: PrincipalElement | undefined;
  readonly Action?: readonly string[] | undefined;
  readonly NotAction?: readonly string[] | undefined;
  readonly Resource?: readonly string[] | undefined;
  readonly NotResource?: readonly string[] | undefined;
  readonly Condition?: ConditionBlock | undefined;
}

/** The statements of a policy text. @throws AwsError MalformedPolicyDocumentException */
export function parsePolicy(text: string): readonly Statement[] {
  let json: unknown;
  try {
    json = JSON.parse(text, refusePrototype);
  } catch {
    throw malformedPolicy("This policy contains invalid Json");
  }
  const parsed = document.safeParse(json);
  if (!parsed.success) {
    const path = parsed.error.issues[0]?.path.join(".") ?? "";
    throw malformedPolicy(`Syntax errors in policy at ${path === "" ? "the document" : path}.`);
  }
  for (const one of parsed.data.Statement) assertComplete(one);
  return parsed.data.Statement;
}

/** The one member name that schemas drop without a word; a condition must not vanish. */
function refusePrototype(name: string, value: unknown): unknown {
  if (name === "__proto__") throw new SyntaxError("__proto__ is no element of a policy");
  return value;
}

/** Exactly one of each element and its negation: what both kinds of policy have in common. */
function assertComplete(one: Statement): void {
  if ((one.Action === undefined) === (one.NotAction === undefined)) {
    throw malformedPolicy("Policy statement must contain actions.");
  }
  if ((one.Resource === undefined) === (one.NotResource === undefined)) {
    throw malformedPolicy("Policy statement must contain resources.");
  }
  for (const action of one.Action ?? one.NotAction ?? []) {
    if (!/^(\*|[A-Za-z0-9-]+:[A-Za-z0-9*?]+)$/.test(action)) {
      throw malformedPolicy("Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.");
    }
  }
}
