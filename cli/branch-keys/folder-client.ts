/**
 * A DynamoDBClient over a folder, for the official BranchKeyStoreNode: GetItem, and TransactWriteItems with the two
 * conditions that it makes (a record that there is not yet; an active record that is still the one that was read). Another
 * operation, condition or table is refused as DynamoDB refuses what it does not know.
 */
import { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { z } from "zod";
import { utf8 } from "../../shared/bytes.js";
import { parseJson } from "../../shared/wire.js";
import type { FolderTable } from "./folder-table.js";
import { keyOf } from "./folder-table.js";

const item = z.record(z.string(), z.record(z.string(), z.unknown()));
const put = z.discriminatedUnion("ConditionExpression", [
  z.strictObject({
    TableName: z.string(),
    Item: item,
    ConditionExpression: z.literal("attribute_not_exists(#bkid)"),
    ExpressionAttributeNames: z.strictObject({ "#bkid": z.literal("branch-key-id") }),
  }),
  z.strictObject({
    TableName: z.string(),
    Item: item,
    ConditionExpression: z.literal("attribute_exists(#bkid) AND #enc = :encOld"),
    ExpressionAttributeNames: z.strictObject({ "#bkid": z.literal("branch-key-id"), "#enc": z.literal("enc") }),
    ExpressionAttributeValues: z.strictObject({ ":encOld": z.strictObject({ B: z.string() }) }),
  }),
]);
const transactWriteItems = z.looseObject({
  TransactItems: z
    .array(z.strictObject({ Put: put }))
    .min(1)
    .max(16),
});
const text = z.strictObject({ S: z.string() });
const getItem = z.looseObject({ TableName: z.string(), Key: z.strictObject({ "branch-key-id": text, type: text }) });

type Put = z.infer<typeof put>;

/** How DynamoDB answers. */
interface Answer {
  readonly status: 200 | 400;
  readonly body: object;
}

/** Ends a transaction because of its conditions. */
class Cancelled extends Error {
  readonly reasons: readonly string[];

  constructor(reasons: readonly string[]) {
    super("the transaction's conditions do not hold");
    this.name = "Cancelled";
    this.reasons = reasons;
  }
}

/** A client for the table `name`, which is in the folder. */
export function folderClient(table: FolderTable, name: string): DynamoDBClient {
  const handle = async (request: { headers: Record<string, string>; body: string | Uint8Array }) => {
    const body = typeof request.body === "string" ? request.body : new TextDecoder().decode(request.body);
    const answer = await answerTo(request.headers["x-amz-target"] ?? "", body, table, name);
    const headers = { "content-type": "application/x-amz-json-1.0" };
    return { response: { statusCode: answer.status, headers, body: utf8(JSON.stringify(answer.body)) } };
  };
  return new DynamoDBClient({
    region: "folder",
    endpoint: "https://folder.invalid",
    credentials: { accessKeyId: "", secretAccessKey: "" },
    signer: { sign: async (request) => request },
    requestHandler: { handle, metadata: { handlerProtocol: "http/1.1" } },
    maxAttempts: 1,
  });
}

function answerTo(target: string, body: string, table: FolderTable, name: string): Promise<Answer> {
  if (target === "DynamoDB_20120810.GetItem") return get(body, table, name);
  if (target === "DynamoDB_20120810.TransactWriteItems") return transact(body, table, name);
  throw new TypeError(`folderClient: ${target} is not among the operations of a key store`);
}

async function get(body: string, table: FolderTable, name: string): Promise<Answer> {
  const { TableName, Key } = parseJson(getItem, body, "ERR_MESSAGE_MALFORMED");
  if (TableName !== name) return noSuchTable;
  const found = await table.get({ branchKeyId: Key["branch-key-id"].S, type: Key.type.S });
  return { status: 200, body: found === undefined ? {} : { Item: found } };
}

async function transact(body: string, table: FolderTable, name: string): Promise<Answer> {
  const puts = parseJson(transactWriteItems, body, "ERR_MESSAGE_MALFORMED").TransactItems.map(({ Put }) => Put);
  if (puts.some(({ TableName }) => TableName !== name)) return noSuchTable;
  try {
    await table.write(
      puts.map(({ Item }) => Item),
      () => assertConditions(puts, table),
    );
    return { status: 200, body: {} };
  } catch (error) {
    if (error instanceof Cancelled) return cancelled(error.reasons);
    throw error;
  }
}

async function assertConditions(puts: readonly Put[], table: FolderTable): Promise<void> {
  const reasons: string[] = [];
  for (const one of puts) reasons.push((await holds(one, table)) ? "None" : "ConditionalCheckFailed");
  if (reasons.some((reason) => reason !== "None")) throw new Cancelled(reasons);
}

async function holds(one: Put, table: FolderTable): Promise<boolean> {
  const present = await table.get(keyOf(one.Item));
  if (one.ConditionExpression === "attribute_not_exists(#bkid)") return present === undefined;
  return present !== undefined && present.enc?.B === one.ExpressionAttributeValues[":encOld"].B;
}

const refusal = (name: string, message: string): object => ({
  __type: `com.amazonaws.dynamodb.v20120810#${name}`,
  message,
});

const noSuchTable: Answer = { status: 400, body: refusal("ResourceNotFoundException", "Requested resource not found") };

/** API_TransactWriteItems, "Errors". */
function cancelled(reasons: readonly string[]): Answer {
  const message = `Transaction cancelled, please refer cancellation reasons for specific reasons [${reasons.join(", ")}]`;
  const codes = { CancellationReasons: reasons.map((Code) => ({ Code })) };
  return { status: 400, body: { ...refusal("TransactionCanceledException", message), ...codes } };
}
