/**
 * Sealed messages under fast-check: what is written is read back as it was, prefixes and flipped bits are refused, and on
 * 60,000 random and mutated inputs nothing is thrown but ServiceError. The seed is fixed; `SEED=n` takes another, `SLOW=1`
 * ten times as many inputs.
 */
import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import type { BinaryRequest, BinaryResponse } from "../../shared/bhttp.js";
import {
  encodeBinaryRequest,
  encodeBinaryResponse,
  parseBinaryRequest,
  parseBinaryResponse,
} from "../../shared/bhttp.js";
import type { BinaryField } from "../../shared/bhttp-rules.js";
import { encodeVarint } from "../../shared/byte-writer.js";
import { concatBytes, equalBytes, utf8 } from "../../shared/bytes.js";
import { ServiceError } from "../../shared/errors.js";
import type { KeyConfiguration, OhttpKeyPair } from "../../shared/ohttp/key-configuration.js";
import {
  encodeKeyConfigurations,
  generateKeyPair,
  parseKeyConfigurations,
} from "../../shared/ohttp/key-configuration.js";
import { openRequest, parseSealedHeader, sealRequest } from "../../shared/ohttp/request.js";
import { present } from "../support/attestation.js";
import { withFlippedBit } from "../support/hex.js";
import { mutated, randomBytes } from "../support/mutate.js";

const SEED = Number(process.env.SEED ?? 20261123);
const SCALE = process.env.SLOW === "1" ? 10 : 1;
const INPUTS_EACH = 15_000 * SCALE;
const LIMITS = { maxContentBytes: 2048 };
const KEMS = [0x20, 0x10] as const;

type Bytes = Uint8Array<ArrayBuffer>;

/** Whether `attempt` ended without a refusal; anything but a ServiceError goes on to fail the test. */
function accepts(attempt: () => unknown): boolean {
  try {
    attempt();
    return true;
  } catch (error) {
    if (error instanceof ServiceError) return false;
    throw error;
  }
}

const isRefused = (attempt: Promise<unknown>): Promise<boolean> =>
  attempt.then(
    () => false,
    (error: unknown) => {
      if (error instanceof ServiceError) return true;
      throw error;
    },
  );

const textOf = (alphabet: string, constraints: { minLength?: number; maxLength: number }): fc.Arbitrary<string> =>
  fc.array(fc.constantFrom(...alphabet), constraints).map((characters) => characters.join(""));

const TCHAR = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz";
const fieldName = textOf(TCHAR, { minLength: 1, maxLength: 20 }).filter(
  (name) => !["te", "connection", "upgrade"].includes(name),
);
/** Every byte that a value may have, with whitespace only inside. */
const fieldValue = fc
  .array(fc.oneof(fc.integer({ min: 0x20, max: 0x7e }), fc.integer({ min: 0x80, max: 0xff }), fc.constant(9)), {
    maxLength: 40,
  })
  .map((bytes) => String.fromCharCode(...bytes).replace(/^[\t ]+|[\t ]+$/g, ""));
const fields: fc.Arbitrary<readonly BinaryField[]> = fc.array(fc.tuple(fieldName, fieldValue), { maxLength: 8 });
const content: fc.Arbitrary<Bytes> = fc.uint8Array({ maxLength: 300 }).map((bytes) => new Uint8Array(bytes));
const sections = { fields, content, trailers: fields };

const path = fc
  .array(fc.oneof(textOf("/?abcZ09-._~!$&'()*+,;=:@", { maxLength: 5 }), fc.constant("%2F")), { maxLength: 10 })
  .map((parts) => `/${parts.join("")}`);
const request: fc.Arbitrary<BinaryRequest> = fc.record({
  method: textOf(`${TCHAR}ABCXYZ`, { minLength: 1, maxLength: 32 }),
  scheme: fc.constantFrom("https", "http", "coap+tcp"),
  authority: fc.constantFrom("", "example.com", "example.com:8443", "[::1]:1"),
  path,
  ...sections,
});
const response: fc.Arbitrary<BinaryResponse> = fc.record({ status: fc.integer({ min: 200, max: 599 }), ...sections });

const configuration: fc.Arbitrary<Omit<KeyConfiguration, "keyId">> = fc
  .tuple(
    fc.constantFrom(...KEMS),
    fc.array(fc.record({ kdfId: fc.nat(0xffff), aeadId: fc.nat(0xffff) }), { maxLength: 3 }),
  )
  .chain(([kemId, others]) => {
    const length = kemId === 0x20 ? 32 : 65;
    return fc.uint8Array({ minLength: length, maxLength: length }).map((key) => ({
      kemId,
      publicKey: new Uint8Array(key),
      symmetric: [{ kdfId: 1, aeadId: 2 }, ...others] as const,
    }));
  });
const configurations: fc.Arbitrary<readonly KeyConfiguration[]> = fc
  .array(configuration, { minLength: 1, maxLength: 4 })
  .map((list) => list.map((item, index) => ({ keyId: 255 - index, ...item })));

describe("what is written is read back as it was", () => {
  it("requests", () => {
    const property = fc.property(request, (message) => {
      expect(parseBinaryRequest(encodeBinaryRequest(message), LIMITS)).toEqual(message);
    });
    fc.assert(property, { seed: SEED, numRuns: 2_000 * SCALE });
  });

  it("responses", () => {
    const property = fc.property(response, (message) => {
      expect(parseBinaryResponse(encodeBinaryResponse(message), LIMITS)).toEqual(message);
    });
    fc.assert(property, { seed: SEED, numRuns: 2_000 * SCALE });
  });

  it("key configurations", () => {
    const property = fc.property(configurations, (list) => {
      expect(parseKeyConfigurations(encodeKeyConfigurations(list))).toEqual(list);
    });
    fc.assert(property, { seed: SEED, numRuns: 2_000 * SCALE });
  });

  it("requests and answers, sealed, for both KEMs", async () => {
    const pairs = await Promise.all(KEMS.map((kemId) => generateKeyPair(kemId, 1)));
    const property = fc.asyncProperty(fc.constantFrom(...pairs), content, content, async (pair, question, answer) => {
      const { sealed, openResponse } = await sealRequest(pair.configuration, question);
      const opened = await openRequest(pair, sealed);
      expect(opened.request).toEqual(question);
      expect(await openResponse(await opened.sealResponse(answer))).toEqual(answer);
    });
    await fc.assert(property, { seed: SEED, numRuns: 200 * SCALE });
  });
});

/** A message in the indeterminate-length framing, from its parts; `cuts` says into how many chunks the content goes. */
function encodeIndeterminate(
  control: Bytes,
  message: Pick<BinaryResponse, "fields" | "content" | "trailers">,
  chunk: number,
) {
  const prefixed = (text: string) => [encodeVarint(text.length), Uint8Array.from(text, (c) => c.charCodeAt(0))];
  const section = (lines: readonly BinaryField[]) => [
    ...lines.flatMap((line) => line.flatMap(prefixed)),
    Uint8Array.of(0),
  ];
  const chunks: Uint8Array[] = [];
  for (let start = 0; start < message.content.length; start += chunk) {
    const bytes = message.content.subarray(start, start + chunk);
    chunks.push(encodeVarint(bytes.length), bytes);
  }
  return concatBytes(control, ...section(message.fields), ...chunks, Uint8Array.of(0), ...section(message.trailers));
}

describe("Binary HTTP", () => {
  it("is the same response in the indeterminate-length framing, however its content is cut into chunks", () => {
    const property = fc.property(response, fc.integer({ min: 1, max: 300 }), fc.nat(20), (message, chunk, padding) => {
      const control = concatBytes(Uint8Array.of(3), encodeVarint(message.status));
      const bytes = concatBytes(encodeIndeterminate(control, message, chunk), new Uint8Array(padding));
      expect(parseBinaryResponse(bytes, LIMITS)).toEqual(message);
    });
    fc.assert(property, { seed: SEED, numRuns: 2_000 * SCALE });
  });

  /** RFC 9292 §3.8 allows a message to end where a section would begin, and there alone. */
  it("is refused as any strict prefix, but for the three that end before a section", () => {
    const property = fc.property(response, fc.boolean(), (message, known) => {
      const control = concatBytes(Uint8Array.of(known ? 1 : 3), encodeVarint(message.status));
      const encode = (parts: Partial<BinaryResponse>) => {
        const whole = { fields: [], content: new Uint8Array(0), trailers: [], ...parts };
        return known
          ? encodeBinaryResponse({ ...whole, status: message.status })
          : encodeIndeterminate(control, whole, 7);
      };
      const bytes = encode(message);
      const endsBefore = new Map<number, Partial<BinaryResponse>>([
        [control.length, {}],
        [encode({ fields: message.fields }).length - 2, { fields: message.fields }],
        [encode({ ...message, trailers: [] }).length - 1, { fields: message.fields, content: message.content }],
      ]);
      for (let length = 0; length < bytes.length; length++) {
        const prefix = bytes.subarray(0, length);
        const rest = endsBefore.get(length);
        if (rest === undefined) expect(accepts(() => parseBinaryResponse(prefix, LIMITS))).toBe(false);
        else expect(encode(parseBinaryResponse(prefix, LIMITS))).toEqual(encode(rest));
      }
    });
    fc.assert(property, { seed: SEED, numRuns: 50 * SCALE });
  });
});

describe("on random and mutated inputs nothing is thrown but ServiceError", () => {
  const samples = new Map<string, Bytes>();
  beforeAll(async () => {
    const parts = {
      fields: [
        ["a", "b"],
        ["content-type", "text/plain"],
      ],
      content: utf8("content"),
      trailers: [["t", "x"]],
    } as const;
    const control = { method: "POST", scheme: "https", authority: "example.com", path: "/v1/decrypt?a=b" };
    samples.set("request", encodeBinaryRequest({ ...control, ...parts }));
    samples.set("response", encodeBinaryResponse({ status: 200, ...parts }));
    samples.set("chunked", encodeIndeterminate(Uint8Array.of(3, 0x40, 0x67, 1, 0x61, 0, 0, 0x40, 0xc8), parts, 3));
    const pairs = await Promise.all(KEMS.map((kemId, index) => generateKeyPair(kemId, index)));
    samples.set("keys", encodeKeyConfigurations(pairs.map((pair) => pair.configuration)));
    for (const { configuration: own } of pairs) {
      samples.set(`sealed ${own.kemId}`, (await sealRequest(own, utf8("request"))).sealed);
    }
  });

  it.each<[string, (bytes: Bytes) => unknown, readonly string[]]>([
    ["parseBinaryRequest", (bytes) => parseBinaryRequest(bytes, LIMITS), ["request"]],
    ["parseBinaryResponse", (bytes) => parseBinaryResponse(bytes, LIMITS), ["response", "chunked"]],
    ["parseKeyConfigurations", parseKeyConfigurations, ["keys"]],
    ["parseSealedHeader", parseSealedHeader, ["sealed 32", "sealed 16"]],
  ])("%s", (_, parse, names) => {
    const own = names.map((name) => present(samples.get(name)));
    for (const bytes of own) expect(accepts(() => parse(bytes))).toBe(true);
    const outcomes = { accepted: 0, refused: 0 };
    const input = fc.oneof(
      { weight: 6, arbitrary: mutated(own) },
      { weight: 1, arbitrary: mutated([...samples.values()]) },
      { weight: 1, arbitrary: randomBytes },
    );
    const property = fc.property(input, (bytes) => {
      outcomes[accepts(() => parse(bytes)) ? "accepted" : "refused"] += 1;
    });
    fc.assert(property, { seed: SEED, numRuns: INPUTS_EACH });
    expect(outcomes.refused).toBeGreaterThan(INPUTS_EACH / 20);
    expect(outcomes.accepted + outcomes.refused).toBe(INPUTS_EACH);
  });
});

describe.each(KEMS)("sealed to KEM %d", (kemId) => {
  const REQUEST = utf8("a request");
  const RESPONSE = utf8("an answer");
  let pair: OhttpKeyPair;
  let sealed: Bytes;
  beforeAll(async () => {
    pair = await generateKeyPair(kemId, 1);
    sealed = (await sealRequest(pair.configuration, REQUEST)).sealed;
    expect((await openRequest(pair, sealed)).request).toEqual(REQUEST);
  });

  it("a request is refused with any one bit flipped, and as any strict prefix", async () => {
    for (let bit = 0; bit < 8 * sealed.length; bit++) {
      expect([bit, await isRefused(openRequest(pair, withFlippedBit(sealed, bit)))]).toEqual([bit, true]);
    }
    for (let length = 0; length < sealed.length; length++) {
      expect([length, await isRefused(openRequest(pair, sealed.subarray(0, length)))]).toEqual([length, true]);
    }
  });

  it("mutated requests are refused by openRequest with nothing but ServiceError", async () => {
    const property = fc.asyncProperty(
      fc.constant(null).chain(() => mutated([sealed])),
      async (bytes) => {
        if (equalBytes(bytes, sealed)) return;
        expect(await isRefused(openRequest(pair, bytes))).toBe(true);
      },
    );
    await fc.assert(property, { seed: SEED, numRuns: 2_000 * SCALE });
  });

  it("an answer is refused with any one bit flipped, and as any strict prefix", async () => {
    const exchange = async () => {
      const client = await sealRequest(pair.configuration, REQUEST);
      const enclave = await openRequest(pair, client.sealed);
      return { client, answer: await enclave.sealResponse(RESPONSE) };
    };
    const { client, answer } = await exchange();
    await expect(client.openResponse(answer)).resolves.toEqual(RESPONSE);
    for (let bit = 0; bit < 8 * answer.length; bit++) {
      const next = await exchange(); // an answer opens once, so each flip needs a request of its own
      expect([bit, await isRefused(next.client.openResponse(withFlippedBit(next.answer, bit)))]).toEqual([bit, true]);
    }
    for (let length = 0; length < answer.length; length++) {
      const next = await exchange();
      expect([length, await isRefused(next.client.openResponse(next.answer.subarray(0, length)))]).toEqual([
        length,
        true,
      ]);
    }
  });
});
