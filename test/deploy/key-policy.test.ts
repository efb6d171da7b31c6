/** The printed policies before a KMS that checks attestation: who gets through, and who does not. */
import type { KMSClient } from "@aws-sdk/client-kms";
import {
  CreateKeyCommand,
  DecryptCommand,
  EncryptCommand,
  GenerateRandomCommand,
  PutKeyPolicyCommand,
} from "@aws-sdk/client-kms";
import { describe, expect, it } from "vitest";
import { measureConfiguration } from "../../enclave/boot.js";
import { NsmClient } from "../../enclave/nsm.js";
import { pcr16OfConfiguration } from "../../shared/attestation/pcr.js";
import { toHex, utf8 } from "../../shared/bytes.js";
import type { EnclaveImage } from "../../simulator/image.js";
import type { BootedEnclave, Simulation } from "../../simulator/simulation.js";
import { exampleImage, startSimulation } from "../../simulator/simulation.js";
import { TestClock } from "../enclave/fakes.js";
import { clockAt } from "../simulator/fixtures.js";
import { attest, errorNameOf, kmsClient, recipientKeyPair, recipientOf } from "../support/simulated-kms.js";
import { keyPolicy, run } from "./page.js";

type Pcrs = Readonly<Record<number, string>>;

describe("the policies, before a KMS that checks attestation", () => {
  const { spki } = recipientKeyPair();
  const EncryptionContext = { tenant: "acme" };
  const now = clockAt();
  const clock = new TestClock();
  const OLD = utf8("the old configuration");
  const NEW = utf8("the new configuration");
  const greenImage: EnclaveImage = { ...exampleImage(), ramdisks: [utf8("base"), utf8("green")] };

  const pinned = async ({ pcrs }: { pcrs: Pcrs }, configuration: Uint8Array): Promise<Pcrs> => ({
    ...pcrs,
    16: toHex(await pcr16OfConfiguration(configuration)),
  });

  /** A platform whose role has the printed policy, and a key that has the printed one for what `releases` says. */
  async function setUp(releases: (s: Simulation) => Promise<Readonly<Record<string, Pcrs>>>) {
    const rolePolicies = [run("policies.mjs", ["role", "--key", "*"]).stdout];
    const simulation = await startSimulation({ rolePolicies, clock: now });
    const operator = kmsClient(simulation.kms, now);
    const role = kmsClient(simulation.kms, now, await simulation.roleCredentials());
    const { KeyMetadata } = await operator.send(new CreateKeyCommand({}));
    const KeyId = KeyMetadata?.Arn ?? "";
    const admin = `arn:aws:iam::${simulation.accountId}:user/operator`;
    const principals = [
      "--administrator",
      admin,
      "--encrypter",
      admin,
      "--role",
      simulation.roleArn,
      "--context",
      "tenant",
    ];
    const { stdout: Policy } = keyPolicy(await releases(simulation), principals);
    await operator.send(new PutKeyPolicyCommand({ KeyId, Policy }));
    const encrypt = new EncryptCommand({ KeyId, Plaintext: utf8("a secret"), EncryptionContext });
    const { CiphertextBlob } = await operator.send(encrypt);
    const decrypt = async (enclave?: BootedEnclave, client: KMSClient = role, context: object = EncryptionContext) => {
      const recipient = enclave && { Recipient: recipientOf(await attest(enclave.nsm, spki)) };
      const input = { CiphertextBlob, EncryptionContext: { ...context }, ...recipient };
      return errorNameOf(client.send(new DecryptCommand(input)));
    };
    return { simulation, operator, role, decrypt, KeyId };
  }

  const boot = async (simulation: Simulation, image: EnclaveImage, configuration: Uint8Array, debug = false) => {
    const enclave = await simulation.bootEnclave(image, { debug });
    await measureConfiguration(new NsmClient(enclave.nsm, clock), configuration);
    return enclave;
  };

  it("let one release decrypt, and nothing else", async () => {
    const { simulation, operator, decrypt } = await setUp(async (s) => ({ blue: await pinned(s, OLD) }));
    await using _ = simulation;
    const blue = await boot(simulation, exampleImage(), OLD);
    expect(await decrypt(blue)).toBe("no error");
    expect(await decrypt()).toBe("AccessDeniedException");
    expect(await decrypt(undefined, operator)).toBe("AccessDeniedException");
    expect(await decrypt(blue, operator)).toBe("AccessDeniedException");
    expect(await decrypt(blue, undefined, {})).toBe("AccessDeniedException");
    expect(await decrypt(await boot(simulation, greenImage, OLD))).toBe("AccessDeniedException");
    expect(await decrypt(await boot(simulation, exampleImage(), NEW))).toBe("AccessDeniedException");
    expect(await decrypt(await boot(simulation, exampleImage(), OLD, true))).toBe("AccessDeniedException");
    expect(await decrypt(await simulation.bootEnclave(exampleImage()))).toBe("AccessDeniedException"); // no PCR16
  });

  it("let nobody decrypt before there is a release", async () => {
    const { simulation, decrypt } = await setUp(async () => ({}));
    await using _ = simulation;
    expect(await decrypt(await boot(simulation, exampleImage(), OLD))).toBe("AccessDeniedException");
  });

  it("let two releases decrypt, and no mixture of them, as lists of values would", async () => {
    const { simulation, operator, decrypt, KeyId } = await setUp(async (s) => {
      const green = await s.bootEnclave(greenImage);
      return { blue: await pinned(s, OLD), green: await pinned(green, NEW) };
    });
    await using _ = simulation;
    const mixture = await boot(simulation, exampleImage(), NEW);
    expect(await decrypt(await boot(simulation, exampleImage(), OLD))).toBe("no error");
    expect(await decrypt(await boot(simulation, greenImage, NEW))).toBe("no error");
    expect(await decrypt(mixture)).toBe("AccessDeniedException");

    const green = await simulation.bootEnclave(greenImage);
    const [old, next] = [await pinned(simulation, OLD), await pinned(green, NEW)];
    const lists = [0, 1, 2, 16].map((index) => [`kms:RecipientAttestation:PCR${index}`, [old[index], next[index]]]);
    const anybody = { Effect: "Allow", Principal: { AWS: "*" }, Resource: "*" };
    const Policy = JSON.stringify({
      Statement: [
        { ...anybody, Action: "kms:PutKeyPolicy" },
        { ...anybody, Action: "kms:Decrypt", Condition: { StringEqualsIgnoreCase: Object.fromEntries(lists) } },
      ],
    });
    await operator.send(new PutKeyPolicyCommand({ KeyId, Policy }));
    expect(await decrypt(mixture)).toBe("no error");
  });

  it("give the role random bytes for an enclave alone", async () => {
    const { simulation, role } = await setUp(async () => ({}));
    await using _ = simulation;
    const Recipient = recipientOf(await attest(simulation.nsm, spki));
    const ask = (more: object) => errorNameOf(role.send(new GenerateRandomCommand({ NumberOfBytes: 32, ...more })));
    expect(await ask({ Recipient })).toBe("no error");
    expect(await ask({})).toBe("AccessDeniedException");
  });
});
