/** Messages made and re-encrypted by a whole enclave, on every channel: what comes of them, who may, and each refusal's code. */
import { once } from "node:events";
import type { IncomingMessage } from "node:http";
import { request } from "node:https";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { concatBytes, fromBase64, toBase64, utf8 } from "../../../shared/bytes.js";
import { TENANT_POLICIES } from "../../support/authorization.js";
import { collect } from "../../support/streams.js";
import { SUITE } from "../esdk.js";
import type { Json } from "../fakes.js";
import { FOREIGN_KEY_ARN } from "../fakes.js";
import { flipped } from "../messages/layout.js";
import type { World } from "../messages/world.js";
import { ask, overSealed, overTls, sdkMessage, sdkOpened, startMessages, startWorld } from "../messages/world.js";
import type { Stack } from "../stack.js";
import { ALIAS, CONTEXT } from "../stack.js";

const SECRET = utf8("attack at dawn");
const MIB = 1024 * 1024;
const ENCRYPT = "/v1/messages/encrypt";
const RE_ENCRYPT = "/v1/messages/re-encrypt";
const DECRYPT = "/v1/messages/decrypt";

let world: World;
beforeAll(async () => {
  world = await startWorld();
});
afterAll(() => world.simulation.close());

const toMake = (changes: Json = {}): Json => ({
  plaintext: toBase64(SECRET),
  keyIds: [ALIAS],
  encryptionContext: CONTEXT,
  ...changes,
});

const messageIn = ({ body }: { body: Json }): Uint8Array => fromBase64(String(body.message)) ?? new Uint8Array();
const suiteOf = (message: Uint8Array): number => new DataView(message.buffer, message.byteOffset).getUint16(1);
const refused = (status: number, code: string) => ({ status, body: { status, code } });

async function* parts(...given: Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* given;
}

async function taken(stream: AsyncIterable<Uint8Array>): Promise<{ received: Uint8Array; failure: unknown }> {
  const received: Uint8Array[] = [];
  try {
    for await (const part of stream) received.push(part);
    return { received: concatBytes(...received), failure: undefined };
  } catch (failure) {
    return { received: concatBytes(...received), failure };
  }
}

/** The calls that enclaves make while `run` runs. */
async function callsDuring(run: () => Promise<unknown>): Promise<string[]> {
  const before = world.calls().length;
  await run();
  return world.calls().slice(before);
}

describe("messages/encrypt", () => {
  it("makes a message that the SDK opens with every key that it is for: signed, unless it says no", async () => {
    const stack = await startMessages(world);
    for (const [changes, suite] of [
      [{}, SUITE.committedSigned],
      [{ signed: true }, SUITE.committedSigned],
      [{ signed: false }, SUITE.committed],
    ] as const) {
      const answer = await ask(stack, ENCRYPT, { body: toMake({ ...changes, keyIds: [ALIAS, world.otherArn] }) });
      expect(answer.status).toBe(200);
      expect(suiteOf(messageIn(answer))).toBe(suite);
      for (const key of [world.keyArn, world.otherArn]) {
        const opened = await sdkOpened(world, messageIn(answer), key);
        expect(opened).toEqual({ plaintext: SECRET, encryptionContext: answer.body.encryptionContext });
        expect(opened.encryptionContext).toMatchObject(CONTEXT);
      }
    }
  });

  it("answers alike under the seal, over TLS and as a stream", async () => {
    const stack = await startMessages(world);
    const [sealed, tls] = [await overSealed(world, stack), await overTls(world, stack)];
    const wanted = { keyIds: [ALIAS], encryptionContext: CONTEXT };
    const messages = [
      await sealed.encryptMessage({ ...wanted, plaintext: SECRET }),
      await tls.encryptMessage({ ...wanted, plaintext: SECRET }),
    ];
    const stream = await tls.encryptMessageStream(parts(SECRET), wanted);
    const { received: message } = await taken(stream.message);
    for (const made of [...messages, { message, encryptionContext: stream.encryptionContext }]) {
      expect(await sdkOpened(world, made.message)).toEqual({
        plaintext: SECRET,
        encryptionContext: made.encryptionContext,
      });
    }
  });

  it("needs no name of a key where the configuration names one", async () => {
    const stack = await startMessages(world, {}, { kms: { keys: [{ arn: world.keyArn, aliases: [] }] } });
    expect(await ask(stack, ENCRYPT, { body: toMake({ keyIds: undefined }) })).toMatchObject({ status: 200 });
  });

  it("asks KMS for one key once, however often it is named", async () => {
    const stack = await startMessages(world);
    const keyIds = [ALIAS, world.keyArn, ALIAS];
    const calls = await callsDuring(() => ask(stack, ENCRYPT, { body: toMake({ keyIds }) }));
    expect(calls).toEqual(["GenerateDataKey"]);
  });

  it.each<[string, Json, number, string]>([
    ["no name of a key, where the configuration names two", { keyIds: undefined }, 400, "ERR_MESSAGE_MALFORMED"],
    ["an empty list of keys", { keyIds: [] }, 400, "ERR_MESSAGE_MALFORMED"],
    ["pitfall 4: a key that is not pinned", { keyIds: [ALIAS, FOREIGN_KEY_ARN] }, 403, "ERR_KMS_KEY"],
    ["17 names of keys", { keyIds: Array(17).fill(ALIAS) }, 400, "ERR_MESSAGE_MALFORMED"],
    [
      "a name that the SDK keeps for itself",
      { encryptionContext: { ...CONTEXT, "aws-crypto-public-key": "x" } },
      400,
      "ERR_MESSAGE_MALFORMED",
    ],
    ["a name of nothing", { encryptionContext: { ...CONTEXT, "": "x" } }, 400, "ERR_MESSAGE_MALFORMED"],
    [
      "pitfall 15: too many pairs",
      { encryptionContext: Object.fromEntries(Array.from({ length: 257 }, (_, index) => [`${index}`, ""])) },
      400,
      "ERR_MESSAGE_MALFORMED",
    ],
    [
      "pitfall 15: a context that is too large",
      {
        encryptionContext: Object.fromEntries(Array.from({ length: 9 }, (_, index) => [`${index}`, "x".repeat(8_192)])),
      },
      400,
      "ERR_MESSAGE_MALFORMED",
    ],
    ["an unknown field", { message: "AAAA" }, 400, "ERR_MESSAGE_MALFORMED"],
    ["no plaintext", { plaintext: undefined }, 400, "ERR_MESSAGE_MALFORMED"],
    [
      "a plaintext that is too large",
      { plaintext: toBase64(new Uint8Array(640 * 1024 + 1)) },
      400,
      "ERR_MESSAGE_MALFORMED",
    ],
    ["a body that is too large", { plaintext: "A".repeat(MIB) }, 413, "ERR_MESSAGE_TOO_LARGE"],
  ])("refuses %s, before KMS is asked", async (_, changes, status, code) => {
    const stack = await startMessages(world);
    const calls = await callsDuring(async () => {
      expect(await ask(stack, ENCRYPT, { body: toMake(changes) })).toMatchObject(refused(status, code));
    });
    expect(calls).toEqual([]);
  });

  it("refuses more keys than a message may have, before KMS is asked", async () => {
    const stack = await startMessages(world, {}, { configuration: { limits: { maxEncryptedDataKeys: 1 } } });
    const keyIds = [ALIAS, world.otherArn];
    const message = toBase64(await sdkMessage(world, SECRET));
    const tls = await overTls(world, stack);
    const calls = await callsDuring(async () => {
      expect(await ask(stack, ENCRYPT, { body: toMake({ keyIds }) })).toMatchObject(refused(403, "ERR_KMS_KEY"));
      expect(await ask(stack, RE_ENCRYPT, { body: { message, keyIds } })).toMatchObject(refused(403, "ERR_KMS_KEY"));
      await expect(tls.encryptMessageStream(parts(SECRET), { keyIds })).rejects.toThrowCode("ERR_KMS_KEY");
    });
    expect(calls).toEqual([]);
  });

  it("takes the largest plaintext, with the largest context that KMS takes, into a message that it opens again", async () => {
    const stack = await startMessages(world);
    const encryptionContext = { ...CONTEXT, note: "x".repeat(8_000) };
    const plaintext = toBase64(new Uint8Array(640 * 1024).fill(7));
    const body = toMake({ plaintext, encryptionContext, keyIds: [ALIAS, world.otherArn] });
    const made = await ask(stack, ENCRYPT, { body });
    expect(made).toMatchObject({ status: 200, body: { encryptionContext } });
    const opened = await ask(stack, DECRYPT, { body: { message: made.body.message } });
    expect(opened).toMatchObject({ status: 200, body: { plaintext } });
    const again = await ask(stack, RE_ENCRYPT, {
      body: { message: made.body.message, keyIds: [ALIAS, world.otherArn] },
    });
    expect(again).toMatchObject({ status: 200 });
  });

  it("takes a context as a stream as it does in JSON", async () => {
    const tls = await overTls(world, await startMessages(world));
    const encryptionContext = { ...CONTEXT, note: "x".repeat(8_000) };
    const stream = await tls.encryptMessageStream(parts(SECRET), { keyIds: [ALIAS], encryptionContext });
    expect(stream.encryptionContext).toMatchObject(encryptionContext);
    const opening = await tls.decryptMessageStream(stream.message, { encryptionContext });
    expect((await taken(opening.plaintext)).received).toEqual(SECRET);
  });

  it("pitfall 1: makes none over the gateway, and opens none for it", async () => {
    const stack = await startMessages(world, {}, { kms: { transport: "gateway" } });
    expect(await ask(stack, ENCRYPT, { body: toMake() })).toMatchObject(refused(403, "ERR_GATEWAY_REFUSED"));
    const tls = await overTls(world, stack);
    const options = { keyIds: [ALIAS], encryptionContext: CONTEXT };
    await expect(tls.encryptMessageStream(parts(SECRET), options)).rejects.toThrowCode("ERR_GATEWAY_REFUSED");
    const message = await sdkMessage(world, SECRET);
    const body = { message: toBase64(message), keyIds: [ALIAS] };
    expect(await ask(stack, RE_ENCRYPT, { body })).toMatchObject(refused(403, "ERR_GATEWAY_REFUSED"));
    await expect(tls.reEncryptMessageStream(parts(message), options)).rejects.toThrowCode("ERR_GATEWAY_REFUSED");
    expect(stack.gatewayTargets).not.toContain("TrentService.GenerateDataKey");
  });
});

describe("messages/re-encrypt", () => {
  it("makes a new message of the same contents and context for other keys, and shows nobody what is in it", async () => {
    const stack = await startMessages(world);
    const context = { ...CONTEXT, purpose: "x" };
    for (const suite of [SUITE.committed, SUITE.committedSigned]) {
      const message = toBase64(await sdkMessage(world, SECRET, { context, suite }));
      const answer = await ask(stack, RE_ENCRYPT, {
        body: { message, keyIds: [world.otherArn], encryptionContext: CONTEXT },
      });
      expect(answer.status).toBe(200);
      expect(JSON.stringify(answer.body)).not.toContain(toBase64(SECRET));
      const opened = await sdkOpened(world, messageIn(answer), world.otherArn);
      expect(opened).toEqual({ plaintext: SECRET, encryptionContext: answer.body.encryptionContext });
      expect(opened.encryptionContext).toMatchObject(context);
      await expect(sdkOpened(world, messageIn(answer), world.keyArn)).rejects.toThrow();
      expect(suiteOf(messageIn(answer))).toBe(SUITE.committedSigned);
    }
  });

  it("does so under the seal, over TLS and as a stream of any size", async () => {
    const stack = await startMessages(world);
    const [sealed, tls] = [await overSealed(world, stack), await overTls(world, stack)];
    const options = { keyIds: [world.otherArn], signed: false };
    const message = await sdkMessage(world, SECRET);
    for (const enclave of [sealed, tls]) {
      const made = await enclave.reEncryptMessage({ message, ...options });
      expect((await sdkOpened(world, made.message, world.otherArn)).plaintext).toEqual(SECRET);
    }
    const large = new Uint8Array(3 * MIB).map((_, index) => index >> 8);
    const stream = await tls.reEncryptMessageStream(
      parts(await sdkMessage(world, large, { frameLength: 64 * 1024, suite: SUITE.committedSigned })),
      options,
    );
    const { received, failure } = await taken(stream.message);
    expect(failure).toBeUndefined();
    const opened = await sdkOpened(world, received, world.otherArn);
    expect(Buffer.compare(opened.plaintext, large)).toBe(0);
    expect(opened.encryptionContext).toEqual(stream.encryptionContext);
  });

  it("refuses a key that is not pinned, and a plaintext beside the message, before KMS is asked", async () => {
    const stack = await startMessages(world);
    const message = toBase64(await sdkMessage(world, SECRET));
    const calls = await callsDuring(async () => {
      expect(await ask(stack, RE_ENCRYPT, { body: { message, keyIds: [FOREIGN_KEY_ARN] } })).toMatchObject(
        refused(403, "ERR_KMS_KEY"),
      );
      expect(await ask(stack, RE_ENCRYPT, { body: { message } })).toMatchObject(refused(400, "ERR_MESSAGE_MALFORMED"));
      expect(await ask(stack, RE_ENCRYPT, { body: { message, keyIds: [ALIAS], plaintext: "" } })).toMatchObject(
        refused(400, "ERR_MESSAGE_MALFORMED"),
      );
    });
    expect(calls).toEqual([]);
  });
});

describe("required pairs", () => {
  it("must be in the context of every message, made, opened or re-encrypted, before KMS is asked", async () => {
    const stack = await startMessages(world, { requiredPairs: ["tenant", "record"] });
    const tls = await overTls(world, stack);
    const lacking = await sdkMessage(world, SECRET);
    const complete = await sdkMessage(world, SECRET, { context: { ...CONTEXT, record: "7" } });
    const keyIds = [ALIAS];
    const calls = await callsDuring(async () => {
      const message = toBase64(lacking);
      for (const [path, body] of [
        [ENCRYPT, toMake()],
        [DECRYPT, { message }],
        [RE_ENCRYPT, { message, keyIds }],
      ] as const) {
        expect(await ask(stack, path, { body })).toMatchObject(refused(403, "ERR_ENCRYPTION_CONTEXT"));
      }
      for (const stream of [
        tls.encryptMessageStream(parts(SECRET), { keyIds, encryptionContext: CONTEXT }),
        tls.decryptMessageStream(parts(lacking)),
        tls.reEncryptMessageStream(parts(lacking), { keyIds }),
      ]) {
        await expect(stream).rejects.toThrowCode("ERR_ENCRYPTION_CONTEXT");
      }
    });
    expect(calls).toEqual([]);
    expect(await ask(stack, DECRYPT, { body: { message: toBase64(complete) } })).toMatchObject({ status: 200 });
    const withValue = (record: string) => ({ body: toMake({ encryptionContext: { ...CONTEXT, record } }) });
    expect(await ask(stack, ENCRYPT, withValue("0"))).toMatchObject({ status: 200 });
    expect(await ask(stack, ENCRYPT, withValue(""))).toMatchObject(refused(403, "ERR_ENCRYPTION_CONTEXT"));
  });
});

describe("the policies decide before KMS is asked", () => {
  const streams = async (stack: Stack, message: Uint8Array, keyIds: string[], encryptionContext = CONTEXT) => {
    const tls = await overTls(world, stack);
    return {
      encrypt: () => tls.encryptMessageStream(parts(SECRET), { keyIds, encryptionContext }),
      decrypt: () => tls.decryptMessageStream(parts(message)),
      reEncrypt: () => tls.reEncryptMessageStream(parts(message), { keyIds }),
    };
  };

  it("by the context, for every operation and as streams", async () => {
    const stack = await startMessages(world, {}, { authorization: { policies: TENANT_POLICIES } });
    const encryptionContext = { tenant: "b" };
    const bytes = await sdkMessage(world, SECRET, { context: encryptionContext });
    const message = toBase64(bytes);
    const stream = await streams(stack, bytes, [ALIAS], encryptionContext);
    const calls = await callsDuring(async () => {
      for (const [path, body] of [
        [ENCRYPT, toMake({ encryptionContext })],
        [DECRYPT, { message }],
        [RE_ENCRYPT, { message, keyIds: [ALIAS] }],
      ] as const) {
        expect(await ask(stack, path, { body })).toMatchObject(refused(403, "ERR_NOT_AUTHORIZED"));
      }
      for (const start of Object.values(stream)) await expect(start()).rejects.toThrowCode("ERR_NOT_AUTHORIZED");
    });
    expect(calls).toEqual([]);
  });

  it("by the key: a message is neither opened nor made for one that the caller may not use", async () => {
    const policies = `permit(principal, action, resource == Key::"${world.keyArn}");`;
    const stack = await startMessages(world, {}, { authorization: { policies } });
    const [mine, other] = [world.keyArn, world.otherArn];
    const bytes = await sdkMessage(world, SECRET);
    const message = toBase64(bytes);
    const foreign = toBase64(await sdkMessage(world, SECRET, { keyIds: [other] }));
    const stream = await streams(stack, bytes, [mine, other]);
    const calls = await callsDuring(async () => {
      for (const [path, body] of [
        [ENCRYPT, toMake({ keyIds: [other] })],
        [ENCRYPT, toMake({ keyIds: [mine, other] })],
        [DECRYPT, { message: foreign }],
        [RE_ENCRYPT, { message: foreign, keyIds: [mine] }],
        [RE_ENCRYPT, { message, keyIds: [other] }],
        [RE_ENCRYPT, { message, keyIds: [mine, other] }],
      ] as const) {
        expect(await ask(stack, path, { body }), path).toMatchObject(refused(403, "ERR_NOT_AUTHORIZED"));
      }
      for (const start of [stream.encrypt, stream.reEncrypt]) {
        await expect(start()).rejects.toThrowCode("ERR_NOT_AUTHORIZED");
      }
    });
    expect(calls).toEqual([]);
    expect(await ask(stack, RE_ENCRYPT, { body: { message, keyIds: [mine] } })).toMatchObject({ status: 200 });
  });

  it("by the action: whoever may decrypt may neither encrypt nor re-encrypt for that", async () => {
    const policies = 'permit(principal, action == Action::"messages/decrypt", resource);';
    const stack = await startMessages(world, {}, { authorization: { policies } });
    const bytes = await sdkMessage(world, SECRET);
    const message = toBase64(bytes);
    const stream = await streams(stack, bytes, [ALIAS]);
    const calls = await callsDuring(async () => {
      expect(await ask(stack, ENCRYPT, { body: toMake() })).toMatchObject(refused(403, "ERR_NOT_AUTHORIZED"));
      expect(await ask(stack, RE_ENCRYPT, { body: { message, keyIds: [ALIAS] } })).toMatchObject(
        refused(403, "ERR_NOT_AUTHORIZED"),
      );
      for (const start of [stream.encrypt, stream.reEncrypt]) {
        await expect(start()).rejects.toThrowCode("ERR_NOT_AUTHORIZED");
      }
    });
    expect(calls).toEqual([]);
    expect(await ask(stack, DECRYPT, { body: { message } })).toMatchObject({ status: 200 });
  });
});

describe("a stream that goes wrong after it has begun", () => {
  const large = new Uint8Array(MIB).map((_, index) => index >> 8);
  const signedMessage = () => sdkMessage(world, large, { frameLength: 64 * 1024, suite: SUITE.committedSigned });

  it("a bad signature at its end is an error by the trailer, for decrypt and for re-encrypt, never a short success", async () => {
    const stack = await startMessages(world);
    const tls = await overTls(world, stack);
    const message = flipped(await signedMessage(), -1);
    const decrypted = await taken((await tls.decryptMessageStream(parts(message))).plaintext);
    expect(decrypted.failure).toMatchObject({ code: "ERR_DECRYPTION_FAILED" });
    const reEncrypted = await taken((await tls.reEncryptMessageStream(parts(message), { keyIds: [ALIAS] })).message);
    expect(reEncrypted.failure).toMatchObject({ code: "ERR_DECRYPTION_FAILED" });
    await expect(sdkOpened(world, reEncrypted.received)).rejects.toThrow(); // what came is no message
    expect(await tls.random(4)).toHaveLength(4);
  });

  it("a sender who breaks off has made no message, and takes nobody else with him", async () => {
    const stack = await startMessages(world);
    const tls = await overTls(world, stack);
    const options = { keyIds: [ALIAS], encryptionContext: CONTEXT };
    const message = await signedMessage();
    const breaking = async function* (bytes: Uint8Array) {
      yield bytes.subarray(0, bytes.length / 2);
      throw new Error("broken off");
    };
    for (const stream of [
      tls.encryptMessageStream(breaking(large), options).then((made) => taken(made.message)),
      tls.reEncryptMessageStream(breaking(message), options).then((made) => taken(made.message)),
    ]) {
      const failure = await stream.then(
        (outcome) => outcome.failure,
        (error: unknown) => error,
      );
      expect(failure).toBeDefined();
    }
    expect(await tls.random(4)).toHaveLength(4);
    expect(stack.log.entries.map(({ fields }) => fields.code)).not.toContain("ERR_INTERNAL");
  });

  it("an input that ends early is refused, within its header and after it", async () => {
    const tls = await overTls(world, await startMessages(world));
    const message = await signedMessage();
    const keyIds = [ALIAS];
    await expect(tls.reEncryptMessageStream(parts(message.subarray(0, 100)), { keyIds })).rejects.toThrowCode(
      "ERR_MESSAGE_MALFORMED",
    );
    const { failure } = await taken(
      (await tls.reEncryptMessageStream(parts(message.subarray(0, -1_000)), { keyIds })).message,
    );
    expect(failure).toMatchObject({ code: "ERR_DECRYPTION_FAILED" });
  });

  it("a client that takes no more gives its place back, and the next one is served", async () => {
    const budgets = { requestsPerMinute: 1_000, maxConcurrent: 1, bytesPerMinute: 1_000_000_000 };
    const stack = await startMessages(world, {}, { authorization: { budgets } });
    const tls = await overTls(world, stack);
    const endless = async function* () {
      for (;;) yield new Uint8Array(64 * 1024);
    };
    const leaving = new AbortController();
    const options = { keyIds: [ALIAS], encryptionContext: CONTEXT };
    const stream = await tls.encryptMessageStream(endless(), { ...options, signal: leaving.signal });
    for await (const _ of stream.message) break;
    leaving.abort();
    await expect.poll(() => tls.random(4).catch(() => undefined)).toHaveLength(4);
    expect(stack.log.entries.map(({ fields }) => fields.code)).not.toContain("ERR_INTERNAL");
  });

  it("of nothing is a message of nothing", async () => {
    const tls = await overTls(world, await startMessages(world));
    const options = { keyIds: [ALIAS], encryptionContext: CONTEXT };
    const { received, failure } = await taken((await tls.encryptMessageStream(parts(), options)).message);
    expect(failure).toBeUndefined();
    expect((await sdkOpened(world, received)).plaintext).toEqual(new Uint8Array());
    const again = await taken((await tls.reEncryptMessageStream(parts(received), options)).message);
    expect((await sdkOpened(world, again.received)).plaintext).toEqual(new Uint8Array());
    await expect(tls.decryptMessageStream(parts())).rejects.toThrowCode("ERR_MESSAGE_MALFORMED");
  });

  it("of 20 MiB is made whole, and opens again", async () => {
    const tls = await overTls(world, await startMessages(world));
    const plaintext = new Uint8Array(20 * MIB).map((_, index) => index >> 10);
    const made = await tls.encryptMessageStream(parts(plaintext), { keyIds: [ALIAS], encryptionContext: CONTEXT });
    const opening = await tls.decryptMessageStream(made.message);
    const { received, failure } = await taken(opening.plaintext);
    expect(failure).toBeUndefined();
    expect(Buffer.compare(received, plaintext)).toBe(0);
  });
});

describe("the fields of a stream", () => {
  const field = (text: string): string => toBase64(utf8(text));

  /** The code of a refusal, asked for without the client, which would not send such fields. */
  async function codeFor(stack: Stack, fields: Readonly<Record<string, string>>): Promise<string> {
    const headers = { authorization: `Bearer ${world.token}`, "content-type": "application/octet-stream", ...fields };
    const socketPath = stack.tlsAddress.slice("unix:".length);
    const sent = request({ socketPath, path: ENCRYPT, method: "POST", headers, rejectUnauthorized: false });
    sent.end(SECRET);
    const [answer] = (await once(sent, "response")) as [IncomingMessage];
    return JSON.parse((await collect(answer)).toString()).code;
  }

  it.each<[string, Readonly<Record<string, string>>]>([
    ["options that are no base64", { "message-options": "{}" }],
    ["options that are no JSON", { "message-options": field("x") }],
    ["unknown options", { "message-options": field('{"plaintext":""}') }],
    ["no keys in the list", { "message-options": field('{"keyIds":[]}') }],
    ["a context that is no record of texts", { "encryption-context": field('{"a":1}') }],
    [
      "a context of too many pairs",
      {
        "encryption-context": field(
          JSON.stringify(
            Object.fromEntries(
              Array(257)
                .fill(0)
                .map((_, index) => [`${index}`, ""]),
            ),
          ),
        ),
      },
    ],
    [
      "a name that the SDK keeps for itself",
      { "encryption-context": field('{"aws-crypto-x":""}'), "message-options": field(`{"keyIds":["${ALIAS}"]}`) },
    ],
  ])("are refused with %s", async (_, fields) => {
    const stack = await startMessages(world);
    const calls = await callsDuring(async () => {
      expect(await codeFor(stack, fields)).toBe("ERR_MESSAGE_MALFORMED");
    });
    expect(calls).toEqual([]);
  });
});
