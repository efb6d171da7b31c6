/** `nitro-decrypt dev`: the whole stack on this machine until Ctrl-C, and how to call it. */
import { EncryptCommand } from "@aws-sdk/client-kms";
import { utf8 } from "../shared/bytes.js";
import { base64Of } from "../shared/wire.js";
import { defineCommand } from "./command.js";
import { Evidence } from "./demo/evidence.js";
import { writeImages } from "./demo/image.js";
import type { AttestedKey, Cloud, Running } from "./demo/stage.js";
import { bootMain, enterCloud, makeAttestedKey, openKey, TENANT } from "./demo/stage.js";
import { LocalStack } from "./local-stack.js";
import { parseHostPort, parseOptions } from "./options.js";
import { runUntilInterrupted, SERVICE_OPTIONS, SERVICE_USAGE } from "./service.js";

const usage = `Runs the whole stack on this machine: simulated AWS KMS and NSM, an enclave and its parent, a process each.

Usage: nitro-decrypt dev [--listen HOST:PORT] [options]

It makes a key that only this enclave can use, and prints lines to call it with. Everything is gone when it ends.

  --listen HOST:PORT  where the parent serves its HTTP API, default 127.0.0.1:8080
${SERVICE_USAGE}`;

const CONTEXT = { tenant: TENANT };
/** 32 bytes in base64url. */
const NONCE_EXAMPLE = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";
const SAMPLE = "a secret from nitro-decrypt dev";

export const dev = defineCommand({
  name: "dev",
  summary: "the whole stack on this machine until Ctrl-C",
  usage,
  async execute(argv, io) {
    const options = parseOptions(argv, {
      ...SERVICE_OPTIONS,
      "log-level": { type: "string", default: "warn" },
      listen: { type: "string", default: "127.0.0.1:8080" },
    });
    parseHostPort(options.listen, "listen");
    const stack = await LocalStack.create({
      env: io.env,
      logLevel: options["log-level"],
      signal: io.interrupted,
      onLog: (label, line) => io.stderr(`${label}: ${line}\n`),
    });
    try {
      const [images, kms] = await Promise.all([writeImages(stack.folder), stack.startKms()]);
      const cloud = await enterCloud({ stack, evidence: new Evidence(), images, kms });
      const key = await makeAttestedKey(cloud, "tunnel");
      await openKey(cloud, key);
      const running = await bootMain(cloud, key, options.listen);
      const announcement = { event: eventOf(cloud, key, running), text: await describe(cloud, key, running) };
      const until = { ...io, interrupted: AbortSignal.any([io.interrupted, stack.broken]) };
      const exitCode = await runUntilInterrupted(until, stack, announcement, options.json);
      if (stack.broken.aborted) throw stack.broken.reason;
      return exitCode;
    } finally {
      await stack.close();
    }
  },
});

function eventOf({ kms }: Cloud, { arn, pcrs }: AttestedKey, { parent }: Running) {
  const { endpoint, caFile, credentialsFile, configFile, trustAnchor } = kms;
  const aws = { endpoint, caFile, credentialsFile, configFile };
  return { service: "dev", url: parent.url, keyArn: arn, encryptionContext: CONTEXT, pcrs, trustAnchor, kms: aws };
}

async function describe({ kms, operator }: Cloud, { arn, pcrs }: AttestedKey, { parent }: Running): Promise<string> {
  const { CiphertextBlob = new Uint8Array() } = await operator.send(
    new EncryptCommand({ KeyId: arn, Plaintext: utf8(SAMPLE), EncryptionContext: CONTEXT }),
  );
  const ciphertext = base64Of(CiphertextBlob);
  const body = JSON.stringify({ ciphertext, encryptionContext: CONTEXT });
  const reference = Object.entries(pcrs).map(([index, value]) => `      ${index}: "${value}",`);
  return `The stack runs: simulated AWS KMS and NSM, an enclave, its parent. Ctrl-C ends it.

  parent's API   ${parent.url}
  KMS            ${kms.endpoint}
  key            ${arn}

Ask the enclave, through its parent (the answer is base64 of "${SAMPLE}"):
  curl -s ${parent.url}/healthz
  curl -s ${parent.url}/readyz
  curl -s ${parent.url}/v1/decrypt -H 'content-type: application/json' -d '${body}'

Verify the enclave's attestation document:
  curl -s '${parent.url}/attestation?nonce=${NONCE_EXAMPLE}' > attestation.json
  nitro-decrypt verify attestation.json --root ${kms.rootFile} --pcr0 ${pcrs[0]} --pcr1 ${pcrs[1]} --pcr2 ${pcrs[2]}

Encrypt as the key's administrator (AWS CLI, boto3 and the AWS SDKs read these variables):
  export AWS_SHARED_CREDENTIALS_FILE=${kms.credentialsFile} AWS_CONFIG_FILE=${kms.configFile}
  export AWS_CA_BUNDLE=${kms.caFile} NODE_EXTRA_CA_CERTS=${kms.caFile}
  aws kms encrypt --key-id ${arn} --encryption-context tenant=${TENANT} --plaintext "$(printf hello | base64)"

Verify the enclave and decrypt, from JavaScript:
  import { connectEnclave, trustAnchorFromSha256 } from "nitro-decrypt";
  const enclave = await connectEnclave("${parent.url}", {
    trustAnchor: trustAnchorFromSha256("simulated", "${kms.trustAnchor.sha256}"),
    policy: {
      pcrs: [{
  ${reference.join("\n  ")}
      }],
      freshness: { kind: "within", seconds: 60, skewSeconds: 5 },
      debug: "reject",
      userData: { kind: "absent" },
      publicKey: { kind: "absent" },
    },
  });
  const ciphertext = Buffer.from("${ciphertext}", "base64");
  const { plaintext } = await enclave.decrypt({ ciphertext, encryptionContext: { tenant: "${TENANT}" } });
  console.log(new TextDecoder().decode(plaintext));
`;
}
