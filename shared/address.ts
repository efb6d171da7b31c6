/**
 * Addresses of stream endpoints between parent and enclave: `vsock://CID:PORT` (AF_VSOCK) or `unix:/path` (local runs).
 * Pure text; transport/ opens them.
 */
import { ServiceError } from "./errors.js";

export type Address =
  | { readonly kind: "vsock"; readonly cid: number; readonly port: number }
  | { readonly kind: "unix"; readonly path: string };

/** The parent instance's CID, as seen from an enclave (AWS Nitro Enclaves user guide). */
export const PARENT_CID = 3;

/** The CID under which a listener is reached by any that the machine has (vsock(7), VMADDR_CID_ANY). */
export const ANY_CID = 0xffff_ffff;

/**
 * vsock ports, where nothing else is said. The tunnel's is that of AWS's vsock-proxy; `regionTunnel` is that of the tunnel to
 * the first further Region, and the next ones follow it (8010 to 8024).
 */
export const PORTS = { enclave: 5000, enclaveTls: 5443, tunnel: 8000, services: 8001, regionTunnel: 8010 } as const;

const MAX_UINT32 = 0xffff_ffff;
/** sockaddr_un.sun_path holds 108 bytes with the final NUL on Linux, 104 on macOS; the smaller one is the portable bound. */
const MAX_UNIX_PATH_BYTES = 103;

/**
 * Parses an address.
 * @throws ServiceError ERR_ADDRESS when `text` is neither form, a number is out of range, or the path is too long.
 */
export function parseAddress(text: string): Address {
  const vsock = /^vsock:\/\/(\d{1,10}):(\d{1,10})$/.exec(text);
  if (vsock) return parseVsock(Number(vsock[1]), Number(vsock[2]));
  if (text.startsWith("unix:/")) return parseUnix(text.slice("unix:".length));
  throw new ServiceError("ERR_ADDRESS", "expected an address of the form vsock://CID:PORT or unix:/absolute/path");
}

function parseVsock(cid: number, port: number): Address {
  if (cid > MAX_UINT32 || port > MAX_UINT32) {
    throw new ServiceError("ERR_ADDRESS", "expected a vsock CID and port of at most 32 bits");
  }
  return { kind: "vsock", cid, port };
}

function parseUnix(path: string): Address {
  if (new TextEncoder().encode(path).length > MAX_UNIX_PATH_BYTES || path.includes("\0")) {
    throw new ServiceError("ERR_ADDRESS", `expected a Unix socket path of at most ${MAX_UNIX_PATH_BYTES} bytes`);
  }
  return { kind: "unix", path };
}

/** The text form of an address. */
export function formatAddress(address: Address): string {
  return address.kind === "vsock" ? `vsock://${address.cid}:${address.port}` : `unix:${address.path}`;
}
