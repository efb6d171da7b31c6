/** The terms of a new grant: as a request says them, what policies are told of them, and which ones KMS refuses. */
import { z } from "zod";
import { AwsError, validationError } from "../../../errors.js";
import { parseArn, partitionOf } from "../../../iam/arn.js";
import type { EncryptionContext } from "../../encryption-context.js";
import type { GrantTerms } from "../../grant.js";
import { GRANT_OPERATIONS, grantOperationsOn } from "../../grant.js";
import type { KmsKey } from "../../key.js";
import type { Conditions } from "../../operation.js";
import { encryptionContext, enumList, patterned } from "../../schema.js";
import { contextConditions } from "../key-access.js";

export const principalId = patterned("^[\\w+=,.@:/-]+$", 1, 256).optional();
export const servicePrincipal = patterned(
  "^([A-Za-z0-9\\-]+)\\.([A-Za-z0-9\\-]+)(\\.[A-Za-z0-9\\-]+)+$",
  1,
  128,
).optional();

export const termsMembers = {
  GranteePrincipal: principalId,
  RetiringPrincipal: principalId,
  GranteeServicePrincipal: servicePrincipal,
  RetiringServicePrincipal: servicePrincipal,
  Operations: enumList(GRANT_OPERATIONS),
  Constraints: z
    .object({
      EncryptionContextSubset: encryptionContext,
      EncryptionContextEquals: encryptionContext,
      SourceArn: patterned("^arn:aws[a-z0-9-]*:[a-z0-9-]+:[a-z0-9-]*:[0-9]{12}:.+$", 20, 512).optional(),
    })
    .optional(),
  Name: patterned("^[a-zA-Z0-9:/_-]+$", 1, 256).optional(),
};

export type TermsInput = z.infer<z.ZodObject<typeof termsMembers>>;

export const termsOf = (input: TermsInput): GrantTerms => ({
  name: input.Name,
  granteePrincipal: input.GranteePrincipal,
  granteeServicePrincipal: input.GranteeServicePrincipal,
  retiringPrincipal: input.RetiringPrincipal,
  retiringServicePrincipal: input.RetiringServicePrincipal,
  operations: [...new Set(input.Operations)],
  constraints: {
    encryptionContextSubset: input.Constraints?.EncryptionContextSubset,
    encryptionContextEquals: input.Constraints?.EncryptionContextEquals,
    sourceArn: input.Constraints?.SourceArn,
  },
});

/** The condition keys of CreateGrant (KMS Developer Guide, "Controlling access to grants"). */
export function* termsConditions(terms: GrantTerms): Conditions {
  const { encryptionContextSubset, encryptionContextEquals, sourceArn } = terms.constraints;
  yield ["kms:GrantOperations", terms.operations];
  yield* given("kms:GranteePrincipal", terms.granteePrincipal);
  yield* given("kms:GranteeServicePrincipal", terms.granteeServicePrincipal);
  yield* given("kms:RetiringPrincipal", terms.retiringPrincipal);
  yield* given("kms:RetiringServicePrincipal", terms.retiringServicePrincipal);
  yield* given("kms:GrantConstraintType", encryptionContextSubset && "EncryptionContextSubset");
  yield* given("kms:GrantConstraintType", encryptionContextEquals && "EncryptionContextEquals");
  yield* given("kms:GrantConstraintType", sourceArn && "SourceArn");
  yield* given("kms:GrantConstraintSourceArn", sourceArn);
  yield* contextConditions(new Map([...(encryptionContextSubset ?? []), ...(encryptionContextEquals ?? [])]));
}

function* given(key: string, value: string | undefined): Conditions {
  if (value !== undefined) yield [key, [value]];
}

/** @throws AwsError ValidationException, InvalidArnException */
export function assertTerms(terms: GrantTerms, key: KmsKey): void {
  assertPrincipals(terms, key);
  assertOperations(terms, key);
  const { encryptionContextSubset, encryptionContextEquals } = terms.constraints;
  for (const context of [encryptionContextSubset, encryptionContextEquals]) {
    if (context !== undefined) assertContext(context, key);
  }
}

function assertPrincipals(terms: GrantTerms, key: KmsKey): void {
  const { granteePrincipal, granteeServicePrincipal, retiringPrincipal, retiringServicePrincipal } = terms;
  if ((granteePrincipal === undefined) === (granteeServicePrincipal === undefined)) {
    throw validationError("You must specify either GranteePrincipal or GranteeServicePrincipal, but not both.");
  }
  if (retiringPrincipal !== undefined && retiringServicePrincipal !== undefined) {
    throw validationError("You can specify either RetiringPrincipal or RetiringServicePrincipal, but not both.");
  }
  const retiring = retiringPrincipal ?? retiringServicePrincipal;
  if (granteeServicePrincipal !== undefined && (terms.constraints.sourceArn === undefined || retiring === undefined)) {
    throw validationError(
      "A grant with a GranteeServicePrincipal needs a SourceArn constraint and a RetiringPrincipal or RetiringServicePrincipal.",
    );
  }
  const region = parseArn(key.arn)?.region ?? "";
  for (const principal of [granteePrincipal, retiringPrincipal]) {
    if (principal !== undefined) assertPrincipalArn(principal, region);
  }
}

/** Of an account, user, role, federated user or assumed-role session. @throws AwsError InvalidArnException */
export function assertPrincipalArn(text: string, region: string): void {
  const arn = parseArn(text);
  const isPrincipal =
    arn !== undefined &&
    arn.partition === partitionOf(region) &&
    arn.region === "" &&
    /^\d{12}$/.test(arn.accountId) &&
    ((arn.service === "iam" && /^(root|(user|role)\/.+)$/.test(arn.resource)) ||
      (arn.service === "sts" && /^(assumed-role\/[^/]+\/[^/]+|federated-user\/.+)$/.test(arn.resource)));
  if (!isPrincipal) throw new AwsError("InvalidArnException", `ARN does not refer to a valid principal: ${text}`);
}

function assertOperations({ operations }: GrantTerms, key: KmsKey): void {
  if (operations.length === 0) throw validationError("Operations must not be empty.");
  if (operations.every((operation) => operation === "CreateGrant")) {
    throw validationError("Grants must not contain only the CreateGrant operation.");
  }
  const others = operations.filter((operation) => !grantOperationsOn(key).includes(operation));
  if (others.length > 0) {
    throw validationError(
      `Grant operations [${others.join(", ")}] are not supported on ${key.arn}, whose key spec is ${key.keySpec} and key usage is ${key.keyUsage}.`,
    );
  }
}

const [MAX_PAIRS, MAX_VALUE_LENGTH] = [8, 384];

function assertContext(context: EncryptionContext, key: KmsKey): void {
  if (key.keySpec !== "SYMMETRIC_DEFAULT") {
    throw validationError("Encryption context grant constraints are supported only on symmetric encryption KMS keys.");
  }
  if (context.size > MAX_PAIRS) {
    throw validationError(`A grant constraint can have at most ${MAX_PAIRS} encryption context pairs.`);
  }
  if ([...context.values()].some((value) => value.length > MAX_VALUE_LENGTH)) {
    throw validationError(
      `An encryption context value in a grant constraint cannot exceed ${MAX_VALUE_LENGTH} characters.`,
    );
  }
}
