/**
 * Serves a simulated NSM as /dev/nsm; a process of its own, because a read of /dev/cuse waits in one of its threads.
 * A message boots the NSM anew, as a hypervisor does for an enclave, or has the driver fail. Each is answered when it is done.
 */
import { readFile } from "node:fs/promises";
import { toHex, utf8 } from "../../../shared/bytes.js";
import type { RamdiskEntries } from "../../../simulator/image.js";
import { bootPcrs, entriesOfFolder, readImage } from "../../../simulator/image.js";
import type { SimulatedNsm } from "../../../simulator/nsm/simulated-nsm.js";
import { bootSimulatedNsm } from "../../../simulator/nsm/simulated-nsm.js";
import { createNitroPki } from "../../../simulator/pki/nitro-pki.js";
import { readRootFile } from "../../../simulator/pki/root-file.js";
import { serveDevice } from "./cuse.js";
import type { NsmFault } from "./nsm-ioctl.js";
import { answerNsmIoctl, failNsmIoctl } from "./nsm-ioctl.js";

export interface NsmLaunch {
  /** The file of the simulated root. */
  readonly pki: string;
  readonly region: string;
  readonly instanceId: string;
  readonly roleArn: string;
}

export interface BootedNsm {
  readonly moduleId: string;
  /** Those that the image and its circumstances set, in hex. */
  readonly pcrs: Readonly<Record<0 | 1 | 2 | 3 | 4 | 8, string>>;
}

export type NsmMessage =
  | { readonly kind: "boot"; readonly launch: NsmLaunch }
  | { readonly kind: "fail"; readonly fault: NsmFault | undefined };

let booted: SimulatedNsm | undefined;
let fault: NsmFault | undefined;

/**
 * The image that is measured: what AWS's init is given to run, and the enclave's program. Not in it: the configuration, which
 * PCR16 measures and which names keys that are yet to be made, and Node, which would take the guest a while to hash.
 */
async function measuredImage() {
  const app = await entriesOfFolder("/enclave/app");
  const program: RamdiskEntries = new Map([...app].filter(([path]) => path !== "enclave.json"));
  const command = await readFile("/etc/enclave-cmd");
  return readImage({
    kernel: utf8(process.version),
    cmdline: "reboot=k panic=30",
    ramdisks: [command, { entries: program }],
  });
}

async function boot({ pki: file, region, instanceId, roleArn }: NsmLaunch): Promise<BootedNsm> {
  const pki = await createNitroPki({ clock: () => new Date(), region, root: await readRootFile(file) });
  const image = await measuredImage();
  const launch = { instanceId, roleArn };
  const pcrs = await bootPcrs(image, launch);
  booted = await bootSimulatedNsm({ pki, image, ...launch });
  const named = [0, 1, 2, 3, 4, 8].map((index) => [index, toHex(pcrs.get(index) ?? new Uint8Array())]);
  return { moduleId: booted.moduleId, pcrs: Object.fromEntries(named) };
}

await serveDevice("nsm", (call) => {
  if (booted === undefined) throw new Error("unreachable: no enclave runs before its NSM was booted");
  return fault === undefined ? answerNsmIoctl(booted, call) : failNsmIoctl(fault, call);
});
process.on("message", async (message: NsmMessage) => {
  if (message.kind === "fail") fault = message.fault;
  process.send?.(message.kind === "boot" ? await boot(message.launch) : "done");
});
process.send?.("serves");
