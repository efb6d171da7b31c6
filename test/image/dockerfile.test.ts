/** What Dockerfile.enclave builds from and starts, as far as its text says it; `npm run test:image` builds it. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { ENCLAVE_NODE_OPTIONS } from "../../bench/stack.js";
import { projectRoot } from "../support/project.js";
import { rootfsScript } from "./app.js";

const read = (name: string): string => readFileSync(join(projectRoot, name), "utf8");
const dockerfile = read("Dockerfile.enclave").replace(/^#.*\n/gm, "");
/** What follows `instruction`, once for each time that it stands there. */
const all = (instruction: string): string[] =>
  [...dockerfile.matchAll(new RegExp(`^${instruction} (.+)$`, "gm"))].map((match) => match[1] ?? "");

/** What .dockerignore lets through. */
const context = [...read(".dockerignore").matchAll(/^!(.+)$/gm)].map((match) => match[1] ?? "");

describe("Dockerfile.enclave", () => {
  it("names its base by digest, and has no other", () => {
    expect(all("FROM").join(", ")).toMatch(/^\$\{NODE_IMAGE\} AS build, scratch$/);
    expect(all("ARG")[0]).toMatch(/^NODE_IMAGE=docker\.io\/library\/node:\d+\.\d+\.\d+-bookworm@sha256:[0-9a-f]{64}$/);
  });

  it("downloads nothing but the packages of the lock file", () => {
    const commands = all("RUN").join("\n");
    expect(commands).toContain("npm ci"); // the positive control
    expect(commands).not.toMatch(/curl|wget|apt|git clone|npm (i|install|update)\b|https?:/);
    expect(dockerfile).not.toMatch(/^ADD /m);
  });

  it("passes on the root file system of the plain script, and starts its program by an absolute path", () => {
    expect(all("COPY").filter((line) => line.includes("--from"))).toEqual(["--from=build /build/dist/image/rootfs/ /"]);
    expect(JSON.parse(all("ENTRYPOINT")[0] ?? "")).toEqual(rootfsScript.ENTRYPOINT);
    const paths = rootfsScript.ENTRYPOINT.filter((part) => !part.startsWith("--"));
    expect(paths.map((path) => path.startsWith("/"))).toEqual([true, true]);
  });

  it("starts the enclave with the options that the benchmarks start it with", () => {
    expect(rootfsScript.ENTRYPOINT.filter((part) => part.startsWith("--"))).toEqual(ENCLAVE_NODE_OPTIONS);
  });
});

describe(".dockerignore", () => {
  it("lets through what is built from, and no part that must not be in an enclave", () => {
    expect(read(".dockerignore").split("\n")).toContain("*"); // everything is out that is not named
    expect(context.filter((name) => name !== "enclave.json" && !existsSync(join(projectRoot, name)))).toEqual([]);
    expect(context.filter((name) => /^(simulator|parent|client|cli|test|bench|template|dist)\b/.test(name))).toEqual(
      [],
    );
  });
});
