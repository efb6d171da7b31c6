/** Finding enclaves by nitro-cli, whose place a script takes. */
import { chmodSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { describeEnclaves, enclaveOfCid } from "../../parent/index.js";
import { testFolder } from "../support/folder.js";

/** A command that runs `script`. */
function nitroCli(script: string): string {
  const path = join(testFolder(), "nitro-cli");
  writeFileSync(path, `#!/bin/sh\n${script}\n`);
  chmodSync(path, 0o755);
  return path;
}

/** As nitro-cli 1.5 prints it. */
const enclave = (cid: number, state = "RUNNING") => ({
  EnclaveName: "payments",
  EnclaveID: "i-0123456789abcdef0-enc0123456789abcdef",
  ProcessID: 4_242,
  EnclaveCID: cid,
  NumberOfCPUs: 2,
  CPUIDs: [1, 3],
  MemoryMiB: 1_024,
  State: state,
  Flags: "NONE",
  Measurements: { HashAlgorithm: "Sha384 { ... }", PCR0: "00", PCR1: "00", PCR2: "00" },
});

const answering = (answer: unknown): string =>
  nitroCli(`test "$1" = describe-enclaves && cat <<'END'\n${JSON.stringify(answer, null, 2)}\nEND`);

describe("describeEnclaves", () => {
  test("finds the enclaves that run, at the usual ports", async () => {
    const command = answering([enclave(16), enclave(17, "TERMINATING"), enclave(4_294_967_294)]);
    expect(await describeEnclaves({ command })).toEqual([
      { name: "16", address: "vsock://16:5000", tls: "vsock://16:5443" },
      { name: "4294967294", address: "vsock://4294967294:5000", tls: "vsock://4294967294:5443" },
    ]);
  });

  test("finds none where none runs", async () => {
    expect(await describeEnclaves({ command: answering([]) })).toEqual([]);
  });

  test.each<[string, () => string]>([
    ["is not there", () => join(testFolder(), "nitro-cli")],
    ["fails", () => nitroCli("echo '[]'; exit 1")],
    ["prints what is not JSON", () => nitroCli("echo none")],
    ["prints another JSON", () => answering({ enclaves: [] })],
    ["prints enclaves without a CID", () => answering([{ State: "RUNNING" }])],
    ["never stops printing", () => nitroCli("exec yes")],
  ])("refuses a command that %s", async (_, command) => {
    await expect(describeEnclaves({ command: command() })).rejects.toThrowCode("ERR_ENCLAVE_UNAVAILABLE");
  });

  test("gives up on a command that takes too long", async () => {
    const command = nitroCli("exec sleep 60");
    await expect(describeEnclaves({ command, deadlineMs: 100 })).rejects.toThrowCode("ERR_ENCLAVE_UNAVAILABLE");
  });

  test("refuses a CID that no enclave can have", async () => {
    await expect(describeEnclaves({ command: answering([enclave(3)]) })).rejects.toThrowCode("ERR_ADDRESS");
  });
});

describe("enclaveOfCid", () => {
  test.each([0, 1, 2, 3, 0xffff_ffff, 0x1_0000_0000, -1, 16.5, Number.NaN])("refuses %d", (cid) => {
    expect(() => enclaveOfCid(cid)).toThrowCode("ERR_ADDRESS");
  });
});
