/**
 * `npm run bench`: every suite, one table. `-- --smoke` takes few runs, to see that the suites work; `-- --json` prints rows
 * for machines. Exits with 1 when a bound is missed, in a full run only: a smoke run is too short to judge.
 */
import { parseArgs } from "node:util";
import * as authorization from "./authorization.js";
import * as channels from "./channels.js";
import * as cms from "./cms.js";
import * as durability from "./durability.js";
import * as enclave from "./enclave.js";
import * as kms from "./kms.js";
import * as kmsServer from "./kms-server.js";
import * as messages from "./messages.js";
import * as policy from "./policy.js";
import * as streams from "./streams.js";
import type { Row } from "./table.js";
import { formatTable, isBelow } from "./table.js";
import * as verify from "./verify.js";
import * as vsock from "./vsock.js";

const SUITES = {
  verify,
  cms,
  authorization,
  policy,
  kms,
  "kms-server": kmsServer,
  durability,
  channels,
  messages,
  streams,
  enclave,
  vsock,
};

const { values, positionals } = parseArgs({
  options: { smoke: { type: "boolean", default: false }, json: { type: "boolean", default: false } },
  allowPositionals: true,
});

const rows: Row[] = [];
let known = false;
for (const [name, suite] of Object.entries(SUITES)) {
  if (positionals.length > 0 && !positionals.includes(name)) continue;
  known = true;
  const measured = await suite.run({ smoke: values.smoke });
  if (!values.json && measured.length > 0) console.log(`${name}\n${formatTable(measured)}\n`);
  rows.push(...measured);
}
if (values.json) console.log(JSON.stringify({ node: process.version, smoke: values.smoke, rows }, null, 2));
if (!known) throw new Error(`expected one or more of ${Object.keys(SUITES).join(", ")}`);
if (!values.smoke && rows.some(isBelow)) process.exitCode = 1;
