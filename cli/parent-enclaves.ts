/** Which enclaves `nitro-decrypt parent` serves: listed by address, listed by CID, or found. */

import type { EnclaveDiscovery, EnclaveTarget } from "../parent/index.js";
import { describeEnclaves, enclaveOfCid } from "../parent/index.js";
import { parseAddress } from "../shared/address.js";
import { CommandFailure } from "./command.js";

export const ENCLAVES_USAGE = `  --enclave ADDRESS       an enclave; may be given several times
  --enclave-tls ADDRESS   where it serves TLS, as often as --enclave and in the same order; with --tls-listen
  --enclave-cid CID       an enclave on vsock, at the usual ports (5000, TLS 5443); may be given several times
  --discover              all enclaves of this instance that "nitro-cli describe-enclaves" says are running, asked every few
                          seconds; whatever they run, they may have the credentials
`;

export const ENCLAVES_OPTIONS = {
  enclave: { type: "string", multiple: true },
  "enclave-tls": { type: "string", multiple: true },
  "enclave-cid": { type: "string", multiple: true },
  discover: { type: "boolean" },
} as const;

export interface EnclavesValues {
  readonly enclave?: string[] | undefined;
  readonly "enclave-tls"?: string[] | undefined;
  readonly "enclave-cid"?: string[] | undefined;
  readonly discover?: boolean | undefined;
}

/** Whether the parent's enclaves are on vsock for certain, so that vsock is also where they look for it. */
export const isOnVsock = ({ "enclave-cid": cids, discover }: EnclavesValues): boolean =>
  cids !== undefined || discover === true;

/** The enclaves that the options name. @throws CommandFailure (2) unless they name them in one way. */
export function parseEnclaves(values: EnclavesValues): readonly EnclaveTarget[] | EnclaveDiscovery {
  const { enclave, "enclave-tls": tls, "enclave-cid": cids, discover } = values;
  const ways = [enclave, cids, discover].filter((way) => way !== undefined && way !== false);
  if (ways.length !== 1) {
    throw new CommandFailure(2, "expected the enclaves in one way: --enclave, --enclave-cid or --discover");
  }
  if (tls !== undefined && tls.length !== enclave?.length) {
    throw new CommandFailure(2, "--enclave-tls is given as often as --enclave, and goes with it");
  }
  if (discover) return () => describeEnclaves();
  if (cids) return cids.map((text) => enclaveOfCid(parseCid(text)));
  return (enclave ?? []).map((address, index) => ({ name: nameOf(address, index), address, tls: tls?.[index] }));
}

/** The CID of one on vsock; on Unix sockets `enclave`, `enclave-2` and so on. */
function nameOf(address: string, index: number): string {
  const parsed = parseAddress(address);
  if (parsed.kind === "vsock") return String(parsed.cid);
  return index === 0 ? "enclave" : `enclave-${index + 1}`;
}

function parseCid(text: string): number {
  if (!/^\d{1,10}$/.test(text)) throw new CommandFailure(2, `--enclave-cid is a number, got "${text}"`);
  return Number(text);
}
