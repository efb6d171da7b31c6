/** Contexts that belong to the enclave: which a caller may not name, for which key, and what he still may. */
import { describe, expect, it } from "vitest";
import type { TlsConfiguration } from "../../../enclave/configuration.js";
import { OwnContexts } from "../../../enclave/operations/own-contexts.js";
import { KEY_ARN, OTHER_KEY_ARN, testKeys } from "../fakes.js";

const keys = testKeys();
const key = keys.resolve(KEY_ARN);
const TLS = { tenant: "a", purpose: "tls" };
const SEED = {
  purpose: "nitro-decrypt sealing identity",
  fleet: "payments",
  measurement: "00",
  epoch: "1",
  created: "",
};

const tls: TlsConfiguration = {
  ...{ certificate: "provided", chain: [""], issuers: [""], renewalCheckSeconds: 60 },
  privateKey: { ciphertext: "", keyId: KEY_ARN, encryptionContext: TLS },
};
const own = new OwnContexts({ channels: { tls }, keys });

describe("a caller's context", () => {
  it.each<[string, Record<string, string>]>([
    ["a branch key's record", { "branch-key-id": "a", tenant: "a" }],
    ["a pair of a branch key's maker", { "aws-crypto-ec:tenant": "a" }],
    ["a sealing seed", SEED],
    ["a sealing seed of another fleet, or what says so", { purpose: SEED.purpose }],
  ])("is not that of %s, under whichever key", (_, encryptionContext) => {
    for (const one of [key, keys.resolve(OTHER_KEY_ARN), undefined]) {
      expect(() => own.assertCallersContext({ key: one, encryptionContext })).toThrowCode("ERR_ENCRYPTION_CONTEXT");
    }
  });

  it("is not that of the TLS private key under its key, in whatever order", () => {
    for (const encryptionContext of [TLS, { purpose: "tls", tenant: "a" }]) {
      expect(() => own.assertCallersContext({ key, encryptionContext })).toThrowCode("ERR_ENCRYPTION_CONTEXT");
    }
  });

  it.each<[string, Record<string, string>, string]>([
    ["has a pair less than the TLS private key's", { purpose: "tls" }, KEY_ARN],
    ["has a pair more", { ...TLS, more: "" }, KEY_ARN],
    ["has another value", { ...TLS, tenant: "b" }, KEY_ARN],
    ["is the same under another key, where it opens something else", TLS, OTHER_KEY_ARN],
    ["has another purpose than a seed", { ...SEED, purpose: "nitro-decrypt sealing identity " }, KEY_ARN],
    ["is none", {}, KEY_ARN],
  ])("may be one that %s", (_, encryptionContext, arn) => {
    expect(() => own.assertCallersContext({ key: keys.resolve(arn), encryptionContext })).not.toThrow();
  });

  it("is not compared with a TLS private key that is not provided", () => {
    for (const channels of [{}, { tls: { certificate: "generated", maxAgeSeconds: 3_600 } as const }]) {
      const others = new OwnContexts({ channels, keys });
      expect(() => others.assertCallersContext({ key, encryptionContext: TLS })).not.toThrow();
      expect(() => others.assertCallersContext({ key, encryptionContext: SEED })).toThrowCode("ERR_ENCRYPTION_CONTEXT");
    }
  });
});
