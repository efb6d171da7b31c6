/** `nitro-decrypt demo`: one attested decryption from beginning to end, and the ways to cheat being refused. */
import { utf8 } from "../shared/bytes.js";
import { ServiceError } from "../shared/errors.js";
import { base64Of } from "../shared/wire.js";
import { CommandFailure, defineCommand } from "./command.js";
import { Evidence } from "./demo/evidence.js";
import { tryToCheat } from "./demo/refusals.js";
import type { Report } from "./demo/report.js";
import { createReport } from "./demo/report.js";
import { SECRET, setTheStage } from "./demo/story.js";
import { LocalStack } from "./local-stack.js";
import { parseOptions } from "./options.js";

const usage = `Shows one attested decryption from beginning to end on a simulated Nitro platform, and the ways to cheat being refused.

Usage: nitro-decrypt demo [--logs] [--json]

Everything is real except the roots. KMS, NSM, enclave and parent are processes of their own; they and their files are
gone when it ends. It needs no network, no AWS account and no Nitro hardware.

  --logs   also show the logs of all processes, on stderr
  --json   a JSON line for each step and each refusal, and one for the result
  --help   this text

Exit code 0 when everything went as told, 1 when anything did not.
`;

export const demo = defineCommand({
  name: "demo",
  summary: "one attested decryption from beginning to end, and the ways to cheat being refused",
  usage,
  async execute(argv, io) {
    const { json, logs } = parseOptions(argv, { json: { type: "boolean" }, logs: { type: "boolean" } });
    const begin = performance.now();
    const report = createReport(io, json);
    const evidence = new Evidence();
    const stack = await LocalStack.create({
      env: io.env,
      logLevel: "info",
      signal: io.interrupted,
      onCall: (record) => evidence.addCall(record),
      onLog: (label, line) => {
        evidence.addLine(label, line);
        if (logs) io.stderr(`${label}: ${line}\n`);
      },
    });
    try {
      const giveUp = AbortSignal.any([io.interrupted, stack.broken]);
      await unlessAborted(giveUp, play(stack, evidence, report));
    } catch (error) {
      throw io.interrupted.aborted ? new CommandFailure(1, "interrupted") : error;
    } finally {
      await stack.close();
    }
    return report.finish(performance.now() - begin) ? 0 : 1;
  },
});

async function play(stack: LocalStack, evidence: Evidence, report: Report): Promise<void> {
  report.heading("One attested decryption, on a simulated Nitro platform");
  const stage = await setTheStage(stack, evidence, report);
  report.heading("Ways to cheat, and who refuses them");
  await tryToCheat(stage, report);
  assertSecretUnrecorded(evidence);
}

/** No log and no audit record may hold the plaintext, in any form that this package writes bytes in (pitfall 25). */
function assertSecretUnrecorded({ everything }: Evidence): void {
  const forms = [SECRET, base64Of(utf8(SECRET))];
  if (!forms.some((form) => everything.includes(form))) return;
  throw new ServiceError("ERR_INTERNAL", "a log or an audit record has the plaintext in it");
}

/** The outcome of `work`, or the reason of `signal` if that fires first; `work` then goes on alone, and to its end. */
async function unlessAborted<T>(signal: AbortSignal, work: Promise<T>): Promise<T> {
  const aborted = new Promise<never>((_resolve, reject) => {
    if (signal.aborted) reject(signal.reason);
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
  return Promise.race([work, aborted]);
}
