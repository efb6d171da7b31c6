/** `nitro-decrypt rollover run`: messages under an old key become messages under the new one, inside an enclave. */
import { parseArgs } from "node:util";
import { connectEnclave } from "../../client/connect.js";
import type { Enclave } from "../../client/enclave.js";
import { connectEnclaveTls } from "../../client/node/index.js";
import type { Io } from "../command.js";
import { CommandFailure, defineCommand } from "../command.js";
import { withAdvice } from "../connection-advice.js";
import { assertGiven, attestedOptions, parseUrl, readToken } from "../decrypt-options.js";
import type { OptionValues } from "../option-values.js";
import { optionValue } from "../option-values.js";
import { ProgressLine } from "../progress.js";
import { print } from "../report.js";
import { untilInterrupted } from "./interruption.js";
import type { Source } from "./messages-on-disk.js";
import type { ReEncrypt } from "./re-encrypt.js";
import { reEncryptSealed, reEncryptTls } from "./re-encrypt.js";
import { REAL_PAUSES } from "./retries.js";
import type { WantedRollover } from "./rollover-options.js";
import { KEY_USAGE, rolloverOf, SOURCE_OPTIONS, SOURCE_USAGE, sourceOf, stateFolderOf } from "./rollover-options.js";
import type { Outcome } from "./rollover-run.js";
import { describeRun, reportOf } from "./run-report.js";
import type { Connection, WholeOutcome } from "./run-rollover.js";
import { runRollover } from "./run-rollover.js";

const usage = `Re-encrypts messages of the AWS Encryption SDK that are under an old key, inside an enclave that is verified and
appraised first. Each file is replaced when its new message is whole, under the new key alone and on disk, or stays as it
was. No plaintext leaves the enclave. What was cut off goes on where it was: run it again.

Usage: nitro-decrypt rollover run (--messages FOLDER | --list FILE) --from KEY … --to KEY --state FOLDER
         --url URL --pcrs FILE --token FILE [options]

${SOURCE_USAGE}
${KEY_USAGE}
  --state FOLDER        where the run keeps its journal, outside of --messages; one run at a time has it
  --concurrency N       messages at a time, 1 to 64; 8 unless given
  --url, --pcrs, --any-configuration, --token, --proof-key, --root
                        whom to trust and who calls, as "nitro-decrypt decrypt --help" tells; the token's file is read anew
                        for every call, so that it may be renewed. http:// and https:// carry messages of up to 700 KiB,
                        tls:// of any size
  --progress            tell on stderr how far it has come, also if that is no terminal
  --json                the report as JSON
  --help                this text

Exit code 0 when nothing is left under an old key; 1 when messages failed or the run was ended before, with each file's
code; 2 for wrong usage. Refusals that pass (ERR_BUSY, ERR_BUDGET, ERR_KMS_UNAVAILABLE, …) are tried again for about a
minute. Files keep mode and owner; extended attributes, hard links and times are not kept.
`;

const ONCE = [...SOURCE_OPTIONS, "state", "concurrency", "url", "pcrs", "token", "proof-key", "root"] as const;
const DEFAULT_CONCURRENCY = 8;
const MAX_CONCURRENCY = 64;

export const run = defineCommand({
  name: "rollover run",
  summary: "re-encrypt messages under a new key inside an enclave; goes on where it was cut off",
  usage,
  async execute(argv, io) {
    const { values } = parseArgs({
      args: [...argv],
      options: {
        ...Object.fromEntries(ONCE.map((name) => [name, { type: "string", multiple: true } as const])),
        from: { type: "string", multiple: true },
        "any-configuration": { type: "boolean" },
        progress: { type: "boolean" },
        json: { type: "boolean" },
      },
    });
    assertGiven(values, ["state", "url", "pcrs", "token"]);
    const rollover = await rolloverOf(values, io);
    const source = await sourceOf(values, io);
    const whole = await untilInterrupted(io, () => runWith(values, { rollover, source }, io));
    const report = reportOf({ ...whole, source, isInterrupted: io.interrupted.aborted });
    print(io, values.json === true, report, () => describeRun(report));
    return report.failed.length === 0 && report.left === 0 && !report.interrupted ? 0 : 1;
  },
});

interface Subject {
  readonly rollover: WantedRollover;
  readonly source: Source;
}

async function runWith(values: OptionValues, { rollover, source }: Subject, io: Io): Promise<WholeOutcome> {
  const concurrency = parseConcurrency(optionValue(values, "concurrency"));
  const progress = new RunProgress(io, values.progress === true);
  const whole = {
    ...{ source, rollover, concurrency, pauses: REAL_PAUSES, onProgress: progress.tell },
    state: stateFolderOf(values, source, io),
    connect: () => connect(values, concurrency, io),
  };
  try {
    return await runRollover(whole, io);
  } finally {
    progress.end();
  }
}

function parseConcurrency(text: string | undefined): number {
  const value = text === undefined ? DEFAULT_CONCURRENCY : Number(text);
  if (Number.isInteger(value) && value >= 1 && value <= MAX_CONCURRENCY) return value;
  throw new CommandFailure(2, `--concurrency expects a whole number from 1 to ${MAX_CONCURRENCY}; got "${text}"`);
}

async function connect(values: OptionValues, maxConnections: number, io: Io): Promise<Connection> {
  const url = parseUrl(optionValue(values, "url") ?? "");
  const token = optionValue(values, "token") ?? "";
  const options = { ...(await attestedOptions(values, io)), token: () => readToken(token, io) };
  try {
    if (url.protocol !== "tls:") return connectionOf(reEncryptSealed, await connectEnclave(url, options));
    const enclave = await connectEnclaveTls(`https://${url.host}`, { ...options, maxConnections });
    return connectionOf(reEncryptTls, enclave);
  } catch (error) {
    throw withAdvice(error);
  }
}

const connectionOf = <T extends Enclave>(reEncryptOver: (enclave: T) => ReEncrypt, enclave: T): Connection => ({
  reEncrypt: reEncryptOver(enclave),
  close: () => enclave.close(),
});

class RunProgress {
  readonly #line: ProgressLine;
  #text: (() => string) | undefined;

  constructor(io: Io, isWanted: boolean) {
    this.#line = new ProgressLine(io, io.watched || isWanted);
  }

  readonly tell = ({ done, failed, passed }: Outcome, of: number): void => {
    const ended = done.messages + failed.length + passed;
    this.#text = () => {
      const rate = (done.messages / this.#line.seconds).toFixed(1);
      return `${ended} of ${of} messages, ${failed.length} failed, ${rate} a second`;
    };
    this.#line.tell(this.#text);
  };

  /** Ends the line, if there is one. */
  end(): void {
    if (this.#text !== undefined) this.#line.end(this.#text);
  }
}
