/** `nitro-decrypt kms faults`: shows or changes what goes wrong in a simulated KMS that runs. */
import { z } from "zod";
import { CONTROL_SERVICE, CONTROL_TARGET_PREFIX } from "../../simulator/control/control-service.js";
import type { FaultPlan } from "../../simulator/endpoint/faults.js";
import { faultPlan } from "../../simulator/endpoint/faults.js";
import type { Io } from "../command.js";
import { CommandFailure, defineCommand } from "../command.js";
import { parseOptions } from "../options.js";
import type { Connection } from "./connection.js";
import { call, readConnection } from "./connection.js";
import { readJsonFile } from "./json-file.js";

const usage = `Shows what goes wrong in a simulated KMS that runs, or changes it. A change counts from its start.

Usage: nitro-decrypt kms faults --folder FOLDER [--set FILE | --clear]

  --folder FOLDER   the --folder of the running "nitro-decrypt kms"
  --set FILE        put this plan in force
  --clear           nothing goes wrong any more
  --json            the plan as JSON
  --help            this text

A plan is JSON. Each fault may be limited to "operations" and "regions", to a share of the calls ("rate", 1 if left out,
exact: 0.25 is every fourth call) and to a number of "times":

  {
    "clockOffsetSeconds": 600,
    "faults": [
      { "fault": "ThrottlingException", "operations": ["Decrypt"], "rate": 0.25 },
      { "fault": "KMSInternalException", "times": 3 },
      { "fault": "DependencyTimeoutException" },
      { "fault": "latency", "milliseconds": 200 },
      { "fault": "connection-reset", "rate": 0.1 },
      { "fault": "region-down", "regions": ["eu-west-1"] }
    ]
  }
`;

const OPTIONS = {
  folder: { type: "string" },
  set: { type: "string" },
  clear: { type: "boolean" },
  json: { type: "boolean" },
} as const;

export const faults = defineCommand({
  name: "kms faults",
  summary: "what goes wrong in a simulated KMS that runs",
  usage,
  async execute(argv, io) {
    const options = parseOptions(argv, OPTIONS);
    if (options.set !== undefined && options.clear) throw new CommandFailure(2, "--set and --clear exclude each other");
    const connection = await readConnection(options.folder, io);
    const wanted = options.clear
      ? {}
      : options.set === undefined
        ? undefined
        : await readPlan("--set", options.set, io);
    const plan = await exchange(connection, wanted, io);
    io.stdout(options.json ? `${JSON.stringify(plan)}\n` : describe(plan));
    return 0;
  },
});

/** Puts `wanted` in force if there is one. Returns the plan in force. */
async function exchange(connection: Connection, wanted: z.input<typeof faultPlan> | undefined, io: Io) {
  const target = `${CONTROL_TARGET_PREFIX}${wanted === undefined ? "GetFaults" : "SetFaults"}`;
  return faultPlan.parse(await call(connection, { service: CONTROL_SERVICE, target }, wanted ?? {}, io));
}

/** The plan in the file that an option names. */
export async function readPlan(option: string, file: string, io: Io): Promise<FaultPlan> {
  const parsed = faultPlan.safeParse(await readJsonFile(option, file, io));
  if (parsed.success) return parsed.data;
  throw new CommandFailure(1, `${file} is no fault plan:\n${z.prettifyError(parsed.error)}`);
}

function describe({ faults: list, clockOffsetSeconds }: FaultPlan): string {
  const lines = list.map((one) => {
    const rate = "rate" in one && one.rate < 1 ? [`${one.rate * 100} % of the calls`] : [];
    const times = "times" in one && one.times !== undefined ? [`at most ${one.times} times`] : [];
    const wait = one.fault === "latency" ? [`${one.milliseconds} ms`] : [];
    const operations = "operations" in one && one.operations !== undefined ? [one.operations.join(", ")] : [];
    const scope = [...wait, ...rate, ...times, ...operations, ...(one.regions ?? [])];
    return `  ${one.fault.padEnd(26)}  ${scope.join("; ") || "every call"}\n`;
  });
  const clock = clockOffsetSeconds === 0 ? "" : `  ${"clock".padEnd(26)}  ${clockOffsetSeconds} s\n`;
  return lines.length === 0 && clock === "" ? "Nothing goes wrong.\n" : `What goes wrong:\n${lines.join("")}${clock}`;
}
