/**
 * A whole simulated deployment and AWS Encryption SDK messages of other languages: what Python and the AWS Encryption CLI make,
 * the enclave opens through the client SDK, and the other way round. Started by check-clients.mjs, within whose process the
 * simulation runs. Reports `ok TITLE` or `FAILED TITLE: reason` per check.
 */
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { collected, createKeys, OTHER_REGION, partsOf, startDeployment } from "./deployment.mjs";

/** Longer than two of the frames. */
const TEXT = "a message between languages, ".repeat(12);
const CONTEXT = { tenant: "a", purpose: "check" };
const SUITES = { unsigned: 0x0478, signed: 0x0578 };
const FRAME_LENGTHS = { framed: 128, unframed: 0 };
const MIB = 1024 * 1024;

const replicaOf = (arn) => arn.replace(/^(arn:aws:kms):[^:]+/, `$1:${OTHER_REGION}`);

/** What Python makes: every suite, framed or not, for one key or two, of one Region or several. */
function toMake({ single, second, multi }) {
  const keySets = {
    "one key": [single],
    "two keys": [second, single],
    "a multi-Region key": [multi],
    "its replica": [replicaOf(multi)],
  };
  return Object.entries(SUITES).flatMap(([signed, suite]) =>
    Object.entries(FRAME_LENGTHS).flatMap(([framed, frameLength]) =>
      Object.entries(keySets).map(([whose, keys]) => ({
        ...{ do: "make", name: `${signed}, ${framed}, ${whose}`, suite, frameLength, keys },
        ...{ context: CONTEXT, text: TEXT },
      })),
    ),
  );
}

/** What the enclave makes, and with which keys others open it. */
function madeByEnclave({ client }, { single, second, multi }) {
  const large = "0123456789abcdef".repeat(MIB / 16);
  const whole = async (text, options) =>
    (await client.encryptMessage({ plaintext: Buffer.from(text), encryptionContext: CONTEXT, ...options })).message;
  const streamed = async (text, options) => {
    const parts = partsOf(...(text.length > 0 ? [Buffer.from(text)] : []));
    return collected((await client.encryptMessageStream(parts, { encryptionContext: CONTEXT, ...options })).message);
  };
  return [
    { name: "signed", text: TEXT, keys: [single], make: whole },
    { name: "unsigned", text: TEXT, keys: [single], signed: false, make: whole },
    { name: "for two keys", text: TEXT, keys: [single, second], make: whole },
    { name: "for a multi-Region key", text: TEXT, keys: [multi], openedWith: [multi, replicaOf(multi)], make: whole },
    { name: "of nothing", text: "", keys: [single], make: whole },
    { name: "streamed", text: large, keys: [single, second], make: streamed },
    { name: "streamed, unsigned", text: large, keys: [single], signed: false, make: streamed },
    { name: "streamed, of nothing", text: "", keys: [single], make: streamed },
  ];
}

async function makeAll(deployment, keys, folder) {
  const made = madeByEnclave(deployment, keys);
  for (const { name, text, keys: keyIds, signed = true, make } of made) {
    await writeFile(join(folder, `${name}.message`), await make(text, { keyIds, signed }));
  }
  return made;
}

/** The enclave opens FOLDER/NAME.message, whole and as a stream. */
async function openHere({ client }, folder, { name, text = TEXT, by = "Python" }) {
  const message = await readFile(join(folder, `${name}.message`));
  const title = `the enclave opens what ${by} made: ${name}`;
  try {
    const whole = await client.decryptMessage({ message, encryptionContext: CONTEXT });
    const stream = await client.decryptMessageStream(partsOf(message), { encryptionContext: CONTEXT });
    const streamed = await collected(stream.plaintext);
    const same = [whole.plaintext, streamed].every((plaintext) => Buffer.from(plaintext).toString() === text);
    return same ? `ok ${title}` : `FAILED ${title}: another plaintext`;
  } catch (error) {
    return `FAILED ${title}: ${error.code ?? error.message}`;
  }
}

const linesOf = (stdout) => stdout.split("\n").filter((line) => /^(ok|FAILED) /.test(line));

async function checkPython(deployment, { keys, folder, python, run, env }) {
  const script = fileURLToPath(new URL("check-enclave-messages.py", import.meta.url));
  const jobs = toMake(keys);
  const opening = (await makeAll(deployment, keys, folder)).flatMap(({ name, text, keys: own, openedWith = own }) =>
    openedWith.map((key, index) => ({ do: "open", name, key, which: index + 1, text, context: CONTEXT })),
  );
  const file = join(folder, "jobs.json");
  await writeFile(file, JSON.stringify([...jobs, ...opening]));
  const { stdout, stderr, status } = await run(python, [script, folder, file], { env });
  const lines = linesOf(stdout);
  if (status !== 0 || lines.length !== opening.length) {
    return [...lines, `FAILED the Python program ends well: ${stderr.trim().split("\n").at(-1)}`];
  }
  for (const job of jobs) lines.push(await openHere(deployment, folder, job));
  return lines;
}

/** The AWS Encryption CLI, which is its SDK for Python of another version. */
async function checkCli(deployment, { keys, folder, cli, run, env }) {
  const [input, output, opened] = ["text", "made by the CLI.message", "opened by the CLI"].map((name) =>
    join(folder, name),
  );
  await writeFile(input, TEXT);
  const context = Object.entries(CONTEXT).map(([name, value]) => `${name}=${value}`);
  const common = ["--suppress-metadata", "--encryption-context", ...context];
  const command = join(cli, "aws-encryption-cli");
  const call = (...args) => run(command, [...args, ...common, "--wrapping-keys", `key=${keys.single}`], { env });
  const made = await call("--encrypt", "--input", input, "--output", output);
  const title = "the Encryption CLI makes a message";
  if (made.status !== 0) return [`FAILED ${title}: ${made.stderr.trim().split("\n").at(-1)}`];
  const lines = [
    `ok ${title}`,
    await openHere(deployment, folder, { name: "made by the CLI", by: "the Encryption CLI" }),
  ];
  for (const name of ["signed", "unsigned", "streamed"]) {
    const source = join(folder, `${name}.message`);
    const { status, stderr } = await call("--decrypt", "--input", source, "--output", opened);
    const expected = name === "streamed" ? "0123456789abcdef".repeat(MIB / 16) : TEXT;
    const same = status === 0 && (await readFile(opened, "utf8")) === expected;
    const what = `the Encryption CLI opens what the enclave made: ${name}`;
    lines.push(same ? `ok ${what}` : `FAILED ${what}: ${stderr.trim().split("\n").at(-1)}`);
  }
  return lines;
}

/**
 * The lines of all checks.
 * @param options simulation, folder (its own, with a short path), python (a command), cli (the folder of
 *   `aws-encryption-cli`, which is not checked without),
 *   run and env as in check-clients.mjs.
 */
export async function checkEnclaveMessages({ simulation, folder, python, cli, run, env }) {
  await mkdir(folder);
  const keys = await createKeys(simulation, { single: {}, second: {}, multi: { MultiRegion: true } });
  const deployment = await startDeployment(simulation, { folder, keys });
  try {
    const lines = await checkPython(deployment, { keys, folder, python, run, env });
    return cli ? [...lines, ...(await checkCli(deployment, { keys, folder, cli, run, env }))] : lines;
  } finally {
    await deployment.close();
  }
}
