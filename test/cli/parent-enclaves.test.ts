/** The options by which `nitro-decrypt parent` is told its enclaves. */
import { describe, expect, it } from "vitest";
import type { CommandFailure } from "../../cli/command.js";
import type { EnclavesValues } from "../../cli/parent-enclaves.js";
import { isOnVsock, parseEnclaves } from "../../cli/parent-enclaves.js";

const failureOf = (values: EnclavesValues): Partial<CommandFailure> => {
  try {
    parseEnclaves(values);
  } catch (error) {
    return error as CommandFailure;
  }
  throw new Error("expected a failure");
};

describe("parseEnclaves", () => {
  it("names enclaves on vsock by their CID, and those on Unix sockets by their place", () => {
    expect(parseEnclaves({ enclave: ["unix:/a", "unix:/b", "vsock://16:5000"] })).toEqual([
      { name: "enclave", address: "unix:/a" },
      { name: "enclave-2", address: "unix:/b" },
      { name: "16", address: "vsock://16:5000" },
    ]);
  });

  it("takes an address for TLS for each", () => {
    expect(parseEnclaves({ enclave: ["unix:/a"], "enclave-tls": ["unix:/t"] })).toEqual([
      { name: "enclave", address: "unix:/a", tls: "unix:/t" },
    ]);
  });

  it("takes CIDs, at the usual ports", () => {
    expect(parseEnclaves({ "enclave-cid": ["16", "17"] })).toEqual([
      { name: "16", address: "vsock://16:5000", tls: "vsock://16:5443" },
      { name: "17", address: "vsock://17:5000", tls: "vsock://17:5443" },
    ]);
  });

  it("finds them", () => {
    expect(parseEnclaves({ discover: true })).toBeTypeOf("function");
  });

  it.each<[string, EnclavesValues]>([
    ["none", {}],
    ["--discover and a CID", { discover: true, "enclave-cid": ["16"] }],
    ["addresses and CIDs", { enclave: ["unix:/a"], "enclave-cid": ["16"] }],
    ["fewer addresses for TLS", { enclave: ["unix:/a", "unix:/b"], "enclave-tls": ["unix:/t"] }],
    ["an address for TLS alone", { "enclave-cid": ["16"], "enclave-tls": ["unix:/t"] }],
    ["a CID that is no number", { "enclave-cid": ["0x10"] }],
  ])("refuses %s as wrong usage", (_, values) => {
    expect(failureOf(values).exitCode).toBe(2);
  });

  it("refuses a CID that no enclave has", () => {
    expect(() => parseEnclaves({ "enclave-cid": ["3"] })).toThrowCode("ERR_ADDRESS");
  });

  it("knows when the parent's own addresses are on vsock", () => {
    const ways: EnclavesValues[] = [{ discover: true }, { "enclave-cid": ["16"] }, { enclave: ["unix:/a"] }];
    expect(ways.map(isOnVsock)).toEqual([true, true, false]);
  });
});
