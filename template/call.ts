/** `node dist/call.js FILE FUNCTION [INPUT]`: a client. It calls a function of the enclave that dev.ts wrote down in FILE. */
import { readFile } from "node:fs/promises";
import { connectEnclave, trustAnchorFromSha256 } from "nitro-decrypt";

/** What dev.ts writes: bytes are base64. */
interface Connection {
  readonly url: string;
  readonly pcrs: Readonly<Record<0 | 1 | 2 | 16, string>>;
  readonly trustAnchor: { readonly name: string; readonly sha256: string };
  readonly token: string;
  readonly calls: Readonly<
    Record<
      string,
      { ciphertext?: string; message?: string; encryptionContext: Record<string, string>; input?: unknown }
    >
  >;
}

const [file, name, input] = process.argv.slice(2);
if (file === undefined || name === undefined) {
  process.stderr.write("usage: node dist/call.js FILE FUNCTION [INPUT]\n");
  process.exit(2);
}
const { url, pcrs, trustAnchor, token, calls } = JSON.parse(await readFile(file, "utf8")) as Connection;
const { ciphertext, message, ...rest } = calls[name] ?? {};

const enclave = await connectEnclave(url, {
  trustAnchor: trustAnchorFromSha256(trustAnchor.name, trustAnchor.sha256), // AWS_NITRO_ENCLAVES_ROOT_G1 for real ones
  policy: {
    pcrs: [pcrs],
    configuration: "pinned",
    freshness: { kind: "within", seconds: 60, skewSeconds: 5 },
    debug: "reject",
  },
  token,
});
const output = await enclave.callFunction(name, {
  ...rest,
  ...(ciphertext === undefined ? {} : { ciphertext: Buffer.from(ciphertext, "base64") }),
  ...(message === undefined ? {} : { message: Buffer.from(message, "base64") }),
  ...(input === undefined ? {} : { input: JSON.parse(input) }),
});
process.stdout.write(`${JSON.stringify(output)}\n`);
enclave.close();
