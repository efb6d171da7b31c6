/** `nitro-decrypt pcrs`: what a key policy and a client's policy must demand so that an enclave of one image gets through. */
import { parseArgs } from "node:util";
import { parseConfiguration } from "../enclave/configuration.js";
import { pcr16OfConfiguration } from "../shared/attestation/pcr.js";
import { toHex } from "../shared/bytes.js";
import { ServiceError } from "../shared/errors.js";
import type { Io } from "./command.js";
import { CommandFailure, defineCommand } from "./command.js";
import type { ExaminedImage } from "./image-inspection.js";
import { examineImage, MAX_IMAGE_BYTES, NOT_CURRENT } from "./image-inspection.js";
import { readInput } from "./input.js";
import { onlyPositional, optionValue } from "./option-values.js";
import { layOut, print } from "./report.js";

/** As much as an enclave takes. */
const MAX_CONFIGURATION_BYTES = 1024 * 1024;

const usage = `\
Measures an enclave image file (EIF) and prints its PCRs: as they are, as the condition of a statement
in a KMS key policy, and as the part of a client's policy that names the enclave.

Usage: nitro-decrypt pcrs FILE [--config FILE] [--json]

FILE is an EIF; - is stdin. It is read into memory, up to 1 GiB. PCR0, PCR1 and PCR2 are its code; PCR8,
if the image is signed, is the certificate of its signer.

  --config FILE  the configuration that the enclave will run with, to add PCR16. Its exact bytes are
                 measured, and it must be one that an enclave of this version takes; - is stdin
  --json         {"pcrs": {"0": …}, "keyPolicyCondition": {…}, "clientPolicy": {"pcrs": [{"0": …}], …}}
  --help

Whoever pins these values trusts whoever made FILE. Without PCR16 the enclave may run with any
configuration. The output of --json is also a file for "nitro-decrypt decrypt --pcrs".

Exit code 0 if the image was measured; 1 with the code on stderr if it is malformed, its CRC-32
(ERR_EIF_CRC) or its signature does not hold, or the configuration is none; 2 for wrong usage.
`;

export const pcrs = defineCommand({
  name: "pcrs",
  summary: "the PCRs of an EIF, as a KMS key policy and a client's policy want them",
  usage,
  async execute(argv, io) {
    const { values, positionals } = parseArgs({
      args: [...argv],
      allowPositionals: true,
      options: { config: { type: "string", multiple: true }, json: { type: "boolean" } },
    });
    const file = onlyPositional(positionals, "the FILE to measure");
    const configuration = optionValue(values, "config");
    if (file === "-" && configuration === "-")
      throw new CommandFailure(2, "only one of FILE and --config can be stdin");
    const image = await examineImage(await readInput(file, io, MAX_IMAGE_BYTES), io.now());
    if (image.refusal !== undefined) throw image.refusal;
    const pinned = { ...image.pcrs, ...(configuration !== undefined && { 16: await measure(configuration, io) }) };
    const policies = policiesOf(pinned);
    print(io, values.json === true, policies, () => describe(policies));
    if (isNotCurrent(image)) io.stderr(`nitro-decrypt pcrs: ${NOT_CURRENT}; this one is such an image\n`);
    return 0;
  },
});

/** @throws ServiceError ERR_CONFIGURATION: no enclave would boot with it */
async function measure(file: string, io: Io): Promise<string> {
  const bytes = await readInput(file, io, MAX_CONFIGURATION_BYTES);
  parseConfiguration(bytes);
  return toHex(await pcr16OfConfiguration(bytes));
}

const isNotCurrent = ({ signature }: ExaminedImage): boolean =>
  signature !== undefined && !(signature instanceof ServiceError) && !signature.certificateCurrent;

type Pcrs = Readonly<Record<number, string>>;

/** Every PCR is a condition of its own: in a key policy as in a client's, all of them must hold. */
function policiesOf(values: Pcrs) {
  const conditions = Object.entries(values).map(
    ([index, value]) => [`kms:RecipientAttestation:PCR${index}`, value] as const,
  );
  return {
    pcrs: values,
    keyPolicyCondition: { StringEqualsIgnoreCase: Object.fromEntries(conditions) },
    clientPolicy: { pcrs: [values], ...(16 in values && { configuration: "pinned" }) },
  };
}

function describe({ pcrs: values, keyPolicyCondition, clientPolicy }: ReturnType<typeof policiesOf>): string {
  const json = (value: unknown): string => JSON.stringify(value, null, 2);
  return [
    layOut(Object.entries(values).map(([index, value]) => [`PCR${index}`, value])),
    "",
    "In the statement of a KMS key policy that lets enclaves decrypt:",
    `"Condition": ${json(keyPolicyCondition)}`,
    "",
    16 in values
      ? "In the policy of a client:"
      : 'In the policy of a client; "configuration" is unused and says why, or give --config to pin it:',
    json(clientPolicy),
  ].join("\n");
}
