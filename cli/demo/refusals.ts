/**
 * The second half of the demo: the ways to cheat. Each changes one thing against the first half, where all went well; the
 * enclaves that differ show first that they work otherwise (attested GenerateRandom), so that a refusal means what it says.
 */
import { DecryptCommand } from "@aws-sdk/client-kms";
import { connectEnclave } from "../../client/connect.js";
import type { EnclavePolicy } from "../../client/policy.js";
import { pcr16OfConfiguration } from "../../shared/attestation/pcr.js";
import { toHex } from "../../shared/bytes.js";
import { DENIED_BY_KMS, refuse } from "./attempt.js";
import type { Hostile } from "./hostile-parent.js";
import { hostileGateway, hostileTunnel } from "./hostile-refusals.js";
import { ZERO_PCR } from "./image.js";
import { hostileRelay } from "./relay-refusals.js";
import type { Report } from "./report.js";
import type { Variant } from "./stage.js";
import { bootGatewayEnclave, bootVariant, configurationOf } from "./stage.js";
import type { Stage } from "./story.js";
import { CONTEXT, callerOf, policyFor } from "./story.js";

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
    await hostileRelay(stage, report, open);
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
  const reconfigured = configurationOf(cloud, [keys.main.arn, keys.parents]);
  return {
    changed: open(bootVariant(cloud, "changed", { image: changed, configuration })),
    debug: open(bootVariant(cloud, "debug", { image: original, debug: true, configuration })),
    reconfigured: open(bootVariant(cloud, "reconfigured", { image: original, configuration: reconfigured })),
  };
}

async function withoutAttestation({ cloud, keys, ciphertext }: Stage, report: Report): Promise<void> {
  const command = () =>
    new DecryptCommand({ KeyId: keys.main.arn, CiphertextBlob: ciphertext, EncryptionContext: CONTEXT });
  const attempt = { by: "kms", code: "AccessDeniedException", record: DENIED_BY_KMS } as const;
  await refuse(report, cloud.evidence, { id: "no-attestation", title: "Decrypt without attestation" }, [
    { ...attempt, what: "the parent's role asks, with the plain AWS SDK", run: () => cloud.role.send(command()) },
    { ...attempt, what: "the key's administrator asks", run: () => cloud.operator.send(command()) },
  ]);
}

async function wrongContext(stage: Stage, report: Report): Promise<void> {
  const { cloud, keys, main, ciphertext, enclave } = stage;
  const keyId = keys.main.arn;
  const other = await connectEnclave(main.parent.url, {
    trustAnchor: cloud.kms.trustAnchor,
    policy: policyFor(keys.main.pcrs),
    ...(await callerOf(cloud, "bob", "globex")),
  });
  const decrypt =
    (encryptionContext: Readonly<Record<string, string>>, asked = enclave) =>
    () =>
      asked.decrypt({ ciphertext, keyId, encryptionContext });
  await refuse(report, cloud.evidence, { id: "wrong-context", title: "A wrong encryption context" }, [
    {
      what: "another tenant's: alice is not of that tenant, and KMS is not even asked",
      by: "enclave",
      code: "ERR_NOT_AUTHORIZED",
      record: { in: "log", label: "main enclave" },
      run: decrypt({ ...CONTEXT, tenant: "globex" }),
    },
    {
      what: "bob is, but the key policy says no",
      by: "kms",
      code: "ERR_KMS_DENIED",
      record: DENIED_BY_KMS,
      run: decrypt({ ...CONTEXT, tenant: "globex" }, other),
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
  const configuration = configurationOf(cloud, [keys.main.arn, keys.parents]);
  const own = { ...keys.main.pcrs, 16: toHex(await pcr16OfConfiguration(configuration)) };
  const title = "The right image with a changed configuration: one more key (PCR16)";
  await refuseVariant(stage, report, { id: "changed-configuration", title }, url, {
    clientCode: "ERR_PCR_MISMATCH",
    careless: policyFor(own),
  });
}

/** An enclave that is not the one: the careful client refuses it; for the one that takes it all the same, KMS does. */
async function refuseVariant(
  { cloud, keys, ciphertext, caller }: Stage,
  report: Report,
  title: { readonly id: string; readonly title: string },
  url: string,
  { clientCode, careless }: { readonly clientCode: string; readonly careless: EnclavePolicy },
): Promise<void> {
  const { trustAnchor } = cloud.kms;
  const enclave = await connectEnclave(url, { trustAnchor, policy: careless, ...caller });
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
      record: DENIED_BY_KMS,
      run: () => enclave.decrypt({ ciphertext, keyId: keys.main.arn, encryptionContext: CONTEXT }),
    },
  ]);
}
