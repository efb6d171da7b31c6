/** `caches/wipe`: keys that are kept in memory are overwritten at once, when somebody has been shut out and minutes count. */
import { MAX_REQUEST_BYTES, wipeCachesRequest } from "../../shared/wire.js";
import type { Operation } from "./guard.js";
import { jsonOperation } from "./operations.js";
import { jsonAnswer } from "./route.js";

/** @param wipe overwrites them. The policies are asked about the enclave itself. */
export const wipeCachesOperation = (wipe: () => void): Operation =>
  jsonOperation("caches/wipe", {
    resource: "Enclave",
    idempotent: false, // it does no harm twice, but the caches are those of the enclave that was attested
    maxBodyBytes: MAX_REQUEST_BYTES,
    schema: wipeCachesRequest,
    run: async (_request, call) => {
      call.authorize({ key: undefined, encryptionContext: {}, bytes: 0 });
      wipe();
      return jsonAnswer({});
    },
  });
