/** What needs no binary: arguments that are refused, and the error where there is no binary. */
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { ConnectOptions } from "../../vsock/index.js";
import { connect, createServer, nsmRequest, VsockSocket } from "../../vsock/index.js";
import { projectRoot, runCommand } from "../support/project.js";

const GOOD = { cid: 3, port: 5_000 };
const type = { name: "TypeError", code: "ERR_INVALID_ARG_TYPE" };
const range = { name: "RangeError", code: "ERR_OUT_OF_RANGE" };

describe("arguments are refused as node:net refuses them", () => {
  it("connect", () => {
    const wrong: [unknown, object][] = [
      [undefined, type],
      [{ ...GOOD, cid: "3" }, type],
      [{ port: 1 }, type],
      [{ ...GOOD, cid: -1 }, range],
      [{ ...GOOD, cid: 2 ** 32 }, range],
      [{ ...GOOD, port: 1.5 }, range],
      [{ ...GOOD, timeoutMs: 0 }, range],
      [{ ...GOOD, retries: 31 }, range],
    ];
    for (const [options, error] of wrong) {
      expect(() => connect(options as ConnectOptions)).toThrow(expect.objectContaining(error));
    }
    expect(() => connect(GOOD, "no function" as never)).toThrow(expect.objectContaining(type));
  });

  it("createServer and listen", () => {
    expect(() => createServer({}, 1 as never)).toThrow(expect.objectContaining(type));
    expect(() => createServer().listen({ ...GOOD, backlog: 0 })).toThrow(expect.objectContaining(range));
    expect(() => createServer().listen({ ...GOOD, port: Number.NaN })).toThrow(expect.objectContaining(range));
    expect(() => createServer().listen({ cid: 3 } as never)).toThrow(expect.objectContaining(type));
    expect(createServer().address()).toBe(null);
  });

  it("setTimeout and nsmRequest", async () => {
    const socket = new VsockSocket();
    expect(() => socket.setTimeout(-1)).toThrow(expect.objectContaining(range));
    expect(() => socket.setTimeout("1" as never)).toThrow(expect.objectContaining(type));
    await expect(nsmRequest(-1, new Uint8Array(1))).rejects.toMatchObject(range);
    await expect(nsmRequest(0, "text" as never)).rejects.toMatchObject(type);
  });
});

describe("without the binary", () => {
  let folder = "";
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "vsock-missing-"));
    writeFileSync(join(folder, "package.json"), '{ "type": "module" }');
    cpSync(join(projectRoot, "dist/vsock"), join(folder, "dist/vsock"), { recursive: true });
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  /** What becomes of a connection, a listener and a request of the copy. */
  function attempt(before = ""): string[] {
    const source = `${before}import { connect, createServer, nsmRequest } from "./dist/vsock/index.js";
      const tell = (error) => console.log(error.code + " " + error.message);
      connect({ cid: 3, port: 5000 }).on("error", (error) => {
        tell(error);
        createServer().on("error", (late) => { tell(late); nsmRequest(0, new Uint8Array(1)).catch(tell); }).listen({ cid: 3, port: 5000 });
      });`;
    writeFileSync(join(folder, "attempt.mjs"), source);
    return runCommand(process.execPath, ["attempt.mjs"], folder).stdout.trim().split("\n");
  }

  it("says how to build it, and what works without", () => {
    const lines = attempt();
    expect(lines).toHaveLength(3);
    for (const line of lines) {
      expect(line).toMatch(/^ERR_VSOCK_ADDON the vsock addon is missing: there is no prebuilt binary linux-/);
      expect(line).toContain("npm run build:native");
      expect(line).toContain("unix:/path addresses need no addon");
    }
  });

  it("says that there is none elsewhere than on Linux", () => {
    const elsewhere = 'Object.defineProperty(process, "platform", { value: "darwin" });';
    for (const line of attempt(elsewhere)) {
      expect(line).toMatch(
        /^ERR_VSOCK_ADDON the vsock addon is missing: there is no AF_VSOCK on darwin, only on Linux/,
      );
    }
  });

  it("says so as well when the binary is none", () => {
    mkdirSync(join(folder, "vsock/prebuilds"), { recursive: true });
    writeFileSync(join(folder, `vsock/prebuilds/linux-${process.arch}.node`), "not a library");
    for (const line of attempt())
      expect(line).toMatch(/^ERR_VSOCK_ADDON the vsock addon is missing: cannot load .*npm run build:native/);
  });
});
