import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { layOut } from "../../cli/report.js";
import { verify } from "../../cli/verify.js";
import { toBase64, toBase64Url, toHex, utf8 } from "../../shared/bytes.js";
import type { DocumentFields, DocumentOverrides } from "../../simulator/nsm/document.js";
import { createDocumentMaker, examplePcrs } from "../../simulator/nsm/document.js";
import { certificatePem } from "../../simulator/pki/root-file.js";
import { INSTANCE_ID, NOW, testPki } from "../simulator/fixtures.js";
import { testFolder } from "../support/folder.js";
import { recordedIo } from "../support/io.js";

const NONCE = utf8("a nonce of the relying party");
const PCR = { 0: "a0".repeat(48), 1: "a1".repeat(48), 2: "a2".repeat(48) } as const;
const CODE = ["--pcr0", PCR[0], "--pcr1", PCR[1], "--pcr2", PCR[2]];
const ZEROS = "00".repeat(48);

const pki = await testPki();
const maker = await createDocumentMaker({ pki, instanceId: INSTANCE_ID });
const baseline = await maker.make({ nonce: NONCE, userData: utf8("user data") });
const debugPcrs = new Map(
  [...(await examplePcrs(INSTANCE_ID))].map(([i, value]) => [i, i <= 2 ? new Uint8Array(48) : value]),
);
const debugDocument = await maker.make({ pcrs: debugPcrs });

interface Call {
  readonly document?: Uint8Array;
  readonly options?: readonly string[];
  /** Milliseconds after the document was made. */
  readonly laterMs?: number;
}

/** Runs the command on a document under the simulated root, as a file in a folder of its own. */
async function run({ document = baseline, options = [], laterMs = 0 }: Call = {}) {
  const cwd = testFolder();
  writeFileSync(join(cwd, "document"), document);
  writeFileSync(join(cwd, "root.pem"), certificatePem(pki.root.certificateDer));
  writeFileSync(join(cwd, "root.der"), pki.root.certificateDer);
  const io = recordedIo({ cwd, now: () => new Date(NOW.getTime() + laterMs) });
  const root = options.includes("--root") ? [] : ["--root", "root.pem"];
  const exitCode = await verify.run(["document", ...root, ...options], io);
  return { exitCode, out: io.out, err: io.err };
}

const documentWith = (fields: Partial<DocumentFields>, overrides?: DocumentOverrides) => maker.make(fields, overrides);

describe("a genuine document", () => {
  test("exits 0 with a readable summary", async () => {
    const { exitCode, out, err } = await run({ options: CODE, laterMs: 12_000 });
    expect({ exitCode, err }).toEqual({ exitCode: 0, err: "" });
    expect(out).toContain("signed by the Nitro Security Module, under the root in root.pem");
    expect(out).toContain(maker.moduleId);
    expect(out).toMatch(/^instance +i-0123456789abcdef0$/m);
    expect(out).toMatch(/^region +us-east-1$/m);
    expect(out).toMatch(/^timestamp +2026-11-23T10:00:00.250Z \(12 s before that\)$/m);
    expect(out).toMatch(/^debug mode +no$/m);
    expect(out).toMatch(new RegExp(`^PCR1 +${PCR[1]}$`, "m"));
    expect(out).toMatch(/^PCRs of zeros +3, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15$/m);
    expect(out).toMatch(/^public_key +absent$/m);
    expect(out).toMatch(/^user_data +9 bytes$/m);
    expect(out).toMatch(/^nonce +28 bytes$/m);
    expect(out).toMatch(/^appraised +PCR0, PCR1, PCR2$/m);
    expect(out).not.toContain("warning");
    expect(out.match(/Z to \d{4}-/g)).toHaveLength(5);
  });

  test("with --json says the same to machines", async () => {
    const { exitCode, out } = await run({ options: [...CODE, "--nonce", toHex(NONCE), "--max-age", "60", "--json"] });
    expect(exitCode).toBe(0);
    expect(JSON.parse(out)).toMatchObject({
      genuine: true,
      moduleId: maker.moduleId,
      instanceId: INSTANCE_ID,
      region: "us-east-1",
      timestamp: NOW.toISOString(),
      ageSeconds: 0,
      debug: false,
      pcrs: PCR,
      nonce: toBase64(NONCE),
      publicKey: null,
      appraised: ["PCR0", "PCR1", "PCR2", "nonce", "age"],
      warnings: [],
    });
    expect(JSON.parse(out).certificates).toHaveLength(5);
  });

  test("without a PCR says plainly that it is genuine but not appraised", async () => {
    const { exitCode, out } = await run();
    expect(exitCode).toBe(0);
    expect(out).toMatch(/^appraised +nothing$/m);
    expect(out).toContain("warning: the document is genuine but NOT APPRAISED");
  });

  test("pitfall 7: with PCR0 alone warns that it does not pin the section boundaries", async () => {
    const { exitCode, out } = await run({ options: ["--pcr0", PCR[0]] });
    expect(exitCode).toBe(0);
    expect(out).toContain("warning: PCR0 alone does not pin where kernel, command line and ramdisks begin and end");
  });

  test("pitfall 8: with PCR4 alone warns that no code is pinned", async () => {
    const pcr4 = toHex((await examplePcrs(INSTANCE_ID)).get(4) ?? new Uint8Array());
    const { exitCode, out } = await run({ options: ["--pcr4", pcr4] });
    expect(exitCode).toBe(0);
    expect(out).toContain("warning: none of the given PCRs pins the whole image");
  });

  test.each([
    ["raw", baseline],
    ["in base64", utf8(toBase64(baseline))],
    ["in base64 with line ends", utf8(`${toBase64(baseline).replace(/.{76}/g, "$&\r\n")}\n`)],
    ["in base64url", utf8(toBase64Url(baseline))],
    ["in hexadecimal", utf8(`${toHex(baseline)}\n`)],
    ["in upper-case hexadecimal", utf8(toHex(baseline).toUpperCase())],
    ["in the JSON of GET /attestation", utf8(JSON.stringify({ document: toBase64(baseline) }))],
  ])("is read %s", async (_, document) => {
    expect((await run({ document, options: CODE })).exitCode).toBe(0);
  });

  test("is read from stdin", async () => {
    const io = recordedIo({ input: baseline, now: () => NOW, cwd: testFolder() });
    writeFileSync(join(io.cwd, "root.der"), pki.root.certificateDer);
    expect(await verify.run(["-", "--root", "root.der", ...CODE], io)).toBe(0);
  });

  test.each([
    ["2026-11-23T10:00:05Z", "2026-11-23T10:00:05.000Z"],
    ["2026-11-23T11:00:05.5+01:00", "2026-11-23T10:00:05.500Z"],
    ["2026-11-23T10:01Z", "2026-11-23T10:01:00.000Z"],
    ["1795428005", "2026-11-23T10:00:05.000Z"],
    ["1795428005123", "2026-11-23T10:00:05.123Z"],
  ])("is verified as of --at %s", async (at, expected) => {
    const { exitCode, out } = await run({ options: [...CODE, "--at", at, "--json"], laterMs: 1e12 });
    expect(exitCode).toBe(0);
    expect(JSON.parse(out).verifiedAt).toBe(expected);
  });
});

describe("what is refused, with its code and exit code 1", () => {
  const refused = async (call: Call, code: string) => {
    expect((await run({ options: CODE })).exitCode).toBe(0);
    const { exitCode, out, err } = await run(call);
    expect(err).toContain(`${code}: `);
    expect({ exitCode, out }).toEqual({ exitCode: 1, out: "" });
    return err;
  };

  test.each([0, 1, 2, 3, 4, 8, 15])("another PCR%i", async (index) => {
    await refused(
      { options: [...CODE.filter((_, i) => i < 2 * Math.min(index, 3)), `--pcr${index}`, "11".repeat(48)] },
      "ERR_PCR_MISMATCH",
    );
  });

  test("a PCR that the document does not have", async () => {
    await refused({ options: [...CODE, "--pcr16", PCR[0]] }, "ERR_PCR_MISMATCH");
  });

  test("pitfall 9: another nonce, with and without PCRs", async () => {
    for (const pcrs of [CODE, []]) {
      expect((await run({ options: [...pcrs, "--nonce", toHex(NONCE)] })).exitCode).toBe(0);
      await refused({ options: [...pcrs, "--nonce", "00".repeat(28)] }, "ERR_NONCE_MISMATCH");
    }
  });

  test("pitfall 10: a document that is too old, with and without PCRs", async () => {
    for (const pcrs of [CODE, []]) {
      const options = [...pcrs, "--max-age", "300"];
      expect((await run({ options, laterMs: 300_000 })).exitCode).toBe(0);
      await refused({ options, laterMs: 300_001 }, "ERR_STALE");
    }
  });

  test("pitfall 21: with --max-age, a document from the future", async () => {
    const document = await documentWith({ timestampMs: NOW.getTime() + 61_000 });
    expect((await run({ document, options: CODE })).out).toContain("1 min 1 s after that");
    await refused({ document, options: [...CODE, "--max-age", "300"] }, "ERR_STALE");
  });

  test("pitfall 6: a debug enclave, against PCRs that it has", async () => {
    const pcr4 = toHex(debugPcrs.get(4) ?? new Uint8Array());
    await refused({ document: debugDocument, options: ["--pcr4", pcr4] }, "ERR_DEBUG_ENCLAVE");
    const allowed = await run({ document: debugDocument, options: ["--pcr4", pcr4, "--allow-debug"] });
    expect(allowed.exitCode).toBe(0);
    expect(allowed.out).toMatch(/^debug mode +YES$/m);
    expect(allowed.out).toContain("warning: the enclave runs in debug mode");
  });

  test("a signature that does not verify", async () => {
    const editSignature = (signature: Uint8Array) => signature.map((byte, i) => (i === 95 ? byte ^ 1 : byte));
    await refused({ document: await documentWith({}, { editSignature }), options: CODE }, "ERR_COSE_SIGNATURE");
  });

  test("pitfall 22: a document of a simulation, under AWS's root", async () => {
    for (const options of [
      ["--root", "aws"],
      ["--root", "aws", ...CODE],
    ])
      await refused({ options }, "ERR_TRUST_ANCHOR");
    const io = recordedIo({ input: baseline, now: () => NOW });
    expect(await verify.run(["-"], io)).toBe(1);
    expect(io.err).toContain("give its --root");
  });

  test("certificates that have expired, and says what to do", async () => {
    expect(await refused({ options: CODE, laterMs: 4 * 3600_000 }, "ERR_CERT_TIME")).toContain("--at");
  });

  test("something else than a document", async () => {
    await refused({ document: Uint8Array.of(0xff, 0, 1) }, "ERR_CBOR_MALFORMED");
  });

  test("and with --json also tells machines", async () => {
    const { exitCode, out } = await run({ options: ["--pcr0", "11".repeat(48), "--json"] });
    expect(exitCode).toBe(1);
    expect(JSON.parse(out).error.code).toBe("ERR_PCR_MISMATCH");
  });
});

describe("wrong usage, with exit code 2", () => {
  test.each([
    ["no file", []],
    ["two files", ["document", "document"]],
    ["an unknown option", ["document", "--pcr32", PCR[0]]],
    ["a PCR that is too short", ["document", "--pcr0", "00"]],
    ["a PCR that is not hexadecimal", ["document", "--pcr0", "zz".repeat(48)]],
    ["a PCR given twice", ["document", "--pcr0", PCR[0], "--pcr0", PCR[0]]],
    ["pitfall 6: a PCR0 of zeros", ["document", "--pcr0", ZEROS]],
    ["an empty nonce", ["document", "--nonce", ""]],
    ["an age that is not a number", ["document", "--max-age", "5m"]],
    ["a negative age", ["document", "--max-age=-1"]],
    ["a local time", ["document", "--at", "2026-11-23T10:00:00"]],
    ["31 February", ["document", "--at", "2026-02-31"]],
    ["hour 25", ["document", "--at", "2026-02-03T25:00Z"]],
    ["a number of 15 digits as a time", ["document", "--at", "179542800512345"]],
    ["text as a time", ["document", "--at", "yesterday"]],
  ])("%s", async (_, argv) => {
    const cwd = testFolder();
    writeFileSync(join(cwd, "document"), baseline);
    const io = recordedIo({ cwd });
    expect(await verify.run(argv, io)).toBe(2);
    expect(io.out).toBe("");
    expect(io.err).toContain('Run "nitro-decrypt verify --help"');
  });

  test("a PCR0 of zeros is allowed together with --allow-debug", async () => {
    const options = ["--pcr0", ZEROS, "--allow-debug"];
    expect((await run({ document: debugDocument, options })).exitCode).toBe(0);
  });

  test("--help names every option and every exit code", async () => {
    const io = recordedIo();
    expect(await verify.run(["--help"], io)).toBe(0);
    for (const option of ["--pcr0", "--nonce", "--max-age", "--allow-debug", "--at", "--root", "--json"]) {
      expect(io.out).toContain(option);
    }
    expect(Math.max(...io.out.split("\n").map((line) => line.length))).toBeLessThanOrEqual(102);
  });
});

describe("files that cannot be used: exit code 2 where there is nothing to read, 1 where it is no document", () => {
  const failing = async (...argv: string[]) => {
    const cwd = testFolder();
    writeFileSync(join(cwd, "document"), baseline);
    writeFileSync(join(cwd, "empty"), "");
    writeFileSync(join(cwd, "text"), "not a document!");
    writeFileSync(join(cwd, "large"), new Uint8Array(70_000));
    writeFileSync(join(cwd, "key.pem"), "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n");
    const io = recordedIo({ cwd });
    const exitCode = await verify.run(argv, io);
    expect(exitCode).toBe(io.err.includes("cannot read") ? 2 : 1);
    return io.err;
  };

  test.each([
    ["a file that is not there", ["nowhere"], "cannot read nowhere: there is no such file"],
    ["a folder", ["."], "cannot read .: it is a folder"],
    ["an empty file", ["empty"], "empty is empty"],
    ["text that is no document", ["text"], "got text that is none of these"],
    ["a file that is too large", ["large"], "large is larger than 65536 bytes"],
    ["a root that is not there", ["document", "--root", "nowhere"], "cannot read nowhere"],
    ["a root that is a key", ["document", "--root", "key.pem"], "key.pem is not one certificate in PEM"],
    ["a root that is no certificate", ["document", "--root", "document"], "document is not a certificate"],
  ])("%s", async (_, argv, message) => {
    expect(await failing(...argv)).toContain(message);
  });
});

test("control characters of a document do not reach the terminal", () => {
  expect(layOut([["name", "a\u001b[31mb\u009b\u202e\n"]])).toBe("name  a\\u{1b}[31mb\\u{9b}\\u{202e}\\u{a}");
});
