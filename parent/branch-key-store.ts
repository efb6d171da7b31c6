/**
 * The parent's end of the enclave's key store: reads one record of a branch key from DynamoDB, with the parent's own
 * credentials, or from a folder. It carries GetItem on the configured table and nothing else: whoever gets into the
 * enclave's place can read what is no secret, and change nothing.
 */
import type { AttributeValue, DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { GetItemCommand } from "@aws-sdk/client-dynamodb";
import { z } from "zod";
import { toBase64 } from "../shared/bytes.js";
import { ServiceError } from "../shared/errors.js";
import { parseJson, parseWith } from "../shared/wire.js";
import type { BranchKeyItemKey, JsonItem } from "./branch-key-folder.js";
import { readItem } from "./branch-key-folder.js";

/** Where records are. `table` is the name that the enclave's configuration has. */
export type BranchKeyStore =
  | { readonly kind: "dynamodb"; readonly client: DynamoDBClient; readonly table: string }
  | { readonly kind: "folder"; readonly path: string; readonly table: string };

const call = z.strictObject({ target: z.string(), body: z.record(z.string(), z.unknown()) });
/** DynamoDB's limits for keys: 2048 and 1024 bytes. */
const key = z.strictObject({
  "branch-key-id": z.strictObject({ S: z.string().min(1).max(2048) }),
  type: z.strictObject({ S: z.string().min(1).max(1024) }),
});
const getItem = z.strictObject({ TableName: z.string(), Key: key, ConsistentRead: z.literal(true) });

/**
 * The answer to the call in `text` (JSON `{target, body}`), as DynamoDB's GetItem has it.
 * @throws ServiceError ERR_MESSAGE_MALFORMED; ERR_NOT_FOUND (another operation or table); ERR_KEY_STORE (the store does not
 *   answer, or refuses).
 */
export async function callKeyStore(
  store: BranchKeyStore,
  text: string,
  deadlineMs: number,
): Promise<{ readonly Item?: JsonItem }> {
  const { target, body } = parseJson(call, text, "ERR_MESSAGE_MALFORMED");
  if (target !== "DynamoDB_20120810.GetItem") {
    throw new ServiceError("ERR_NOT_FOUND", "expected DynamoDB_20120810.GetItem, it is another operation");
  }
  const { TableName, Key } = parseWith(getItem, body, "ERR_MESSAGE_MALFORMED");
  if (TableName !== store.table)
    throw new ServiceError("ERR_NOT_FOUND", "expected the configured table of branch keys");
  const wanted = { branchKeyId: Key["branch-key-id"].S, type: Key.type.S };
  const item = await (store.kind === "folder" ? readItem(store.path, wanted) : getFrom(store, wanted, deadlineMs));
  return item === undefined ? {} : { Item: item };
}

async function getFrom(
  { client, table }: Extract<BranchKeyStore, { kind: "dynamodb" }>,
  { branchKeyId, type }: BranchKeyItemKey,
  deadlineMs: number,
): Promise<JsonItem | undefined> {
  const command = new GetItemCommand({
    TableName: table,
    Key: { "branch-key-id": { S: branchKeyId }, type: { S: type } },
    ConsistentRead: true,
  });
  try {
    const { Item } = await client.send(command, { abortSignal: AbortSignal.timeout(deadlineMs) });
    return Item && toJsonItem(Item);
  } catch (cause) {
    throw new ServiceError("ERR_KEY_STORE", "expected an item of DynamoDB", { cause });
  }
}

/** An item of the SDK in DynamoDB's JSON. Key stores have no attributes but texts, numbers and bytes. */
export const toJsonItem = (item: Readonly<Record<string, AttributeValue>>): JsonItem =>
  Object.fromEntries(
    Object.entries(item).map(([name, value]) => [
      name,
      value.B === undefined ? { ...value } : { B: toBase64(value.B) },
    ]),
  );
