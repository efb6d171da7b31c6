/** A process of its own: makes so many keys in a simulated KMS, by CreateKey, and prints what they hold in memory. */
import { trustAnchorFromSha256 } from "../shared/attestation/trust-anchor.js";
import { startKms } from "../simulator/endpoint/server.js";
import { signRequest } from "../simulator/iam/sign-request.js";
import { rawClient, rawRequest } from "./raw-client.js";
import { throughput } from "./throughput.js";

const count = Number(process.argv[2]);
const operatorAccessKey = { accessKeyId: "AKIABENCH", secretAccessKey: "bench" };
const kms = await startKms({
  trustAnchor: trustAnchorFromSha256("none", "00".repeat(32)),
  protocol: "http",
  operatorAccessKey,
});
const client = rawClient(kms.port);
const body = Buffer.from("{}");
const request = rawRequest(
  signRequest(
    {
      ...{ host: `127.0.0.1:${kms.port}`, operation: "TrentService.CreateKey", body },
      ...{ region: kms.region, service: "kms", now: new Date() },
    },
    operatorAccessKey,
  ),
  body,
);
const createKey = async (): Promise<void> => {
  const { status } = await client.send(request);
  if (status !== 200) throw new Error(`CreateKey: HTTP status ${status}`);
};
const settledBytes = (): number => {
  globalThis.gc?.();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
};

await throughput(createKey, { calls: 20_000, concurrent: 16 }); // so that the audit log, which is bounded, has its records
const before = settledBytes();
const perSecond = await throughput(createKey, { calls: count, concurrent: 16 });
const after = settledBytes();
client.close();
await kms.close();
console.log(JSON.stringify({ bytesPerKey: (after - before) / count, perSecond, rss: process.memoryUsage().rss }));
