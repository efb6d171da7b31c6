/** `nitro-decrypt rollover plan`: what a rollover would do, and cost. It reads headers, and nothing else. */
import { parseArgs } from "node:util";
import { PRICED_REQUESTS, PRICES } from "../../simulator/cost/prices.js";
import { defineCommand } from "../command.js";
import type { Line } from "../report.js";
import { layOut, print } from "../report.js";
import { formatAmount, formatBytes, listFiles, table } from "./amounts.js";
import { untilInterrupted } from "./interruption.js";
import type { MessageState, Rollover } from "./keys.js";
import { hasRollover, KEY_USAGE, rolloverOf, SOURCE_OPTIONS, SOURCE_USAGE, sourceOf } from "./rollover-options.js";
import type { Survey } from "./survey.js";
import { survey } from "./survey.js";

const usage = `Tells under which keys messages of the AWS Encryption SDK are, and what a rollover to a new key would do with them.
It reads the headers of files, which are in clear, and changes nothing.

Usage: nitro-decrypt rollover plan (--messages FOLDER | --list FILE) [--from KEY … --to KEY] [options]

${SOURCE_USAGE}
${KEY_USAGE}
  --json                the plan as JSON
  --help                this text

Exit code 0, also when files are no messages or cannot be read: the plan tells which.
`;

/** A Decrypt for the old message and a GenerateDataKey for the new one, where no data key is kept in the enclave. */
const CALLS_PER_MESSAGE = 2;
/** Nothing is old, and nothing is new: for a plan that only counts. */
const NO_ROLLOVER: Rollover = { from: [], to: { kind: "key", arn: "" } };

export const plan = defineCommand({
  name: "rollover plan",
  summary: "under which keys messages are, and what a rollover would do and cost",
  usage,
  async execute(argv, io) {
    const { values } = parseArgs({
      args: [...argv],
      options: {
        ...Object.fromEntries(SOURCE_OPTIONS.map((name) => [name, { type: "string", multiple: true } as const])),
        from: { type: "string", multiple: true },
        json: { type: "boolean" },
      },
    });
    const rollover = hasRollover(values) ? await rolloverOf(values, io) : NO_ROLLOVER;
    const found = await untilInterrupted(io, async () => survey(await sourceOf(values, io), rollover, io));
    const report = { ...(rollover === NO_ROLLOVER ? {} : { from: rollover.from, to: rollover.to }), ...planOf(found) };
    print(io, values.json === true, report, () => describe(report, rollover !== NO_ROLLOVER));
    return 0;
  },
});

function planOf({
  lines,
  amounts,
  large,
  uncommitted,
  losingKeys,
  noMessages,
  unreadable,
  skipped,
  temporary,
}: Survey) {
  const kmsCalls = CALLS_PER_MESSAGE * (amounts.toDo.messages - uncommitted.messages);
  return {
    keys: lines,
    ...{ amounts, large, uncommitted, losingKeys, noMessages, unreadable, skipped, temporary },
    ...{ kmsCalls, price: (kmsCalls * PRICES.standard) / PRICED_REQUESTS },
  };
}

const STATES: Readonly<Record<MessageState, string>> = {
  done: "under the new key alone",
  toDo: "to re-encrypt",
  other: "not for an old key",
};

function describe(plan: ReturnType<typeof planOf>, hasKeys: boolean): string {
  const head = ["KEYS", "MESSAGES", "SIZE", ...(hasKeys ? ["ROLLOVER"] : [])];
  const rows = plan.keys.map(({ keys, messages, bytes, state }) => [
    keys.join(" + "),
    String(messages),
    formatBytes(bytes),
    ...(hasKeys ? [STATES[state]] : []),
  ]);
  return [
    table([head, ...rows], [1, 2]),
    "",
    layOut([
      ...(hasKeys ? linesOf(plan) : []),
      ["files that are no messages", String(plan.noMessages.length)],
      ...rest(plan),
    ]),
    ...(plan.unreadable.length > 0 ? ["", "cannot be read:", ...listFiles(plan.unreadable)] : []),
  ].join("\n");
}

const rest = ({ unreadable, skipped, temporary }: ReturnType<typeof planOf>): readonly Line[] => [
  ["unreadable files", String(unreadable.length)],
  ["links and special files, passed over", String(skipped)],
  ...(temporary === 0
    ? []
    : ([["temporary files of a run that is under way or was killed", String(temporary)]] as const)),
];

function linesOf({
  amounts,
  large,
  uncommitted,
  losingKeys,
  kmsCalls,
  price,
}: ReturnType<typeof planOf>): readonly Line[] {
  const where = (amount: typeof large, name: string): readonly Line[] =>
    amount.messages === 0 ? [] : [[name, formatAmount(amount)]];
  return [
    ["to re-encrypt", formatAmount(amounts.toDo)],
    ...where(large, "… too large for a sealed request, need tls://"),
    ...where(uncommitted, "… without key commitment, will be refused"),
    ...where(losingKeys, "… under further keys, which will not open them"),
    ["done already", formatAmount(amounts.done)],
    ["not for an old key", formatAmount(amounts.other)],
    ["KMS calls, at the most", `${kmsCalls}, a Decrypt and a GenerateDataKey for each message`],
    ["price, at the most", `$${price.toFixed(6)}`],
  ];
}
