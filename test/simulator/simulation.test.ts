import { existsSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { CreateKeyCommand, GenerateRandomCommand } from "@aws-sdk/client-kms";
import { describe, expect, it } from "vitest";
import { verifyAttestation } from "../../shared/attestation/verify.js";
import { toHex, utf8 } from "../../shared/bytes.js";
import { connectSimulatedNsm, exampleImage, startSimulation } from "../../simulator/index.js";
import { createSimulatedRoot } from "../../simulator/pki/nitro-pki.js";
import { attest, errorNameOf, kmsClient } from "../support/simulated-kms.js";
import { clockAt, HOUR } from "./fixtures.js";

const pathOf = (address: string) => address.slice("unix:".length);

describe("startSimulation", () => {
  it("gives a device whose documents verify under the simulation's anchor, and PCRs that they say", async () => {
    const clock = clockAt();
    await using simulation = await startSimulation({ clock });
    const { trustAnchor, pcrs, nsm } = simulation;
    const verified = await verifyAttestation(await attest(nsm, null), { trustAnchor, now: clock() });
    expect(verified.moduleId).toBe(simulation.moduleId);
    expect(Object.fromEntries([...verified.pcrs].map(([index, value]) => [index, toHex(value)]))).toMatchObject(pcrs);
  });

  it("serves the same device on a socket for another process, in a folder of its own", async () => {
    await using simulation = await startSimulation({ clock: clockAt() });
    const connected = connectSimulatedNsm(simulation.nsmAddress);
    const request = utf8("kDescribeNSM"); // text of 11 characters: 6b, which is "k"
    expect(await connected.exchange(request)).toEqual(await simulation.nsm.exchange(request));
    expect(statSync(dirname(pathOf(simulation.nsmAddress))).mode & 0o777).toBe(0o700);
    await connected.close();
  });

  it("boots more enclaves, each with the PCRs of its image", async () => {
    await using simulation = await startSimulation({ clock: clockAt() });
    const same = await simulation.bootEnclave(exampleImage());
    expect(same.pcrs).toEqual(simulation.pcrs);
    expect(same.moduleId).not.toBe(simulation.moduleId);
    expect(same.nsmAddress).not.toBe(simulation.nsmAddress);
    const changed = await simulation.bootEnclave({ ...exampleImage(), cmdline: utf8("changed") });
    expect(changed.pcrs[0]).not.toBe(simulation.pcrs[0]);
    expect(changed.pcrs[4]).toBe(simulation.pcrs[4]);
    const debug = await simulation.bootEnclave(exampleImage(), { debug: true });
    expect([0, 1, 2, 8].map((index) => debug.pcrs[index] ?? "00".repeat(48))).toEqual(Array(4).fill("00".repeat(48)));
  });

  it("can run more than once in a process, each believing only itself", async () => {
    const clock = clockAt();
    await using one = await startSimulation({ clock });
    await using two = await startSimulation({ clock });
    expect(one.kms.port).not.toBe(two.kms.port);
    const document = await attest(one.nsm, null);
    await expect(verifyAttestation(document, { trustAnchor: two.trustAnchor, now: clock() })).rejects.toThrowCode(
      "ERR_TRUST_ANCHOR",
    );
    const crossed = kmsClient(two.kms, clock, one.operator);
    expect(await errorNameOf(crossed.send(new GenerateRandomCommand({ NumberOfBytes: 1 })))).toBe(
      "UnrecognizedClientException",
    );
    crossed.destroy();
  });

  it("may share a root with another, as several processes of one platform do", async () => {
    const clock = clockAt();
    const root = await createSimulatedRoot();
    await using one = await startSimulation({ clock, root });
    await using two = await startSimulation({ clock, root });
    expect(one.trustAnchor).toEqual(two.trustAnchor);
  });

  it("takes its Region, account, role and instance from its caller", async () => {
    const clock = clockAt();
    const options = {
      region: "eu-central-1",
      accountId: "444455556666",
      roleName: "r",
      instanceId: "i-0123456789abcdef0",
    };
    await using simulation = await startSimulation({ clock, ...options });
    expect(simulation).toMatchObject({
      region: "eu-central-1",
      accountId: "444455556666",
      instanceId: "i-0123456789abcdef0",
    });
    expect(simulation.roleArn).toBe("arn:aws:iam::444455556666:role/r");
    const client = kmsClient(simulation.kms, clock);
    const { KeyMetadata } = await client.send(new CreateKeyCommand({}));
    expect(KeyMetadata?.Arn).toMatch(/^arn:aws:kms:eu-central-1:444455556666:key\//);
    client.destroy();
  });

  it("gives the role's credentials, which may call GenerateRandom and nothing else by themselves", async () => {
    const clock = clockAt();
    await using simulation = await startSimulation({ clock, credentialLifetimeSeconds: 3600 });
    const first = await simulation.roleCredentials();
    expect(await simulation.roleCredentials()).toEqual(first);
    const client = kmsClient(simulation.kms, clock, first);
    expect(await errorNameOf(client.send(new GenerateRandomCommand({ NumberOfBytes: 1 })))).toBe("no error");
    expect(await errorNameOf(client.send(new CreateKeyCommand({})))).toBe("AccessDeniedException");
    clock.advance(HOUR);
    const late = kmsClient(simulation.kms, clock, first);
    expect(await errorNameOf(late.send(new GenerateRandomCommand({ NumberOfBytes: 1 })))).toBe("ExpiredTokenException");
    expect((await simulation.roleCredentials()).accessKeyId).not.toBe(first.accessKeyId);
    client.destroy();
    late.destroy();
  });

  it("leaves nothing behind, however often it is closed", async () => {
    const simulation = await startSimulation({ clock: clockAt() });
    const folder = dirname(pathOf(simulation.nsmAddress));
    expect(existsSync(folder)).toBe(true);
    await simulation.close();
    await simulation.close();
    expect(existsSync(folder)).toBe(false);
    await expect(fetch(simulation.imds.endpoint)).rejects.toThrow(TypeError);
    await expect(fetch(simulation.kms.endpoint)).rejects.toThrow(TypeError);
  });

  it("stops what it had started when a part cannot start", async () => {
    await using first = await startSimulation({ clock: clockAt() });
    await expect(startSimulation({ clock: clockAt(), imdsPort: first.imds.port })).rejects.toMatchObject({
      code: "EADDRINUSE",
    });
    expect((await fetch(`${first.imds.endpoint}/`)).status).toBe(401);
  });
});
