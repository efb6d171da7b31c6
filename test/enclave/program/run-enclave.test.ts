/** The process of an enclave's program, where it is given a /dev/nsm: any device will do to see how a start fails. */
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:net";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { testFolder } from "../../support/folder.js";
import { projectRoot } from "../../support/project.js";

/** A /dev of its own, in which the NSM is /dev/null: it is there, and its ioctl fails. Then the command, as the same process. */
const IN_ITS_OWN_DEV = `mount -t tmpfs none /dev && mknod /dev/null c 1 3 && mknod /dev/nsm c 1 3 &&
  mknod /dev/urandom c 1 9 && mknod /dev/random c 1 8 && exec "$@"`;
const inItsOwnDev = (command: readonly string[]) => ["-m", "sh", "-c", IN_ITS_OWN_DEV, "sh", ...command];
const mayMount = process.getuid?.() === 0 && spawnSync("unshare", inItsOwnDev(["true"])).status === 0;

it.skipIf(!mayMount)(
  "a signal ends an enclave whose start is under way with status 0",
  async () => {
    const folder = testFolder();
    const parent = createServer();
    onTestFinished(() => void parent.close());
    parent.listen(join(folder, "services"));
    await once(parent, "listening");
    const addresses = {
      listen: `unix:${folder}/enclave`,
      tunnel: `unix:${folder}/tunnel`,
      services: `unix:${folder}/services`,
    };
    const program = `import("${projectRoot}/dist/enclave/program/run-enclave.js").then(({ runEnclave }) =>
    runEnclave({ addresses: ${JSON.stringify(addresses)} }))`;
    const child = spawn("unshare", inItsOwnDev([process.execPath, "-e", program]), { stdio: "ignore" });
    onTestFinished(() => void child.kill("SIGKILL"));
    const [connection] = await once(parent, "connection"); // to report the failure; it gets no answer
    onTestFinished(() => connection.on("error", () => undefined).destroy());
    child.kill("SIGTERM");
    expect(await once(child, "exit")).toEqual([0, null]);
  },
  30_000,
);
