/** What `npm pack` yields, installed in an empty folder and used from there. DESIGN: public surface. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { installPacked } from "./support/packed.js";
import { projectRoot, runCommand } from "./support/project.js";

const ENTRIES = ["", "/node", "/enclave", "/parent", "/simulator"].map((path) => `nitro-decrypt${path}`);

describe("the packed package", () => {
  let folder = "";
  let files: string[] = [];

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "nitro-decrypt-package-"));
    files = installPacked(folder);
    writeFileSync(join(folder, "package.json"), JSON.stringify({ name: "consumer", private: true, type: "module" }));
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it("holds the parts that ship, and neither tests nor benchmarks", () => {
    expect(files).toContain("package.json");
    expect(files).toContain("LICENSE");
    expect(files).toContain("dist/client/index.d.ts");
    expect(files).toContain("dist/cli/main.js");
    expect(files.filter((path) => /^dist\/(test|bench|\.build)\//.test(path))).toEqual([]);
    const sources = files.filter((path) => path.endsWith(".ts") && !path.endsWith(".d.ts"));
    expect(sources.filter((path) => !path.startsWith("template/"))).toEqual([]);
  });

  it("exports the public surface of each entry", async () => {
    const listing = `for (const entry of ${JSON.stringify(ENTRIES)}) {
      console.log("# " + entry);
      for (const name of Object.keys(await import(entry)).sort()) console.log(name);
    }`;
    writeFileSync(join(folder, "surface.mjs"), listing);
    const { stdout, stderr } = runCommand(process.execPath, ["surface.mjs"], folder);
    expect(stderr).toBe("");
    await expect(stdout).toMatchFileSnapshot("golden/surface.txt");
  });

  it("verifies and appraises a document of its own simulation", () => {
    writeFileSync(join(folder, "use.mjs"), readFileSync(join(projectRoot, "test/readme/verify.mjs")));
    const { stdout, stderr } = runCommand(process.execPath, ["use.mjs"], folder);
    expect(stderr.replace(/\(node:[\s\S]*?created\)\n/, "")).toBe("");
    expect(stdout).toBe("genuine and as expected\n");
  });

  it("carries types that a strict consumer compiles against, and that have not become any", () => {
    writeFileSync(join(folder, "consumer.ts"), readFileSync(join(projectRoot, "test/types/consumer.ts")));
    const options = { strict: true, module: "NodeNext", target: "ES2022", noEmit: true, types: ["node"] };
    const tsconfig = { compilerOptions: { ...options, skipLibCheck: true }, files: ["consumer.ts"] };
    writeFileSync(join(folder, "tsconfig.json"), JSON.stringify(tsconfig));
    const tsc = join(projectRoot, "node_modules/typescript/bin/tsc");
    expect(runCommand(process.execPath, [tsc, "-p", "."], folder).stdout).toBe("");
  });

  it("brings the command", () => {
    const command = join(folder, "node_modules/nitro-decrypt/dist/cli/main.js");
    const { stdout, status } = runCommand(process.execPath, [command, "--help"], folder);
    expect(status).toBe(0);
    expect(stdout).toContain("nitro-decrypt");
  });
});
