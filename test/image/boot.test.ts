/**
 * The bundle runs with nothing but what /app has: no node_modules, no environment, and Node's permission model refuses every
 * other file, addon and process. It decrypts, by key and with the AWS Encryption SDK: Cedar's engine and the SDKs are in it.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { beforeAll, describe, expect, it, onTestFinished } from "vitest";
import type { EnclaveOptions } from "../../enclave/index.js";
import { utf8 } from "../../shared/bytes.js";
import { serveNsm } from "../../simulator/nsm/server.js";
import { CONTEXT, messageFor, startStack } from "../e2e/stack.js";
import { testFolder } from "../support/folder.js";
import { appFilesOf } from "./app.js";

const SECRET = utf8("only the enclave sees this");
/** It had another name before Node 23.5. */
const PERMISSION = process.allowedNodeEnvironmentFlags.has("--permission")
  ? "--permission"
  : "--experimental-permission";

let app: ReadonlyMap<string, Uint8Array>;
beforeAll(async () => {
  app = await appFilesOf("dist/test/image/enclave-process.js");
});

interface Start {
  readonly files: ReadonlyMap<string, Uint8Array>;
  readonly args: readonly string[];
  /** Where it may make its sockets. */
  readonly sockets: string;
}

/** Starts the bundle in a folder that has it alone; resolves with its first output, which is all of it where it ends. */
async function start({ files, args, sockets }: Start): Promise<string> {
  const folder = testFolder();
  for (const [path, content] of files) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), content);
  }
  const options = [PERMISSION, `--allow-fs-read=${folder}/*`, `--allow-fs-write=${sockets}/*`, "--no-warnings"];
  const command = [...options, join(folder, "enclave.mjs"), ...args];
  const child = spawn(process.execPath, command, { cwd: folder, env: {}, stdio: ["ignore", "pipe", "pipe"] });
  onTestFinished(async () => {
    if (child.exitCode === null && child.kill()) await once(child, "close");
  });
  let said = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (part) => (said += part));
  await Promise.race([once(child.stdout, "data"), once(child, "close")]);
  return said;
}

async function launch({ configuration, nsm, addresses }: EnclaveOptions): Promise<void> {
  const server = await serveNsm(nsm, `unix:${join(testFolder(), "nsm")}`);
  onTestFinished(() => server.close());
  const files = new Map([...app, ["enclave.json", configuration]]);
  const sockets = dirname(addresses.listen.slice("unix:".length));
  const args = [JSON.stringify({ nsm: server.address, addresses })];
  expect(await start({ files, args, sockets })).toBe("serves\n");
}

describe("the bundle, alone in a folder", () => {
  it("serves, and decrypts ciphertexts and messages", async () => {
    const stack = await startStack({ launch });
    const enclave = await stack.connect();
    const ciphertext = await stack.encrypt(SECRET);
    const output = { plaintext: SECRET, keyId: stack.keyArn };
    expect(await enclave.decrypt({ ciphertext, encryptionContext: CONTEXT })).toEqual(output);
    const message = await messageFor(stack, SECRET);
    expect(await enclave.decryptMessage({ message, encryptionContext: CONTEXT })).toMatchObject({ plaintext: SECRET });
  });

  it("is refused whatever is not in its folder, the engine of its policies included", async () => {
    const files = new Map([...app].filter(([path]) => !path.endsWith(".wasm")));
    expect(await start({ files, args: [], sockets: testFolder() })).toContain("cedar_wasm_bg.wasm");
  });

  it("is the image's own program, which does not start where there is no NSM", async () => {
    const sockets = testFolder();
    const names = ["listen", "tls", "tunnel", "services"];
    const args = names.flatMap((name) => [`--${name}`, `unix:${join(sockets, name)}`]);
    expect(await start({ files: await appFilesOf(), args, sockets })).toContain('"code":"ERR_NSM"');
  });
});
