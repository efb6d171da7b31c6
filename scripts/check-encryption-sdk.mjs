/**
 * The AWS Encryption SDK for JavaScript against the simulated KMS, and with the one for Python: each opens what the other made.
 * Usage: check-encryption-sdk.mjs FOLDER [PYTHON]; the environment says where the KMS is. Prints `ok TITLE` or
 * `FAILED TITLE: reason` per check.
 */
import { spawnSync } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { buildClient, CommitmentPolicy, getClient, KmsKeyringNode } from "@aws-crypto/client-node";
import { CreateKeyCommand, KMS } from "@aws-sdk/client-kms";

const [folder, python] = process.argv.slice(2);
const plaintext = Buffer.from("a message between languages, longer than one frame of sixteen bytes");
const encryptionContext = { tenant: "a", purpose: "check" };
const regional = (region) => ({ region, endpoint: process.env.AWS_ENDPOINT_URL_KMS });

const check = (title, condition, reason = "") => {
  if (!condition) process.exitCode = 1;
  process.stdout.write(condition ? `ok ${title}\n` : `FAILED ${title}: ${reason}\n`);
};

async function newKey(region) {
  const { KeyMetadata } = await new KMS(regional(region)).send(new CreateKeyCommand({}));
  return KeyMetadata.Arn;
}

const [virginia, ireland] = [await newKey("us-east-1"), await newKey("eu-west-1")];
const clientProvider = getClient(KMS, { endpoint: process.env.AWS_ENDPOINT_URL_KMS });
const encrypting = new KmsKeyringNode({ clientProvider, generatorKeyId: virginia, keyIds: [ireland] });
const decrypting = (key) => new KmsKeyringNode({ clientProvider, keyIds: [key] });
const sdk = buildClient({
  commitmentPolicy: CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT,
  maxEncryptedDataKeys: 2,
});

const { result } = await sdk.encrypt(encrypting, plaintext, { encryptionContext, frameLength: 16 });
for (const key of [virginia, ireland]) {
  const opened = await sdk.decrypt(decrypting(key), result);
  check(`JavaScript opens its message with the key in ${key.split(":")[3]}`, opened.plaintext.equals(plaintext));
}
const stranger = await newKey("us-east-1");
const refused = await sdk.decrypt(decrypting(stranger), result).then(
  () => "no error",
  (error) => error.message,
);
check("another key does not open it", /unencrypted ?data ?key|Unencrypted Data Key/i.test(refused), refused);

if (python !== undefined) {
  await writeFile(join(folder, "javascript.message"), result);
  const script = fileURLToPath(new URL("check-encryption-sdk.py", import.meta.url));
  const { status, stdout, stderr } = spawnSync(python, [script, folder, virginia, ireland], { encoding: "utf8" });
  process.stdout.write(stdout);
  check("the Python program ends well", status === 0, stderr.trim().split("\n").at(-1));
  const message = await readFile(join(folder, "python.message"));
  const opened = await sdk.decrypt(decrypting(virginia), message);
  check("JavaScript opens what Python made", opened.plaintext.toString() === "made by Python");
  check("with its encryption context", opened.messageHeader.encryptionContext.tenant === "b");
}
