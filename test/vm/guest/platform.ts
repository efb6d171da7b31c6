/** What the hypervisor gives an enclave, here by processes of the guest: its NSM, and its boot. */
import type { ChildProcess } from "node:child_process";
import { fork, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { BootedNsm, NsmLaunch } from "./nsm-device.js";

/** The process that serves /dev/nsm. */
export class NsmDevice {
  readonly #process: ChildProcess;

  private constructor(process: ChildProcess) {
    this.#process = process;
  }

  /** Returns when /dev/nsm is there; it must be booted before it is asked anything. */
  static async serve(): Promise<NsmDevice> {
    const child = fork(fileURLToPath(new URL("./nsm-device.js", import.meta.url)));
    await once(child, "message");
    return new NsmDevice(child);
  }

  /** A new NSM: other registers, another module id. Whoever has the device open asks the new one. */
  async boot(launch: NsmLaunch): Promise<BootedNsm> {
    const answer = once(this.#process, "message");
    this.#process.send(launch);
    const [booted] = await answer;
    return booted;
  }
}

/** An enclave from boot to its program's end. */
export class RunningEnclave {
  readonly ended: Promise<void>;
  readonly #process: ChildProcess;

  /** `onLine` gets what its program writes. */
  constructor(onLine: (line: string) => void) {
    const child = spawn("/enclave.sh", { stdio: ["ignore", "pipe", "inherit"], detached: true });
    createInterface({ input: child.stdout }).on("line", onLine);
    this.#process = child;
    this.ended = once(child, "close").then(() => undefined);
  }

  /** Ends it at once, as `nitro-cli terminate-enclave` does. */
  async terminate(): Promise<void> {
    if (this.#process.pid !== undefined && this.#process.exitCode === null) process.kill(-this.#process.pid, "SIGKILL");
    await this.ended;
  }
}
