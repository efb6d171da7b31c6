/** Messages that are made, over a KMS in memory: what they are, whom they are for, and what becomes of them when something fails. */
import { describe, expect, it } from "vitest";
import { KmsDataKeys } from "../../../enclave/data-keys/kms-data-keys.js";
import type { MakeMessageOptions, MessagesOptions } from "../../../enclave/messages/messages.js";
import { Messages } from "../../../enclave/messages/messages.js";
import { concatBytes, utf8 } from "../../../shared/bytes.js";
import { ServiceError } from "../../../shared/errors.js";
import { TableKms } from "../data-keys/table-kms.js";
import { SUITE } from "../esdk.js";
import { KEY_ARN, OTHER_KEY_ARN, settle, testKeys } from "../fakes.js";
import { piecesOf } from "./layout.js";

const SECRET = utf8("attack at dawn");
const KIB = 1024;

const permitted = (): void => undefined;
const denied = (): never => {
  throw new ServiceError("ERR_NOT_AUTHORIZED", "no policy permits it");
};

function setUp(changes: Partial<MessagesOptions> = {}) {
  const table = new TableKms();
  const keys = testKeys();
  const settings = { maxEncryptedDataKeys: 2, requiredPairs: [], tenantPair: "tenant", ...changes };
  const messages = new Messages({ dataKeys: new KmsDataKeys(keys), kms: () => table.kms, ...settings });
  const options = (given: Partial<MakeMessageOptions> = {}): MakeMessageOptions => ({
    keys: [keys.resolve(KEY_ARN)],
    encryptionContext: { tenant: "a" },
    signed: false,
    principalClass: "somebody",
    authorize: permitted,
    ...given,
  });
  const open = (message: Uint8Array) =>
    messages.open(message, { principalClass: "somebody", authorize: permitted, expectedContext: {} });
  const both = keys.arns.map((arn) => keys.resolve(arn));
  return { table, messages, options, open, both };
}

async function* parts(...given: Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* given;
}

async function taken(stream: AsyncIterable<Uint8Array>): Promise<{ received: Uint8Array; failure: unknown }> {
  const received: Uint8Array[] = [];
  try {
    for await (const part of stream) received.push(new Uint8Array(part));
    return { received: concatBytes(...received), failure: undefined };
  } catch (failure) {
    return { received: concatBytes(...received), failure };
  }
}

const suiteOf = (message: Uint8Array): number => new DataView(message.buffer, message.byteOffset).getUint16(1);

describe("a new message", () => {
  it.each([
    ["signed", true, SUITE.committedSigned],
    ["not signed", false, SUITE.committed],
  ])("that is %s has key commitment, and opens to what was in it", async (_, signed, suite) => {
    const { messages, options, open } = setUp();
    const { message, encryptionContext } = await messages.make(SECRET, options({ signed }));
    expect(suiteOf(message)).toBe(suite);
    expect(encryptionContext).toMatchObject({ tenant: "a" });
    expect(Object.keys(encryptionContext)).toHaveLength(signed ? 2 : 1);
    expect(await open(message)).toEqual({ plaintext: SECRET, encryptionContext });
  });

  it("of nothing is one", async () => {
    const { messages, options, open } = setUp();
    const { message } = await messages.make(new Uint8Array(), options());
    expect((await open(message)).plaintext).toEqual(new Uint8Array());
  });

  it("is for every key that it was made for, each of which the caller may use", async () => {
    const { messages, options, open, both, table } = setUp();
    const asked: string[] = [];
    const authorize: MakeMessageOptions["authorize"] = ({ arn }) => void asked.push(arn);
    const { message } = await messages.make(SECRET, options({ keys: both, authorize }));
    expect(asked).toEqual([KEY_ARN, OTHER_KEY_ARN]);
    expect(table.calls).toEqual([`GenerateDataKey ${KEY_ARN}`, `Encrypt ${OTHER_KEY_ARN}`]);
    expect((await open(message)).plaintext).toEqual(SECRET);
  });

  it("may have as many pairs as policies are asked about, and its signature's own besides", async () => {
    const { messages, options, open } = setUp();
    const pairs = (count: number) =>
      Object.fromEntries(Array.from({ length: count }, (_, index) => [`name${index}`, ""]));
    const { message } = await messages.make(SECRET, options({ encryptionContext: pairs(256), signed: true }));
    expect(Object.keys((await open(message)).encryptionContext)).toHaveLength(257);
    await expect(messages.make(SECRET, options({ encryptionContext: pairs(257) }))).rejects.toThrowCode(
      "ERR_MESSAGE_MALFORMED",
    );
  });

  it("may have a context as large as the format has room for, and its signature's own pair besides", async () => {
    const { messages, options, open } = setUp();
    const contextOf = (bytes: number) => ({ a: "x".repeat(32_000), b: "x".repeat(bytes - 32_000 - 2 - 4 * 2 - 2) });
    const { message } = await messages.make(
      SECRET,
      options({ encryptionContext: contextOf(65_535 - 256), signed: true }),
    );
    expect((await open(message)).plaintext).toEqual(SECRET);
    const tooLarge = options({ encryptionContext: contextOf(65_535 - 255) });
    await expect(messages.make(SECRET, tooLarge)).rejects.toThrowCode("ERR_MESSAGE_MALFORMED");
  });

  it.each<[string, Partial<MessagesOptions>, (all: ReturnType<typeof setUp>) => Partial<MakeMessageOptions>, string]>([
    [
      "a name that the SDK keeps for itself",
      {},
      () => ({ encryptionContext: { "aws-crypto-x": "" } }),
      "ERR_MESSAGE_MALFORMED",
    ],
    [
      "the signature's own pair",
      {},
      () => ({ encryptionContext: { "aws-crypto-public-key": "" } }),
      "ERR_MESSAGE_MALFORMED",
    ],
    ["a pair that is required and not there", { requiredPairs: ["owner"] }, () => ({}), "ERR_ENCRYPTION_CONTEXT"],
    ["more keys than a message may have", { maxEncryptedDataKeys: 1 }, ({ both }) => ({ keys: both }), "ERR_KMS_KEY"],
    ["a caller who may not", {}, () => ({ authorize: denied }), "ERR_NOT_AUTHORIZED"],
    [
      "a caller who may use one of two keys",
      {},
      ({ both }) => ({ keys: both, authorize: ({ arn }) => (arn === OTHER_KEY_ARN ? denied() : undefined) }),
      "ERR_NOT_AUTHORIZED",
    ],
  ] as const)("is refused for %s before KMS is asked, whole and as a stream", async (_, changes, given, code) => {
    const all = setUp(changes);
    const options = all.options(given(all));
    await expect(all.messages.make(SECRET, options)).rejects.toThrowCode(code as "ERR_KMS_KEY");
    await expect(all.messages.makeStream(parts(SECRET), options)).rejects.toThrowCode(code as "ERR_KMS_KEY");
    expect(all.table.calls).toEqual([]);
  });

  it.each(["GenerateDataKey", "Encrypt"])("fails with the code of %s", async (operation) => {
    const { messages, options, both, table } = setUp();
    table.before = async () => {
      if (table.calls.at(-1)?.startsWith(operation)) throw new ServiceError("ERR_KMS_DENIED", "no");
    };
    await expect(messages.make(SECRET, options({ keys: both }))).rejects.toThrowCode("ERR_KMS_DENIED");
    await expect(messages.makeStream(parts(SECRET), options({ keys: both }))).rejects.toThrowCode("ERR_KMS_DENIED");
  });
});

describe("a new message as a stream", () => {
  it.each([0, 1, 64 * KIB - 1, 64 * KIB, 64 * KIB + 1, 300 * KIB])("of %i bytes opens to them", async (length) => {
    const { messages, options, open } = setUp();
    const plaintext = new Uint8Array(length).map((_, index) => index);
    const { message, encryptionContext } = await messages.makeStream(parts(plaintext), options({ signed: true }));
    const { received, failure } = await taken(message);
    expect(failure).toBeUndefined();
    expect(await open(received)).toEqual({ plaintext, encryptionContext });
  });

  it("of no parts at all is a message of nothing", async () => {
    const { messages, options, open } = setUp();
    const { received } = await taken((await messages.makeStream(parts(), options())).message);
    expect((await open(received)).plaintext).toEqual(new Uint8Array());
  });

  it("has frames of 64 KiB", async () => {
    const { messages, options } = setUp();
    const { message } = await messages.makeStream(parts(new Uint8Array(200 * KIB)), options());
    expect(piecesOf((await taken(message)).received).frames).toHaveLength(4);
  });

  it("pitfall 15: is read no faster than it is taken", async () => {
    const { messages, options } = setUp();
    let read = 0;
    const plaintext = (async function* () {
      for (; read < 1_000; read++) yield new Uint8Array(64 * KIB);
    })();
    const { message } = await messages.makeStream(plaintext, options());
    for (let turn = 0; turn < 50; turn++) await settle();
    expect(read).toBeLessThan(20);
    await taken(message);
    expect(read).toBe(1_000);
  });

  it("whose plaintext fails is an error, with the plaintext's own reason", async () => {
    for (const before of [[], [new Uint8Array(10)], [new Uint8Array(300 * KIB)]]) {
      const { messages, options } = setUp();
      const reason = new ServiceError("ERR_DECRYPTION_FAILED", "no");
      const failing = (async function* () {
        yield* before;
        throw reason;
      })();
      const making = await messages.makeStream(failing, options({ signed: true })).catch((failure: unknown) => failure);
      const outcome =
        making === reason ? reason : (await taken((making as { message: AsyncIterable<Uint8Array> }).message)).failure;
      expect(outcome).toBe(reason);
      await settle(); // and nothing is thrown to nobody: vitest would tell
    }
  });

  it("that nobody takes any more ends, and so does its plaintext; nothing is thrown to nobody", async () => {
    const { messages, options } = setUp();
    let ended = false;
    const plaintext = (async function* () {
      try {
        for (;;) yield new Uint8Array(64 * KIB);
      } finally {
        ended = true;
      }
    })();
    const { message } = await messages.makeStream(plaintext, options({ signed: true }));
    for await (const _ of message) break;
    for (let turn = 0; turn < 50; turn++) await settle();
    expect(ended).toBe(true);
  });

  it("is given up with its signal, before its header and after it", async () => {
    const { messages, options, table } = setUp();
    const early = new AbortController();
    table.before = () => {
      early.abort();
      return new Promise(() => undefined);
    };
    await expect(messages.makeStream(parts(SECRET), options({ signal: early.signal }))).rejects.toThrowCode(
      "ERR_TIMEOUT",
    );
    table.before = async () => undefined;
    const late = new AbortController();
    const endless = (async function* () {
      for (;;) yield new Uint8Array(64 * KIB);
    })();
    const { message } = await messages.makeStream(endless, options({ signal: late.signal }));
    const outcome = taken(message);
    await settle();
    late.abort();
    expect((await outcome).failure).toMatchObject({ code: "ERR_TIMEOUT" });
    await settle();
  });

  it("whose keys KMS refuses lets go of its plaintext", async () => {
    const { messages, options, table } = setUp();
    table.before = async () => {
      throw new ServiceError("ERR_KMS_DENIED", "no");
    };
    let ended = false;
    const plaintext = (async function* () {
      try {
        for (;;) yield new Uint8Array(64 * KIB);
      } finally {
        ended = true;
      }
    })();
    await expect(messages.makeStream(plaintext, options())).rejects.toThrowCode("ERR_KMS_DENIED");
    for (let turn = 0; turn < 50; turn++) await settle();
    expect(ended).toBe(true);
  });
});
