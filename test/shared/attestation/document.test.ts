/** AV-04 to AV-06: one change each, signed again, from a document that parses. */
import { beforeAll, describe, expect, it } from "vitest";
import { parseAttestationDocument } from "../../../shared/attestation/document.js";
import { concatBytes, utf8 } from "../../../shared/bytes.js";
import type { CborValue } from "../../../shared/cbor.js";
import type { ErrorCode } from "../../../shared/errors.js";
import type { DocumentOverrides, PayloadEntry } from "../../../simulator/nsm/document.js";
import { examplePcrs } from "../../../simulator/nsm/document.js";
import type { Platform } from "../../support/attestation.js";
import { createPlatform, INSTANCE_ID, NOW } from "../../support/attestation.js";

let platform: Platform;
let pcrs: Map<number, Uint8Array>;

beforeAll(async () => {
  platform = await createPlatform();
  pcrs = await examplePcrs(INSTANCE_ID);
  expect(parseAttestationDocument(await platform.make()).moduleId).toBe(platform.maker.moduleId);
});

const parse = async (overrides: DocumentOverrides) => parseAttestationDocument(await platform.make({}, overrides));
const withPcrs = (changes: readonly (readonly [string | number | bigint, CborValue])[]): CborValue =>
  new Map<string | number | bigint, CborValue>([...pcrs, ...changes]);

const refuses = (title: string, code: ErrorCode, overrides: () => DocumentOverrides) =>
  it(title, async () => {
    await expect(parse(overrides())).rejects.toThrowCode(code);
  });
const refusesPayload = (title: string, payload: () => Readonly<Record<string, CborValue | undefined>>) =>
  refuses(title, "ERR_ATTESTATION_MALFORMED", () => ({ payload: payload() }));

describe("parseAttestationDocument", () => {
  it("reads every field", async () => {
    const fields = { userData: utf8("user data"), nonce: utf8("nonce"), publicKey: utf8("public key") };
    const { cose, ...parsed } = parseAttestationDocument(await platform.make(fields));
    expect(parsed).toEqual({
      moduleId: platform.maker.moduleId,
      instanceId: INSTANCE_ID,
      digest: "SHA384",
      timestampMs: NOW.getTime(),
      pcrs,
      certificate: platform.maker.leaf.certificateDer,
      caBundle: platform.maker.leaf.caBundle,
      ...fields,
    });
    expect(cose.rawSignature).toHaveLength(96);
  });

  it("reads both forms of the payload map alike", async () => {
    const [definite, indefinite] = [await parse({ form: "definite" }), await parse({ form: "indefinite" })];
    expect({ ...definite, cose: null }).toEqual({ ...indefinite, cose: null });
    expect(indefinite.cose.payload[0]).toBe(0xbf);
  });

  it("takes user_data, nonce and public_key of 0 and of 1024 bytes, null, and absent", async () => {
    for (const value of [new Uint8Array(), new Uint8Array(1024), null]) {
      const parsed = await parse({ payload: { user_data: value, nonce: value, public_key: value } });
      expect([parsed.userData, parsed.nonce, parsed.publicKey]).toEqual([value, value, value]);
    }
    const parsed = await parse({ payload: { user_data: undefined, nonce: undefined, public_key: undefined } });
    expect([parsed.userData, parsed.nonce, parsed.publicKey]).toEqual([null, null, null]);
  });

  it("ignores names that it does not know, and the order of names", async () => {
    const parsed = await parse({
      payload: { later_field: new Map([["deep", [1, 2, 3]]]) },
      editEntries: (entries) => [...entries].reverse(),
    });
    expect(parsed.moduleId).toBe(platform.maker.moduleId);
  });

  it("takes registers beyond 15 when they are locked", async () => {
    const parsed = await parse({ payload: { pcrs: withPcrs([[31, new Uint8Array(48)]]) } });
    expect(parsed.pcrs.get(31)).toEqual(new Uint8Array(48));
  });

  for (const name of ["module_id", "digest", "timestamp", "pcrs", "certificate", "cabundle"]) {
    refusesPayload(`AV-04 refuses a document without ${name}`, () => ({ [name]: undefined }));
    refusesPayload(`AV-04 refuses a document whose ${name} is null`, () => ({ [name]: null }));
    refuses(`AV-04 refuses a document with ${name} twice`, "ERR_CBOR_MALFORMED", () => ({
      editEntries: (entries) => [...entries, ...entries.filter(([entry]) => entry === name)],
    }));
  }

  for (const name of ["public_key", "user_data", "nonce"]) {
    refusesPayload(`AV-04 refuses ${name} of 1025 bytes`, () => ({ [name]: new Uint8Array(1025) }));
    refusesPayload(`AV-04 refuses ${name} that is text`, () => ({ [name]: "text" }));
    refusesPayload(`AV-04 refuses ${name} that is false`, () => ({ [name]: false }));
  }

  for (const [what, moduleId] of [
    ["empty", ""],
    ["bytes", utf8("i-0123456789abcdef0-enc019b5640fdf630d6")],
    ["an instance id alone", INSTANCE_ID],
    ["with a short instance id", "i-01234567-enc019b5640fdf630d6"],
    ["with a short enclave id", `${INSTANCE_ID}-enc019b5640fdf630d`],
    ["in upper case", `${INSTANCE_ID}-enc019B5640FDF630D6`],
    ["followed by a line break", `${INSTANCE_ID}-enc019b5640fdf630d6\n`],
    ["preceded by a blank", ` ${INSTANCE_ID}-enc019b5640fdf630d6`],
  ] as const) {
    refusesPayload(`AV-04 refuses a module_id that is ${what}`, () => ({ module_id: moduleId }));
  }

  for (const [what, timestamp] of [
    ["zero", 0],
    ["negative", -1],
    ["text", "1766678659346"],
    ["beyond what a date can be", 8.64e15 + 1],
    ["of 64 bits", 2n ** 63n],
  ] as const) {
    refusesPayload(`AV-04 refuses a timestamp that is ${what}`, () => ({ timestamp }));
  }

  refusesPayload("AV-04 refuses an empty cabundle", () => ({ cabundle: [] }));
  refusesPayload("AV-04 refuses a cabundle of nine", () => ({ cabundle: Array(9).fill(Uint8Array.of(1)) }));
  refusesPayload("AV-04 refuses a cabundle with an empty entry", () => ({ cabundle: [new Uint8Array()] }));
  refusesPayload("AV-04 refuses a cabundle with an entry of 1025 bytes", () => ({ cabundle: [new Uint8Array(1025)] }));
  refusesPayload("AV-04 refuses a cabundle with a text", () => ({ cabundle: ["certificate"] }));
  refusesPayload("AV-04 refuses a cabundle that is a map", () => ({ cabundle: new Map() }));
  refusesPayload("AV-04 refuses an empty certificate", () => ({ certificate: new Uint8Array() }));
  refusesPayload("AV-04 refuses a certificate of 1025 bytes", () => ({ certificate: new Uint8Array(1025) }));

  for (const digest of ["SHA256", "SHA512", "sha384", "SHA-384", ""]) {
    refusesPayload(`AV-05 refuses digest "${digest}"`, () => ({ digest }));
  }

  for (const index of [-1, 32, 2n ** 63n, "0"] as const) {
    refusesPayload(`AV-06 refuses a PCR with index ${JSON.stringify(String(index))}`, () => ({
      pcrs: withPcrs([[index, new Uint8Array(48)]]),
    }));
  }
  for (const length of [0, 32, 47, 49, 64]) {
    refusesPayload(`AV-06 refuses a PCR of ${length} bytes`, () => ({
      pcrs: withPcrs([[0, new Uint8Array(length)]]),
    }));
  }
  refusesPayload("AV-06 refuses a PCR that is text", () => ({ pcrs: withPcrs([[0, "0".repeat(48)]]) }));
  refusesPayload("AV-06 refuses pcrs that is an array", () => ({ pcrs: [...pcrs.values()] }));
  refusesPayload("AV-06 refuses pcrs without any", () => ({ pcrs: new Map() }));
  for (const index of [0, 4]) {
    refusesPayload(`AV-06 refuses pcrs without PCR${index}`, () => ({
      pcrs: new Map([...pcrs].filter(([key]) => key !== index)),
    }));
  }
  refuses("AV-06 refuses the same PCR twice", "ERR_CBOR_MALFORMED", () => ({
    // {0: h'', 0: h''}, which a Map cannot say
    editPayload: () => Uint8Array.of(0xa1, 0x64, ...utf8("pcrs"), 0xa2, 0x00, 0x40, 0x00, 0x40),
  }));

  refuses("AV-01 refuses a byte after the payload map", "ERR_CBOR_MALFORMED", () => ({
    editPayload: (payload) => concatBytes(payload, Uint8Array.of(0)),
  }));
  refuses("AV-01 refuses a payload map without its break", "ERR_CBOR_MALFORMED", () => ({
    editPayload: (payload) => payload.subarray(0, -1),
  }));
  refuses("AV-01 refuses a tag inside the payload", "ERR_CBOR_MALFORMED", () => ({
    editPayload: (payload) => concatBytes(Uint8Array.of(0xd2), payload),
  }));
  refuses("AV-04 refuses a payload that is not a map", "ERR_ATTESTATION_MALFORMED", () => ({
    editPayload: () => Uint8Array.of(0x80),
  }));
  refuses("AV-02 refuses another algorithm", "ERR_COSE_ALGORITHM", () => ({
    protectedHeader: Uint8Array.of(0xa1, 0x01, 0x26),
  }));
});

describe("documents of NitroTPM, which are under the same root", () => {
  const renamed = (entries: readonly PayloadEntry[]): PayloadEntry[] =>
    entries.map(([name, value]) => [name === "pcrs" ? "nitrotpm_pcrs" : name, value]);

  refuses("are refused for their registers", "ERR_NOT_ENCLAVE", () => ({ editEntries: renamed }));
  refuses("are refused also when they have both kinds of registers", "ERR_NOT_ENCLAVE", () => ({
    payload: { nitrotpm_pcrs: new Map() },
  }));
  refuses("are refused for their module_id", "ERR_NOT_ENCLAVE", () => ({
    payload: { module_id: `${INSTANCE_ID}-tpm0123456789abcdef` },
  }));
});
