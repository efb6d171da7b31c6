/** The guest's program: starts what stands for the platform, and runs the checks. */
import { deepEqual, equal, ok } from "node:assert/strict";
import { stat } from "node:fs/promises";
import { createSimulatedRoot } from "../../../simulator/pki/nitro-pki.js";
import { writeRootFile } from "../../../simulator/pki/root-file.js";
import { runChecks, tellStep } from "./checks.js";
import { NsmDevice, RunningEnclave } from "./platform.js";

const ROOT_FILE = "/root/nitro-root.json";
const LAUNCH = {
  pki: ROOT_FILE,
  region: "us-east-1",
  instanceId: "i-0123456789abcdef0",
  roleArn: "arn:aws:iam::111122223333:role/enclave-parent",
};

tellStep("the guest's program runs");
await writeRootFile(ROOT_FILE, await createSimulatedRoot());
const device = await NsmDevice.serve();
tellStep("serves /dev/nsm");

await runChecks([
  {
    name: "/dev/nsm is a character device",
    async run() {
      ok((await stat("/dev/nsm")).isCharacterDevice());
    },
  },
  {
    name: "each boot of an enclave has a module id of its own, and the same measurements",
    async run() {
      const [first, second] = [await device.boot(LAUNCH), await device.boot(LAUNCH)];
      ok(first.moduleId !== second.moduleId);
      deepEqual(first.pcrs, second.pcrs);
    },
  },
  {
    name: "an enclave has no network, no /tmp and no other process",
    async run() {
      const lines: string[] = [];
      await new RunningEnclave((line) => lines.push(line)).ended;
      const { devices, interfaces, tmp, pid, environment } = JSON.parse(lines[0] ?? "");
      deepEqual({ interfaces, tmp, pid }, { interfaces: [], tmp: false, pid: 1 });
      deepEqual(environment, { PATH: "/sbin:/usr/sbin:/bin:/usr/bin", LANG: "C" });
      equal(devices.includes("nsm") && devices.includes("vsock"), true);
    },
  },
]);
process.exit();
