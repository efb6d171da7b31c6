/** docs/deploy.md as its tests read it, and the scripts of deploy/. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { testFolder } from "../support/folder.js";
import { projectRoot, runCommand } from "../support/project.js";

export const read = (path: string): string => readFileSync(join(projectRoot, path), "utf8");
export const page = read("docs/deploy.md");

/** The fenced blocks of the document. */
export const blocks = [...page.matchAll(/^```(\w+)\n([\s\S]*?)^```$/gm)].map(([, language = "", text = ""]) => ({
  language,
  text,
}));

/** Its blocks of commands, lines that go on put together. */
export const shell = blocks.filter(({ language }) => language === "sh").map(({ text }) => text.replaceAll("\\\n", " "));

/** The fenced block after `<!-- marker -->`. */
export function blockAfter(marker: string): string {
  const start = page.indexOf(`<!-- ${marker} -->`);
  if (start === -1) throw new Error(`docs/deploy.md has no ${marker}`);
  const body = page.indexOf("\n", page.indexOf("```", start)) + 1;
  return page.slice(body, page.indexOf("```", body));
}

/** What `deploy/NAME` prints for these arguments, with its exit code. */
export const run = (name: string, args: readonly string[], cwd = projectRoot) =>
  runCommand(process.execPath, [join(projectRoot, "deploy", name), ...args], cwd);

/** The key policy for these releases, as the script prints it, among principals that are given as options. */
export function keyPolicy(releases: Readonly<Record<string, unknown>>, principals: readonly string[]) {
  const folder = testFolder();
  const args = Object.entries(releases).flatMap(([name, pcrs]) => {
    writeFileSync(join(folder, `${name}.json`), JSON.stringify({ pcrs }));
    return ["--release", `${name}=${name}.json`];
  });
  return run("policies.mjs", ["key", ...principals, ...args], folder);
}
