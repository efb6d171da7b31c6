/** Messages over a fake KMS, attested. */
import type { KMSClient } from "@aws-sdk/client-kms";
import { kmsCalls } from "../../../enclave/data-keys/kms-calls.js";
import { KmsDataKeys } from "../../../enclave/data-keys/kms-data-keys.js";
import type { DataKeySource } from "../../../enclave/data-keys/source.js";
import { KmsHealth } from "../../../enclave/health.js";
import { attestKms } from "../../../enclave/index.js";
import type { PinnedKeys } from "../../../enclave/kms/pinned-keys.js";
import type { MessagesOptions } from "../../../enclave/messages/messages.js";
import { Messages } from "../../../enclave/messages/messages.js";
import type { fakeKms, TestRecipient } from "../fakes.js";
import { TestClock, testKeys } from "../fakes.js";
import { regionalKms } from "../regional.js";

/** The attested calls of one request. */
export function callsOver(kms: ReturnType<typeof fakeKms>, recipient: TestRecipient): MessagesOptions["kms"] {
  return callsOfClient(attestKms(kms.client, recipient), testKeys());
}

/** Likewise over a client that is attested for these keys. */
export function callsOfClient(client: KMSClient, keys: PinnedKeys): MessagesOptions["kms"] {
  const { kms: regional } = regionalKms([{ region: "us-east-1", client }]);
  const making = { making: () => regional, makingKeys: keys };
  return kmsCalls({ opening: regional, openingKeys: keys, ...making, health: new KmsHealth(new TestClock()) });
}

export function messagesOver(
  kms: ReturnType<typeof fakeKms>,
  recipient: TestRecipient,
  changes: Partial<MessagesOptions> = {},
): Messages {
  const dataKeys: DataKeySource = new KmsDataKeys(testKeys());
  const settings = { maxEncryptedDataKeys: 2, requiredPairs: [], tenantPair: "tenant" };
  return new Messages({ dataKeys, kms: callsOver(kms, recipient), ...settings, ...changes });
}
