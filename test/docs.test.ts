/** The documents stay true: error codes, links. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, it } from "vitest";
import { ERRORS } from "../shared/errors.js";
import { projectRoot } from "./support/project.js";

const read = (path: string): string => readFileSync(join(projectRoot, path), "utf8");

describe("docs/errors.md", () => {
  const rows = [...read("docs/errors.md").matchAll(/^\| `(ERR_[A-Z_]+)` \| (\d{3}) \| (.+?) \| (.+?) \| (.+?) \|$/gm)];
  const documented = rows.map((row) => row[1]);

  it("lists every code of the source once", () => {
    expect([...documented].sort()).toEqual(Object.keys(ERRORS).sort());
  });

  it("gives each code its HTTP status, meaning, cause and remedy", () => {
    for (const [, code, status, ...columns] of rows) {
      expect(Number(status), code).toBe(ERRORS[code as keyof typeof ERRORS].status);
      for (const column of columns) expect(column.length, code).toBeGreaterThan(5);
    }
  });

  it("lists no code that the source never throws", () => {
    const source = ["shared", "client", "vsock", "enclave", "parent", "simulator", "cli"]
      .flatMap((part) =>
        readdirSync(join(projectRoot, part), { recursive: true, encoding: "utf8" }).map((path) => join(part, path)),
      )
      .filter((path) => path.endsWith(".ts") && path !== "shared/errors.ts")
      .map(read)
      .join("\n");
    expect(documented.filter((code) => !source.includes(`"${code}"`))).toEqual([]);
  });
});

describe("links between the documents", () => {
  const documents = [
    "README.md",
    "SECURITY.md",
    "CHANGELOG.md",
    ...readdirSync(join(projectRoot, "docs"), { recursive: true, encoding: "utf8" })
      .filter((path) => path.endsWith(".md"))
      .map((path) => join("docs", path)),
  ];

  it.each(documents)("every relative link of %s leads to a file", (document) => {
    const targets = [...read(document).matchAll(/\]\((?!https?:|#|mailto:)([^)#\s]+)/g)].map((match) => match[1] ?? "");
    expect(targets.filter((target) => !existsSync(join(projectRoot, dirname(document), target)))).toEqual([]);
  });

  it.each(["SECURITY.md", "README.md"])("every source file and test that %s names exists", (document) => {
    const named = [
      ...read(document).matchAll(
        /`((?:shared|client|vsock|enclave|parent|simulator|cli|test|bench|docs|scripts)\/[\w./-]+\.(?:ts|md|sh|txt))`/g,
      ),
    ].map((match) => match[1] ?? "");
    expect(named.length).toBeGreaterThan(0);
    expect(named.filter((path) => !existsSync(join(projectRoot, path)))).toEqual([]);
  });
});
