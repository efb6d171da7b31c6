/** A server with few descriptors: prints where it listens, then the first accept error's code, and answers everyone who gets in. */
import { createServer, VMADDR_PORT_ANY } from "../../../dist/vsock/index.js";
import { loadAddon } from "../../../dist/vsock/native.js";

loadAddon(process.env.VSOCK_TEST_ADDON);
let reported = false;
const server = createServer({}, (socket) => {
  socket.on("error", () => socket.destroy());
  socket.on("data", () => socket.write("!"));
});
server.on("error", ({ code }) => {
  if (!reported) process.stdout.write(`${code}\n`);
  reported = true;
});
server.listen({ cid: 1, port: VMADDR_PORT_ANY }, () => process.stdout.write(`${JSON.stringify(server.address())}\n`));
