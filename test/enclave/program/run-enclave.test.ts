/** The process of an enclave's program, where it is given a /dev/nsm: any device will do to see how a start fails. */
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:http";
import { join } from "node:path";
import { buffer } from "node:stream/consumers";
import { expect, it, onTestFinished } from "vitest";
import { testFolder } from "../../support/folder.js";
import { projectRoot } from "../../support/project.js";

/** A /dev of its own, in which the NSM is /dev/null: it is there, and its ioctl fails. Then the command, as the same process. */
const IN_ITS_OWN_DEV = `mount -t tmpfs none /dev && mknod /dev/null c 1 3 && mknod /dev/nsm c 1 3 &&
  mknod /dev/urandom c 1 9 && mknod /dev/random c 1 8 && exec "$@"`;
const inItsOwnDev = (command: readonly string[]) => ["-m", "sh", "-c", IN_ITS_OWN_DEV, "sh", ...command];
const mayMount = process.getuid?.() === 0 && spawnSync("unshare", inItsOwnDev(["true"])).status === 0;

/** What the program says of its start, and how to answer that. */
interface Told {
  readonly state: unknown;
  readonly answer: () => void;
}

/** The program between a parent's services and such a /dev; `before` runs in its process first. */
async function startProgram(before = "") {
  const folder = testFolder();
  const told: Told[] = [];
  const services = createServer(async (request, response) => {
    const state = JSON.parse((await buffer(request)).toString());
    told.push({ state, answer: () => void response.end("{}") });
    services.emit("told");
  });
  onTestFinished(() => services.closeAllConnections());
  onTestFinished(() => void services.close());
  services.listen(join(folder, "services"));
  await once(services, "listening");
  const at = (name: string): string => `unix:${folder}/${name}`;
  const addresses = { listen: at("enclave"), tunnel: at("tunnel"), services: at("services") };
  const program = `${before}; import("${projectRoot}/dist/enclave/program/run-enclave.js").then(({ runEnclave }) =>
    runEnclave({ addresses: ${JSON.stringify(addresses)} }))`;
  const child = spawn("unshare", inItsOwnDev([process.execPath, "-e", program]), { stdio: "ignore" });
  onTestFinished(() => void child.kill("SIGKILL"));
  await once(services, "told");
  return { child, services, told };
}

it.skipIf(!mayMount)(
  "a signal ends an enclave whose start is under way with status 0",
  async () => {
    const { child, told } = await startProgram(); // it waits for an answer
    expect(told.map(({ state }) => state)).toEqual([{ state: "failed", code: "ERR_NSM" }]);
    child.kill("SIGTERM");
    expect(await once(child, "exit")).toEqual([0, null]);
  },
  30_000,
);

it.skipIf(!mayMount)(
  "an error that nothing caught ends a start with status 1, and the parent is told ERR_INTERNAL",
  async () => {
    const thrown = 'process.on("SIGUSR2", () => { throw new Error("of no concern to anybody else"); })';
    const { child, services, told } = await startProgram(thrown);
    child.kill("SIGUSR2");
    await once(services, "told");
    expect(told[1]?.state).toEqual({ state: "failed", code: "ERR_INTERNAL" });
    told[1]?.answer();
    expect(await once(child, "exit")).toEqual([1, null]);
  },
  30_000,
);
