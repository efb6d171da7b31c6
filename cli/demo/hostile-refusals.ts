/**
 * The ways to cheat of a parent that does not do its part: as the gateway of an enclave without TLS of its own, and at the
 * tunnel's end. The client and the enclave are the ordinary ones.
 */
import { randomBytes } from "node:crypto";
import { GenerateDataKeyCommand } from "@aws-sdk/client-kms";
import { connectEnclave } from "../../client/connect.js";
import type { Enclave } from "../../client/enclave.js";
import { equalBytes, utf8 } from "../../shared/bytes.js";
import { ServiceError } from "../../shared/errors.js";
import type { Attempt } from "./attempt.js";
import { DENIED_BY_KMS, refuse } from "./attempt.js";
import { fetchOver } from "./fetch-over.js";
import type { GatewayConduct, Hostile } from "./hostile-parent.js";
import { gatewayConducts, serveCredentials, serveForgedKms, serveGateway } from "./hostile-parent.js";
import { encryptMessage } from "./message.js";
import type { Report } from "./report.js";
import type { Stage } from "./story.js";
import { CONTEXT, policyFor, SECRET } from "./story.js";

/** Requests go to the enclave's address directly; the URL's host is nobody's. */
const NOWHERE = "http://enclave.invalid";

/** Notes what has to be closed in the end. */
export type OpenHostile = (part: Promise<Hostile>) => Promise<Hostile>;

/** The gateway enclave, whose parent makes its KMS calls: honestly at first, then not. */
export async function hostileGateway(stage: Stage, report: Report, open: OpenHostile): Promise<void> {
  const { cloud, keys, caller } = stage;
  const conducts = gatewayConducts({ role: cloud.role, keyArn: keys.gateway.arn, own: await parentsDataKey(stage) });
  let conduct: GatewayConduct = conducts.passOn;
  const { services, enclave: address } = cloud.stack.sockets("gateway");
  await open(serveGateway(services, () => conduct));
  const policy = policyFor(keys.gateway.pcrs);
  const enclave = await connectEnclave(NOWHERE, {
    trustAnchor: cloud.kms.trustAnchor,
    policy,
    fetch: fetchOver(address),
    ...caller,
  });
  const message = await encryptMessage(cloud, { keyArn: keys.gateway.arn, encryptionContext: CONTEXT }, utf8(SECRET));
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
        record: DENIED_BY_KMS,
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

async function assertOpens(enclave: Enclave, message: Uint8Array): Promise<void> {
  const { plaintext } = await enclave.decryptMessage({ message, encryptionContext: CONTEXT });
  if (equalBytes(plaintext, utf8(SECRET))) return;
  throw new ServiceError("ERR_DECRYPTION_FAILED", "the message opened to another plaintext than the secret");
}

/** The parent of the main enclave is ended, and a hostile one takes its place; the enclave does not know. */
export async function hostileTunnel(stage: Stage, report: Report, open: OpenHostile): Promise<void> {
  const { cloud, keys, main, ciphertext, caller } = stage;
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
    ...caller,
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
