/**
 * The client as one file for browsers: what it weighs, that it needs no module and nothing of Node, and that it decrypts.
 * scripts/check-browser.mjs does the same in a real browser.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { utf8 } from "../../shared/bytes.js";
import { base64Of } from "../../shared/wire.js";
import { CONTEXT, startStack } from "../e2e/stack.js";
import { testFolder } from "../support/folder.js";
import { projectRoot, runCommand } from "../support/project.js";

const BUNDLE = join(projectRoot, "dist/browser/nitro-decrypt.js");
/** It has about 67 KiB. */
const MAX_GZIP_BYTES = 80 * 1024;

let sizes: { bytes: number; gzip: number; byPackage: Readonly<Record<string, number>> };
beforeAll(() => {
  const { stdout } = runCommand(process.execPath, ["scripts/bundle-client.mjs", "--json"], projectRoot);
  sizes = JSON.parse(stdout);
});

describe("the bundle for browsers", () => {
  it("is small, and has the packages of the client's closure and no other", () => {
    expect(sizes.gzip).toBeLessThan(MAX_GZIP_BYTES);
    expect(Object.keys(sizes.byPackage).sort()).toEqual([
      "@hpke/common",
      "@hpke/core",
      "cbor-x",
      "nitro-decrypt",
      "zod",
    ]);
  });

  it("imports nothing, of Node or otherwise", () => {
    const source = readFileSync(BUNDLE, "utf8");
    expect(source).toContain("ERR_PCR_MISMATCH"); // the positive control: it is the client
    expect(source).not.toMatch(/\bimport\s*[("'{]|\brequire\(|node:/);
  });

  it("decrypts through a sealed request", async () => {
    const stack = await startStack();
    const { url, pcrs, trustAnchor, token } = {
      ...{ url: stack.parent.url, pcrs: stack.policy.pcrs[0], token: stack.token },
      trustAnchor: stack.simulation.trustAnchor.sha256,
    };
    const ciphertext = base64Of(await stack.encrypt(utf8("only the enclave sees this")));
    const page = join(testFolder(), "page.mjs");
    const given = JSON.stringify({ url, pcrs, trustAnchor, token, ciphertext, encryptionContext: CONTEXT });
    writeFileSync(page, pageFor(given));
    const options = ["--experimental-vm-modules", "--no-warnings"];
    const child = spawn(process.execPath, [...options, page], { stdio: ["ignore", "pipe", "pipe"] });
    let said = "";
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (part) => (said += part));
    await once(child, "close");
    expect(said).toBe("only the enclave sees this, ERR_PCR_MISMATCH\n");
  });
});

/** All that the bundle finds beside the language. Byte arrays are the outer realm's, whose platform objects make them. */
const WEB_GLOBALS = [
  "console crypto fetch Request Response Headers URL URLSearchParams TextEncoder TextDecoder AbortController AbortSignal",
  "DOMException Event EventTarget performance ReadableStream setTimeout clearTimeout queueMicrotask structuredClone atob btoa",
  "ArrayBuffer Uint8Array DataView",
].flatMap((names) => names.split(" "));

/** A module that uses the bundle as a page would, in a realm without anything of Node, and without code from strings. */
const pageFor = (given: string): string => `
const { url, pcrs, trustAnchor, token, ciphertext, encryptionContext } = ${given};
const { createContext, SourceTextModule } = await import("node:vm");
const { readFileSync } = await import("node:fs");
const globals = Object.fromEntries(${JSON.stringify(WEB_GLOBALS)}.map((name) => [name, globalThis[name]]));
const context = createContext(globals, { codeGeneration: { strings: false, wasm: false } });
const bundle = new SourceTextModule(readFileSync(${JSON.stringify(BUNDLE)}, "utf8"), { context });
await bundle.link((name) => {
  throw new Error("it imports " + name);
});
await bundle.evaluate();
const client = bundle.namespace;
const connect = (changes = {}) =>
  client.connectEnclave(url, {
    trustAnchor: client.trustAnchorFromSha256("simulated", trustAnchor),
    policy: {
      pcrs: [{ ...pcrs, ...changes }],
      configuration: "pinned",
      freshness: { kind: "within", seconds: 60, skewSeconds: 5 },
      debug: "reject",
    },
    token,
  });
const bytes = Uint8Array.from(atob(ciphertext), (character) => character.charCodeAt(0));
const { plaintext } = await (await connect()).decrypt({ ciphertext: bytes, encryptionContext });
const refusal = await connect({ 0: "11".repeat(48) }).catch((error) => error.code);
console.log(new TextDecoder().decode(plaintext) + ", " + refusal);
`;
