/** Who calls in the benchmarks: an issuer of tokens, one token of it, and policies that permit whatever is measured. */
import { createTokenIssuer } from "../simulator/token-issuer.js";

export interface Callers {
  /** `authorization` of a configuration that takes them. */
  readonly configuration: object;
  /** Good for an hour, which is longer than any suite takes. */
  readonly token: string;
}

const KEYED = ["decrypt", "data-keys", "messages/decrypt", "messages/encrypt", "messages/re-encrypt"];
const KEYLESS = ["random", "caches/wipe"];
/** The built-in operations. */
export const OPERATIONS = [...KEYED, ...KEYLESS];

const CONTEXT = `{
  encryptionContext: { tenant?: String }, encryptionContextKeys: Set<String>, channel: String, bytes: Long, time: datetime
}`;

/** Callers of the built-in operations, and of `functions` without a plaintext. */
export async function createCallers(functions: readonly string[]): Promise<Callers> {
  const issuer = await createTokenIssuer();
  const configuration = {
    issuers: [issuer.configuration],
    schema: schemaOf([...KEYLESS, ...functions]),
    policies: "permit(principal, action, resource);",
    // The highest that a configuration may have: they are counted, and not what is measured.
    budgets: { requestsPerMinute: 1_000_000, bytesPerMinute: 100_000_000_000, maxConcurrent: 4_096 },
  };
  return { configuration, token: await issuer.issue({ subject: "bench", lifetimeSeconds: 3_600 }) };
}

function schemaOf(keyless: readonly string[]): string {
  const action = (names: readonly string[], resource: string): string =>
    `action ${names.map((name) => JSON.stringify(name)).join(", ")}
     appliesTo { principal: Caller, resource: ${resource}, context: ${CONTEXT} };`;
  return `entity Caller; entity Alias; entity Key in [Alias]; entity Enclave;
${action(KEYED, "Key")}
${action(keyless, "Enclave")}`;
}
