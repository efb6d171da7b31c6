/** The messages' schemas: what is refused, and in whose words. */
import { describe, expect, it } from "vitest";
import { ServiceError } from "../../shared/errors.js";
import { decryptRequest, errorOfProblem, parseJson, parseWith, problemOf } from "../../shared/wire.js";

const CODE = "ERR_MESSAGE_MALFORMED";
const parse = (fields: string) => parseJson(decryptRequest, `{"ciphertext":"AAAA"${fields}}`, CODE);

function messageOf(fields: string): string {
  try {
    parse(fields);
  } catch (error) {
    if (error instanceof ServiceError && error.code === CODE) return error.message;
  }
  return "was not refused";
}

describe("messages", () => {
  it("takes a request with an encryption context", () => {
    expect(parse(',"encryptionContext":{"tenant":"a"}').encryptionContext).toEqual({ tenant: "a" });
  });

  it("refuses a context beside an asymmetric algorithm, whose ciphertexts have none", () => {
    const rsa = ',"encryptionAlgorithm":"RSAES_OAEP_SHA_256"';
    expect(() => parse(`${rsa},"encryptionContext":{"tenant":"a"}`)).toThrowCode(CODE);
    expect(parse(`${rsa},"encryptionContext":{}`).encryptionContext).toEqual({});
    const symmetric = ',"encryptionAlgorithm":"SYMMETRIC_DEFAULT","encryptionContext":{"tenant":"a"}';
    expect(parse(symmetric).encryptionContext).toEqual({ tenant: "a" });
  });

  it("pitfall 15: refuses more pairs of a context than there is reason for", () => {
    const contextOf = (pairs: number) => {
      const entries = Array.from({ length: pairs }, (_, index) => [`name${index}`, ""]);
      return `,"encryptionContext":${JSON.stringify(Object.fromEntries(entries))}`;
    };
    expect(Object.keys(parse(contextOf(256)).encryptionContext ?? {})).toHaveLength(256);
    expect(messageOf(contextOf(257))).toBe("encryptionContext: expected at most 256 pairs");
  });

  it("refuses a pair named __proto__, which would be dropped in silence", () => {
    expect(() => parse(',"encryptionContext":{"__proto__":"x"}')).toThrowCode(CODE);
    const encryptionContext = Object.defineProperty({}, "__proto__", { value: "x", enumerable: true });
    expect(() => parseWith(decryptRequest, { ciphertext: "AAAA", encryptionContext }, CODE)).toThrowCode(CODE);
  });

  it("pitfall 25: says which field, and no word of the sender's", () => {
    expect(messageOf(',"AKIA-a-secret":1')).toBe("the document: expected the known fields only, it has one more");
    expect(messageOf(',"encryptionContext":{"patient-4711":5}')).toMatch(/^encryptionContext: (?!.*4711)/);
    expect(messageOf(',"keyId":5')).toMatch(/^keyId: /);
  });

  it("names the unknown field of a configuration, which is its operator's own", () => {
    expect(() => parseJson(decryptRequest, '{"ciphertext":"AAAA","typo":1}', "ERR_CONFIGURATION")).toThrow(/typo/);
  });
});

describe("problem documents", () => {
  it("name the request, unless its id is a text for terminals and logs", () => {
    const id = "0c6bd1a2-6b1e-4d0a-9f52-0a1b2c3d4e5f";
    expect(errorOfProblem(problemOf("ERR_BUSY", id)).message).toBe(`too many requests at once (request ${id})`);
    for (const other of ["\u001b[2J", "a\nb", "x".repeat(65), ""]) {
      expect(errorOfProblem(problemOf("ERR_BUSY", other)).message).toBe("too many requests at once");
    }
  });
});
