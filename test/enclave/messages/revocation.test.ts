/**
 * How long an enclave goes on after somebody has been shut out: measured in seconds of its own clock, for each place that data
 * keys come from. No call of the enclave's own is needed for it, and whoever cannot wait wipes.
 */
import { readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { DisableKeyCommand, EnableKeyCommand } from "@aws-sdk/client-kms";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { toBase64, utf8 } from "../../../shared/bytes.js";
import { schemaFor } from "../../support/authorization.js";
import { folderKeyStore, LOGICAL_NAME, makeBranchKeys, TABLE } from "../../support/key-store.js";
import type { Json } from "../fakes.js";
import { TestClock } from "../fakes.js";
import type { Stack, StackChanges } from "../stack.js";
import { ALIAS, CONTEXT } from "../stack.js";
import type { World } from "./world.js";
import { ask, cached, startMessages, startWorld } from "./world.js";

const SECRET = utf8("attack at dawn");
const MAX_AGE_SECONDS = 30;

let world: World;
beforeAll(async () => {
  world = await startWorld();
});
afterAll(() => world.simulation.close());
beforeEach(async () => {
  await world.operator.send(new EnableKeyCommand({ KeyId: world.keyArn }));
  await world.permit(["kms:Decrypt", "kms:GenerateDataKey"]);
});

interface Source {
  readonly source: string;
  /** After how many seconds nothing opens any more. */
  readonly seconds: number;
  readonly changes: () => Promise<StackChanges> | StackChanges;
}

const withMessages = (messages: Json): StackChanges => ({ configuration: { messages } });

/** Where data keys come from. */
const SOURCES: readonly Source[] = [
  { source: "from KMS for every message", seconds: 0, changes: () => withMessages({}) },
  {
    source: "from a cache",
    seconds: MAX_AGE_SECONDS,
    changes: () => withMessages(cached({ maxAgeSeconds: MAX_AGE_SECONDS })),
  },
  {
    source: "from the branch key of a tenant",
    seconds: MAX_AGE_SECONDS,
    changes: async () => (await branchKeys()).changes,
  },
];

/** A key store with the tenant's branch key, and an enclave's configuration for it. */
async function branchKeys() {
  const { operator: kmsClient, keyArn } = world;
  const store = folderKeyStore();
  await makeBranchKeys({ client: store.client, kmsClient, keyArn }, CONTEXT.tenant);
  const names = { keyId: ALIAS, logicalKeyStoreName: LOGICAL_NAME, tableName: TABLE };
  const dataKeys = { kind: "branchKeys", ...names, maxAgeSeconds: MAX_AGE_SECONDS };
  const changes: StackChanges = {
    ...withMessages({ dataKeys }),
    branchKeys: { kind: "folder", path: store.path, table: TABLE },
  };
  const removeTenant = (): void => {
    for (const file of readdirSync(store.path)) rmSync(join(store.path, file));
  };
  return { changes, removeTenant };
}

const REVOCATIONS: readonly (readonly [what: string, code: string, revoke: () => Promise<unknown>])[] = [
  ["its key policy is changed", "ERR_KMS_DENIED", () => world.permit([])],
  ["its key is disabled", "ERR_KMS_REFUSED", () => world.operator.send(new DisableKeyCommand({ KeyId: world.keyArn }))],
];

const ROWS = SOURCES.flatMap((source) =>
  REVOCATIONS.map(([what, code, revoke]) => ({ ...source, what, code, revoke })),
);

const toMake = { plaintext: toBase64(SECRET), keyIds: [ALIAS], encryptionContext: CONTEXT };

/** An enclave that keeps nothing yet, its clock, and a message that it has made. */
async function start(changes: StackChanges): Promise<{ clock: TestClock; stack: Stack; message: unknown }> {
  const clock = new TestClock();
  const stack = await startMessages(world, {}, { ...changes, clock });
  const { status, body } = await ask(stack, "/v1/messages/encrypt", { body: toMake });
  expect(status).toBe(200);
  stack.enclave.wipeCaches();
  return { clock, stack, message: body.message };
}

const opening = (stack: Stack, message: unknown) => () => ask(stack, "/v1/messages/decrypt", { body: { message } });

const USES: readonly (readonly [
  name: string,
  use: (stack: Stack, message: unknown) => () => ReturnType<typeof ask>,
])[] = [
  ["opens", opening],
  ["makes", (stack) => () => ask(stack, "/v1/messages/encrypt", { body: toMake })],
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

describe.each(USES)("an enclave that %s messages", (_, useOf) => {
  it.each(ROWS)("with data keys $source, stops within $seconds seconds after $what", async ({ changes, ...row }) => {
    const { clock, stack, message } = await start(await changes());
    const use = useOf(stack, message);
    expect(await use()).toMatchObject({ status: 200 });
    await row.revoke();
    const { seconds, code } = await secondsUntilRefused(clock, use);
    expect(code).toBe(row.code);
    expect(seconds).toBeLessThanOrEqual(row.seconds);
  });

  it.each(ROWS)("with data keys $source, stops at once after $what and caches/wipe", async ({ changes, ...row }) => {
    const { stack, message } = await start(await changes());
    const use = useOf(stack, message);
    expect(await use()).toMatchObject({ status: 200 });
    await row.revoke();
    expect(await ask(stack, "/v1/caches/wipe", { body: {} })).toEqual({ status: 200, body: {} });
    expect(await use()).toMatchObject({ body: { code: row.code } });
  });

  it.each(ROWS)("with data keys $source, stops at once after $what and wipeCaches", async ({ changes, ...row }) => {
    const { stack, message } = await start(await changes());
    const use = useOf(stack, message);
    expect(await use()).toMatchObject({ status: 200 });
    await row.revoke();
    stack.enclave.wipeCaches();
    expect(await use()).toMatchObject({ body: { code: row.code } });
  });

  it("stops within as many seconds after a tenant's branch key is removed", async () => {
    const { changes, removeTenant } = await branchKeys();
    const { clock, stack, message } = await start(changes);
    const use = useOf(stack, message);
    expect(await use()).toMatchObject({ status: 200 });
    removeTenant();
    const { seconds, code } = await secondsUntilRefused(clock, use);
    expect(code).toBe("ERR_BRANCH_KEY");
    expect(seconds).toBeLessThanOrEqual(MAX_AGE_SECONDS);
  });
});

describe("a key that KMS refused", () => {
  it("is served again within the seconds that refusals are remembered, and KMS is not asked before", async () => {
    const { clock, stack, message } = await start(withMessages({ refusalSeconds: 5 }));
    const open = opening(stack, message);
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
    const { stack, message } = await start(withMessages({ refusalSeconds: 300 }));
    const open = opening(stack, message);
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
    const authorization = { policies, schema: schemaFor() };
    const { stack, message } = await start({ ...withMessages(cached()), authorization });
    const open = opening(stack, message);
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
    const { stack } = await start(withMessages(cached()));
    expect(await ask(stack, "/v1/caches/wipe", { body: { all: true } })).toMatchObject({
      status: 400,
      body: { code: "ERR_MESSAGE_MALFORMED" },
    });
  });
});

describe("an enclave that closes", () => {
  it("keeps no data key: not even the timer that would overwrite one waits any more", async () => {
    const { clock, stack, message } = await start(withMessages(cached()));
    expect(await opening(stack, message)()).toMatchObject({ status: 200 });
    expect(clock.waiting).toBeGreaterThan(0);
    await stack.enclave.close();
    expect(clock.waiting).toBe(0);
  });
});
