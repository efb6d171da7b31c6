/** docs/image.md shows what the script says, and names what there is. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { projectRoot } from "../support/project.js";
import { bundleScript, rootfsScript } from "./app.js";

const document = readFileSync(join(projectRoot, "docs/image.md"), "utf8");

/** KiB by name, from lines as the script prints them. */
const sizesIn = (text: string): ReadonlyMap<string, number> =>
  new Map([...text.matchAll(/^(\S+) +([\d.]+) KiB$/gm)].map(([, name = "", kib]) => [name, Number(kib)]));

it("the sizes of docs/image.md are the image's, a twentieth more or less", async () => {
  const configuration = readFileSync(join(projectRoot, "test/readme/enclave.json"));
  const app = await bundleScript.appFiles({ configuration });
  const shown = sizesIn(/<!-- sizes -->\n```\n([\s\S]*?)```/.exec(document)?.[1] ?? "");
  const files = [...shown].filter(([name]) => name.startsWith("/app/") && !name.endsWith(".node"));
  expect(files.map(([name]) => name)).toEqual(
    [...app.keys()].filter((name) => !name.endsWith(".node")).map((name) => `/app/${name}`),
  );
  for (const [name, kib] of files) expect((app.get(name.slice(5))?.length ?? 0) / 1024 / kib, name).toBeCloseTo(1, 1);
  expect([...shown.keys()].slice(0, 5)).toEqual(["node", "app", "libraries", "users", "total"]);
});

it("the base image that docs/image.md tells to inspect is the Dockerfile's", () => {
  const dockerfile = readFileSync(join(projectRoot, "Dockerfile.enclave"), "utf8");
  const tag = /^ARG NODE_IMAGE=docker\.io\/library\/(\S+)@/m.exec(dockerfile)?.[1];
  expect(document).toContain(`docker buildx imagetools inspect ${tag}\``);
  expect(document).toContain(`\`${rootfsScript.NODE}\``);
});
