/** Ends by itself once nothing that is referenced is open: `life.mjs unref`; or by an uncaught error: `life.mjs throw`. */
import { once } from "node:events";
import { connect, createServer, VMADDR_PORT_ANY } from "../../../dist/vsock/index.js";
import { loadAddon } from "../../../dist/vsock/native.js";

loadAddon(process.env.VSOCK_TEST_ADDON);
const server = createServer({}, (socket) => socket.unref());
server.listen({ cid: 1, port: VMADDR_PORT_ANY }).unref();
// An unreferenced listener alone would end the process before its "listening".
if (!server.listening) throw new Error("not listening");
if (process.argv[2] === "throw") {
  process.once("uncaughtException", (error) => {
    process.stdout.write(`${error.message}\n`);
    process.exit(3);
  });
  connect(server.address(), () => {
    throw new Error("thrown in a callback");
  });
} else {
  const socket = connect(server.address());
  await once(socket, "connect");
  process.stdout.write("idle\n");
  socket.unref();
}
