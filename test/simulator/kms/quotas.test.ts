/** Request quotas: how many requests of what go through in a second, and when again. */
import { CreateKeyCommand, GenerateDataKeyPairWithoutPlaintextCommand } from "@aws-sdk/client-kms";
import { describe, expect, it } from "vitest";
import { trustAnchorFromSha256 } from "../../../shared/attestation/trust-anchor.js";
import { startKms } from "../../../simulator/endpoint/server.js";
import { AwsError } from "../../../simulator/errors.js";
import type { QuotaRequest } from "../../../simulator/kms/quotas.js";
import { RequestQuotas } from "../../../simulator/kms/quotas.js";
import { errorNameOf, kmsClient } from "../../support/simulated-kms.js";
import { clockAt } from "../fixtures.js";

const START = Date.parse("2026-11-24T12:00:00Z");

/** How many of `tries` requests go through, at a time `ms` after the start. */
function counter() {
  let now = START;
  const quotas = new RequestQuotas(() => new Date(now));
  return (request: Partial<QuotaRequest>, { ms = 0, tries = 200_000 } = {}): number => {
    now = START + ms;
    for (let passed = 0; passed < tries; passed++) {
      try {
        quotas.take({ accountId: "111122223333", region: "eu-west-3", operation: "Decrypt", ...request });
      } catch (error) {
        if (error instanceof AwsError && error.type === "ThrottlingException") return passed;
        throw error;
      }
    }
    return tries;
  };
}

describe("a quota", () => {
  it.each([
    [{}, 10_000],
    [{ region: "eu-central-1" }, 20_000],
    [{ region: "us-east-1" }, 100_000],
    [{ operation: "GenerateMac", keySpec: "HMAC_256" }, 10_000],
    [{ operation: "Sign", keySpec: "RSA_2048" }, 1_000],
    [{ operation: "Sign", keySpec: "ECC_NIST_P256" }, 1_000],
    [{ operation: "GenerateDataKeyPair", keySpec: "RSA_2048" }, 20],
    [{ operation: "GenerateDataKeyPair", keySpec: "ECC_NIST_P256" }, 100],
    [{ operation: "CreateKey" }, 5],
    [{ operation: "DescribeKey" }, 2_000],
  ])("of %j is %i a second", (request, rate) => {
    expect(counter()(request)).toBe(rate);
  });

  it("is shared by the cryptographic operations of one type of key, and by nothing else", () => {
    const count = counter();
    expect(count({ operation: "Encrypt" }, { tries: 9_990 })).toBe(9_990);
    expect(count({ operation: "GenerateDataKey" })).toBe(10);
    expect(count({ operation: "Encrypt", keySpec: "RSA_4096" })).toBe(1_000);
    expect(count({ operation: "Verify", keySpec: "RSA_2048" })).toBe(0);
    expect(count({ operation: "Verify", keySpec: "ECC_SECG_P256K1" })).toBe(1_000);
  });

  it("is of one account in one Region", () => {
    const count = counter();
    const create = { operation: "CreateKey" };
    expect([count(create), count(create)]).toEqual([5, 0]);
    expect(count({ ...create, accountId: "444455556666" })).toBe(5);
    expect(count({ ...create, region: "eu-west-1" })).toBe(5);
  });

  it("fills again with time, and holds no more than a second's worth", () => {
    const count = counter();
    const create = { operation: "CreateKey" };
    expect(count(create)).toBe(5);
    expect(count(create, { ms: 199 })).toBe(0);
    expect(count(create, { ms: 400 })).toBe(2);
    expect(count(create, { ms: 60_000 })).toBe(5);
  });

  it("of less than one a second lets one request through", () => {
    const count = counter();
    const pair = { operation: "GenerateDataKeyPair", keySpec: "RSA_4096", region: "cn-north-1" };
    expect(count(pair)).toBe(1);
    expect(count(pair, { ms: 9_000 })).toBe(0);
    expect(count(pair, { ms: 10_001 })).toBe(1);
  });

  it("does not exist for an operation that AWS lists none for", () => {
    expect(counter()({ operation: "NoSuchOperation" }, { tries: 100 })).toBe(100);
  });
});

describe("a KMS with quotas", () => {
  it("throttles the sixth key of a second; other operations go on", async () => {
    const clock = clockAt();
    const kms = await startKms({ trustAnchor: trustAnchorFromSha256("none", "00".repeat(32)), clock, quotas: true });
    const client = kmsClient(kms, clock);
    const outcomes: string[] = [];
    const { KeyMetadata } = await client.send(new CreateKeyCommand({}));
    const KeyId = KeyMetadata?.Arn;
    for (let i = 0; i < 5; i++) outcomes.push(await errorNameOf(client.send(new CreateKeyCommand({}))));
    expect(outcomes).toEqual([...Array(4).fill("no error"), "ThrottlingException"]);
    const pair = (KeyPairSpec: "ECC_NIST_P384" | "ECC_NIST_P256") =>
      errorNameOf(client.send(new GenerateDataKeyPairWithoutPlaintextCommand({ KeyId, KeyPairSpec })));
    expect([await pair("ECC_NIST_P256"), await pair("ECC_NIST_P384")]).toEqual(["no error", "no error"]);
    client.destroy();
    await kms.close();
  });
});
