/** The whole stack in this process, for pages of one origin: simulated platform, enclave, parent, and an issuer of tokens. */

import { mkdtemp, rm } from "node:fs/promises";
import { Agent } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CreateKeyCommand, EncryptCommand, KMSClient, PutKeyPolicyCommand } from "@aws-sdk/client-kms";
import { NodeHttpHandler } from "@smithy/node-http-handler";
import { attestedKeyPolicy } from "../../dist/cli/demo/aws.js";
import { POLICIES, SCHEMA } from "../../dist/cli/demo/policies.js";
import { pcr16OfConfiguration } from "../../dist/client/index.js";
import { createEnclave } from "../../dist/enclave/index.js";
import { createParent } from "../../dist/parent/index.js";
import { createTokenIssuer, startSimulation } from "../../dist/simulator/index.js";

const TENANT = "acme";
export const ENCRYPTION_CONTEXT = { tenant: TENANT };

/** @returns what a client needs; `tokenFor(jkt)` issues a token, bound to a key if a thumbprint is given. */
export async function startStack(allowOrigins, secret) {
  const simulation = await startSimulation();
  const folder = await mkdtemp(join(tmpdir(), "nd-browser-"));
  const { kms, region, trustAnchor } = simulation;
  const operator = new KMSClient({
    region,
    endpoint: kms.endpoint,
    credentials: simulation.operator,
    requestHandler: new NodeHttpHandler({ httpsAgent: new Agent({ ca: kms.caCertificate }) }),
  });
  const { KeyMetadata } = await operator.send(new CreateKeyCommand({}));
  const issuer = await createTokenIssuer();
  const configuration = Buffer.from(
    JSON.stringify({
      version: 1,
      kms: { region, keys: [{ arn: KeyMetadata.Arn }], transport: "tunnel", roots: [kms.caCertificate] },
      channels: {},
      authorization: { issuers: [issuer.configuration], schema: SCHEMA, policies: POLICIES },
    }),
  );
  const { 0: pcr0, 1: pcr1, 2: pcr2 } = simulation.pcrs;
  const pcrs = {
    0: pcr0,
    1: pcr1,
    2: pcr2,
    16: Buffer.from(await pcr16OfConfiguration(configuration)).toString("hex"),
  };
  const Policy = attestedKeyPolicy(simulation, pcrs, TENANT);
  await operator.send(new PutKeyPolicyCommand({ KeyId: KeyMetadata.Arn, PolicyName: "default", Policy }));
  const [listen, tunnel, services] = ["enclave", "tunnel", "services"].map((name) => `unix:${join(folder, name)}`);
  const enclave = await createEnclave({ configuration, nsm: simulation.nsm, addresses: { listen, tunnel, services } });
  const target = { host: "127.0.0.1", port: kms.port };
  const parent = await createParent({
    enclaves: [{ name: "enclave", address: listen }],
    listen: { host: "127.0.0.1", port: 0 },
    services,
    tunnel: { listen: tunnel, target, allow: [target], maxConnections: 16 },
    credentials: simulation.roleCredentials,
    allowOrigins,
  });
  const { CiphertextBlob } = await operator.send(
    new EncryptCommand({
      KeyId: KeyMetadata.Arn,
      Plaintext: Buffer.from(secret),
      EncryptionContext: ENCRYPTION_CONTEXT,
    }),
  );
  return {
    url: parent.url,
    pcrs,
    trustAnchor: trustAnchor.sha256,
    ciphertext: CiphertextBlob,
    tokenFor: (boundTo) =>
      issuer.issue({ subject: "alice", claims: { tenant: TENANT }, ...(boundTo ? { boundTo } : {}) }),
    async close() {
      operator.destroy();
      await parent.close();
      await enclave.close();
      await simulation.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
