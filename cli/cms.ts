/** `nitro-decrypt cms open`: opens a `CiphertextForRecipient` with a private key in a file, to check interoperability. */
import type { KeyObject } from "node:crypto";
import { createPrivateKey } from "node:crypto";
import { parseArgs } from "node:util";
import { openCiphertextForRecipient } from "../enclave/kms/ciphertext-for-recipient.js";
import { toBase64, wipe } from "../shared/bytes.js";
import { MAX_CIPHERTEXT_FOR_RECIPIENT_BYTES } from "../shared/cms.js";
import { isPem } from "../shared/pem.js";
import { CommandFailure, defineCommand } from "./command.js";
import { asText, decodeText, readInput } from "./input.js";
import { onlyPositional, optionValue } from "./option-values.js";

const MAX_KEY_FILE_BYTES = 64 * 1024;
/** Hexadecimal with line ends. */
const MAX_BLOB_FILE_BYTES = 3 * MAX_CIPHERTEXT_FOR_RECIPIENT_BYTES;

const usage = `\
Opens a CiphertextForRecipient of AWS KMS with the recipient's private key and writes the plaintext
to stdout, as it is.

Usage: nitro-decrypt cms open --key FILE BLOB [--json]

BLOB is a file with the CiphertextForRecipient, raw, in base64 or hexadecimal; - is stdin.

  --key FILE  the RSA-2048 private key, in PEM or DER, PKCS #8 or PKCS #1, not encrypted; - is stdin
  --json      {"plaintext": base64, "bytes": number} in place of the plaintext
  --help

That a blob opens does not say that AWS KMS made it: whoever has the public key can.

Exit code 0 if it opens; 1 if not (ERR_CMS_MALFORMED: it is none; ERR_DECRYPTION_FAILED: not with this
key); 2 for wrong usage.
`;

export const cms = defineCommand({
  name: "cms",
  summary: "open a CiphertextForRecipient with a private key",
  usage,
  async execute(argv, io) {
    const { values, positionals } = parseArgs({
      args: [...argv],
      allowPositionals: true,
      options: { key: { type: "string", multiple: true }, json: { type: "boolean" } },
    });
    const [action, ...files] = positionals;
    if (action !== "open") throw new CommandFailure(2, `expected "cms open", got "cms ${action ?? ""}"`);
    const file = onlyPositional(files, "the BLOB to open");
    const keyFile = optionValue(values, "key");
    if (keyFile === undefined) throw new CommandFailure(2, "--key is required");
    if (keyFile === "-" && file === "-") throw new CommandFailure(2, "only one of --key and BLOB can be stdin");

    const key = parseRecipientKey(await readInput(keyFile, io, MAX_KEY_FILE_BYTES), keyFile);
    const blob = decodeText(await readInput(file, io, MAX_BLOB_FILE_BYTES));
    const plaintext = openCiphertextForRecipient(blob, key);
    if (values.json === true) {
      io.stdout(`${JSON.stringify({ plaintext: toBase64(plaintext), bytes: plaintext.length })}\n`);
    } else {
      io.stdout(plaintext);
    }
    return 0;
  },
});

/** The key in `bytes`, whichever of the four forms it has. */
function parseRecipientKey(bytes: Uint8Array<ArrayBuffer>, file: string): KeyObject {
  const text = asText(bytes);
  const key =
    text !== undefined && isPem(text) ? parsePem(text) : (parseDer(bytes, "pkcs8") ?? parseDer(bytes, "pkcs1"));
  wipe(bytes);
  if (key === undefined) {
    throw new CommandFailure(1, `expected a private key in PEM or DER, not encrypted; ${file} holds none`);
  }
  const { asymmetricKeyType: type, asymmetricKeyDetails: details } = key;
  if (type === "rsa" && details?.modulusLength === 2048) return key;
  const size = details?.modulusLength ?? details?.namedCurve ?? "";
  throw new CommandFailure(1, `expected an RSA-2048 private key; ${file} holds one of type ${type} ${size}`.trimEnd());
}

function parsePem(text: string): KeyObject | undefined {
  try {
    return createPrivateKey(text);
  } catch {
    return undefined; // OpenSSL's reasons for not reading a key help nobody; the caller says what was expected
  }
}

function parseDer(bytes: Uint8Array, type: "pkcs8" | "pkcs1"): KeyObject | undefined {
  try {
    return createPrivateKey({ key: Buffer.from(bytes), format: "der", type });
  } catch {
    return undefined; // not of this form: the caller tries the next
  }
}
