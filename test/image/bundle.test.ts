/** What goes into the image is a checked-in list; nothing of the simulated platform or of the parent is in it. Issue: Image. */
import { build } from "esbuild";
import { beforeAll, describe, expect, it } from "vitest";
import { projectRoot } from "../support/project.js";
import type { Bundle } from "./app.js";
import { appFilesOf, bundleScript, rootfsScript } from "./app.js";

/** The simulated root's marker, and packages that are the simulator's, the parent's or the command's. */
const FOREIGN = ["SIMULATED-ROOT-DO-NOT-TRUST", "node-forge", "@peculiar/x509", "fastify", "pino"] as const;

let bundle: Bundle;
let app: ReadonlyMap<string, Uint8Array>;
beforeAll(async () => {
  [bundle, app] = await Promise.all([bundleScript.bundleEnclave(), appFilesOf()]);
});

const section = (title: string, lines: readonly string[]): string[] => [`# ${title} (${lines.length})`, ...lines, ""];

/** Those of FOREIGN that are in one of `files`. */
const foreignIn = (files: Iterable<Uint8Array>): string[] => {
  const contents = [...files].map((content) => Buffer.from(content));
  return FOREIGN.filter((name) => contents.some((content) => content.includes(name)));
};

describe("the enclave's bundle", () => {
  it("has the modules, packages and built-ins of its checked-in list", async () => {
    const { modules, packages, builtins } = bundle;
    const list = [
      ...section("modules", modules),
      ...section("packages", packages),
      ...section("Node built-ins", builtins),
    ];
    await expect(list.join("\n")).toMatchFileSnapshot("../golden/image.txt");
  });

  it("is the same bytes again, and says nothing of where it was built", async () => {
    const again = await bundleScript.bundleEnclave();
    expect(again.text === bundle.text && again.licenses === bundle.licenses).toBe(true);
    expect(bundle.text).toContain("// dist/enclave/enclave.js"); // the positive control: it names its sources
    expect(bundle.text).not.toContain(projectRoot);
  });

  it("can start no process, and has no module to require but Node's own", () => {
    expect(bundle.builtins.filter((name) => /child_process|cluster|worker|module|inspector|repl/.test(name))).toEqual(
      [],
    );
    expect(bundle.text.startsWith("const require = process.getBuiltinModule;\n")).toBe(true);
    expect(bundle.text).not.toMatch(/\bcreateRequire\b/);
  });

  it("brings the licence of every package", () => {
    expect(bundle.packages.filter((name) => !bundle.licenses.includes(`${name}\n`))).toEqual([]);
  });
});

describe("the files of /app", () => {
  it("have nothing of the simulated platform, the parent or the command in them (pitfall 22)", async () => {
    const entries = ["simulator/index.js", "parent/index.js", "cli/main.js"].map((path) => `dist/${path}`);
    const options = { bundle: true, platform: "node", format: "esm", write: false, outdir: "unwritten" } as const;
    const { outputFiles } = await build({ ...options, absWorkingDir: projectRoot, entryPoints: entries });
    expect(foreignIn(outputFiles.map(({ contents }) => contents))).toEqual([...FOREIGN]); // the positive control
    expect(foreignIn(app.values())).toEqual([]);
  });

  it("are these, with Node, its libraries and two users the whole root file system", async () => {
    if (process.platform !== "linux" || process.arch !== "x64") return; // the list names x64's files
    const entries = await rootfsScript.planRootfs({ app: withAddon(app) });
    await expect(`${rootfsScript.listRootfs(entries).join("\n")}\n`).toMatchFileSnapshot("../golden/image-rootfs.txt");
  });
});

/** The list has the addon, built or not. */
function withAddon(files: ReadonlyMap<string, Uint8Array>): Map<string, Uint8Array> {
  return new Map([...files, ["enclave.json", new Uint8Array()], ["prebuilds/linux-x64.node", new Uint8Array()]]);
}
