/**
 * Serves a simulated NSM as /dev/nsm; a process of its own, because a read of /dev/cuse waits in one of its threads.
 * Each message (`NsmLaunch`) boots the NSM anew, as a hypervisor does for an enclave, and is answered with a `BootedNsm`.
 */

import { installedImageFiles, packImage } from "../../../cli/image.js";
import { toHex } from "../../../shared/bytes.js";
import { bootPcrs } from "../../../simulator/image.js";
import type { SimulatedNsm } from "../../../simulator/nsm/simulated-nsm.js";
import { bootSimulatedNsm } from "../../../simulator/nsm/simulated-nsm.js";
import { createNitroPki } from "../../../simulator/pki/nitro-pki.js";
import { readRootFile } from "../../../simulator/pki/root-file.js";
import { serveDevice } from "./cuse.js";
import { answerNsmIoctl } from "./nsm-ioctl.js";

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
  readonly pcrs: Readonly<Record<number, string>>;
}

let booted: SimulatedNsm | undefined;

async function boot({ pki: file, region, instanceId, roleArn }: NsmLaunch): Promise<BootedNsm> {
  const pki = await createNitroPki({ clock: () => new Date(), region, root: await readRootFile(file) });
  const image = packImage(await installedImageFiles());
  const launch = { instanceId, roleArn };
  const pcrs = await bootPcrs(image, launch);
  booted = await bootSimulatedNsm({ pki, image, ...launch });
  const named = [0, 1, 2, 3, 4, 8].map((index) => [index, toHex(pcrs.get(index) ?? new Uint8Array())]);
  return { moduleId: booted.moduleId, pcrs: Object.fromEntries(named) };
}

await serveDevice("nsm", (call) => {
  if (booted === undefined) throw new Error("unreachable: no enclave runs before its NSM was booted");
  return answerNsmIoctl(booted, call);
});
process.on("message", (launch: NsmLaunch) => {
  void boot(launch).then((answer) => process.send?.(answer));
});
process.send?.("serves");
