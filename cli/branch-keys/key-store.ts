/** The official key store (BranchKeyStoreNode) over a table, with what makes its failures readable at a terminal. */
import { BranchKeyStoreNode } from "@aws-crypto/branch-keystore-node";
import { DynamoDBServiceException, TransactionCanceledException } from "@aws-sdk/client-dynamodb";
import type { KMSClient } from "@aws-sdk/client-kms";
import { KMSServiceException } from "@aws-sdk/client-kms";
import { CommandFailure } from "../command.js";
import { required } from "../options.js";
import type { KeyTable } from "./key-table.js";
import { TABLE_OPTIONS } from "./key-table.js";

export const STORE_OPTIONS = {
  ...TABLE_OPTIONS,
  id: { type: "string" },
  "kms-key": { type: "string" },
  "logical-name": { type: "string" },
  json: { type: "boolean" },
} as const;

/** Their part of a help text. */
export const STORE_USAGE = `  --id TENANT          the branch key's id: the value of the pair that names the tenant, in messages
  --kms-key ARN        the KMS key under which branch keys are encrypted, by its key ARN
  --logical-name NAME  logicalKeyStoreName of the enclave's configuration; bound to every branch key
`;

interface Values {
  readonly "kms-key"?: string | undefined;
  readonly "logical-name"?: string | undefined;
}

/** What makes a key store, out of options. */
export interface StoreNames {
  readonly kmsArn: string;
  readonly region: string;
  readonly logicalName: string;
}

const KEY_ARN = /^arn:aws[a-z-]*:kms:([a-z0-9-]+):\d{12}:key\/[0-9a-z-]+$/;

export function storeNamesOf(values: Values): StoreNames {
  const kmsArn = required(values["kms-key"], "kms-key");
  const region = KEY_ARN.exec(kmsArn)?.[1];
  if (region === undefined) {
    throw new CommandFailure(2, "--kms-key is a key ARN, arn:aws:kms:REGION:ACCOUNT:key/ID");
  }
  return { kmsArn, region, logicalName: required(values["logical-name"], "logical-name") };
}

export const keyStoreOf = (table: KeyTable, { kmsArn, logicalName }: StoreNames, kmsClient: KMSClient) =>
  new BranchKeyStoreNode({
    logicalKeyStoreName: logicalName,
    storage: { ddbTableName: table.name, ddbClient: table.client },
    keyManagement: { kmsClient },
    kmsConfiguration: { identifier: kmsArn },
  });

/** Runs `run`; what AWS refuses ends the command in AWS's words. @param conflict said when the records are not as expected */
export async function readably<T>(conflict: string, run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (error) {
    if (error instanceof TransactionCanceledException) throw new CommandFailure(1, conflict, { cause: error });
    const service =
      error instanceof KMSServiceException ? "AWS KMS" : error instanceof DynamoDBServiceException ? "DynamoDB" : "";
    if (service === "" || !(error instanceof Error)) throw error;
    throw new CommandFailure(1, `${service} refused: ${error.name}: ${error.message}`, { cause: error });
  }
}
