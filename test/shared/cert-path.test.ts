/** Path validation: a chain that holds, and one change away from it. Wrong chains are signed anew by the simulated PKI. */
import { X509Certificate as NodeCertificate } from "node:crypto";
import { beforeAll, describe, expect, it } from "vitest";
import type { TrustAnchor } from "../../shared/attestation/trust-anchor.js";
import { AWS_NITRO_ENCLAVES_ROOT_G1 } from "../../shared/attestation/trust-anchor.js";
import type { PathOptions } from "../../shared/cert-path.js";
import { UnverifiedPath, VerifiedPath, verifyCertificatePath } from "../../shared/cert-path.js";
import { CertificateCache } from "../../shared/certificate-cache.js";
import { encodeSequence } from "../../shared/der-encode.js";
import type { ErrorCode } from "../../shared/errors.js";
import { parseCertificate } from "../../shared/x509.js";
import type { CertificateOverrides } from "../../simulator/pki/certificate.js";
import { splitConstructed } from "../../simulator/pki/der.js";
import type { NitroPki, NitroPkiOptions, PkiOverrides } from "../../simulator/pki/nitro-pki.js";
import { createSimulatedRoot } from "../../simulator/pki/nitro-pki.js";
import type { CertificateRole } from "../../simulator/pki/profile.js";
import { KeyUsageFlags } from "../../simulator/pki/x509.js";
import { chainOf, DAY, HOUR, INSTANCE_ID, MODULE_ID, NOW, SECOND, testPki } from "../simulator/fixtures.js";
import { present } from "../support/attestation.js";
import { missingRecords, recordedChain, recordedDocuments } from "../support/recorded.js";

type Chain = readonly Uint8Array[];

let pki: NitroPki;
let chain: Chain;

beforeAll(async () => {
  pki = await testPki();
  chain = await chainOf(pki);
});

const verify = (rootToLeaf: Chain, options: Partial<PathOptions> = {}): Promise<VerifiedPath> =>
  verifyCertificatePath({ rootToLeaf, trustAnchor: pki.trustAnchor, now: NOW, ...options });

/** A chain of a PKI made with `options`, verified under that PKI's own root. */
async function verifyMade(options: Partial<NitroPkiOptions>, verifying: Partial<PathOptions> = {}) {
  const made = await testPki(options);
  return verify(await chainOf(made), { trustAnchor: made.trustAnchor, ...verifying });
}

/** One change of one certificate: refused with the code, while the PKI without it makes chains that hold. */
function refuses(title: string, code: ErrorCode, overrides: PkiOverrides, verifying: Partial<PathOptions> = {}): void {
  it(title, async () => {
    await expect(verifyMade({})).resolves.toBeInstanceOf(VerifiedPath);
    await expect(verifyMade({ overrides }, verifying)).rejects.toThrowCode(code);
  });
}

const CAS: readonly CertificateRole[] = ["root", "regional", "zonal", "instance"];
const INTERMEDIATES: readonly CertificateRole[] = ["regional", "zonal", "instance"];
const EVERY: readonly CertificateRole[] = [...CAS, "leaf"];

describe("verifyCertificatePath", () => {
  it("returns the certificates, and the end-entity key", async () => {
    const { caBundle, certificateDer, privateKey } = await pki.issueInstance(INSTANCE_ID).issueLeaf(MODULE_ID);
    const path = await verify([...caBundle, certificateDer]);
    expect(path.rootToLeaf.map(({ der }) => der)).toEqual([...caBundle, certificateDer]);
    const algorithm = { name: "ECDSA", hash: "SHA-384" };
    const signature = await crypto.subtle.sign(algorithm, privateKey, new Uint8Array(3));
    expect(await crypto.subtle.verify(algorithm, path.leafKey, signature, new Uint8Array(3))).toBe(true);
    expect(path.leafKey.extractable).toBe(false);
  });

  it("takes the recorded chains of AWS as of their time, and node:crypto agrees on every link", async ({ skip }) => {
    if (missingRecords !== undefined) skip(missingRecords);
    const genuine = recordedDocuments().filter(({ expected }) => expected === "accept");
    expect(genuine).toHaveLength(10);
    for (const document of genuine) {
      const recorded = recordedChain(document);
      const now = new Date(document.verify_at_ms);
      const path = await verify(recorded, { trustAnchor: AWS_NITRO_ENCLAVES_ROOT_G1, now });
      expect(path.rootToLeaf, document.id).toHaveLength(5);
      const nodes = recorded.map((der) => new NodeCertificate(der));
      for (const [i, node] of nodes.slice(1).entries()) expect(node.checkIssued(present(nodes[i]))).toBe(true);
    }
  });

  it("takes a path without intermediates", async () => {
    const { root } = pki;
    const rootOnly = await testPki({
      root,
      overrides: { leaf: { issuer: root.subject, signingKey: root.privateKey } },
    });
    const leaf = present((await chainOf(rootOnly)).at(-1));
    await expect(verify([root.certificateDer, leaf])).resolves.toBeInstanceOf(VerifiedPath);
  });

  it("pitfall 15: reads up to eight certificates, and nine not at all", async () => {
    const malformed = Array.from({ length: 9 }, () => new Uint8Array(1));
    await expect(verify(malformed)).rejects.toThrowCode("ERR_CERT_PATH");
    await expect(verify(malformed.slice(1))).rejects.toThrowCode("ERR_DER_MALFORMED");
  });

  it("is indifferent to what a caller does to the bytes meanwhile", async () => {
    const own = chain.map((der) => new Uint8Array(der));
    const pending = verify(own);
    for (const der of own) der.fill(0);
    await expect(pending).resolves.toBeInstanceOf(VerifiedPath);
  });
});

describe("the trust anchor", () => {
  it("AV-07 pitfall 22: a simulated chain is not AWS's", async () => {
    const options = { trustAnchor: AWS_NITRO_ENCLAVES_ROOT_G1 };
    await expect(verify(chain, options)).rejects.toThrowCode("ERR_TRUST_ANCHOR");
  });

  it("AV-07 another root of the same name, self-signed, with a chain that holds under it", async () => {
    const other = await testPki();
    const substituted = await chainOf(other);
    expect(parseCertificate(present(substituted[0])).subject).toEqual(parseCertificate(present(chain[0])).subject);
    await expect(verify(substituted, { trustAnchor: other.trustAnchor })).resolves.toBeInstanceOf(VerifiedPath);
    await expect(verify(substituted)).rejects.toThrowCode("ERR_TRUST_ANCHOR");
  });

  it("AV-07 another root of the same name before the genuine intermediates", async () => {
    const [root] = await chainOf(await testPki());
    await expect(verify([present(root), ...chain.slice(1)])).rejects.toThrowCode("ERR_TRUST_ANCHOR");
  });

  it("AV-07 the pinned root's twin: the same content with another signature", async () => {
    const [tbs, algorithm] = splitConstructed(present(chain[0]));
    const [, , signature] = splitConstructed(present(chain[1]));
    const twin = encodeSequence(present(tbs), present(algorithm), present(signature));
    await expect(verify([twin, ...chain.slice(1)])).rejects.toThrowCode("ERR_TRUST_ANCHOR");
  });

  it("AV-07 the pinned root in second place", async () => {
    const [root] = await chainOf(await testPki());
    await expect(verify([present(root), ...chain])).rejects.toThrowCode("ERR_TRUST_ANCHOR");
  });

  it("AV-07 is refused for before dates and rules, and after form", async () => {
    const options = { trustAnchor: AWS_NITRO_ENCLAVES_ROOT_G1, now: new Date(0) };
    await expect(verify(chain, options)).rejects.toThrowCode("ERR_TRUST_ANCHOR");
    await expect(verify([...chain.slice(0, 4), new Uint8Array(1)], options)).rejects.toThrowCode("ERR_DER_MALFORMED");
  });

  it.each<[string, unknown]>([
    ["no anchor", undefined],
    ["null", null],
    ["an anchor without hash", { name: "root" }],
    ["an empty hash", { name: "root", sha256: "" }],
  ])("pitfall 32: %s is a TypeError", async (_, trustAnchor) => {
    await expect(verify(chain, { trustAnchor: trustAnchor as TrustAnchor })).rejects.toThrow(TypeError);
  });
});

describe("order and names", () => {
  const refusesOrder = (
    title: string,
    change: (rootToLeaf: Chain) => readonly (Uint8Array | undefined)[],
    code: ErrorCode,
  ) =>
    it(title, async () => {
      await expect(verify(chain)).resolves.toBeInstanceOf(VerifiedPath);
      await expect(verify(change(chain).map(present))).rejects.toThrowCode(code);
    });

  refusesOrder("AV-09 no certificate", () => [], "ERR_CERT_PATH");
  refusesOrder("AV-09 the root alone", ([root]) => [root], "ERR_CERT_PATH");
  refusesOrder("AV-09 the leaf alone", ([, , , , leaf]) => [leaf], "ERR_CERT_PATH");
  refusesOrder("AV-09 pitfall 19: leaf first", (all) => [...all].reverse(), "ERR_TRUST_ANCHOR");
  refusesOrder(
    "AV-09 pitfall 19: two intermediates in each other's place",
    ([root, regional, zonal, instance, leaf]) => [root, zonal, regional, instance, leaf],
    "ERR_CERT_PATH",
  );
  refusesOrder(
    "AV-09 an intermediate left out",
    ([root, regional, , instance, leaf]) => [root, regional, instance, leaf],
    "ERR_CERT_PATH",
  );
  refusesOrder(
    "AV-09 an intermediate twice",
    ([root, regional, zonal, instance, leaf]) => [root, regional, zonal, zonal, instance, leaf],
    "ERR_CERT_PATH",
  );
  refusesOrder("AV-09 the root twice", ([root, ...rest]) => [root, root, ...rest], "ERR_CERT_PATH");
  refusesOrder("AV-09 a path that ends at an intermediate", (all) => all.slice(0, 4), "ERR_CERT_PATH");
  refusesOrder("AV-09 a leaf that is the root", ([root]) => [root, root], "ERR_CERT_PATH");

  for (const role of EVERY) {
    const issuer = [["CN", "somebody else"]] as const;
    refuses(`AV-09 another issuer's name in the ${role} certificate`, "ERR_CERT_PATH", { [role]: { issuer } });
  }

  it("AV-09 an issuer's name that differs in its string type only", async () => {
    const utf8ToPrintable = (fields: readonly Uint8Array[]) =>
      fields.map((field, i) => (i === 3 ? replaceTags(field, 0x0c, 0x13) : field));
    await expect(verifyMade({ overrides: { regional: { editTbsFields: utf8ToPrintable } } })).rejects.toThrowCode(
      "ERR_CERT_PATH",
    );
  });
});

/** The same Name with another string type in every attribute. */
function replaceTags(name: Uint8Array, from: number, to: number): Uint8Array {
  const rdns = splitConstructed(name).map((rdn) => {
    const copy = new Uint8Array(rdn);
    const valueAt = 4 + (copy[5] ?? 0) + 2;
    if (copy[valueAt] === from) copy[valueAt] = to;
    return copy;
  });
  return encodeSequence(...rdns);
}

describe("validity at `now`", () => {
  const second = (ms: number) => new Date(Math.floor(NOW.getTime() / SECOND) * SECOND + ms);

  for (const role of EVERY) {
    const begins = { [role]: { notBefore: second(0) } };
    const ends = { [role]: { notAfter: second(0) } };
    it(`includes both ends of the ${role} certificate's time`, async () => {
      await expect(verifyMade({ overrides: begins }, { now: second(0) })).resolves.toBeInstanceOf(VerifiedPath);
      await expect(verifyMade({ overrides: ends }, { now: second(0) })).resolves.toBeInstanceOf(VerifiedPath);
    });
    refuses(`AV-09 pitfall 19: the ${role} certificate just before`, "ERR_CERT_TIME", begins, { now: second(-1) });
    refuses(`AV-09 pitfall 19: the ${role} certificate just after`, "ERR_CERT_TIME", ends, { now: second(1) });
  }

  it("AV-09 pitfall 11: three hours later the leaf has ended, and nothing else has", async () => {
    await expect(verify(chain, { now: new Date(NOW.getTime() + 2 * HOUR) })).resolves.toBeInstanceOf(VerifiedPath);
    await expect(verify(chain, { now: new Date(NOW.getTime() + 3 * HOUR) })).rejects.toThrowCode("ERR_CERT_TIME");
  });

  it.each<[string, unknown]>([
    ["no date", undefined],
    ["a number", NOW.getTime()],
    ["an invalid date", new Date(Number.NaN)],
  ])("pitfall 12: %s is a TypeError", async (_, now) => {
    await expect(verify(chain, { now: now as Date })).rejects.toThrow(TypeError);
  });
});

describe("constraints of the authorities", () => {
  const { digitalSignature, keyCertSign, cRLSign } = KeyUsageFlags;
  const each = (roles: readonly CertificateRole[], title: string, override: CertificateOverrides) => {
    for (const role of roles) refuses(`AV-09 the ${role} certificate ${title}`, "ERR_CERT_PATH", { [role]: override });
  };

  each(CAS, "without basicConstraints", { basicConstraints: "absent" });
  each(CAS, "with basicConstraints that are not critical", { basicConstraints: { critical: false } });
  each(CAS, "without cA", { basicConstraints: { ca: false, pathLength: "absent" } });
  each(CAS, "without keyUsage", { keyUsage: "absent" });
  each(CAS, "with every key usage but keyCertSign", { keyUsage: { flags: digitalSignature | cRLSign } });

  refuses("AV-09 pathLen 2 above three intermediates", "ERR_CERT_PATH", {
    root: { basicConstraints: { pathLength: 2 } },
  });
  refuses("AV-09 pathLen 1 above two intermediates", "ERR_CERT_PATH", {
    regional: { basicConstraints: { pathLength: 1 } },
  });
  refuses("AV-09 pathLen 0 above one intermediate", "ERR_CERT_PATH", {
    zonal: { basicConstraints: { pathLength: 0 } },
  });

  it("takes pathLen that is just enough, or more, or none", async () => {
    const lengths: readonly PkiOverrides[] = [
      { root: { basicConstraints: { pathLength: 3 } } },
      { zonal: { basicConstraints: { pathLength: 9 } } },
      { instance: { basicConstraints: { pathLength: "absent" } } },
    ];
    for (const overrides of lengths) await expect(verifyMade({ overrides })).resolves.toBeInstanceOf(VerifiedPath);
  });

  it("takes keyCertSign alone, and keyUsage that is not critical", async () => {
    const usages: readonly PkiOverrides[] = [
      { regional: { keyUsage: { flags: keyCertSign } } },
      { zonal: { keyUsage: { critical: false } } },
    ];
    for (const overrides of usages) await expect(verifyMade({ overrides })).resolves.toBeInstanceOf(VerifiedPath);
  });
});

describe("constraints of the end entity", () => {
  const { digitalSignature, nonRepudiation, keyCertSign } = KeyUsageFlags;

  refuses("AV-09 a leaf that is a CA", "ERR_CERT_PATH", { leaf: { basicConstraints: { ca: true } } });
  refuses("AV-09 a leaf with a pathLen", "ERR_CERT_PATH", {
    leaf: {
      editExtensions: (list) =>
        list.map((one) => (one.oid === "2.5.29.19" ? { ...one, value: Uint8Array.of(0x30, 3, 2, 1, 0) } : one)),
    },
  });
  refuses("AV-09 a leaf without basicConstraints", "ERR_CERT_PATH", { leaf: { basicConstraints: "absent" } });
  refuses("AV-09 a leaf without keyUsage", "ERR_CERT_PATH", { leaf: { keyUsage: "absent" } });
  refuses("AV-09 a leaf without digitalSignature", "ERR_CERT_PATH", { leaf: { keyUsage: { flags: nonRepudiation } } });
  refuses("AV-09 a leaf that may sign certificates", "ERR_CERT_PATH", {
    leaf: { keyUsage: { flags: digitalSignature | keyCertSign } },
  });
});

describe("signatures and keys", () => {
  for (const role of [...INTERMEDIATES, "leaf"] as const) {
    refuses(`AV-09 the ${role} certificate signed with another key`, "ERR_CERT_PATH", {
      [role]: { signingKey: "unrelated" },
    });
  }

  it("AV-09 a public key that was put into a signed certificate", async () => {
    for (const i of [1, 2, 3, 4]) {
      const changed = chain.map((one, k) => (k === i ? withPointOf(one, present(chain[0])) : one));
      await expect(verify(changed), `certificate ${i}`).rejects.toThrowCode("ERR_CERT_PATH");
    }
  });

  it("AV-08 a public key that is not on the curve, in every place", async () => {
    for (const i of [1, 2, 3, 4]) {
      const offCurve: CertificateOverrides = {
        editTbsFields: (fields) =>
          fields.map((field, k) =>
            k === 6 ? field.map((octet, n) => (n === field.length - 1 ? octet ^ 1 : octet)) : field,
          ),
      };
      const role = present(EVERY[i]);
      await expect(verifyMade({ overrides: { [role]: offCurve } }), role).rejects.toThrowCode("ERR_CERT_MALFORMED");
    }
  });

  it("AV-08 certificates outside the profile are refused as such before the path is looked at", async () => {
    const wrong: readonly [PkiOverrides, ErrorCode][] = [
      [{ zonal: { curve: "P-256" } }, "ERR_CERT_MALFORMED"],
      [{ instance: { hash: "SHA-512" } }, "ERR_CERT_MALFORMED"],
      [{ leaf: { editCertificate: (der) => der.subarray(0, -1) } }, "ERR_DER_MALFORMED"],
    ];
    for (const [overrides, code] of wrong) {
      await expect(verifyMade({ overrides }, { now: new Date(0) })).rejects.toThrowCode(code);
    }
  });

  it("does not look at the root's own signature: the pin covers it", async () => {
    const root = await createSimulatedRoot({ signingKey: "unrelated" });
    await expect(verifyMade({ root })).resolves.toBeInstanceOf(VerifiedPath);
  });
});

/** A certificate with the public key of another, its signature as it was. */
function withPointOf(der: Uint8Array, other: Uint8Array): Uint8Array {
  const [own, donor] = [parseCertificate(der).publicKeyPoint, parseCertificate(other).publicKeyPoint];
  const copy = new Uint8Array(der);
  const start = der.findIndex((_, i) => own.every((octet, k) => der[i + k] === octet));
  copy.set(donor, start);
  return copy;
}

describe("the order of refusals", () => {
  it("is that of the path, whichever signature check ends first", async () => {
    const overrides: PkiOverrides = { regional: { signingKey: "unrelated" }, leaf: { signingKey: "unrelated" } };
    for (let round = 0; round < 5; round++) {
      await expect(verifyMade({ overrides })).rejects.toThrow(/^signature of "[0-9a-f]{16}\.us-east-1\./);
    }
  });

  it("is rules before signatures, from the root down", async () => {
    const overrides: PkiOverrides = {
      regional: { signingKey: "unrelated" },
      zonal: { notAfter: new Date(NOW.getTime() - DAY) },
      leaf: { keyUsage: "absent" },
    };
    await expect(verifyMade({ overrides })).rejects.toThrowCode("ERR_CERT_TIME");
  });
});

describe("UnverifiedPath", () => {
  it("is no VerifiedPath, for the compiler either", async () => {
    const path = UnverifiedPath.parse(chain);
    expect(path).not.toBeInstanceOf(VerifiedPath);
    // @ts-expect-error what has not been verified cannot be remembered
    const remember = () => new CertificateCache().remember(path);
    expect(remember).toThrow(TypeError);
    const Constructor = VerifiedPath as unknown as new (...values: unknown[]) => unknown;
    expect(() => new Constructor(Symbol("cert-path.ts"), path)).toThrow(TypeError);
  });

  it("parses only: a path that does not hold is still one", async () => {
    expect(UnverifiedPath.parse([...chain].reverse()).rootToLeaf).toHaveLength(5);
  });
});
