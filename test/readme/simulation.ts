import { CreateKeyCommand, KMSClient } from "@aws-sdk/client-kms";
import { NodeHttpHandler } from "@smithy/node-http-handler";
import { startSimulation } from "nitro-decrypt/simulator";

/** A KMS that checks attestation, in your own test: no AWS account, nothing left behind. */
export async function createKeyForEnclave(): Promise<string | undefined> {
  await using simulation = await startSimulation();
  const { kms, region, operator, pcrs, roleArn, accountId } = simulation;
  const client = new KMSClient({
    region,
    endpoint: kms.endpoint,
    credentials: operator,
    requestHandler: new NodeHttpHandler({ httpsAgent: { ca: kms.caCertificate } }),
  });
  const image = { "kms:RecipientAttestation:PCR0": pcrs[0] };
  const Policy = JSON.stringify({
    Statement: [
      { Effect: "Allow", Principal: { AWS: `arn:aws:iam::${accountId}:root` }, Action: "kms:*", Resource: "*" },
      {
        Effect: "Allow",
        Principal: { AWS: roleArn },
        Action: "kms:Decrypt",
        Resource: "*",
        Condition: { StringEqualsIgnoreCase: image },
      },
    ],
  });
  const { KeyMetadata } = await client.send(new CreateKeyCommand({ Policy }));
  return KeyMetadata?.Arn;
}
