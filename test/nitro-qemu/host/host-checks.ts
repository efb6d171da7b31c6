/** What the host finds out of an enclave from outside: its heartbeat, its console, its report. */
import { deepEqual, equal, ok } from "node:assert/strict";
import { pcr16OfConfiguration } from "../../../shared/attestation/pcr.js";
import { toHex } from "../../../shared/bytes.js";
import type { EnclaveState } from "../../../shared/enclave-state.js";
import type { Report } from "../../vm/host/report.js";
import { formatResult } from "../../vm/results.js";
import { MODULE_ID } from "../launch.js";
import type { RunResult } from "./machine.js";

export interface HostCheck {
  readonly name: string;
  /** Throws when what it checks does not hold. */
  run(): Promise<void>;
}

/** Runs checks on the host, as part of the report on the guest. */
export async function reportChecks(report: Report, checks: readonly HostCheck[]): Promise<void> {
  for (const { name, run } of checks) {
    const startedAt = performance.now();
    const failure = await run().then(
      () => undefined,
      (error: Error) => error.message.replaceAll(/\s*\n\s*/g, " "),
    );
    const ms = Math.round(performance.now() - startedAt);
    report.line(formatResult({ name, ms, ...(failure === undefined ? {} : { failure }) }));
  }
}

export const heartbeatCheck = ({ heartbeats }: RunResult): HostCheck => ({
  name: "the init's heartbeat, 0xB7, came once",
  run: async () => deepEqual(heartbeats, [0xb7]),
});

/** What the production program left behind, which gets as far as its first document and no further. */
export interface ProductionRun {
  readonly configuration: Uint8Array;
  readonly console: readonly string[];
  readonly states: readonly EnclaveState[];
  readonly result: RunResult;
}

export function productionChecks({ configuration, console, states, result }: ProductionRun): readonly HostCheck[] {
  const logged = console.flatMap(jsonOf);
  return [
    heartbeatCheck(result),
    {
      name: "the production program: measures its configuration into PCR16, of the value that clients pin",
      async run() {
        const line = logged.find(({ message }) => message === "measured the configuration into PCR16");
        const configurationPcr = toHex(await pcr16OfConfiguration(configuration));
        deepEqual([line?.moduleId, line?.configurationPcr], [MODULE_ID, configurationPcr]);
      },
    },
    {
      name: "the production program: does not start on documents that nobody signed, and says so on the console",
      async run() {
        const line = logged.find(({ level }) => level === "error");
        deepEqual([line?.message, line?.code], ["the enclave does not start", "ERR_COSE_ALGORITHM"]);
      },
    },
    {
      name: "the production program: reports it to the parent's services over vsock",
      run: async () => deepEqual(states, [{ state: "failed", code: "ERR_COSE_ALGORITHM" }]),
    },
    {
      name: "the production program: ends with status 1, and the enclave restarts",
      async run() {
        ok(console.includes("init: the program ended with status 1"));
        equal(result.ended, "off");
      },
    },
  ];
}

function jsonOf(line: string): Record<string, unknown>[] {
  try {
    return [JSON.parse(line)];
  } catch {
    return []; // the kernel's, or the init's
  }
}
