/**
 * The walk of docs/deploy.md, step by step, with simulated AWS in the place of the real one: its scripts, its commands, its
 * policies, and at the end the secret. What differs is the platform's roots, and that sockets stand for vsock.
 */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { CreateKeyCommand, EncryptCommand, PutKeyPolicyCommand } from "@aws-sdk/client-kms";
import { describe, expect, it, onTestFinished } from "vitest";
import { decrypt } from "../../cli/decrypt.js";
import { pcrs } from "../../cli/pcrs.js";
import { TokenVerifier } from "../../enclave/authorization/tokens.js";
import { parseConfiguration } from "../../enclave/configuration.js";
import { createEnclave } from "../../enclave/index.js";
import { createParent } from "../../parent/index.js";
import { utf8 } from "../../shared/bytes.js";
import { parseEif } from "../../shared/eif/eif.js";
import type { EnclaveImage } from "../../simulator/image.js";
import { certificatePem } from "../../simulator/pki/root-file.js";
import type { Simulation } from "../../simulator/simulation.js";
import { startSimulation } from "../../simulator/simulation.js";
import { testFolder } from "../support/folder.js";
import { recordedIo } from "../support/io.js";
import { projectRoot, runCommand } from "../support/project.js";
import { kmsClient } from "../support/simulated-kms.js";
import { read, run, shell } from "./page.js";

const EIF = join(projectRoot, "test/vectors/eif/unsigned.eif");
const hasJq = runCommand("jq", ["--version"], projectRoot).status === 0;

/** Runs a command of nitro-decrypt as in `folder`, at the present. @throws when it fails */
async function nitroDecrypt(
  command: typeof pcrs,
  argv: readonly string[],
  folder: string,
  input: Uint8Array = utf8(""),
) {
  const io = recordedIo({ cwd: folder, now: () => new Date(), input });
  const status = await command.run(argv, io);
  expect({ status, err: io.err }).toEqual({ status: 0, err: "" });
  return io.out;
}

function imageOf(bytes: Uint8Array): EnclaveImage {
  const of = (type: string) =>
    parseEif(bytes)
      .sections.filter((one) => one.type === type)
      .map((one) => one.bytes);
  const [kernel, cmdline] = [of("kernel")[0], of("cmdline")[0]];
  const [base, ...application] = of("ramdisk");
  if (!kernel || !cmdline || !base) throw new Error("expected an image that boots");
  return { kernel, cmdline, ramdisks: [base, ...application] };
}

/** Step 3 in `folder`: the trial issuer, and the configuration by the document's own line. */
function makeConfiguration(folder: string, key: string, region: string): void {
  const made = run("trial-issuer.mjs", ["new", "issuer.key"], folder);
  expect(made).toMatchObject({ status: 0, stderr: "" });
  writeFileSync(join(folder, "issuer.json"), made.stdout);
  mkdirSync(join(folder, "test/readme"), { recursive: true });
  writeFileSync(join(folder, "test/readme/enclave.json"), read("test/readme/enclave.json"));
  const line = shell.join("\n").match(/^jq .*enclave\.json$/m)?.[0] ?? "";
  const result = runCommand("sh", ["-c", `KEY=${key} REGION=${region}\n${line}`], folder);
  expect(result).toMatchObject({ status: 0, stderr: "" });
}

/** Step 5: the enclave and its parent. Returns the parent's URL. */
async function boot(simulation: Simulation, configuration: Uint8Array): Promise<string> {
  const folder = testFolder();
  const at = (name: string): string => `unix:${join(folder, name)}`;
  const { kms, nsm, roleCredentials: credentials } = simulation;
  const [listen, services, tunnel, tls] = [at("enclave"), at("services"), at("tunnel"), at("tls")];
  const enclave = await createEnclave({ configuration, nsm, addresses: { listen, services, tunnel, tls } });
  onTestFinished(() => enclave.close());
  const target = { host: "127.0.0.1", port: kms.port };
  const parent = await createParent({
    ...{ enclaves: [{ name: "16", address: listen }], services, credentials },
    listen: { host: "127.0.0.1", port: 0 },
    tunnel: { listen: tunnel, target, allow: [target], maxConnections: 16 },
  });
  onTestFinished(() => parent.close());
  return parent.url;
}

describe("the walk of docs/deploy.md", () => {
  it.skipIf(!hasJq)("ends in the secret (needs jq)", async () => {
    const folder = testFolder();
    const file = (name: string): string => join(folder, name);
    const rolePolicies = [run("policies.mjs", ["role", "--key", "*"]).stdout];
    const simulation = await startSimulation({ rolePolicies, image: imageOf(readFileSync(EIF)) });
    onTestFinished(() => simulation.close());
    const { kms, region, roleArn, accountId, pki } = simulation;
    const operator = kmsClient(kms, () => new Date());
    onTestFinished(() => operator.destroy());

    const admin = `arn:aws:iam::${accountId}:user/operator`;
    const principals = ["--administrator", admin, "--encrypter", admin, "--role", roleArn, "--context", "tenant"];
    const { stdout: Policy } = run("policies.mjs", ["key", ...principals]);
    const { KeyMetadata } = await operator.send(new CreateKeyCommand({ Policy }));
    const KeyId = KeyMetadata?.Arn ?? "";

    makeConfiguration(folder, KeyId, region);
    const configuration = JSON.parse(readFileSync(file("enclave.json"), "utf8"));
    configuration.kms.roots = [kms.caCertificate];
    writeFileSync(file("enclave.json"), JSON.stringify(configuration));
    writeFileSync(
      file("blue.pcrs.json"),
      await nitroDecrypt(pcrs, [EIF, "--config", "enclave.json", "--json"], folder),
    );

    const released = run("policies.mjs", ["key", ...principals, "--release", "blue=blue.pcrs.json"], folder);
    await operator.send(new PutKeyPolicyCommand({ KeyId, Policy: released.stdout }));
    const url = await boot(simulation, readFileSync(file("enclave.json")));

    const secret = { KeyId, Plaintext: utf8("the secret"), EncryptionContext: { tenant: "acme" } };
    const { CiphertextBlob } = await operator.send(new EncryptCommand(secret));
    writeFileSync(
      file("token"),
      run("trial-issuer.mjs", ["token", "issuer.key", "alice", "tenant=acme"], folder).stdout,
    );
    writeFileSync(file("root.pem"), certificatePem(pki.root.certificateDer));
    const options = ["--pcrs", "blue.pcrs.json", "--token", "token", "--context", "tenant=acme", "--root", "root.pem"];
    expect(await nitroDecrypt(decrypt, ["--url", url, ...options], folder, CiphertextBlob)).toBe("the secret");
  });

  it.skipIf(!hasJq)(
    "has a configuration that names the key, and takes the trial issuer's tokens (needs jq)",
    async () => {
      const folder = testFolder();
      const key = "arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";
      makeConfiguration(folder, key, "eu-west-1");
      const { kms, authorization } = parseConfiguration(readFileSync(join(folder, "enclave.json")));
      expect(kms).toMatchObject({ region: "eu-west-1", keys: [{ arn: key, aliases: ["alias/cards"] }] });
      const { stdout } = run("trial-issuer.mjs", ["token", "issuer.key", "alice", "tenant=acme"], folder);
      const { iat } = JSON.parse(Buffer.from(stdout.split(".")[1] ?? "", "base64url").toString());
      const verifier = await TokenVerifier.create(authorization);
      const { principal } = await verifier.verify(`Bearer ${stdout.trim()}`, iat * 1000);
      expect(principal).toMatchObject({ id: "trial/alice", claims: { tenant: "acme" } });
      await expect(verifier.verify(`Bearer ${stdout.trim()}`, (iat + 640) * 1000)).rejects.toThrowCode(
        "ERR_TOKEN_TIME",
      );
    },
  );

  it("never overwrites a trial issuer's key", () => {
    const folder = testFolder();
    expect(run("trial-issuer.mjs", ["new", "issuer.key"], folder).status).toBe(0);
    const before = readFileSync(join(folder, "issuer.key"), "utf8");
    expect(run("trial-issuer.mjs", ["new", "issuer.key"], folder).status).not.toBe(0);
    expect(readFileSync(join(folder, "issuer.key"), "utf8")).toBe(before);
  });
});
