/** The source of data keys that the configuration asks for. */
import type { Clock } from "../clock.js";
import type { Configuration } from "../configuration.js";
import type { PinnedKeys } from "../kms/pinned-keys.js";
import type { ServicesClient } from "../kms/services.js";
import { BranchDataKeys } from "./branch/branch-data-keys.js";
import { parentBranchKeyStorage } from "./branch/branch-key-storage.js";
import { CachedDataKeys } from "./cached-data-keys.js";
import { KmsDataKeys } from "./kms-data-keys.js";
import { Refusals } from "./refusals.js";
import type { DataKeyKms, DataKeySource } from "./source.js";

export interface DataKeysOptions {
  readonly configuration: Pick<Configuration, "messages">;
  /** Those under which data keys of messages are opened. */
  readonly keys: PinnedKeys;
  readonly kms: (signal: AbortSignal | undefined) => DataKeyKms;
  readonly clock: Clock;
  /** The parent's, where the key store of branch keys is. */
  readonly services: Pick<ServicesClient, "request">;
}

export interface DataKeys {
  readonly dataKeys: DataKeySource;
  /** KMS for one request, which is not asked again what it has refused a moment ago. */
  readonly kms: (signal: AbortSignal | undefined) => DataKeyKms;
  /** Overwrites every key that is kept, and forgets what KMS has refused. */
  wipe(): void;
}

export function createDataKeys(options: DataKeysOptions): DataKeys {
  const { configuration, kms, clock } = options;
  const refusals = new Refusals({ seconds: configuration.messages.refusalSeconds, clock });
  const dataKeys = sourceOf(options);
  return {
    dataKeys,
    kms: (signal) => refusals.guard(kms(signal)),
    wipe: () => {
      dataKeys.wipe();
      refusals.wipe();
    },
  };
}

function sourceOf({ configuration, keys, clock, services }: DataKeysOptions): DataKeySource {
  const { dataKeys: limits, tenantPair, refusalSeconds } = configuration.messages;
  const source = new KmsDataKeys(keys);
  if (limits.kind === "perMessage") return source;
  if (limits.kind === "cached") return new CachedDataKeys({ source, limits, clock });
  const { keyId, logicalKeyStoreName, tableName } = limits;
  const key = keys.resolve(keyId);
  return new BranchDataKeys({
    ...{ source, clock, key, logicalKeyStoreName, tenantPair },
    isKmsKey: (arn) => keys.relatedTo(arn) === key, // a store that is replicated may have been filled in another Region
    storage: parentBranchKeyStorage(services, tableName),
    limits: { ...limits, refusalSeconds },
  });
}
