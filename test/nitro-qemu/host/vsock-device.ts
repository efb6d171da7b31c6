/**
 * The host's side of the machine's vsock: rust-vmm's vhost-device-vsock, which makes connections of Unix sockets. What a guest
 * connects to at CID 2 is a socket beside the device's, with the port in its name; a connection to the guest begins with a
 * line that names the port, as Firecracker has it. It serves no CID 3: the guest's parent is at CID 2 here.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import type { Socket } from "node:net";
import { connect } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { attempt, run } from "../../vm/host/command.js";
import { cacheFolder } from "../../vm/host/kernel.js";
import { online, Unavailable } from "../../vm/host/requirements.js";

const CRATE = { name: "vhost-device-vsock", version: "0.3.0" };
const DEADLINE_MS = 20 * 60_000;
/** The guest's own. */
const GUEST_CID = 16;
/** The machine waits for its device's socket for so long. */
const START_MS = 10_000;

/** The program, from the cache where it is there already. @throws Unavailable without Rust's cargo. */
export async function provideVsockDevice(say: (line: string) => void): Promise<string> {
  const folder = cacheFolder("qemu-nitro");
  const program = join(folder, "bin", CRATE.name);
  if (existsSync(program)) return program;
  if ((await attempt("cargo", ["--version"])).status !== 0) throw new Unavailable("needs Rust's cargo");
  say(`builds ${CRATE.name} ${CRATE.version}, once`);
  const args = ["install", "--quiet", "--locked", "--root", folder, "--version", CRATE.version, CRATE.name];
  await online(() => run("nice", ["-n", "15", "cargo", ...args], { deadlineMs: DEADLINE_MS }));
  return program;
}

export class VsockDevice {
  /** Where QEMU finds it. */
  readonly socket: string;
  readonly #guest: string;
  readonly #stop: () => void;

  private constructor(socket: string, guest: string, stop: () => void) {
    this.socket = socket;
    this.#guest = guest;
    this.#stop = stop;
  }

  /** Starts it, for one run of a machine, with its sockets in `folder`. It ends with this process if not before. */
  static async start(program: string, folder: string): Promise<VsockDevice> {
    const [socket, guest] = [join(folder, "device"), join(folder, "guest")];
    const args = ["--guest-cid", `${GUEST_CID}`, "--socket", socket, "--uds-path", guest];
    const child = spawn(program, args, { stdio: ["ignore", "ignore", "inherit"] });
    const kill = (): void => void child.kill("SIGKILL");
    process.once("exit", kill);
    child.once("close", () => process.off("exit", kill));
    for (let waitedMs = 0; !existsSync(socket); waitedMs += 50) {
      if (waitedMs > START_MS || child.exitCode !== null) throw new Error(`${CRATE.name} does not start`);
      await sleep(50);
    }
    return new VsockDevice(socket, guest, kill);
  }

  /** The path of the Unix socket that stands for this port of CID 2. */
  portPath(port: number): string {
    return `${this.#guest}_${port}`;
  }

  /** A connection to a port of the guest's. @throws Error when nobody listens there. */
  async connect(port: number): Promise<Socket> {
    const socket = connect({ path: this.#guest, allowHalfOpen: true });
    socket.write(`CONNECT ${port}\n`);
    const answer = await firstLine(socket);
    if (answer.startsWith("OK ")) return socket;
    socket.destroy();
    throw new Error(`nobody listens at port ${port} of the guest`);
  }

  stop(): void {
    this.#stop();
  }
}

/** What comes up to the first end of a line, or all if none comes; the rest is left to read. */
async function firstLine(socket: Socket): Promise<string> {
  let text = "";
  while (!text.endsWith("\n")) {
    const byte: Buffer | null = socket.read(1);
    if (byte !== null) text += byte.toString("latin1");
    else if (socket.readableEnded || socket.destroyed) return text;
    else await Promise.race([once(socket, "readable"), once(socket, "end")]);
  }
  return text;
}
