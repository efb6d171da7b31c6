/** The Query protocol: forms that nest, and what is refused; XML that carries every text. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { utf8 } from "../../../shared/bytes.js";
import { AwsError } from "../../../simulator/errors.js";
import { parseQuery } from "../../../simulator/sts/query.js";
import { encodeAnswer, encodeError } from "../../../simulator/sts/xml.js";

const parse = (text: string) => parseQuery(utf8(text));

describe("a form", () => {
  it("has an action, a version, and members that nest", () => {
    const form = [
      "Action=AssumeRole",
      "Version=2011-06-15",
      "RoleSessionName=a+b%40c",
      "Tags.member.2.Key=two",
      "Tags.member.2.Value=",
      "Tags.member.1.Key=one",
      "Tags.member.1.Value=1",
      "PolicyArns.member.1.arn=x",
      "TransitiveTagKeys=",
    ];
    expect(parse(form.join("&"))).toEqual({
      action: "AssumeRole",
      version: "2011-06-15",
      members: {
        RoleSessionName: "a b@c",
        Tags: [
          { Key: "one", Value: "1" },
          { Key: "two", Value: "" },
        ],
        PolicyArns: [{ arn: "x" }],
        TransitiveTagKeys: "",
      },
    });
  });

  it("orders a list by number and not by text", () => {
    const keys = Array.from({ length: 12 }, (_, i) => `Keys.member.${12 - i}=${12 - i}`);
    expect(parse(keys.join("&")).members.Keys).toEqual(Array.from({ length: 12 }, (_, i) => String(i + 1)));
  });

  it("that names the prototype has a member of that name, and changes none", () => {
    const { members } = parse("__proto__.polluted=yes&constructor=x");
    expect(Object.keys(members)).toEqual(["__proto__", "constructor"]);
    expect(Object.getPrototypeOf(members)).toBe(Object.prototype);
    expect(({} as Record<string, unknown>).polluted).toBeUndefined();
  });

  it.each([
    ["a member twice", "A=1&A=2"],
    ["a text that is a structure too", "A=1&A.B=2"],
    ["a structure that is a text too", "A.B=2&A=1"],
    ["a list's number 0", "A.member.0=1"],
    ["a list's name for a number", "A.member.x=1"],
    ["a list's number beyond 1000", "A.member.1001=1"],
    ["more than eight levels", "A.A.A.A.A.A.A.A.A=1"],
    ["more than 1000 parameters", Array.from({ length: 1001 }, (_, i) => `A${i}=1`).join("&")],
  ])("with %s is refused", (_, text) => {
    expect(() => parse(text)).toThrow(
      new AwsError("MalformedQueryString", "The query string contains a syntax error.", 404),
    );
  });

  it("that is not UTF-8 is refused", () => {
    expect(() => parseQuery(Uint8Array.of(0x41, 0x3d, 0xff))).toThrow(AwsError);
  });

  it("of any bytes is parsed or refused, and nothing else happens", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        try {
          parseQuery(bytes);
        } catch (error) {
          expect(error).toBeInstanceOf(AwsError);
        }
      }),
    );
  });

  it("reads back what was written: texts under distinct names", () => {
    const names = fc.stringMatching(/^[A-Z][a-z]{0,8}$/).filter((one) => one !== "Action" && one !== "Version");
    const texts = fc.string({ unit: "binary" });
    fc.assert(
      fc.property(fc.dictionary(names, fc.array(texts, { minLength: 1, maxLength: 5 }), { maxKeys: 5 }), (lists) => {
        const form = new URLSearchParams();
        for (const [name, items] of Object.entries(lists)) {
          for (const [i, item] of items.entries()) form.append(`${name}.member.${i + 1}`, item);
        }
        expect(parse(form.toString()).members).toEqual(lists);
      }),
    );
  });
});

describe("XML", () => {
  it("of an answer has STS's form; undefined elements are not there", () => {
    const answer = { Account: "1", Nested: { At: new Date("2026-11-23T10:00:00.250Z"), Size: 3 }, Gone: undefined };
    expect(
      encodeAnswer("GetCallerIdentity", answer, "id-1"),
    ).toBe(`<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
  <GetCallerIdentityResult>
    <Account>1</Account>
    <Nested>
      <At>2026-11-23T10:00:00Z</At>
      <Size>3</Size>
    </Nested>
  </GetCallerIdentityResult>
  <ResponseMetadata>
    <RequestId>id-1</RequestId>
  </ResponseMetadata>
</GetCallerIdentityResponse>
`);
  });

  it("of an error escapes what its message says, and says whose fault it is", () => {
    const error = encodeError(new AwsError("AccessDenied", '<a & "b">\0', 403), "id-1");
    expect(error).toContain("<Type>Sender</Type>\n    <Code>AccessDenied</Code>");
    expect(error).toContain("<Message>&lt;a &amp; &quot;b&quot;&gt;\ufffd</Message>");
    expect(encodeError(new AwsError("InternalFailure", "", 500), "id-1")).toContain("<Type>Receiver</Type>");
  });
});
