/** Whom a cached data key serves: over whole enclaves, whose calls are in the audit log of the simulated KMS. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { toBase64, utf8 } from "../../../shared/bytes.js";
import { PERMIT_ALL, schemaFor, TENANT_POLICIES } from "../../support/authorization.js";
import type { Json } from "../fakes.js";
import type { Stack, StackChanges } from "../stack.js";
import { ALIAS, CONTEXT } from "../stack.js";
import type { World } from "./world.js";
import { ask, cached, sdkMessage, startMessages, startWorld } from "./world.js";

const SECRET = utf8("attack at dawn");
const SCHEMA = schemaFor().replace("tenant?: String }", "tenant?: String, team?: String }");

let world: World;
beforeAll(async () => {
  world = await startWorld();
});
afterAll(() => world.simulation.close());

const tokenOf = (subject: string, claims: Json): Promise<string> =>
  world.issuer.issue({ subject, lifetimeSeconds: 3_600, claims });

const start = (policies: string, changes: StackChanges = {}): Promise<Stack> =>
  startMessages(world, cached(), { authorization: { policies, schema: SCHEMA }, ...changes });

interface Caller {
  readonly subject?: string;
  readonly claims?: Json;
  readonly context?: Readonly<Record<string, string>>;
  readonly keyIds?: readonly string[];
}

/** Does the same for each caller in turn, and tells how many calls of KMS that took. */
async function callsFor(run: (caller: Caller, token: string) => Promise<{ status: number }>, callers: Caller[]) {
  const before = world.calls().length;
  for (const caller of callers) {
    const { subject = "alice", claims = { tenant: "a" } } = caller;
    expect(await run(caller, await tokenOf(subject, claims))).toMatchObject({ status: 200 });
  }
  return world.calls().slice(before);
}

const encrypting =
  (stack: Stack) =>
  ({ context = CONTEXT, keyIds = [ALIAS] }: Caller, token: string) =>
    ask(stack, "/v1/messages/encrypt", {
      body: { plaintext: toBase64(SECRET), encryptionContext: context, keyIds },
      token,
    });

const decrypting = (stack: Stack, message: Uint8Array) => (_: Caller, token: string) =>
  ask(stack, "/v1/messages/decrypt", { body: { message: toBase64(message) }, token });

const CALLERS: [string, Caller, Caller, "share" | "apart"][] = [
  ["the same caller", {}, {}, "share"],
  ["callers with the same claims", {}, { subject: "bob" }, "share"],
  [
    "callers who differ in a claim that the schema does not declare",
    {},
    { claims: { tenant: "a", mail: "x" } },
    "share",
  ],
  ["callers who differ in a claim that the schema declares", {}, { claims: { tenant: "a", team: "red" } }, "apart"],
  ["callers of two tenants", {}, { claims: { tenant: "b" } }, "apart"],
  ["a caller with a tenant and one without", {}, { claims: {} }, "apart"],
];

describe("a data key that is kept", () => {
  it.each(CALLERS)("serves %s, or not, for new messages", async (_, one, other, outcome) => {
    const stack = await start(PERMIT_ALL);
    const calls = await callsFor(encrypting(stack), [one, other, one, other]);
    expect(calls).toEqual(Array(outcome === "share" ? 1 : 2).fill("GenerateDataKey"));
  });

  it.each(CALLERS)("serves %s, or not, for a message that exists", async (_, one, other, outcome) => {
    const stack = await start(PERMIT_ALL);
    const message = await sdkMessage(world, SECRET);
    const calls = await callsFor(decrypting(stack, message), [one, other, one, other]);
    expect(calls).toEqual(Array(outcome === "share" ? 1 : 2).fill("Decrypt"));
  });

  it("serves its caller alone where a policy names somebody, anywhere", async () => {
    const naming = [
      'forbid(principal == Caller::"idp/mallory", action, resource);',
      'forbid(principal, action, resource) when { principal == Caller::"idp/mallory" };',
      'forbid(principal, action, resource) when { [Caller::"idp/mallory"].contains(principal) };',
      'forbid(principal, action, resource) unless { principal in [Caller::"idp/alice", Caller::"idp/bob"] };',
    ];
    for (const policy of naming) {
      const stack = await start(`${PERMIT_ALL}\n${policy}`);
      const calls = await callsFor(encrypting(stack), [{}, { subject: "bob" }, {}, { subject: "bob" }]);
      expect(calls).toEqual(["GenerateDataKey", "GenerateDataKey"]);
    }
  });

  it("serves messages of one tenant, each with a call of its own where tenants differ", async () => {
    const stack = await start(PERMIT_ALL);
    const [a, b] = [{ context: { tenant: "a" } }, { context: { tenant: "b" } }];
    expect(await callsFor(encrypting(stack), [a, b, a, b])).toEqual(["GenerateDataKey", "GenerateDataKey"]);
    const contexts = world.simulation.kms.auditLog.records
      .slice(-2)
      .map(({ requestParameters }) => requestParameters?.encryptionContext);
    expect(contexts).toEqual([{ tenant: "a" }, { tenant: "b" }].map((pairs) => expect.objectContaining(pairs)));
  });

  it("pitfall 4: serves messages for the same keys alone", async () => {
    const stack = await start(PERMIT_ALL);
    const [first, both, second] = [[world.keyArn], [world.keyArn, world.otherArn], [world.otherArn]];
    const calls = await callsFor(
      encrypting(stack),
      [first, both, second, first, both, second].map((keyIds) => ({ keyIds })),
    );
    expect(calls).toEqual(["GenerateDataKey", "GenerateDataKey", "Encrypt", "GenerateDataKey"]);
  });

  it("serves nobody whom the policies deny, though it is there", async () => {
    const stack = await start(TENANT_POLICIES);
    const message = await sdkMessage(world, SECRET);
    await callsFor(decrypting(stack, message), [{}]);
    await callsFor(encrypting(stack), [{}]);
    const before = world.calls().length;
    const stranger = await tokenOf("carol", { tenant: "b" });
    for (const run of [decrypting(stack, message), encrypting(stack)]) {
      expect(await run({}, stranger)).toMatchObject({ status: 403, body: { code: "ERR_NOT_AUTHORIZED" } });
    }
    expect(world.calls()).toHaveLength(before);
  });

  it("is of a tenant: where keys are kept, a message without that pair is refused before KMS is asked", async () => {
    const stack = await start(PERMIT_ALL);
    const message = await sdkMessage(world, SECRET, { context: { purpose: "x" } });
    const before = world.calls().length;
    for (const answer of [
      await decrypting(stack, message)({}, world.token),
      await encrypting(stack)({ context: { purpose: "x" } }, world.token),
    ]) {
      expect(answer).toMatchObject({ status: 403, body: { code: "ERR_ENCRYPTION_CONTEXT" } });
    }
    expect(world.calls()).toHaveLength(before);
  });
});
