/** The table of a key store, wherever it is: in DynamoDB or in a folder. */
import { resolve } from "node:path";
import type { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { DeleteItemCommand, DynamoDBServiceException, paginateQuery, paginateScan } from "@aws-sdk/client-dynamodb";
import type { BranchKeyItemKey, JsonItem } from "../../parent/branch-key-folder.js";
import { toJsonItem } from "../../parent/branch-key-store.js";
import type { Io } from "../command.js";
import { CommandFailure } from "../command.js";
import { required } from "../options.js";
import { dynamoClient } from "./dynamo-client.js";
import { folderClient } from "./folder-client.js";
import { FolderTable } from "./folder-table.js";

export interface KeyTable {
  readonly name: string;
  /** For the official BranchKeyStoreNode. */
  readonly client: DynamoDBClient;
  /** The records of one branch key, or of all. @throws CommandFailure, ServiceError ERR_KEY_STORE */
  list(branchKeyId?: string): Promise<readonly JsonItem[]>;
  /** Deletes records, in the order given. @throws CommandFailure */
  delete(keys: readonly BranchKeyItemKey[]): Promise<void>;
}

export const TABLE_OPTIONS = {
  table: { type: "string" },
  folder: { type: "string" },
} as const;

/** Their part of a help text. */
export const TABLE_USAGE = `  --table NAME         the DynamoDB table of the key store; credentials and Region are those of the AWS SDK's
                       configuration (AWS_REGION)
  --folder PATH        a folder that stands for that table: one JSON file for each record, ciphertext only
`;

interface Values {
  readonly table?: string | undefined;
  readonly folder?: string | undefined;
}

/** The table that the options mean. @throws CommandFailure */
export async function keyTableOf(values: Values, io: Io): Promise<KeyTable> {
  const name = required(values.table, "table");
  if (values.folder === undefined) return dynamoTable(await dynamoClient(), name);
  const folder = new FolderTable(resolve(io.cwd, values.folder));
  return {
    name,
    client: folderClient(folder, name),
    list: (branchKeyId) => folder.list(branchKeyId),
    delete: (keys) => folder.delete(keys),
  };
}

/** A table in DynamoDB. */
export function dynamoTable(client: DynamoDBClient, name: string): KeyTable {
  return {
    name,
    client,
    list: (branchKeyId) => saying("list the records of", name, () => listIn(client, name, branchKeyId)),
    delete: (keys) =>
      saying("delete records of", name, async () => {
        for (const { branchKeyId, type } of keys) {
          const Key = { "branch-key-id": { S: branchKeyId }, type: { S: type } };
          await client.send(new DeleteItemCommand({ TableName: name, Key }));
        }
      }),
  };
}

async function listIn(client: DynamoDBClient, TableName: string, branchKeyId?: string): Promise<readonly JsonItem[]> {
  const all = { TableName, ConsistentRead: true };
  const ofOne = {
    KeyConditionExpression: "#id = :id",
    ExpressionAttributeNames: { "#id": "branch-key-id" },
    ExpressionAttributeValues: { ":id": { S: branchKeyId ?? "" } },
  };
  const pages =
    branchKeyId === undefined ? paginateScan({ client }, all) : paginateQuery({ client }, { ...all, ...ofOne });
  const items: JsonItem[] = [];
  for await (const { Items = [] } of pages) items.push(...Items.map(toJsonItem));
  return items;
}

async function saying<T>(what: string, table: string, run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (error) {
    if (!(error instanceof DynamoDBServiceException)) throw error;
    throw new CommandFailure(1, `cannot ${what} the table ${table}: ${error.name}: ${error.message}`, { cause: error });
  }
}
