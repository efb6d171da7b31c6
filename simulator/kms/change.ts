/** What an operation does to the state of the KMS: the one form in which changes are applied, kept and read back. */
import type { Grant } from "./grant.js";
import type { KmsKey } from "./key.js";

/** An alias of one account in one Region (API_AliasListEntry). */
export interface Alias {
  readonly arn: string;
  /** With its prefix `alias/`. */
  readonly name: string;
  readonly accountId: string;
  readonly targetKeyId: string;
  readonly creationDate: Date;
  readonly lastUpdatedDate: Date;
}

/** A record put in place of what had its ARN before, or taken away. */
export type Change = KeyChange | GrantChange;

export type KeyChange =
  | { readonly kind: "key"; readonly key: KmsKey }
  | { readonly kind: "key-gone"; readonly arn: string }
  | { readonly kind: "alias"; readonly alias: Alias }
  | { readonly kind: "alias-gone"; readonly arn: string };

export type GrantChange =
  | { readonly kind: "grant"; readonly grant: Grant }
  | { readonly kind: "grant-gone"; readonly keyArn: string; readonly grantId: string };

/** Where changes are kept, beside memory. */
export interface Persistence {
  /** Takes a change, in order. Never waits. */
  record(change: Change): void;
  /** Resolves when every change that was recorded before is kept; rejects if one could not be. */
  flush(): Promise<void>;
}

/** Keeps nothing: the state ends with the process. */
export const inMemory: Persistence = { record: () => undefined, flush: async () => undefined };
