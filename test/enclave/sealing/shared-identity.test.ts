/** Whole enclaves that share their sealing identity: what each of them opens, and what only the one that was attested serves. */
import type { KMSClient } from "@aws-sdk/client-kms";
import { CreateKeyCommand, DecryptCommand, PutKeyPolicyCommand } from "@aws-sdk/client-kms";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { systemClock } from "../../../enclave/clock.js";
import { KmsHealth } from "../../../enclave/health.js";
import { attestKms, createRecipient, defineFunction } from "../../../enclave/index.js";
import { PinnedKeys } from "../../../enclave/kms/pinned-keys.js";
import { NsmClient } from "../../../enclave/nsm.js";
import { fleetIdentityOf } from "../../../enclave/sealing/fleet-identity.js";
import { SealingSeeds } from "../../../enclave/sealing/sealing-seeds.js";
import { toBase64, utf8 } from "../../../shared/bytes.js";
import { sealingSeeds } from "../../../shared/sealing-seed.js";
import { bytesOf } from "../../../shared/wire.js";
import type { EnclaveImage } from "../../../simulator/image.js";
import type { BootedEnclave } from "../../../simulator/simulation.js";
import { exampleImage } from "../../../simulator/simulation.js";
import { requestOver } from "../../../transport/http.js";
import { openParent } from "../../parent/fakes.js";
import { schemaFor } from "../../support/authorization.js";
import { regionalKms } from "../regional.js";
import type { Field } from "../sealing.js";
import { callSealed, goodFields, publishedBy, seal, sendSealed } from "../sealing.js";
import type { Kms, Stack } from "../stack.js";
import { clientOf, startKmsForTest, startStack } from "../stack.js";

const OTHER_IMAGE: EnclaveImage = {
  ...exampleImage(),
  ramdisks: [utf8("another system"), utf8("another application")],
};

let kms: Kms;
let seedKeyArn: string;
beforeAll(async () => {
  kms = await startKmsForTest();
  const { operator, simulation } = kms;
  seedKeyArn = (await operator.send(new CreateKeyCommand({}))).KeyMetadata?.Arn ?? "";
  await operator.send(new PutKeyPolicyCommand({ KeyId: seedKeyArn, Policy: policyOf(kms) }));
  expect(simulation.pcrs[0]).toBeDefined();
});
afterAll(() => kms.simulation.close());

const policyOf = ({ simulation: { accountId, roleArn, pcrs } }: Kms): string =>
  JSON.stringify({
    Version: "2012-10-17",
    Statement: [
      { Effect: "Allow", Principal: { AWS: `arn:aws:iam::${accountId}:root` }, Action: "kms:*", Resource: "*" },
      {
        ...{ Effect: "Allow", Principal: { AWS: roleArn }, Resource: "*" },
        Action: ["kms:GenerateDataKey", "kms:Decrypt"],
        Condition: { StringEqualsIgnoreCase: { "kms:RecipientAttestation:PCR0": pcrs[0] } },
      },
    ],
  });

const FUNCTIONS = ["pay", "note"].map((name) => `functions/${name}`);

interface Member extends Stack {
  readonly booted: BootedEnclave;
  /** How often its functions ran. */
  readonly ran: () => number;
}

async function member(services: string, shared: object | null = { keyId: seedKeyArn, fleet: "payments" }) {
  const { simulation, keyArn } = kms;
  const booted = await simulation.bootEnclave(exampleImage());
  let count = 0;
  const common = { input: { parse: () => undefined }, output: { parse: (value: unknown) => value } };
  const run = () => ++count;
  const stack = await startStack(kms, {
    ...{ nsm: booted.nsm, services },
    configuration: { channels: { sealed: shared === null ? {} : { shared } } },
    kms: { keys: [{ arn: keyArn }, { arn: seedKeyArn }] },
    authorization: { schema: schemaFor({ keyless: FUNCTIONS, keyed: ["functions/show"] }) },
    functions: [
      defineFunction({ ...common, name: "pay", plaintext: "none", run }),
      defineFunction({ ...common, name: "show", idempotent: true, run: ({ plaintext }) => toBase64(plaintext) }),
      defineFunction({ ...common, name: "note", plaintext: "none", idempotent: true, run }),
    ],
  });
  return { ...stack, booted, ran: () => count } satisfies Member;
}

async function fleet() {
  const { servicesAddress } = await openParent((_request, response) => void response.end("{}"), {
    credentials: kms.simulation.roleCredentials,
  });
  const [one, other] = [await member(servicesAddress), await member(servicesAddress)];
  const [configuration] = await publishedBy(one);
  return { one, other, configuration, servicesAddress };
}

const fieldsOf = (enclave?: string): Field[] => [
  ...goodFields(kms.token),
  ...(enclave === undefined ? [] : [["enclave", enclave] as const]),
];
const PAY = { path: "/v1/functions/pay", body: {} };
const NOTE = { path: "/v1/functions/note", body: {} };

describe("enclaves that share their identity", () => {
  it("publish the same keys, each with its own document, and say that they are shared", async () => {
    const { one, other } = await fleet();
    expect(await publishedBy(other)).toEqual(await publishedBy(one));
    expect(one.booted.moduleId).not.toBe(other.booted.moduleId);
    const path = `/attestation?nonce=${"A".repeat(22)}`;
    expect((await other.json("GET", path)).body.shared).toBe(true);
    expect((await other.json("GET", "/healthz")).body).toMatchObject({
      status: "ok",
      sealed: { shared: { epoch: 1, rollbacks: 0 } },
    });
  });

  it("serve, each of them, what does no harm twice: the same bytes once each, and never twice", async () => {
    const { one, other, configuration } = await fleet();
    const sealed = await seal(one, { ...NOTE, fields: fieldsOf(), configuration });
    for (const enclave of [one, other]) expect(await sendSealed(enclave, sealed)).toMatchObject({ status: 200 });
    for (const enclave of [one, other]) {
      expect(await sendSealed(enclave, sealed)).toMatchObject({ sealed: true, body: { code: "ERR_REPLAYED" } });
    }
    expect([one.ran(), other.ran()]).toEqual([1, 1]);
  });

  it("do what does harm twice for a request that names them, and refuse it under the seal where it names another", async () => {
    const { one, other, configuration } = await fleet();
    const sealed = await seal(one, { ...PAY, fields: fieldsOf(one.booted.moduleId), configuration });
    expect(await sendSealed(other, sealed)).toMatchObject({
      sealed: true,
      status: 421,
      body: { code: "ERR_OTHER_ENCLAVE" },
    });
    expect(await sendSealed(one, sealed)).toMatchObject({ sealed: true, status: 200 });
    expect([one.ran(), other.ran()]).toEqual([1, 0]);
  });

  it.each<[string, string, () => Field[]]>([
    ["no enclave", "ERR_OTHER_ENCLAVE", () => fieldsOf()],
    ["an empty one", "ERR_OTHER_ENCLAVE", () => fieldsOf("")],
    ["one twice", "ERR_MESSAGE_MALFORMED", () => [...fieldsOf("a"), ["enclave", "a"]]],
  ])("do not do it for a request that names %s", async (_, code, fields) => {
    const { one, configuration } = await fleet();
    const answer = await callSealed(one, { ...PAY, fields: fields(), configuration });
    expect(answer).toMatchObject({ sealed: true, body: { code } });
    expect(one.ran()).toBe(0);
  });

  it("refuse what names another also where it does no harm twice", async () => {
    const { one, other, configuration } = await fleet();
    const fields = fieldsOf(other.booted.moduleId);
    expect(await callSealed(one, { ...NOTE, fields, configuration })).toMatchObject({
      body: { code: "ERR_OTHER_ENCLAVE" },
    });
  });
});

describe("an enclave with keys of its own", () => {
  it("does what does harm twice without being named, and not where another is", async () => {
    const { servicesAddress } = await fleet();
    const own = await member(servicesAddress, null);
    const { body } = await own.json("GET", `/attestation?nonce=${"A".repeat(22)}`);
    expect(Object.hasOwn(body, "shared")).toBe(false);
    expect(await callSealed(own, { ...PAY, fields: fieldsOf() })).toMatchObject({ status: 200 });
    expect(await callSealed(own, { ...PAY, fields: fieldsOf("i-0-enc0") })).toMatchObject({
      body: { code: "ERR_OTHER_ENCLAVE" },
    });
  });
});

describe("the seed", () => {
  async function recordOf(one: Member, services: string) {
    const identity = await fleetIdentityOf(new NsmClient(one.booted.nsm, systemClock), "payments");
    const path = `/sealing-seeds/payments/${identity.measurement}`;
    const { body } = await requestOver(services, { method: "GET", path, deadlineMs: 5_000, maxResponseBytes: 100_000 });
    const [record] = sealingSeeds.parse(JSON.parse(new TextDecoder().decode(body))).seeds;
    if (record === undefined) throw new TypeError("expected the fleet's seed in the store");
    return { identity, record };
  }

  it.each(["decrypt", "data-keys", "messages/encrypt", "functions/show"])(
    "is opened, or made, for no caller of %s, though the policies permit him everything",
    async (operation) => {
      const { one, configuration, servicesAddress } = await fleet();
      const { identity, record } = await recordOf(one, servicesAddress);
      const { ciphertext, epoch, created } = record;
      const encryptionContext = {
        purpose: "nitro-decrypt sealing identity",
        ...{ fleet: identity.fleet, measurement: identity.measurement, epoch: String(epoch), created },
      };
      const bodies: Readonly<Record<string, object>> = {
        decrypt: { ciphertext, keyId: seedKeyArn },
        "data-keys": { keySpec: "AES_256", keyId: seedKeyArn },
        "messages/encrypt": { plaintext: "AAAA", keyIds: [seedKeyArn] },
        "functions/show": { ciphertext, keyId: seedKeyArn, input: {} },
      };
      const body = { ...bodies[operation], encryptionContext };
      const answer = await callSealed(one, { path: `/v1/${operation}`, body, fields: fieldsOf(), configuration });
      expect(answer).toMatchObject({ sealed: true, status: 403, body: { code: "ERR_ENCRYPTION_CONTEXT" } });
    },
  );

  const roleClient = (): KMSClient => clientOf(kms.simulation, { credentials: kms.simulation.roleCredentials });

  it("opens for the PCRs of the key policy alone: not for another image, nor for the parent's role by itself", async () => {
    const { one, servicesAddress } = await fleet();
    const { identity, record } = await recordOf(one, servicesAddress);
    const opening = async (image: EnclaveImage) => {
      const { nsm } = await kms.simulation.bootEnclave(image);
      const client = attestKms(
        roleClient(),
        createRecipient({ nsm, keys: new PinnedKeys([{ arn: seedKeyArn, aliases: [] }]) }),
      );
      const device = new NsmClient(nsm, systemClock);
      const health = new KmsHealth(systemClock);
      const seeds = new SealingSeeds({
        identity,
        key: { arn: seedKeyArn, aliases: [] },
        kms: { operations: () => regionalKms([{ region: kms.simulation.region, client }]).kms },
        health,
        nsm: device,
      });
      return seeds.open(record);
    };
    await expect(opening(exampleImage())).resolves.toMatchObject({ record });
    await expect(opening(OTHER_IMAGE)).rejects.toThrowCode("ERR_KMS_DENIED");
    const { fleet: name, measurement } = identity;
    const command = new DecryptCommand({
      CiphertextBlob: bytesOf(record.ciphertext),
      EncryptionContext: {
        purpose: "nitro-decrypt sealing identity",
        ...{ fleet: name, measurement, epoch: "1", created: record.created },
      },
    });
    await expect(roleClient().send(command)).rejects.toMatchObject({ name: "AccessDeniedException" });
  });

  it("is opened for no caller, though the policies permit him its key", async () => {
    const { one, configuration, servicesAddress } = await fleet();
    const { identity, record } = await recordOf(one, servicesAddress);
    const { fleet: name, measurement } = identity;
    const { ciphertext, created, epoch } = record;
    const purpose = "nitro-decrypt sealing identity";
    const encryptionContext = { purpose, fleet: name, measurement, epoch: String(epoch), created };
    const ask = (path: string, body: object) => callSealed(one, { path, body, configuration, fields: fieldsOf() });
    const refused = { status: 403, body: { code: "ERR_ENCRYPTION_CONTEXT" } };
    expect(await ask("/v1/decrypt", { ciphertext, keyId: seedKeyArn, encryptionContext })).toMatchObject(refused);
    const another = { keyId: seedKeyArn, keySpec: "AES_256", encryptionContext };
    expect(await ask("/v1/data-keys", another)).toMatchObject(refused);
    const message = { plaintext: "", keyIds: [seedKeyArn], encryptionContext };
    expect(await ask("/v1/messages/encrypt", message)).toMatchObject(refused);
  });
});
