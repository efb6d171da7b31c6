/** Request bodies within bounds: a body of one request, and all that are under way together. */
import type { IncomingMessage } from "node:http";
import { PassThrough } from "node:stream";
import { describe, expect, it } from "vitest";
import { BodyReader } from "../../../simulator/endpoint/request-body.js";

const KIB = 1024;
/** The part of a request that the reader touches. */
const incoming = (): PassThrough & IncomingMessage => new PassThrough({ highWaterMark: KIB * KIB }) as never;

describe("a request body", () => {
  it("is read whole", async () => {
    const request = incoming();
    const read = new BodyReader().read(request);
    request.write("one ");
    request.end("two");
    expect(Buffer.from((await read) as Uint8Array).toString()).toBe("one two");
  });

  it.each([
    [512 * KIB, "object"],
    [512 * KIB + 1, "too-large"],
  ])("of %i bytes is %s", async (length, outcome) => {
    const request = incoming();
    const read = new BodyReader().read(request);
    request.end(Buffer.alloc(length));
    const result = await read;
    expect(typeof result === "string" ? result : typeof result).toBe(outcome);
  });

  it("that its sender leaves is aborted", async () => {
    const request = incoming();
    const read = new BodyReader().read(request);
    request.write("half");
    request.destroy();
    expect(await read).toBe("aborted");
  });

  it("is refused when the others hold all the room, and has room again when they are gone", async () => {
    const reader = new BodyReader();
    const others = Array.from({ length: 128 }, incoming);
    const reads = others.map((request) => reader.read(request));
    for (const request of others) request.write(Buffer.alloc(512 * KIB));
    await new Promise(setImmediate);
    const late = incoming();
    const refused = reader.read(late);
    late.end("x");
    expect(await refused).toBe("busy");
    for (const request of others) request.destroy();
    await Promise.all(reads);
    const next = incoming();
    const taken = reader.read(next);
    next.end("x");
    expect(await taken).toBeInstanceOf(Uint8Array);
  });
});
