/** What becomes of everybody else when one of them is gone, in the middle of what it did. */
import { equal, notEqual } from "node:assert/strict";
import type { Enclave } from "../../../../client/enclave.js";
import { connectEnclaveTls } from "../../../../client/node/index.js";
import type { Check } from "../checks.js";
import { descriptorsOf, halfRequest, until, untilNoMoreDescriptors } from "../processes.js";
import type { Stage } from "../stage.js";
import { CONTEXT, failureOf, TLS_URL } from "../stage.js";

const SECRET = "outlives them";
const CALLS = 12;

export const peerDeathChecks = (stage: Stage): Check[] => [
  {
    name: "a vsock client that dies within a request leaves nothing behind in the enclave",
    async run(signal) {
      const { pid } = stage.serving.enclave;
      const before = await descriptorsOf(pid);
      const clients = await Promise.all(Array.from({ length: 3 }, halfRequest));
      for (const client of clients) client.kill("SIGKILL");
      await untilNoMoreDescriptors(pid, before, signal);
      await assertServes(stage);
    },
  },
  {
    name: "a parent that is killed within a request leaves nothing behind in the enclave, and the next one serves",
    deadlineMs: 60_000,
    async run(signal) {
      const { enclave } = stage.serving;
      const client = await stage.connect({ maxRetries: 0 });
      const before = await descriptorsOf(enclave.pid);
      const failure = await whileHalted(stage, client, signal, async () => {
        await stage.killParent();
        enclave.resume();
      });
      equal(failure, "ERR_ENCLAVE_UNAVAILABLE");
      await untilNoMoreDescriptors(enclave.pid, before, signal);
      await stage.startParent();
      equal(await decrypted(stage, client), SECRET); // its session is with the enclave, which knows it still
      client.close();
    },
  },
];

/** Two checks with one client of each kind, whose sessions go on from the first to the second. */
export const restartChecks = (stage: Stage): Check[] => {
  let client: Enclave | undefined;
  let tls: Enclave | undefined;
  let moduleId: string;
  return [
    {
      name: "a request to an enclave that is terminated is told ERR_ENCLAVE_UNAVAILABLE, and the parent keeps nothing of it",
      async run(signal) {
        client = await stage.connect({ maxRetries: 0 });
        tls = await connectEnclaveTls(TLS_URL, await stage.clientOptions());
        moduleId = client.attestation.attestation.moduleId;
        const before = await descriptorsOf(stage.parent.pid);
        equal(await whileHalted(stage, client, signal, () => stage.stopEnclave()), "ERR_ENCLAVE_UNAVAILABLE");
        equal((await failureOf(decrypted(stage, client))).code, "ERR_ENCLAVE_UNAVAILABLE");
        await untilNoMoreDescriptors(stage.parent.pid, before, signal);
      },
    },
    {
      name: "when it has booted again the parent finds it, and sessions that were open, sealed and TLS, attest it anew and decrypt",
      deadlineMs: 60_000,
      async run(signal) {
        if (client === undefined || tls === undefined) throw new Error("no session was open");
        const { nsm } = await stage.bootEnclave(stage.configuration, signal);
        notEqual(nsm.moduleId, moduleId);
        for (const session of [client, tls]) {
          equal(await decrypted(stage, session), SECRET); // its policy names the PCRs of the first boot
          equal(session.attestation.attestation.moduleId, nsm.moduleId);
          session.close();
        }
      },
    },
  ];
};

/**
 * What calls come to that are under way while the enclave is halted and `meanwhile` happens: one code. They are more than
 * there can be connections to use again, so that one that was made for them shows that they have begun.
 */
async function whileHalted(
  stage: Stage,
  client: Enclave,
  signal: AbortSignal,
  meanwhile: () => Promise<void>,
): Promise<unknown> {
  const { pid } = stage.parent;
  const ciphertext = await stage.encrypt(SECRET);
  const before = await descriptorsOf(pid);
  await stage.serving.enclave.pause(signal);
  const call = () => failureOf(client.decrypt({ ciphertext, encryptionContext: CONTEXT }));
  const failures = Promise.all(Array.from({ length: CALLS }, call));
  await Promise.race([until(signal, async () => (await descriptorsOf(pid)) > before + 1), failures]);
  await meanwhile();
  const codes = new Set((await failures).map(({ code }) => code));
  equal(codes.size, 1, `one code, not ${[...codes]}`);
  return [...codes][0];
}

async function decrypted(stage: Stage, client: Enclave): Promise<string> {
  const { plaintext } = await client.decrypt({ ciphertext: await stage.encrypt(SECRET), encryptionContext: CONTEXT });
  return new TextDecoder().decode(plaintext);
}

async function assertServes(stage: Stage): Promise<void> {
  const client = await stage.connect();
  equal(await decrypted(stage, client), SECRET);
  client.close();
}
