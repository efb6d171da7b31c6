/**
 * A whole enclave whose multi-Region key is in two Regions: it calls its own, another one while that is down, and comes back.
 * Which Region was called the simulated CloudTrail says; only what reached KMS is in it.
 */
import { createServer } from "node:net";
import { join } from "node:path";
import { rootCertificates } from "node:tls";
import { CreateKeyCommand, EncryptCommand } from "@aws-sdk/client-kms";
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from "vitest";
import { toBase64, utf8 } from "../../shared/bytes.js";
import { listenAt } from "../../transport/listen.js";
import { testFolder } from "../support/folder.js";
import { anyPeer } from "../support/streams.js";
import type { Json } from "./fakes.js";
import type { Stack } from "./stack.js";
import { CONTEXT, messageOf, policyOf, startStack } from "./stack.js";
import type { RegionName, TwoRegions } from "./two-regions.js";
import { HandClock, IRELAND, otherThan, startTwoRegions, VIRGINIA } from "./two-regions.js";

const SECRET = utf8("a secret of two Regions");
const plaintext = { plaintext: toBase64(SECRET) };
const ATTEMPT_MS = 2_000;
const REST_MS = 30_000;

let regions: TwoRegions;
beforeAll(async () => {
  regions = await startTwoRegions();
});
beforeEach(() => {
  regions.simulation.kms.faults.set({});
  regions.calls();
});
afterAll(() => regions.simulation.close());

const down = (...names: RegionName[]): void =>
  regions.simulation.kms.faults.set(names.length === 0 ? {} : { faults: [{ fault: "region-down", regions: names }] });

/** An enclave in `region`, with its parent, and a clock to turn. */
async function enclaveIn(region: RegionName, changes: Parameters<TwoRegions["stackIn"]>[1] = {}) {
  const clock = new HandClock();
  const stack = await startStack(regions.at(region), await regions.stackIn(region, { clock, ...changes }));
  return { ...stack, clock };
}

async function ciphertextOf(region: RegionName): Promise<Json> {
  const { operator, keyArn } = regions.at(region);
  const command = new EncryptCommand({ KeyId: keyArn, Plaintext: SECRET, EncryptionContext: CONTEXT });
  const { CiphertextBlob = new Uint8Array() } = await operator.send(command);
  return { ciphertext: toBase64(CiphertextBlob), encryptionContext: CONTEXT };
}

const messageOfRegion = async (region: RegionName): Promise<Json> => ({
  message: toBase64(await messageOf(regions.at(region), SECRET, CONTEXT)),
});

const opens = async (stack: Stack, path: string, body: Json): Promise<void> =>
  expect(await stack.json("POST", path, body)).toMatchObject({ status: 200, body: plaintext });

describe("in normal times", () => {
  it.each([VIRGINIA, IRELAND])(
    "an enclave in %s opens what was encrypted in either, and calls its own Region alone",
    async (region) => {
      const stack = await enclaveIn(region);
      for (const origin of [VIRGINIA, IRELAND] as const) {
        await opens(stack, "/v1/messages/decrypt", await messageOfRegion(origin));
        await opens(stack, "/v1/decrypt", await ciphertextOf(origin));
      }
      expect(await stack.request("GET", "/readyz")).toMatchObject({ status: 200 });
      const decrypt = `${region} Decrypt`;
      expect(regions.calls()).toEqual([decrypt, decrypt, decrypt, decrypt, `${region} GenerateRandom`]);
      expect((await stack.json("GET", "/healthz")).body).toMatchObject({
        status: "ok",
        regions: [
          { region, status: "ok" },
          { region: otherThan(region), status: "ok" },
        ],
      });
    },
  );

  it("policies are asked about the key of the own Region, and a refusal stands: no other Region is asked", async () => {
    const stack = await enclaveIn(IRELAND);
    const message = await messageOf(regions.at(VIRGINIA), SECRET, { tenant: "b" });
    expect(await stack.json("POST", "/v1/messages/decrypt", { message: toBase64(message) })).toMatchObject({
      status: 403,
      body: { code: "ERR_KMS_DENIED" },
    });
    expect(regions.calls()).toEqual([`${IRELAND} Decrypt AccessDeniedException`]);
    const decided = stack.log.entries.filter(({ message: text }) => text === "decided");
    expect(decided.map(({ fields }) => fields.keyArn)).toEqual([regions.at(IRELAND).keyArn]);
  });

  it("an enclave in one Region has no tunnel to others, and its health says nothing of Regions", async () => {
    const { keyArn } = regions.at(VIRGINIA);
    const stack = await startStack(regions.at(VIRGINIA));
    expect((await stack.json("GET", "/healthz")).body).not.toHaveProperty("regions");
    await opens(stack, "/v1/decrypt", { ...(await ciphertextOf(IRELAND)), keyId: keyArn });
  });
});

describe("while the own Region is down", () => {
  it("the other one answers, own calls come back after the rest, and both are in the log", async () => {
    const stack = await enclaveIn(VIRGINIA);
    const [message, ciphertext] = [await messageOfRegion(VIRGINIA), await ciphertextOf(VIRGINIA)];
    down(VIRGINIA);
    await opens(stack, "/v1/messages/decrypt", message);
    await opens(stack, "/v1/decrypt", ciphertext);
    expect(regions.calls()).toEqual([`${IRELAND} Decrypt`, `${IRELAND} Decrypt`]);
    expect((await stack.json("GET", "/healthz")).body).toMatchObject({
      status: "degraded",
      kms: { status: "ok" },
      regions: [
        { region: VIRGINIA, status: "resting", failure: "ERR_KMS_UNAVAILABLE", restSeconds: 30 },
        { region: IRELAND, status: "ok" },
      ],
    });
    down();
    await opens(stack, "/v1/decrypt", ciphertext);
    expect(regions.calls()).toEqual([`${IRELAND} Decrypt`]); // it rests for now
    stack.clock.advance(REST_MS);
    await opens(stack, "/v1/decrypt", ciphertext);
    await opens(stack, "/v1/messages/decrypt", message);
    expect(regions.calls()).toEqual([`${VIRGINIA} Decrypt`, `${VIRGINIA} Decrypt`]);
    expect((await stack.json("GET", "/healthz")).body).toMatchObject({ status: "ok", regions: [{ status: "ok" }, {}] });
    const aboutRegions = stack.log.entries.filter(({ fields }) => fields.region !== undefined);
    expect(aboutRegions.map(({ level, fields }) => [level, fields.region])).toEqual([
      ["warn", VIRGINIA],
      ["info", IRELAND],
      ["info", IRELAND],
      ["info", IRELAND],
      ["info", VIRGINIA],
    ]);
  });

  it("and it comes back to a Region that is down again, the call goes on", async () => {
    const stack = await enclaveIn(VIRGINIA);
    const ciphertext = await ciphertextOf(VIRGINIA);
    down(VIRGINIA);
    await opens(stack, "/v1/decrypt", ciphertext);
    stack.clock.advance(REST_MS);
    await opens(stack, "/v1/decrypt", ciphertext);
    expect(regions.calls()).toEqual([`${IRELAND} Decrypt`, `${IRELAND} Decrypt`]);
  });

  it("a Region that says nothing costs an attempt, not the request's time", async () => {
    const hole = await blackHole();
    const stack = await enclaveIn(VIRGINIA, { tunnel: hole.address });
    const answer = stack.json("POST", "/v1/decrypt", await ciphertextOf(VIRGINIA));
    await hole.reached;
    stack.clock.advance(ATTEMPT_MS);
    expect(await answer).toMatchObject({ status: 200, body: plaintext });
    expect(regions.calls()).toEqual([`${IRELAND} Decrypt`]);
    const { body } = await stack.json("GET", "/healthz");
    expect(body).toMatchObject({ regions: [{ status: "resting", failure: "ERR_TIMEOUT" }, { status: "ok" }] });
  });

  it("data keys and random bytes come from the other one, and the own one opens them afterwards", async () => {
    const stack = await enclaveIn(VIRGINIA);
    const { keyArn } = regions.at(VIRGINIA);
    down(VIRGINIA);
    const request = { keyId: keyArn, keySpec: "AES_256", encryptionContext: CONTEXT };
    const { status, body } = await stack.json("POST", "/v1/data-keys", request);
    expect([status, body.keyId]).toEqual([200, keyArn]);
    expect(await stack.json("POST", "/v1/random", { numberOfBytes: 8 })).toMatchObject({ status: 200 });
    expect(await stack.request("GET", "/readyz")).toMatchObject({ status: 200 });
    expect(regions.calls()).toEqual([
      `${IRELAND} GenerateDataKey`,
      `${IRELAND} GenerateRandom`,
      `${IRELAND} GenerateRandom`,
    ]);
    down();
    stack.clock.advance(REST_MS);
    const opened = await stack.json("POST", "/v1/decrypt", { ciphertext: body.ciphertext, encryptionContext: CONTEXT });
    expect(opened.body.plaintext).toBe(body.plaintext);
    expect(regions.calls()).toEqual([`${VIRGINIA} Decrypt`]);
  });

  it("a message that is made then carries the related key of the other Region, and opens in both", async () => {
    const stack = await enclaveIn(VIRGINIA);
    down(VIRGINIA);
    const request = { ...plaintext, encryptionContext: CONTEXT };
    const { status, body } = await stack.json("POST", "/v1/messages/encrypt", request);
    expect(status).toBe(200);
    expect(regions.calls()).toEqual([`${IRELAND} GenerateDataKey`]);
    const { message } = body;
    expect(Buffer.from(String(message), "base64").toString("latin1")).toContain(regions.at(IRELAND).keyArn);
    down();
    for (const region of [VIRGINIA, IRELAND] as const) {
      await opens(await enclaveIn(region), "/v1/messages/decrypt", { message });
      expect(regions.calls()).toEqual([`${region} Decrypt`]);
    }
  });

  it("a message for further keys, and one that is re-encrypted, are made there as well", async () => {
    const stack = await enclaveIn(VIRGINIA);
    const { message } = await messageOfRegion(VIRGINIA);
    down(VIRGINIA);
    const { status, body } = await stack.json("POST", "/v1/messages/re-encrypt", { message });
    expect(status).toBe(200);
    await opens(stack, "/v1/messages/decrypt", { message: body.message });
    expect(regions.calls()).toEqual([`${IRELAND} Decrypt`, `${IRELAND} GenerateDataKey`, `${IRELAND} Decrypt`]);
  });

  it("a request fails with its code when all Regions are down, and the next one is answered once one of them is back", async () => {
    const stack = await enclaveIn(VIRGINIA);
    const ciphertext = await ciphertextOf(VIRGINIA);
    down(VIRGINIA, IRELAND);
    expect(await stack.json("POST", "/v1/decrypt", ciphertext)).toMatchObject({
      status: 503,
      body: { code: "ERR_KMS_UNAVAILABLE" },
    });
    down(VIRGINIA);
    await opens(stack, "/v1/decrypt", ciphertext);
    expect(regions.calls()).toEqual([`${IRELAND} Decrypt`]);
  });
});

describe("tunnels", () => {
  it.each<[string, (changes: Json) => Json]>([
    ["is missing", () => ({})],
    ["leads where no key has a replica", (tunnels) => ({ ...tunnels, "ap-northeast-1": "unix:/nowhere" })],
    ["leads to the own Region", (tunnels) => ({ ...tunnels, [VIRGINIA]: "unix:/nowhere" })],
  ])("an enclave does not start when one %s", async (_, change) => {
    const changes = await regions.stackIn(VIRGINIA);
    const regionTunnels = change(changes.regionTunnels ?? {}) as Record<string, string>;
    await expect(startStack(regions.at(VIRGINIA), { ...changes, regionTunnels })).rejects.toThrowCode(
      "ERR_CONFIGURATION",
    );
  });

  it("pitfall 1: whoever answers in the own Region without KMS's certificate is refused, and that is no outage", async () => {
    const [foreignRoot = ""] = rootCertificates;
    const stack = await enclaveIn(VIRGINIA, { kms: { roots: [foreignRoot] } });
    expect(await stack.json("POST", "/v1/decrypt", await ciphertextOf(VIRGINIA))).toMatchObject({
      status: 502,
      body: { code: "ERR_KMS_UNTRUSTED" },
    });
    expect((await stack.json("GET", "/healthz")).body).toMatchObject({ regions: [{ status: "ok" }, { status: "ok" }] });
  });
});

describe("discovery", () => {
  it("opens messages under a key that the configuration does not name, if policies permit it, and does nothing else with it", async () => {
    const { keyArn: keyId, ciphertext, message } = await foreignKey();
    const { accountId } = regions.simulation;
    const messages = { discovery: { partition: "aws", accounts: [accountId] } };
    const stack = await enclaveIn(VIRGINIA, { configuration: { messages } });
    await opens(stack, "/v1/messages/decrypt", { message });
    expect(regions.calls()).toEqual([`${VIRGINIA} Decrypt`]);
    expect(stack.log.entries.filter(({ message: text }) => text === "decided").at(-1)?.fields.keyArn).toBe(keyId);
    const named = { keyId, encryptionContext: CONTEXT };
    for (const [path, body] of [
      ["/v1/decrypt", { ...named, ciphertext }],
      ["/v1/data-keys", { ...named, keySpec: "AES_256" }],
      ["/v1/messages/encrypt", { ...plaintext, encryptionContext: CONTEXT, keyIds: [keyId] }],
      ["/v1/messages/re-encrypt", { message, keyIds: [keyId] }],
    ] as const) {
      expect(await stack.json("POST", path, body)).toMatchObject({ status: 403, body: { code: "ERR_KMS_KEY" } });
    }
    expect(regions.calls().filter((call) => !call.endsWith(" Decrypt"))).toEqual([]);
  });

  it.each([
    ["is not asked for", {}],
    ["is for another account", { discovery: { partition: "aws", accounts: ["444455556666"] } }],
  ])("opens nothing where it %s", async (_, messages) => {
    const { message } = await foreignKey();
    const stack = await enclaveIn(VIRGINIA, { configuration: { messages } });
    expect(await stack.json("POST", "/v1/messages/decrypt", { message })).toMatchObject({
      status: 403,
      body: { code: "ERR_KMS_KEY" },
    });
    expect(regions.calls()).toEqual([]);
  });
});

/** A key of the same account that no configuration names, and what was encrypted under it. */
async function foreignKey() {
  const kms = regions.at(VIRGINIA);
  const Policy = policyOf(regions.simulation, {});
  const { KeyMetadata } = await kms.operator.send(new CreateKeyCommand({ Policy }));
  const keyArn = KeyMetadata?.Arn ?? "";
  const command = new EncryptCommand({ KeyId: keyArn, Plaintext: SECRET, EncryptionContext: CONTEXT });
  const { CiphertextBlob = new Uint8Array() } = await kms.operator.send(command);
  const message = await messageOf({ ...kms, keyArn }, SECRET, CONTEXT);
  return { keyArn, ciphertext: toBase64(CiphertextBlob), message: toBase64(message) };
}

/** An address at which connections are taken, and nothing ever comes back. */
async function blackHole() {
  const address = `unix:${join(testFolder(), "hole")}`;
  let reach = (): void => undefined;
  const reached = new Promise<void>((resolve) => {
    reach = resolve;
  });
  const server = createServer((socket) => {
    onTestFinished(() => void socket.destroy());
    reach();
  });
  onTestFinished(() => void server.close());
  await listenAt(server, address, anyPeer);
  return { address, reached };
}
