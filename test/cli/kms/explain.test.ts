/** `nitro-decrypt kms explain`: a refused call, from the request id in the SDK's error to the condition that did not hold. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { KMSServiceException } from "@aws-sdk/client-kms";
import {
  CreateKeyCommand,
  DescribeKeyCommand,
  EncryptCommand,
  GenerateRandomCommand,
  KMSClient,
  PutKeyPolicyCommand,
} from "@aws-sdk/client-kms";
import { afterAll, beforeAll, expect, it } from "vitest";
import { kms } from "../../../cli/kms.js";
import type { RecordedIo } from "../../support/io.js";
import { recordedIo } from "../../support/io.js";

let folder: string;
let server: RecordedIo;
let exit: Promise<number>;
let client: KMSClient;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "nd-"));
  server = recordedIo({ cwd: folder, now: () => new Date() });
  exit = kms.run(["--folder", "files", "--http", "--json"], server);
  const ready = JSON.parse(await server.firstOutput);
  const { accessKey } = JSON.parse(readFileSync(join(folder, "files", "connection.json"), "utf8"));
  client = new KMSClient({ endpoint: ready.endpoint, region: ready.region, credentials: accessKey, maxAttempts: 1 });
});
afterAll(async () => {
  client.destroy();
  server.interrupt();
  expect(await exit).toBe(0);
  rmSync(folder, { recursive: true });
});

async function explain(...argv: string[]) {
  const io = recordedIo({ cwd: folder, now: () => new Date() });
  const exitCode = await kms.run(["explain", "--folder", "files", ...argv], io);
  return { exitCode, out: io.out, err: io.err };
}

it("has nothing to say while no call was refused", async () => {
  const { exitCode, err } = await explain();
  expect([exitCode, err]).toEqual([
    1,
    "nitro-decrypt kms explain: NotFoundException: No call has been refused for want of permission\n",
  ]);
});

it("shows the statement that denied, and the condition's wanted and actual value", async () => {
  const { KeyMetadata } = await client.send(new CreateKeyCommand({}));
  const KeyId = KeyMetadata?.Arn;
  const Policy = JSON.stringify({
    Version: "2012-10-17",
    Statement: [
      { Sid: "Account", Effect: "Allow", Principal: { AWS: "111122223333" }, Action: "kms:*", Resource: "*" },
      {
        ...{ Sid: "OneTenant", Effect: "Deny", Principal: "*", Action: "kms:Encrypt", Resource: "*" },
        Condition: { StringNotEquals: { "kms:EncryptionContext:tenant": "a" } },
      },
    ],
  });
  await client.send(new PutKeyPolicyCommand({ KeyId, Policy }));
  const EncryptionContext = { tenant: "b" };
  const call = client.send(new EncryptCommand({ KeyId, Plaintext: new Uint8Array(1), EncryptionContext }));
  const { name, $metadata } = await call.then(
    () => Promise.reject(new Error("the call was allowed")),
    (error: KMSServiceException) => error,
  );
  expect(name).toBe("AccessDeniedException");
  await client.send(new DescribeKeyCommand({ KeyId }));

  const { exitCode, out } = await explain("--request", $metadata.requestId ?? "");
  expect(exitCode).toBe(0);
  expect(out).toContain(`, request ${$metadata.requestId}: AccessDeniedException\n\nDENIED  kms:Encrypt\n`);
  expect(out).toContain(`      ✓ StringNotEquals kms:EncryptionContext:tenant
          wanted  a
          actual  b
`);
  expect((await explain()).out).toBe(out); // it is the newest refused one, too
  const { decisions } = JSON.parse((await explain("--json")).out);
  expect(decisions).toMatchObject([{ allowed: false, action: "kms:Encrypt", resource: KeyId }]);
});

it("explains what was allowed, too", async () => {
  const { $metadata } = await client.send(new GenerateRandomCommand({ NumberOfBytes: 1 }));
  const { out } = await explain("--request", $metadata.requestId ?? "");
  expect(out).toContain("ALLOWED  kms:GenerateRandom\n");
});

it("knows the newest calls only", async () => {
  const { exitCode, err } = await explain("--request", "no-such-request");
  expect([exitCode, err]).toEqual([
    1,
    "nitro-decrypt kms explain: NotFoundException: There is no call no-such-request among the newest\n",
  ]);
});
