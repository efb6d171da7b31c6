/**
 * A whole simulated deployment for checks: an enclave, its parent and a client over attested TLS, in this process, and keys
 * that the enclave alone opens with, besides the account itself.
 */
import { Agent } from "node:https";
import { join } from "node:path";
import { CreateKeyCommand, KMSClient, ReplicateKeyCommand } from "@aws-sdk/client-kms";
import { NodeHttpHandler } from "@smithy/node-http-handler";
import { pcr16OfConfiguration } from "../dist/client/index.js";
import { connectEnclaveTls } from "../dist/client/node/index.js";
import { createEnclave } from "../dist/enclave/index.js";
import { createParent } from "../dist/parent/index.js";
import { createTokenIssuer, exampleImage } from "../dist/simulator/index.js";

const MIB = 1024 * 1024;

const SCHEMA = `entity Caller;
entity Alias;
entity Key in [Alias];
entity Enclave;
action "decrypt", "data-keys", "messages/decrypt", "messages/encrypt", "messages/re-encrypt" appliesTo { principal: Caller, resource: Key };
action "random", "caches/wipe" appliesTo { principal: Caller, resource: Enclave };`;

/** Where the related keys of multi-Region keys are. */
export const OTHER_REGION = "eu-west-1";

/** ARNs of new keys, one for each of `inputs`, by the same names. */
export async function createKeys(simulation, inputs) {
  const { kms, operator, region } = simulation;
  const requestHandler = new NodeHttpHandler({ httpsAgent: new Agent({ ca: kms.caCertificate }) });
  const client = new KMSClient({ region, endpoint: kms.endpoint, credentials: operator, requestHandler });
  const Policy = policyOf(simulation);
  const keys = {};
  for (const [name, input] of Object.entries(inputs)) {
    const { Arn, MultiRegion } = (await client.send(new CreateKeyCommand({ ...input, Policy }))).KeyMetadata;
    if (MultiRegion) await client.send(new ReplicateKeyCommand({ KeyId: Arn, ReplicaRegion: OTHER_REGION, Policy }));
    keys[name] = Arn;
  }
  client.destroy();
  return keys;
}

function policyOf({ accountId, roleArn, pcrs }) {
  const role = { Effect: "Allow", Principal: { AWS: roleArn }, Resource: "*" };
  const Condition = { StringEqualsIgnoreCase: { "kms:RecipientAttestation:PCR0": pcrs[0] } };
  return JSON.stringify({
    Version: "2012-10-17",
    Statement: [
      { Effect: "Allow", Principal: { AWS: `arn:aws:iam::${accountId}:root` }, Resource: "*", Action: "kms:*" },
      { ...role, Action: ["kms:Decrypt", "kms:GenerateDataKey"], Condition },
      { ...role, Action: "kms:Encrypt" },
    ],
  });
}

export async function* partsOf(...parts) {
  yield* parts;
}

export async function collected(stream) {
  const parts = [];
  for await (const part of stream) parts.push(part);
  return Buffer.concat(parts);
}

const configurationOf = ({ kms, region }, { keys, messages = {} }, issuer) =>
  new TextEncoder().encode(
    JSON.stringify({
      version: 1,
      kms: {
        region,
        keys: Object.values(keys).map((arn) => ({
          arn,
          replicaRegions: arn.includes(":key/mrk-") ? [OTHER_REGION] : [],
        })),
        transport: "tunnel",
        roots: [kms.caCertificate],
      },
      messages,
      channels: { parent: [], tls: { certificate: "generated" } },
      authorization: {
        issuers: [issuer.configuration],
        schema: SCHEMA,
        policies: "permit(principal, action, resource);",
        budgets: { requestsPerMinute: 1_000, maxConcurrent: 16, bytesPerMinute: 1024 * MIB },
      },
    }),
  );

/**
 * Enclave, parent and a client over attested TLS; `close` ends them.
 * @param options folder (for sockets: its path is short), keys (the configuration's, by any names), messages (of the
 *   configuration), branchKeys (of the parent).
 */
export async function startDeployment(simulation, { folder, branchKeys, ...options }) {
  const { kms, pcrs, roleCredentials, trustAnchor } = simulation;
  const { nsm } = await simulation.bootEnclave(exampleImage());
  const issuer = await createTokenIssuer();
  const token = await issuer.issue({ subject: "check", lifetimeSeconds: 600 });
  const configuration = configurationOf(simulation, options, issuer);
  const at = (name) => `unix:${join(folder, name)}`;
  const addresses = { listen: at("enclave"), tls: at("tls"), tunnel: at("tunnel"), services: at("services") };
  const hasReplicas = Object.values(options.keys).some((arn) => arn.includes(":key/mrk-"));
  const regionTunnels = hasReplicas ? { [OTHER_REGION]: addresses.tunnel } : {}; // all Regions are behind one endpoint
  const enclave = await createEnclave({ configuration, nsm, addresses: { ...addresses, regionTunnels } });
  const target = { host: "127.0.0.1", port: kms.port };
  const listen = { host: "127.0.0.1", port: 0 };
  const parent = await createParent({
    enclaves: [{ name: "enclave", address: addresses.listen, tls: addresses.tls }],
    services: addresses.services,
    listen,
    tunnel: { listen: addresses.tunnel, target, allow: [target], maxConnections: 16 },
    tls: { listen, maxConnections: 16 },
    credentials: roleCredentials,
    branchKeys,
  });
  const measured = Buffer.from(await pcr16OfConfiguration(configuration)).toString("hex");
  const policy = {
    pcrs: [{ 0: pcrs[0], 1: pcrs[1], 2: pcrs[2], 16: measured }],
    freshness: { kind: "within", seconds: 60, skewSeconds: 5 },
    debug: "reject",
    configuration: "pinned",
  };
  const client = await connectEnclaveTls(`https://127.0.0.1:${parent.tlsAddress.port}`, { trustAnchor, policy, token });
  const close = async () => {
    client.close();
    await parent.close();
    await enclave.close();
  };
  return { client, close };
}
