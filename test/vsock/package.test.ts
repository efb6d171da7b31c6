/** What `npm run package:vsock` yields, with nothing beside it; and the README's examples on it. */
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { projectRoot, runCommand } from "../support/project.js";
import { unpackTarball } from "../support/tarball.js";
import { describeNative, testAddon } from "../support/vsock.js";

describeNative("the package vsock", () => {
  let folder = "";
  let files: string[] = [];
  const binary = `prebuilds/linux-${process.arch}.node`;

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "vsock-package-"));
    const installed = join(folder, "node_modules/vsock");
    mkdirSync(installed, { recursive: true });
    const args = ["run", "--silent", "package:vsock", "--", "--silent", "--pack-destination", folder];
    const packed = runCommand("npm", args, projectRoot);
    expect(packed.status, packed.stderr).toBe(0);
    const tarball = join(folder, packed.stdout.trim().split("\n").pop() ?? "");
    files = unpackTarball(readFileSync(tarball), installed);
    writeFileSync(join(folder, "package.json"), '{ "private": true, "type": "module" }');
  }, 240_000);
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  const runHere = (name: string, source: string): string => {
    writeFileSync(join(folder, name), source);
    const { stdout, stderr } = runCommand(process.execPath, [name], folder);
    return stdout + stderr;
  };

  it("holds modules, types, the C file, binaries, licence and README, and nothing else", () => {
    expect(files).toEqual(
      expect.arrayContaining([binary, "addon.c", "dist/index.js", "dist/index.d.ts", "LICENSE", "README.md"]),
    );
    const expected =
      /^(dist\/[a-z]+(\.d)?\.[jt]s|prebuilds\/linux-(x64|arm64)\.node|addon\.c|package\.json|LICENSE|README\.md)$/;
    expect(files.filter((path) => !expected.test(path))).toEqual([]);
  });

  it("loads the binary that it brings", () => {
    const device =
      'import { nsmRequest } from "vsock"; nsmRequest(2147483647, Buffer.alloc(1)).catch((e) => console.log(e.code));';
    expect(runHere("load.mjs", device)).toBe("EBADF\n");
  });

  it("does what its README shows", () => {
    copyFileSync(testAddon ?? "", join(folder, "node_modules/vsock", binary)); // this machine need not have AF_VSOCK
    const readme = readFileSync(join(projectRoot, "vsock/README.md"), "utf8");
    const [echo = "", nsm = "", ...more] = [...readme.matchAll(/^```js\n(.*?)^```$/gms)].map(([, code = ""]) => code);
    expect(more).toEqual([]);
    expect(runHere("echo.mjs", echo)).toBe("connected from CID 1\nechoed hello\n");
    expect(runHere("nsm.mjs", nsm.replace("/dev/nsm", "/dev/null"))).toBe("ENOTTY\n");
  });
});
