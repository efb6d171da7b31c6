/** `nitro-decrypt inspect`: shows what is in a file, and judges none of it but an enclave image's CRC and signature. */
import { parseArgs } from "node:util";
import { toHex } from "../shared/bytes.js";
import type { Io } from "./command.js";
import { CommandFailure, defineCommand } from "./command.js";
import { inspectImage, MAX_IMAGE_BYTES } from "./image-inspection.js";
import { decodeText, readInput } from "./input.js";
import type { Inspection } from "./inspection.js";
import { inspectAttestation, inspectEnvelope, inspectKmsCiphertext } from "./inspection.js";
import { looksLikeKmsCiphertext } from "./kms-ciphertext.js";
import { onlyPositional } from "./option-values.js";
import { layOut, print } from "./report.js";

const usage = `\
Shows what is in an attestation document, a CiphertextForRecipient, an AWS KMS ciphertext or an
enclave image file (EIF), whichever FILE holds. Of an image it computes PCR0, PCR1, PCR2 and, if it is
signed, PCR8, and checks the CRC-32 and the signature.

Usage: nitro-decrypt inspect FILE [--json]

FILE is raw, base64 or hexadecimal text, or the JSON that an enclave's GET /attestation answers; - is
stdin. It is read into memory, up to 1 GiB, and 64 MiB of text.

  --json  what was found as JSON
  --help

Nothing else is verified: other signatures, dates and who made the file stay open. That an image's
signature is valid says that the key of its certificate signed this PCR0; anybody can make a
certificate, so compare its SHA-256, or PCR8, with the one that you expect. To verify an attestation
document, use "nitro-decrypt verify".

Exit code 0 if the file is one of these; 1 with the code on stderr if it is not, is malformed, or is
an image whose CRC-32 (ERR_EIF_CRC) or signature (ERR_COSE_SIGNATURE, ERR_EIF_SIGNATURE and others)
does not hold, which is shown all the same, in JSON with "error"; 2 for wrong usage.
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
    const bytes = decodeText(await readInput(file, io, MAX_IMAGE_BYTES));
    const { title, checked, lines, json, refusal } = await inspectBytes(bytes, io.now());
    const error = refusal && { code: refusal.code, message: refusal.message };
    print(
      io,
      values.json === true,
      { ...json, ...(error && { error }) },
      () => `${title}; ${checked}\n${layOut(lines)}`,
    );
    if (error === undefined) return 0;
    io.stderr(`nitro-decrypt inspect: ${error.code}: ${error.message}\n`);
    return 1;
  },
});

/** Each of the formats is known by its first bytes. */
async function inspectBytes(bytes: Uint8Array, now: Date): Promise<Inspection> {
  if (toHex(bytes.subarray(0, 4)) === "2e656966") return inspectImage(bytes, now); // ".eif"
  if (looksLikeKmsCiphertext(bytes)) return inspectKmsCiphertext(bytes);
  if (bytes[0] === 0x30) return inspectEnvelope(bytes); // a SEQUENCE
  if (bytes[0] === 0x84 || bytes[0] === 0xd2) return inspectAttestation(bytes); // an array of four, or tag 18
  throw new CommandFailure(
    1,
    "expected an attestation document, a CiphertextForRecipient, a KMS ciphertext of a symmetric key, or an EIF; " +
      `got something that starts with ${toHex(bytes.subarray(0, 4))}`,
  );
}
