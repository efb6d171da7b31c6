/** The simulated chain has the very shape of recorded ones: same DER tags, object identifiers, flags and key usages. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { toHex } from "../../../shared/bytes.js";
import { decodeCbor } from "../../../shared/cbor.js";
import { decodeCoseSign1 } from "../../../shared/cose.js";
import { splitConstructed } from "../../../simulator/pki/der.js";
import { projectRoot } from "../../support/project.js";
import { chainOf, testPki } from "../fixtures.js";

const folder = join(projectRoot, "../shared/vectors/docs");
const present = existsSync(folder);
if (!present) process.stdout.write(`skipped: there is no folder of recorded documents at ${folder}\n`);

/** Documents since the instance certificate has key identifiers (July 2024). */
const recorded = present ? readdirSync(folder).filter((name) => name >= "2024-07" && name.startsWith("20")) : [];

/** Tags, nested; with content where it is structure: object identifiers, booleans, versions and extension values of fixed length. */
function skeleton(der: Uint8Array): unknown {
  const tag = der[0] ?? 0;
  if ((tag & 0x20) !== 0) return [tag, ...splitConstructed(der).map(skeleton)];
  const isStructure =
    tag === 0x06 || tag === 0x01 || (tag === 0x04 && der.length <= 12) || (tag === 0x02 && der.length === 3);
  return isStructure ? toHex(der) : tag;
}

function certificatesOf(document: Uint8Array): readonly Uint8Array[] {
  const payload = decodeCbor(decodeCoseSign1(document).payload, { maxBytes: 16384, indefiniteMaps: true });
  if (!(payload instanceof Map)) throw new Error("the payload is not a map");
  return [...payload.get("cabundle"), payload.get("certificate")];
}

test.skipIf(!present)("there are recorded documents to compare with", () => {
  expect(recorded).toHaveLength(5);
});

test.each(recorded)("has the shape of %s", async (name) => {
  const real = certificatesOf(readFileSync(join(folder, name)));
  const simulated = await chainOf(await testPki());
  expect(simulated).toHaveLength(real.length);
  for (const [index, der] of simulated.entries()) expect(skeleton(der)).toEqual(skeleton(real[index] ?? der));
});
