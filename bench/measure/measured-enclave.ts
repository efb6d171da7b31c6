/**
 * The enclave of a measurement: the parts that a real one is wired from (enclave/enclave.ts), in this process and without its
 * channels. A request begins where a channel hands it over: with a token, to a guarded route. So each is authenticated,
 * paid for, decided about by the policies and written to the enclave's log, wherever its data key comes from.
 */
import { AttestedTime } from "../../enclave/attested-time.js";
import { measureConfiguration } from "../../enclave/boot.js";
import type { Clock } from "../../enclave/clock.js";
import type { Configuration } from "../../enclave/configuration.js";
import { parseConfiguration } from "../../enclave/configuration.js";
import { createDataKeys } from "../../enclave/data-keys/create-data-keys.js";
import { attestKms } from "../../enclave/kms/attest-kms.js";
import { RecipientKeys } from "../../enclave/kms/recipient.js";
import type { ServicesClient } from "../../enclave/kms/services.js";
import type { Logger } from "../../enclave/log.js";
import { Messages } from "../../enclave/messages/messages.js";
import { NsmClient } from "../../enclave/nsm.js";
import { createGuard } from "../../enclave/operations/create-guard.js";
import { Decryption } from "../../enclave/operations/decryption.js";
import { Encryption } from "../../enclave/operations/encryption.js";
import { messageOperations } from "../../enclave/operations/message-operations.js";
import type { Route } from "../../enclave/operations/route.js";
import { utf8 } from "../../shared/bytes.js";
import type { TokenIssuer } from "../../simulator/token-issuer.js";
import { ownRegion } from "../own-region.js";
import type { MeasuredKms } from "./measured-kms.js";

export interface EnclaveSettings {
  /** `messages` of the configuration. */
  readonly messages: object;
  readonly kms: MeasuredKms;
  readonly issuer: TokenIssuer;
  /** The parent's, for the records of branch keys. */
  readonly services: Pick<ServicesClient, "request">;
  readonly clock: Clock;
  readonly log: Logger;
}

/** The services of a parent that is asked for nothing. */
export const noServices: EnclaveSettings["services"] = {
  request: async ({ path }) => {
    throw new Error(`the enclave asked its parent for ${path}`);
  },
};

/** The routes of the operations on messages, by their names. */
export type Routes = ReadonlyMap<string, Route>;

export interface MeasuredEnclave {
  readonly configuration: Configuration;
  readonly messages: Messages;
  readonly routes: Routes;
}

const POLICY = `permit(principal, action, resource)
when { context.encryptionContext has tenant && context.encryptionContext.tenant == principal.tenant };`;

const SCHEMA = `entity Caller { tenant: String };
entity Alias;
entity Key in [Alias];
entity Enclave;
type Request = {
  encryptionContext: { tenant?: String }, encryptionContextKeys: Set<String>,
  channel: String, bytes: Long, time: datetime
};
action "messages/decrypt", "messages/encrypt", "messages/re-encrypt"
  appliesTo { principal: Caller, resource: Key, context: Request };`;

/** Starts it: its configuration is measured, and its key for KMS's answers is there. */
export async function startMeasuredEnclave(settings: EnclaveSettings): Promise<MeasuredEnclave> {
  const { kms, clock, log, services } = settings;
  const bytes = utf8(JSON.stringify(configurationOf(settings)));
  const configuration = parseConfiguration(bytes);
  const { keys, limits } = configuration;
  const time = new AttestedTime(clock);
  const nsm = new NsmClient(kms.simulation.nsm, clock, { onDocument: (document) => time.observeDocument(document) });
  const recipient = new RecipientKeys({ keys, nsm, clock, limits: configuration.recipient });
  const client = attestKms(kms.role, recipient);
  const { regional, health, calls } = ownRegion({ client, region: kms.region, keys, clock });
  const messages = new Messages({
    ...configuration.messages,
    ...createDataKeys({ configuration, keys, kms: calls, clock, services }),
    maxEncryptedDataKeys: limits.maxEncryptedDataKeys,
  });
  const decryption = new Decryption({ kms: { operations: () => regional }, messages, keys, health });
  const operations = messageOperations({ decryption, encryption: new Encryption({ messages, keys }) });
  const guard = await createGuard(configuration, { operations, time, clock, log });
  await measureConfiguration(nsm, bytes);
  await recipient.prepare();
  return { configuration, messages, routes: new Map(operations.map((one) => [one.name, guard.route(one)])) };
}

const configurationOf = ({ kms: { simulation, keyArn }, messages, issuer }: EnclaveSettings): object => ({
  version: 1,
  kms: {
    ...{ region: simulation.region, keys: [{ arn: keyArn }], transport: "tunnel" },
    roots: [simulation.kms.caCertificate],
  },
  messages: { requiredPairs: ["tenant"], ...messages },
  channels: {},
  authorization: {
    issuers: [issuer.configuration],
    maxTokenAgeSeconds: 86_400,
    schema: SCHEMA,
    policies: POLICY,
    budgets: { requestsPerMinute: 1_000_000, bytesPerMinute: 100_000_000_000, maxConcurrent: 4_096 },
  },
});
