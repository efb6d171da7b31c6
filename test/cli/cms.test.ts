import { generateKeyPairSync } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { cms } from "../../cli/cms.js";
import { toBase64, toHex, utf8 } from "../../shared/bytes.js";
import { encodeEnvelope, seal } from "../support/cms-builder.js";
import { testFolder } from "../support/folder.js";
import { recordedIo } from "../support/io.js";

const recipient = generateKeyPairSync("rsa", { modulusLength: 2048 });
const stranger = generateKeyPairSync("rsa", { modulusLength: 2048 });
/** Not text: what comes out must be these bytes and nothing besides. */
const plaintext = Uint8Array.of(0, 255, 10, 13, 128, 1);
const envelope = encodeEnvelope(seal(recipient.publicKey, { plaintext }));

const keyFiles = {
  "pkcs8.pem": recipient.privateKey.export({ type: "pkcs8", format: "pem" }),
  "pkcs8.der": recipient.privateKey.export({ type: "pkcs8", format: "der" }),
  "pkcs1.pem": recipient.privateKey.export({ type: "pkcs1", format: "pem" }),
  "pkcs1.der": recipient.privateKey.export({ type: "pkcs1", format: "der" }),
};
const otherKeys = {
  "p384.pem": generateKeyPairSync("ec", { namedCurve: "P-384" }).privateKey,
  "rsa3072.pem": generateKeyPairSync("rsa", { modulusLength: 3072 }).privateKey,
  "stranger.pem": stranger.privateKey,
};

async function run(
  argv: readonly string[],
  { blob = envelope, input }: { blob?: Uint8Array; input?: Uint8Array } = {},
) {
  const cwd = testFolder();
  const write = (name: string, content: string | Uint8Array) => writeFileSync(join(cwd, name), content);
  write("blob", blob);
  for (const [name, key] of Object.entries(keyFiles)) write(name, key);
  write("public.pem", recipient.publicKey.export({ type: "spki", format: "pem" }));
  const encryption = { cipher: "aes-256-cbc", passphrase: "secret" };
  write("encrypted.pem", recipient.privateKey.export({ type: "pkcs8", format: "pem", ...encryption }));
  for (const [name, key] of Object.entries(otherKeys)) write(name, key.export({ type: "pkcs8", format: "pem" }));
  const io = recordedIo({ cwd, ...(input && { input }) });
  const exitCode = await cms.run(argv, io);
  return { exitCode, out: io.out, bytes: io.outBytes, err: io.err };
}

describe("cms open", () => {
  test.each(["pkcs8.pem", "pkcs8.der", "pkcs1.pem", "pkcs1.der"])(
    "opens with %s and writes the very bytes",
    async (key) => {
      const { exitCode, bytes, err } = await run(["open", "--key", key, "blob"]);
      expect({ exitCode, err }).toEqual({ exitCode: 0, err: "" });
      expect(bytes).toEqual(plaintext);
    },
  );

  test.each([
    ["base64", utf8(`${toBase64(envelope)}\n`)],
    ["hexadecimal", utf8(toHex(envelope))],
  ])("opens a blob in %s", async (_, blob) => {
    expect((await run(["open", "--key", "pkcs8.pem", "blob"], { blob })).bytes).toEqual(plaintext);
  });

  test("reads the blob, or the key, from stdin", async () => {
    expect((await run(["open", "--key", "pkcs8.pem", "-"], { input: envelope })).bytes).toEqual(plaintext);
    expect((await run(["open", "--key", "-", "blob"], { input: utf8(String(keyFiles["pkcs8.pem"])) })).bytes).toEqual(
      plaintext,
    );
  });

  test("with --json writes base64", async () => {
    const { exitCode, out } = await run(["open", "--key", "pkcs8.pem", "blob", "--json"]);
    expect(exitCode).toBe(0);
    expect(JSON.parse(out)).toEqual({ plaintext: toBase64(plaintext), bytes: plaintext.length });
  });

  test.each([
    ["another key", "stranger.pem", envelope, "ERR_DECRYPTION_FAILED"],
    ["a blob that is none", "pkcs8.pem", envelope.subarray(1), "ERR_CMS_MALFORMED"],
    [
      "pitfall 17: wrong padding",
      "pkcs8.pem",
      encodeEnvelope(seal(recipient.publicKey, { padded: new Uint8Array(16) })),
      "ERR_DECRYPTION_FAILED: decryption failed\n",
    ],
  ])("refuses %s with its code and writes nothing", async (_, key, blob, code) => {
    const { exitCode, out, err } = await run(["open", "--key", key, "blob"], { blob });
    expect({ exitCode, out }).toEqual({ exitCode: 1, out: "" });
    expect(err).toContain(code);
  });

  test.each([
    ["nowhere", "cannot read nowhere: there is no such file"],
    ["public.pem", "expected a private key in PEM or DER, not encrypted; public.pem holds none"],
    ["encrypted.pem", "expected a private key in PEM or DER, not encrypted; encrypted.pem holds none"],
    ["blob", "expected a private key"],
    ["p384.pem", "expected an RSA-2048 private key; p384.pem holds one of type ec secp384r1"],
    ["rsa3072.pem", "expected an RSA-2048 private key; rsa3072.pem holds one of type rsa 3072"],
  ])("says what is wrong with the key %s", async (key, message) => {
    const { exitCode, err } = await run(["open", "--key", key, "blob"]);
    expect(exitCode).toBe(message.startsWith("cannot read") ? 2 : 1);
    expect(err).toContain(message);
  });

  test("pitfall 25: no message repeats key material", async () => {
    for (const key of ["public.pem", "encrypted.pem", "blob"]) {
      expect((await run(["open", "--key", key, "blob"])).err).not.toMatch(/BEGIN|[A-Za-z0-9+/]{40}/);
    }
  });

  test.each([
    [[]],
    [["close", "--key", "pkcs8.pem", "blob"]],
    [["open", "blob"]],
    [["open", "--key", "pkcs8.pem"]],
    [["open", "--key", "pkcs8.pem", "blob", "blob"]],
    [["open", "--key", "pkcs8.pem", "--key", "pkcs1.pem", "blob"]],
    [["open", "--key", "-", "-"]],
    [["open", "--passphrase", "x", "blob"]],
  ])("wrong usage is exit code 2: %j", async (argv) => {
    const { exitCode, out } = await run(argv);
    expect({ exitCode, out }).toEqual({ exitCode: 2, out: "" });
  });

  test("pitfall 1: --help says that opening proves nothing about the sender", async () => {
    const { exitCode, out } = await run(["--help"]);
    expect(exitCode).toBe(0);
    expect(out).toContain("does not say that AWS KMS made it");
  });
});
