/** GenerateMac and VerifyMac through the unmodified AWS SDK, and each wrong thing with its exact AWS error. */
import type { KMSClient, MacAlgorithmSpec } from "@aws-sdk/client-kms";
import {
  CreateKeyCommand,
  DisableKeyCommand,
  GenerateMacCommand,
  GetPublicKeyCommand,
  PutKeyPolicyCommand,
  VerifyMacCommand,
} from "@aws-sdk/client-kms";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { trustAnchorFromSha256 } from "../../../shared/attestation/trust-anchor.js";
import { utf8 } from "../../../shared/bytes.js";
import type { SimulatedKms } from "../../../simulator/endpoint/server.js";
import { startKms } from "../../../simulator/endpoint/server.js";
import { errorNameOf, errorOf, kmsClient } from "../../support/simulated-kms.js";
import { clockAt } from "../fixtures.js";

const clock = clockAt();
const Message = utf8("what is said");
let kms: SimulatedKms;
let client: KMSClient;
let KeyId: string;

beforeAll(async () => {
  kms = await startKms({ trustAnchor: trustAnchorFromSha256("none", "00".repeat(32)), clock });
  client = kmsClient(kms, clock);
  KeyId = await newKey("HMAC_256");
});

afterAll(async () => {
  client.destroy();
  await kms.close();
});

async function newKey(KeySpec: "HMAC_224" | "HMAC_256" | "HMAC_384" | "HMAC_512"): Promise<string> {
  const command = new CreateKeyCommand({ KeySpec, KeyUsage: "GENERATE_VERIFY_MAC" });
  return (await client.send(command)).KeyMetadata?.Arn ?? "";
}

const generate = (changes: object = {}) =>
  client.send(new GenerateMacCommand({ KeyId, Message, MacAlgorithm: "HMAC_SHA_256", ...changes }));
const verify = async (changes: object = {}) => {
  const { Mac } = await generate();
  return client.send(new VerifyMacCommand({ KeyId, Message, Mac, MacAlgorithm: "HMAC_SHA_256", ...changes }));
};

describe("MACs", () => {
  it.each([
    ["HMAC_224", "HMAC_SHA_224", 28],
    ["HMAC_256", "HMAC_SHA_256", 32],
    ["HMAC_384", "HMAC_SHA_384", 48],
    ["HMAC_512", "HMAC_SHA_512", 64],
  ] as const)("of %s are %s, and verify", async (spec, MacAlgorithm: MacAlgorithmSpec, length) => {
    const id = await newKey(spec);
    const made = await generate({ KeyId: id, MacAlgorithm });
    expect(made).toMatchObject({ KeyId: id, MacAlgorithm });
    expect(made.Mac).toHaveLength(length);
    expect(await verify({ KeyId: id, MacAlgorithm, Mac: made.Mac })).toMatchObject({ KeyId: id, MacValid: true });
  });

  it("are the same for the same message, and others under another key", async () => {
    const [one, again, other] = [
      await generate(),
      await generate(),
      await generate({ KeyId: await newKey("HMAC_256") }),
    ];
    expect(again.Mac).toEqual(one.Mac);
    expect(other.Mac).not.toEqual(one.Mac);
  });

  it.each<[string, () => object]>([
    ["another message", () => ({ Message: utf8("what is not said") })],
    ["another MAC", () => ({ Mac: new Uint8Array(32) })],
    ["a shorter one", () => ({ Mac: new Uint8Array(31) })],
  ])("do not verify with %s", async (_, changes) => {
    expect(await errorNameOf(verify(changes()))).toBe("KMSInvalidMacException");
  });

  it("are refused with another algorithm, of another key, of a disabled one", async () => {
    expect(await errorOf(generate({ MacAlgorithm: "HMAC_SHA_512" }))).toEqual({
      name: "InvalidKeyUsageException",
      message: "Algorithm HMAC_SHA_512 is incompatible with key spec HMAC_256.",
    });
    const encryption = (await client.send(new CreateKeyCommand({}))).KeyMetadata?.Arn ?? "";
    expect(await errorOf(generate({ KeyId: encryption }))).toEqual({
      name: "InvalidKeyUsageException",
      message: `${encryption} key usage is ENCRYPT_DECRYPT which is not valid for GenerateMac.`,
    });
    const disabled = await newKey("HMAC_256");
    await client.send(new DisableKeyCommand({ KeyId: disabled }));
    expect(await errorNameOf(generate({ KeyId: disabled }))).toBe("DisabledException");
  });

  it("take 4096 bytes and no more, and have a public key no more than a secret has", async () => {
    expect((await generate({ Message: new Uint8Array(4096) })).Mac).toHaveLength(32);
    expect(await errorNameOf(generate({ Message: new Uint8Array(4097) }))).toBe("ValidationException");
    expect(await errorNameOf(client.send(new GetPublicKeyCommand({ KeyId })))).toBe("UnsupportedOperationException");
  });

  it("are only made by whom the policy lets, with the algorithm that it names", async () => {
    const id = await newKey("HMAC_512");
    const statement = (MacAlgorithm: string) => ({
      Effect: "Deny",
      Principal: "*",
      Action: "kms:GenerateMac",
      Resource: "*",
      Condition: { StringEquals: { "kms:MacAlgorithm": MacAlgorithm } },
    });
    const open = { Effect: "Allow", Principal: "*", Action: "kms:*", Resource: "*" };
    const put = (algorithm: string) => {
      const Policy = JSON.stringify({ Version: "2012-10-17", Statement: [open, statement(algorithm)] });
      return client.send(new PutKeyPolicyCommand({ KeyId: id, PolicyName: "default", Policy }));
    };
    await put("HMAC_SHA_256");
    expect((await generate({ KeyId: id, MacAlgorithm: "HMAC_SHA_512" })).Mac).toHaveLength(64);
    await put("HMAC_SHA_512");
    expect(await errorNameOf(generate({ KeyId: id, MacAlgorithm: "HMAC_SHA_512" }))).toBe("AccessDeniedException");
  });

  it("are audited without message and MAC", async () => {
    await verify();
    const record = kms.auditLog.records.at(-1);
    expect(record).toMatchObject({
      eventName: "VerifyMac",
      requestParameters: { keyId: KeyId, macAlgorithm: "HMAC_SHA_256" },
    });
    expect(Object.keys(record?.requestParameters ?? {}).sort()).toEqual(["keyId", "macAlgorithm"]);
  });
});
