/** Messages within functions: opened and made for the caller, who is asked about each key under the function's name. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { EnclaveFunction, FunctionCall, FunctionDefinition } from "../../../enclave/index.js";
import { defineFunction } from "../../../enclave/index.js";
import { fromBase64, toBase64, utf8 } from "../../../shared/bytes.js";
import type { ErrorCode } from "../../../shared/errors.js";
import { PERMIT_ALL, schemaFor } from "../../support/authorization.js";
import type { Json } from "../fakes.js";
import { FOREIGN_KEY_ARN, TestClock } from "../fakes.js";
import { flipped } from "../messages/layout.js";
import type { World } from "../messages/world.js";
import { ask, sdkMessage, sdkOpened, startMessages, startWorld } from "../messages/world.js";
import type { Stack, StackChanges } from "../stack.js";
import { ALIAS, CONTEXT } from "../stack.js";

const SECRET = utf8("attack at dawn");

let world: World;
beforeAll(async () => {
  world = await startWorld();
});
afterAll(() => world.simulation.close());

const anything = { parse: (value: unknown) => value };
type Run = FunctionDefinition<unknown, unknown>["run"];

/** A function without a plaintext of its own, in an enclave that has it for keys as well. */
const join = (run: Run): EnclaveFunction =>
  defineFunction({ name: "join", input: anything, output: anything, plaintext: "none", run });

const BOTH = 'action "functions/join" appliesTo { principal: Caller, resource: [Key, Enclave], context: {} };';

const start = (run: Run, policies = PERMIT_ALL, changes: StackChanges = {}): Promise<Stack> =>
  startMessages(
    world,
    {},
    {
      functions: [join(run)],
      authorization: { policies, schema: `${schemaFor()}\n${BOTH}` },
      configuration: {
        channels: { parent: ["functions/join", "messages/decrypt"], tls: { certificate: "generated" } },
      },
      ...changes,
    },
  );

const call = (stack: Stack, body: Json = {}) => ask(stack, "/v1/functions/join", { body });

const wanted = { keyIds: [ALIAS], encryptionContext: CONTEXT };

async function callsDuring(run: () => Promise<unknown>): Promise<string[]> {
  const before = world.calls().length;
  await run();
  return world.calls().slice(before);
}

describe("a function with messages", () => {
  it("opens several and makes one of them", async () => {
    const given = [await sdkMessage(world, utf8("attack ")), await sdkMessage(world, utf8("at dawn"))];
    const stack = await start(async ({ messages }) => {
      const opened = await Promise.all(given.map((message) => messages.decrypt(message, CONTEXT)));
      const joined = Buffer.concat(opened.map(({ plaintext }) => plaintext));
      const { message } = await messages.encrypt(joined, { ...wanted, encryptionContext: { ...CONTEXT, record: "7" } });
      return toBase64(message);
    });
    const { status, body } = await call(stack);
    expect(status).toBe(200);
    const made = await sdkOpened(world, fromBase64(String(body.output)) ?? new Uint8Array());
    expect(made.plaintext).toEqual(SECRET);
    expect(made.encryptionContext).toMatchObject({ ...CONTEXT, record: "7" });
  });

  it("opens and makes for whoever the policies permit the function, by its name and the key", async () => {
    const message = await sdkMessage(world, SECRET);
    const policies = `permit(principal, action == Action::"functions/join", resource is Enclave);
permit(principal, action == Action::"functions/join", resource == Key::"${world.keyArn}");`;
    const open: Run = async ({ messages }) => (await messages.decrypt(message)).plaintext.length;
    const stack = await start(open, policies);
    expect(await call(stack)).toEqual({ status: 200, body: { output: SECRET.length } });
    const body = { message: toBase64(message) };
    expect(await ask(stack, "/v1/messages/decrypt", { body })).toMatchObject({ body: { code: "ERR_NOT_AUTHORIZED" } });
  });

  it.each<[string, Run]>([
    ["opens", async ({ messages }) => messages.decrypt(await sdkMessage(world, SECRET))],
    ["makes", ({ messages }) => messages.encrypt(SECRET, wanted)],
  ])("%s nothing for whom the policies permit it only what it is without, and KMS is not asked", async (_, run) => {
    const policies = `permit(principal, action == Action::"functions/join", resource is Enclave);
permit(principal, action == Action::"messages/decrypt", resource);`;
    const stack = await start(run, policies);
    const calls = await callsDuring(async () => {
      expect(await call(stack)).toMatchObject({ status: 403, body: { code: "ERR_NOT_AUTHORIZED" } });
    });
    expect(calls).toEqual([]);
  });

  it.each<[string, (call: FunctionCall<unknown>) => Promise<unknown>, ErrorCode]>([
    [
      "a message for a key that is not pinned",
      async ({ messages }) => messages.decrypt(await sdkMessage(world, SECRET, { keyIds: [world.foreignArn] })),
      "ERR_KMS_KEY",
    ],
    [
      "a key that is not pinned",
      ({ messages }) => messages.encrypt(SECRET, { ...wanted, keyIds: [FOREIGN_KEY_ARN] }),
      "ERR_KMS_KEY",
    ],
    [
      "a message that was changed",
      async ({ messages }) => messages.decrypt(flipped(await sdkMessage(world, SECRET), -1)),
      "ERR_FUNCTION_FAILED",
    ],
    [
      "a message of another context",
      async ({ messages }) => messages.decrypt(await sdkMessage(world, SECRET), { tenant: "b" }),
      "ERR_FUNCTION_FAILED",
    ],
  ])("is refused %s by code", async (_, run, code) => {
    const stack = await start(run);
    expect(await call(stack)).toMatchObject({ body: { code } });
  });

  it("may mend what it is refused, and answer", async () => {
    const message = flipped(await sdkMessage(world, SECRET), -1);
    const stack = await start(({ messages }) =>
      messages.decrypt(message).catch((error: { code: string }) => error.code),
    );
    expect(await call(stack)).toEqual({ status: 200, body: { output: "ERR_DECRYPTION_FAILED" } });
  });

  it("is held to the pairs that the configuration requires", async () => {
    const stack = await start(
      ({ messages }) => messages.encrypt(SECRET, wanted).catch((error: { code: string }) => error.code),
      PERMIT_ALL,
      {
        configuration: {
          messages: { requiredPairs: ["record"] },
          channels: { parent: ["functions/join"], tls: { certificate: "generated" } },
        },
      },
    );
    expect(await call(stack)).toEqual({ status: 200, body: { output: "ERR_ENCRYPTION_CONTEXT" } });
  });

  it("opens nothing any more once its time is over", async () => {
    const clock = new TestClock();
    const message = await sdkMessage(world, SECRET);
    let late: Promise<unknown> = Promise.resolve();
    let began = (): void => undefined;
    const beginning = new Promise<void>((resolve) => (began = resolve));
    const stack = await start(
      ({ messages, signal }) => {
        late = new Promise((resolve) => signal.addEventListener("abort", resolve)).then(() =>
          messages.decrypt(message),
        );
        late.catch(() => undefined);
        began();
        return late;
      },
      PERMIT_ALL,
      { clock },
    );
    const outcome = call(stack);
    await beginning;
    clock.advance(10_000);
    expect(await outcome).toMatchObject({ status: 504, body: { code: "ERR_TIMEOUT" } });
    await expect(late).rejects.toThrowCode("ERR_TIMEOUT");
  });
});
