/** `nitro-decrypt parent` with a key store of branch keys. */
import { join } from "node:path";
import { expect, it } from "vitest";
import { parent } from "../../cli/parent.js";
import { utf8 } from "../../shared/bytes.js";
import { requestOver } from "../../transport/http.js";
import { testFolder } from "../support/folder.js";
import { recordedIo } from "../support/io.js";
import { folderKeyStore, TABLE } from "../support/key-store.js";

const optionsIn = (cwd: string): string[] => [
  ...["--enclave", `unix:${join(cwd, "e")}`, "--listen", "127.0.0.1:0", "--services", `unix:${join(cwd, "s")}`],
  ...["--tunnel", `unix:${join(cwd, "t")}`, "--kms-target", "127.0.0.1:443", "--json", "--log-level", "silent"],
];

it("answers the enclave out of the folder that it is given, under the table's name", async () => {
  const cwd = testFolder();
  const { path, folder } = folderKeyStore();
  const record = { "branch-key-id": { S: "a" }, type: { S: "branch:ACTIVE" } };
  await folder.write([record], async () => undefined);
  const io = recordedIo({ cwd });
  const exit = parent.run([...optionsIn(cwd), "--branch-keys-table", TABLE, "--branch-keys-folder", path], io);
  await io.firstOutput;
  const body = { TableName: TABLE, Key: record, ConsistentRead: true };
  const answer = await requestOver(`unix:${join(cwd, "s")}`, {
    ...{ method: "POST", path: "/dynamodb", headers: { "content-type": "application/json" } },
    body: utf8(JSON.stringify({ target: "DynamoDB_20120810.GetItem", body })),
    ...{ deadlineMs: 5_000, maxResponseBytes: 10_000 },
  });
  expect(JSON.parse(new TextDecoder().decode(answer.body))).toEqual({ Item: record });
  io.interrupt();
  expect(await exit).toBe(0);
});

it("wants the table's name with a folder", async () => {
  const cwd = testFolder();
  const io = recordedIo({ cwd });
  expect(await parent.run([...optionsIn(cwd), "--branch-keys-folder", "keys"], io)).toBe(2);
  expect(io.err).toContain("--branch-keys-table is required");
});
