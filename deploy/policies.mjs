/**
 * Writes the three policies of a deployment, as JSON on stdout. Nothing is sent anywhere.
 *
 *   node deploy/policies.mjs key --administrator ARN --encrypter ARN --role ARN [--context NAME[=VALUE]] [--release NAME=FILE]
 *   node deploy/policies.mjs role --key ARN
 *   node deploy/policies.mjs trust
 *
 * key    of the KMS key. FILE is what `nitro-decrypt pcrs … --config … --json` printed; --release may be given several
 *        times, and each release is a statement of its own: with lists of values in one statement, PCR0 of one release
 *        would go with PCR16 of another. --context demands that a pair of the encryption context is there, with any value
 *        or with one. --administrator, --encrypter and --context may be given several times.
 * role   of the parent instance's role, for the keys given; --key may be given several times.
 * trust  who may take the role: EC2.
 *
 * Exit code 2 for wrong usage, 1 for a FILE that pins too little.
 */
import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";

const PINNED = [0, 1, 2, 16];
const attested = (index) => `kms:RecipientAttestation:PCR${index}`;
const UNATTESTED = { Null: { [attested(0)]: "true" } };
const ADMINISTRATION = [
  ...["DescribeKey", "GetKeyPolicy", "PutKeyPolicy", "EnableKey", "DisableKey", "ScheduleKeyDeletion"],
  ...["CancelKeyDeletion", "EnableKeyRotation", "GetKeyRotationStatus", "TagResource", "UntagResource"],
  ...["ListResourceTags", "CreateAlias", "UpdateAlias", "DeleteAlias"],
].map((name) => `kms:${name}`);

const many = { type: "string", multiple: true, default: [] };

try {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { administrator: many, encrypter: many, role: many, context: many, release: many, key: many },
  });
  const make = { key: keyPolicy, role: rolePolicy, trust: trustPolicy }[positionals[0]];
  if (make === undefined || positionals.length !== 1) throw usage("expected one of key, role and trust");
  const document = { Version: "2012-10-17", Statement: make(values) };
  process.stdout.write(`${JSON.stringify(document, null, 2)}\n`);
} catch (error) {
  process.stderr.write(`policies: ${error.message}\n`);
  process.exitCode = error.exitCode ?? (error.code?.startsWith("ERR_PARSE_ARGS") ? 2 : 1);
}

/** The account's root is not named: it would let every IAM policy of the account open the key. */
function keyPolicy({ administrator, encrypter, role, context, release }) {
  const releases = release.map((text) => statementOf(text, { role: given(role, "role"), context }));
  return [
    allow("Administer", given(administrator, "administrator"), ADMINISTRATION),
    ...(encrypter.length > 0 ? [allow("Encrypt", encrypter, ["kms:Encrypt", "kms:GenerateDataKey"])] : []),
    ...releases,
    deny("NoDecryptionWithoutAttestation", ["kms:Decrypt", "kms:DeriveSharedSecret"], { Condition: UNATTESTED }),
    deny("NoWayAround", ["kms:ReEncryptFrom", "kms:CreateGrant"]),
  ];
}

function statementOf(text, { role, context }) {
  const [, name, file] = /^([A-Za-z0-9]+)=(.+)$/.exec(text) ?? [];
  if (name === undefined) throw usage(`--release has the form NAME=FILE, NAME of letters and digits; got "${text}"`);
  const { pcrs } = JSON.parse(readFileSync(file, "utf8"));
  const pairs = PINNED.map((index) => [attested(index), measurement(pcrs?.[index], `${file}: PCR${index}`)]);
  const Condition = { StringEqualsIgnoreCase: Object.fromEntries(pairs) };
  for (const pair of context) demand(Condition, pair);
  return { ...allow(`Release${name}`, role, ["kms:Decrypt", "kms:GenerateDataKey"]), Condition };
}

/** Adds what a pair of the encryption context must be to a condition. */
function demand(condition, pair) {
  const [name, ...rest] = pair.split("=");
  const [operator, value] = rest.length === 0 ? ["Null", "false"] : ["StringEquals", rest.join("=")];
  condition[operator] = { ...condition[operator], [`kms:EncryptionContext:${name}`]: value };
}

function measurement(value, what) {
  if (typeof value !== "string" || !/^[0-9a-f]{96}$/i.test(value))
    throw new Error(`${what} is not 96 hexadecimal digits`);
  if (/^0+$/.test(value))
    throw new Error(`${what} is zero, as in debug mode: whoever runs the instance could read it all`);
  return value.toLowerCase();
}

function rolePolicy({ key }) {
  const use = ["kms:Decrypt", "kms:GenerateDataKey"];
  return [
    { Sid: "Keys", Effect: "Allow", Action: use, Resource: given(key, "key") },
    { Sid: "RandomBytesAndReadiness", Effect: "Allow", Action: "kms:GenerateRandom", Resource: "*" },
    {
      ...{ Sid: "NothingWithoutAttestation", Effect: "Deny", Action: [...use, "kms:GenerateRandom"], Resource: "*" },
      Condition: UNATTESTED,
    },
  ];
}

function trustPolicy() {
  return [{ Effect: "Allow", Principal: { Service: "ec2.amazonaws.com" }, Action: "sts:AssumeRole" }];
}

function allow(Sid, AWS, Action) {
  return { Sid, Effect: "Allow", Principal: { AWS }, Action, Resource: "*" };
}

function deny(Sid, Action, more = {}) {
  return { Sid, Effect: "Deny", Principal: { AWS: "*" }, Action, Resource: "*", ...more };
}

function given(values, name) {
  if (values.length === 0) throw usage(`--${name} is required`);
  return values;
}

function usage(message) {
  return Object.assign(new Error(message), { exitCode: 2 });
}
