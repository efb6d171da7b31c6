/**
 * ARNs of KMS keys, `arn:PARTITION:kms:REGION:ACCOUNT:key/ID` (API_DescribeKey, "Key ARN"), and which of them are related:
 * multi-Region keys of one id, in one account and partition, have the same material (KMS Developer Guide, "Multi-Region
 * keys in AWS KMS"), and their ids alone begin with `mrk-`.
 */

const KEY_ARN =
  /^arn:(aws[a-z-]*):kms:([a-z0-9-]+):(\d{12}):key\/((?:mrk-[0-9a-f]{32})|(?:[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}))$/;

export interface KeyArn {
  readonly partition: string;
  readonly region: string;
  readonly accountId: string;
  readonly keyId: string;
}

/** The parts of a key ARN, or undefined if `arn` is not one. */
export function parseKeyArn(arn: string): KeyArn | undefined {
  const [, partition, region, accountId, keyId] = KEY_ARN.exec(arn) ?? [];
  if (partition === undefined || region === undefined || accountId === undefined || keyId === undefined) return;
  return { partition, region, accountId, keyId };
}

export const formatKeyArn = ({ partition, region, accountId, keyId }: KeyArn): string =>
  `arn:${partition}:kms:${region}:${accountId}:key/${keyId}`;

/** Whether the key is a multi-Region key. */
export const isMultiRegion = ({ keyId }: KeyArn): boolean => keyId.startsWith("mrk-");
