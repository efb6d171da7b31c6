/**
 * Where the enclave finds the records of branch keys: at its parent, who reads them from DynamoDB or from a folder. It asks
 * in DynamoDB's own words (API_GetItem), with strong consistency, so that a version that was just made is not missed. The
 * parent is not believed: it is KMS that authenticates a record (branch-key-record.ts).
 */
import { z } from "zod";
import { utf8 } from "../../../shared/bytes.js";
import { ServiceError } from "../../../shared/errors.js";
import { parseJson } from "../../../shared/wire.js";
import type { ServicesClient } from "../../kms/services.js";
import type { WantedBranchKey } from "./branch-key-record.js";
import { typeOf } from "./branch-key-record.js";

export interface BranchKeyStorage {
  /**
   * The wanted record as a DynamoDB item in JSON, undefined where the store has none.
   * @throws ServiceError ERR_KEY_STORE (the store does not answer as it should), ERR_TIMEOUT, ERR_BUSY.
   */
  find(wanted: WantedBranchKey, signal: AbortSignal): Promise<unknown>;
}

/** What the parent hands on of DynamoDB's answer. */
const answer = z.strictObject({ Item: z.record(z.string(), z.unknown()).optional() });

/** The parent's end is `POST /dynamodb` of its services. */
export function parentBranchKeyStorage(services: Pick<ServicesClient, "request">, tableName: string): BranchKeyStorage {
  return {
    async find(wanted, signal) {
      const text = await services.request({
        method: "POST",
        path: "/dynamodb",
        body: utf8(JSON.stringify(getItemOf(wanted, tableName))),
        failureCode: "ERR_KEY_STORE",
        signal,
      });
      try {
        return parseJson(answer, text, "ERR_KEY_STORE").Item;
      } catch (cause) {
        throw new ServiceError("ERR_KEY_STORE", "expected an item of DynamoDB, or none", { cause });
      }
    },
  };
}

const getItemOf = (wanted: WantedBranchKey, tableName: string): object => ({
  target: "DynamoDB_20120810.GetItem",
  body: {
    TableName: tableName,
    Key: { "branch-key-id": { S: wanted.branchKeyId }, type: { S: typeOf(wanted) } },
    ConsistentRead: true,
  },
});
