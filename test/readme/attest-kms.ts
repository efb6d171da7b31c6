import { KMSClient } from "@aws-sdk/client-kms";
import type { Nsm } from "nitro-decrypt/enclave";
import { attestKms, createRecipient, PinnedKeys } from "nitro-decrypt/enclave";

/** The SDK's own client, attested: whatever uses a KMSClient, the AWS Encryption SDK included, may take it. */
export function attestedClient(nsm: Nsm, arn: string): KMSClient {
  const keys = new PinnedKeys([{ arn, aliases: ["alias/cards"] }]);
  return attestKms(new KMSClient({ region: "us-east-1" }), createRecipient({ nsm, keys }));
}
