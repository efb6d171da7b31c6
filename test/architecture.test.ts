/** What each entry can reach is a checked-in list, and no part imports what it must not. DESIGN: layout and import rules. */
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { closureOf, describeClosure, importsOf } from "./support/closure.js";
import { projectRoot, runCommand } from "./support/project.js";

const PARTS = ["shared", "client", "vsock", "transport", "enclave", "parent", "simulator", "cli"] as const;
type Part = (typeof PARTS)[number];

/** Which parts a part may import, itself aside. */
const ALLOWED: Readonly<Record<Part, readonly Part[]>> = {
  shared: [],
  client: ["shared"],
  vsock: [],
  transport: ["shared", "vsock"],
  enclave: ["shared", "vsock", "transport"],
  parent: ["shared", "transport"],
  simulator: ["shared"],
  cli: ["shared", "client", "vsock", "transport", "enclave", "parent", "simulator"],
};

const sourcesOf = (part: Part): string[] =>
  readdirSync(join(projectRoot, part), { recursive: true, encoding: "utf8" })
    .filter((path) => path.endsWith(".ts") && !path.endsWith(".d.ts"))
    .map((path) => join(part, path));

describe("import closures", () => {
  for (const entry of ["client", "client/node", "enclave", "parent", "simulator"] as const) {
    it(`the closure of ${entry} equals its checked-in list`, async () => {
      const list = `golden/${entry.replace("/", "-")}.txt`;
      await expect(describeClosure(`${entry}/index.js`)).toMatchFileSnapshot(list);
    });
  }

  it("nothing of simulator/, cli/ or test/ is reachable from client, enclave or parent (pitfall 22)", () => {
    for (const entry of ["client", "client/node", "enclave", "parent"]) {
      const { modules, packages } = closureOf(`${entry}/index.js`);
      expect(modules.length).toBeGreaterThan(3);
      expect(modules.filter((path) => /^(simulator|cli|test|bench)\//.test(path))).toEqual([]);
      expect(packages).not.toContain("node-forge");
      expect(packages).not.toContain("@peculiar/x509");
    }
  });

  it("the simulated root's marker is in nothing that ships to an enclave, a parent or a client (pitfall 22)", () => {
    const marked = (entry: string) =>
      closureOf(entry).modules.filter((path) =>
        readFileSync(join(projectRoot, "dist", path), "utf8").includes("SIMULATED-ROOT-DO-NOT-TRUST"),
      );
    expect(marked("simulator/index.js")).not.toEqual([]); // the positive control: the marker is where it belongs
    for (const entry of ["client", "client/node", "enclave", "parent"]) {
      expect(marked(`${entry}/index.js`)).toEqual([]);
    }
  });

  it("the client needs no Node built-in", () => {
    expect(closureOf("client/index.js").builtins).toEqual([]);
  });
});

describe("import directions", () => {
  for (const part of PARTS) {
    it(`${part} imports nothing but ${["itself", ...ALLOWED[part]].join(", ")}`, () => {
      const sources = sourcesOf(part);
      expect(sources.length).toBeGreaterThan(0);
      const wrong = sources.flatMap((path) =>
        importsOf(readFileSync(join(projectRoot, path), "utf8"))
          .filter((specifier) => specifier.startsWith("."))
          .map((specifier) => join(path, "..", specifier).split("/")[0] ?? "")
          .filter((target) => target !== part && !(ALLOWED[part] as readonly string[]).includes(target))
          .map((target) => `${path} imports ${target}`),
      );
      expect(wrong).toEqual([]);
    });
  }
});

describe("the compiler refuses forbidden imports", () => {
  let copy = "";
  beforeAll(() => {
    copy = mkdtempSync(join(tmpdir(), "nitro-decrypt-architecture-"));
    for (const part of PARTS) cpSync(join(projectRoot, part), join(copy, part), { recursive: true });
    for (const file of ["tsconfig.base.json", "package.json"]) cpSync(join(projectRoot, file), join(copy, file));
    symlinkSync(join(projectRoot, "node_modules"), join(copy, "node_modules"), "dir");
  });
  afterAll(() => rmSync(copy, { recursive: true, force: true }));

  /** The compiler's output for `part` once `source` stands in it. */
  function compile(part: Part, source: string): string {
    const probe = join(copy, part, "forbidden-probe.ts");
    writeFileSync(probe, source);
    const { stdout } = runCommand(
      process.execPath,
      [join(projectRoot, "node_modules/typescript/bin/tsc"), "-b", part],
      copy,
    );
    rmSync(probe);
    return stdout;
  }

  it("allows what is allowed", () => {
    expect(compile("shared", 'export { utf8 } from "./bytes.js";\n')).toBe("");
    expect(compile("enclave", 'export { utf8 } from "../shared/bytes.js";\n')).toBe("");
  });

  it("enclave may not import parent, nor simulator", () => {
    expect(compile("enclave", 'export * from "../parent/index.js";\n')).toMatch(/TS6307|TS6059/);
    expect(compile("enclave", 'export * from "../simulator/index.js";\n')).toMatch(/TS6307|TS6059/);
  });

  it("parent may not import enclave", () => {
    expect(compile("parent", 'export * from "../enclave/index.js";\n')).toMatch(/TS6307|TS6059/);
  });

  it("client may not import parent, and shared may import nothing outside itself", () => {
    expect(compile("client", 'export * from "../parent/index.js";\n')).toMatch(/TS6307|TS6059/);
    expect(compile("shared", 'export * from "../client/index.js";\n')).toMatch(/TS6307|TS6059/);
  });

  it("shared and client may not use Node's modules or globals", () => {
    for (const part of ["shared", "client"] as const) {
      expect(compile(part, 'import { createHash } from "node:crypto";\nexport const x = createHash;\n')).toMatch(
        /TS2591|TS2307/,
      );
      expect(compile(part, "export const x = Buffer.from([]);\n")).toMatch(/TS2591|TS2580|TS2304/);
    }
  });
});
