/** A certificate of the user's, end to end: its key comes from KMS by attested Decrypt, and it is renewed without a restart. */
import type { TLSSocket } from "node:tls";
import { connect } from "node:tls";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { createEnclave } from "../../../enclave/index.js";
import { toBase64, utf8 } from "../../../shared/bytes.js";
import { exampleImage } from "../../../simulator/index.js";
import { TENANT_POLICIES } from "../../support/authorization.js";
import { settle, TestClock } from "../fakes.js";
import type { Kms, Stack } from "../stack.js";
import { ALIAS, CONTEXT, configurationOf, startKmsForTest, startStack } from "../stack.js";
import type { Issued } from "./web-pki.js";
import { DAY, issueCa, issueServer } from "./web-pki.js";

/** The key policy of the test's KMS demands the tenant; the purpose keeps other ciphertexts from being taken for a key. */
const TLS_CONTEXT = { ...CONTEXT, purpose: "tls" };
const CHECK_SECONDS = 60;

const valid = (days = 30) => ({ notBefore: new Date(Date.now() - DAY), notAfter: new Date(Date.now() + days * DAY) });

let kms: Kms;
let ca: Issued;
let server: Issued;
beforeAll(async () => {
  kms = await startKmsForTest();
  ca = await issueCa("test ca", undefined, valid());
  server = await issueServer(ca, valid());
});
afterAll(() => kms.simulation.close());

const sealed = async (issued: Issued): Promise<string> => toBase64(await kms.encrypt(issued.pkcs8, TLS_CONTEXT));

const provided = async (issued = server, ciphertext?: string) => ({
  certificate: "provided",
  chain: [issued.pem],
  privateKey: { ciphertext: ciphertext ?? (await sealed(issued)), keyId: kms.keyArn, encryptionContext: TLS_CONTEXT },
  issuers: [ca.pem],
  renewalCheckSeconds: CHECK_SECONDS,
});

/** What an ordinary TLS client sees that trusts the CA and wants the name; undefined when it is refused. */
async function certificateSeen({ tlsAddress }: Stack): Promise<string | undefined> {
  const socket: TLSSocket = connect({
    path: tlsAddress.slice("unix:".length),
    ca: [ca.pem],
    servername: "enclave.example.com",
  });
  onTestFinished(() => void socket.destroy());
  return new Promise((resolve) => {
    socket.once("error", () => resolve(undefined)).once("close", () => resolve(undefined));
    socket.once("secureConnect", () => resolve(socket.getPeerX509Certificate()?.toString().trim()));
  });
}

const health = async (stack: Stack) => (await stack.json("GET", "/healthz")).body.tls;

describe("a provided certificate", () => {
  it("has a private key that no caller can have opened, though the policies permit him its tenant", async () => {
    const tls = await provided();
    const stack = await startStack(kms, { tls, authorization: { policies: TENANT_POLICIES } });
    const { ciphertext } = tls.privateKey;
    const reordered = Object.fromEntries(Object.entries(TLS_CONTEXT).reverse());
    for (const encryptionContext of [TLS_CONTEXT, reordered]) {
      for (const keyId of [undefined, ALIAS]) {
        const answer = await stack.json("POST", "/v1/decrypt", { ciphertext, encryptionContext, keyId });
        expect(answer).toMatchObject({ status: 403, body: { code: "ERR_ENCRYPTION_CONTEXT" } });
      }
    }
    const encryptionContext = { ...TLS_CONTEXT, more: "" };
    const own = toBase64(await kms.encrypt(utf8("of a caller"), encryptionContext));
    expect(await stack.json("POST", "/v1/decrypt", { ciphertext: own, encryptionContext })).toMatchObject({
      status: 200,
    });
  });

  it("is served once KMS has released its key, under a name that ordinary clients verify", async () => {
    const stack = await startStack(kms, { tls: await provided() });
    await expect.poll(() => certificateSeen(stack), { timeout: 10_000 }).toBe(server.pem.trim());
    expect(await health(stack)).toMatchObject({ kind: "provided", status: "serving" });
    const calls = kms.simulation.kms.auditLog.records.filter(({ requestParameters }) =>
      JSON.stringify(requestParameters).includes('"tls"'),
    );
    expect(calls.at(-1)?.additionalEventData?.recipient).toBeDefined();
  });

  it("is not served while KMS does not release its key; all else is", async () => {
    const ciphertext = toBase64(await kms.encrypt(server.pkcs8, { ...CONTEXT, purpose: "something else" }));
    const stack = await startStack(kms, { tls: await provided(server, ciphertext) });
    await expect
      .poll(() => health(stack), { timeout: 10_000 })
      .toMatchObject({ status: "none", failure: "ERR_KMS_REFUSED" });
    expect(await certificateSeen(stack)).toBeUndefined();
    expect((await stack.json("POST", "/v1/random", { numberOfBytes: 1 })).status).toBe(200);
  });

  it("is renewed without a restart, by what the parent offers", async () => {
    const clock = new TestClock();
    const renewed = await issueServer(ca, { ...valid(), notBefore: new Date(Date.now() - DAY / 2) });
    const offer = { chain: [renewed.pem], privateKeyCiphertext: await sealed(renewed) };
    let offered: unknown;
    const stack = await startStack(kms, { tls: await provided(), tlsCertificate: () => offered, clock });
    await expect.poll(() => certificateSeen(stack), { timeout: 10_000 }).toBe(server.pem.trim());
    offered = offer;
    await settle();
    clock.advance(CHECK_SECONDS * 1_000);
    await expect.poll(() => certificateSeen(stack), { timeout: 10_000 }).toBe(renewed.pem.trim());
    expect(stack.log.entries.filter(({ message }) => message.includes("new certificate"))).toHaveLength(2);
  });

  it.each<[string, () => Promise<Issued>]>([
    ["for another name", () => issueServer(ca, { ...valid(), dns: ["other.example.com"] })],
    ["that is older", () => issueServer(ca, { notBefore: new Date(Date.now() - 2 * DAY), notAfter: valid().notAfter })],
    ["of another CA", async () => issueServer(await issueCa("another ca", undefined, valid()), valid())],
  ])("is not exchanged for one %s", async (_, issue) => {
    const clock = new TestClock();
    const other = await issue();
    let offered: unknown;
    const stack = await startStack(kms, { tls: await provided(), tlsCertificate: () => offered, clock });
    await expect.poll(() => certificateSeen(stack), { timeout: 10_000 }).toBe(server.pem.trim());
    offered = { chain: [other.pem], privateKeyCiphertext: await sealed(other) };
    await settle();
    clock.advance(CHECK_SECONDS * 1_000);
    await expect.poll(() => health(stack), { timeout: 10_000 }).toMatchObject({ failure: "ERR_CERTIFICATE" });
    expect(await certificateSeen(stack)).toBe(server.pem.trim());
  });

  it("keeps an enclave from starting when it can never be served: its issuer is not pinned", async () => {
    const stranger = await issueServer(await issueCa("another ca", undefined, valid()), valid());
    const { nsm } = await kms.simulation.bootEnclave(exampleImage());
    const addresses = { listen: "unix:/none/a", tls: "unix:/none/b", tunnel: "unix:/none/c", services: "unix:/none/d" };
    const start = async (tls: object) =>
      createEnclave({ configuration: utf8(JSON.stringify(configurationOf(kms, { tls: { ...tls } }))), nsm, addresses });
    await expect(start(await provided(stranger))).rejects.toThrowCode("ERR_CERTIFICATE");
  });
});
