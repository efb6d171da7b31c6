/** The names of files that stand beside a message while its successor is written. */
import { randomBytes } from "node:crypto";
import { basename, dirname, join } from "node:path";

const NAME = /^\.rollover-[0-9a-f]{32}\.tmp$/;

/** A new path in the folder of `path`. */
export const temporaryFor = (path: string): string =>
  join(dirname(path), `.rollover-${randomBytes(16).toString("hex")}.tmp`);

/** Whether a path or a name is one of these. */
export const isTemporary = (path: string): boolean => NAME.test(basename(path));
