/** The source of data keys that the configuration asks for. */
import type { Clock } from "../clock.js";
import type { Configuration } from "../configuration.js";
import { CachedDataKeys } from "./cached-data-keys.js";
import { KmsDataKeys } from "./kms-data-keys.js";
import { Refusals } from "./refusals.js";
import type { DataKeyKms, DataKeySource } from "./source.js";

export interface DataKeysOptions {
  readonly configuration: Pick<Configuration, "messages" | "keys">;
  readonly kms: (signal: AbortSignal | undefined) => DataKeyKms;
  readonly clock: Clock;
}

export interface DataKeys {
  readonly dataKeys: DataKeySource;
  /** KMS for one request, which is not asked again what it has refused a moment ago. */
  readonly kms: (signal: AbortSignal | undefined) => DataKeyKms;
  /** Overwrites every key that is kept, and forgets what KMS has refused. */
  wipe(): void;
}

export function createDataKeys({ configuration, kms, clock }: DataKeysOptions): DataKeys {
  const { messages, keys } = configuration;
  const refusals = new Refusals({ seconds: messages.refusalSeconds, clock });
  const dataKeys = sourceOf(messages.dataKeys, { source: new KmsDataKeys(keys), clock });
  return {
    dataKeys,
    kms: (signal) => refusals.guard(kms(signal)),
    wipe: () => {
      dataKeys.wipe();
      refusals.wipe();
    },
  };
}

function sourceOf(
  limits: Configuration["messages"]["dataKeys"],
  { source, clock }: { readonly source: DataKeySource; readonly clock: Clock },
): DataKeySource {
  if (limits.kind === "perMessage") return source;
  if (limits.kind === "cached") return new CachedDataKeys({ source, limits, clock });
  throw new TypeError("createDataKeys: branch keys have no store yet");
}
