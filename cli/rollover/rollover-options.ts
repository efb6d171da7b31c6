/** The options that say which messages a rollover is about, and from which keys to which. */
import { realpath } from "node:fs/promises";
import { resolve, sep } from "node:path";
import { parseConfiguration } from "../../enclave/configuration.js";
import { regionOfKeyArn } from "../../enclave/kms/pinned-keys.js";
import type { Io } from "../command.js";
import { CommandFailure } from "../command.js";
import { readInput } from "../input.js";
import type { OptionValues } from "../option-values.js";
import { optionValue } from "../option-values.js";
import { systemFailure } from "../system-failure.js";
import type { Rollover, Target } from "./keys.js";
import { isKeyName, isOld } from "./keys.js";
import type { Source } from "./messages-on-disk.js";

export const SOURCE_USAGE = `  --messages FOLDER     all messages in the folder and below; symbolic links are not followed
  --list FILE           instead: the files that it lists, one path a line, relative to its folder`;

export const KEY_USAGE = `  --from KEY            an old key, as the ARN in the messages (of an alias: the ARN of its old target), or branch-key/ID;
                        may be given several times. Related multi-Region keys count as one
  --to KEY              the new key: its ARN, with --config also an alias, or branch-keys
  --config FILE         the enclave's configuration, which says what an alias means`;

export const SOURCE_OPTIONS = ["messages", "list", "to", "config"] as const;

const MAX_CONFIGURATION_BYTES = 1024 * 1024;

/** What the enclave is asked for, and what its answers are held against. */
export interface WantedRollover extends Rollover {
  readonly keyIds: readonly string[] | undefined;
}

/** @throws CommandFailure unless exactly one source is given, and is there */
export async function sourceOf(values: OptionValues, io: Io): Promise<Source> {
  const [folder, list] = [optionValue(values, "messages"), optionValue(values, "list")];
  const path = folder ?? list;
  if (path === undefined || (folder !== undefined && list !== undefined)) {
    throw new CommandFailure(2, "one of --messages FOLDER and --list FILE is required");
  }
  const option = folder === undefined ? "--list" : "--messages";
  const real = await realpath(resolve(io.cwd, path)).catch((error: unknown) => {
    throw systemFailure(`${option} ${path}`, error);
  });
  return { kind: folder === undefined ? "list" : "folder", path: real };
}

/** Whether any option says from which keys to which. */
export const hasRollover = (values: OptionValues): boolean =>
  values.from !== undefined || optionValue(values, "to") !== undefined;

/** @throws CommandFailure, ServiceError ERR_CONFIGURATION, ERR_KMS_KEY */
export async function rolloverOf(values: OptionValues, io: Io): Promise<WantedRollover> {
  const from = [values.from ?? []].flat().map(String);
  const to = optionValue(values, "to");
  if (from.length === 0 || to === undefined) throw new CommandFailure(2, "--from and --to are required");
  for (const name of from) {
    if (isKeyName(name)) continue;
    throw new CommandFailure(2, `--from expects the ARN of a KMS key or branch-key/ID; got "${name}"`);
  }
  const wanted = { from, ...(await targetOf(to, optionValue(values, "config"), io)) };
  if (wanted.to.kind === "key" && isOld(wanted.to.arn, wanted)) {
    throw new CommandFailure(2, "--to is the same key as one of --from: there is nothing to roll over");
  }
  if (wanted.to.kind === "branchKeys" && from.some((name) => name.startsWith("branch-key/"))) {
    throw new CommandFailure(
      2,
      "--to branch-keys is for messages under KMS keys: headers do not tell old and new branch keys apart",
    );
  }
  return wanted;
}

interface WantedTarget {
  readonly to: Target;
  readonly keyIds: readonly string[] | undefined;
}

async function targetOf(to: string, config: string | undefined, io: Io): Promise<WantedTarget> {
  const configuration =
    config === undefined ? undefined : parseConfiguration(await readInput(config, io, MAX_CONFIGURATION_BYTES));
  if (to === "branch-keys") {
    const dataKeys = configuration?.messages.dataKeys;
    return { to: { kind: "branchKeys" }, keyIds: dataKeys?.kind === "branchKeys" ? [dataKeys.keyId] : undefined };
  }
  const arn = configuration === undefined ? to : configuration.keys.resolve(to).arn;
  if (regionOfKeyArn(arn) !== undefined) return { to: { kind: "key", arn }, keyIds: [arn] };
  throw new CommandFailure(
    2,
    `--to expects a key ARN or branch-keys; got "${to}". What an alias means to the enclave stands in its configuration: ` +
      "give that with --config",
  );
}

/** The state folder. What is in it must not be taken for messages. @throws CommandFailure */
export function stateFolderOf(values: OptionValues, source: Source, io: Io): string {
  const state = resolve(io.cwd, optionValue(values, "state") ?? "");
  if (source.kind === "folder" && `${state}${sep}`.startsWith(`${source.path}${sep}`)) {
    throw new CommandFailure(2, "--state is within --messages; give a folder elsewhere");
  }
  return state;
}
