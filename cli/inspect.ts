/** `nitro-decrypt inspect`: shows what is in a file, and judges none of it. */
import { parseArgs } from "node:util";
import { toHex } from "../shared/bytes.js";
import type { Io } from "./command.js";
import { CommandFailure, defineCommand } from "./command.js";
import { decodeText, readInput } from "./input.js";
import type { Inspection } from "./inspection.js";
import { inspectAttestation, inspectEnvelope, inspectImage, inspectKmsCiphertext } from "./inspection.js";
import { looksLikeKmsCiphertext } from "./kms-ciphertext.js";
import { onlyPositional } from "./option-values.js";
import { layOut, print } from "./report.js";

/** Enclave images are read whole, and measuring copies them once more. */
const MAX_FILE_BYTES = 1 << 30;

const usage = `\
Shows what is in an attestation document, a CiphertextForRecipient, an AWS KMS ciphertext or an
enclave image file (EIF), whichever FILE holds. Of an image it computes PCR0, PCR1, PCR2 and, if it is
signed, PCR8.

Usage: nitro-decrypt inspect FILE [--json]

FILE is raw, base64 or hexadecimal text, or the JSON that an enclave's GET /attestation answers; - is
stdin. It is read into memory, up to 1 GiB.

  --json  what was found as JSON
  --help

Nothing is verified: signatures, dates and who made the file stay open. To verify an attestation
document, use "nitro-decrypt verify".

Exit code 0 if the file is one of these; 1 if it is not, or is malformed; 2 for wrong usage.
`;

export const inspect = defineCommand({
  name: "inspect",
  summary: "show what is in an attestation document, a KMS ciphertext, a CiphertextForRecipient or an EIF",
  usage,
  async execute(argv, io: Io) {
    const { values, positionals } = parseArgs({
      args: [...argv],
      allowPositionals: true,
      options: { json: { type: "boolean" } },
    });
    const file = onlyPositional(positionals, "a FILE to inspect");
    const { title, lines, json } = await inspectBytes(decodeText(await readInput(file, io, MAX_FILE_BYTES)));
    print(io, values.json === true, json, () => `${title}; nothing of it is verified\n${layOut(lines)}`);
    return 0;
  },
});

/** Each of the formats is known by its first bytes. */
async function inspectBytes(bytes: Uint8Array): Promise<Inspection> {
  if (toHex(bytes.subarray(0, 4)) === "2e656966") return inspectImage(bytes); // ".eif"
  if (looksLikeKmsCiphertext(bytes)) return inspectKmsCiphertext(bytes);
  if (bytes[0] === 0x30) return inspectEnvelope(bytes); // a SEQUENCE
  if (bytes[0] === 0x84 || bytes[0] === 0xd2) return inspectAttestation(bytes); // an array of four, or tag 18
  throw new CommandFailure(
    1,
    "expected an attestation document, a CiphertextForRecipient, a KMS ciphertext of a symmetric key, or an EIF; " +
      `got something that starts with ${toHex(bytes.subarray(0, 4))}`,
  );
}
