/** `pcrs` on images that AWS's crate wrote: what it prints is what a key policy and a client's policy take. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { pcrs } from "../../cli/pcrs.js";
import { readReferencePcrs } from "../../cli/reference-pcrs.js";
import { CheckedEnclavePolicy } from "../../client/policy.js";
import { pcr16OfConfiguration } from "../../shared/attestation/pcr.js";
import { checkPolicy } from "../../shared/attestation/policy.js";
import { toHex } from "../../shared/bytes.js";
import { authorize } from "../../simulator/iam/authorization.js";
import { compileKeyPolicy } from "../../simulator/iam/policy/compile.js";
import { buildEif } from "../support/eif-builder.js";
import {
  changeByte,
  eifVectors,
  readVector,
  VECTOR_FOLDER,
  VECTORS_EXPIRED,
  VECTORS_VALID,
} from "../support/eif-vectors.js";
import { testFolder } from "../support/folder.js";
import { recordedIo } from "../support/io.js";
import { projectRoot } from "../support/project.js";

const configuration = join(projectRoot, "test/readme/enclave.json");
const pcr16 = toHex(await pcr16OfConfiguration(readFileSync(configuration)));

interface Input {
  readonly input?: Uint8Array;
  readonly now?: Date;
}

async function run(argv: readonly string[], { input, now = VECTORS_VALID }: Input = {}) {
  const io = recordedIo({ ...(input && { input }), now: () => now });
  const exitCode = await pcrs.run(argv, io);
  return { exitCode, out: io.out, err: io.err };
}

const runFile = (file: string, ...options: readonly string[]) => run([join(VECTOR_FOLDER, file), ...options]);

describe("the PCRs of an image", () => {
  test.each(eifVectors)("$file: in the three forms, as AWS's crate printed them", async ({ file, measurements }) => {
    const { PCR0, PCR1, PCR2, PCR8 } = measurements;
    const { exitCode, out, err } = await runFile(file, "--json");
    expect({ exitCode, err }).toEqual({ exitCode: 0, err: "" });
    const name = (index: number) => `kms:RecipientAttestation:PCR${index}`;
    const values = { 0: PCR0, 1: PCR1, 2: PCR2, ...(PCR8 && { 8: PCR8 }) };
    expect(JSON.parse(out)).toEqual({
      pcrs: values,
      keyPolicyCondition: {
        StringEqualsIgnoreCase: { [name(0)]: PCR0, [name(1)]: PCR1, [name(2)]: PCR2, ...(PCR8 && { [name(8)]: PCR8 }) },
      },
      clientPolicy: { pcrs: [values] },
    });
  });

  test("with a configuration there is PCR16 too", async () => {
    const { exitCode, out } = await runFile("unsigned.eif", "--json", "--config", configuration);
    expect(exitCode).toBe(0);
    const { pcrs: values, keyPolicyCondition, clientPolicy } = JSON.parse(out);
    expect(values[16]).toBe(pcr16);
    expect(keyPolicyCondition.StringEqualsIgnoreCase["kms:RecipientAttestation:PCR16"]).toBe(pcr16);
    expect(clientPolicy).toEqual({ pcrs: [values], configuration: "pinned" });
  });

  test("the client's policy is one that connectEnclave and appraise take", async () => {
    const { clientPolicy } = JSON.parse((await runFile("signed-p384.eif", "--json", "--config", configuration)).out);
    const rest = { freshness: { kind: "within", seconds: 60, skewSeconds: 5 }, debug: "reject" } as const;
    const example = { nonce: Uint8Array.of(1), userData: Uint8Array.of(1) };
    const policy = new CheckedEnclavePolicy({ ...clientPolicy, ...rest }).with(example);
    expect([...(checkPolicy(policy).alternatives[0]?.keys() ?? [])]).toEqual([0, 1, 2, 8, 16]);
  });

  test("the condition lets that enclave decrypt in the simulated KMS, and none that differs in one PCR", async () => {
    const { keyPolicyCondition } = JSON.parse(
      (await runFile("signed-p384.eif", "--json", "--config", configuration)).out,
    );
    const arn = "arn:aws:kms:us-east-1:111122223333:key/1234";
    const roleArn = "arn:aws:iam::111122223333:role/parent";
    const statement = { Effect: "Allow", Principal: { AWS: roleArn }, Action: "kms:Decrypt", Resource: "*" };
    const policy = { Version: "2012-10-17", Statement: [{ ...statement, Condition: keyPolicyCondition }] };
    const keyPolicy = compileKeyPolicy(JSON.stringify(policy));
    const session = { kind: "session", arn: "arn:aws:sts::111122223333:assumed-role/parent/i-1", roleArn } as const;
    const principal = { ...session, accountId: "111122223333", userId: "AROA:i-1", policies: [] };
    const decide = (attested: Readonly<Record<string, string>>) => {
      const values = new Map(Object.entries(attested).map(([key, value]) => [key.toLowerCase(), [value]]));
      const resource = { arn, accountId: "111122223333", keyPolicy };
      return authorize({ principal, action: "kms:Decrypt", resource, values }).reason;
    };
    const attested: Readonly<Record<string, string>> = keyPolicyCondition.StringEqualsIgnoreCase;
    expect(Object.keys(attested)).toHaveLength(5);
    expect(decide(attested)).toBe("allowed");
    for (const key of Object.keys(attested)) {
      expect(decide({ ...attested, [key]: "00".repeat(48) }), key).not.toBe("allowed");
    }
  });

  test("the JSON is a file of reference values for decrypt", async () => {
    const { out } = await runFile("signed-p384.eif", "--json", "--config", configuration);
    const file = join(testFolder(), "pcrs.json");
    writeFileSync(file, out);
    expect(await readReferencePcrs(file, recordedIo())).toEqual(JSON.parse(out).pcrs);
  });

  test("for people, all three in text", async () => {
    const { exitCode, out } = await runFile("signed-p384.eif", "--config", configuration);
    expect(exitCode).toBe(0);
    expect(out).toMatch(/^PCR0 {3}[0-9a-f]{96}$/m);
    expect(out).toContain(`PCR16  ${pcr16}`);
    expect(out).toContain('"Condition": {\n  "StringEqualsIgnoreCase": {\n    "kms:RecipientAttestation:PCR0": "');
    expect(out).toContain('"configuration": "pinned"');
    expect((await runFile("unsigned.eif")).out).toContain("or give --config to pin it");
  });

  test("of an image whose certificate has expired come with a warning", async () => {
    const { exitCode, out, err } = await run(["-", "--json"], {
      input: readVector("signed-p256.eif"),
      now: VECTORS_EXPIRED,
    });
    expect(exitCode).toBe(0);
    expect(JSON.parse(out).pcrs).toHaveProperty("8");
    expect(err).toMatch(/^nitro-decrypt pcrs: nitro-cli does not start an image whose certificate has expired/);
  });
});

describe("what has no PCRs", () => {
  const refusals: readonly (readonly [string, Uint8Array, string])[] = [
    ["a file that is no image", Uint8Array.of(1, 2, 3), "ERR_EIF_MALFORMED"],
    ["an image whose CRC is wrong", buildEif({ crc: 1 }), "ERR_EIF_CRC"],
    ["a signed image that was changed", changeByte("signed-p256.eif", "kernel", 0), "ERR_EIF_SIGNATURE"],
    ["an image whose signature was changed", changeByte("signed-p256.eif", "signature", -1), "ERR_COSE_SIGNATURE"],
    ["an image whose signature section is none", changeByte("signed-p256.eif", "signature", 0), "ERR_CBOR_MALFORMED"],
  ];

  test.each(refusals)("%s", async (_, input, code) => {
    const { exitCode, out, err } = await run(["-", "--json"], { input });
    expect({ exitCode, code: JSON.parse(out).error.code }).toEqual({ exitCode: 1, code });
    expect(err).toContain(`nitro-decrypt pcrs: ${code}: `);
  });

  test("a configuration that no enclave takes", async () => {
    const { exitCode, err } = await run([join(VECTOR_FOLDER, "unsigned.eif"), "--config", "-"], {
      input: Buffer.from("{}"),
    });
    expect(exitCode).toBe(1);
    expect(err).toContain("ERR_CONFIGURATION: ");
  });

  test.each([
    [[]],
    [["a", "b"]],
    [["-", "--config", "-"]],
    [["-", "--config", "a", "--config", "b"]],
    [["no-such-file"]],
  ])("wrong usage: %j", async (argv) => {
    expect((await run(argv)).exitCode).toBe(2);
  });
});
