/** A simulated KMS over a data folder, as a process that can be killed. Says on stdout where it is, as one line of JSON. */
import { trustAnchorFromSha256 } from "../../shared/attestation/trust-anchor.js";
import { startKms } from "../../simulator/endpoint/server.js";
import { OPERATOR } from "./operator.js";

const [folder = "", compactAtBytes = ""] = process.argv.slice(2);
const { endpoint } = await startKms({
  trustAnchor: trustAnchorFromSha256("none", "00".repeat(32)),
  protocol: "http",
  operatorAccessKey: OPERATOR,
  data: { folder, compactAtBytes: Number(compactAtBytes) },
});
process.stdout.write(`${JSON.stringify({ endpoint })}\n`);
