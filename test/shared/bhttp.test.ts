/** Binary HTTP: the RFC's own examples, both framings, and each refusal by one change. */
import { describe, expect, it } from "vitest";
import type { BinaryRequest, BinaryResponse } from "../../shared/bhttp.js";
import {
  encodeBinaryRequest,
  encodeBinaryResponse,
  parseBinaryRequest,
  parseBinaryResponse,
} from "../../shared/bhttp.js";
import { encodeVarint } from "../../shared/byte-writer.js";
import { concatBytes, toHex, utf8 } from "../../shared/bytes.js";
import { hex } from "../support/hex.js";

const LIMITS = { maxContentBytes: 1024 };
const NONE = new Uint8Array(0);

/** RFC 9292 §5.1: the request in both framings. */
const RFC_FIELDS = [
  ["user-agent", "curl/7.16.3 libcurl/7.16.3 OpenSSL/0.9.7l zlib/1.2.3"],
  ["host", "www.example.com"],
  ["accept-language", "en, mi"],
] as const;
const RFC_REQUEST: BinaryRequest = {
  method: "GET",
  scheme: "https",
  authority: "",
  path: "/hello.txt",
  fields: RFC_FIELDS,
  content: NONE,
  trailers: [],
};
const RFC_KNOWN_LENGTH_REQUEST = hex(`
  00034745 54056874 74707300 0a2f6865 6c6c6f2e 74787440 6c0a7573 65722d61
  67656e74 34637572 6c2f372e 31362e33 206c6962 6375726c 2f372e31 362e3320
  4f70656e 53534c2f 302e392e 376c207a 6c69622f 312e322e 3304686f 73740f77
  77772e65 78616d70 6c652e63 6f6d0f61 63636570 742d6c61 6e677561 67650665
  6e2c206d 690000`);
const RFC_INDETERMINATE_REQUEST = hex(`
  02034745 54056874 74707300 0a2f6865 6c6c6f2e 7478740a 75736572 2d616765
  6e743463 75726c2f 372e3136 2e33206c 69626375 726c2f37 2e31362e 33204f70
  656e5353 4c2f302e 392e376c 207a6c69 622f312e 322e3304 686f7374 0f777777
  2e657861 6d706c65 2e636f6d 0f616363 6570742d 6c616e67 75616765 06656e2c
  206d6900 00000000 00000000 00000000`);

/** RFC 9292 §5.2: a response after two informational ones. */
const RFC_INDETERMINATE_RESPONSE = hex(`
  03406607 72756e6e 696e670a 22736c65 65702031 35220040 67046c69 6e6b233c
  2f737479 6c652e63 73733e3b 2072656c 3d707265 6c6f6164 3b206173 3d737479
  6c65046c 696e6b24 3c2f7363 72697074 2e6a733e 3b207265 6c3d7072 656c6f61
  643b2061 733d7363 72697074 0040c804 64617465 1d4d6f6e 2c203237 204a756c
  20323030 39203132 3a32383a 35332047 4d540673 65727665 72064170 61636865
  0d6c6173 742d6d6f 64696669 65641d57 65642c20 3232204a 756c2032 30303920
  31393a31 353a3536 20474d54 04657461 67142233 34616133 38372d64 2d313536
  38656230 30220d61 63636570 742d7261 6e676573 05627974 65730e63 6f6e7465
  6e742d6c 656e6774 68023531 04766172 790f4163 63657074 2d456e63 6f64696e
  670c636f 6e74656e 742d7479 70650a74 6578742f 706c6169 6e003348 656c6c6f
  20576f72 6c642120 4d792063 6f6e7465 6e742069 6e636c75 64657320 61207472
  61696c69 6e672043 524c462e 0d0a0000`);
const RFC_KNOWN_LENGTH_RESPONSE = hex(`
  0140c800 1d546869 7320636f 6e74656e 7420636f 6e746169 6e732043 524c462e
  0d0a0d07 74726169 6c657204 74657874`);

describe("RFC 9292 §5", () => {
  it("the known-length request is read, and written byte for byte", () => {
    expect(parseBinaryRequest(RFC_KNOWN_LENGTH_REQUEST, LIMITS)).toEqual(RFC_REQUEST);
    expect(toHex(encodeBinaryRequest(RFC_REQUEST))).toBe(toHex(RFC_KNOWN_LENGTH_REQUEST));
  });

  it("the indeterminate-length request is the same request", () => {
    expect(parseBinaryRequest(RFC_INDETERMINATE_REQUEST, LIMITS)).toEqual(RFC_REQUEST);
  });

  it("both may lose their empty sections and their padding, and not one byte more", () => {
    for (const [bytes, spare] of [
      [RFC_KNOWN_LENGTH_REQUEST, 2],
      [RFC_INDETERMINATE_REQUEST, 12],
    ] as const) {
      for (let cut = 0; cut <= spare; cut++) {
        expect(parseBinaryRequest(bytes.subarray(0, bytes.length - cut), LIMITS)).toEqual(RFC_REQUEST);
      }
      const shorter = bytes.subarray(0, bytes.length - spare - 1);
      expect(() => parseBinaryRequest(shorter, LIMITS)).toThrowCode("ERR_BHTTP_MALFORMED");
    }
  });

  it("the response is read without its informational responses", () => {
    const response = parseBinaryResponse(RFC_INDETERMINATE_RESPONSE, LIMITS);
    expect(response.status).toBe(200);
    expect(response.fields).toHaveLength(8);
    expect(response.fields[0]).toEqual(["date", "Mon, 27 Jul 2009 12:28:53 GMT"]);
    expect(response.content).toEqual(utf8("Hello World! My content includes a trailing CRLF.\r\n"));
    expect(response.trailers).toEqual([]);
  });

  it("the known-length response is read, and written byte for byte", () => {
    const response: BinaryResponse = {
      status: 200,
      fields: [],
      content: utf8("This content contains CRLF.\r\n"),
      trailers: [["trailer", "text"]],
    };
    expect(parseBinaryResponse(RFC_KNOWN_LENGTH_RESPONSE, LIMITS)).toEqual(response);
    expect(toHex(encodeBinaryResponse(response))).toBe(toHex(RFC_KNOWN_LENGTH_RESPONSE));
  });

  it("the messages of RFC 9458 appendix A, which end after their control data, are read", () => {
    const request = parseBinaryRequest(hex("00034745540568747470730b6578616d706c652e636f6d012f"), LIMITS);
    expect(request).toEqual({ ...RFC_REQUEST, authority: "example.com", path: "/", fields: [] });
    expect(parseBinaryResponse(hex("0140c8"), LIMITS)).toEqual({
      status: 200,
      fields: [],
      content: NONE,
      trailers: [],
    });
  });
});

/** A message part by part, to change one of them. */
const bytesOf = (text: string) => Uint8Array.from(text, (character) => character.charCodeAt(0));
const prefixed = (bytes: Uint8Array) => concatBytes(encodeVarint(bytes.length), bytes);
const text = (value: string) => prefixed(bytesOf(value));
const line = (name: string, value: string) => concatBytes(text(name), text(value));

const PARTS = {
  framing: hex("00"),
  method: text("POST"),
  scheme: text("https"),
  authority: text("example.com:8443"),
  path: text("/v1/decrypt?dry-run=%7E1"),
  fields: prefixed(line("content-type", "application/json")),
  content: text("{}"),
  trailers: prefixed(line("digest", "x")),
  padding: NONE,
};
const request = (changes: Partial<typeof PARTS> = {}): Uint8Array =>
  concatBytes(...Object.values({ ...PARTS, ...changes }));
const parse = (changes: Partial<typeof PARTS> = {}) => parseBinaryRequest(request(changes), LIMITS);
const INDETERMINATE = {
  framing: hex("02"),
  fields: concatBytes(line("content-type", "application/json"), hex("00")),
  content: concatBytes(text("{"), text("}"), hex("00")),
  trailers: concatBytes(line("digest", "x"), hex("00")),
};
const BASELINE: BinaryRequest = {
  method: "POST",
  scheme: "https",
  authority: "example.com:8443",
  path: "/v1/decrypt?dry-run=%7E1",
  fields: [["content-type", "application/json"]],
  content: utf8("{}"),
  trailers: [["digest", "x"]],
};

describe("parseBinaryRequest", () => {
  it("reads the baseline in either framing, with integers of any length and with padding", () => {
    expect(parse()).toEqual(BASELINE);
    expect(parse(INDETERMINATE)).toEqual(BASELINE);
    expect(parse({ framing: hex("c000000000000000"), method: concatBytes(hex("80000004"), bytesOf("POST")) })).toEqual(
      BASELINE,
    );
    expect(parse({ padding: new Uint8Array(500) })).toEqual(BASELINE);
  });

  it("hands out content that is its own", () => {
    const bytes = request();
    const { content } = parseBinaryRequest(bytes, LIMITS);
    bytes.fill(0);
    expect(content).toEqual(utf8("{}"));
    expect(content.buffer.byteLength).toBe(2);
  });

  it("keeps repeated fields apart and in their order", () => {
    const fields = prefixed(concatBytes(line("cookie", "a=1"), line("x", ""), line("cookie", "b=2")));
    expect(parse({ fields }).fields).toEqual([
      ["cookie", "a=1"],
      ["x", ""],
      ["cookie", "b=2"],
    ]);
  });

  it.each([
    ["of a known-length response", "01"],
    ["of an indeterminate-length response", "03"],
    ["that is not assigned", "04"],
    ["of 2^62-1", "ffffffffffffffff"],
  ])("refuses a framing indicator %s", (_, framing) => {
    expect(() => parse({ framing: hex(framing) })).toThrowCode("ERR_BHTTP_MALFORMED");
  });

  it.each<[keyof typeof PARTS, string]>([
    ["method", ""],
    ["method", "PO ST"],
    ["method", "GET\r"],
    ["method", "M".repeat(33)],
    ["scheme", ""],
    ["scheme", "HTTPS"],
    ["scheme", "1http"],
    ["scheme", "s".repeat(33)],
    ["authority", "user@example.com"],
    ["authority", "example.com/"],
    ["authority", "exa mple.com"],
    ["authority", "%4"],
    ["authority", "a".repeat(321)],
    ["path", ""],
    ["path", "*"],
    ["path", "v1/decrypt"],
    ["path", "/a b"],
    ["path", "/a#b"],
    ["path", "/%4"],
    ["path", "/%zz"],
    ["path", "/\u00e9"],
    ["path", "/a\n"],
    ["path", `/${"a".repeat(4096)}`],
    ["path", `/${"a".repeat(500_000)}`],
  ])("refuses a %s of %j", (part, value) => {
    expect(() => parse({ [part]: text(value) })).toThrowCode("ERR_BHTTP_MALFORMED");
  });

  it("takes control data at their bounds", () => {
    const method = "!#$%&'*+-.^_`|~09AZaz".padEnd(32, "x");
    const authority = "[::1]:443".padEnd(320, "0");
    const path = `/${"a".repeat(4095)}`;
    expect(parse({ method: text(method), authority: text(authority), path: text(path) })).toMatchObject({
      method,
      authority,
      path,
    });
  });

  it.each([
    ["an empty name", "", "x"],
    ["an upper-case name", "Content-Type", "x"],
    ["a space in its name", "content type", "x"],
    ["a byte above ASCII in its name", "caf\u00e9", "x"],
    ["a pseudo-field's name", ":path", "/"],
    ["a pseudo-field's name that no RFC defines", ":protocol", "x"],
    ["a colon in its name", "a:b", "x"],
    ["a connection field's name, connection", "connection", "close"],
    ["a connection field's name, keep-alive", "keep-alive", "timeout=5"],
    ["a connection field's name, proxy-connection", "proxy-connection", "close"],
    ["a connection field's name, te", "te", "trailers"],
    ["a connection field's name, transfer-encoding", "transfer-encoding", "chunked"],
    ["a connection field's name, upgrade", "upgrade", "h2c"],
    ["CR in its value", "x", "a\rb"],
    ["LF in its value", "x", "a\nb"],
    ["LF at the end of its value", "x", "a\n"],
    ["NUL in its value", "x", "a\0b"],
    ["another control character in its value", "x", "a\x1bb"],
    ["DEL in its value", "x", "a\x7fb"],
    ["a space before its value", "x", " a"],
    ["a space after its value", "x", "a "],
    ["a tab after its value", "x", "a\t"],
    ["a space for its value", "x", " "],
  ])("refuses a field with %s, in header and trailer, in either framing", (_, name, value) => {
    const known = prefixed(line(name, value));
    const indeterminate = concatBytes(line(name, value), hex("00"));
    for (const changes of [
      { fields: known },
      { trailers: known },
      { ...INDETERMINATE, fields: indeterminate },
      { ...INDETERMINATE, trailers: indeterminate },
    ]) {
      expect(() => parse(changes)).toThrowCode("ERR_BHTTP_MALFORMED");
    }
  });

  it("takes every character that a name and a value may have", () => {
    const name = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz";
    const value = `\u00e9~! \t"\u0080\u00ff`;
    expect(parse({ fields: prefixed(line(name, value)) }).fields).toEqual([[name, value]]);
  });

  it("bounds the number of fields, of both sections together", () => {
    const lines = (count: number) => prefixed(concatBytes(...Array.from({ length: count }, () => line("a", "b"))));
    expect(parse({ fields: lines(60), trailers: lines(4) }).fields).toHaveLength(60);
    expect(() => parse({ fields: lines(60), trailers: lines(5) })).toThrowCode("ERR_BHTTP_MALFORMED");
    expect(() => parse({ fields: lines(65), trailers: lines(0) })).toThrowCode("ERR_BHTTP_MALFORMED");
  });

  it("bounds the bytes of fields, of both sections together", () => {
    const fields = prefixed(line("a", "b".repeat(16_000)));
    const trailers = (bytes: number) => prefixed(line("a", "b".repeat(bytes)));
    expect(parse({ fields, trailers: trailers(382) }).trailers).toHaveLength(1);
    expect(() => parse({ fields, trailers: trailers(383) })).toThrowCode("ERR_BHTTP_MALFORMED");
    expect(() => parse({ fields: trailers(200_000), trailers: hex("00") })).toThrowCode("ERR_BHTTP_MALFORMED");
  });

  it.each([
    ["a section that is longer than the message", { fields: hex("7fff"), content: NONE, trailers: NONE }],
    ["a section of 2^62-1 bytes", { fields: hex("ffffffffffffffff") }],
    ["a section that ends inside a field's name", { fields: prefixed(hex("0561")) }],
    ["a section that ends before a field's value", { fields: prefixed(text("a")) }],
    ["a name of 2^62-1 bytes", { fields: prefixed(concatBytes(hex("ffffffffffffffff"), bytesOf("a"))) }],
    ["content that is cut", { content: hex("0561"), trailers: NONE }],
    ["padding that is not of zeros", { padding: hex("000001") }],
  ])("refuses %s", (_, changes) => {
    expect(() => parse(changes)).toThrowCode("ERR_BHTTP_MALFORMED");
  });

  it.each([
    ["a header without its end", { fields: line("a", "b"), content: NONE, trailers: NONE }],
    ["a chunk that is cut", { content: hex("0561"), trailers: NONE }],
    ["content without its end", { content: text("{}"), trailers: NONE }],
    ["a trailer without its end", { trailers: line("a", "b") }],
    ["padding that is not of zeros", { padding: hex("000001") }],
  ])("refuses, in the indeterminate-length framing, %s", (_, changes) => {
    expect(() => parse({ ...INDETERMINATE, ...changes })).toThrowCode("ERR_BHTTP_MALFORMED");
  });

  it("takes content of its limit and refuses one byte more, before it is there", () => {
    const fits = new Uint8Array(1024).fill(7);
    expect(parse({ content: prefixed(fits) }).content).toEqual(fits);
    const chunks = concatBytes(prefixed(fits.subarray(0, 1000)), prefixed(fits.subarray(0, 24)), hex("00"));
    expect(parse({ ...INDETERMINATE, content: chunks }).content).toEqual(fits);
    for (const changes of [
      { content: prefixed(new Uint8Array(1025)) },
      { content: encodeVarint(1025), trailers: NONE },
      { content: hex("ffffffffffffffff"), trailers: NONE },
      { ...INDETERMINATE, content: concatBytes(prefixed(fits), hex("01")), trailers: NONE },
      { ...INDETERMINATE, content: hex("ffffffffffffffff"), trailers: NONE },
    ]) {
      expect(() => parse(changes)).toThrowCode("ERR_MESSAGE_TOO_LARGE");
    }
  });

  it("makes no room for more content than the message can hold", () => {
    const limits = { maxContentBytes: Number.MAX_SAFE_INTEGER };
    expect(parseBinaryRequest(request(INDETERMINATE), limits)).toEqual(BASELINE);
    expect(() => parseBinaryRequest(request({ content: hex("c0ffffffffffffff") }), limits)).toThrowCode(
      "ERR_MESSAGE_TOO_LARGE",
    );
    expect(() => parseBinaryRequest(request({ content: hex("c000ffffffffffff") }), limits)).toThrowCode(
      "ERR_BHTTP_MALFORMED",
    );
  });

  it("pitfall 15: reads content of 4096 chunks, and not of more", () => {
    const inChunks = (count: number) => {
      const chunks = new Uint8Array(2 * count + 1).map((_, index) => (index === 2 * count ? 0 : 1));
      return request({ ...INDETERMINATE, content: chunks });
    };
    expect(parseBinaryRequest(inChunks(4_096), { maxContentBytes: 10_000 }).content).toHaveLength(4_096);
    expect(() => parseBinaryRequest(inChunks(4_097), { maxContentBytes: 10_000 })).toThrowCode("ERR_BHTTP_MALFORMED");
  });
});

describe("parseBinaryResponse", () => {
  const response = (status: string, before = NONE) =>
    parseBinaryResponse(concatBytes(hex("01"), before, hex(status), hex("000000")), LIMITS);
  const informational = concatBytes(hex("4066"), prefixed(line("a", "b")));

  it.each([
    ["200", "40c8", 200],
    ["599", "4257", 599],
  ])("takes the status %s", (_, encoded, status) => {
    expect(response(encoded).status).toBe(status);
  });

  it.each([
    ["0", "00"],
    ["99", "4063"],
    ["600", "4258"],
    ["2^62-1", "ffffffffffffffff"],
  ])("refuses the status %s, as the final one and as an informational one", (_, encoded) => {
    expect(() => response(encoded)).toThrowCode("ERR_BHTTP_MALFORMED");
    expect(() => response("40c8", concatBytes(hex(encoded), hex("00")))).toThrowCode("ERR_BHTTP_MALFORMED");
  });

  it("refuses the framing of a request", () => {
    expect(() => parseBinaryResponse(hex("0040c8000000"), LIMITS)).toThrowCode("ERR_BHTTP_MALFORMED");
  });

  it("skips informational responses in the known-length framing, 100 and 199 among them", () => {
    const before = concatBytes(informational, hex("406400"), hex("40c700"));
    expect(response("40c8", before)).toMatchObject({ status: 200, fields: [] });
  });

  it("refuses a message that ends after an informational response, or inside it", () => {
    for (const cut of ["4066", "406600"]) {
      expect(() => parseBinaryResponse(hex(`01${cut}`), LIMITS)).toThrowCode("ERR_BHTTP_MALFORMED");
    }
  });

  it("holds the fields of informational responses to the rules and to the one budget", () => {
    const bad = concatBytes(hex("4066"), prefixed(line("A", "b")));
    expect(() => response("40c8", bad)).toThrowCode("ERR_BHTTP_MALFORMED");
    const lines = prefixed(concatBytes(...Array.from({ length: 64 }, () => line("a", "b"))));
    expect(response("40c8", concatBytes(hex("4066"), lines)).status).toBe(200);
    expect(() => response("40c8", concatBytes(hex("4066"), lines, informational))).toThrowCode("ERR_BHTTP_MALFORMED");
  });

  it("skips 16 informational responses and refuses a 17th", () => {
    const many = (count: number) => concatBytes(...Array.from({ length: count }, () => hex("406600")));
    expect(response("40c8", many(16)).status).toBe(200);
    expect(() => response("40c8", many(17))).toThrowCode("ERR_BHTTP_MALFORMED");
  });
});

describe("encodeBinaryRequest and encodeBinaryResponse", () => {
  it("write what is read back as it was", () => {
    expect(parseBinaryRequest(encodeBinaryRequest(BASELINE), LIMITS)).toEqual(BASELINE);
    expect(toHex(encodeBinaryRequest(BASELINE))).toBe(toHex(request()));
  });

  it.each<[string, Partial<BinaryRequest>]>([
    ["a method that is no token", { method: "PO ST" }],
    ["a scheme in upper case", { scheme: "HTTPS" }],
    ["user information", { authority: "a@b" }],
    ["a relative path", { path: "v1" }],
    ["a path that is too long", { path: `/${"a".repeat(4096)}` }],
    ["an upper-case field", { fields: [["Host", "x"]] }],
    ["a connection field", { trailers: [["te", "trailers"]] }],
    ["a character above one byte", { fields: [["x", "\u0100"]] }],
    ["65 fields", { fields: Array.from({ length: 65 }, () => ["a", "b"] as const) }],
    ["65 fields in two sections", { fields: Array.from({ length: 64 }, () => ["a", "b"] as const) }],
    ["too many bytes of fields", { fields: [["a", "b".repeat(16 * 1024)]] }],
  ])("write no %s", (_, changes) => {
    expect(() => encodeBinaryRequest({ ...BASELINE, ...changes })).toThrow(TypeError);
  });

  it.each([199, 600, 200.5, Number.NaN])("write no status %d", (status) => {
    const response = { status, fields: [], content: NONE, trailers: [] };
    expect(() => encodeBinaryResponse({ ...response, status: 204 })).not.toThrow();
    expect(() => encodeBinaryResponse(response)).toThrow(TypeError);
  });
});
