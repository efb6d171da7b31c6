/** The recorded vectors through the commands, where their folder lies beside the project. */
import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { cms } from "../../cli/cms.js";
import type { Command } from "../../cli/command.js";
import { inspect } from "../../cli/inspect.js";
import { verify } from "../../cli/verify.js";
import { recordedIo } from "../support/io.js";

interface Vector {
  readonly id: string;
  readonly kind: string;
  readonly expected: string;
  readonly file: string;
  readonly size: number;
  readonly verify_at_ms?: number;
  readonly module_id?: string;
  readonly region?: string;
  readonly debug_mode?: boolean;
  readonly pcrs_nonzero?: readonly number[];
  readonly private_key?: string;
  readonly plaintext?: string;
}

const folder = fileURLToPath(new URL("../../../shared/vectors/", import.meta.url));
const present = existsSync(`${folder}index.json`);
const needsVectors = ({ skip }: { skip(note: string): void }) => {
  if (!present) skip("the recorded vectors (../shared/vectors) are not here");
};
const vectors: readonly Vector[] = present ? JSON.parse(readFileSync(`${folder}index.json`, "utf8")).vectors : [];
const documents = vectors.filter(({ kind }) => kind === "attestation-document");

async function run(command: Command, ...argv: readonly string[]) {
  const io = recordedIo({ cwd: folder });
  const exitCode = await command.run(argv, io);
  return { exitCode, out: io.out, bytes: io.outBytes, err: io.err };
}

describe("recorded vectors", () => {
  test("verify accepts the ten genuine documents as of their time, and refuses the two others", async (context) => {
    needsVectors(context);
    expect(documents).toHaveLength(12);
    const accepted: string[] = [];
    for (const { id, file, verify_at_ms, module_id, region, debug_mode, expected } of documents) {
      const { exitCode, out } = await run(verify, file, "--at", String(verify_at_ms), "--json");
      expect(exitCode, id).toBe(expected === "accept" ? 0 : 1);
      if (exitCode !== 0) continue;
      expect(JSON.parse(out), id).toMatchObject({ moduleId: module_id, region, debug: debug_mode, genuine: true });
      accepted.push(id);
    }
    expect(accepted).toHaveLength(10);
  });

  test("verify appraises each genuine document against its own PCRs, debug ones only when told to", async (context) => {
    needsVectors(context);
    for (const { id, file, verify_at_ms, debug_mode, pcrs_nonzero = [], expected } of documents) {
      if (expected !== "accept") continue;
      const { pcrs } = JSON.parse((await run(inspect, file, "--json")).out);
      expect(pcrs_nonzero.length, id).toBeGreaterThan(0);
      const asked = pcrs_nonzero.flatMap((index) => [`--pcr${index}`, pcrs[index]]);
      const { exitCode, err } = await run(verify, file, "--at", String(verify_at_ms), ...asked);
      expect(exitCode, id).toBe(debug_mode ? 1 : 0);
      if (!debug_mode) continue;
      expect(err, id).toContain("ERR_DEBUG_ENCLAVE");
      expect((await run(verify, file, "--at", String(verify_at_ms), ...asked, "--allow-debug")).exitCode, id).toBe(0);
    }
  });

  test("verify refuses each of them today: their certificates have expired", async (context) => {
    needsVectors(context);
    for (const { id, file, expected } of documents) {
      if (expected === "accept") expect((await run(verify, file)).err, id).toContain("ERR_CERT_TIME");
    }
  });

  test("inspect knows each genuine one for what it is", async (context) => {
    needsVectors(context);
    const genuine = vectors.filter(({ expected }) => expected !== "reject");
    expect(genuine).toHaveLength(13);
    for (const { id, file, kind, size } of genuine) {
      const { exitCode, out } = await run(inspect, file, "--json");
      expect(exitCode, id).toBe(0);
      expect(JSON.parse(out), id).toMatchObject({ kind, bytes: size, verified: false });
    }
  });

  test("cms open yields the recorded plaintexts", async (context) => {
    needsVectors(context);
    const withKey = vectors.filter(({ private_key }) => private_key !== undefined);
    expect(withKey).toHaveLength(2);
    for (const { id, file, private_key = "", plaintext = "" } of withKey) {
      const { exitCode, bytes } = await run(cms, "open", "--key", private_key, file);
      expect(exitCode, id).toBe(0);
      expect(bytes, id).toEqual(new Uint8Array(readFileSync(folder + plaintext)));
    }
  });
});
