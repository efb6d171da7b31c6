/**
 * The AWS side of the demo: the plain AWS SDK as operator and as the parent instance's role, and the two key policies.
 */

import { Agent } from "node:https";
import { KMSClient } from "@aws-sdk/client-kms";
import { NodeHttpHandler } from "@smithy/node-http-handler";
import { z } from "zod";
import { parseWith } from "../../shared/wire.js";
import type { KmsProcess } from "../local-stack.js";

export interface Credentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
  readonly expiration?: Date;
}

/** The AWS SDK's own client, unchanged, under the simulated KMS's CA. */
export function kmsClient(kms: KmsProcess, credentials: Credentials): KMSClient {
  return new KMSClient({
    region: kms.region,
    endpoint: kms.endpoint,
    credentials,
    maxAttempts: 1,
    requestHandler: new NodeHttpHandler({ httpsAgent: new Agent({ ca: kms.caCertificate, keepAlive: true }) }),
  });
}

const imdsCredentials = z.object({
  AccessKeyId: z.string(),
  SecretAccessKey: z.string(),
  Token: z.string(),
  Expiration: z.iso.datetime(),
});

/** The role's credentials from the metadata service: what any process on a parent instance can have (IMDSv2). */
export async function roleCredentials({ imdsEndpoint, roleArn }: KmsProcess): Promise<Credentials> {
  const ttl = { "x-aws-ec2-metadata-token-ttl-seconds": "60" };
  const answer = await fetch(`${imdsEndpoint}/latest/api/token`, { method: "PUT", headers: ttl });
  const headers = { "x-aws-ec2-metadata-token": await answer.text() };
  const role = roleArn.slice(roleArn.lastIndexOf("/") + 1);
  const path = `/latest/meta-data/iam/security-credentials/${role}`;
  const document = await fetch(`${imdsEndpoint}${path}`, { headers });
  const { AccessKeyId, SecretAccessKey, Token, Expiration } = parseWith(
    imdsCredentials,
    await document.json(),
    "ERR_CREDENTIALS",
  );
  return {
    accessKeyId: AccessKeyId,
    secretAccessKey: SecretAccessKey,
    sessionToken: Token,
    expiration: new Date(Expiration),
  };
}

type Identity = Pick<KmsProcess, "accountId" | "roleArn">;

const operatorArn = ({ accountId }: Identity): string => `arn:aws:iam::${accountId}:user/operator`;

const administration = (identity: Identity) => ({
  Sid: "AdministerWithoutUsing",
  Effect: "Allow",
  Principal: { AWS: operatorArn(identity) },
  Action: ["kms:DescribeKey", "kms:GetKeyPolicy", "kms:PutKeyPolicy", "kms:CreateAlias"],
  Resource: "*",
});

/** What a key has until the enclave's measurements are known: nobody can use it. */
export const unusedKeyPolicy = (identity: Identity): string =>
  JSON.stringify({ Version: "2012-10-17", Statement: [administration(identity)] });

/**
 * The policy that the product rests on: whoever encrypts cannot decrypt; the role can, but only with the attestation
 * document of the enclave with exactly these PCRs, and only with the tenant in the encryption context.
 */
export function attestedKeyPolicy(identity: Identity, pcrs: Readonly<Record<number, string>>, tenant: string): string {
  const context = { "kms:EncryptionContext:tenant": tenant };
  const measurements = Object.entries(pcrs).map(([index, value]) => [`kms:RecipientAttestation:PCR${index}`, value]);
  const statements = [
    administration(identity),
    {
      Sid: "EncryptForTheTenant",
      Effect: "Allow",
      Principal: { AWS: operatorArn(identity) },
      Action: ["kms:Encrypt", "kms:GenerateDataKey"],
      Resource: "*",
      Condition: { StringEquals: context },
    },
    {
      Sid: "UseInTheEnclaveAlone",
      Effect: "Allow",
      Principal: { AWS: identity.roleArn },
      Action: ["kms:Decrypt", "kms:GenerateDataKey"],
      Resource: "*",
      Condition: { StringEqualsIgnoreCase: Object.fromEntries(measurements), StringEquals: context },
    },
  ];
  return JSON.stringify({ Version: "2012-10-17", Statement: statements });
}

/** A key of the parent's own: no attestation asked for. What a hostile parent would put in another key's place. */
export const parentsOwnKeyPolicy = (identity: Identity): string =>
  JSON.stringify({
    Version: "2012-10-17",
    Statement: [
      administration(identity),
      {
        Sid: "TheParentsOwn",
        Effect: "Allow",
        Principal: { AWS: identity.roleArn },
        Action: ["kms:Decrypt", "kms:GenerateDataKey", "kms:Encrypt"],
        Resource: "*",
      },
    ],
  });
