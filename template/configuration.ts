/**
 * Makes enclave.json, the enclave's configuration: which keys, whose tokens, which policies. Its exact bytes are measured
 * into PCR16, so make it once for each release and keep it with the release.
 */
import { readFile } from "node:fs/promises";

export interface ConfigurationOptions {
  readonly keyArn: string;
  /** Whose tokens are taken: entries of `authorization.issuers`, with the issuer's public keys. */
  readonly issuers: readonly object[];
  /** Which CAs may vouch for KMS; the pinned Amazon roots unless given. */
  readonly roots?: "amazon" | readonly string[];
  /** Where policies.cedar and schema.cedarschema lie; the current folder unless given. */
  readonly folder?: string;
}

export async function buildConfiguration(options: ConfigurationOptions): Promise<Uint8Array> {
  const { keyArn, issuers, roots = "amazon", folder = "." } = options;
  const [policies, schema] = await Promise.all([
    readFile(`${folder}/policies.cedar`, "utf8"),
    readFile(`${folder}/schema.cedarschema`, "utf8"),
  ]);
  const configuration = {
    version: 1,
    kms: { region: keyArn.split(":")[3], keys: [{ arn: keyArn }], transport: "tunnel", roots },
    channels: { parent: [] }, // nothing is served where the parent could read it
    authorization: {
      issuers,
      schema: schema.split("\n"),
      policies: policies.split("\n"),
      budgets: { requestsPerMinute: 600 },
    },
  };
  return Buffer.from(`${JSON.stringify(configuration, null, 2)}\n`);
}
