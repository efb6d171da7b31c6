/** A branch key for each tenant, made as their owner makes them: by the official key store, here over a folder of the parent's. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { KMSClient } from "@aws-sdk/client-kms";
import { folderClient } from "../../cli/branch-keys/folder-client.js";
import { FolderTable } from "../../cli/branch-keys/folder-table.js";
import { keyStoreOf } from "../../cli/branch-keys/key-store.js";
import { dynamoTable } from "../../cli/branch-keys/key-table.js";
import type { ServicesClient } from "../../enclave/kms/services.js";
import { callKeyStore } from "../../parent/branch-key-store.js";

const TABLE = "branch-keys";
const LOGICAL_NAME = "tenants";
const DEADLINE_MS = 10_000;

/** The key that branch keys are under, and who administers it. */
export interface KeyOwner {
  readonly keyArn: string;
  readonly region: string;
  readonly operator: KMSClient;
}

export interface TenantKeys {
  /** What the configuration's `messages.dataKeys` says of them. */
  readonly settings: { readonly keyId: string; readonly logicalKeyStoreName: string; readonly tableName: string };
  /** The parent's services, as far as the enclave asks them for records of branch keys. */
  readonly services: Pick<ServicesClient, "request">;
  close(): Promise<void>;
}

/** Makes a branch key for each tenant. */
export async function createBranchKeys(owner: KeyOwner, tenants: readonly string[]): Promise<TenantKeys> {
  const path = await mkdtemp(join(tmpdir(), "nitro-decrypt-branch-keys-"));
  const client = folderClient(new FolderTable(path), TABLE);
  const { keyArn, region, operator } = owner;
  const names = { kmsArn: keyArn, region, logicalName: LOGICAL_NAME };
  const keyStore = keyStoreOf(dynamoTable(client, TABLE), names, operator);
  for (const tenant of tenants) {
    await keyStore.createKey({ branchKeyIdentifier: tenant, encryptionContext: { tenant } });
  }
  const store = { kind: "folder", path, table: TABLE } as const;
  return {
    settings: { keyId: keyArn, logicalKeyStoreName: LOGICAL_NAME, tableName: TABLE },
    services: {
      request: async ({ body }) =>
        JSON.stringify(await callKeyStore(store, Buffer.from(body ?? "").toString(), DEADLINE_MS)),
    },
    close: () => rm(path, { recursive: true, force: true }),
  };
}
