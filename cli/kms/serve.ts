/** `nitro-decrypt kms` without a subcommand: the simulated AWS KMS and instance metadata service, with all that a client needs to call them. */
import type { Logger } from "pino";
import { startKms } from "../../simulator/endpoint/server.js";
import { partitionOf } from "../../simulator/iam/arn.js";
import { Principals } from "../../simulator/iam/principals.js";
import { startImds } from "../../simulator/imds.js";
import { createNitroPki } from "../../simulator/pki/nitro-pki.js";
import { createRoleCredentials } from "../../simulator/role-credentials.js";
import { RANDOM_ONLY_POLICY } from "../../simulator/simulation.js";
import type { Io } from "../command.js";
import { defineCommand } from "../command.js";
import { parseOptions } from "../options.js";
import { createLogger, runUntilInterrupted } from "../service.js";
import { simulatedRoot } from "../simulated-root.js";
import { isOfListening, listenFailure } from "../system-failure.js";
import { describe, writeFiles } from "./client-files.js";
import { dataFailure, dataOptions } from "./data-options.js";
import { readPlan } from "./faults.js";
import { internalErrorLog } from "./internal-errors.js";
import type { Values } from "./serve-options.js";
import { OPTIONS, settingsOf, usage } from "./serve-options.js";
import { readWorldFile } from "./world.js";

const CREDENTIAL_LIFETIME_SECONDS = 6 * 3600;

export const serve = defineCommand({
  name: "kms",
  summary: "a simulated AWS KMS and instance metadata service",
  usage,
  async execute(argv, io) {
    const options = parseOptions(argv, OPTIONS);
    const log = createLogger(io, "kms", options["log-level"]);
    const { platform, event } = await start(options, log, io);
    try {
      const files = await writeFiles(platform, options.folder, io);
      const close = async (): Promise<void> => {
        await platform.close();
        await files.remove();
      };
      platform.kms.auditLog.subscribe(({ requestID, eventName, errorCode }) =>
        log.debug({ requestID, eventName, errorCode }, "call"),
      );
      if (options.json) {
        platform.kms.auditLog.subscribe((record) => io.stdout(`${JSON.stringify({ event: "call", record })}\n`));
      }
      const { caFile, rootFile, credentialsFile, configFile } = files;
      const announcement = {
        event: { ...event, caFile, rootFile, credentialsFile, configFile },
        text: describe(platform.kms, platform.imds.endpoint, files),
      };
      return await runUntilInterrupted(io, { close }, announcement, options.json);
    } catch (error) {
      await platform.close();
      throw error;
    }
  },
});

/** KMS and metadata service over the same principals. */
async function start(options: Values, log: Logger, io: Io) {
  const { roleName, instanceId, imdsPort, ...settings } = settingsOf(options);
  const { region, accountId } = settings;
  const plan = options.faults === undefined ? {} : await readPlan("--faults", options.faults, io);
  const data = dataOptions(options, io);
  const pki = options.pki ?? (data && `${data.folder}.pki`);
  const clock = io.now;
  const { trustAnchor, root } = await createNitroPki({ clock, region, root: await simulatedRoot(io, pki) });
  const around =
    options.world === undefined ? {} : { world: await readWorldFile("--world", options.world, settings, io) };
  const principals = new Principals({ accountId, region, clock, ...around });
  const role = principals.roleOf(`arn:${partitionOf(region)}:iam::${accountId}:role/${roleName}`);
  const roleArn = role?.arn ?? principals.addRole({ name: roleName, policies: [RANDOM_ONLY_POLICY] });
  const lifetimeSeconds = CREDENTIAL_LIFETIME_SECONDS;
  const credentials = createRoleCredentials({ principals, roleArn, sessionName: instanceId, lifetimeSeconds, clock });
  const onInternalError = internalErrorLog(log);
  const kms = await startKms({
    ...settings,
    ...{ trustAnchor, clock, principals, onInternalError },
    ...(data === undefined ? {} : { data }),
  }).catch((error: unknown) => {
    throw isOfListening(error) ? listenFailure(error, "port", settings) : dataFailure(error, data?.folder);
  });
  kms.faults.set(plan);
  const imds = await startImds({ roleName, credentials, instanceId, region, clock, port: imdsPort }).catch(
    async (error: unknown) => {
      await kms.close();
      throw listenFailure(error, "imds-port", { port: imdsPort, host: "127.0.0.1" });
    },
  );
  const close = async (): Promise<void> => {
    await imds.close();
    await kms.close();
  };
  const { endpoint } = kms;
  const event = { service: "kms", endpoint, port: kms.port, region, accountId, roleArn, instanceId, trustAnchor };
  return { platform: { kms, imds, root, close }, event: { ...event, imdsEndpoint: imds.endpoint } };
}
