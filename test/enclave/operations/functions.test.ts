/** Functions: an application's code on plaintext, over a whole enclave; what goes in, what comes out, and what is left. */
import { DecryptCommand, GenerateDataKeyCommand } from "@aws-sdk/client-kms";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { z } from "zod";
import type { EnclaveFunction, FunctionCall, FunctionDefinition } from "../../../enclave/index.js";
import { defineFunction, ServiceError } from "../../../enclave/index.js";
import { toBase64, utf8 } from "../../../shared/bytes.js";
import type { ErrorCode } from "../../../shared/errors.js";
import { exampleImage } from "../../../simulator/index.js";
import { schemaFor } from "../../support/authorization.js";
import type { Json } from "../fakes.js";
import { FOREIGN_KEY_ARN, TestClock } from "../fakes.js";
import type { Kms, Stack, StackChanges } from "../stack.js";
import { CONTEXT, messageOf, startKmsForTest, startStack } from "../stack.js";

const SECRET = utf8("attack at dawn");

let kms: Kms;
beforeAll(async () => {
  kms = await startKmsForTest();
});
afterAll(() => kms.simulation.close());

type Definition = Partial<FunctionDefinition<unknown, unknown>>;
type Run = FunctionDefinition<unknown, unknown>["run"];

const anything = { parse: (value: unknown) => value };

/** A function named `score`, of which a test changes what it is about. */
const score = (run: Run, changes: Definition = {}): EnclaveFunction =>
  defineFunction({ name: "score", input: anything, output: anything, run, ...changes });

/** An enclave with one function. */
function startWith(fn: EnclaveFunction, changes: StackChanges = {}, declared: Parameters<typeof schemaFor>[0] = {}) {
  const { authorization, ...rest } = changes;
  const schema = schemaFor({ keyed: ["functions/score"], ...declared });
  const channels = { parent: ["decrypt", "functions/score", "random"] };
  return startStack(kms, {
    functions: [fn],
    authorization: { schema, ...authorization },
    configuration: { channels },
    ...rest,
  });
}

async function call(stack: Stack, changes: Json = {}) {
  const ciphertext = toBase64(await kms.encrypt(SECRET));
  return stack.json("POST", "/v1/functions/score", { ciphertext, encryptionContext: CONTEXT, ...changes });
}

const refused = (status: number, code: string) => ({ status, body: expect.objectContaining({ status, code }) });

const kmsCalls = (): string[] => kms.simulation.kms.auditLog.records.map(({ eventName }) => eventName);

describe("a function", () => {
  it("gets the plaintext, its context, the caller and an input, and answers with its output", async () => {
    const calls: Omit<FunctionCall<unknown>, "kms" | "messages" | "signal">[] = [];
    const fn = score(({ plaintext, encryptionContext, principal, input }) => {
      calls.push({ plaintext: new Uint8Array(plaintext), encryptionContext, principal, input });
      return { length: plaintext.length };
    });
    const stack = await startWith(fn);
    expect(await call(stack, { input: { limit: 3 } })).toEqual({ status: 200, body: { output: { length: 14 } } });
    expect(calls).toEqual([
      {
        plaintext: SECRET,
        encryptionContext: CONTEXT,
        principal: expect.objectContaining({ id: "idp/alice", subject: "alice" }),
        input: { limit: 3 },
      },
    ]);
  });

  it("works on a message as well, bound to the whole context of the message", async () => {
    const context = { ...CONTEXT, record: "7" };
    const seen: unknown[] = [];
    const stack = await startWith(
      score(({ plaintext, encryptionContext }) => {
        seen.push(encryptionContext);
        return Buffer.from(plaintext).toString();
      }),
    );
    const message = toBase64(await messageOf(kms, SECRET, context));
    const answer = await call(stack, { ciphertext: undefined, message, encryptionContext: CONTEXT });
    expect(answer).toEqual({ status: 200, body: { output: "attack at dawn" } });
    expect(seen).toEqual([expect.objectContaining(context)]);
  });

  it("has KMS, attested, for the keys of the configuration", async () => {
    const fn = score(({ kms: client }) => client.config.region());
    expect(await call(await startWith(fn))).toEqual({ status: 200, body: { output: kms.simulation.region } });
  });

  it("has its input and output in the form of its schemas", async () => {
    const input = z.strictObject({ limit: z.int() });
    const output = z.object({ score: z.int() });
    const run: Run = () => ({ score: 7, plaintext: "attack at dawn" });
    const stack = await startWith(score(run, { input, output }));
    expect(await call(stack, { input: { limit: 3 } })).toEqual({ status: 200, body: { output: { score: 7 } } });
    for (const wrong of [undefined, {}, { limit: "3" }, { limit: 3, more: 1 }]) {
      expect(await call(stack, { input: wrong })).toEqual(refused(400, "ERR_MESSAGE_MALFORMED"));
    }
  });

  it("is called with an input of its form alone: nothing is decrypted for another", async () => {
    const stack = await startWith(score(() => 1, { input: z.int() }));
    const ciphertext = toBase64(await kms.encrypt(SECRET));
    const before = kmsCalls().length;
    expect(await call(stack, { ciphertext, input: "x" })).toEqual(refused(400, "ERR_MESSAGE_MALFORMED"));
    expect(kmsCalls().slice(before)).toEqual(["Encrypt"]); // the helper's own
  });

  it("whose output is not of its form has failed", async () => {
    const stack = await startWith(score(() => "attack at dawn", { output: z.object({ score: z.int() }) }));
    expect(await call(stack)).toEqual(refused(500, "ERR_FUNCTION_FAILED"));
  });
});

describe("what it is called on", () => {
  it.each<[string, Json]>([
    ["neither a ciphertext nor a message", { ciphertext: undefined }],
    ["both", { message: "AAAA" }],
    ["a key beside a message", { ciphertext: undefined, message: "AAAA", keyId: "alias/secrets" }],
    ["an unknown field", { plaintext: "AAAA" }],
  ])("is not %s", async (_, changes) => {
    const stack = await startWith(score(() => 1));
    expect(await call(stack)).toMatchObject({ status: 200 });
    expect(await call(stack, changes)).toEqual(refused(400, "ERR_MESSAGE_MALFORMED"));
  });

  it("is nothing where it takes no plaintext: neither is allowed, and the policies are asked about the enclave", async () => {
    const seen: unknown[] = [];
    const fn = score(({ plaintext }) => seen.push(new Uint8Array(plaintext)), { plaintext: "none" });
    const policies = 'permit(principal, action == Action::"functions/score", resource is Enclave);';
    const stack = await startWith(fn, { authorization: { policies } }, { keyed: [], keyless: ["functions/score"] });
    const before = kmsCalls().length;
    expect(await stack.json("POST", "/v1/functions/score", {})).toMatchObject({ status: 200 });
    expect(seen).toEqual([new Uint8Array()]);
    expect(kmsCalls()).toHaveLength(before);
    for (const part of ["ciphertext", "message"]) {
      const answer = await stack.json("POST", "/v1/functions/score", { [part]: "AAAA" });
      expect(answer).toEqual(refused(400, "ERR_MESSAGE_MALFORMED"));
    }
  });

  it("pitfall 5: is bound to its context", async () => {
    const stack = await startWith(score(() => 1));
    expect(await call(stack, { encryptionContext: { tenant: "b" } })).toEqual(refused(403, "ERR_KMS_DENIED"));
  });
});

describe("who may call it", () => {
  const policies = `permit(principal, action == Action::"decrypt", resource);
    permit(principal, action == Action::"functions/score", resource)
    when { context.encryptionContext has record && context.encryptionContext.record == "7" };`;

  it("the policies say, by functions/NAME and not by what may be decrypted", async () => {
    let ran = 0;
    const stack = await startWith(
      score(() => ran++),
      { authorization: { policies } },
    );
    const context = { ...CONTEXT, record: "7" };
    const permitted = toBase64(await kms.encrypt(SECRET, context));
    expect(await call(stack, { ciphertext: permitted, encryptionContext: context })).toMatchObject({ status: 200 });
    const denied = toBase64(await kms.encrypt(SECRET));
    const before = kmsCalls().length;
    const request = { ciphertext: denied, encryptionContext: CONTEXT };
    expect(await stack.json("POST", "/v1/functions/score", request)).toEqual(refused(403, "ERR_NOT_AUTHORIZED"));
    expect([ran, kmsCalls().length]).toEqual([1, before]);
    expect(await stack.json("POST", "/v1/decrypt", request)).toMatchObject({ status: 200 });
  });

  it("whoever may call it may not decrypt for that", async () => {
    const only = 'permit(principal, action == Action::"functions/score", resource);';
    const stack = await startWith(
      score(() => 1),
      { authorization: { policies: only } },
    );
    expect(await call(stack)).toMatchObject({ status: 200 });
    const request = { ciphertext: toBase64(await kms.encrypt(SECRET)), encryptionContext: CONTEXT };
    expect(await stack.json("POST", "/v1/decrypt", request)).toEqual(refused(403, "ERR_NOT_AUTHORIZED"));
  });

  it("the plain channel is closed to it unless the configuration names it", async () => {
    const stack = await startWith(
      score(() => 1),
      { configuration: { channels: { parent: ["decrypt"] } } },
    );
    expect(await call(stack)).toEqual(refused(403, "ERR_CHANNEL_CLOSED"));
  });

  it("nobody may call what is not there", async () => {
    const stack = await startWith(score(() => 1));
    expect(await stack.json("POST", "/v1/functions/other", {})).toEqual(refused(404, "ERR_NOT_FOUND"));
  });
});

describe("what it leaves behind", () => {
  it.each<[string, Run, number]>([
    ["it answered", () => 1, 200],
    [
      "it failed",
      () => {
        throw new Error("no");
      },
      500,
    ],
  ])("pitfall 25: the plaintext is overwritten after %s", async (_, run, status) => {
    let kept = new Uint8Array();
    const stack = await startWith(
      score((given) => {
        kept = given.plaintext as Uint8Array<ArrayBuffer>;
        expect(kept).toEqual(SECRET);
        return run(given);
      }),
    );
    expect((await call(stack)).status).toBe(status);
    expect(kept).toEqual(new Uint8Array(SECRET.length));
  });

  it("at its deadline it is given up, told so by its signal, and the plaintext is overwritten", async () => {
    const clock = new TestClock();
    let began: (given: FunctionCall<unknown>) => void = () => undefined;
    const beginning = new Promise<FunctionCall<unknown>>((resolve) => {
      began = resolve;
    });
    const fn = score(
      (given) => {
        began(given);
        return new Promise(() => undefined);
      },
      { deadlineMs: 2_000 },
    );
    const own = await startWith(fn, { clock });
    const outcome = call(own);
    const { plaintext, signal } = await beginning;
    expect([signal.aborted, Buffer.from(plaintext).toString()]).toEqual([false, "attack at dawn"]);
    clock.advance(1_999);
    expect(signal.aborted).toBe(false);
    clock.advance(1);
    expect(await outcome).toEqual(refused(504, "ERR_TIMEOUT"));
    expect(signal.aborted).toBe(true);
    expect(plaintext).toEqual(new Uint8Array(SECRET.length));
  });

  it("an answer after the request's deadline goes to nobody, and the place of its caller is free again", async () => {
    const clock = new TestClock();
    let began = (): void => undefined;
    const beginning = new Promise<void>((resolve) => {
      began = resolve;
    });
    let finish: (output: unknown) => void = () => undefined;
    const fn = score(
      () => {
        began();
        return new Promise((resolve) => {
          finish = resolve;
        });
      },
      { deadlineMs: 60_000 },
    );
    const stack = await startWith(fn, {
      clock,
      authorization: { budgets: { requestsPerMinute: 1_000, maxConcurrent: 1 } },
      configuration: { channels: { parent: ["functions/score", "random"] }, limits: { requestDeadlineSeconds: 5 } },
    });
    const outcome = call(stack);
    await beginning;
    expect(await stack.json("POST", "/v1/random", { numberOfBytes: 1 })).toEqual(refused(429, "ERR_BUDGET"));
    clock.advance(5_000);
    expect(await outcome).toEqual(refused(504, "ERR_TIMEOUT"));
    finish(1);
    expect(await stack.json("POST", "/v1/random", { numberOfBytes: 1 })).toMatchObject({ status: 200 });
  });

  it("pitfall 25: what it throws is told by its class alone, to the log and to nobody else", async () => {
    class DeclinedError extends Error {
      override name = "DeclinedError";
    }
    const thrown: unknown[] = [
      new DeclinedError("attack at dawn"),
      Object.assign(new Error("x"), { name: "attack at dawn" }),
      "attack at dawn",
      new ServiceError("ERR_KEY_CONFIGURATION", "attack at dawn"),
    ];
    const stack = await startWith(
      score(() => {
        throw thrown.shift();
      }),
    );
    const answers = [await call(stack), await call(stack), await call(stack), await call(stack)];
    for (const answer of answers) {
      expect(answer).toEqual(refused(500, "ERR_FUNCTION_FAILED"));
      expect(JSON.stringify(answer)).not.toContain("dawn");
    }
    const log = JSON.stringify(stack.log.entries);
    expect(log).toContain("functions/score threw DeclinedError");
    expect(log).not.toContain("dawn");
  });

  it("pitfall 25: so is what its output throws when it becomes JSON", async () => {
    const toJSON = () => {
      throw Object.assign(new Error("attack at dawn"), { name: "attack at dawn" });
    };
    const outputs: unknown[] = [{ toJSON }, { bits: 1n }];
    const stack = await startWith(score(() => outputs.shift()));
    const answers = [await call(stack), await call(stack)];
    expect(answers).toEqual([refused(500, "ERR_FUNCTION_FAILED"), refused(500, "ERR_FUNCTION_FAILED")]);
    expect(JSON.stringify([answers, stack.log.entries])).not.toContain("dawn");
  });

  it("pitfall 25: neither a schema's own text nor its refused input reaches caller or log", async () => {
    const telling = {
      parse: (value: unknown) => {
        throw new Error(`not taken: ${JSON.stringify(value)}`);
      },
    };
    for (const changes of [{ input: telling }, { output: telling }]) {
      const stack = await startWith(score(() => "attack at dawn", changes));
      const answer = await call(stack, { input: "attack at dusk" });
      expect(answer.body.code).toBe("input" in changes ? "ERR_MESSAGE_MALFORMED" : "ERR_FUNCTION_FAILED");
      expect(JSON.stringify([answer, stack.log.entries])).not.toMatch(/attack at/);
    }
  });

  it("a refusal is told by its code, without its text", async () => {
    const stack = await startWith(
      score(() => {
        throw new ServiceError("ERR_FUNCTION_REFUSED", "attack at dawn");
      }),
    );
    const answer = await call(stack);
    expect(answer).toEqual(refused(422, "ERR_FUNCTION_REFUSED"));
    expect(JSON.stringify([answer, stack.log.entries])).not.toContain("dawn");
  });

  it.each<[string, Run, ErrorCode]>([
    [
      "denies",
      ({ kms: client }) => client.send(new GenerateDataKeyCommand({ KeyId: kms.keyArn, KeySpec: "AES_256" })),
      "ERR_KMS_DENIED",
    ],
    [
      "refuses",
      ({ kms: client }) =>
        client.send(new DecryptCommand({ KeyId: kms.keyArn, CiphertextBlob: SECRET, EncryptionContext: CONTEXT })),
      "ERR_KMS_REFUSED",
    ],
    [
      "pitfall 4: is not asked, for a key that is not pinned,",
      ({ kms: client }) => client.send(new GenerateDataKeyCommand({ KeyId: FOREIGN_KEY_ARN, KeySpec: "AES_256" })),
      "ERR_KMS_KEY",
    ],
  ])("what KMS %s it is told by code, without its text", async (_, run, code) => {
    let said = "";
    const stack = await startWith(
      score(async (given) => {
        try {
          return await run(given);
        } catch (error) {
          said = error instanceof Error ? error.message : "";
          throw error;
        }
      }),
    );
    const answer = await call(stack);
    expect(answer.body.code).toBe(code);
    expect(said).not.toBe("");
    expect(JSON.stringify([answer, stack.log.entries])).not.toContain(said);
  });
});

describe("what is no function", () => {
  it.each<[string, Definition]>([
    ["a name in capitals", { name: "Score" }],
    ["a name with a slash", { name: "a/b" }],
    ["no name", { name: "" }],
    ["a name of 65 characters", { name: "a".repeat(65) }],
    ["no input", { input: undefined as unknown as typeof anything }],
    ["an output that is no schema", { output: {} as typeof anything }],
    ["nothing to run", { run: undefined as unknown as Run }],
    ["no time", { deadlineMs: 0 }],
    ["all the time", { deadlineMs: Number.POSITIVE_INFINITY }],
  ])("defineFunction refuses %s", (_, changes) => {
    expect(() => score(() => 1, changes)).toThrow(TypeError);
  });

  it("createEnclave takes none that does not come from defineFunction, and no two of one name", async () => {
    const { nsm } = await kms.simulation.bootEnclave(exampleImage());
    const lookalike = { name: "score", input: anything, output: anything, run: () => 1 };
    const genuine = score(() => 1);
    const authorization = { schema: schemaFor({ keyed: ["functions/score"] }) };
    for (const functions of [[lookalike], [Object.create(genuine)], [genuine, score(() => 2)]]) {
      const outcome = startStack(kms, { nsm, authorization, functions: functions as EnclaveFunction[] });
      await expect(outcome).rejects.toBeInstanceOf(TypeError);
    }
    await expect(startStack(kms, { nsm, authorization, functions: [genuine] })).resolves.toBeDefined();
  });

  it("an enclave does not start when its schema lacks a function's action, or has it for the wrong resource", async () => {
    for (const schema of [schemaFor(), schemaFor({ keyless: ["functions/score"] })]) {
      const outcome = startStack(kms, { functions: [score(() => 1)], authorization: { schema } });
      await expect(outcome).rejects.toThrowCode("ERR_CONFIGURATION");
    }
  });
});
