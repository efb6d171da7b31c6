/** `nitro-decrypt decrypt`: from a ciphertext on stdin to its plaintext on stdout, through an enclave that was attested. */
import { parseArgs } from "node:util";
import type { AttestedOptions } from "../client/connect.js";
import { connectEnclave } from "../client/connect.js";
import type { Enclave } from "../client/enclave.js";
import { connectEnclaveTls } from "../client/node/index.js";
import { ServiceError } from "../shared/errors.js";
import type { Io } from "./command.js";
import { CommandFailure, defineCommand } from "./command.js";
import { withAdvice } from "./connection-advice.js";
import { ToldWarnings } from "./context/told-warnings.js";
import { assertGiven, attestedOptions, parseContext, parseUrl } from "./decrypt-options.js";
import { readInput } from "./input.js";
import { optionValue } from "./option-values.js";
import { Progress } from "./progress.js";
import { startOf } from "./stream-start.js";

/** What one sealed request carries. */
const MAX_SEALED_MESSAGE_BYTES = 700 * 1024;
const MAX_CIPHERTEXT_BYTES = 6_144;

const usage = `\
Decrypts inside an enclave: verifies and appraises it first, then sends stdin to it and writes the
plaintext to stdout. Nobody in between can read either.

Usage: nitro-decrypt decrypt --url URL --pcrs FILE --token FILE [options] < ciphertext > plaintext

stdin is a ciphertext of AWS KMS, or a message of the AWS Encryption SDK with key commitment.

  --url URL            http://HOST:PORT or https://…: the parent's HTTP API, by sealed requests;
                       tls://HOST:PORT: the parent's TLS pass-through, for messages of any size
  --pcrs FILE          JSON with the PCRs that the enclave must have, as "nitro-decrypt pcrs --json" or
                       nitro-cli prints them, and with PCR16, its configuration:
                       {"PCR0": "…", …, "PCR16": "…"}
  --any-configuration  take PCR0, 1 and 2 alone: the configuration decides who may do what, and
                       whoever runs the enclave then chooses it
  --token FILE         the caller's token
  --proof-key FILE     the private key that the token is bound to, a JWK (EC, P-256)
  --context NAME=VALUE a pair of the encryption context; may be given several times
  --key-id KEY         the KMS key, if the enclave's configuration names several
  --root aws|FILE      the root to trust: AWS's (the default), or a simulation's certificate
  --progress           tell on stderr how much has been decrypted, also if that is no terminal
  --json               on failure also {"error": …} on stdout
  --help

What is wrong with the encryption context is told on stderr as a warning, as by "nitro-decrypt context lint".

Exit code 0 when everything was decrypted and authenticated; 1 with the code on stderr if not, and
what was written before is then not to be used; 2 for wrong usage.
`;

const ONCE = ["url", "pcrs", "token", "proof-key", "key-id", "root"] as const;

export const decrypt = defineCommand({
  name: "decrypt",
  summary: "decrypt inside an enclave, from stdin to stdout",
  usage,
  async execute(argv, io) {
    const { values } = parseArgs({
      args: [...argv],
      options: {
        ...Object.fromEntries(ONCE.map((name) => [name, { type: "string", multiple: true } as const])),
        context: { type: "string", multiple: true },
        "any-configuration": { type: "boolean" },
        progress: { type: "boolean" },
        json: { type: "boolean" },
      },
    });
    assertGiven(values, ["url", "pcrs", "token"]);
    const url = parseUrl(optionValue(values, "url") ?? "");
    const warnings = new ToldWarnings("decrypt", io);
    const job: Job = {
      warnings,
      expected: values.context === undefined ? {} : { encryptionContext: parseContext(values.context) },
      keyId: optionValue(values, "key-id"),
      progress: new Progress(io, io.watched || values.progress === true),
      io,
    };
    const options = { ...(await attestedOptions(values, io)), onContextWarning: warnings.tell };
    const run = url.protocol === "tls:" ? overTls : overSealed;
    await run(url, options, job).catch((error: unknown) => {
      throw withAdvice(error);
    });
    return 0;
  },
});

interface Job {
  /** What --context gives: of a ciphertext the whole context, of a message pairs that must be in it. */
  readonly expected: { readonly encryptionContext?: Readonly<Record<string, string>> };
  readonly keyId: string | undefined;
  readonly progress: Progress;
  readonly warnings: ToldWarnings;
  readonly io: Io;
}

async function overSealed(url: URL, options: AttestedOptions, job: Job): Promise<void> {
  const enclave = await connectEnclave(url, options);
  const input = await readInput("-", job.io, MAX_SEALED_MESSAGE_BYTES).catch((error: unknown) => {
    const isTooLarge = error instanceof ServiceError && error.code === "ERR_MESSAGE_TOO_LARGE";
    throw isTooLarge ? new ServiceError(error.code, `${error.message}; a tls:// URL takes any size`) : error;
  });
  await decryptWhole(enclave, input, job);
}

async function overTls(url: URL, options: AttestedOptions, job: Job): Promise<void> {
  const enclave = await connectEnclaveTls(`https://${url.host}`, options);
  try {
    const { start, all } = await startOf(job.io.stdin(), MAX_CIPHERTEXT_BYTES + 1);
    if (start.length === 0) throw new ServiceError("ERR_MESSAGE_MALFORMED", "stdin is empty");
    if (!isMessage(start)) return await decryptWhole(enclave, start, job);
    const { expected, io, progress, warnings } = job;
    const opened = await enclave.decryptMessageStream(all, { ...expected, signal: io.interrupted });
    warnings.look(opened.encryptionContext);
    try {
      for await (const part of opened.plaintext) {
        await io.write(part);
        progress.add(part.length);
      }
    } finally {
      progress.end();
    }
  } finally {
    enclave.close();
  }
}

async function decryptWhole(enclave: Enclave, input: Uint8Array, job: Job): Promise<void> {
  const { expected, keyId, io, warnings } = job;
  const signal = { signal: io.interrupted };
  if (isMessage(input)) {
    if (keyId !== undefined) throw new CommandFailure(2, "--key-id: a message names its keys itself");
    const opened = await enclave.decryptMessage({ message: input, ...expected }, signal);
    warnings.look(opened.encryptionContext);
    return io.write(opened.plaintext);
  }
  if (input.length > MAX_CIPHERTEXT_BYTES) {
    throw new ServiceError("ERR_MESSAGE_MALFORMED", "stdin is neither a KMS ciphertext nor a committed message");
  }
  const request = { ciphertext: input, encryptionContext: {}, ...expected, ...(keyId === undefined ? {} : { keyId }) };
  await io.write((await enclave.decrypt(request, signal)).plaintext);
}

/** Message format 2 with one of its two suites (AWS Encryption SDK, message format); KMS ciphertexts begin with 1. */
const isMessage = (start: Uint8Array): boolean =>
  start[0] === 2 && (start[1] === 0x04 || start[1] === 0x05) && start[2] === 0x78;
