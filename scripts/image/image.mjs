/**
 * `npm run image -- --config FILE`: the enclave's container image and, where nitro-cli is installed, its enclave image file
 * (EIF) with the measurements that key policies and clients pin.
 *
 *   --config FILE         the configuration that goes in as /app/enclave.json
 *   --output FILE         the enclave image file; dist/image/enclave.eif unless given
 *   --tag NAME            the container image's name; nitro-decrypt-enclave unless given
 *   --node-image IMAGE    in the place of Dockerfile.enclave's own; by digest
 *   --npmrc FILE          npm's settings for the build, for who has a registry of their own; nothing of them stays
 *   --signing-certificate FILE, --private-key FILE   sign the enclave image file: it has PCR8 then
 */
import { spawnSync } from "node:child_process";
import { mkdir } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { pcr16OfConfiguration } from "../../dist/shared/attestation/pcr.js";
import { buildImage, findBuilder, outputOf } from "./build.mjs";
import { PROJECT } from "./bundle.mjs";
import { readConfiguration } from "./rootfs.mjs";

const { values } = parseArgs({
  options: {
    config: { type: "string" },
    output: { type: "string", default: join(PROJECT, "dist/image/enclave.eif") },
    tag: { type: "string", default: "nitro-decrypt-enclave" },
    "node-image": { type: "string" },
    npmrc: { type: "string" },
    "signing-certificate": { type: "string" },
    "private-key": { type: "string" },
  },
});

try {
  await makeImage();
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
}

async function makeImage() {
  if (values.config === undefined) throw new Error("npm run image needs a configuration: -- --config FILE");
  const configuration = await readConfiguration(values.config);
  const builder = findBuilder();
  if (builder === undefined)
    throw new Error("npm run image needs docker with its daemon, or buildah: neither works here");
  const { tag, npmrc, "node-image": nodeImage } = values;
  const extra = [
    ...(nodeImage === undefined ? [] : ["--build-arg", `NODE_IMAGE=${nodeImage}`]),
    ...(npmrc === undefined ? [] : ["--secret", `id=npmrc,src=${resolve(npmrc)}`]),
  ];
  console.log(`image ${tag} ${await buildImage({ builder, configuration, tag, extra })}`);
  await measure(builder, configuration);
}

async function measure(builder, configuration) {
  if (spawnSync("nitro-cli", ["--version"], { stdio: "ignore" }).error !== undefined) {
    console.log("nitro-cli is not installed here: build the enclave image file where it is, from the same commit");
    return;
  }
  if (builder !== "docker") throw new Error("nitro-cli takes images from docker's daemon, which does not run here");
  const measurements = await buildEif();
  const pcr16 = Buffer.from(await pcr16OfConfiguration(configuration)).toString("hex");
  for (const [name, value] of Object.entries({ ...measurements, PCR16: pcr16 })) console.log(`${name} ${value}`);
  console.log(`
${values.output} is the enclave image file. Next:
  - PCR0 (or PCR8, where it is signed) and PCR16 go into the policy of each KMS key: kms:RecipientAttestation:PCR0 and so on
  - PCR0, PCR1, PCR2 and PCR16 go into the clients' policies
  - nitro-cli run-enclave --eif-path ${values.output} starts it; with --debug-mode all of these are zeros`);
}

/** @returns PCR0, PCR1, PCR2, and PCR8 where it is signed. */
async function buildEif() {
  await mkdir(dirname(values.output), { recursive: true });
  const signing = ["signing-certificate", "private-key"].flatMap((name) =>
    values[name] ? [`--${name}`, values[name]] : [],
  );
  const args = ["build-enclave", "--docker-uri", values.tag, "--output-file", values.output, ...signing];
  const { HashAlgorithm, ...measurements } = JSON.parse(outputOf("nitro-cli", args)).Measurements;
  if (!/sha384/i.test(HashAlgorithm)) throw new Error(`expected measurements by SHA-384, got ${HashAlgorithm}`);
  return measurements;
}
