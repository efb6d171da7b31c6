/** With the only thread of the pool blocked (a FIFO that nobody writes), an NSM request waits and the event loop does not. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, open, openSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { nsmRequest } from "../../../dist/vsock/index.js";
import { loadAddon } from "../../../dist/vsock/native.js";

loadAddon(process.env.VSOCK_TEST_ADDON);
const folder = mkdtempSync(join(tmpdir(), "vsock-pool-"));
const fifo = join(folder, "fifo");
execFileSync("mkfifo", [fifo]);
const device = openSync("/dev/null", "r+");
open(fifo, "r", () => undefined);
let settled = "waiting";
const request = nsmRequest(device, Buffer.from([0x61])).catch(({ code }) => {
  settled = code;
});
let turns = 0;
const interval = setInterval(() => {
  turns += 1;
  if (turns < 10) return;
  clearInterval(interval);
  process.stdout.write(`${settled} after ${turns} turns\n`);
  writeSync(openSync(fifo, "r+"), "x");
  void request.then(() => {
    process.stdout.write(`${settled}\n`);
    rmSync(folder, { recursive: true });
    process.exit(0);
  });
}, 1);
