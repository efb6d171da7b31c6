/** `nitro-decrypt kms cost`: what the calls of a simulated KMS, and its keys, would cost at AWS. */
import { resolve } from "node:path";
import { START } from "../../simulator/cloudtrail/audit-segments.js";
import { CONTROL_SERVICE, CONTROL_TARGET_PREFIX } from "../../simulator/control/control-service.js";
import type { CostLine, CostReport } from "../../simulator/cost/cost-meter.js";
import { CostMeter } from "../../simulator/cost/cost-meter.js";
import { KEY_MONTH_PRICE, PRICED_REQUESTS, PRICES } from "../../simulator/cost/prices.js";
import { auditFolderOf } from "../../simulator/endpoint/state.js";
import { readKeysAtRest } from "../../simulator/kms/data-folder.js";
import type { Io } from "../command.js";
import { CommandFailure, defineCommand } from "../command.js";
import { parseOptions } from "../options.js";
import { layOut, print, printable } from "../report.js";
import { parseSince } from "./audit.js";
import { recordsIn } from "./audit-source.js";
import { call, readConnection } from "./connection.js";
import { dataFailure } from "./data-options.js";

const usage = `Tells what the calls of a simulated KMS would have cost at AWS, by key and operation, and what its keys cost a month.

Usage: nitro-decrypt kms cost (--data FOLDER [--since WHEN] | --folder FOLDER) [--json]

  --data FOLDER    the --data of a KMS that runs or has run: all calls whose records are kept
  --folder FOLDER  the --folder of a KMS that runs: all calls since its start
  --since WHEN     only calls from then on; a span like 15m, 12h or 7d before now, or a time like 2026-11-23T10:00:00Z
  --json           the report as JSON
  --help           this text

Prices are those of AWS's public list for us-east-1 (https://aws.amazon.com/kms/pricing/), in US dollars:
${Object.entries(PRICES)
  .map(([name, price]) => `  ${name.padEnd(18)} ${dollars(price, 2).padStart(7)} for ${PRICED_REQUESTS} requests`)
  .join("\n")}
  ${"a key".padEnd(18)} ${dollars(KEY_MONTH_PRICE, 2).padStart(7)} a month, and as much for its first and its second rotation
Calls that were refused or failed are counted and cost nothing here. Taxes and AWS's other services are not in it.
`;

const OPTIONS = {
  data: { type: "string" },
  folder: { type: "string" },
  since: { type: "string" },
  json: { type: "boolean" },
} as const;

export const cost = defineCommand({
  name: "kms cost",
  summary: "what the calls and keys of a simulated KMS would cost at AWS",
  usage,
  async execute(argv, io) {
    const { data, folder, since, json = false } = parseOptions(argv, OPTIONS);
    if ((data === undefined) === (folder === undefined)) {
      throw new CommandFailure(2, "one of --data and --folder is required: the one that the KMS was started with");
    }
    if (folder !== undefined && since !== undefined) throw new CommandFailure(2, "--since belongs to --data");
    const begin = since === undefined ? undefined : parseSince(since, io.now());
    const report = data === undefined ? await askServer(folder, io) : await readFolder(resolve(io.cwd, data), begin);
    print(io, json, report, () => describe(report));
    return 0;
  },
});

async function askServer(folder: string | undefined, io: Io): Promise<CostReport> {
  const connection = await readConnection(folder, io);
  const operation = { service: CONTROL_SERVICE, target: `${CONTROL_TARGET_PREFIX}GetCost` };
  return (await call(connection, operation, {}, io)) as CostReport;
}

async function readFolder(folder: string, since: Date | undefined): Promise<CostReport> {
  const keys = await readKeysAtRest(folder).catch((error: unknown) => {
    throw dataFailure(error, folder);
  });
  const meter = new CostMeter();
  for await (const { record } of recordsIn(auditFolderOf(folder), START)) {
    if (since === undefined || Date.parse(record.eventTime) >= since.getTime()) {
      meter.add(record, (arn) => keys.get(arn)?.keySpec);
    }
  }
  return meter.report(keys.values());
}

function describe({ lines, calls, failedCalls, price, priceAfterFreeTier, keys }: CostReport): string {
  const rows = [
    ["KEY", "OPERATION", "PRICE CLASS", "CALLS", "FAILED", "PRICE"],
    ...lines.map(cellsOf),
    ["all", "", "", String(calls), String(failedCalls), dollars(price, 6)],
  ];
  const widths = [0, 1, 2, 3, 4, 5].map((column) => Math.max(...rows.map((cells) => cells[column]?.length ?? 0)));
  const table = rows.map((cells) =>
    cells
      .map((cell, column) => (column < 3 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0)))
      .join("  "),
  );
  return [
    ...table,
    "",
    layOut([
      ["calls after the free tier of each month", dollars(priceAfterFreeTier, 6)],
      [`keys (${keys.count}) and rotations (${keys.rotations}), a month`, dollars(keys.pricePerMonth, 2)],
    ]),
  ].join("\n");
}

const cellsOf = ({ key, operation, priceClass, calls, failedCalls, price }: CostLine): readonly string[] => [
  printable(key === undefined ? "-" : key.slice(key.indexOf(":key/") + 5)),
  printable(operation),
  priceClass,
  String(calls),
  String(failedCalls),
  dollars(price, 6),
];

function dollars(amount: number, digits: number): string {
  return `$${amount.toFixed(digits)}`;
}
