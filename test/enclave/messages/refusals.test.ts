/**
 * Every refusal of a message, by code: opened and made anew, in JSON on the plain channel, under the seal and as streams over
 * TLS. Each row changes one thing of messages that are opened.
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { concatBytes, toBase64, utf8 } from "../../../shared/bytes.js";
import type { ErrorCode } from "../../../shared/errors.js";
import { TENANT_POLICIES } from "../../support/authorization.js";
import { SUITE } from "../esdk.js";
import type { Stack } from "../stack.js";
import { ALIAS, CONTEXT } from "../stack.js";
import { flipped, messageFrom, piecesOf } from "./layout.js";
import type { World } from "./world.js";
import { ask, overSealed, overTls, sdkMessage, startMessages, startWorld } from "./world.js";

/** Three frames of 64 bytes, the last of them short. */
const SECRET = utf8(
  "a secret that is longer than two frames of the message, which hold 64 bytes each, by a good deal, so that its frames can be told apart",
);

let world: World;
/** Two messages of everything alike but their contents and keys, and one that is signed. */
let one: Uint8Array;
let other: Uint8Array;
let signed: Uint8Array;
beforeAll(async () => {
  world = await startWorld();
  one = await sdkMessage(world, SECRET);
  other = await sdkMessage(
    world,
    SECRET.map((byte) => byte ^ 1),
  );
  signed = await sdkMessage(world, SECRET, { suite: SUITE.committedSigned });
});
afterAll(() => world.simulation.close());

type Pairs = Readonly<Record<string, string>>;

/** What becomes of a message: the code of its refusal, also one that comes after the answer has begun. */
type Way = (message: Uint8Array, expected: Pairs) => Promise<ErrorCode | "opened">;

const coded = async (run: () => Promise<unknown>): Promise<ErrorCode | "opened"> => {
  try {
    await run();
    return "opened";
  } catch (error) {
    return (error as { code: ErrorCode }).code;
  }
};

async function drained(parts: AsyncIterable<Uint8Array>): Promise<number> {
  let bytes = 0;
  for await (const part of parts) bytes += part.length;
  return bytes;
}

async function* inParts(message: Uint8Array, size = 100): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < message.length; at += size) yield message.slice(at, at + size);
}

const inJson =
  (stack: Stack, path: string, more: object = {}): Way =>
  async (message, encryptionContext) => {
    const body = { message: toBase64(message), encryptionContext, ...more };
    const answer = await ask(stack, path, { body });
    return answer.status === 200 ? "opened" : (answer.body.code as ErrorCode);
  };

/** All the ways in which an enclave opens a message. Refusals are not remembered: each way asks for itself. */
async function startWays(policies?: string): Promise<Readonly<Record<string, Way>>> {
  const authorization = policies === undefined ? {} : { authorization: { policies } };
  const stack = await startMessages(world, { refusalSeconds: 0 }, authorization);
  const [sealed, tls] = await Promise.all([overSealed(world, stack), overTls(world, stack)]);
  const keyIds = [ALIAS];
  return {
    "decrypt, JSON": inJson(stack, "/v1/messages/decrypt"),
    "re-encrypt, JSON": inJson(stack, "/v1/messages/re-encrypt", { keyIds }),
    "decrypt, sealed": (message, encryptionContext) =>
      coded(() => sealed.decryptMessage({ message, encryptionContext })),
    "re-encrypt, sealed": (message, encryptionContext) =>
      coded(() => sealed.reEncryptMessage({ message, encryptionContext, keyIds })),
    "decrypt, stream": (message, encryptionContext) =>
      coded(async () => drained((await tls.decryptMessageStream(inParts(message), { encryptionContext })).plaintext)),
    "re-encrypt, stream": (message, encryptionContext) =>
      coded(async () =>
        drained((await tls.reEncryptMessageStream(inParts(message), { encryptionContext, keyIds })).message),
      ),
  };
}

interface Circumstances {
  readonly expected?: Pairs;
  readonly policies?: string;
}

/** What every way has to say to each of the messages. */
async function expectEverywhere(
  messages: readonly Uint8Array[],
  code: ErrorCode | "opened",
  { expected = {}, policies }: Circumstances = {},
): Promise<void> {
  const ways = Object.entries(await startWays(policies));
  for (const [index, message] of messages.entries()) {
    const outcomes = await Promise.all(ways.map(async ([name, run]) => [name, await run(message, expected)]));
    expect(Object.fromEntries(outcomes), `message ${index}`).toEqual(
      Object.fromEntries(ways.map(([name]) => [name, code])),
    );
  }
}

/** As `expectEverywhere`, and KMS has heard nothing of it. */
async function expectBeforeKms(...args: Parameters<typeof expectEverywhere>): Promise<void> {
  const before = world.calls().length;
  await expectEverywhere(...args);
  expect(world.calls()).toHaveLength(before);
}

describe("a message that is whole and genuine", () => {
  it("is opened, signed or not", async () => {
    await expectEverywhere([one, signed], "opened", { expected: CONTEXT });
  });

  it("can be taken apart and put together", () => {
    for (const message of [one, other, signed]) {
      expect(messageFrom(piecesOf(message))).toEqual(message);
      expect(piecesOf(message).frames).toHaveLength(3);
    }
  });
});

describe("refused before KMS is asked:", () => {
  it("pitfall 5: a wrong context: a pair that the message does not have", async () => {
    await expectBeforeKms([one], "ERR_ENCRYPTION_CONTEXT", { expected: { tenant: "b" } });
    await expectBeforeKms([one], "ERR_ENCRYPTION_CONTEXT", { expected: { ...CONTEXT, purpose: "x" } });
  });

  it("a wrong tenant: a message that the policies do not permit the caller", async () => {
    const message = await sdkMessage(world, SECRET, { context: { tenant: "b" } });
    await expectBeforeKms([message], "ERR_NOT_AUTHORIZED", { policies: TENANT_POLICIES });
  });

  it("pitfall 4: an unknown key: a message for a key that the configuration does not name", async () => {
    await expectBeforeKms([await sdkMessage(world, SECRET, { keyIds: [world.foreignArn] })], "ERR_KMS_KEY");
  });

  it("pitfall 15: too many data keys", async () => {
    const { keyArn, otherArn, foreignArn } = world;
    const keyIds = [keyArn, otherArn, foreignArn, keyArn];
    await expectEverywhere([await sdkMessage(world, SECRET, { keyIds })], "opened");
    const message = await sdkMessage(world, SECRET, { keyIds: [...keyIds, otherArn] });
    await expectBeforeKms([message], "ERR_MESSAGE_MALFORMED");
  });

  it("pitfall 15: too many pairs", async () => {
    const pairs = Object.fromEntries(Array.from({ length: 257 }, (_, index) => [`name${index}`, "x"]));
    await expectBeforeKms([await sdkMessage(world, SECRET, { context: pairs })], "ERR_MESSAGE_MALFORMED");
  });

  it("pitfall 1: a downgraded suite: every one that the SDK makes without commitment", async () => {
    const suites = [0x0014, 0x0046, 0x0078, 0x0114, 0x0146, 0x0178, 0x0214, 0x0346, 0x0378];
    const messages = await Promise.all(suites.map((suite) => sdkMessage(world, SECRET, { suite })));
    await expectBeforeKms(messages, "ERR_MESSAGE_MALFORMED");
  });

  it("pitfall 1: a suite that is changed in the header, to one without commitment or an unknown one", async () => {
    const messages = [0x0014, 0x0178, 0x0378, 0x0479, 0xffff].map((suite) => withSuite(one, suite));
    await expectBeforeKms(messages, "ERR_MESSAGE_MALFORMED");
  });

  it("the format's older version, in the first byte", async () => {
    await expectBeforeKms([Uint8Array.of(1, ...one.subarray(1))], "ERR_MESSAGE_MALFORMED");
  });

  it("what is truncated within its header, and what is no message", async () => {
    const { head, dataKeys } = piecesOf(one);
    const lengths = [1, 20, head.length - 1, head.length + dataKeys.length - 1];
    const cut = lengths.map((length) => one.slice(0, length));
    await expectBeforeKms([...cut, utf8("no message at all")], "ERR_MESSAGE_MALFORMED");
  });
});

describe("refused by what authenticates the message:", () => {
  const REFUSED = "ERR_DECRYPTION_FAILED";

  it("truncated: within a frame, between two, and without the last byte", async () => {
    const [first = 0, second = 0, last = 0] = piecesOf(one).frames.map(({ length }) => length);
    const cuts = [1, last, last + 10, second + last, first + second + last];
    await expectEverywhere(
      cuts.map((cut) => one.slice(0, -cut)),
      REFUSED,
    );
  });

  it("pitfall 3: spliced: the data keys of one with the body of another", async () => {
    await expectEverywhere([messageFrom({ ...piecesOf(one), dataKeys: piecesOf(other).dataKeys })], REFUSED);
  });

  it("pitfall 3: spliced: the header of one with the frames of another", async () => {
    await expectEverywhere([messageFrom({ ...piecesOf(one), frames: piecesOf(other).frames })], REFUSED);
  });

  it("pitfall 3: spliced: one frame of another message, frames exchanged, doubled or left out", async () => {
    const [first, second, last] = piecesOf(one).frames as [Uint8Array, Uint8Array, Uint8Array];
    const [foreign] = piecesOf(other).frames as [Uint8Array];
    const spliced = [[foreign, second, last], [second, first, last], [first, first, last], [first, last], [last]];
    await expectEverywhere(
      spliced.map((frames) => messageFrom({ ...piecesOf(one), frames })),
      REFUSED,
    );
  });

  it("pitfall 1: a commitment that is not that of the data key", async () => {
    const pieces = piecesOf(one);
    const changed = [5, 36].map((at) => messageFrom({ ...pieces, rest: flipped(pieces.rest, at) }));
    await expectEverywhere(changed, REFUSED);
  });

  it("a header whose message id, frame length or tag was changed", async () => {
    const pieces = piecesOf(one);
    const changed = [
      { head: flipped(pieces.head, 3) },
      { rest: flipped(pieces.rest, 4) },
      { rest: flipped(pieces.rest, -1) },
    ];
    await expectEverywhere(
      changed.map((part) => messageFrom({ ...pieces, ...part })),
      REFUSED,
    );
  });

  it("a frame that was changed: its number, its nonce, its contents, its tag", async () => {
    const pieces = piecesOf(one);
    const [first, ...more] = pieces.frames as [Uint8Array, ...Uint8Array[]];
    const changed = [3, 4, 20, -1].map((at) => messageFrom({ ...pieces, frames: [flipped(first, at), ...more] }));
    await expectEverywhere(changed, REFUSED);
  });

  it("a signature that was changed, is another message's, or is left out", async () => {
    const pieces = piecesOf(signed);
    const foreign = piecesOf(await sdkMessage(world, SECRET, { suite: SUITE.committedSigned })).footer;
    const footers = [flipped(pieces.footer, -1), flipped(pieces.footer, 10), foreign, new Uint8Array()];
    await expectEverywhere(
      footers.map((footer) => messageFrom({ ...pieces, footer })),
      REFUSED,
    );
  });

  it("pitfall 1: a signed suite that is changed to the unsigned one, and the other way round", async () => {
    const withoutSignature = messageFrom({ ...piecesOf(signed), footer: new Uint8Array() });
    const changed = [withSuite(withoutSignature, SUITE.committed), withSuite(one, SUITE.committedSigned)];
    await expectEverywhere(changed, REFUSED);
  });
});

describe("refused by its form:", () => {
  it("pitfall 18: a message that is followed by more, if only by one byte", async () => {
    const followed = [one, signed].flatMap((message) => [
      concatBytes(message, Uint8Array.of(0)),
      concatBytes(message, message),
    ]);
    await expectEverywhere(followed, "ERR_MESSAGE_MALFORMED");
  });
});

describe("refused by KMS:", () => {
  it("pitfall 3: a context that was changed in the header", async () => {
    const message = Buffer.from(one);
    message[message.indexOf("tenant") + "tenant".length + 2] = "b".charCodeAt(0); // name, two bytes of length, value
    await expectEverywhere([new Uint8Array(message)], "ERR_KMS_REFUSED", { expected: { tenant: "b" } });
  });

  it("an encrypted data key that was changed", async () => {
    const pieces = piecesOf(one);
    const changed = messageFrom({ ...pieces, dataKeys: flipped(pieces.dataKeys, -1) });
    await expectEverywhere([changed], "ERR_KMS_REFUSED");
  });
});

function withSuite(message: Uint8Array, suite: number): Uint8Array {
  const changed = new Uint8Array(message);
  new DataView(changed.buffer).setUint16(1, suite);
  return changed;
}
