/** Where messages end: the SDK's own, however they are cut, and what follows them. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { MessageEnd, toItsEnd } from "../../../enclave/messages/message-end.js";
import { concatBytes, utf8 } from "../../../shared/bytes.js";
import { EsdkTable, SUITE } from "../esdk.js";
import { KEY_ARN, OTHER_KEY_ARN } from "../fakes.js";
import { piecesOf } from "./layout.js";

const table = new EsdkTable();
const context = { tenant: "a", purpose: "x".repeat(300) };
const keyIds = [KEY_ARN, OTHER_KEY_ARN];
const MESSAGES = {
  unsigned: await table.message(utf8("x".repeat(150)), { context, keyIds }),
  signed: await table.message(utf8("x".repeat(150)), { context, keyIds, suite: SUITE.committedSigned }),
  "of nothing": await table.message(new Uint8Array()),
  "of whole frames": await table.message(new Uint8Array(128)),
  unframed: unframed(await table.message(utf8("x".repeat(50)))),
};

/** The same as one body of the other content type; its tags are none, which is not looked at here. */
function unframed(message: Uint8Array): Uint8Array {
  const { head, dataKeys, rest } = piecesOf(message);
  const changed = new Uint8Array(rest);
  changed.set([1, 0, 0, 0, 0]);
  const length = new Uint8Array(8);
  length[7] = 50;
  return concatBytes(head, dataKeys, changed, new Uint8Array(12), length, new Uint8Array(50 + 16));
}

const names = Object.keys(MESSAGES) as (keyof typeof MESSAGES)[];

describe("the end of a message", () => {
  it.each(names)("that is %s is where it is, however it is cut", (name) => {
    const message = MESSAGES[name];
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 80 }), { minLength: 1, maxLength: 20 }), (sizes) => {
        const end = new MessageEnd();
        let at = 0;
        for (let part = 0; at < message.length; part++) {
          const size = sizes[part % sizes.length] ?? 1;
          end.take(message.subarray(at, at + size));
          at += size;
        }
        end.take(new Uint8Array());
        expect(() => end.take(Uint8Array.of(0))).toThrowCode("ERR_MESSAGE_MALFORMED");
      }),
      { numRuns: 50 },
    );
  });

  it.each(names)("that is %s is not passed in one piece either", (name) => {
    const message = MESSAGES[name];
    expect(() => new MessageEnd().take(message)).not.toThrow();
    expect(() => new MessageEnd().take(concatBytes(message, Uint8Array.of(0)))).toThrowCode("ERR_MESSAGE_MALFORMED");
  });

  it("pitfall 20: is nowhere in bytes that are no message, and looking for it refuses or accepts, and does no more", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => {
        for (const given of [bytes, Uint8Array.of(2, 0x04, 0x78, ...bytes)]) {
          const outcome = (() => {
            try {
              return new MessageEnd().take(given);
            } catch (error) {
              return (error as { code?: unknown }).code;
            }
          })();
          expect([undefined, "ERR_MESSAGE_MALFORMED"]).toContain(outcome);
        }
      }),
    );
  });

  it("pitfall 15: of a stream is the last of it that is asked for", async () => {
    let sent = 0;
    const endless = (async function* () {
      yield MESSAGES.unsigned;
      for (; sent < 1_000; sent++) yield new Uint8Array(1_024);
    })();
    const received: Uint8Array[] = [];
    const reading = (async () => {
      for await (const part of toItsEnd(endless, 1024)) received.push(part);
    })();
    await expect(reading).rejects.toThrowCode("ERR_MESSAGE_MALFORMED");
    expect([received, sent]).toEqual([[MESSAGES.unsigned], 0]);
  });

  it.each<[string, number]>([
    ["unsigned", 63],
    ["unframed", 49],
  ])("pitfall 15: is not waited for where a part of it is longer than allowed: %s", (name, max) => {
    const message = MESSAGES[name as keyof typeof MESSAGES];
    expect(() => new MessageEnd(max + 1).take(message)).not.toThrow();
    expect(() => new MessageEnd(max).take(message)).toThrowCode("ERR_MESSAGE_TOO_LARGE");
  });
});
