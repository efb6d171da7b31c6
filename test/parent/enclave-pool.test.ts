/** Several enclaves behind one parent: who is asked, what happens while one does not answer, and who is found. */
import type { RequestListener, ServerResponse } from "node:http";
import { connect } from "node:net";
import { join } from "node:path";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { EnclavePool } from "../../parent/enclave-pool.js";
import type { EnclaveTarget, Parent, ParentOptions } from "../../parent/index.js";
import { createParent } from "../../parent/index.js";
import { DEFAULT_LIMITS } from "../../parent/limits.js";
import { createMetrics } from "../../parent/metrics.js";
import { requestOver } from "../../transport/http.js";
import { testFolder } from "../support/folder.js";
import { collect } from "../support/streams.js";
import { fakeEnclave, killServer, parentOptions } from "./fakes.js";

/** An enclave that answers everything with its name. */
const naming =
  (name: string): RequestListener =>
  (request, response) => {
    request.resume();
    response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify({ name, path: request.url }));
  };

const targetOf = (name: string): EnclaveTarget => ({ name, address: `unix:${join(testFolder(), name)}` });

async function open(enclaves: ParentOptions["enclaves"], changes: Partial<ParentOptions> = {}) {
  const { options, log } = parentOptions({ enclaves, ...changes });
  const parent = await createParent(options);
  onTestFinished(() => parent.close());
  return { parent, log, services: options.services };
}

/** Two enclaves, and a parent for both. */
async function openTwo(changes: Partial<ParentOptions> = {}) {
  const targets = [targetOf("a"), targetOf("b")];
  const [a, b] = await Promise.all(targets.map(({ name, address }) => fakeEnclave(address, naming(name))));
  if (a === undefined || b === undefined) throw new TypeError("unreachable: there are two");
  return { ...(await open(targets, changes)), a, b, targets };
}

async function get({ url }: Parent, path: string) {
  const response = await fetch(`${url}${path}`);
  return { status: response.status, location: response.headers.get("content-location"), body: await response.json() };
}

const sealed = ({ url }: Parent, path: string) =>
  fetch(`${url}${path}`, { method: "POST", headers: { "content-type": "message/ohttp-req" }, body: "sealed" });

describe("several enclaves", () => {
  test("take turns, and say by the location of an attestation whose it is", async () => {
    const { parent } = await openTwo();
    const answers = [await get(parent, "/attestation?nonce=1"), await get(parent, "/attestation?nonce=2")];
    expect(answers.map(({ body }) => body.name).sort()).toEqual(["a", "b"]);
    for (const { body, location } of answers) expect(location).toBe(`enclaves/${body.name}/attestation`);
  });

  test("are each reached by name, with the path as it was", async () => {
    const { parent } = await openTwo();
    for (const name of ["a", "b", "a"]) {
      const { body } = await get(parent, `/enclaves/${name}/attestation?nonce=A-_`);
      expect(body).toEqual({ name, path: "/attestation?nonce=A-_" });
      expect(await (await sealed(parent, `/enclaves/${name}/v1/sealed`)).json()).toEqual({ name, path: "/v1/sealed" });
    }
  });

  test("an attestation is asked of another when one does not answer, and that one is left out for a while", async () => {
    const { parent, a } = await openTwo();
    await killServer(a);
    for (let i = 0; i < 4; i++) expect((await get(parent, "/attestation")).body.name).toBe("b");
    expect(await (await fetch(`${parent.url}/metrics`)).text()).toContain('nitro_parent_enclave_up{enclave="a"} 0');
  });

  test("what may do harm twice is not sent to another", async () => {
    const { parent, a } = await openTwo();
    await killServer(a);
    const headers = { "content-type": "application/json" };
    const call = async () =>
      (await fetch(`${parent.url}/v1/functions/f`, { method: "POST", headers, body: "{}" })).status;
    expect([await call(), await call()].sort()).toEqual([200, 503]);
  });

  test("a sealed request to an enclave that is gone is told that its key is, so that the client attests anew", async () => {
    const { parent, a } = await openTwo();
    const unknown = await sealed(parent, "/enclaves/c/v1/sealed");
    expect(await unknown.json()).toMatchObject({ code: "ERR_KEY_CONFIGURATION" });
    await killServer(a);
    const silent = await sealed(parent, "/enclaves/a/v1/sealed");
    expect(await silent.json()).toMatchObject({ code: "ERR_KEY_CONFIGURATION" });
  });

  test("all being silent, the request is told so, and each has been asked", async () => {
    const { parent, a, b } = await openTwo();
    await Promise.all([killServer(a), killServer(b)]);
    expect(await get(parent, "/attestation")).toMatchObject({ status: 503, body: { code: "ERR_ENCLAVE_UNAVAILABLE" } });
    const metrics = await (await fetch(`${parent.url}/metrics`)).text();
    for (const name of ["a", "b"]) expect(metrics).toContain(`nitro_parent_enclave_up{enclave="${name}"} 0`);
  });

  test("one that does not answer is asked by the parent alone, until it does, and then takes turns again", async () => {
    const limits = { enclaveRestMs: 1, enclaveDeadlineMs: 100, probeDeadlineMs: 20 };
    const { parent, a } = await openTwo({ limits });
    let probes = 0;
    let enough: () => void = () => undefined;
    const probed = new Promise<void>((resolve) => (enough = resolve));
    const silent: RequestListener = ({ url }) => {
      if (url === "/healthz" && ++probes === 3) enough();
    };
    a.removeAllListeners("request").on("request", silent);
    expect((await get(parent, "/enclaves/a/attestation")).body).toMatchObject({ code: "ERR_TIMEOUT" });
    await probed;
    for (let i = 0; i < 4; i++) expect((await get(parent, "/attestation")).body.name).toBe("b");
    a.removeAllListeners("request").on("request", naming("a"));
    await expect.poll(async () => (await get(parent, "/attestation")).body.name).toBe("a");
  });

  test.each(["a", "b", "c", "d"])("all having been silent, each is asked once, until %s answers", async (name) => {
    const targets = ["a", "b", "c", "d"].map(targetOf);
    const limits = { enclaveRestMs: 60_000, enclaveDeadlineMs: 200, transferDeadlineMs: 200 };
    const { parent } = await open(targets, { limits });
    await get(parent, "/healthz");
    // Once, with an even number of them, it asked the same one over and over, for as long as the client waited.
    const silent = { status: 503, body: { code: "ERR_ENCLAVE_UNAVAILABLE" } };
    for (let i = 0; i < 2; i++) expect(await get(parent, "/attestation")).toMatchObject(silent);
    await fakeEnclave(targets.find((target) => target.name === name)?.address ?? "", naming(name));
    expect(await get(parent, "/attestation")).toMatchObject({ status: 200, body: { name } });
  });

  test("a request goes where a place is free, also when it moves on, and is refused where there is none", async () => {
    const { parent, a, b } = await openTwo({ limits: { maxConcurrentRequests: 1 } });
    const held: ServerResponse[] = [];
    const arrivals: (() => void)[] = [];
    const arrived = () => new Promise<void>((resolve) => arrivals.push(resolve));
    const hold: RequestListener = (_request, response) => {
      held.push(response);
      arrivals.shift()?.();
    };
    for (const enclave of [a, b]) enclave.removeAllListeners("request").on("request", hold);
    const first = arrived();
    const atB = get(parent, "/enclaves/b/attestation");
    await first;
    const second = arrived();
    const atA = get(parent, "/attestation"); // wherever the turn is: b is full
    await second;
    expect(await get(parent, "/attestation")).toMatchObject({ status: 503, body: { code: "ERR_BUSY" } });
    await killServer(a);
    expect(await atA).toMatchObject({ status: 503, body: { code: "ERR_BUSY" } }); // not a second one to b
    expect(held).toHaveLength(2);
    held[0]?.end("{}");
    expect((await atB).status).toBe(200);
  });

  test.each([
    ["an absolute form", "http://host/enclaves/b/attestation?n=%41"],
    ["letters that are percent-encoded", "/%65nclaves/%62/%61ttestation?n=%41"],
    ["a fragment", "/enclaves/b/attestation?n=%41#x"],
  ])("are reached by name when the target has %s", async (_, target) => {
    const { parent } = await openTwo();
    const { hostname, port } = new URL(parent.url);
    const socket = connect({ host: hostname, port: Number(port) });
    socket.write(`GET ${target} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n`);
    const answer = (await collect(socket)).toString();
    expect(JSON.parse(answer.slice(answer.indexOf("{")))).toEqual({ name: "b", path: "/attestation?n=%41" });
  });

  test("health shows each; one that is ready makes the parent ready", async () => {
    const { parent, a } = await openTwo();
    await killServer(a);
    const { body } = await get(parent, "/healthz");
    expect(body).toMatchObject({ status: "degraded", enclaves: { a: { reachable: false }, b: { reachable: true } } });
    expect((await get(parent, "/readyz")).status).toBe(200);
  });

  test("an unknown name is told", async () => {
    const { parent } = await openTwo();
    expect((await get(parent, "/enclaves/c/attestation")).body).toMatchObject({ code: "ERR_ENCLAVE_UNAVAILABLE" });
  });
});

describe("enclaves that are found", () => {
  test("come and go with what the discovery says; while it fails, those known are kept", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    onTestFinished(() => void vi.useRealTimers());
    const targets = [targetOf("a"), targetOf("b")];
    for (const { name, address } of targets) await fakeEnclave(address, naming(name));
    let found: () => EnclaveTarget[] = () => [];
    const { parent, log } = await open(async () => found(), { limits: { discoveryIntervalMs: 1_000 } });
    const names = async () => Object.keys((await get(parent, "/healthz")).body.enclaves);
    expect((await get(parent, "/attestation")).body).toMatchObject({ code: "ERR_ENCLAVE_UNAVAILABLE" });
    const next = async (answer: typeof found): Promise<string[]> => {
      found = answer;
      await vi.advanceTimersByTimeAsync(1_000);
      return names();
    };
    expect(await next(() => targets)).toEqual(["a", "b"]);
    expect(await next(() => targets.slice(1))).toEqual(["b"]);
    const failing = (): never => {
      throw new Error("nitro-cli failed");
    };
    expect(await next(failing)).toEqual(["b"]);
    expect(log.text()).toContain("discovery failed, those known are kept");
    expect(await next(() => targets)).toEqual(["b", "a"]);
  });
});

describe("a discovery", () => {
  const later = () => {
    let answer: (targets: EnclaveTarget[]) => void = () => undefined;
    const source = () => new Promise<EnclaveTarget[]>((resolve) => (answer = resolve));
    return { source, answer: (targets: EnclaveTarget[]) => answer(targets) };
  };

  test("that does not answer delays neither the start nor the next question for longer than its deadline", async () => {
    const targets = [targetOf("a")];
    let asked = 0;
    const source = () => (asked++ === 0 ? new Promise<never>(() => undefined) : Promise.resolve(targets));
    const { parent, log } = await open(source, { limits: { discoveryDeadlineMs: 20, discoveryIntervalMs: 20 } });
    expect(log.text()).toContain("ERR_TIMEOUT");
    await expect.poll(async () => (await get(parent, "/healthz")).body.enclaves).toHaveProperty("a");
  });

  test("that answers after the end adds nothing and is not repeated", async () => {
    const { source, answer } = later();
    const { options, log } = parentOptions();
    const limits = { ...DEFAULT_LIMITS, discoveryIntervalMs: 1 };
    let asked = 0;
    const repeated = () => (asked++ === 0 ? Promise.resolve([]) : source());
    const context = { limits, log: options.log ?? log.logger, metrics: createMetrics(() => undefined) };
    const pool = await EnclavePool.create(repeated, context);
    await expect.poll(() => asked).toBe(2);
    pool.close();
    answer([targetOf("a")]);
    await new Promise((resolve) => setImmediate(resolve));
    expect([pool.all.length, asked]).toEqual([0, 2]);
  });
});

describe("what an enclave says of its start", () => {
  const report = async (services: string, state: unknown) =>
    requestOver(services, {
      method: "POST",
      path: "/enclave-state",
      headers: { "content-type": "application/json" },
      body: Buffer.from(JSON.stringify(state)),
      deadlineMs: 5_000,
      maxResponseBytes: 4_096,
    });

  test("is logged, with the code of a start that failed", async () => {
    const { services, log } = await open([targetOf("a")]);
    expect((await report(services, { state: "serving", configurationPcr: "ab".repeat(48) })).status).toBe(200);
    expect(log.text()).toContain('"msg":"an enclave serves"');
    expect((await report(services, { state: "failed", code: "ERR_CONFIGURATION" })).status).toBe(200);
    expect(log.text()).toMatch(/"code":"ERR_CONFIGURATION","msg":"an enclave does not start"/);
  });

  test.each<[string, unknown]>([
    ["another state", { state: "fine" }],
    ["no code of ours", { state: "failed", code: "ERR_SOMETHING" }],
    ["a measurement that is none", { state: "serving", configurationPcr: "ab" }],
    ["more than it says", { state: "failed", code: "ERR_NSM", reason: "x" }],
  ])("is refused with %s", async (_, state) => {
    const { services, log } = await open([targetOf("a")]);
    expect((await report(services, state)).status).toBe(400);
    expect(log.text()).not.toContain("an enclave");
  });
});

describe("a list of enclaves", () => {
  test.each<[string, () => EnclaveTarget[]]>([
    ["two of one name", () => [targetOf("a"), targetOf("a")]],
    ["a name that is no part of a path", () => [{ ...targetOf("a"), name: "a/b" }]],
    ["a name that is a step in a path", () => [{ ...targetOf("a"), name: ".." }]],
    ["too many", () => Array.from({ length: 17 }, (_, i) => targetOf(`e${i}`))],
  ])("is refused with %s", async (_, targets) => {
    const { options } = parentOptions({ enclaves: targets() });
    await expect(createParent(options)).rejects.toThrowCode("ERR_CONFIGURATION");
  });
});
