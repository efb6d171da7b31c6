/**
 * The enclave's configuration: one JSON document, whose exact bytes are measured into PCR16 before anything else
 * happens (boot.ts). What is not known is refused: a misspelt setting must not be measured as if it had an effect.
 */
import { z } from "zod";
import { ServiceError } from "../shared/errors.js";
import { parseJson } from "../shared/wire.js";
import { authorization } from "./configuration/authorization.js";
import { channels } from "./configuration/channels.js";
import { kms } from "./configuration/kms.js";
import { limits } from "./configuration/limits.js";
import { messages } from "./configuration/messages.js";
import { recipient } from "./configuration/recipient.js";
import { PinnedKeys, regionOfKeyArn } from "./kms/pinned-keys.js";
import { regionsOf } from "./kms/regions.js";

const MAX_CONFIGURATION_BYTES = 1024 * 1024;

const schema = z.strictObject({
  version: z.literal(1),
  kms,
  channels,
  authorization,
  messages: messages.prefault({}),
  recipient: recipient.prefault({}),
  limits: limits.prefault({}),
});

/** The configuration as it was written, with defaults filled in. */
export type ConfigurationDocument = z.infer<typeof schema>;

export type AuthorizationConfiguration = ConfigurationDocument["authorization"];
export type IssuerConfiguration = AuthorizationConfiguration["issuers"][number];
export type DataKeysConfiguration = ConfigurationDocument["messages"]["dataKeys"];
export type BudgetLimits = AuthorizationConfiguration["budgets"];
export type TlsConfiguration = NonNullable<ConfigurationDocument["channels"]["tls"]>;

/** A checked configuration. */
export interface Configuration extends ConfigurationDocument {
  readonly keys: PinnedKeys;
  /** The Regions of KMS, the own one first. */
  readonly regions: readonly string[];
}

/**
 * Parses a configuration.
 * On return every field is of its form, all keys are in the KMS Region, those that have replicas elsewhere can have them, every
 * key name means one key, and a provided certificate's private key, and a fleet's sealing seeds, can be opened by one of them.
 * @throws ServiceError ERR_CONFIGURATION; the message names the field and what was expected of it.
 */
export function parseConfiguration(bytes: Uint8Array): Configuration {
  const document = parseJson(schema, decodeUtf8(bytes), "ERR_CONFIGURATION");
  const { region, keys } = document.kms;
  keys.forEach(({ arn }, index) => {
    if (regionOfKeyArn(arn) === region) return;
    throw new ServiceError("ERR_CONFIGURATION", `kms.keys.${index}.arn: expected a key in the Region of kms.region`);
  });
  const pinned = new PinnedKeys(keys);
  const regions = regionsOf(document);
  assertCertificateOpens(document, pinned);
  assertDataKeys(document, pinned);
  assertSeedsOpen(document, pinned);
  return { ...document, keys: pinned, regions };
}

/** A private key that KMS can never release would be asked for again and again, by an enclave that never serves TLS. */
function assertCertificateOpens(
  { channels: { tls }, kms: { transport } }: ConfigurationDocument,
  keys: PinnedKeys,
): void {
  if (tls?.certificate !== "provided") return;
  if (transport === "gateway") {
    throw new ServiceError("ERR_CONFIGURATION", "channels.tls: the gateway opens no private key, expected a tunnel");
  }
  if (keys.means(tls.privateKey.keyId)) return;
  throw new ServiceError("ERR_CONFIGURATION", "channels.tls.privateKey.keyId: expected a key of kms.keys");
}

/** What keeps keys in memory keeps them by tenant; and over the gateway whoever carries the answers would choose them. */
function assertDataKeys({ messages: { dataKeys }, kms: { transport } }: ConfigurationDocument, keys: PinnedKeys): void {
  if (dataKeys.kind !== "branchKeys") return;
  if (transport === "gateway") {
    throw new ServiceError(
      "ERR_CONFIGURATION",
      "messages.dataKeys: the gateway opens no branch key, expected a tunnel",
    );
  }
  if (keys.means(dataKeys.keyId)) return;
  throw new ServiceError("ERR_CONFIGURATION", "messages.dataKeys.keyId: expected a key of kms.keys");
}

/** A forged answer to Decrypt would make the parent's seed the fleet's (PITFALLS 1). */
function assertSeedsOpen({ channels, kms: { transport } }: ConfigurationDocument, keys: PinnedKeys): void {
  const { shared } = channels.sealed;
  if (shared === undefined) return;
  if (transport === "gateway") {
    throw new ServiceError("ERR_CONFIGURATION", "channels.sealed.shared: the gateway opens no seed, expected a tunnel");
  }
  if (keys.means(shared.keyId)) return;
  throw new ServiceError("ERR_CONFIGURATION", "channels.sealed.shared.keyId: expected a key of kms.keys");
}

function decodeUtf8(bytes: Uint8Array): string {
  if (bytes.length > MAX_CONFIGURATION_BYTES) {
    throw new ServiceError("ERR_CONFIGURATION", `expected a configuration of at most ${MAX_CONFIGURATION_BYTES} bytes`);
  }
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw new ServiceError("ERR_CONFIGURATION", "expected the configuration to be UTF-8");
  }
}
