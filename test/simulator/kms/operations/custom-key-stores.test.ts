/** What this KMS does not offer answers UnsupportedOperationException, to whoever may ask, and no password is kept of it. */
import type { CreateKeyCommandInput, KMSClient } from "@aws-sdk/client-kms";
import {
  ConnectCustomKeyStoreCommand,
  CreateCustomKeyStoreCommand,
  CreateKeyCommand,
  DeleteCustomKeyStoreCommand,
  DescribeCustomKeyStoresCommand,
  DisconnectCustomKeyStoreCommand,
  GenerateRandomCommand,
  UpdateCustomKeyStoreCommand,
} from "@aws-sdk/client-kms";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { trustAnchorFromSha256 } from "../../../../shared/attestation/trust-anchor.js";
import type { SimulatedKms } from "../../../../simulator/endpoint/server.js";
import { startKms } from "../../../../simulator/endpoint/server.js";
import { errorNameOf, errorOf, kmsClient } from "../../../support/simulated-kms.js";
import { clockAt } from "../../fixtures.js";

const clock = clockAt();
const CustomKeyStoreId = "cks-1234567890abcdef0";
const password = "kmsPswd-9999";
let kms: SimulatedKms;
let client: KMSClient;

beforeAll(async () => {
  kms = await startKms({ trustAnchor: trustAnchorFromSha256("none", "00".repeat(32)), clock });
  client = kmsClient(kms, clock);
});

afterAll(async () => {
  client.destroy();
  await kms.close();
});

const CALLS: Readonly<Record<string, (from: KMSClient) => Promise<unknown>>> = {
  CreateCustomKeyStore: (from) =>
    from.send(
      new CreateCustomKeyStoreCommand({
        ...{ CustomKeyStoreName: "store", CloudHsmClusterId: "cluster-1a23b4cdefg", KeyStorePassword: password },
        TrustAnchorCertificate: "-----BEGIN CERTIFICATE-----",
      }),
    ),
  DescribeCustomKeyStores: (from) => from.send(new DescribeCustomKeyStoresCommand({})),
  UpdateCustomKeyStore: (from) =>
    from.send(new UpdateCustomKeyStoreCommand({ CustomKeyStoreId, KeyStorePassword: password })),
  ConnectCustomKeyStore: (from) => from.send(new ConnectCustomKeyStoreCommand({ CustomKeyStoreId })),
  DisconnectCustomKeyStore: (from) => from.send(new DisconnectCustomKeyStoreCommand({ CustomKeyStoreId })),
  DeleteCustomKeyStore: (from) => from.send(new DeleteCustomKeyStoreCommand({ CustomKeyStoreId })),
};

describe.each(Object.entries(CALLS))("%s", (operation, call) => {
  it("is not supported", async () => {
    expect(await errorOf(call(client))).toEqual({
      name: "UnsupportedOperationException",
      message: "Custom key stores are not supported by this simulated KMS.",
    });
    const record = kms.auditLog.records.at(-1);
    expect(record).toMatchObject({ eventName: operation, errorCode: "UnsupportedOperationException" });
    expect(record?.readOnly).toBe(operation.startsWith("Describe"));
    expect(JSON.stringify(record)).not.toContain(password);
  });

  it("is refused to whoever may not ask", async () => {
    const nobody = kmsClient(kms, clock, kms.principals.addUser({ name: `nobody-${operation}` }));
    expect(await errorNameOf(call(nobody))).toBe("AccessDeniedException");
    nobody.destroy();
  });
});

describe("keys and random bytes of a custom key store", () => {
  it.each<[CreateKeyCommandInput]>([
    [{ Origin: "AWS_CLOUDHSM", CustomKeyStoreId }],
    [{ Origin: "EXTERNAL_KEY_STORE", CustomKeyStoreId, XksKeyId: "bb8562717f809024" }],
    [{ CustomKeyStoreId }],
  ])("CreateKey refuses %j", async (input) => {
    expect(await errorNameOf(client.send(new CreateKeyCommand(input)))).toBe("UnsupportedOperationException");
  });

  it("GenerateRandom refuses them", async () => {
    const random = client.send(new GenerateRandomCommand({ NumberOfBytes: 1, CustomKeyStoreId }));
    expect(await errorNameOf(random)).toBe("UnsupportedOperationException");
  });
});
