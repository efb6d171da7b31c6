/** A few of the kills that `npm run test:durability` does fifty of, and a full disk. */
import { join } from "node:path";
import { expect, it } from "vitest";
import { testFolder } from "../support/folder.js";
import { fillDisk, killUnderLoad } from "./checks.js";

it("what was acknowledged is there after kill -9 under load", async () => {
  const { kills, acknowledgedKeys, acknowledgedCalls } = await killUnderLoad(join(testFolder(), "data"), 3);
  expect(kills).toBe(3);
  expect(acknowledgedKeys).toBeGreaterThan(30);
  expect(acknowledgedCalls).toBeGreaterThan(300);
});

it("a full disk is answered with KMSInternalException, and what was acknowledged before is there", async () => {
  expect(await fillDisk(join(testFolder(), "data"))).toBeGreaterThan(3);
});
