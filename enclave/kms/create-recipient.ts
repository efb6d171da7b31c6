/** A recipient for `attestKms` by itself, for programs that use the attested KMSClient without this package's service. */
import type { Nsm } from "../../shared/nsm.js";
import type { Clock } from "../clock.js";
import { systemClock } from "../clock.js";
import { RECIPIENT_DEFAULTS } from "../configuration/recipient.js";
import { NsmClient } from "../nsm.js";
import type { PinnedKeys } from "./pinned-keys.js";
import type { Recipient, RecipientLimits } from "./recipient.js";
import { RecipientKeys } from "./recipient.js";

export interface RecipientOptions {
  /** The device that attests the recipient's keys. */
  readonly nsm: Nsm;
  /** The KMS keys that may answer. */
  readonly keys: PinnedKeys;
  /** Ages in seconds and uses of a key; the defaults of the configuration unless given. */
  readonly limits?: Partial<RecipientLimits>;
  readonly clock?: Clock;
}

/**
 * Makes a recipient. Its first RSA-2048 key is made at the first call that needs one, further ones ahead of need.
 * It does not check that the device is a genuine NSM: KMS does, when it is shown a document.
 */
export function createRecipient({ nsm, keys, limits, clock = systemClock }: RecipientOptions): Recipient {
  const device = new NsmClient(nsm, clock);
  return new RecipientKeys({ keys, nsm: device, clock, limits: { ...RECIPIENT_DEFAULTS, ...limits } });
}
