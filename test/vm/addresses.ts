/**
 * Where parent and enclave find one another. The guest's vsock leads to the guest itself (vsock_loopback), so that every peer
 * has the CID VMADDR_CID_LOCAL: the enclave is told so, and else uses the ports that it has in production.
 */
import { formatAddress, PORTS } from "../../shared/address.js";

export const LOCAL_CID = 1;

const local = (port: number): string => formatAddress({ kind: "vsock", cid: LOCAL_CID, port });

export const ADDRESSES = {
  enclave: local(PORTS.enclave),
  tls: local(PORTS.enclaveTls),
  tunnel: local(PORTS.tunnel),
  services: local(PORTS.services),
} as const;

/** What the enclave's program is given besides. */
export const ENCLAVE_ARGUMENTS = ["--tunnel", ADDRESSES.tunnel, "--services", ADDRESSES.services] as const;
