/** `nitro-decrypt dev`: the whole stack on this machine until Ctrl-C, and how to call it. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { EncryptCommand } from "@aws-sdk/client-kms";
import { utf8 } from "../shared/bytes.js";
import { defineCommand } from "./command.js";
import { Evidence } from "./demo/evidence.js";
import { writeImages } from "./demo/image.js";
import type { AttestedKey, Cloud, Running } from "./demo/stage.js";
import { bootMain, enterCloud, makeAttestedKey, openKey, TENANT } from "./demo/stage.js";
import { LocalStack } from "./local-stack.js";
import { parseHostPort, parseOptions, parseOrigin } from "./options.js";
import { runUntilInterrupted, SERVICE_OPTIONS, SERVICE_USAGE } from "./service.js";

const usage = `Runs the whole stack on this machine: simulated AWS KMS and NSM, an enclave and its parent, a process each.

Usage: nitro-decrypt dev [--listen HOST:PORT] [--tls-listen HOST:PORT] [--allow-origin ORIGIN] [options]

It makes a key that only this enclave can use and an issuer of tokens, writes what a client needs into a folder, and prints
lines to call it with. Everything is gone when it ends.

  --listen HOST:PORT      where the parent serves its HTTP API, default 127.0.0.1:8080
  --tls-listen HOST:PORT  where the parent passes TLS on to the enclave, default 127.0.0.1:8443
  --allow-origin ORIGIN   pages of this origin may call the API from a browser; may be given several times
${SERVICE_USAGE}`;

const CONTEXT = { tenant: TENANT };
/** 32 bytes in base64url. */
const NONCE_EXAMPLE = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";
const SAMPLE = "a secret from nitro-decrypt dev";
const TOKEN_LIFETIME_SECONDS = 3_600;

export const dev = defineCommand({
  name: "dev",
  summary: "the whole stack on this machine until Ctrl-C",
  usage,
  async execute(argv, io) {
    const options = parseOptions(argv, {
      ...SERVICE_OPTIONS,
      "log-level": { type: "string", default: "warn" },
      listen: { type: "string", default: "127.0.0.1:8080" },
      "tls-listen": { type: "string", default: "127.0.0.1:8443" },
      "allow-origin": { type: "string", multiple: true },
    });
    const { listen, "tls-listen": tlsListen } = options;
    parseHostPort(listen, "listen");
    parseHostPort(tlsListen, "tls-listen");
    const allowOrigins = (options["allow-origin"] ?? []).map(parseOrigin);
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
      const running = await bootMain(cloud, key, { listen, tlsListen, allowOrigins });
      const files = await writeClientFiles(cloud, key);
      const announcement = {
        event: eventOf(cloud, key, { ...running, files }),
        text: describe(cloud, key, { ...running, files }),
      };
      const until = { ...io, interrupted: AbortSignal.any([io.interrupted, stack.broken]) };
      const exitCode = await runUntilInterrupted(until, stack, announcement, options.json);
      if (stack.broken.aborted) throw stack.broken.reason;
      return exitCode;
    } finally {
      await stack.close();
    }
  },
});

/** What a client needs, in files. */
interface ClientFiles {
  readonly pcrs: string;
  readonly token: string;
  /** A ciphertext of the key. */
  readonly ciphertext: string;
}

interface RunningDev extends Running {
  readonly files: ClientFiles;
}

async function writeClientFiles(cloud: Cloud, { arn, pcrs }: AttestedKey): Promise<ClientFiles> {
  const { stack, operator, issuer } = cloud;
  const claims = { tenant: TENANT };
  const token = await issuer.issue({ subject: "developer", claims, lifetimeSeconds: TOKEN_LIFETIME_SECONDS });
  const { CiphertextBlob = new Uint8Array() } = await operator.send(
    new EncryptCommand({ KeyId: arn, Plaintext: utf8(SAMPLE), EncryptionContext: CONTEXT }),
  );
  const named = Object.fromEntries(Object.entries(pcrs).map(([index, value]) => [`PCR${index}`, value]));
  const files = { pcrs: "pcrs.json", token: "token", ciphertext: "secret.ciphertext" };
  const contents = { pcrs: `${JSON.stringify(named, null, 2)}\n`, token, ciphertext: CiphertextBlob };
  const write = async (name: keyof ClientFiles): Promise<string> => {
    const path = join(stack.folder, files[name]);
    await writeFile(path, contents[name], { mode: 0o600 });
    return path;
  };
  return { pcrs: await write("pcrs"), token: await write("token"), ciphertext: await write("ciphertext") };
}

function eventOf({ kms }: Cloud, { arn, pcrs }: AttestedKey, { parent, files }: RunningDev) {
  const { endpoint, caFile, credentialsFile, configFile, rootFile, trustAnchor } = kms;
  const aws = { endpoint, caFile, credentialsFile, configFile };
  const { url, tls } = parent;
  return {
    service: "dev",
    url,
    tls,
    keyArn: arn,
    encryptionContext: CONTEXT,
    pcrs,
    trustAnchor,
    rootFile,
    files,
    kms: aws,
  };
}

function describe({ kms }: Cloud, { arn, pcrs }: AttestedKey, { parent, files }: RunningDev): string {
  const registers = Object.entries(pcrs)
    .map(([index, value]) => `--pcr${index} ${value}`)
    .join(" ");
  const attested = `--pcrs ${files.pcrs} --root ${kms.rootFile} --token ${files.token}`;
  return `The stack runs: simulated AWS KMS and NSM, an enclave, its parent. Ctrl-C ends it.

  parent's API   ${parent.url}
  enclave's TLS  ${parent.tls}, through the parent
  KMS            ${kms.endpoint}
  key            ${arn}
  files          ${files.pcrs}
                 ${files.token} (tenant ${TENANT}, for an hour)
                 ${files.ciphertext}

How is it?
  curl -s ${parent.url}/healthz
  curl -s ${parent.url}/readyz

Decrypt, by a sealed request and through TLS that ends in the enclave ("${SAMPLE}"):
  nitro-decrypt decrypt --url ${parent.url} ${attested} \\
    --context tenant=${TENANT} < ${files.ciphertext}
  nitro-decrypt decrypt --url tls://${parent.tls} ${attested} \\
    --context tenant=${TENANT} < ${files.ciphertext}

Verify the enclave's attestation document:
  curl -s '${parent.url}/attestation?nonce=${NONCE_EXAMPLE}' > attestation.json
  nitro-decrypt verify attestation.json --root ${kms.rootFile} ${registers}

Encrypt as the key's administrator (AWS CLI, boto3 and the AWS SDKs read these variables):
  export AWS_SHARED_CREDENTIALS_FILE=${kms.credentialsFile} AWS_CONFIG_FILE=${kms.configFile}
  export AWS_CA_BUNDLE=${kms.caFile} NODE_EXTRA_CA_CERTS=${kms.caFile}
  aws kms encrypt --key-id ${arn} --encryption-context tenant=${TENANT} --plaintext "$(printf hello | base64)"

Verify the enclave and decrypt, from JavaScript:
  import { readFileSync } from "node:fs";
  import { connectEnclave, trustAnchorFromSha256 } from "nitro-decrypt";
  const pcrs = JSON.parse(readFileSync("${files.pcrs}", "utf8"));
  const enclave = await connectEnclave("${parent.url}", {
    trustAnchor: trustAnchorFromSha256("simulated", "${kms.trustAnchor.sha256}"),
    policy: {
      pcrs: [{ 0: pcrs.PCR0, 1: pcrs.PCR1, 2: pcrs.PCR2, 16: pcrs.PCR16 }],
      configuration: "pinned",
      freshness: { kind: "within", seconds: 60, skewSeconds: 5 },
      debug: "reject",
    },
    token: readFileSync("${files.token}", "utf8"),
  });
  const ciphertext = readFileSync("${files.ciphertext}");
  const { plaintext } = await enclave.decrypt({ ciphertext, encryptionContext: { tenant: "${TENANT}" } });
  console.log(new TextDecoder().decode(plaintext));
`;
}
