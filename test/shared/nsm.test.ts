/** Exact bytes: PROTOCOL of the device as nsm-api 0.5.1 (serde_cbor) and hf/nsm write it. */
import { describe, expect, it } from "vitest";
import { fromHex, toHex, utf8 } from "../../shared/bytes.js";
import type { CborValue } from "../../shared/cbor.js";
import { encodeCbor } from "../../shared/cbor.js";
import type { NsmErrorCode, NsmRequest, NsmResponse } from "../../shared/nsm.js";
import {
  decodeNsmRequest,
  decodeNsmResponse,
  encodeNsmRequest,
  encodeNsmResponse,
  NSM_MAX_REQUEST_BYTES,
  NSM_MAX_RESPONSE_BYTES,
} from "../../shared/nsm.js";

const bytes = (text: string): Uint8Array => fromHex(text.replace(/\s/g, "")) ?? new Uint8Array();
const text = (value: string): string => toHex(encodeCbor(value));
/** {kind: {name: value, …}} with the fields in the order given. */
const message = (kind: string, fields: Readonly<Record<string, CborValue>>): Uint8Array =>
  encodeCbor(new Map([[kind, new Map(Object.entries(fields))]]));

const REQUESTS: readonly (readonly [string, NsmRequest, string])[] = [
  ["DescribeNSM", { kind: "DescribeNSM" }, "6b 44657363726962654e534d"],
  ["GetRandom", { kind: "GetRandom" }, "69 47657452616e646f6d"],
  ["DescribePCR", { kind: "DescribePCR", index: 0 }, "a16b4465736372696265504352a165696e64657800"],
  [
    "ExtendPCR",
    { kind: "ExtendPCR", index: 16, data: Uint8Array.of(1, 2, 3) },
    "a169457874656e64504352a265696e64657810646461746143010203",
  ],
  ["LockPCR", { kind: "LockPCR", index: 16 }, "a1674c6f636b504352a165696e64657810"],
  ["LockPCRs", { kind: "LockPCRs", range: 32 }, "a1684c6f636b50435273a16572616e67651820"],
  [
    "Attestation without fields",
    { kind: "Attestation", userData: null, nonce: null, publicKey: null },
    "a16b4174746573746174696f6ea369757365725f64617461f6656e6f6e6365f66a7075626c69635f6b6579f6",
  ],
  [
    "Attestation with all fields",
    { kind: "Attestation", userData: Uint8Array.of(1), nonce: Uint8Array.of(), publicKey: Uint8Array.of(2, 3) },
    "a16b4174746573746174696f6ea369757365725f646174614101656e6f6e6365406a7075626c69635f6b6579420203",
  ],
];

const RESPONSES: readonly (readonly [string, NsmResponse, string])[] = [
  [
    "DescribeNSM",
    {
      kind: "DescribeNSM",
      versionMajor: 1,
      versionMinor: 0,
      versionPatch: 0,
      moduleId: "i-0-enc0",
      maxPcrs: 32,
      lockedPcrs: [0, 1, 300],
      digest: "SHA384",
    },
    `a1 ${text("DescribeNSM")} a7 ${text("version_major")} 01 ${text("version_minor")} 00 ${text("version_patch")} 00
     ${text("module_id")} ${text("i-0-enc0")} ${text("max_pcrs")} 1820 ${text("locked_pcrs")} 83000119012c
     ${text("digest")} ${text("SHA384")}`,
  ],
  ["GetRandom", { kind: "GetRandom", random: Uint8Array.of(9, 8) }, "a16947657452616e646f6da16672616e646f6d420908"],
  [
    "DescribePCR",
    { kind: "DescribePCR", lock: true, data: Uint8Array.of(7) },
    "a16b4465736372696265504352a2646c6f636bf564646174614107",
  ],
  ["ExtendPCR", { kind: "ExtendPCR", data: Uint8Array.of(7) }, "a169457874656e64504352a164646174614107"],
  ["LockPCR", { kind: "LockPCR" }, "674c6f636b504352"],
  ["LockPCRs", { kind: "LockPCRs" }, "684c6f636b50435273"],
  [
    "Attestation",
    { kind: "Attestation", document: Uint8Array.of(0x84) },
    "a16b4174746573746174696f6ea168646f63756d656e744184",
  ],
];

const ERROR_CODES: readonly NsmErrorCode[] = [
  "Success",
  "InvalidArgument",
  "InvalidIndex",
  "InvalidResponse",
  "ReadOnlyIndex",
  "InvalidOperation",
  "BufferTooSmall",
  "InputTooLarge",
  "InternalError",
];

describe("NSM requests", () => {
  it.each(REQUESTS)("%s has exactly the bytes of the device", (_, request, encoded) => {
    expect(toHex(encodeNsmRequest(request))).toBe(encoded.replace(/\s/g, ""));
    expect(decodeNsmRequest(bytes(encoded))).toEqual(request);
  });

  it("are read whatever the order of their fields", () => {
    const request = message("ExtendPCR", { data: Uint8Array.of(1), index: 3 });
    expect(decodeNsmRequest(request)).toEqual({ kind: "ExtendPCR", index: 3, data: Uint8Array.of(1) });
  });

  it("take an absent optional field for null", () => {
    const expected = { kind: "Attestation", userData: null, nonce: Uint8Array.of(1), publicKey: null };
    expect(decodeNsmRequest(message("Attestation", { nonce: Uint8Array.of(1) }))).toEqual(expected);
  });

  it("are taken up to 0x1000 bytes", () => {
    const overhead = encodeNsmRequest({ kind: "ExtendPCR", index: 0, data: new Uint8Array(300) }).length - 300;
    const longest: NsmRequest = {
      kind: "ExtendPCR",
      index: 0,
      data: new Uint8Array(NSM_MAX_REQUEST_BYTES - overhead),
    };
    expect(encodeNsmRequest(longest)).toHaveLength(NSM_MAX_REQUEST_BYTES);
    expect(decodeNsmRequest(encodeNsmRequest(longest))).toEqual(longest);
    const tooLong = encodeNsmRequest({ ...longest, data: new Uint8Array(longest.data.length + 1) });
    expect(() => decodeNsmRequest(tooLong)).toThrowCode("ERR_NSM");
  });

  it.each([
    ["an unknown name", encodeCbor("Reboot")],
    ["a name that Object has", encodeCbor("toString")],
    ["a name of wrong case", encodeCbor("describeNSM")],
    ["nothing", new Uint8Array()],
    ["a number", encodeCbor(1)],
    ["an array", encodeCbor(["GetRandom"])],
    ["an empty map", encodeCbor(new Map())],
    ["a map of two requests", encodeCbor(new Map([...["LockPCR", "LockPCRs"].map((k) => [k, null] as const)]))],
    ["a map keyed by a number", encodeCbor(new Map([[1, null]]))],
    ["fields where there are none", message("GetRandom", {})],
    ["no fields where there are some", encodeCbor("LockPCR")],
    ["null in the place of fields", encodeCbor(new Map([["LockPCR", null]]))],
    ["an index that is missing", message("DescribePCR", {})],
    ["an index that is text", message("DescribePCR", { index: "0" })],
    ["an index that is negative", message("DescribePCR", { index: -1 })],
    ["an index of more than 16 bits", message("DescribePCR", { index: 0x10000 })],
    ["an index of 64 bits", message("DescribePCR", { index: 2n ** 63n })],
    ["data that is text", message("ExtendPCR", { index: 0, data: "abc" })],
    ["data that is an array of integers", message("ExtendPCR", { index: 0, data: [1, 2] })],
    ["data that is null", message("ExtendPCR", { index: 0, data: null })],
    ["an optional field that is text", message("Attestation", { nonce: "abc" })],
    ["an optional field that is false", message("Attestation", { nonce: false })],
    ["an unknown field", message("Attestation", { userdata: Uint8Array.of(1) })],
    ["a byte after the request", Uint8Array.of(...encodeCbor("GetRandom"), 0)],
    ["text that is not UTF-8", Uint8Array.of(0x61, 0xff)],
  ])("are refused when they are %s", (_, encoded) => {
    expect(() => decodeNsmRequest(encoded)).toThrowCode("ERR_NSM");
  });
});

describe("NSM responses", () => {
  it.each(RESPONSES)("%s has exactly the bytes of the device", (_, response, encoded) => {
    expect(toHex(encodeNsmResponse(response))).toBe(encoded.replace(/\s/g, ""));
    expect(decodeNsmResponse(bytes(encoded))).toEqual(response);
  });

  it.each(ERROR_CODES)("Error %s has exactly the bytes of the device", (error) => {
    const encoded = `a1 65 4572726f72 ${text(error)}`.replace(/\s/g, "");
    expect(toHex(encodeNsmResponse({ kind: "Error", error }))).toBe(encoded);
    expect(decodeNsmResponse(bytes(encoded))).toEqual({ kind: "Error", error });
  });

  it("are read whatever the order of their fields: QEMU writes data before lock", () => {
    const response = message("DescribePCR", { data: Uint8Array.of(1), lock: false });
    expect(decodeNsmResponse(response)).toEqual({ kind: "DescribePCR", lock: false, data: Uint8Array.of(1) });
  });

  it("may have fields that a later device adds", () => {
    const response = message("ExtendPCR", { data: Uint8Array.of(1), lock: false });
    expect(decodeNsmResponse(response)).toEqual({ kind: "ExtendPCR", data: Uint8Array.of(1) });
  });

  it("are refused beyond 0x3000 bytes", () => {
    const overhead = encodeNsmResponse({ kind: "Attestation", document: new Uint8Array(300) }).length - 300;
    const document = new Uint8Array(NSM_MAX_RESPONSE_BYTES - overhead);
    expect(decodeNsmResponse(encodeNsmResponse({ kind: "Attestation", document }))).toEqual({
      kind: "Attestation",
      document,
    });
    const tooLong = encodeNsmResponse({ kind: "Attestation", document: new Uint8Array(document.length + 1) });
    expect(() => decodeNsmResponse(tooLong)).toThrowCode("ERR_NSM");
  });

  const describeNsm = {
    version_major: 1,
    version_minor: 0,
    version_patch: 0,
    module_id: "i-0-enc0",
    max_pcrs: 32,
    locked_pcrs: [0],
    digest: "SHA384",
  };

  it("DescribeNSM is read as a whole", () => {
    expect(decodeNsmResponse(message("DescribeNSM", describeNsm)).kind).toBe("DescribeNSM");
  });

  it.each([
    ["an unknown error code", encodeCbor(new Map([["Error", "Failure"]]))],
    ["an error code that Object has", encodeCbor(new Map([["Error", "constructor"]]))],
    ["an error without code", encodeCbor("Error")],
    ["an unknown answer", encodeCbor("Rebooted")],
    ["a request", encodeNsmRequest({ kind: "GetRandom" })],
    ["LockPCR with fields", message("LockPCR", {})],
    ["more than 256 random bytes", message("GetRandom", { random: new Uint8Array(257) })],
    ["random text", message("GetRandom", { random: utf8("x").join() })],
    ["a lock that is a number", message("DescribePCR", { lock: 1, data: Uint8Array.of(1) })],
    ["a PCR of more than 64 bytes", message("ExtendPCR", { data: new Uint8Array(65) })],
    ["a document that is missing", message("Attestation", {})],
    ["a document that is null", message("Attestation", { document: null })],
    ["locked_pcrs with a text", message("DescribeNSM", { ...describeNsm, locked_pcrs: ["0"] })],
    ["locked_pcrs that is bytes", message("DescribeNSM", { ...describeNsm, locked_pcrs: Uint8Array.of(0) })],
    ["a module_id of more than 100 characters", message("DescribeNSM", { ...describeNsm, module_id: "i".repeat(101) })],
    ["a digest that is a number", message("DescribeNSM", { ...describeNsm, digest: 384 })],
    ["a byte after the answer", Uint8Array.of(...encodeCbor("LockPCR"), 0)],
  ])("are refused when they are %s", (_, encoded) => {
    expect(() => decodeNsmResponse(encoded)).toThrowCode("ERR_NSM");
  });
});
