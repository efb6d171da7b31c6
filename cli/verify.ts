/** `nitro-decrypt verify`: is this attestation document genuine, and is it of the enclave that one wants? */
import { parseArgs } from "node:util";
import { appraise } from "../shared/attestation/appraise.js";
import { PCR_BYTES, PCR_COUNT } from "../shared/attestation/pcr.js";
import type { AppraisalPolicy } from "../shared/attestation/policy.js";
import type { VerifiedAttestation } from "../shared/attestation/verify.js";
import { verifyAttestation } from "../shared/attestation/verify.js";
import { isAllZero, toHex } from "../shared/bytes.js";
import { ServiceError } from "../shared/errors.js";
import type { Io } from "./command.js";
import { CommandFailure, defineCommand } from "./command.js";
import { decodeText, readInput } from "./input.js";
import type { OptionValues } from "./option-values.js";
import {
  onlyPositional,
  optionValue,
  parseHexOption,
  parseSecondsOption,
  parseTimeOption,
  TIME_FORMS,
} from "./option-values.js";
import { print } from "./report.js";
import { parseRoot } from "./root.js";
import type { Demands } from "./verify-report.js";
import { describeVerification, verificationToJson } from "./verify-report.js";

/** A document has less than 17 KiB; the rest is room for base64, hexadecimal and line ends. */
const MAX_DOCUMENT_FILE_BYTES = 64 * 1024;
/** How far ahead of the verifier's clock the NSM's may be, with --max-age. */
const SKEW_SECONDS = 60;
const NOT_ASKED = { kind: "unused", because: "not asked for on the command line" } as const;

const PCR_OPTIONS = Array.from({ length: PCR_COUNT }, (_, index) => ({ index, name: `pcr${index}` }));
const VALUE_OPTIONS = ["at", "root", "nonce", "max-age", ...PCR_OPTIONS.map(({ name }) => name)];

const usage = `\
Verifies that an attestation document was made by the Nitro Security Module of an enclave, and shows
what it says. With PCRs it also appraises it: whether the document is of the enclave that you mean.

Usage: nitro-decrypt verify FILE [options]

FILE is a document as raw CBOR, base64 or hexadecimal, or the JSON that an enclave's GET /attestation
answers; - is stdin.

  --pcr0 HEX … --pcr31 HEX  the value that a PCR must have, 96 hexadecimal digits. PCR0, 1 and 2
                            together name the code of an enclave, PCR8 its signer, PCR16 the
                            configuration of a nitro-decrypt enclave
  --nonce HEX               the nonce that you sent must be in the document
  --max-age S               the document must not be older than S seconds, nor more than ${SKEW_SECONDS} s
                            from the future
  --allow-debug             accept an enclave in debug mode, whose operator sees its console and
                            whose PCR0 is zero
  --at TIME                 verify as of TIME, not now: ${["", ...TIME_FORMS].join(`\n${" ".repeat(28)}`)}
  --root aws|FILE           the root to trust: AWS's (the default), or a certificate in PEM or DER,
                            of a simulation for example
  --json                    the result as JSON
  --help

Exit code 0 if the document is genuine and everything asked for holds; 1 with the code on stderr if
not; 2 for wrong usage. Without a PCR a document is only genuine: anybody can run an enclave.
`;

export const verify = defineCommand({
  name: "verify",
  summary: "verify an attestation document, and appraise it against PCRs",
  usage,
  async execute(argv, io) {
    const { values, positionals } = parseArgs({
      args: [...argv],
      allowPositionals: true,
      options: {
        ...Object.fromEntries(VALUE_OPTIONS.map((name) => [name, { type: "string", multiple: true } as const])),
        "allow-debug": { type: "boolean" },
        json: { type: "boolean" },
      },
    });
    const file = onlyPositional(positionals, "a FILE to verify");
    const demands = parseDemands(values);
    const now = parseNow(values, io);
    const trustAnchor = await parseRoot(optionValue(values, "root") ?? "aws", io);
    const document = decodeText(await readInput(file, io, MAX_DOCUMENT_FILE_BYTES));
    const verified = await verifyAttestation(document, { trustAnchor, now }).catch((error: unknown) => {
      throw withNextStep(error, values);
    });
    appraise(verified, policyOf(demands, verified));
    const outcome = { verified, trustAnchor, demands };
    print(io, values.json === true, verificationToJson(outcome), () => describeVerification(outcome));
    return 0;
  },
});

/** The same refusal, with what to try where an option is the likely answer. */
function withNextStep(error: unknown, values: OptionValues): unknown {
  if (!(error instanceof ServiceError)) return error;
  const next = (option: string, step: string) =>
    values[option] === undefined ? new ServiceError(error.code, `${error.message}; ${step}`) : error;
  if (error.code === "ERR_CERT_TIME") return next("at", "for a document of the past, say as of when with --at");
  if (error.code === "ERR_TRUST_ANCHOR") return next("root", "for a document of a simulation, give its --root");
  return error;
}

function parseNow(values: OptionValues, io: Io): Date {
  const at = optionValue(values, "at");
  return at === undefined ? io.now() : parseTimeOption("at", at);
}

function parseDemands(values: OptionValues): Demands {
  const allowDebug = values["allow-debug"] === true;
  const nonce = optionValue(values, "nonce");
  const maxAge = optionValue(values, "max-age");
  return {
    allowDebug,
    pcrs: parsePcrs(values, allowDebug),
    nonce: nonce === undefined ? undefined : parseHexOption("nonce", nonce),
    maxAgeSeconds: maxAge === undefined ? undefined : parseSecondsOption("max-age", maxAge),
  };
}

function parsePcrs(values: OptionValues, allowDebug: boolean): ReadonlyMap<number, Uint8Array> {
  const pcrs = new Map<number, Uint8Array>();
  for (const { index, name } of PCR_OPTIONS) {
    const text = optionValue(values, name);
    if (text === undefined) continue;
    const value = parseHexOption(name, text);
    if (value.length !== PCR_BYTES) {
      throw new CommandFailure(2, `--${name} expects ${2 * PCR_BYTES} hexadecimal digits, got ${text.length}`);
    }
    pcrs.set(index, value);
  }
  const pcr0 = pcrs.get(0);
  if (pcr0 && isAllZero(pcr0) && !allowDebug) {
    throw new CommandFailure(
      2,
      "a --pcr0 of zeros is that of any enclave in debug mode; add --allow-debug if you mean it",
    );
  }
  return pcrs;
}

/** The policy for what was asked for. */
function policyOf({ pcrs, nonce, maxAgeSeconds, allowDebug }: Demands, verified: VerifiedAttestation): AppraisalPolicy {
  const asked = pcrs.size > 0;
  // Without reference values the document is held against its own registers: nonce and age are still appraised, and the
  // report says that the enclave was not.
  const reference = Object.fromEntries([...(asked ? pcrs : verified.pcrs)].map(([i, value]) => [i, toHex(value)]));
  return {
    pcrs: [reference],
    nonce: nonce === undefined ? NOT_ASKED : { kind: "equals", value: nonce },
    freshness:
      maxAgeSeconds === undefined ? NOT_ASKED : { kind: "within", seconds: maxAgeSeconds, skewSeconds: SKEW_SECONDS },
    debug: allowDebug || !asked ? "dangerouslyAllow" : "reject",
    userData: NOT_ASKED,
    publicKey: NOT_ASKED,
  };
}
