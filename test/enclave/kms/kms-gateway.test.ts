/** The gateway's limits, which the enclave enforces itself. DESIGN decision 2. */
import {
  CreateKeyCommand,
  DecryptCommand,
  EncryptCommand,
  GenerateDataKeyCommand,
  GenerateRandomCommand,
} from "@aws-sdk/client-kms";
import { describe, expect, it, onTestFinished } from "vitest";
import { systemClock } from "../../../enclave/clock.js";
import { parseConfiguration } from "../../../enclave/configuration.js";
import { createKmsClients } from "../../../enclave/kms/create-kms-clients.js";
import { ServicesClient } from "../../../enclave/kms/services.js";
import { silentLogger } from "../../../enclave/log.js";
import { toBase64, utf8 } from "../../../shared/bytes.js";
import { createTokenIssuer } from "../../../simulator/token-issuer.js";
import { authorizationFor } from "../../support/authorization.js";
import type { Json } from "../fakes.js";
import { KEY_ARN, testRecipient } from "../fakes.js";
import { fakeServices } from "../services.js";

const CONFIGURATION = parseConfiguration(
  utf8(
    JSON.stringify({
      version: 1,
      kms: { region: "us-east-1", keys: [{ arn: KEY_ARN }], transport: "gateway", roots: "amazon" },
      channels: {},
      authorization: authorizationFor(await createTokenIssuer()),
    }),
  ),
);

const secret = utf8("a data key");
const decrypt = new DecryptCommand({ CiphertextBlob: utf8("ciphertext"), EncryptionContext: { a: "b" } });

async function setUp(answer: (call: Json) => { status?: number; body: unknown }) {
  const recipient = testRecipient();
  const services = await fakeServices({ "/kms": (body) => answer(body) });
  const client = new ServicesClient(services.address);
  onTestFinished(() => client.close());
  const credentials = { get: () => Promise.reject(new TypeError("the gateway needs no credentials")) };
  const kms = createKmsClients({
    configuration: CONFIGURATION,
    recipient,
    credentials,
    services: client,
    tunnel: "unix:/none",
    clock: systemClock,
    log: silentLogger,
  });
  return { kms, recipient, services };
}

const ok = (body: unknown) => ({ body: { status: 200, body } });

describe("the gateway transport", () => {
  it("carries Decrypt of data keys, unsigned, as target and body", async () => {
    let sealed = "";
    const { kms, recipient, services } = await setUp(() => ok({ KeyId: KEY_ARN, CiphertextForRecipient: sealed }));
    sealed = recipient.seal(secret);
    await expect(kms.messages.own.send(decrypt)).resolves.toMatchObject({ Plaintext: secret, KeyId: KEY_ARN });
    expect(services.requests).toEqual([
      {
        path: "/kms",
        body: {
          target: "TrentService.Decrypt",
          body: {
            CiphertextBlob: toBase64(utf8("ciphertext")),
            EncryptionContext: { a: "b" },
            Recipient: {
              KeyEncryptionAlgorithm: "RSAES_OAEP_SHA_256",
              AttestationDocument: toBase64(utf8("document")),
            },
          },
        },
      },
    ]);
    expect(services.headers[0]?.authorization).toBeUndefined();
  });

  it("pitfall 1: refuses every other command before anything is sent", async () => {
    const { kms, services } = await setUp(() => ok({}));
    const messages = kms.messages.own;
    const refused = [
      messages.send(new GenerateRandomCommand({ NumberOfBytes: 8 })),
      messages.send(new GenerateDataKeyCommand({ KeyId: KEY_ARN, KeySpec: "AES_256" })),
      messages.send(new EncryptCommand({ KeyId: KEY_ARN, Plaintext: secret })),
      messages.send(new CreateKeyCommand({})),
      kms.probe.own.send(decrypt),
    ];
    for (const promise of refused) await expect(promise).rejects.toThrowCode("ERR_GATEWAY_REFUSED");
    expect(services.requests).toEqual([]);
  });

  it("pitfall 1: has no client for operations whose answer could be forged", async () => {
    const { kms } = await setUp(() => ok({}));
    expect(() => kms.operations()).toThrowCode("ERR_GATEWAY_REFUSED");
  });

  it("hands on what KMS refuses", async () => {
    const { kms } = await setUp(() => ({
      body: { status: 400, body: { __type: "AccessDeniedException", message: "no" } },
    }));
    await expect(kms.messages.own.send(decrypt)).rejects.toMatchObject({ name: "AccessDeniedException" });
  });

  it("a parent that fails is ERR_KMS_UNAVAILABLE", async () => {
    const { kms } = await setUp(() => ({ status: 503, body: {} }));
    await expect(kms.messages.own.send(decrypt)).rejects.toThrowCode("ERR_KMS_UNAVAILABLE");
  });

  it.each<[string, { status?: number; body: unknown }]>([
    ["answers with a plaintext that is a number", { body: { status: 200, body: { Plaintext: 5 } } }],
    ["answers with an envelope that is not base64", { body: { status: 200, body: { CiphertextForRecipient: "!!" } } }],
    ["answers with a status that KMS has not", { body: { status: 204, body: {} } }],
    ["answers something else", { body: { status: 200 } }],
    ["answers with fields of its own", { body: { status: 200, body: {}, plaintext: "x" } }],
  ])("a parent that %s is ERR_KMS_ANSWER", async (_, answer) => {
    const { kms } = await setUp(() => answer);
    await expect(kms.messages.own.send(decrypt)).rejects.toThrowCode("ERR_KMS_ANSWER");
  });
});
