/**
 * Branch keys of a tenant between an enclave and the hierarchical keyring for Python, over one table of moto's DynamoDB: Python's
 * own key store makes the branch key, and each side opens what the other made. Started by check-clients.mjs, within whose
 * process the simulation runs. Reports `ok TITLE` or `FAILED TITLE: reason` per check.
 */
import { spawn } from "node:child_process";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { createKeys, startDeployment } from "./deployment.mjs";

const START_TIMEOUT_MS = 60_000;
const TEXT = "a message between languages, under the branch key of a tenant";
const STORE = { table: "branch-keys", logicalName: "tenants-keys" };
const CONTEXT = { tenant: "acme", purpose: "check" };

/** DynamoDB on a free port of this machine. */
async function startMoto(python, env) {
  const child = spawn(join(dirname(python), "moto_server"), ["-H", "127.0.0.1", "-p", "0"], {
    env,
    stdio: ["ignore", "ignore", "pipe"],
  });
  const timer = setTimeout(() => child.kill(), START_TIMEOUT_MS);
  const endpoint = await new Promise((resolve, reject) => {
    let said = "";
    child.stderr.on("data", (chunk) => {
      said += chunk;
      const [, url] = /Running on (http:\/\/[\d.:]+)/.exec(said) ?? [];
      if (url !== undefined) resolve(url);
    });
    child.on("error", reject).on("close", () => reject(new Error("moto_server ended before it listened")));
  });
  clearTimeout(timer);
  return { endpoint, stop: () => child.kill() };
}

/** A command of check-hierarchical-keyring.py: its line. */
function pythonFor({ python, folder, run, env, keyArn }) {
  const script = fileURLToPath(new URL("check-hierarchical-keyring.py", import.meta.url));
  return async (command, more = {}) => {
    const file = join(folder, "asked.json");
    await writeFile(
      file,
      JSON.stringify({ ...STORE, keyArn, branchKey: CONTEXT.tenant, context: CONTEXT, text: TEXT, ...more }),
    );
    const { stdout, stderr } = await run(python, [script, command, folder, file], { env });
    return stdout.split("\n").find((line) => /^(ok|FAILED) /.test(line)) ?? `FAILED ${command}: ${stderr.slice(-200)}`;
  };
}

async function exchange({ client }, folder, python) {
  const lines = [];
  for (const signed of [true, false]) {
    const name = `the enclave's, ${signed ? "signed" : "unsigned"}`;
    const made = await client.encryptMessage({ plaintext: Buffer.from(TEXT), encryptionContext: CONTEXT, signed });
    await writeFile(join(folder, `${name}.message`), made.message);
    lines.push(await python("open", { name }));
  }
  lines.push(await python("make", { name: "Python's" }));
  const message = await readFile(join(folder, "Python's.message"));
  const title = "the enclave opens what Python's hierarchical keyring made";
  const opened = await client.decryptMessage({ message, encryptionContext: CONTEXT }).catch((error) => error);
  const same = opened.plaintext !== undefined && Buffer.from(opened.plaintext).toString() === TEXT;
  return [...lines, same ? `ok ${title}` : `FAILED ${title}: ${opened.code ?? "another plaintext"}`];
}

/**
 * The lines of all checks.
 * @param options simulation, folder (its own, with a short path), python (of an environment with the AWS Encryption SDK's MPL and
 *   moto), run and env as in check-clients.mjs.
 */
export async function checkBranchKeys({ simulation, folder, python, run, env: given }) {
  await mkdir(folder);
  const moto = await startMoto(python, given);
  try {
    const env = { ...given, AWS_ENDPOINT_URL_DYNAMODB: moto.endpoint };
    const keys = await createKeys(simulation, { branch: {} });
    const asked = pythonFor({ python, folder, run, env, keyArn: keys.branch });
    const lines = [await asked("create-table"), await asked("create-key")];
    const { region, operator: credentials } = simulation;
    const table = new DynamoDBClient({ region, credentials, endpoint: moto.endpoint });
    const dataKeys = {
      kind: "branchKeys",
      keyId: keys.branch,
      logicalKeyStoreName: STORE.logicalName,
      tableName: STORE.table,
    };
    const deployment = await startDeployment(simulation, {
      ...{ folder, keys, messages: { dataKeys } },
      branchKeys: { kind: "dynamodb", client: table, table: STORE.table },
    });
    try {
      return [...lines, ...(await exchange(deployment, folder, asked))];
    } finally {
      await deployment.close();
      table.destroy();
    }
  } finally {
    moto.stop();
  }
}
