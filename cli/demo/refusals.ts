/**
 * The second half of the demo: the ways to cheat. Each changes one thing against the first half, where all went well; the
 * enclaves that differ show first that they work otherwise (attested GenerateRandom), so that a refusal means what it says.
 */
import { randomBytes } from "node:crypto";
import { buildClient, CommitmentPolicy, KmsKeyringNode } from "@aws-crypto/client-node";
import { DecryptCommand, GenerateDataKeyCommand } from "@aws-sdk/client-kms";
import { connectEnclave } from "../../client/connect.js";
import type { Enclave } from "../../client/enclave.js";
import type { EnclavePolicy } from "../../client/policy.js";
import { pcr16OfConfiguration } from "../../shared/attestation/pcr.js";
import { equalBytes, toHex, utf8 } from "../../shared/bytes.js";
import { ServiceError } from "../../shared/errors.js";
import type { Attempt } from "./attempt.js";
import { refuse } from "./attempt.js";
import { fetchOver } from "./fetch-over.js";
import type { GatewayConduct, Hostile } from "./hostile-parent.js";
import { gatewayConducts, serveCredentials, serveForgedKms, serveGateway } from "./hostile-parent.js";
import { ZERO_PCR } from "./image.js";
import type { Report } from "./report.js";
import type { Variant } from "./stage.js";
import { bootGatewayEnclave, bootVariant, configurationOf } from "./stage.js";
import type { Stage } from "./story.js";
import { CONTEXT, policyFor, SECRET } from "./story.js";

/** Where a hostile parent's fetch ends is an address; the URL's host is nobody's. */
const NOWHERE = "http://enclave.invalid";

/** Makes every attempt. Whatever is started for them is closed before this returns. */
export async function tryToCheat(stage: Stage, report: Report): Promise<void> {
  const opened: Promise<Hostile | Variant>[] = [];
  const open = <T extends Hostile | Variant>(part: Promise<T>): Promise<T> => {
    opened.push(part);
    part.catch(() => undefined); // whoever uses it sees why it failed
    return part;
  };
  try {
    const gateway = bootGatewayEnclave(stage.cloud, stage.keys.gateway);
    gateway.catch(() => undefined);
    const others = openVariants(stage, open);
    await withoutAttestation(stage, report);
    await wrongContext(stage, report);
    await replayed(stage, report);
    await changedImage(stage, report, await others.changed);
    await debugMode(stage, report, await others.debug);
    await changedConfiguration(stage, report, await others.reconfigured);
    await gateway;
    await hostileGateway(stage, report, open);
    await hostileTunnel(stage, report, open);
  } finally {
    for (const part of await Promise.allSettled(opened)) if (part.status === "fulfilled") await part.value.close();
  }
}

function openVariants({ cloud, keys }: Stage, open: (part: Promise<Variant>) => Promise<Variant>) {
  const { original, changed } = cloud.images;
  const { configuration } = keys.main;
  const reconfigured = configurationOf(cloud.kms, [keys.main.arn, keys.parents]);
  return {
    changed: open(bootVariant(cloud, "changed", { image: changed, configuration })),
    debug: open(bootVariant(cloud, "debug", { image: original, debug: true, configuration })),
    reconfigured: open(bootVariant(cloud, "reconfigured", { image: original, configuration: reconfigured })),
  };
}

const deniedByKms = { in: "kms", eventName: "Decrypt", errorCode: "AccessDeniedException" } as const;

async function withoutAttestation({ cloud, keys, ciphertext }: Stage, report: Report): Promise<void> {
  const command = () =>
    new DecryptCommand({ KeyId: keys.main.arn, CiphertextBlob: ciphertext, EncryptionContext: CONTEXT });
  const attempt = { by: "kms", code: "AccessDeniedException", record: deniedByKms } as const;
  await refuse(report, cloud.evidence, { id: "no-attestation", title: "Decrypt without attestation" }, [
    { ...attempt, what: "the parent's role asks, with the plain AWS SDK", run: () => cloud.role.send(command()) },
    { ...attempt, what: "the key's administrator asks", run: () => cloud.operator.send(command()) },
  ]);
}

async function wrongContext({ cloud, ciphertext, enclave }: Stage, report: Report): Promise<void> {
  const decrypt = (encryptionContext: Readonly<Record<string, string>>) => () =>
    enclave.decrypt({ ciphertext, encryptionContext });
  await refuse(report, cloud.evidence, { id: "wrong-context", title: "A wrong encryption context" }, [
    {
      what: "another tenant: the key policy says no",
      by: "kms",
      code: "ERR_KMS_DENIED",
      record: deniedByKms,
      run: decrypt({ ...CONTEXT, tenant: "globex" }),
    },
    {
      what: "another record: the ciphertext is not bound to it",
      by: "kms",
      code: "ERR_KMS_REFUSED",
      record: { in: "kms", eventName: "Decrypt", errorCode: "InvalidCiphertextException" },
      run: decrypt({ ...CONTEXT, record: "43" }),
    },
  ]);
}

async function replayed({ cloud, keys, main }: Stage, report: Report): Promise<void> {
  const options = { trustAnchor: cloud.kms.trustAnchor, policy: policyFor(keys.main.pcrs) };
  let recorded: Response | undefined;
  const record: typeof fetch = async (...request) => {
    const response = await fetch(...request);
    recorded = response.clone();
    return response;
  };
  await connectEnclave(main.parent.url, { ...options, fetch: record });
  const replay: typeof fetch = async () => recorded?.clone() ?? Response.error();
  await refuse(report, cloud.evidence, { id: "replay", title: "A replayed attestation document" }, [
    {
      what: "genuine and fresh, but not made for this nonce",
      by: "client",
      code: "ERR_NONCE_MISMATCH",
      run: () => connectEnclave(main.parent.url, { ...options, fetch: replay }),
    },
  ]);
}

async function changedImage(stage: Stage, report: Report, { url }: Variant): Promise<void> {
  const { images } = stage.cloud;
  const own = { ...images.changedPcrs, 16: stage.keys.main.pcrs[16] };
  const title = `A changed enclave image: one byte of ${images.changedFile}`;
  await refuseVariant(stage, report, { id: "changed-image", title }, url, {
    clientCode: "ERR_PCR_MISMATCH",
    careless: policyFor(own),
  });
}

async function debugMode(stage: Stage, report: Report, { url }: Variant): Promise<void> {
  const own = { 0: ZERO_PCR, 1: ZERO_PCR, 2: ZERO_PCR, 16: stage.keys.main.pcrs[16] };
  const title = "The right image in debug mode: its operator can read its console";
  await refuseVariant(stage, report, { id: "debug-mode", title }, url, {
    clientCode: "ERR_DEBUG_ENCLAVE",
    careless: policyFor(own, { debug: "dangerouslyAllow" }),
  });
}

async function changedConfiguration(stage: Stage, report: Report, { url }: Variant): Promise<void> {
  const { cloud, keys } = stage;
  const configuration = configurationOf(cloud.kms, [keys.main.arn, keys.parents]);
  const own = { ...keys.main.pcrs, 16: toHex(await pcr16OfConfiguration(configuration)) };
  const title = "The right image with a changed configuration: one more key (PCR16)";
  await refuseVariant(stage, report, { id: "changed-configuration", title }, url, {
    clientCode: "ERR_PCR_MISMATCH",
    careless: policyFor(own),
  });
}

/** An enclave that is not the one: the careful client refuses it; for the one that takes it all the same, KMS does. */
async function refuseVariant(
  { cloud, keys, ciphertext }: Stage,
  report: Report,
  title: { readonly id: string; readonly title: string },
  url: string,
  { clientCode, careless }: { readonly clientCode: string; readonly careless: EnclavePolicy },
): Promise<void> {
  const { trustAnchor } = cloud.kms;
  const enclave = await connectEnclave(url, { trustAnchor, policy: careless });
  await enclave.random(16); // it works, and KMS answers it: what is refused below is the key
  await refuse(report, cloud.evidence, title, [
    {
      what: "the client wants another enclave",
      by: "client",
      code: clientCode,
      run: () => connectEnclave(url, { trustAnchor, policy: policyFor(keys.main.pcrs) }),
    },
    {
      what: "a client that takes it all the same gets nothing decrypted",
      by: "kms",
      code: "ERR_KMS_DENIED",
      record: deniedByKms,
      run: () => enclave.decrypt({ ciphertext, encryptionContext: CONTEXT }),
    },
  ]);
}

type OpenHostile = (part: Promise<Hostile>) => Promise<Hostile>;

/** The gateway enclave, whose parent makes its KMS calls: honestly at first, then not. */
async function hostileGateway(stage: Stage, report: Report, open: OpenHostile): Promise<void> {
  const { cloud, keys } = stage;
  const conducts = gatewayConducts({ role: cloud.role, keyArn: keys.gateway.arn, own: await parentsDataKey(stage) });
  let conduct: GatewayConduct = conducts.passOn;
  const { services, enclave: address } = cloud.stack.sockets("gateway");
  await open(serveGateway(services, () => conduct));
  const policy = policyFor(keys.gateway.pcrs);
  const enclave = await connectEnclave(NOWHERE, {
    trustAnchor: cloud.kms.trustAnchor,
    policy,
    fetch: fetchOver(address),
  });
  const message = await encryptMessage(stage);
  await assertOpens(enclave, message);
  const opening = (how: GatewayConduct, rest: Omit<Attempt, "run">): Attempt => ({
    ...rest,
    run: () => {
      conduct = how;
      return enclave.decryptMessage({ message, encryptionContext: CONTEXT });
    },
  });
  const byEnclave = { by: "enclave", record: { in: "log", label: "gateway enclave" } } as const;
  await refuse(
    report,
    cloud.evidence,
    { id: "forged-gateway", title: "A parent that forges CiphertextForRecipient (gateway)" },
    [
      opening(conducts.forge, {
        ...byEnclave,
        what: "the message is not committed to the parent's data key",
        code: "ERR_DECRYPTION_FAILED",
      }),
      {
        ...byEnclave,
        what: "plain Decrypt: nothing would catch a forgery, so it does not go this way",
        code: "ERR_GATEWAY_REFUSED",
        run: () => enclave.decrypt({ ciphertext: stage.ciphertext, encryptionContext: CONTEXT }),
      },
    ],
  );
  await refuse(
    report,
    cloud.evidence,
    { id: "stripped-recipient", title: "A parent that strips Recipient, to see the plaintext" },
    [
      opening(conducts.stripRecipient, {
        what: "no Recipient, no plaintext",
        by: "kms",
        code: "ERR_KMS_DENIED",
        record: deniedByKms,
      }),
      opening(conducts.answerInPlain, {
        ...byEnclave,
        what: "the parent answers with a plaintext of its own",
        code: "ERR_KMS_ANSWER",
      }),
    ],
  );
  await refuse(report, cloud.evidence, { id: "swapped-key", title: "A parent that swaps the key for one of its own" }, [
    opening(conducts.swapKey, {
      ...byEnclave,
      what: "KMS answered, attested, but with another key",
      code: "ERR_KMS_KEY",
    }),
  ]);
}

/** A data key under the parent's own key. */
async function parentsDataKey({ cloud, keys }: Stage) {
  const { CiphertextBlob } = await cloud.role.send(
    new GenerateDataKeyCommand({ KeyId: keys.parents, KeySpec: "AES_256" }),
  );
  if (CiphertextBlob === undefined) throw new TypeError("parentsDataKey: KMS answers with a ciphertext");
  return { keyArn: keys.parents, ciphertext: CiphertextBlob };
}

/** AES-256-GCM with HKDF-SHA512 and key commitment, unsigned (AWS Encryption SDK, algorithm suites). */
const COMMITTED_SUITE = 0x0478;

/** The secret as a message of the AWS Encryption SDK. */
async function encryptMessage({ cloud, keys }: Stage): Promise<Uint8Array> {
  const { operator } = cloud;
  const keyring = new KmsKeyringNode({
    generatorKeyId: keys.gateway.arn,
    clientProvider: () => ({
      generateDataKey: (request) => operator.send(new GenerateDataKeyCommand(request)),
      encrypt: notAsked,
      decrypt: notAsked,
    }),
  });
  const commitmentPolicy = CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT;
  const sdk = buildClient({ commitmentPolicy, maxEncryptedDataKeys: 1 });
  const options = { encryptionContext: CONTEXT, suiteId: COMMITTED_SUITE };
  const { result } = await sdk.encrypt(keyring, utf8(SECRET), options);
  return new Uint8Array(result);
}

const notAsked = (): never => {
  throw new TypeError("unreachable: a message for one key needs one data key");
};

async function assertOpens(enclave: Enclave, message: Uint8Array): Promise<void> {
  const { plaintext } = await enclave.decryptMessage({ message, encryptionContext: CONTEXT });
  if (equalBytes(plaintext, utf8(SECRET))) return;
  throw new ServiceError("ERR_DECRYPTION_FAILED", "the message opened to another plaintext than the secret");
}

/** The parent of the main enclave is ended, and a hostile one takes its place; the enclave does not know. */
async function hostileTunnel(stage: Stage, report: Report, open: OpenHostile): Promise<void> {
  const { cloud, keys, main, ciphertext } = stage;
  await main.parent.stop();
  const { tunnel, services, enclave: address } = cloud.stack.sockets("main");
  await open(serveCredentials(services, cloud.roleCredentials));
  const { region } = cloud.kms;
  await open(serveForgedKms(tunnel, { region, keyArn: keys.main.arn, plaintext: randomBytes(32) }));
  const policy = policyFor(keys.main.pcrs);
  const enclave = await connectEnclave(NOWHERE, {
    trustAnchor: cloud.kms.trustAnchor,
    policy,
    fetch: fetchOver(address),
  });
  await refuse(
    report,
    cloud.evidence,
    { id: "forged-tunnel", title: "A parent that forges CiphertextForRecipient (tunnel)" },
    [
      {
        what: "TLS ends in the enclave, and this is not KMS under its roots",
        by: "enclave",
        code: "ERR_KMS_UNTRUSTED",
        record: { in: "log", label: "main enclave" },
        run: () => enclave.decrypt({ ciphertext, encryptionContext: CONTEXT }),
      },
    ],
  );
}
