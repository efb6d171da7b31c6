/** What the page does: uses the built client as any page would, and tells its server how each check came out. */
const STACK = await (await fetch("/stack")).json();

/** Checks by name. Each resolves with what it found; what it should be the server knows. */
const CHECKS = {
  "decrypts through a sealed request": () => decryptAndTellKem(),
  "decrypts with a token bound to a key that cannot leave the page": async ({ generateProofKey, thumbprintOf }) => {
    const proofKey = await generateProofKey();
    const answer = await fetch(`/token?jkt=${await thumbprintOf(proofKey.publicKey)}`);
    const enclave = await connect({ token: await answer.text(), proofKey });
    return `${text(await enclave.decrypt(REQUEST))}, extractable: ${proofKey.privateKey.extractable}`;
  },
  "decrypts on a platform without X25519, with the enclave's P-256 key": () => withoutX25519(() => decryptAndTellKem()),
  "refuses an enclave with another configuration": () =>
    codeOf(connect({ policy: { ...POLICY, pcrs: [{ ...STACK.pcrs, 16: "00".repeat(48) }] } })),
  "is refused without a token": async () => codeOf((await connect({ token: undefined })).decrypt(REQUEST)),
  "is refused a ciphertext that was changed": async () => {
    const ciphertext = REQUEST.ciphertext.map((byte, index) =>
      index === REQUEST.ciphertext.length - 1 ? byte ^ 1 : byte,
    );
    return codeOf((await connect()).decrypt({ ...REQUEST, ciphertext }));
  },
  "gives up when it is told to": async () => {
    const enclave = await connect();
    return codeOf(enclave.decrypt(REQUEST, { signal: AbortSignal.abort(new Error("told to")) }));
  },
  "gives up a request that is under way": async () => {
    const controller = new AbortController();
    const sent = [];
    const enclave = await connect({
      fetch: (url, init) => {
        const answer = fetch(url, init);
        if (init.method !== "POST") return answer;
        sent.push(init.signal);
        controller.abort(new Error("told to"));
        return answer;
      },
    });
    const refusal = await codeOf(enclave.decrypt(REQUEST, { signal: controller.signal }));
    return `${refusal}, requests: ${sent.length}, aborted: ${sent[0]?.aborted}`;
  },
  "leaves no global behind but zod's own": async () =>
    Object.keys(globalThis)
      .filter((name) => !GLOBALS.has(name))
      .join(),
};

const GLOBALS = new Set(Object.keys(globalThis));
const client = await import("/nitro-decrypt.js");
const REQUEST = {
  ciphertext: Uint8Array.from(atob(STACK.ciphertext), (character) => character.charCodeAt(0)),
  encryptionContext: STACK.encryptionContext,
};
const POLICY = {
  pcrs: [STACK.pcrs],
  configuration: "pinned",
  freshness: { kind: "within", seconds: 60, skewSeconds: 5 },
  debug: "reject",
};

function connect(changes = {}) {
  const trustAnchor = client.trustAnchorFromSha256("simulated", STACK.trustAnchor);
  return client.connectEnclave(STACK.url, { trustAnchor, policy: POLICY, token: STACK.token, ...changes });
}

/** The plaintext, and the KEM of the key that the request was sealed to: its header says (RFC 9458 §4.1), after the key's id. */
async function decryptAndTellKem() {
  const kems = [];
  const enclave = await connect({
    fetch: (url, init) => {
      if (init.method === "POST") kems.push(new DataView(init.body.buffer, init.body.byteOffset).getUint16(1));
      return fetch(url, init);
    },
  });
  return `${text(await enclave.decrypt(REQUEST))}, KEM ${kems.join()}`;
}

const text = ({ plaintext }) => new TextDecoder().decode(plaintext);

const codeOf = (promise) =>
  promise.then(
    () => "no refusal",
    (error) => error.code ?? error.message,
  );

async function withoutX25519(run) {
  const { importKey, generateKey } = crypto.subtle;
  const refuse =
    (original, at) =>
    (...args) => {
      const { name = args[at] } = args[at] ?? {};
      if (name === "X25519") return Promise.reject(new DOMException("no X25519", "NotSupportedError"));
      return original.apply(crypto.subtle, args);
    };
  crypto.subtle.importKey = refuse(importKey, 2);
  crypto.subtle.generateKey = refuse(generateKey, 0);
  try {
    return await run();
  } finally {
    delete crypto.subtle.importKey;
    delete crypto.subtle.generateKey;
  }
}

const results = {};
for (const [name, check] of Object.entries(CHECKS)) {
  try {
    results[name] = await check(client);
  } catch (error) {
    results[name] = `failed: ${error.code ?? error.stack}`;
  }
}
await fetch("/results", { method: "POST", body: JSON.stringify(results) });
