/** What clients come for: secrets, by every channel, one at a time and all at once. */
import { deepEqual, equal, match, notEqual } from "node:assert/strict";
import { connectEnclaveTls } from "../../../../client/node/index.js";
import { fromBase64, toBase64 } from "../../../../shared/bytes.js";
import type { Check } from "../checks.js";
import { fetchOnce } from "../fetch.js";
import { descriptorsOf, until, untilNoMoreDescriptors } from "../processes.js";
import type { Stage } from "../stage.js";
import { API_URL, CONTEXT, failureOf, TLS_URL } from "../stage.js";

const AT_ONCE = 200;
const SPARE = 8;
/** So many of them are decrypted by KMS; the others get no further than the enclave's policies. */
const DECRYPTED = 10;
/** More than the check has. */
const ALL_MS = 120_000;
const SECRET = "a secret of the tenant";
const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);

export const requestChecks = (stage: Stage): Check[] => [
  {
    name: "a secret comes out by the plain channel that the configuration opens, decrypted through the tunnel",
    async run(signal) {
      const body = JSON.stringify({ ciphertext: toBase64(await stage.encrypt(SECRET)), encryptionContext: CONTEXT });
      const headers = { "content-type": "application/json", authorization: `Bearer ${stage.token}` };
      const answer = await fetchOnce(`${API_URL}/v1/decrypt`, { method: "POST", headers, body, signal });
      const { plaintext } = (await answer.json()) as { plaintext?: string };
      equal(text(fromBase64(plaintext ?? "") ?? new Uint8Array()), SECRET);
      match(
        await (await fetchOnce(`${API_URL}/metrics`, { signal })).text(),
        /nitro_parent_tunnel_bytes_total\{direction="to_target"\} [1-9]/,
      );
    },
  },
  {
    name: "a secret comes out by a sealed request",
    async run() {
      const enclave = await stage.connect();
      equal(enclave.attestation.attestation.moduleId, stage.serving.nsm.moduleId);
      const { plaintext } = await enclave.decrypt({
        ciphertext: await stage.encrypt(SECRET),
        encryptionContext: CONTEXT,
      });
      equal(text(plaintext), SECRET);
      enclave.close();
    },
  },
  {
    name: "a secret comes out by TLS that ends in the enclave",
    async run() {
      const enclave = await connectEnclaveTls(TLS_URL, await stage.clientOptions());
      const { plaintext } = await enclave.decrypt({
        ciphertext: await stage.encrypt(SECRET),
        encryptionContext: CONTEXT,
      });
      equal(text(plaintext), SECRET);
      enclave.close();
    },
  },
  {
    name: `${AT_ONCE} sealed requests at once, over as many vsock connections, are all answered, and no descriptor is left`,
    deadlineMs: 90_000,
    run: (signal) => allAtOnce(stage, signal),
  },
];

export const otherConfigurationChecks = (stage: Stage): Check[] => [
  {
    name: "the same image with another configuration does not get the secret: ERR_KMS_DENIED",
    deadlineMs: 60_000,
    async run(signal) {
      const { nsm, configurationPcr } = stage.serving;
      const ciphertext = await stage.encrypt(SECRET);
      const other = await stage.bootEnclave(stage.otherConfiguration, signal);
      deepEqual(other.nsm.pcrs, nsm.pcrs);
      notEqual(other.configurationPcr, configurationPcr);
      equal((await failureOf(stage.connect())).code, "ERR_PCR_MISMATCH");
      const enclave = await stage.connect(await stage.clientOptions(stage.otherConfiguration));
      equal((await failureOf(enclave.decrypt({ ciphertext, encryptionContext: CONTEXT }))).code, "ERR_KMS_DENIED");
      enclave.close();
    },
  },
];

/**
 * The requests are sealed, and sent to an enclave that is halted until they all wait for it: then there are as many
 * connections as requests, whoever is quicker. There are some more of them, which may find a connection that was there before.
 */
async function allAtOnce(stage: Stage, signal: AbortSignal): Promise<void> {
  const { enclave } = stage.serving;
  const gate = new FetchGate(AT_ONCE + SPARE);
  const client = await stage.connect({ maxRetries: 0, deadlineMs: ALL_MS, fetch: gate.fetch });
  const ciphertext = await stage.encrypt(SECRET);
  const before = { parent: await descriptorsOf(stage.parent.pid), enclave: await descriptorsOf(enclave.pid) };
  const calls = Array.from({ length: AT_ONCE + SPARE }, async (_, index) => {
    if (index < DECRYPTED) return text((await client.decrypt({ ciphertext, encryptionContext: CONTEXT })).plaintext);
    return (await failureOf(client.decrypt({ ciphertext, encryptionContext: { tenant: "other" } }))).code;
  });
  const all = Promise.all(calls);
  await Promise.race([gate.full, all]);
  await enclave.pause(signal);
  gate.open();
  const connected = until(signal, async () => (await descriptorsOf(stage.parent.pid)) >= before.parent + 2 * AT_ONCE);
  await Promise.race([connected, all]).finally(() => enclave.resume());
  const answers = await all;
  deepEqual(new Set(answers.slice(0, DECRYPTED)), new Set([SECRET]));
  deepEqual(new Set(answers.slice(DECRYPTED)), new Set(["ERR_NOT_AUTHORIZED"]));
  client.close();
  await untilNoMoreDescriptors(stage.parent.pid, before.parent, signal);
  await untilNoMoreDescriptors(enclave.pid, before.enclave, signal);
}

/** A `fetch` that lets GET through, and holds everything else back until it is opened. */
class FetchGate {
  readonly full: Promise<void>;
  readonly #opened: Promise<void>;
  #fill: () => void = () => undefined;
  open: () => void = () => undefined;
  #missing: number;

  /** `full` resolves when so many wait. */
  constructor(expected: number) {
    this.#missing = expected;
    this.full = new Promise((resolve) => {
      this.#fill = resolve;
    });
    this.#opened = new Promise((resolve) => {
      this.open = resolve;
    });
  }

  readonly fetch: typeof fetch = async (input, init) => {
    if (init?.method !== "GET") {
      this.#missing -= 1;
      if (this.#missing === 0) this.#fill();
      await this.#opened;
    }
    return fetchOnce(input, init);
  };
}
