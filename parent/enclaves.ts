/**
 * Which enclaves a parent has: a list, or a question that is asked again and again, such as `describeEnclaves`
 * (describe-enclaves.ts), so that enclaves may come and go.
 */
import { ANY_CID, formatAddress, PARENT_CID, PORTS, parseAddress } from "../shared/address.js";
import { ServiceError } from "../shared/errors.js";
import { assertOpenable } from "../transport/connect.js";

export interface EnclaveTarget {
  /** In its path, `/enclaves/NAME/`, in logs and metrics: letters, digits, `-`, `_` and `.`, and not dots alone. */
  readonly name: string;
  /** Where its HTTP operations are served. */
  readonly address: string;
  /** Where its attested TLS is served; used where the parent passes TLS on. */
  readonly tls?: string | undefined;
}

/** Asks for the enclaves that run now. */
export type EnclaveDiscovery = () => Promise<readonly EnclaveTarget[]>;

/** An instance has at most four enclaves (AWS Nitro Enclaves user guide); local stacks have a few more. */
export const MAX_ENCLAVES = 16;

/** CIDs that no enclave has (nitro-cli refuses them): the hypervisor, the machine itself, the host, the parent, any. */
const RESERVED_CIDS: readonly number[] = [0, 1, 2, PARENT_CID, ANY_CID];

/** The enclave with a CID, at the usual ports. @throws ServiceError ERR_ADDRESS for a CID that no enclave can have. */
export function enclaveOfCid(cid: number): EnclaveTarget {
  if (!Number.isInteger(cid) || cid < 0 || cid > ANY_CID || RESERVED_CIDS.includes(cid)) {
    throw new ServiceError("ERR_ADDRESS", `expected the CID of an enclave, above ${PARENT_CID}, got ${cid}`);
  }
  const at = (port: number): string => formatAddress({ kind: "vsock", cid, port });
  return { name: String(cid), address: at(PORTS.enclave), tls: at(PORTS.enclaveTls) };
}

/** @throws ServiceError ERR_CONFIGURATION (names, number), ERR_ADDRESS. */
export function assertTargets(targets: readonly EnclaveTarget[]): void {
  if (targets.length > MAX_ENCLAVES) {
    throw new ServiceError("ERR_CONFIGURATION", `expected at most ${MAX_ENCLAVES} enclaves, got ${targets.length}`);
  }
  const names = new Set<string>();
  for (const { name, address, tls } of targets) {
    // Clients take "." and ".." for steps in the path, and never ask for them.
    if (!/^(?!\.+$)[\w.-]{1,64}$/.test(name)) {
      throw new ServiceError("ERR_CONFIGURATION", "expected an enclave's name of letters, digits, - _ and .");
    }
    if (names.has(name)) throw new ServiceError("ERR_CONFIGURATION", `two enclaves have the name ${name}`);
    names.add(name);
    assertOpenable(address);
    if (tls !== undefined) assertOpenable(tls);
  }
}

/** The CID at which `target` is, or undefined for a Unix socket. */
export function cidOf({ address }: EnclaveTarget): number | undefined {
  const parsed = parseAddress(address);
  return parsed.kind === "vsock" ? parsed.cid : undefined;
}
