/** AF_VSOCK streams for Node in the habits of node:net, and the ioctl of the Nitro Security Module. */

export type { ConnectOptions } from "./connect.js";
export { connect } from "./connect.js";
export { addEntropy, NSM_REQUEST_MAX_BYTES, nsmRequest, setRealtimeClock } from "./device.js";
export type { Endpoint, VsockError } from "./errors.js";
export { assertAvailable } from "./native.js";
export type { ListenOptions, ServerOptions } from "./server.js";
export { createServer, VsockServer } from "./server.js";
export type { SocketOptions } from "./socket.js";
export { VsockSocket } from "./socket.js";

/** To listen at: every CID of this machine. */
export const VMADDR_CID_ANY = 0xffff_ffff;
/** The hypervisor itself; a debug enclave's console is read there. */
export const VMADDR_CID_HYPERVISOR = 0;
/** This machine, where the kernel has vsock_loopback. */
export const VMADDR_CID_LOCAL = 1;
/** The host. A Nitro enclave's parent is not reached here, but at CID 3. */
export const VMADDR_CID_HOST = 2;
/** To listen at: a free port; `address()` then says which. */
export const VMADDR_PORT_ANY = 0xffff_ffff;
