/** `npm run test:durability`: the checks at full length. `-- --kills N` sets how often the loaded server is killed. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { fillDisk, killUnderLoad } from "./checks.js";

const { values } = parseArgs({ options: { kills: { type: "string", default: "50" } } });
const say = (line: string): void => void process.stdout.write(`${line}\n`);

const folder = await mkdtemp(join(tmpdir(), "nitro-decrypt-durability-"));
try {
  const { kills, acknowledgedKeys, acknowledgedCalls } = await killUnderLoad(
    join(folder, "killed"),
    Number(values.kills),
    say,
  );
  say(`ok: after ${kills} kills all of ${acknowledgedKeys} keys and ${acknowledgedCalls} acknowledged calls are there`);
  say(`ok: after a full disk all of ${await fillDisk(join(folder, "full"))} acknowledged keys are there`);
} finally {
  await rm(folder, { recursive: true, force: true });
}
