/**
 * CreateAlias, UpdateAlias and DeleteAlias (API_CreateAlias, …). Each needs permission on the alias, from IAM, and on every key
 * that it takes the alias from or gives it to (KMS Developer Guide, "Controlling access to aliases").
 */
import { z } from "zod";
import { AwsError, validationError } from "../../errors.js";
import type { Alias } from "../change.js";
import type { KmsKey } from "../key.js";
import { isAsymmetric } from "../key-specs.js";
import type { Call, Demand } from "../operation.js";
import { defineOperation } from "../operation.js";
import { keyId, patterned } from "../schema.js";
import { assertNotPendingDeletion, demandOn, namesAlias } from "./key-access.js";

const DOCUMENTATION = "https://docs.aws.amazon.com/kms/latest/developerguide/kms-alias.html";
/** KMS Developer Guide, "Resource quotas": aliases per KMS key. */
const MAX_ALIASES = 50;

const aliasName = patterned("^[a-zA-Z0-9:/_-]+$", 1, 256);
const aliasAndTarget = z.object({ AliasName: aliasName, TargetKeyId: keyId });

interface AliasAndKey {
  readonly alias: Alias;
  readonly key: KmsKey;
}

export const createAlias = defineOperation({
  name: "CreateAlias",
  readOnly: false,
  input: aliasAndTarget,
  subject: (call): AliasAndKey => {
    const { AliasName: name } = call.input;
    assertNewName(name);
    const key = targetOf(call);
    const { keys, principal, now } = call;
    const arn = keys.aliasArn(principal.accountId, name);
    const { accountId } = principal;
    return { key, alias: { arn, name, accountId, targetKeyId: key.keyId, creationDate: now, lastUpdatedDate: now } };
  },
  demands: (call, { alias, key }) => demandsOn(call, "CreateAlias", alias, [key]),
  perform: ({ keys }, { alias, key }) => {
    assertMayHaveAlias(key, keys.aliasesOf(key));
    keys.addAlias(alias);
    return {};
  },
});

export const updateAlias = defineOperation({
  name: "UpdateAlias",
  readOnly: false,
  input: aliasAndTarget,
  subject: (call) => ({ ...aliasAndKeyOf(call), target: targetOf(call) }),
  demands: (call, { alias, key, target }) =>
    demandsOn(call, "UpdateAlias", alias, target.keyId === key.keyId ? [key] : [key, target]),
  perform: ({ keys, now }, { alias, key, target }) => {
    assertSameKind(alias, key, target);
    assertMayHaveAlias(target, target.keyId === key.keyId ? [] : keys.aliasesOf(target));
    keys.putAlias({ ...alias, targetKeyId: target.keyId, lastUpdatedDate: now });
    return {};
  },
});

export const deleteAlias = defineOperation({
  name: "DeleteAlias",
  readOnly: false,
  input: z.object({ AliasName: aliasName }),
  subject: aliasAndKeyOf,
  demands: (call, { alias, key }) => demandsOn(call, "DeleteAlias", alias, [key]),
  perform: ({ keys }, { alias }) => {
    keys.removeAlias(alias.arn);
    return {};
  },
});

const demandsOn = (
  call: Call<{ readonly AliasName: string }>,
  operation: string,
  { arn, accountId }: Alias,
  keys: readonly KmsKey[],
): readonly Demand[] => [
  { action: `kms:${operation}`, resource: { arn, accountId } },
  ...keys.map((key) => demandOn({ ...call, input: {} }, key, operation)),
];

/** The alias that a request names by its name or ARN. @throws AwsError ValidationException, NotFoundException */
function aliasAndKeyOf({ input, keys, principal }: Call<{ readonly AliasName: string }>): AliasAndKey {
  if (!input.AliasName.startsWith("arn:")) assertPrefix(input.AliasName);
  const alias = keys.resolveAlias(input.AliasName, principal.accountId);
  return { alias, key: keys.resolve(alias.arn, principal.accountId) };
}

/** The key that an alias is to be of. @throws AwsError ValidationException, NotFoundException */
function targetOf({ input, keys, principal }: Call<{ readonly TargetKeyId: string }>): KmsKey {
  if (namesAlias(input.TargetKeyId)) throw validationError("Aliases must refer to keys. Not aliases");
  return keys.resolve(input.TargetKeyId, principal.accountId);
}

/** @throws AwsError ValidationException, NotAuthorizedException for the names of AWS managed keys */
function assertNewName(name: string): void {
  assertPrefix(name);
  if (name.startsWith("alias/aws/")) throw new AwsError("NotAuthorizedException");
  if (name.includes(":")) throw validationError(`${name} contains invalid characters for an alias`);
}

function assertPrefix(name: string): void {
  if (!name.startsWith("alias/") || name === "alias/") {
    throw validationError(`Alias must start with the prefix "alias/". Please see ${DOCUMENTATION}`);
  }
}

/** @throws AwsError KMSInvalidStateException, LimitExceededException */
function assertMayHaveAlias(key: KmsKey, aliases: readonly string[]): void {
  assertNotPendingDeletion(key);
  if (aliases.length >= MAX_ALIASES) {
    throw new AwsError("LimitExceededException", `${key.arn} has ${MAX_ALIASES} aliases already.`);
  }
}

/** An alias stays with one usage and one type of key: symmetric, HMAC or asymmetric. @throws AwsError ValidationException */
function assertSameKind({ arn }: Alias, from: KmsKey, to: KmsKey): void {
  if (from.keyUsage !== to.keyUsage) throw changed(arn, "usage", from.keyUsage, to.keyUsage);
  // Of one usage, keys are symmetric and asymmetric; HMAC keys have one of their own.
  if (isAsymmetric(from.keySpec) !== isAsymmetric(to.keySpec)) throw changed(arn, "type", from.keySpec, to.keySpec);
}

const changed = (arn: string, what: "usage" | "type", from: string, to: string): AwsError =>
  validationError(
    `Alias ${arn} cannot be changed from a CMK with key ${what} ${from} to a CMK with key ${what} ${to}. The key ${what} of the current CMK and the new CMK must be the same.`,
  );
