/** Encryption contexts: what is warned of, what is left alone, and that no warning repeats a value. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { CONTEXT_WARNINGS, lintEncryptionContext, withoutSignaturePair } from "../../shared/context-lint.js";

const CLEAN = { tenant: "acme", record: "42" };
const codesOf = (context: Record<string, string>, expected = {}): string[] =>
  lintEncryptionContext(context, expected).map(({ code }) => code);

it("has nothing to say of a clean context", () => {
  expect(lintEncryptionContext(CLEAN, { expectedPairs: ["tenant"], policyPairs: ["record"] })).toEqual([]);
});

describe("values that are left alone", () => {
  it.each([
    ["a UUID", "1234abcd-12ab-34cd-56ef-1234567890ab"],
    ["a UUID of digits alone", "41111111-1111-1111-1111-411111111111"],
    ["a ULID", "01ARZ3NDEKTSV4RRFFQ69G5FAV"],
    ["a digest", "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"],
    ["a key ARN", "arn:aws:kms:us-east-1:111122223333:key/mrk-1234abcd12ab34cd56ef1234567890ab"],
    ["a table's ARN", "arn:aws:dynamodb:us-east-1:111122223333:table/Customer-Records-Production-2026"],
    ["a time", "2026-11-24T10:00:00.000+01:00"],
    ["a time in milliseconds", "1795600800000"],
    ["a time in microseconds", "1795600800000000"],
    ["an account", "111122223333"],
    ["a 16-digit number that no card has", "4111111111111112"],
    ["a decimal fraction", "0.4111111111111111"],
    ["a version", "1.0.0+20261124"],
    ["a repository", "git@github.com:example/repository.git"],
    ["a service account", "writer@project.iam.gserviceaccount.com"],
    ["a run of short words", "Acme-EU1-Prod-2026-Q4-Batch-17-Region-A-Job-3"],
    ["a run of numbers", "v1-2-3_2026-11-24_10-30-00_eu-west-1_a1b2c3"],
    ["a path", "s3://records-eu-west-1/Tenant/Acme/2026/November/24/Invoice-000000000042.pdf"],
    ["a tenant", "Acme-Corporation-Production-EU-West-1-Customer-Data"],
    ["a class", "com.example.records.EncryptedCustomerRecordRepositoryImplementation"],
    ["an IBAN with wrong check digits", "GB83WEST12345698765432"],
  ])("%s", (_, value) => {
    expect(codesOf({ tenant: value })).toEqual([]);
  });

  it.each([
    ["secretArn", "arn:aws:secretsmanager:us-east-1:111122223333:secret:database-a1b2c3"],
    ["SecretVersionId", "1234abcd-12ab-34cd-56ef-1234567890ab"],
    ["secret", "arn:aws:secretsmanager:us-east-1:111122223333:secret:database-a1b2c3"],
    ["tokenization", "v2"],
    ["hasPassword", "true"],
    ["email_hash", "5e884898da28"],
    ["email", "5e884898da28047151d0e56f8dc62927"],
    ["ssn", "1234abcd-12ab-34cd-56ef-1234567890ab"],
    ["company", "pan-european"],
    ["pinned", "yes, it is"],
    ["publicKey", "K1"],
  ])("under the name %s", (name, value) => {
    expect(codesOf({ [name]: value })).toEqual([]);
  });
});

describe("what has no meaning of its own", () => {
  const pieces = [fc.uuid(), fc.ulid(), fc.date({ noInvalidDate: true }).map((date) => date.toISOString())];
  const hex = fc.uint8Array({ minLength: 1, maxLength: 64 }).map((bytes) => Buffer.from(bytes).toString("hex"));
  const words = fc.array(fc.constantFrom("Acme", "records", "EU", "prod", "7", "2026", "invoice"), { maxLength: 12 });
  const joined = fc.tuple(words, fc.constantFrom("-", "/", "_", "", ":")).map(([parts, by]) => parts.join(by));

  it("is left alone: UUIDs, ULIDs, times, short decimal and long hexadecimal numbers, words", () => {
    const value = fc.oneof(
      ...pieces,
      fc.integer().map(String),
      hex.filter((text) => /[a-f]/.test(text)),
      joined,
    );
    fc.assert(
      fc.property(value, (text) => {
        expect(codesOf({ id: text, tenant: "acme" })).toEqual([]);
      }),
      { numRuns: 2_000 },
    );
  });

  it("is told from 256 random bits in base64, of which 99 in 100 are found", () => {
    const texts = Array.from({ length: 2_000 }, () => Buffer.from(crypto.getRandomValues(new Uint8Array(32))));
    const found = texts.filter((bytes) => codesOf({ id: bytes.toString("base64url") }).includes("CONTEXT_RANDOM"));
    expect(found.length).toBeGreaterThan(1_980);
  });
});

describe("CONTEXT_SECRET", () => {
  it.each([
    ["a private key", "-----BEGIN EC PRIVATE KEY-----\nMHc"],
    ["a JWT", "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJl"],
    ["a JWT within", "session=eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJl"],
    ["a bearer", "Bearer abcdefgh1234"],
    ["an AWS access key", "AKIAIOSFODNN7EXAMPLE"],
    ["a GitHub token", `ghp_${"a1B2".repeat(9)}`],
    ["a Slack token", "xoxb-123456789012"],
    ["a URL with a password", "postgres://app:correct-horse@db.internal/records"],
    ["a password hash", "$2b$12$KIXQ8n0xkq"],
  ])("%s", (_, value) => {
    expect(codesOf({ tenant: value })).toEqual(["CONTEXT_SECRET"]);
  });

  it.each(["password", "dbPassword", "DB_PASSWORD", "access-token", "clientSecret", "apiKey", "api_key", "pin"])(
    "the name %s",
    (name) => {
      expect(codesOf({ [name]: "x1" })).toEqual(["CONTEXT_SECRET"]);
    },
  );
});

describe("CONTEXT_PERSONAL_DATA", () => {
  it.each([
    ["an e-mail address", "alice@example.com"],
    ["an e-mail address within", "user:alice.b+c@mail.example.co.uk, owner"],
    ["a Visa card", "4111111111111111"],
    ["a Visa card in groups", "card 4111 1111 1111 1111"],
    ["a Visa card with hyphens", "4111-1111-1111-1111"],
    ["a Mastercard", "5555555555554444"],
    ["a Mastercard of the second series", "2223003122003222"],
    ["an American Express card", "3782 822463 10005"],
    ["a Diners card", "30569309025904"],
    ["a UnionPay card", "6200000000000005"],
    ["a JCB card", "3530111333300000"],
    ["an IBAN", "GB82WEST12345698765432"],
    ["an IBAN in groups", "DE89 3704 0044 0532 0130 00"],
    ["a social security number", "123-45-6789"],
    ["a telephone number", "+49 30 1234567 8"],
    ["a telephone number in one piece", "+14155552671"],
    ["a North American telephone number", "(415) 555-2671"],
  ])("%s", (_, value) => {
    expect(codesOf({ tenant: value })).toEqual(["CONTEXT_PERSONAL_DATA"]);
  });

  it.each(["ssn", "userEmail", "date_of_birth", "firstName", "cardNumber", "passport-number"])(
    "the name %s",
    (name) => {
      expect(codesOf({ [name]: "x1" })).toEqual(["CONTEXT_PERSONAL_DATA"]);
    },
  );

  it.each(["000-12-3456", "666-12-3456", "912-12-3456", "123-00-4567", "123-45-0000"])(
    "not %s, which is no social security number",
    (value) => {
      expect(codesOf({ tenant: value })).toEqual([]);
    },
  );
});

describe("the other codes", () => {
  it("CONTEXT_EMPTY: no pairs", () => {
    expect(codesOf({})).toEqual(["CONTEXT_EMPTY"]);
  });

  it.each(["aws-crypto-public-key", "AWS-Crypto-anything"])("CONTEXT_RESERVED_NAME: %s", (name) => {
    expect(codesOf({ ...CLEAN, [name]: "x" })).toEqual(["CONTEXT_RESERVED_NAME"]);
  });

  it("CONTEXT_RANDOM: 256 bits in base64, in both alphabets", () => {
    expect(codesOf({ tenant: "qx+8RfU0bTzK4sYc/1Jm7VnEwA2gLd9oHiPBk3Qe" })).toEqual(["CONTEXT_RANDOM"]);
    expect(codesOf({ tenant: "n4bQgYhMfWWaL-qgxVrQFaO_TxsrC4Is0V1sFbDwCgg" })).toEqual(["CONTEXT_RANDOM"]);
  });

  it("CONTEXT_PAIR_MISSING: absent, empty, or in another case", () => {
    const expected = { expectedPairs: ["tenant"] };
    const messages = [{ record: "42" }, { tenant: "" }, { Tenant: "acme" }].map(
      (context) => lintEncryptionContext(context as Record<string, string>, expected)[0],
    );
    expect(messages.map((found) => found?.code)).toEqual(Array(3).fill("CONTEXT_PAIR_MISSING"));
    expect(messages.map((found) => found?.message)).toEqual([
      "the pair tenant is missing: policy relies on it",
      "the pair tenant is empty: policy relies on it",
      "the pair tenant is there in another case only: policy relies on it",
    ]);
  });

  it("CONTEXT_PAIR_ABSENT: what policies ask about, unless it is expected anyway", () => {
    expect(codesOf({ record: "42" }, { policyPairs: ["tenant"] })).toEqual(["CONTEXT_PAIR_ABSENT"]);
    expect(codesOf({ record: "42" }, { expectedPairs: ["tenant"], policyPairs: ["tenant"] })).toEqual([
      "CONTEXT_PAIR_MISSING",
    ]);
  });

  it("CONTEXT_NAMES_ALIKE: names that IAM takes for one", () => {
    expect(codesOf({ tenant: "a", Tenant: "b" })).toEqual(["CONTEXT_NAMES_ALIKE"]);
  });

  it("CONTEXT_LARGE: many pairs, or long ones", () => {
    expect(codesOf({ note: "word ".repeat(500) })).toEqual(["CONTEXT_LARGE"]);
    expect(codesOf(Object.fromEntries(Array.from({ length: 17 }, (_, i) => [`n${i}`, "x"])))).toEqual([
      "CONTEXT_LARGE",
    ]);
  });

  it("have the weight that the table gives them", () => {
    expect(lintEncryptionContext({})).toMatchObject([{ weight: CONTEXT_WARNINGS.CONTEXT_EMPTY }]);
    expect(lintEncryptionContext({ pin: "1234" })).toMatchObject([{ weight: "serious", pair: "pin" }]);
  });
});

describe("what a warning tells", () => {
  it("neither a value nor a name that is one (pitfall 25)", () => {
    const found = lintEncryptionContext({
      "4111111111111111": "alice@example.com",
      AKIAIOSFODNN7EXAMPLE: "x",
      akiaiosfodnn7example: "y",
    });
    expect(found.map(({ code, pair }) => [code, pair])).toEqual([
      ["CONTEXT_PERSONAL_DATA", undefined],
      ["CONTEXT_PERSONAL_DATA", undefined],
      ["CONTEXT_SECRET", undefined],
    ]);
    expect(JSON.stringify(found)).not.toMatch(/4111|alice|AKIA/i);
  });

  it("never a value, whatever it is", () => {
    const value = fc.string({ minLength: 12, unit: "grapheme-ascii" }).filter((text) => !/^[a-z :]*$/i.test(text));
    fc.assert(
      fc.property(fc.constantFrom("tenant", "password", "email"), value, (name, given) => {
        expect(lintEncryptionContext({ [name]: given }).some(({ message }) => message.includes(given))).toBe(false);
      }),
    );
  });

  it("a long name cut", () => {
    const [found] = lintEncryptionContext({ [`${"x ".repeat(400)}password`]: "1234" });
    expect(found?.pair?.length).toBe(129);
  });
});

describe("bounded time (pitfall 15)", () => {
  const HOSTILE = [
    "a@",
    "4111 ",
    "1",
    "DE89 ",
    "eyJ",
    "eyJaaaaaaaaa.",
    "+1 ",
    "://:",
    "aA1",
    "x.",
    "A1B2 ",
    "-----BEGIN ",
  ];

  it.each(HOSTILE)("values and names of %s again and again are looked at to a limit, each part once", (part) => {
    const text = part.repeat(Math.ceil(100_000 / part.length));
    const began = performance.now();
    lintEncryptionContext(Object.fromEntries(Array.from({ length: 40 }, (_, i) => [`${text}${i}`, text])));
    expect(performance.now() - began).toBeLessThan(5_000);
  });
});

it("withoutSignaturePair leaves out what the Encryption SDK adds, and nothing else", () => {
  expect(withoutSignaturePair({ ...CLEAN, "aws-crypto-public-key": "A1" })).toEqual(CLEAN);
});
