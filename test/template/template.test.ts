/**
 * What a user does with template/: takes it out of the packed package into an empty folder, compiles it, runs its tests, and
 * tries it. Its own tests call each function over the simulation; here they run against what was packed.
 */
import type { ChildProcess } from "node:child_process";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, relative, resolve } from "node:path";
import { createInterface } from "node:readline";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { createTokenIssuer } from "../../simulator/token-issuer.js";
import { importsOf } from "../support/closure.js";
import { installPacked, linkPackages, readManifest } from "../support/packed.js";
import { projectRoot, runCommand } from "../support/project.js";

interface Manifest {
  readonly version: string;
  readonly dependencies: Readonly<Record<string, string>>;
  readonly devDependencies: Readonly<Record<string, string>>;
}

const KEY_ARN = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";
let folder = "";
const inFolder = (path: string): string => readFileSync(join(folder, path), "utf8");
const node = (...args: string[]) => runCommand(process.execPath, args, folder);

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "nitro-decrypt-template-"));
  installPacked(folder);
  cpSync(join(folder, "node_modules/nitro-decrypt/template"), folder, { recursive: true });
  linkPackages(folder, Object.keys(readManifest<Manifest>(folder).devDependencies));
  const compiled = node("node_modules/typescript/bin/tsc");
  if (compiled.status !== 0) throw new Error(compiled.stdout);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe("the template, out of the package", () => {
  it("passes its own tests", () => {
    const tests = readdirSync(join(folder, "dist/test")).filter((name) => name.endsWith(".test.js"));
    expect(tests.sort()).toEqual(["functions.test.js", "image.test.js", "settings.test.js"]);
    const { stdout, status } = node("--test", "--test-reporter=tap", ...tests.map((name) => `dist/test/${name}`));
    expect(status, stdout).toBe(0);
    expect(Number(/^# pass (\d+)$/m.exec(stdout)?.[1])).toBeGreaterThanOrEqual(43);
    expect(stdout).toMatch(/^# skipped 0$/m);
    expect(stdout).toMatch(/^# todo 0$/m);
  });

  it("asks for this version of the package, and for the versions of other packages that this one is tested with", () => {
    const ours = readManifest<Manifest>(projectRoot);
    const known = { ...ours.dependencies, ...ours.devDependencies, "nitro-decrypt": ours.version };
    const { dependencies, devDependencies } = readManifest<Manifest>(folder);
    expect(known).toMatchObject({ ...dependencies, ...devDependencies });
  });

  it("imports in what is measured nothing of the simulator, the parent or the client", () => {
    const { modules, packages } = closureOfMain();
    expect(modules).toEqual([
      ...["functions/card-token.js", "functions/match-list.js", "functions/sign-digest.js"],
      ...["main.js", "settings.js"],
    ]);
    expect(packages).toEqual(["@aws-sdk/client-kms", "nitro-decrypt/enclave", "zod"]);
  });

  it("measures what its Dockerfile copies, and runs what its image says", () => {
    const dockerfile = inFolder("Dockerfile");
    const copied = [
      ...dockerfile.slice(dockerfile.lastIndexOf("\nFROM ")).matchAll(/^COPY (?:--from=\S+ )?(.+) \S+$/gm),
    ]
      .flatMap((match) => (match[1] ?? "").split(" "))
      .map((path) => path.replace(/^\/(build|app)\//, ""));
    const image = inFolder("image.ts");
    const named = [...image.matchAll(/^const (?:APPLICATION|MANIFESTS) = (\[.+\]) as const;$/gm)];
    const measured = named.flatMap((match) => JSON.parse(match[1] ?? "") as string[]);
    expect([...measured, "enclave.json", "settings.json", "node_modules"].sort()).toEqual(copied.sort());
    const entrypoint = JSON.parse(/^ENTRYPOINT (.+)$/m.exec(dockerfile)?.[1] ?? "") as string[];
    expect(image).toContain(`const COMMAND_LINE = "${entrypoint.join(" ")}";`);
    expect(entrypoint.every((part) => part.startsWith("/"))).toBe(true);
    expect(dockerfile).not.toMatch(/^USER /m); // the program gives root up itself
  });
});

describe("what the template does on the command line", () => {
  it("dev runs a stack whose printed lines call each function", async () => {
    const dev = spawn(process.execPath, ["dist/dev.js"], { cwd: folder, stdio: ["ignore", "pipe", "ignore"] });
    onTestFinished(() => void dev.kill("SIGKILL"));
    const calls = await printedCalls(dev, 3);
    const outputs = calls.map((line) => {
      const { stdout, stderr, status } = node(...line.trim().split(" ").slice(1));
      expect(status, stderr).toBe(0);
      return JSON.parse(stdout) as unknown;
    });
    expect(outputs).toEqual([
      { lastFour: "1111", token: expect.stringMatching(/^[\w-]{43}$/) },
      { signature: expect.stringMatching(/^[A-Za-z0-9+/]+=*$/) },
      { matches: true },
    ]);
    const other = node("dist/call.js", "dist/dev.json", "match-list", '{"value":"alice"}');
    expect(JSON.parse(other.stdout)).toEqual({ matches: false });
    const ended = once(dev, "exit");
    dev.kill("SIGINT");
    expect(await ended).toEqual([0, null]);
  });

  it("configure and measure write a configuration and print what to pin", async () => {
    const { configuration } = await createTokenIssuer();
    writeFileSync(join(folder, "issuers.json"), JSON.stringify([configuration]));
    writeFileSync(join(folder, "settings.json"), "{}");
    const configured = node("dist/configure.js", KEY_ARN, "issuers.json");
    expect(configured.status, configured.stderr).toBe(0);
    const pcr16 = /^PCR16 ([0-9a-f]{96})$/m.exec(configured.stdout)?.[1];
    const { stdout, status } = node("dist/measure.js");
    expect(status).toBe(0);
    const lines = stdout.trim().split("\n");
    expect(lines.map((line) => line.replace(/ [0-9a-f]{96}$/, ""))).toEqual(["PCR0", "PCR1", "PCR2", "PCR16"]);
    expect(lines.at(-1)).toBe(`PCR16 ${pcr16}`);
    expect(new Set(lines.map((line) => line.split(" ")[1])).size).toBe(4);
  });

  it.skipIf(existsSync("/dev/nsm"))("main says that it has no device, and call and configure how they are used", () => {
    const results = ["main", "call", "configure"].map((name) => node(`dist/${name}.js`));
    expect(results.map(({ status }) => status)).toEqual([1, 2, 2]);
    expect(JSON.parse(results[0]?.stdout ?? "")).toMatchObject({ level: "error", code: "ERR_NSM" });
    for (const { stderr } of results.slice(1)) expect(stderr).toContain("usage: ");
  });
});

/** What the template's main.js can reach: its own modules, and the packages that these import. */
function closureOfMain() {
  const dist = join(folder, "dist");
  const modules = new Set<string>();
  const packages = new Set<string>();
  const pending = [join(dist, "main.js")];
  for (let path = pending.pop(); path !== undefined; path = pending.pop()) {
    if (modules.has(path)) continue;
    modules.add(path);
    expect(existsSync(path), path).toBe(true);
    for (const specifier of importsOf(readFileSync(path, "utf8"))) {
      if (specifier.startsWith(".")) pending.push(resolve(dirname(path), specifier));
      else if (!specifier.startsWith("node:")) packages.add(specifier);
    }
  }
  return { modules: [...modules].map((path) => relative(dist, path)).sort(), packages: [...packages].sort() };
}

/** The first `count` lines of `dev`'s output that call a function. */
async function printedCalls(dev: ChildProcess, count: number): Promise<string[]> {
  const calls: string[] = [];
  if (dev.stdout === null) throw new TypeError("printedCalls: the output is not piped");
  for await (const line of createInterface({ input: dev.stdout })) {
    if (line.includes("dist/call.js")) calls.push(line);
    if (calls.length === count) return calls;
  }
  throw new Error(`expected ${count} lines that call a function, got ${calls.length}`);
}
