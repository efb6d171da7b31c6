/** Enclaves that share one sealing identity behind one parent: whoever attested to one is served by any, also when that one ends. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { utf8 } from "../../shared/bytes.js";
import { ServiceError } from "../../shared/errors.js";
import { sealingSeeds } from "../../shared/sealing-seed.js";
import type { EnclaveImage } from "../../simulator/image.js";
import { exampleImage } from "../../simulator/simulation.js";
import { testFolder } from "../support/folder.js";
import type { Fleet, Member } from "./fleet.js";
import { startFleet } from "./fleet.js";

const codeOf = (outcome: PromiseSettledResult<unknown>): string =>
  outcome.status === "fulfilled" ? "OK" : outcome.reason instanceof ServiceError ? outcome.reason.code : "other";

const named = ({ members }: Fleet, moduleId: string): Member => {
  const found = members.find(({ booted }) => booted.moduleId === moduleId);
  if (found === undefined) throw new TypeError("expected a client of one of the fleet");
  return found;
};

const others = ({ members }: Fleet, one: Member): readonly Member[] => members.filter((member) => member !== one);

/** Calls `call` with 0 to `count` - 1, so many at a time. */
async function load<T>(count: number, concurrent: number, call: (index: number) => Promise<T>) {
  const outcomes: PromiseSettledResult<T>[] = [];
  let next = 0;
  const worker = async (): Promise<void> => {
    for (let index = next++; index < count; index = next++) {
      outcomes.push(...(await Promise.allSettled([call(index)])));
    }
  };
  await Promise.all(Array.from({ length: concurrent }, worker));
  return outcomes;
}

describe("three enclaves with the same PCRs", () => {
  it("have one identity: a client attested to one is served by all of them", async () => {
    const fleet = await startFleet();
    const client = await fleet.connect();
    await load(60, 6, (index) => client.callFunction("note", { input: String(index) }, { idempotent: true }));
    for (const { served } of fleet.members) expect(served.length).toBeGreaterThan(10);
    expect(fleet.members.flatMap(({ served }) => served)).toHaveLength(60);
  });

  it("lose no call when one ends under load: those in flight on it are made again", async () => {
    const fleet = await startFleet();
    const client = await fleet.connect();
    const attested = named(fleet, client.attestation.attestation.moduleId);
    let killed: Promise<void> | undefined;
    const outcomes = await load(400, 32, async (index) => {
      if (index === 100) killed = attested.cut();
      return client.callFunction("note", { input: String(index) }, { idempotent: true });
    });
    await killed;
    expect(outcomes.map(codeOf).filter((code) => code !== "OK")).toEqual([]);
    const rest = others(fleet, attested).flatMap(({ served }) => served);
    expect(rest.filter((input) => Number(input) >= 150)).toHaveLength(250);
  });

  it("lose no call of a client that does not retry either: the parent asks the others for what was in flight", async () => {
    const fleet = await startFleet();
    const client = await fleet.connect({ maxRetries: 0 });
    const calls = Promise.allSettled(
      Array.from({ length: 30 }, (_, index) =>
        client.callFunction("hold", { input: String(index) }, { idempotent: true }),
      ),
    );
    await fleet.untilHeld(30);
    const [first, ...rest] = fleet.members;
    const inFlight = fleet.held.filter(({ member }) => member === first?.name).length;
    expect(inFlight).toBeGreaterThan(5);
    await first?.cut();
    await fleet.untilHeld(30 + inFlight); // the parent has asked the others for what it lost
    for (const member of rest)
      expect(fleet.held.filter((held) => held.member === member.name).length).toBeGreaterThan(5);
    for (const { end } of fleet.held) end();
    expect((await calls).map(codeOf)).toEqual(Array(30).fill("OK"));
  });

  it("tell of what nobody else could take with a code that the client retries", async () => {
    const fleet = await startFleet();
    const restoring: typeof fetch = async (input, init) => {
      const answer = await fetch(input, init);
      if (answer.status === 503) await fleet.members[1]?.restore();
      return answer;
    };
    const [once, again] = [
      await fleet.connect({ maxRetries: 0 }),
      await fleet.connect({ maxRetries: 2, fetch: restoring }),
    ];
    const options = { idempotent: true };
    const lost = once.callFunction("hold", { input: "lost" }, options);
    await fleet.untilHeld(1);
    await Promise.all(fleet.members.map((member) => member.cut()));
    await expect(lost).rejects.toThrowCode("ERR_ENCLAVE_UNAVAILABLE");
    expect(await again.callFunction("note", { input: "made again" }, options)).toBe("made again");
    expect(fleet.members[1]?.served).toEqual(["made again"]);
  });

  it("have what is not to be done twice done by the one that was attested, and by no other when that has ended", async () => {
    const fleet = await startFleet();
    const client = await fleet.connect();
    const attested = named(fleet, client.attestation.attestation.moduleId);
    await load(12, 3, (index) => client.callFunction("pay", { input: String(index) }));
    expect(attested.served).toHaveLength(12);
    await attested.cut();
    await expect(client.callFunction("pay", { input: "lost" })).rejects.toThrowCode("ERR_KEY_CONFIGURATION");
    for (const { served } of others(fleet, attested)) expect(served).toEqual([]);
    expect(await client.callFunction("pay", { input: "next" })).toBe("next"); // by whom it has attested meanwhile
  });

  it("refuse, each of them, what names another, whoever brings it to them and however often", async () => {
    const fleet = await startFleet();
    const elsewhere: typeof fetch = (input, init) =>
      fetch(
        String(input).replace(/\/enclaves\/(a|b)\//, (_, name) => `/enclaves/${name === "a" ? "b" : "a"}/`),
        init,
      );
    await fleet.members[2]?.cut();
    const client = await fleet.connect({ fetch: elsewhere });
    await expect(client.callFunction("pay", { input: "once" })).rejects.toThrowCode("ERR_OTHER_ENCLAVE");
    expect(fleet.members.flatMap(({ served }) => served)).toEqual([]);
  });

  it("serve once what a client wrongly takes for harmless, wherever it is sent", async () => {
    const fleet = await startFleet();
    const client = await fleet.connect();
    const attested = named(fleet, client.attestation.attestation.moduleId);
    const calls = Array.from({ length: 9 }, (_, index) =>
      client.callFunction("pay", { input: String(index) }, { idempotent: true }),
    );
    await Promise.all(calls);
    expect(attested.served).toHaveLength(9);
    expect(fleet.members.flatMap(({ served }) => served)).toHaveLength(9);
  });
});

describe("the seed of a fleet", () => {
  const epochOf = async ({ parent, members }: Fleet): Promise<unknown[]> => {
    const { enclaves } = z
      .object({ enclaves: z.record(z.string(), ENCLAVE) })
      .parse(await (await fetch(`${parent.url}/healthz`)).json());
    return members.map(({ name }) => enclaves[name]?.health.sealed.shared);
  };

  it("is made by one, and opened by the others", async () => {
    const fleet = await startFleet();
    const epochs = await epochOf(fleet);
    expect(epochs).toEqual(Array(3).fill({ epoch: 1, rollbacks: 0 }));
  });

  it("is in the parent's folder, where it has one", async () => {
    const seedFolder = testFolder();
    const fleet = await startFleet({ names: ["a"], seedFolder });
    await fleet.members[0]?.enclave.rotateSealedKeys();
    const [file = "", ...more] = readdirSync(seedFolder);
    expect([file.split(".")[0], more]).toEqual(["payments", []]);
    const { seeds } = sealingSeeds.parse(JSON.parse(readFileSync(join(seedFolder, file), "utf8")));
    expect(seeds.map(({ epoch }) => epoch)).toEqual([2, 1]);
  });

  it("is not opened for enclaves with other PCRs: KMS refuses, and they do not start", async () => {
    const fleet = await startFleet({ names: ["a"] });
    const image: EnclaveImage = { ...exampleImage(), ramdisks: [utf8("another system"), utf8("another application")] };
    await expect(fleet.boot(image)).rejects.toThrowCode("ERR_KMS_DENIED");
    const again = await fleet.boot();
    expect(again.enclave.configurationPcr).toBe(fleet.members[0]?.enclave.configurationPcr);
  });

  it("is followed by the next when one is told to rotate: requests with its keys lead the others to it", async () => {
    const fleet = await startFleet();
    const before = await fleet.connect();
    await fleet.members[0]?.enclave.rotateSealedKeys();
    const after = await fleet.connect({ fetch: toEnclave("a") });
    await load(30, 3, (index) => after.callFunction("note", { input: `after ${index}` }, { idempotent: true }));
    await load(30, 3, (index) => before.callFunction("note", { input: `before ${index}` }, { idempotent: true }));
    for (const { served } of fleet.members) {
      expect(served.filter((input) => input.startsWith("after")).length).toBeGreaterThan(5);
      expect(served.filter((input) => input.startsWith("before")).length).toBeGreaterThan(5);
    }
    expect(await epochOf(fleet)).toEqual(Array(3).fill({ epoch: 2, rollbacks: 0 }));
  });
});

const ENCLAVE = z.object({ health: z.object({ sealed: z.object({ shared: z.unknown() }) }) });

/** A `fetch` whose attestation comes from one enclave. */
const toEnclave =
  (name: string): typeof fetch =>
  (input, init) =>
    fetch(String(input).replace("/attestation", `/enclaves/${name}/attestation`), init);
