/** Records of the official format, out of a store that lies. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { WantedBranchKey } from "../../../../enclave/data-keys/branch/branch-key-record.js";
import { isBranchKeyContext, parseBranchKeyRecord } from "../../../../enclave/data-keys/branch/branch-key-record.js";
import type { ErrorCode } from "../../../../shared/errors.js";
import { ServiceError } from "../../../../shared/errors.js";
import { FOREIGN_KEY_ARN, KEY_ARN } from "../../fakes.js";
import { CREATED, item, LATER, LOGICAL_NAME, NEXT_VERSION, VERSION } from "./records.js";

const BINDING = { logicalKeyStoreName: LOGICAL_NAME, isKmsKey: (arn: string) => arn === KEY_ARN, tenantPair: "tenant" };
const ACTIVE: WantedBranchKey = { branchKeyId: "a" };
const OF_VERSION: WantedBranchKey = { branchKeyId: "a", version: VERSION };

const parse = (record: unknown, wanted = ACTIVE) => parseBranchKeyRecord(record, wanted, BINDING);

describe("parseBranchKeyRecord", () => {
  it("reads an active record, and binds its key to all of it and to the logical name", () => {
    expect(parse(item())).toEqual({
      branchKeyId: "a",
      version: VERSION,
      createdAt: "2026-11-23T10:00:00.123000000",
      ciphertext: Uint8Array.of(1, 2, 3),
      encryptionContext: {
        "branch-key-id": "a",
        type: "branch:ACTIVE",
        version: `branch:version:${VERSION}`,
        "create-time": CREATED,
        "hierarchy-version": "1",
        "kms-arn": KEY_ARN,
        "aws-crypto-ec:tenant": "a",
        tablename: LOGICAL_NAME,
      },
    });
  });

  it("reads the record of a version", () => {
    const record = parse(item({}, OF_VERSION), OF_VERSION);
    expect(record.version).toBe(VERSION);
    expect(record.encryptionContext).toMatchObject({ type: `branch:version:${VERSION}` });
    expect(record.encryptionContext).not.toHaveProperty("version");
  });

  it("orders creation times whose fractions differ in length", () => {
    const later = parse(item({ "create-time": { S: LATER } })).createdAt;
    const whole = parse(item({ "create-time": { S: "2026-11-23T10:00:00Z" } })).createdAt;
    expect([later, parse(item()).createdAt, whole].sort()).toEqual([whole, parse(item()).createdAt, later]);
  });

  const REFUSED: readonly [string, Readonly<Record<string, unknown>>, ErrorCode?][] = [
    ["of another branch key", { "branch-key-id": { S: "b" } }],
    ["of another type", { type: { S: `branch:version:${VERSION}` } }],
    ["of a beacon key", { type: { S: "beacon:ACTIVE" } }],
    ["whose custom pair names another tenant", { "aws-crypto-ec:tenant": { S: "b" } }],
    ["without the custom pair that names its tenant", { "aws-crypto-ec:tenant": undefined }],
    ["under another KMS key", { "kms-arn": { S: FOREIGN_KEY_ARN } }, "ERR_KMS_KEY"],
    ["of another hierarchy version", { "hierarchy-version": { N: "2" } }],
    ["whose hierarchy version is text", { "hierarchy-version": { S: "1" } }],
    ["that names no version", { version: undefined }],
    ["whose version has no prefix", { version: { S: VERSION } }],
    ["whose version is no UUID", { version: { S: "branch:version:1" } }],
    ["whose version is a UUID of time", { version: { S: "branch:version:11111111-2222-1333-8444-555555555555" } }],
    ["without a key", { enc: undefined }],
    ["with an empty key", { enc: { B: "" } }],
    ["whose key is no base64", { enc: { B: "AQI" } }],
    ["with a key that is too long", { enc: { B: "AAAA".repeat(2049) } }],
    ["with an endless key", { enc: { B: "A".repeat(1_000_000) } }],
    ["whose key is text", { enc: { S: "AQID" } }],
    ["without a time", { "create-time": undefined }],
    ["with a time of another zone", { "create-time": { S: "2026-11-23T10:00:00+01:00" } }],
    ["with an attribute that is no custom pair", { ttl: { S: "1" } }],
    ["with a number as a custom pair", { "aws-crypto-ec:n": { N: "1" } }],
    ["with a value that is too long", { "aws-crypto-ec:n": { S: "x".repeat(8193) } }],
    ["with a name that is too long", { [`aws-crypto-ec:${"n".repeat(1024)}`]: { S: "" } }],
    [
      "with too many attributes",
      Object.fromEntries(Array.from({ length: 64 }, (_, i) => [`aws-crypto-ec:${i}`, { S: "" }])),
    ],
  ];
  it.each(REFUSED)("refuses a record %s", (_, changes, code = "ERR_BRANCH_KEY") => {
    expect(() => parse(item(changes))).toThrowCode(code);
  });

  it("refuses a version's record that also names an active one, and that of another version", () => {
    const named = item({ version: { S: `branch:version:${VERSION}` } }, OF_VERSION);
    expect(() => parse(named, OF_VERSION)).toThrowCode("ERR_BRANCH_KEY");
    const other = item({}, { branchKeyId: "a", version: NEXT_VERSION });
    expect(() => parse(other, OF_VERSION)).toThrowCode("ERR_BRANCH_KEY");
  });

  it("throws nothing but refusals, whatever the store answers, and never repeats it", () => {
    const names = [...Object.keys(item()), "aws-crypto-ec:x", "secret-name"];
    const anything = fc.oneof(fc.anything(), fc.dictionary(fc.constantFrom(...names), fc.anything()));
    fc.assert(
      fc.property(anything, fc.constantFrom(ACTIVE, OF_VERSION), (record, wanted) => {
        try {
          parse(record, wanted);
        } catch (error) {
          expect(error).toBeInstanceOf(ServiceError);
          expect(String(error)).not.toContain("secret-name");
        }
      }),
    );
  });
});

describe("isBranchKeyContext", () => {
  it("knows every context of a record, and pairs that only records have", () => {
    expect(isBranchKeyContext({ tenant: "a", "aws-crypto-public-key": "k" })).toBe(false);
    for (const wanted of [ACTIVE, OF_VERSION]) {
      const { encryptionContext } = parse(item({}, wanted), wanted);
      expect(isBranchKeyContext(encryptionContext)).toBe(true);
    }
    for (const name of ["branch-key-id", "aws-crypto-ec:tenant"]) {
      expect(isBranchKeyContext({ tenant: "a", [name]: "a" })).toBe(true);
    }
  });
});
