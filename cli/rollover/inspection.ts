/** What a rollover finds in one file: a message and the keys that it is under, or why it is none. Reads the header alone. */
import type { BigIntStats } from "node:fs";
import type { FileHandle } from "node:fs/promises";
import { ServiceError } from "../../shared/errors.js";
import type { MessageHeader } from "../../shared/esdk/header.js";
import { headerOf, withFile } from "../message-header.js";
import type { Failure } from "./failure.js";
import { failureOf, fileFailure } from "./failure.js";
import type { MessageState, Rollover } from "./keys.js";
import { keyNamesOf, stateOf } from "./keys.js";
import type { FoundFile } from "./messages-on-disk.js";

/** What tells whether a file is still the one that was looked at (stat(2)). */
export type FileIdentity = Pick<BigIntStats, "dev" | "ino" | "size" | "mtimeNs" | "ctimeNs">;

export interface InspectedMessage {
  readonly kind: "message";
  readonly path: string;
  readonly bytes: number;
  readonly keys: readonly string[];
  readonly state: MessageState;
  readonly header: MessageHeader;
  /** As it was before the header was read. */
  readonly stats: BigIntStats;
}

export type Inspected =
  | InspectedMessage
  | { readonly kind: "noMessage" | "unreadable"; readonly path: string; readonly failure: Failure }
  | { readonly kind: "skipped" | "temporary"; readonly path: string };

/** Looks at one file. What is wrong with it is an answer. */
export async function inspect({ path, kind }: FoundFile, rollover: Rollover): Promise<Inspected> {
  if (kind !== "file") return { kind: kind === "temporary" ? kind : "skipped", path };
  try {
    return await withFile(path, (file) => inspectOpen(file, path, rollover));
  } catch (error) {
    const isMalformed = error instanceof ServiceError && error.code === "ERR_MESSAGE_MALFORMED";
    const failure = failureOf(fileFailure("FILE_UNREADABLE", error));
    return { kind: isMalformed ? "noMessage" : "unreadable", path, failure };
  }
}

/** As `inspect`, of a file that is open. @throws what reading throws */
export async function inspectOpen(file: FileHandle, path: string, rollover: Rollover): Promise<Inspected> {
  const stats = await file.stat({ bigint: true });
  if (!stats.isFile()) return { kind: "skipped", path };
  const header = await headerOf(file);
  const keys = keyNamesOf(header);
  return { kind: "message", path, bytes: Number(stats.size), keys, state: stateOf(keys, rollover), header, stats };
}

export const isUnchanged = (a: FileIdentity, b: FileIdentity): boolean =>
  a.dev === b.dev && a.ino === b.ino && a.size === b.size && a.mtimeNs === b.mtimeNs && a.ctimeNs === b.ctimeNs;
