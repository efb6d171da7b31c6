import { mkdtemp, readdir, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { createSimulatedRoot } from "../../../simulator/pki/nitro-pki.js";
import { exportRoot, importRoot, readRootFile, writeRootFile } from "../../../simulator/pki/root-file.js";
import { chainOf, testPki } from "../fixtures.js";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "nd-root-"));
});
afterEach(() => rm(folder, { recursive: true }));

test("a root survives its file: what is issued under it has the same anchor", async () => {
  const { root, trustAnchor } = await testPki();
  const path = join(folder, "root.json");
  await writeRootFile(path, root);
  const read = await readRootFile(path);
  expect({ ...read, privateKey: null }).toEqual({ ...root, privateKey: null });
  const other = await testPki({ root: read });
  expect(other.trustAnchor).toEqual(trustAnchor);
  expect((await chainOf(other))[0]).toEqual(root.certificateDer);
});

test("the file is its owner's alone, and is not written over", async () => {
  const path = join(folder, "root.json");
  const root = await createSimulatedRoot();
  await writeRootFile(path, root);
  expect((await stat(path)).mode & 0o777).toBe(0o600);
  await expect(writeRootFile(path, root)).rejects.toThrow("EEXIST");
});

test("of several processes that write at once one wins, and its root is what all read", async () => {
  const path = join(folder, "root.json");
  const roots = await Promise.all(Array.from({ length: 4 }, () => createSimulatedRoot()));
  const written = await Promise.allSettled(roots.map((root) => writeRootFile(path, root)));
  const winners = roots.filter((_, index) => written[index]?.status === "fulfilled");
  expect(winners).toHaveLength(1);
  expect((await readRootFile(path)).certificateDer).toEqual(winners[0]?.certificateDer);
  expect(await readdir(folder)).toEqual(["root.json"]);
});

test("a file that holds something else is refused", async () => {
  const path = join(folder, "root.json");
  await writeFile(path, "{}");
  await expect(readRootFile(path)).rejects.toThrowCode("ERR_CONFIGURATION");
});

test("a key that is not the certificate's is refused", async () => {
  const [one, other] = [await exportRoot(await createSimulatedRoot()), await exportRoot(await createSimulatedRoot())];
  await expect(importRoot(one)).resolves.toBeDefined();
  await expect(importRoot({ ...one, privateKey: other.privateKey })).rejects.toThrowCode("ERR_CONFIGURATION");
});

test("text that is no PEM is refused", async () => {
  const one = await exportRoot(await createSimulatedRoot());
  await expect(importRoot({ ...one, certificate: "no certificate" })).rejects.toThrowCode("ERR_CONFIGURATION");
  await expect(importRoot({ ...one, privateKey: "no key" })).rejects.toThrowCode("ERR_CONFIGURATION");
});

test("pitfall 22: a root that does not call itself simulated is refused", async () => {
  const root = await createSimulatedRoot({ subject: [["CN", "aws.nitro-enclaves"]] });
  await expect(importRoot(await exportRoot(root))).rejects.toThrowCode("ERR_CONFIGURATION");
});
