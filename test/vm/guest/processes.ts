/** Processes of the guest, as /proc shows them. */
import type { ChildProcess } from "node:child_process";
import { fork } from "node:child_process";
import { once } from "node:events";
import { readdir, readFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";

/** Between two looks at something that tells nobody when it changes. */
const LOOK_MS = 25;

/** Resolves to what `look` finds, as soon as it finds something. @throws the signal's reason. */
export async function until<T>(signal: AbortSignal, look: () => Promise<T | undefined | false>): Promise<T> {
  for (;;) {
    signal.throwIfAborted();
    const found = await look();
    if (found !== undefined && found !== false) return found;
    await sleep(LOOK_MS);
  }
}

/** The process that `parent` started; undefined when there is none. */
export async function childOf(parent: number): Promise<number | undefined> {
  const children = await readFile(`/proc/${parent}/task/${parent}/children`, "utf8").catch(() => "");
  const [first] = children.split(" ");
  return first ? Number(first) : undefined;
}

/** Its command and arguments; none when it has ended. */
export async function commandOf(pid: number): Promise<readonly string[]> {
  const text = await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "");
  return text.split("\0").slice(0, -1);
}

/** How many files and connections it has open. */
export const descriptorsOf = async (pid: number): Promise<number> => (await readdir(`/proc/${pid}/fd`)).length;

/** Waits until a process has no more descriptors open than it had: those of ended connections are closed. */
export async function untilNoMoreDescriptors(pid: number, before: number, signal: AbortSignal): Promise<void> {
  let open = 0;
  try {
    await until(signal, async () => {
      open = await descriptorsOf(pid);
      return open <= before;
    });
  } catch (cause) {
    throw new Error(`process ${pid} has ${open} descriptors open, it had ${before}`, { cause });
  }
}

/** Whether a process is stopped (SIGSTOP). */
export async function isStopped(pid: number): Promise<boolean> {
  return /^State:\tT/m.test(await readFile(`/proc/${pid}/status`, "utf8"));
}

/** A process that has sent the enclave half of a request. */
export async function halfRequest(): Promise<ChildProcess> {
  const client = fork(fileURLToPath(new URL("./half-request.js", import.meta.url)));
  await once(client, "message");
  return client;
}
