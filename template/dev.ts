/** `npm run dev`: the whole stack on this machine until Ctrl-C, and a line to try each function with. */
import { writeFile } from "node:fs/promises";
import { makeSamples } from "./local/samples.js";
import { startLocalStack } from "./local/stack.js";

const TENANT = "acme";

const stack = await startLocalStack();
const samples = await makeSamples(stack.operator, TENANT);
const base64 = (bytes: Uint8Array | undefined) => bytes && Buffer.from(bytes).toString("base64");
const calls = Object.entries(samples).map(([name, { ciphertext, message, ...rest }]) => [
  name,
  { ...rest, ciphertext: base64(ciphertext), message: base64(message) },
]);
const { url, pcrs, trustAnchor } = stack;
const token = await stack.tokenFor(TENANT);
const file = "dist/dev.json";
await writeFile(file, JSON.stringify({ url, pcrs, trustAnchor, token, calls: Object.fromEntries(calls) }));

const lines = Object.keys(samples).map((name) => `  node dist/call.js ${file} ${name}`);
const registers = Object.entries(pcrs).map(([index, value]) => `  PCR${index.padEnd(3)} ${value}`);
process.stdout.write(`An enclave with your functions runs behind ${url}. Ctrl-C ends it.

KMS decrypts for, and the client sends to, nothing but
${registers.join("\n")}

Call your functions over a sealed channel:
${lines.join("\n")}
`);
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => void stack.close());
