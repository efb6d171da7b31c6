/** What the cache spares, and that it spares nothing else: a warm cache accepts exactly what a cold one does. */
import { beforeEach, describe, expect, it } from "vitest";
import { toHex } from "../../shared/bytes.js";
import type { PathOptions } from "../../shared/cert-path.js";
import { UnverifiedPath, VerifiedPath } from "../../shared/cert-path.js";
import { CertificateCache } from "../../shared/certificate-cache.js";
import type { ErrorCode } from "../../shared/errors.js";
import { parseCertificate } from "../../shared/x509.js";
import type { NitroPki, NitroPkiOptions } from "../../simulator/pki/nitro-pki.js";
import { chainOf, HOUR, NOW, testPki } from "../simulator/fixtures.js";
import { present } from "../support/attestation.js";

type Chain = readonly Uint8Array[];

let pki: NitroPki;
let chain: Chain;
let cache: CertificateCache;

beforeEach(async () => {
  pki = await testPki();
  chain = await chainOf(pki);
  cache = new CertificateCache();
});

/** Verifies with the cache, unless told otherwise; returns the path that was given in too. */
async function verify(rootToLeaf: Chain, options: Partial<PathOptions> = {}) {
  const path = UnverifiedPath.parse(rootToLeaf);
  const verified = await VerifiedPath.verify(path, { trustAnchor: pki.trustAnchor, now: NOW, cache, ...options });
  return { path, verified };
}

const remembered = (rootToLeaf: Chain): boolean[] =>
  rootToLeaf.map((der) => cache.recall(toHex(parseCertificate(der).publicKeyPoint)) !== undefined);

async function otherInstance(instanceId: string): Promise<Chain> {
  const { caBundle, certificateDer } = await pki
    .issueInstance(instanceId)
    .issueLeaf(`${instanceId}-enc0123456789abcdef`);
  return [...caBundle, certificateDer];
}

describe("CertificateCache", () => {
  it("remembers the intermediates of a verified path, not its root and never its leaf", async () => {
    await verify(chain);
    expect(cache.size).toBe(3);
    expect(remembered(chain)).toEqual([false, true, true, true, false]);
  });

  it("gives the next path the keys of the one before it", async () => {
    const [cold, warm] = [await verify(chain), await verify(chain)];
    for (const [i, certificate] of warm.path.intermediates.entries()) {
      const first = await cold.path.unverifiedKeyOf(present(cold.path.intermediates[i]));
      expect(await warm.path.unverifiedKeyOf(certificate)).toBe(first);
    }
    expect(warm.verified.rootToLeaf).toEqual(cold.verified.rootToLeaf);
  });

  it("shares the upper intermediates between instances of a zone", async () => {
    await verify(chain);
    await verify(await otherInstance("i-00000000000000001"));
    expect(cache.size).toBe(4);
  });

  it("drops what has not been used for longest", async () => {
    cache = new CertificateCache({ maxEntries: 4 });
    const second = await otherInstance("i-00000000000000002");
    const third = await otherInstance("i-00000000000000003");
    for (const each of [chain, second, third]) await verify(each);
    expect(cache.size).toBe(4);
    expect(remembered(third)).toEqual([false, true, true, true, false]);
    expect(remembered(second)).toEqual([false, true, true, true, false]);
    expect(remembered(chain)).toEqual([false, true, true, false, false]);
    await expect(verify(chain)).resolves.toBeDefined();
  });

  it("works with less room than one path needs", async () => {
    cache = new CertificateCache({ maxEntries: 1 });
    for (let round = 0; round < 3; round++) await verify(chain);
    expect(remembered(chain)).toEqual([false, false, false, true, false]);
  });

  it.each([0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY])("a bound of %s is a TypeError", (maxEntries) => {
    expect(() => new CertificateCache({ maxEntries })).toThrow(TypeError);
  });
});

describe("a warm cache still refuses", () => {
  beforeEach(async () => {
    await verify(chain);
    expect(cache.size).toBe(3);
  });

  async function warmed(options: Partial<NitroPkiOptions>): Promise<Chain> {
    pki = await testPki(options);
    const made = await chainOf(pki);
    await verify(made);
    expect(remembered(made)).toEqual([false, true, true, true, false]);
    return made;
  }

  it("AV-09 pitfall 11: an intermediate that has expired since", async () => {
    const notAfter = new Date(Math.floor((NOW.getTime() + HOUR) / 1000) * 1000); // certificates have no fractions
    const made = await warmed({ overrides: { zonal: { notAfter } } });
    await expect(verify(made, { now: notAfter })).resolves.toBeDefined();
    await expect(verify(made, { now: new Date(notAfter.getTime() + 1) })).rejects.toThrowCode("ERR_CERT_TIME");
  });

  it("AV-09 an intermediate whose time has not come, seen from an earlier `now`", async () => {
    await expect(verify(chain, { now: new Date(NOW.getTime() - 2 * HOUR) })).rejects.toThrowCode("ERR_CERT_TIME");
  });

  it("AV-07 the same chain under another anchor", async () => {
    const { trustAnchor } = await testPki();
    await expect(verify(chain, { trustAnchor })).rejects.toThrowCode("ERR_TRUST_ANCHOR");
  });

  it("AV-09 remembered intermediates in another order, or with a gap", async () => {
    const [root, regional, zonal, instance, leaf] = chain.map(present);
    const orders = [
      [root, zonal, regional, instance, leaf],
      [root, zonal, instance, leaf],
    ];
    for (const order of orders) await expect(verify(order.map(present))).rejects.toThrowCode("ERR_CERT_PATH");
  });

  it("AV-09 a leaf that is not signed by the remembered intermediate above it", async () => {
    const forged = await warmed({});
    const other = await testPki({ root: pki.root, overrides: { leaf: { signingKey: "unrelated" } } });
    const unsigned = (await chainOf(other)).map(present);
    await expect(verify([...forged.slice(0, 4), present(unsigned[4])])).rejects.toThrowCode("ERR_CERT_PATH");
  });

  it("AV-09 a certificate with a remembered key but other content: the hash of the whole is what counts", async () => {
    for (const i of [1, 2, 3]) {
      const der = new Uint8Array(present(chain[i]));
      const yearAt = present(der).findIndex((octet, k) => octet === 0x17 && der[k + 1] === 0x0d) + 15 + 2;
      der.set(new TextEncoder().encode("49"), yearAt); // notAfter, moved to 2049
      expect(parseCertificate(der).notAfter.getUTCFullYear()).toBe(2049);
      const changed = chain.map((one, k) => (k === i ? der : one));
      await expect(verify(changed), `certificate ${i}`).rejects.toThrowCode("ERR_CERT_PATH");
    }
  });

  it("AV-09 a remembered intermediate below another issuer of the same name", async () => {
    const subject = [["CN", "regional"]] as const;
    const overrides = { regional: { subject } };
    const made = await warmed({ overrides });
    const impostor = await testPki({ overrides });
    const [root, regional] = await chainOf(impostor);
    const mixed = [present(root), present(regional), ...made.slice(2)];
    // the impostor's anchor, so that nothing is wrong but the link from its regional certificate to the zonal one
    await expect(verify(mixed, { trustAnchor: impostor.trustAnchor })).rejects.toThrowCode("ERR_CERT_PATH");
    const cold = { trustAnchor: impostor.trustAnchor, cache: new CertificateCache() };
    await expect(verify(mixed, cold)).rejects.toThrowCode("ERR_CERT_PATH");
  });
});

describe("nothing enters the cache", () => {
  it.each<[string, ErrorCode, Partial<NitroPkiOptions>]>([
    ["whose leaf is signed by another", "ERR_CERT_PATH", { overrides: { leaf: { signingKey: "unrelated" } } }],
    [
      "whose topmost intermediate is signed by another",
      "ERR_CERT_PATH",
      { overrides: { regional: { signingKey: "unrelated" } } },
    ],
    ["whose leaf has ended", "ERR_CERT_TIME", { overrides: { leaf: { notAfter: new Date(NOW.getTime() - 1000) } } }],
  ])("AV-09 from a path %s", async (_, code, options) => {
    pki = await testPki(options);
    const wrong = await chainOf(pki);
    await expect(verify(wrong)).rejects.toThrowCode(code);
    expect(cache.size).toBe(0);
  });

  it("AV-07 from a path that holds, but under a root of its own", async () => {
    const stranger = await chainOf(await testPki());
    await expect(verify(stranger)).rejects.toThrowCode("ERR_TRUST_ANCHOR");
    expect(cache.size).toBe(0);
  });
});
