/** docs/verification.md, the sources and the tests name the same checks. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { ERRORS } from "../shared/errors.js";
import { projectRoot } from "./support/project.js";

const read = (path: string): string => readFileSync(join(projectRoot, path), "utf8");
const filesBelow = (folder: string): string[] =>
  readdirSync(join(projectRoot, folder), { recursive: true, encoding: "utf8" }).map((path) => join(folder, path));

const rows = [...read("docs/verification.md").matchAll(/^\| (AV-\d\d) \| (.+?) \| `(.+?)` \| (.+?) \|$/gm)].map(
  ([, id = "", check = "", path = "", codes = ""]) => ({ id, check, path, codes: [...codes.matchAll(/`(\w+)`/g)] }),
);
const ids = Array.from({ length: 16 }, (_, index) => `AV-${String(index + 1).padStart(2, "0")}`);

/** The comments of a source file, and the string literals of a test file that is about refusals. */
const commentsOf = (source: string): string => (source.match(/\/\/.*|\/\*[\s\S]*?\*\//g) ?? []).join("\n");
const titlesOf = (source: string): string[] =>
  source.includes(".toThrowCode(") ? (source.match(/(["`])AV-\d\d (?:(?!\1).)+\1/g) ?? []) : [];

const titles = filesBelow("test")
  .filter((path) => path.endsWith(".test.ts"))
  .flatMap((path) => titlesOf(read(path)));

describe("docs/verification.md", () => {
  it("lists the sixteen checks, each once and in order", () => {
    expect(rows.map(({ id }) => id)).toEqual(ids);
  });

  it.each(rows)("$id is in a comment of the file that the table names", ({ id, path }) => {
    expect(commentsOf(read(path))).toContain(id);
  });

  it.each(ids)("%s is in the title of a negative test", (id) => {
    expect(titles.filter((title) => title.slice(1).startsWith(`${id} `)).length).toBeGreaterThan(0);
  });

  it.each(rows)("$id is refused with codes that exist", ({ codes }) => {
    expect(codes.length).toBeGreaterThan(0);
    for (const [, code] of codes) expect(Object.keys(ERRORS)).toContain(code);
  });

  it("explains every id that a source or a test mentions", () => {
    const mentioned = ["shared", "client", "enclave", "simulator", "test"]
      .flatMap(filesBelow)
      .filter((path) => path.endsWith(".ts") && path !== join("test", "docs-verification.test.ts"))
      .flatMap((path) => read(path).match(/AV-\d\d/g) ?? []);
    expect([...new Set(mentioned)].sort()).toEqual(ids);
  });
});
