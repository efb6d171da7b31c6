/**
 * Keys that no configuration names one by one: those of stated accounts, in one Region, found by the ARN that a message's
 * encrypted data key carries (AWS Encryption SDK, "discovery keyring" with a discovery filter). For Decrypt of data keys
 * alone: what is opened with them was made for them, and nothing new is made under a key that a message named.
 *
 * Refused: an empty list of accounts, which would mean all or none to different readers (PITFALLS 24).
 */
import { ServiceError } from "../../shared/errors.js";
import { parseKeyArn } from "./key-arn.js";

export interface Discovery {
  /** `aws`, `aws-cn` and so on. */
  readonly partition: string;
  /** Ids of accounts, 12 digits each; at least one. */
  readonly accounts: readonly string[];
}

/** A key that was found; no alias means it. */
export interface DiscoveredKey {
  readonly arn: string;
  readonly aliases: readonly [];
}

/** @throws ServiceError ERR_CONFIGURATION when it names no account, or a part is malformed. */
export function assertDiscovery({ partition, accounts }: Discovery): void {
  if (accounts.length === 0) {
    throw new ServiceError("ERR_CONFIGURATION", "messages.discovery.accounts: expected at least one account");
  }
  if (!/^aws[a-z-]*$/.test(partition) || !accounts.every((account) => /^\d{12}$/.test(account))) {
    throw new ServiceError("ERR_CONFIGURATION", "messages.discovery: expected a partition, and accounts of 12 digits");
  }
}

/** The key of that ARN if the discovery admits it in `region`. Whether there is such a key, KMS knows. */
export function discoveredKey(
  arn: string,
  region: string,
  { partition, accounts }: Discovery,
): DiscoveredKey | undefined {
  const key = parseKeyArn(arn);
  const isAdmitted = key?.partition === partition && key.region === region && accounts.includes(key.accountId);
  return isAdmitted ? { arn, aliases: [] } : undefined;
}
