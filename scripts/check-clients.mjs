/**
 * Drives the simulated KMS with programs that know nothing of it: boto3, the AWS CLI and the AWS Encryption SDKs for
 * JavaScript and Python, unmodified, over TLS; and a whole deployment with messages of Python's SDK and of the AWS Encryption CLI. Python's are used where they are, or installed into a scratch virtual
 * environment; where neither is possible one line says why, and that is no failure. Needs a build (`npm run build`). Prints one line per check and ends with `N passed, N failed`.
 */
import { spawn } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { startSimulation } from "../dist/simulator/index.js";
import { checkBranchKeys } from "./check-branch-keys.mjs";
import { checkEnclaveMessages } from "./check-enclave-messages.mjs";

const INSTALL_TIMEOUT_MS = 180_000;
/** The AWS CLI starts some hundred times. */
const CHECK_TIMEOUT_MS = 300_000;

const say = (line) => process.stdout.write(`${line}\n`);

/** Runs a command to its end. Never rejects: a command that cannot start has the status -1. */
function run(command, args, { env = process.env, timeout = CHECK_TIMEOUT_MS } = {}) {
  return new Promise((resolve) => {
    const child = spawn(command, args, { env, timeout, stdio: ["ignore", "pipe", "pipe"] });
    const output = { stdout: "", stderr: "" };
    child.stdout.on("data", (chunk) => {
      output.stdout += chunk;
    });
    child.stderr.on("data", (chunk) => {
      output.stderr += chunk;
    });
    child.on("error", (error) => resolve({ ...output, status: -1, stderr: error.message }));
    child.on("close", (status) => resolve({ ...output, status: status ?? -1 }));
  });
}

const lastLine = (text) => text.trim().split("\n").at(-1) ?? "";

/** The commands of a Python with boto3 and the AWS Encryption SDK, and of an AWS CLI; or why there is none. */
async function findClients(folder) {
  const [sdks, cli] = await Promise.all([
    run("python3", ["-c", "import boto3, aws_encryption_sdk"]),
    run("aws", ["--version"]),
  ]);
  const found = { python: sdks.status === 0 ? "python3" : undefined, aws: cli.status === 0 ? "aws" : undefined };
  if (found.python && found.aws) return found;
  const { bin, reason } = await newEnvironment(folder, "venv", ["boto3", "awscli", "aws-encryption-sdk"]);
  if (bin === undefined) return { ...found, reason };
  return { python: found.python ?? join(bin, "python"), aws: found.aws ?? join(bin, "aws") };
}

/** A new virtual environment `name` in the folder, with these packages: its folder of commands, or why there is none. */
async function newEnvironment(folder, name, packages) {
  const venv = join(folder, name);
  const made = await run("python3", ["-m", "venv", venv], { timeout: INSTALL_TIMEOUT_MS });
  if (made.status !== 0) return { reason: `no Python virtual environment: ${lastLine(made.stderr)}` };
  const pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", ...packages];
  const installed = await run(join(venv, "bin", "python"), pip, { timeout: INSTALL_TIMEOUT_MS });
  if (installed.status === 0) return { bin: join(venv, "bin") };
  return { reason: `pip install ${packages.join(" ")}: ${lastLine(installed.stderr)}` };
}

/** The environment that points an AWS client at the simulated KMS, and away from every other configuration. */
function clientEnvironment(simulation, caFile) {
  const { PATH, HOME, LANG } = process.env;
  return {
    ...{ PATH, HOME, LANG },
    AWS_ACCESS_KEY_ID: simulation.operator.accessKeyId,
    AWS_SECRET_ACCESS_KEY: simulation.operator.secretAccessKey,
    AWS_DEFAULT_REGION: simulation.region,
    AWS_ENDPOINT_URL_KMS: simulation.kms.endpoint,
    AWS_CA_BUNDLE: caFile,
    NODE_EXTRA_CA_CERTS: caFile,
    AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED: "true",
    AWS_CONFIG_FILE: "/dev/null",
    AWS_SHARED_CREDENTIALS_FILE: "/dev/null",
    AWS_EC2_METADATA_DISABLED: "true",
    AWS_PAGER: "",
  };
}

/** Runs one client's script, which prints `ok TITLE` or `FAILED TITLE: reason` per check. */
async function check(name, command, args, env) {
  const { stdout, stderr, status } = await run(command, args, { env });
  const lines = stdout
    .trim()
    .split("\n")
    .filter((line) => /^(ok|FAILED) /.test(line));
  const { failed } = told(name, lines);
  if (status === 0 && failed === 0 && lines.length > 0) return { passed: lines.length, failed };
  if (failed === 0) say(`${name}: FAILED to run: ${lastLine(stderr)}`);
  return { passed: lines.length - failed, failed: Math.max(failed, 1) };
}

/** Says the lines of checks, and counts them. */
function told(name, lines) {
  for (const line of lines) say(`${name}: ${line}`);
  const failed = lines.filter((line) => line.startsWith("FAILED")).length;
  return { passed: lines.length - failed, failed };
}

async function main() {
  const folder = await mkdtemp(join(tmpdir(), "nitro-decrypt-clients-"));
  const simulation = await startSimulation();
  try {
    const caFile = join(folder, "ca.pem");
    await writeFile(caFile, simulation.kms.caCertificate);
    const env = clientEnvironment(simulation, caFile);
    // Each in an environment of its own: the CLI needs another version of the SDK than the keyring.
    const [{ python, aws, reason }, cli, keyring] = await Promise.all([
      findClients(folder),
      newEnvironment(folder, "cli", ["aws-encryption-sdk-cli"]),
      newEnvironment(folder, "keyring", ["aws-encryption-sdk[MPL]", "moto[server,dynamodb]"]),
    ]);
    const missing = [
      ...(python ? [] : ["boto3 and the AWS Encryption SDK for Python"]),
      ...(aws ? [] : ["the AWS CLI"]),
    ];
    if (missing.length > 0) say(`skipped: ${missing.join(" and ")}: ${reason}`);
    if (cli.bin === undefined) say(`skipped: the AWS Encryption CLI: ${cli.reason}`);
    if (keyring.bin === undefined) say(`skipped: the hierarchical keyring for Python: ${keyring.reason}`);
    const script = (file) => fileURLToPath(new URL(file, import.meta.url));
    const own = (name) => ({ simulation, folder: join(folder, name), run, env });
    const results = [
      await check(
        "encryption-sdk",
        process.execPath,
        [script("check-encryption-sdk.mjs"), folder, ...(python ? [python] : [])],
        env,
      ),
      ...(python ? [await check("boto3", python, [script("check-boto3.py")], env)] : []),
      ...(python ? [told("enclave-messages", await checkEnclaveMessages({ ...own("m"), python, cli: cli.bin }))] : []),
      ...(keyring.bin
        ? [told("branch-keys", await checkBranchKeys({ ...own("b"), python: join(keyring.bin, "python") }))]
        : []),
      ...(aws ? [await check("aws-cli", "sh", [script("check-aws-cli.sh"), aws, folder], env)] : []),
    ];
    const sum = (key) => results.reduce((total, result) => total + result[key], 0);
    say(`${sum("passed")} passed, ${sum("failed")} failed`);
    if (sum("failed") > 0) process.exitCode = 1;
  } finally {
    await simulation.close();
    await rm(folder, { recursive: true, force: true });
  }
}

await main();
