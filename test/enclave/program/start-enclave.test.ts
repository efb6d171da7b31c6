/** The program of an enclave image, on a simulated machine: what happens in which order, and what a bad start says. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { systemClock } from "../../../enclave/clock.js";
import type { BootedMachine } from "../../../enclave/machine/machine.js";
import type { StartOptions } from "../../../enclave/program/start-enclave.js";
import { regionTunnelsOf, startEnclave } from "../../../enclave/program/start-enclave.js";
import { exampleImage } from "../../../simulator/index.js";
import { requestOver } from "../../../transport/http.js";
import { testFolder } from "../../support/folder.js";
import { CountingNsm, memoryLog } from "../fakes.js";
import type { Kms } from "../stack.js";
import { bytePipe, configurationOf, startKmsForTest } from "../stack.js";

let kms: Kms;
beforeAll(async () => {
  kms = await startKmsForTest();
});
afterAll(() => kms.simulation.close());

const RANDOMNESS = { seededBytes: 1_024, credited: true, hardwareGenerator: "nsm-hwrng" };

/** A machine that notes when it was settled, and what the device had been asked until then. */
async function simulatedMachine() {
  const nsm = new CountingNsm((await kms.simulation.bootEnclave(exampleImage())).nsm);
  const settled: { nowMs: number; asked: string[] }[] = [];
  const machine: BootedMachine = {
    nsm: Object.assign(nsm, { close: async () => undefined }),
    settle: (nowMs) => void settled.push({ nowMs, asked: nsm.requests.map(({ kind }) => kind) }),
    state: { randomness: RANDOMNESS, clockSet: true, uid: 65_532 },
  };
  return { machine, settled };
}

async function optionsFor(machine: BootedMachine, changes: Partial<StartOptions> = {}): Promise<StartOptions> {
  const folder = testFolder();
  const at = (name: string): string => `unix:${join(folder, name)}`;
  const configurationFile = join(folder, "enclave.json");
  writeFileSync(configurationFile, JSON.stringify(configurationOf(kms)));
  const tunnel = await bytePipe(kms.simulation.kms.port);
  const addresses = { listen: at("enclave"), tls: at("tls"), tunnel, services: at("services") };
  return { configurationFile, addresses, functions: [], machine, log: memoryLog(), clock: systemClock, ...changes };
}

describe("startEnclave", () => {
  it("settles the machine once, with the NSM's time, after PCR16 is locked; health has its state", async () => {
    const { machine, settled } = await simulatedMachine();
    const enclave = await startEnclave(await optionsFor(machine));
    onTestFinished(() => enclave.close());
    expect(settled).toHaveLength(1);
    expect(settled[0]?.asked).toEqual([
      "DescribePCR",
      "ExtendPCR",
      "LockPCR",
      "DescribePCR",
      "DescribeNSM",
      "Attestation",
    ]);
    expect(Math.abs((settled[0]?.nowMs ?? 0) - Date.now())).toBeLessThan(60_000);
    const request = { method: "GET", path: "/healthz", deadlineMs: 5_000, maxResponseBytes: 65_536 };
    const { body } = await requestOver(enclave.address, request);
    const health = JSON.parse(Buffer.from(body).toString());
    expect(health).toMatchObject({ machine: { randomness: RANDOMNESS, clockSet: true, uid: 65_532 } });
    expect(health).not.toHaveProperty("tls"); // the configuration has none, and the address is left aside
  });

  it("finds the parent's tunnels to further Regions at ports that follow one another", () => {
    expect(regionTunnelsOf(["us-east-1"])).toEqual({});
    expect(regionTunnelsOf(["us-east-1", "eu-west-1", "ap-northeast-1"])).toEqual({
      "eu-west-1": "vsock://3:8010",
      "ap-northeast-1": "vsock://3:8011",
    });
  });

  it("refuses to start without a configuration", async () => {
    const { machine, settled } = await simulatedMachine();
    const options = await optionsFor(machine, { configurationFile: join(testFolder(), "none") });
    await expect(startEnclave(options)).rejects.toThrowCode("ERR_CONFIGURATION");
    expect(settled).toEqual([]);
  });

  it("does not start when the application's own preparation fails, and nothing is measured then", async () => {
    const { machine } = await simulatedMachine();
    const functions = (): never => {
      throw new TypeError("no settings");
    };
    await expect(startEnclave(await optionsFor(machine, { functions }))).rejects.toThrow(TypeError);
    expect((machine.nsm as unknown as CountingNsm).requests).toEqual([]);
  });
});
