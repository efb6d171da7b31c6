/** The SDK's clients as the enclave sets them: nothing in the environment changes where they go or what they read. */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { GenerateRandomCommand } from "@aws-sdk/client-kms";
import { describe, expect, it, onTestFinished } from "vitest";
import { systemClock } from "../../../enclave/clock.js";
import { parseConfiguration } from "../../../enclave/configuration.js";
import { createKmsClients } from "../../../enclave/kms/create-kms-clients.js";
import { ServicesClient } from "../../../enclave/kms/services.js";
import { silentLogger } from "../../../enclave/log.js";
import { utf8 } from "../../../shared/bytes.js";
import { testFolder } from "../../support/folder.js";
import { testRecipient } from "../fakes.js";
import { bytePipe, configurationOf, startKmsForTest } from "../stack.js";

/** Sets environment variables for the rest of the test. */
function setEnvironment(changes: Readonly<Record<string, string>>): void {
  const before = { ...process.env };
  Object.assign(process.env, changes);
  onTestFinished(() => {
    for (const name of Object.keys(changes)) delete process.env[name];
    Object.assign(process.env, before);
  });
}

describe("createKmsClients", () => {
  it("takes endpoint, Region and credentials from the configuration alone", async () => {
    const home = testFolder();
    // Whoever reads these gets an error (EISDIR), which the SDK would pass on.
    mkdirSync(join(home, "config"));
    mkdirSync(join(home, "credentials"));
    setEnvironment({
      AWS_CONFIG_FILE: join(home, "config"),
      AWS_SHARED_CREDENTIALS_FILE: join(home, "credentials"),
      AWS_ENDPOINT_URL: "https://evil.example",
      AWS_ENDPOINT_URL_KMS: "https://evil.example",
      AWS_REGION: "eu-west-1",
      AWS_PROFILE: "other",
      AWS_ACCESS_KEY_ID: "AKIDENVIRONMENT",
      AWS_SECRET_ACCESS_KEY: "environment",
      HTTPS_PROXY: "http://127.0.0.1:9",
    });
    const kms = await startKmsForTest();
    onTestFinished(() => kms.simulation.close());
    const configuration = parseConfiguration(utf8(JSON.stringify(configurationOf(kms))));
    const services = new ServicesClient("unix:/none");
    onTestFinished(() => services.close());
    const recipient = testRecipient(configuration.keys);
    const tunnel = await bytePipe(kms.simulation.kms.port);
    const credentials = { get: () => kms.simulation.roleCredentials() };
    const clients = createKmsClients({
      configuration,
      recipient,
      credentials,
      services,
      tunnel,
      clock: systemClock,
      log: silentLogger,
    });
    onTestFinished(() => clients.close());
    // The fake document arrives at the real endpoint, under the role's signature, and is refused for what it is.
    const send = clients.operations().own.send(new GenerateRandomCommand({ NumberOfBytes: 8 }));
    await expect(send).rejects.toMatchObject({ name: "ValidationException" });
  });
});
