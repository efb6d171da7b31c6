/** Sends large chunks to a slow reader and to a fast one, and many small ones, for whoever traces its system calls. */
import { once } from "node:events";
import { connect, createServer, VMADDR_PORT_ANY } from "../../../dist/vsock/index.js";
import { loadAddon } from "../../../dist/vsock/native.js";

loadAddon(process.env.VSOCK_TEST_ADDON);
const server = createServer({}, (socket) => {
  socket.on("data", () => {
    socket.pause();
    setImmediate(() => socket.resume());
  });
}).listen({ cid: 1, port: VMADDR_PORT_ANY });
const socket = connect(server.address());
socket.write(Buffer.alloc(3_000_001));
socket.cork();
for (let count = 0; count < 200; count += 1) socket.write(Buffer.alloc(1_000));
socket.uncork();
socket.end(Buffer.alloc(100_000));
socket.resume();
await once(socket, "close");
process.stdout.write(`${socket.bytesWritten}\n`);
server.close();
