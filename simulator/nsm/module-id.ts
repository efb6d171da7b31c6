/** Module ids: `i-<17 hex>-enc<16 hex>`, the parent instance and the enclave on it. */
import { toHex } from "../../shared/bytes.js";

/** The id of an enclave created at `createdAt`: 12 digits of milliseconds since 1970, then 4 random ones. */
export function createModuleId(instanceId: string, createdAt: Date): string {
  const created = createdAt.getTime().toString(16).padStart(12, "0");
  return `${instanceId}-enc${created}${toHex(crypto.getRandomValues(new Uint8Array(2)))}`;
}
