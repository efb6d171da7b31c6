/** What the hypervisor gives an enclave, here by processes of the guest: its NSM, and its boot. */
import type { ChildProcess } from "node:child_process";
import { fork, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { HeartbeatListener } from "./heartbeat.js";
import { Lines } from "./lines.js";
import type { BootedNsm, NsmLaunch, NsmMessage } from "./nsm-device.js";
import type { NsmFault } from "./nsm-ioctl.js";
import { childOf, commandOf, isStopped, until } from "./processes.js";

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
    return (await this.#ask({ kind: "boot", launch })) as BootedNsm;
  }

  /** From now on the driver answers every ioctl in this way; as it should where `fault` is left out. */
  async fail(fault?: NsmFault): Promise<void> {
    await this.#ask({ kind: "fail", fault });
  }

  async #ask(message: NsmMessage): Promise<unknown> {
    const answer = once(this.#process, "message");
    this.#process.send(message);
    return (await answer)[0];
  }
}

/** An enclave from boot to its program's end. */
export class RunningEnclave {
  /** What its program writes. */
  readonly lines = new Lines("enclave");
  /** Its exit status; null when a signal ended it. */
  readonly ended: Promise<number | null>;
  readonly #process: ChildProcess;
  #pid = 0;

  private constructor() {
    const child = spawn("/enclave.sh", { stdio: ["ignore", "pipe", "inherit"], detached: true });
    createInterface({ input: child.stdout }).on("line", (line) => this.lines.push(line));
    this.#process = child;
    this.ended = once(child, "close").then(([status]) => status);
  }

  /** Boots one, with nitro-cli's end of the heartbeat, and returns when its program has been started. */
  static async boot(signal: AbortSignal): Promise<RunningEnclave> {
    const heartbeat = await HeartbeatListener.open();
    try {
      const enclave = new RunningEnclave();
      await Promise.race([heartbeat.came, enclave.#tooEarly()]);
      await Promise.race([enclave.#findProgram(signal), enclave.#tooEarly()]);
      return enclave;
    } finally {
      await heartbeat.close();
    }
  }

  /** Boots one whose heartbeat is not answered as it should be. Returns its status; its program must not have been started. */
  static async bootAgainst(answer: (heartbeat: number) => Uint8Array): Promise<number | null> {
    const heartbeat = await HeartbeatListener.open(answer);
    const enclave = new RunningEnclave();
    const [status] = await Promise.all([enclave.ended, heartbeat.came]);
    await heartbeat.close();
    if (enclave.lines.length > 0) throw new Error("the program was started");
    return status;
  }

  /** Of its program, as everybody but the enclave sees it. */
  get pid(): number {
    return this.#pid;
  }

  /** Halts it, as a hypervisor can, until `resume`: its kernel still takes connections. */
  async pause(signal: AbortSignal): Promise<void> {
    process.kill(this.#pid, "SIGSTOP");
    await until(signal, () => isStopped(this.#pid));
  }

  resume(): void {
    process.kill(this.#pid, "SIGCONT");
  }

  /** Ends it at once, as `nitro-cli terminate-enclave` does. */
  async terminate(): Promise<void> {
    const { pid, exitCode, signalCode } = this.#process;
    if (pid !== undefined && exitCode === null && signalCode === null) process.kill(-pid, "SIGKILL");
    await this.ended;
  }

  async #findProgram(signal: AbortSignal): Promise<void> {
    this.#pid = await until(signal, async () => {
      const child = await childOf(this.#process.pid ?? 0);
      return child !== undefined && (await commandOf(child)).includes("/app/enclave.mjs") && child;
    });
  }

  async #tooEarly(): Promise<never> {
    throw new Error(`the enclave ended with status ${await this.ended}: ${this.lines.last}`);
  }
}
