/** A worker that sends back what comes over TLS 1.3, and nothing else: see bare-channels.ts. It posts its port once it listens. */
import { createServer } from "node:tls";
import { parentPort } from "node:worker_threads";
import { generateCertificate } from "../enclave/channels/self-signed-certificate.js";

const { certificateChainPem, privateKey } = await generateCertificate(new Date(), 3_600_000);
const key = privateKey.export({ type: "pkcs8", format: "pem" });
const server = createServer({ cert: certificateChainPem, key, minVersion: "TLSv1.3", noDelay: true }, (socket) => {
  socket.on("data", (part) => socket.write(part));
  socket.on("error", () => socket.destroy()); // the benchmark has ended
});
server.listen(0, "127.0.0.1", () => {
  const address = server.address();
  if (typeof address === "object") parentPort?.postMessage(address?.port);
});
