/**
 * An `Nsm` that asks a simulated one over its Unix socket (see server.ts); for the command line, which starts the enclave
 * as a process of its own. A real enclave has /dev/nsm instead, and no module of enclave/ knows this one.
 */
import { Agent, request as httpRequest } from "node:http";
import { parseAddress } from "../../shared/address.js";
import { concatBytes } from "../../shared/bytes.js";
import { ServiceError } from "../../shared/errors.js";
import type { Nsm } from "../../shared/nsm.js";
import { NSM_MAX_RESPONSE_BYTES } from "../../shared/nsm.js";
import { NSM_MEDIA_TYPE } from "./server.js";

const DEADLINE_MS = 5_000;

export interface ConnectedNsm extends Nsm {
  /** Closes idle connections; requests under way are given up. */
  close(): void;
}

/**
 * The NSM that `serveNsm` serves at `address`. Its `exchange` throws ServiceError ERR_NSM when there is no answer within
 * five seconds, or none of the device's.
 * @throws ServiceError ERR_ADDRESS when `address` is not a Unix socket's.
 */
export function connectSimulatedNsm(address: string): ConnectedNsm {
  const parsed = parseAddress(address);
  if (parsed.kind !== "unix") throw new ServiceError("ERR_ADDRESS", "a simulated NSM is reached over a Unix socket");
  const agent = new Agent({ keepAlive: true, timeout: 30_000 });
  return {
    exchange: async (request) => {
      try {
        return await post(agent, parsed.path, request);
      } catch (cause) {
        throw new ServiceError("ERR_NSM", "expected an answer of the simulated NSM", { cause });
      }
    },
    close: () => agent.destroy(),
  };
}

function post(agent: Agent, socketPath: string, body: Uint8Array): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const headers = { "content-type": NSM_MEDIA_TYPE, "content-length": body.length };
    const signal = AbortSignal.timeout(DEADLINE_MS);
    const request = httpRequest({ agent, socketPath, method: "POST", path: "/", headers, signal }, (response) => {
      const parts: Uint8Array[] = [];
      let length = 0;
      response.on("data", (part: Uint8Array) => {
        length += part.length;
        if (length > NSM_MAX_RESPONSE_BYTES) response.destroy(new Error("the response is longer than the device's"));
        else parts.push(part);
      });
      response.once("error", reject);
      response.once("end", () => {
        if (response.statusCode === 200) resolve(concatBytes(...parts));
        else reject(new Error(`expected HTTP status 200, got ${response.statusCode}`));
      });
    });
    request.once("error", reject);
    request.end(body);
  });
}
