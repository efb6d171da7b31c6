/** How an enclave comes up: heartbeat, measurement, randomness, clock, root given up; and how it says that it cannot. */
import { deepEqual, equal, match, ok } from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readdir, readFile } from "node:fs/promises";
import { systemClock } from "../../../../enclave/clock.js";
import { openNsmDevice } from "../../../../enclave/machine/nsm-device.js";
import { UNPRIVILEGED } from "../../../../enclave/machine/privileges.js";
import { NsmClient } from "../../../../enclave/nsm.js";
import { pcr16OfConfiguration } from "../../../../shared/attestation/pcr.js";
import { verifyAttestation } from "../../../../shared/attestation/verify.js";
import { fromBase64, toBase64Url, toHex, utf8 } from "../../../../shared/bytes.js";
import { ENCLAVE_ARGUMENTS } from "../../addresses.js";
import type { Check } from "../checks.js";
import { fetchOnce } from "../fetch.js";
import { RunningEnclave } from "../platform.js";
import { commandOf } from "../processes.js";
import type { Stage } from "../stage.js";
import { API_URL, failureOf } from "../stage.js";

export const heartbeatChecks: readonly Check[] = [
  {
    name: "an enclave whose heartbeat comes back wrong does not boot",
    run: async () => equal(await RunningEnclave.bootAgainst((heartbeat) => Uint8Array.of(heartbeat ^ 1)), 1),
  },
  {
    name: "an enclave whose heartbeat does not come back does not boot",
    run: async () => equal(await RunningEnclave.bootAgainst(() => new Uint8Array()), 1),
  },
];

export const bootChecks = (stage: Stage): Check[] => [
  {
    name: "the image boots after its heartbeat, and tells the parent over vsock that it serves",
    deadlineMs: 60_000,
    async run(signal) {
      const { nsm, configurationPcr } = await stage.bootEnclave(stage.configuration, signal);
      equal(configurationPcr, toHex(await pcr16OfConfiguration(stage.configuration)));
      await stage.openKey(nsm);
      match(
        await (await fetchOnce(`${API_URL}/metrics`, { signal })).text(),
        /nitro_parent_enclave_up\{enclave="1"\} 1/,
      );
    },
  },
  {
    name: "health over vsock: 1024 bytes of the NSM seeded and credited, the clock set, root given up",
    async run(signal) {
      const { status, enclaves } = (await (await fetchOnce(`${API_URL}/healthz`, { signal })).json()) as Health;
      const { machine, nsm } = enclaves["1"]?.health ?? {};
      deepEqual({ status, nsm }, { status: "ok", nsm: "ok" });
      const randomness = { seededBytes: 1_024, credited: true, hardwareGenerator: null };
      deepEqual(machine, { randomness, clockSet: true, uid: UNPRIVILEGED.uid });
    },
  },
  {
    name: "the enclave's process has init's environment, and neither it nor its memory is anybody else's to read",
    async run() {
      const { pid } = stage.serving.enclave;
      equal(await readFile(`/proc/${pid}/environ`, "utf8"), "PATH=/sbin:/usr/sbin:/bin:/usr/bin\0");
      deepEqual(await commandOf(pid), [
        ...["/usr/local/bin/node", "--max-semi-space-size=8", "/app/enclave.mjs"],
        ...ENCLAVE_ARGUMENTS,
      ]);
      match(await readFile(`/proc/${pid}/status`, "utf8"), /^Uid:\t65532\t65532\t65532\t65532$/m);
      for (const uid of [UNPRIVILEGED.uid, UNPRIVILEGED.uid - 1]) {
        for (const file of ["mem", "environ"]) {
          match(readAs(uid, `/proc/${pid}/${file}`), /Permission denied/, `${file} as ${uid}`);
        }
        equal(readAs(uid, "/proc/self/environ"), "", "they could read their own");
      }
    },
  },
  {
    name: "the enclave has no network, no /tmp and no other process",
    async run() {
      const { pid } = stage.serving.enclave;
      const interfaces = (await readFile(`/proc/${pid}/net/dev`, "utf8")).match(/^\s*\w+(?=:)/gm) ?? [];
      deepEqual(
        interfaces.map((name) => name.trim()),
        ["lo"],
      );
      match(await readFile(`/proc/${pid}/status`, "utf8"), new RegExp(`^NSpid:\t${pid}\t1$`, "m"));
      deepEqual((await readdir(`/proc/${pid}/root`)).sort(), [
        "app",
        "dev",
        "etc",
        "lib",
        "lib64",
        "proc",
        "sys",
        "usr",
      ]);
    },
  },
  {
    name: "PCR16 is locked and cannot be extended",
    async run() {
      const device = openNsmDevice();
      const nsm = new NsmClient(device, systemClock);
      const { lock, data } = await nsm.describePcr(16);
      deepEqual({ lock, data: toHex(data) }, { lock: true, data: stage.serving.configurationPcr });
      const { code, error } = await failureOf(nsm.extendPcr(16, utf8("more")));
      equal(code, "ERR_NSM");
      match(String(error), /ReadOnlyIndex/);
      await device.close();
    },
  },
  {
    name: "its attestation comes through the parent, under the simulated root, with the PCRs of its boot",
    async run(signal) {
      const nonce = crypto.getRandomValues(new Uint8Array(32));
      const answer = await fetchOnce(`${API_URL}/attestation?nonce=${toBase64Url(nonce)}`, { signal });
      const { document } = (await answer.json()) as { document: string };
      const { trustAnchor } = stage.simulation;
      const verified = await verifyAttestation(fromBase64(document) ?? new Uint8Array(), {
        trustAnchor,
        now: new Date(),
      });
      deepEqual(verified.nonce, nonce);
      equal(verified.moduleId, stage.serving.nsm.moduleId);
      const pcrs = Object.fromEntries([...verified.pcrs].map(([index, value]) => [index, toHex(value)]));
      const booted = stage.serving.nsm.pcrs;
      for (const index of [0, 1, 2, 3, 4, 8] as const) equal(pcrs[index], booted[index], `PCR${index}`);
      ok(new Set([0, 1, 2].map((index) => pcrs[index])).size === 3 && !/^0+$/.test(pcrs[0] ?? ""));
      equal(pcrs[16], toHex(await pcr16OfConfiguration(stage.configuration)));
    },
  },
];

export const failedBootChecks = (stage: Stage): Check[] => [
  {
    name: "with a bad configuration the program tells the parent ERR_CONFIGURATION, and ends with status 1",
    deadlineMs: 60_000,
    async run(signal) {
      const start = stage.parentLog.length;
      const { enclave } = await stage.startEnclave(utf8('{"version":2}'), signal);
      const told = JSON.parse(await stage.parentLog.find('"an enclave does not start"', start, signal));
      deepEqual([told.enclave, told.state, told.code], ["1", "failed", "ERR_CONFIGURATION"]);
      equal(await enclave.ended, 1);
    },
  },
];

interface Health {
  readonly status: string;
  readonly enclaves: Readonly<
    Record<string, { readonly health: { readonly machine: unknown; readonly nsm: unknown } }>
  >;
}

/** What another user is told who reads a file: nothing where it succeeds. */
function readAs(uid: number, path: string): string {
  const { stderr, error } = spawnSync("/bin/busybox", ["head", "-c", "1", path], { uid, gid: uid, encoding: "utf8" });
  if (error) throw error;
  return stderr;
}
