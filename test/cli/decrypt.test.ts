/** `nitro-decrypt decrypt`: what comes out, and what it says when nothing does. */
import { writeFileSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { createServer } from "node:net";
import { join } from "node:path";
import { buildClient, CommitmentPolicy, KmsKeyringNode } from "@aws-crypto/client-node";
import { GenerateDataKeyCommand } from "@aws-sdk/client-kms";
import { beforeEach, describe, expect, it } from "vitest";
import { decrypt } from "../../cli/decrypt.js";
import { utf8 } from "../../shared/bytes.js";
import { certificatePem } from "../../simulator/pki/root-file.js";
import type { Stack } from "../e2e/stack.js";
import { CONTEXT, startStack } from "../e2e/stack.js";
import { testFolder } from "../support/folder.js";
import { recordedIo } from "../support/io.js";

const SECRET = utf8("attack at dawn");
const PAIRS = Object.entries(CONTEXT).flatMap(([name, value]) => ["--context", `${name}=${value}`]);

let stack: Stack;
let files: Record<"pcrs" | "token" | "root", string>;
beforeEach(async () => {
  stack = await startStack();
  const folder = testFolder();
  const write = (name: string, content: string): string => {
    writeFileSync(join(folder, name), content);
    return join(folder, name);
  };
  files = {
    pcrs: write("pcrs.json", JSON.stringify(namedPcrs(stack))),
    token: write("token", `${stack.token}\n`),
    root: write("root.pem", certificatePem(stack.simulation.pki.root.certificateDer)),
  };
});

const namedPcrs = ({ policy }: Stack) =>
  Object.fromEntries(Object.entries(policy.pcrs[0]).map(([index, value]) => [`PCR${index}`, value]));

const sealedUrl = (): string => stack.parent.url;
function tlsUrl(): string {
  const { host, port } = stack.parent.tlsAddress ?? { host: "", port: 0 };
  return `tls://${host}:${port}`;
}

interface Run {
  readonly url?: string;
  readonly input?: Uint8Array;
  readonly args?: readonly string[];
  readonly without?: string;
}

async function run({ url = sealedUrl(), input, args = PAIRS, without }: Run) {
  const io = recordedIo({ now: () => new Date(), ...(input ? { input } : {}) });
  const options = { url, pcrs: files.pcrs, token: files.token, root: files.root };
  const given = Object.entries(options).flatMap(([name, value]) => (name === without ? [] : [`--${name}`, value]));
  const exitCode = await decrypt.run([...given, ...args], io);
  return { exitCode, out: io.outBytes, err: io.err, text: io.out };
}

/** A message of the AWS Encryption SDK. */
async function messageOf(plaintext: Uint8Array): Promise<Uint8Array> {
  const { operator, keyArn } = stack;
  const unused = (): never => {
    throw new TypeError("one data key is enough");
  };
  const keyring = new KmsKeyringNode({
    generatorKeyId: keyArn,
    clientProvider: () => ({
      generateDataKey: (request) => operator.send(new GenerateDataKeyCommand(request)),
      encrypt: unused,
      decrypt: unused,
    }),
  });
  const commitmentPolicy = CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT;
  const sdk = buildClient({ commitmentPolicy, maxEncryptedDataKeys: 1 });
  return new Uint8Array(
    (await sdk.encrypt(keyring, plaintext, { encryptionContext: CONTEXT, suiteId: 0x0478 })).result,
  );
}

describe("decrypt", () => {
  it.each([
    ["a sealed request", sealedUrl],
    ["attested TLS", tlsUrl],
  ])("writes the plaintext of a KMS ciphertext and nothing else, through %s", async (_, url) => {
    const { exitCode, out, err } = await run({ url: url(), input: await stack.encrypt(SECRET) });
    expect({ exitCode, err }).toEqual({ exitCode: 0, err: "" });
    expect(out).toEqual(SECRET);
  });

  it.each([
    ["a sealed request", sealedUrl],
    ["attested TLS", tlsUrl],
  ])("writes the plaintext of a message, through %s", async (_, url) => {
    const { exitCode, out } = await run({ url: url(), input: await messageOf(SECRET) });
    expect({ exitCode, out }).toEqual({ exitCode: 0, out: SECRET });
  });

  it("tells its progress with a large message, over attested TLS", async () => {
    const plaintext = new Uint8Array(3 * 1024 * 1024).fill(7);
    const input = await messageOf(plaintext);
    const { exitCode, out, err } = await run({ url: tlsUrl(), input, args: [...PAIRS, "--progress"] });
    expect(exitCode).toBe(0);
    expect(Buffer.compare(out, plaintext)).toBe(0);
    expect(err.endsWith("\n")).toBe(true);
    expect(err.split("\r").at(-1)).toMatch(/^decrypted 3\.0 MiB, \d+\.\d MiB\/s/);
  });

  it("says that a message is too large for a sealed request, and what takes it", async () => {
    const { exitCode, err } = await run({ input: new Uint8Array(800 * 1024).fill(2) });
    expect(exitCode).toBe(1);
    expect(err).toContain("ERR_MESSAGE_TOO_LARGE: stdin is larger than 716800 bytes; a tls:// URL takes any size");
  });

  it("fails with what was authenticated before a message's tampered end, never with success", async () => {
    const input = await messageOf(new Uint8Array(1024 * 1024).fill(7));
    input[input.length - 1] = (input.at(-1) ?? 0) ^ 1;
    const { exitCode, err } = await run({ url: tlsUrl(), input });
    expect(exitCode).toBe(1);
    expect(err).toContain("ERR_DECRYPTION_FAILED");
  });
});

describe("warnings of decrypt", () => {
  it.each([
    ["a sealed request", sealedUrl],
    ["attested TLS", tlsUrl],
  ])("are of the context that a message has, through %s, and of none of its values", async (_, url) => {
    const enclave = await stack.connect();
    const encryptionContext = { ...CONTEXT, contact: "alice@example.com" };
    const { message } = await enclave.encryptMessage({ plaintext: SECRET, encryptionContext });
    const { exitCode, out, err } = await run({ url: url(), input: message });
    expect({ exitCode, out }).toEqual({ exitCode: 0, out: SECRET });
    expect(err).toMatch(/^nitro-decrypt decrypt: warning: CONTEXT_PERSONAL_DATA: the pair contact .*\n$/);
    expect(err).not.toContain("alice");
  });

  it("are of the context that is given, once", async () => {
    const context = { ...CONTEXT, contact: "alice@example.com" };
    const args = [...PAIRS, "--context", "contact=alice@example.com"];
    const { exitCode, err } = await run({ input: await stack.encrypt(SECRET, context), args });
    expect(exitCode).toBe(0);
    expect(err.match(/CONTEXT_PERSONAL_DATA/g)).toHaveLength(1);
  });
});

describe("decrypt is refused, and says why", () => {
  it.each([
    ["another image", 0, "ERR_PCR_MISMATCH"],
    ["another configuration", 16, "ERR_PCR_MISMATCH"],
  ])("%s than --pcrs names", async (_, index, code) => {
    writeFileSync(files.pcrs, JSON.stringify({ ...namedPcrs(stack), [`PCR${index}`]: "11".repeat(48) }));
    const { exitCode, err, text } = await run({ input: await stack.encrypt(SECRET) });
    expect({ exitCode, text }).toEqual({ exitCode: 1, text: "" });
    expect(err).toContain(code);
  });

  it("another root: without --root AWS's is meant", async () => {
    const { exitCode, err } = await run({ input: await stack.encrypt(SECRET), without: "root" });
    expect(exitCode).toBe(1);
    expect(err).toContain("ERR_TRUST_ANCHOR");
  });

  it("a token that is none", async () => {
    writeFileSync(files.token, "not-a-token");
    const { exitCode, err } = await run({ input: await stack.encrypt(SECRET) });
    expect(exitCode).toBe(1);
    expect(err).toContain("ERR_TOKEN_MALFORMED");
  });

  it("another encryption context", async () => {
    const { exitCode, err } = await run({ input: await stack.encrypt(SECRET), args: ["--context", "tenant=globex"] });
    expect(exitCode).toBe(1);
    expect(err).toContain("ERR_KMS_DENIED");
  });

  it("input that is neither a ciphertext nor a message, and with --json also on stdout", async () => {
    const { exitCode, text } = await run({ input: new Uint8Array(7_000).fill(9), args: [...PAIRS, "--json"] });
    expect(exitCode).toBe(1);
    expect(JSON.parse(text)).toMatchObject({ error: { code: "ERR_MESSAGE_MALFORMED" } });
  });
});

/** A port at which nobody listens any more. */
async function closedPort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

describe("what decrypt says of mistakes", () => {
  it.each([
    ["a sealed request", sealedUrl],
    ["attested TLS", tlsUrl],
  ])("an empty stdin, through %s", async (_, url) => {
    const { exitCode, err } = await run({ url: url(), input: new Uint8Array() });
    expect(exitCode).toBe(1);
    expect(err).toContain("ERR_MESSAGE_MALFORMED: stdin is empty");
  });

  it("an empty token file", async () => {
    writeFileSync(files.token, "\n");
    const { exitCode, err } = await run({});
    expect(exitCode).toBe(1);
    expect(err).toMatch(/ERR_TOKEN_MISSING: .* is empty: expected a token/);
  });

  it("a simulation without its root", async () => {
    const { exitCode, err } = await run({ without: "root" });
    expect(exitCode).toBe(1);
    expect(err).toMatch(/ERR_TRUST_ANCHOR: .*--root FILE/);
  });

  it.each(["http", "tls"])("nobody at a URL of %s: why, and which URL is for what", async (scheme) => {
    const { exitCode, err } = await run({ url: `${scheme}://127.0.0.1:${await closedPort()}`, input: SECRET });
    expect(exitCode).toBe(1);
    expect(err).toMatch(/ERR_ENCLAVE_UNAVAILABLE: .*ECONNREFUSED.*tls:\/\/ is for its pass-through/);
  });

  it("takes PCR16 beside the measurements of nitro-cli", async () => {
    const { PCR16, ...image } = namedPcrs(stack);
    writeFileSync(files.pcrs, JSON.stringify({ Measurements: { HashAlgorithm: "Sha384 { ... }", ...image }, PCR16 }));
    expect(await run({ input: await stack.encrypt(SECRET) })).toMatchObject({ exitCode: 0, out: SECRET });
  });
});

describe("wrong usage of decrypt", () => {
  it("names all that is missing at once", async () => {
    const io = recordedIo({ now: () => new Date() });
    expect(await decrypt.run([], io)).toBe(2);
    expect(io.err).toContain("--url, --pcrs, --token are required");
  });

  it.each(["tls://127.0.0.1", "tls://127.0.0.1:443/path", "tls://user@127.0.0.1:443"])("the URL %s", async (url) => {
    const { exitCode, err } = await run({ url });
    expect(exitCode).toBe(2);
    expect(err).toContain("--url expects tls://HOST:PORT and nothing more");
  });

  it.each(["url", "pcrs", "token"])("without --%s", async (without) => {
    const { exitCode, err } = await run({ without });
    expect(exitCode).toBe(2);
    expect(err).toContain(`--${without} is required`);
  });

  it.each([
    ["a URL of another kind", ["--url", "ftp://127.0.0.1"], "--url is given 2 times"],
    ["a context that is no pair", ["--context", "tenant"], "--context has the form NAME=VALUE"],
    ["a pair twice", ["--context", "a=1", "--context", "a=2"], "--context a is given more than once"],
    ["an option that is not known", ["--plaintext"], "--plaintext"],
  ])("%s", async (_, args, message) => {
    const { exitCode, err } = await run({ args });
    expect(exitCode).toBe(2);
    expect(err).toContain(message);
  });

  it("a URL that is none of the three", async () => {
    expect(await run({ url: "ftp://127.0.0.1" })).toMatchObject({ exitCode: 2 });
  });

  it("reference values without the configuration, unless any will do", async () => {
    const { PCR16: _, ...image } = namedPcrs(stack);
    writeFileSync(files.pcrs, JSON.stringify({ Measurements: { HashAlgorithm: "Sha384 { ... }", ...image } }));
    const input = await stack.encrypt(SECRET);
    const { exitCode, err } = await run({ input });
    expect(exitCode).toBe(2);
    expect(err).toContain("--pcrs names no PCR16");
    expect(await run({ input, args: [...PAIRS, "--any-configuration"] })).toMatchObject({ exitCode: 0, out: SECRET });
  });

  it.each([
    ["that is no JSON", "PCR0", "ERR_MESSAGE_MALFORMED"],
    ["that lacks PCR2", JSON.stringify({ PCR0: "00".repeat(48), PCR1: "00".repeat(48) }), "has no PCR0, PCR1 and PCR2"],
    ["with a value of another length", JSON.stringify({ PCR0: "00" }), "PCR0 is not 96 hexadecimal digits"],
  ])("a file of reference values %s", async (_, content, message) => {
    writeFileSync(files.pcrs, content);
    const { exitCode, err } = await run({});
    expect(exitCode).toBe(1);
    expect(err).toContain(message);
  });

  it("a proof key that is none, without showing it", async () => {
    const file = join(testFolder(), "key");
    writeFileSync(file, JSON.stringify({ kty: "EC", crv: "P-256", d: "secret" }));
    const { exitCode, err } = await run({ args: [...PAIRS, "--proof-key", file] });
    expect(exitCode).toBe(1);
    expect(err).toMatch(/ERR_MESSAGE_MALFORMED: .* is no private key: expected a JWK/);
    expect(err).not.toContain('"secret"');
  });
});
