/**
 * How long an enclave goes on after somebody has been shut out: measured in seconds of its own clock, for each place that data
 * keys come from. No call of the enclave's own is needed for it, and whoever cannot wait wipes.
 */
import { DisableKeyCommand, EnableKeyCommand } from "@aws-sdk/client-kms";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { toBase64, utf8 } from "../../../shared/bytes.js";
import { schemaFor } from "../../support/authorization.js";
import type { Json } from "../fakes.js";
import { TestClock } from "../fakes.js";
import type { Stack } from "../stack.js";
import { ALIAS, CONTEXT } from "../stack.js";
import type { World } from "./world.js";
import { ask, cached, sdkMessage, startMessages, startWorld } from "./world.js";

const SECRET = utf8("attack at dawn");
const MAX_AGE_SECONDS = 30;

let world: World;
let message: string;
beforeAll(async () => {
  world = await startWorld();
  message = toBase64(await sdkMessage(world, SECRET));
});
afterAll(() => world.simulation.close());
beforeEach(async () => {
  await world.operator.send(new EnableKeyCommand({ KeyId: world.keyArn }));
  await world.permit(["kms:Decrypt", "kms:GenerateDataKey"]);
});

/** Where data keys come from, and after how many seconds nothing opens any more. */
const SOURCES: readonly (readonly [name: string, messages: Json, seconds: number])[] = [
  ["from KMS for every message", {}, 0],
  ["from a cache", cached({ maxAgeSeconds: MAX_AGE_SECONDS }), MAX_AGE_SECONDS],
];

const REVOCATIONS: readonly (readonly [what: string, code: string, revoke: () => Promise<unknown>])[] = [
  ["its key policy is changed", "ERR_KMS_DENIED", () => world.permit([])],
  ["its key is disabled", "ERR_KMS_REFUSED", () => world.operator.send(new DisableKeyCommand({ KeyId: world.keyArn }))],
];

const ROWS = SOURCES.flatMap(([source, messages, seconds]) =>
  REVOCATIONS.map(([what, code, revoke]) => ({ source, messages, seconds, what, code, revoke })),
);

async function start(messages: Json): Promise<{ readonly clock: TestClock; readonly stack: Stack }> {
  const clock = new TestClock();
  return { clock, stack: await startMessages(world, messages, { clock }) };
}

const USES: readonly (readonly [name: string, path: string, body: () => object])[] = [
  ["opens", "/v1/messages/decrypt", () => ({ message })],
  [
    "makes",
    "/v1/messages/encrypt",
    () => ({ plaintext: toBase64(SECRET), keyIds: [ALIAS], encryptionContext: CONTEXT }),
  ],
];

/** Asks once a second until it is refused: the seconds that this took. */
async function secondsUntilRefused(clock: TestClock, use: () => Promise<{ status: number; body: Json }>) {
  for (let seconds = 0; seconds <= 600; seconds++) {
    const { status, body } = await use();
    if (status !== 200) return { seconds, code: body.code };
    clock.advance(1_000);
  }
  return { seconds: Number.POSITIVE_INFINITY, code: undefined };
}

describe.each(USES)("an enclave that %s messages", (_, path, body) => {
  it.each(ROWS)("with data keys $source, stops within $seconds seconds after $what", async ({ messages, ...row }) => {
    const { clock, stack } = await start(messages);
    const use = () => ask(stack, path, { body: body() });
    expect(await use()).toMatchObject({ status: 200 });
    await row.revoke();
    const { seconds, code } = await secondsUntilRefused(clock, use);
    expect(code).toBe(row.code);
    expect(seconds).toBeLessThanOrEqual(row.seconds);
  });

  it.each(ROWS)("with data keys $source, stops at once after $what and caches/wipe", async ({ messages, ...row }) => {
    const { stack } = await start(messages);
    const use = () => ask(stack, path, { body: body() });
    expect(await use()).toMatchObject({ status: 200 });
    await row.revoke();
    expect(await ask(stack, "/v1/caches/wipe", { body: {} })).toEqual({ status: 200, body: {} });
    expect(await use()).toMatchObject({ body: { code: row.code } });
  });

  it.each(ROWS)("with data keys $source, stops at once after $what and wipeCaches", async ({ messages, ...row }) => {
    const { stack } = await start(messages);
    const use = () => ask(stack, path, { body: body() });
    expect(await use()).toMatchObject({ status: 200 });
    await row.revoke();
    stack.enclave.wipeCaches();
    expect(await use()).toMatchObject({ body: { code: row.code } });
  });
});

describe("a key that KMS refused", () => {
  it("is served again within the seconds that refusals are remembered, and KMS is not asked before", async () => {
    const { clock, stack } = await start({ refusalSeconds: 5 });
    const open = () => ask(stack, "/v1/messages/decrypt", { body: { message } });
    await world.permit([]);
    expect(await open()).toMatchObject({ body: { code: "ERR_KMS_DENIED" } });
    await world.permit(["kms:Decrypt"]);
    const before = world.calls().length;
    clock.advance(4_999);
    expect(await open()).toMatchObject({ body: { code: "ERR_KMS_DENIED" } });
    expect(world.calls()).toHaveLength(before);
    clock.advance(1);
    expect(await open()).toMatchObject({ status: 200 });
  });

  it("is served again at once after caches/wipe", async () => {
    const { stack } = await start({ refusalSeconds: 300 });
    const open = () => ask(stack, "/v1/messages/decrypt", { body: { message } });
    await world.permit([]);
    expect(await open()).toMatchObject({ body: { code: "ERR_KMS_DENIED" } });
    await world.permit(["kms:Decrypt"]);
    await ask(stack, "/v1/caches/wipe", { body: {} });
    expect(await open()).toMatchObject({ status: 200 });
  });
});

describe("caches/wipe", () => {
  it("is for whom the policies permit it, of the enclave", async () => {
    const policies = `permit(principal, action, resource is Key);
permit(principal, action == Action::"caches/wipe", resource is Enclave) when { principal has tenant && principal.tenant == "operators" };`;
    const stack = await startMessages(world, cached(), { authorization: { policies, schema: schemaFor() } });
    const open = () => ask(stack, "/v1/messages/decrypt", { body: { message } });
    const wipe = (token?: string) => ask(stack, "/v1/caches/wipe", { body: {}, ...(token ? { token } : {}) });
    const before = world.calls().length;
    await open();
    expect(await wipe()).toMatchObject({ status: 403, body: { code: "ERR_NOT_AUTHORIZED" } });
    await open();
    expect(world.calls()).toHaveLength(before + 1);
    const operator = await world.issuer.issue({
      subject: "olga",
      lifetimeSeconds: 600,
      claims: { tenant: "operators" },
    });
    expect(await wipe(operator)).toEqual({ status: 200, body: {} });
    await open();
    expect(world.calls()).toHaveLength(before + 2);
  });

  it("takes an empty object and nothing else", async () => {
    const { stack } = await start(cached());
    expect(await ask(stack, "/v1/caches/wipe", { body: { all: true } })).toMatchObject({
      status: 400,
      body: { code: "ERR_MESSAGE_MALFORMED" },
    });
  });
});

describe("an enclave that closes", () => {
  it("keeps no data key: not even the timer that would overwrite one waits any more", async () => {
    const { clock, stack } = await start(cached());
    expect(await ask(stack, "/v1/messages/decrypt", { body: { message } })).toMatchObject({ status: 200 });
    expect(clock.waiting).toBeGreaterThan(0);
    await stack.enclave.close();
    expect(clock.waiting).toBe(0);
  });
});
