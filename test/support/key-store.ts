/** Key stores of branch keys: in a folder, and in an embedded DynamoDB (dynalite, which has no TransactWriteItems). */
import type { Server } from "node:http";
import { createRequire } from "node:module";
import { BranchKeyStoreNode } from "@aws-crypto/branch-keystore-node";
import { KmsHierarchicalKeyRingNode } from "@aws-crypto/kms-keyring-node";
import { CreateTableCommand, DynamoDBClient, PutItemCommand } from "@aws-sdk/client-dynamodb";
import type { KMSClient } from "@aws-sdk/client-kms";
import { onTestFinished } from "vitest";
import { folderClient } from "../../cli/branch-keys/folder-client.js";
import { FolderTable } from "../../cli/branch-keys/folder-table.js";
import type { JsonItem } from "../../parent/branch-key-folder.js";
import { testFolder } from "./folder.js";

export const TABLE = "branch-keys";
export const LOGICAL_NAME = "tenants-keys";

export interface TestKeyStore {
  readonly path: string;
  readonly folder: FolderTable;
  readonly client: DynamoDBClient;
}

/** An empty key store in a folder of its own. */
export function folderKeyStore(): TestKeyStore {
  const path = testFolder();
  const folder = new FolderTable(path);
  return { path, folder, client: folderClient(folder, TABLE) };
}

export interface OfficialOptions {
  readonly client: DynamoDBClient;
  readonly kmsClient: KMSClient;
  readonly keyArn: string;
  readonly logicalName?: string;
}

/** The official key store over a table. */
export const officialKeyStore = ({ client, kmsClient, keyArn, logicalName = LOGICAL_NAME }: OfficialOptions) =>
  new BranchKeyStoreNode({
    logicalKeyStoreName: logicalName,
    storage: { ddbTableName: TABLE, ddbClient: client },
    keyManagement: { kmsClient },
    kmsConfiguration: { identifier: keyArn },
  });

/** The official keyring with the official key store and cache, for one branch key. */
export const officialKeyring = (keyStore: BranchKeyStoreNode, branchKeyId: string): KmsHierarchicalKeyRingNode =>
  new KmsHierarchicalKeyRingNode({ branchKeyId, keyStore, cacheLimitTtl: 60, utf8Sorting: true });

/** Makes a branch key for each tenant, as the official key store does. */
export async function makeBranchKeys(options: OfficialOptions, ...tenants: readonly string[]): Promise<void> {
  for (const tenant of tenants) {
    await officialKeyStore(options).createKey({ branchKeyIdentifier: tenant, encryptionContext: { tenant } });
  }
}

/** An embedded DynamoDB with an empty table, until the test is over. */
export async function startDynalite(): Promise<DynamoDBClient> {
  const dynalite: (options: { createTableMs: number }) => Server = createRequire(import.meta.url)("dynalite");
  const server = dynalite({ createTableMs: 0 });
  await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new TypeError("startDynalite: not a TCP server");
  const client = new DynamoDBClient({
    region: "us-east-1",
    endpoint: `http://127.0.0.1:${address.port}`,
    credentials: { accessKeyId: "AKIDEXAMPLE", secretAccessKey: "secret" },
    maxAttempts: 1,
  });
  onTestFinished(async () => {
    client.destroy();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  await createTable(client);
  return client;
}

/** The table of the AWS Encryption SDK's key stores (developer guide, "Create branch keys"). */
const createTable = (client: DynamoDBClient) =>
  client.send(
    new CreateTableCommand({
      TableName: TABLE,
      AttributeDefinitions: ["branch-key-id", "type"].map((AttributeName) => ({ AttributeName, AttributeType: "S" })),
      KeySchema: [
        { AttributeName: "branch-key-id", KeyType: "HASH" },
        { AttributeName: "type", KeyType: "RANGE" },
      ],
      ProvisionedThroughput: { ReadCapacityUnits: 1, WriteCapacityUnits: 1 },
    }),
  );

/** Puts records into the table as they are. */
export async function putItems(client: DynamoDBClient, items: readonly JsonItem[]): Promise<void> {
  for (const item of items) {
    const attributes = Object.entries(item).map(([name, { S, N, B }]) => {
      if (B !== undefined) return [name, { B: new Uint8Array(Buffer.from(String(B), "base64")) }] as const;
      return [name, N === undefined ? { S: String(S) } : { N: String(N) }] as const;
    });
    await client.send(new PutItemCommand({ TableName: TABLE, Item: Object.fromEntries(attributes) }));
  }
}
