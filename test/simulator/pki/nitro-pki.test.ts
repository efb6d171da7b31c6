/** The simulated chain against the table of real ones, read back with @peculiar/x509 and node:crypto. */
import { X509Certificate as NodeCertificate } from "node:crypto";
import { beforeAll, describe, expect, test } from "vitest";
import { equalBytes, toHex } from "../../../shared/bytes.js";
import { parseCertificate } from "../../../shared/x509.js";
import type { NitroPki } from "../../../simulator/pki/nitro-pki.js";
import { SIMULATED_ROOT_MARKER } from "../../../simulator/pki/profile.js";
import type { Extension } from "../../../simulator/pki/x509.js";
import { X509Certificate } from "../../../simulator/pki/x509.js";
import { chainOf, clockAt, DAY, HOUR, INSTANCE_ID, MODULE_ID, NOW, SECOND, testPki } from "../fixtures.js";

const ROLES = ["root", "regional", "zonal", "instance", "leaf"] as const;
const [ROOT, REGIONAL, ZONAL, INSTANCE, LEAF] = [0, 1, 2, 3, 4] as const;

let pki: NitroPki;
let chain: readonly X509Certificate[];
let nodeChain: readonly NodeCertificate[];

beforeAll(async () => {
  pki = await testPki();
  const ders = await chainOf(pki);
  chain = ders.map((der) => new X509Certificate(new Uint8Array(der)));
  nodeChain = ders.map((der) => new NodeCertificate(der));
});

const at = <T>(list: readonly T[], index: number): T => {
  const item = list[index];
  if (item === undefined) throw new Error(`there is no item ${index}`);
  return item;
};
const show = ({ type, critical, value }: Extension): string =>
  `${type}${critical ? "!" : ""} ${type === "2.5.29.19" || type === "2.5.29.15" ? toHex(new Uint8Array(value)) : ""}`.trim();
/** Milliseconds from NOW's second. */
const fromNow = (date: Date): number => date.getTime() - Math.floor(NOW.getTime() / SECOND) * SECOND;

describe("the chain", () => {
  test("has five certificates, each signed by the one before it, the root by itself", () => {
    expect(nodeChain).toHaveLength(5);
    for (const [index, certificate] of nodeChain.entries()) {
      const issuer = nodeChain[index - 1] ?? certificate;
      expect(certificate.verify(issuer.publicKey), ROLES[index]).toBe(true);
      expect(certificate.issuer).toBe(issuer.subject);
    }
  });

  test("is P-384 with ecdsa-with-SHA384 and X.509 version 3 throughout", () => {
    for (const certificate of nodeChain)
      expect(certificate.publicKey.asymmetricKeyDetails?.namedCurve).toBe("secp384r1");
    for (const certificate of chain) {
      const [tbs, outer] = [toHex(new Uint8Array(certificate.rawData)), "300a06082a8648ce3d040303"];
      expect(tbs.split(outer)).toHaveLength(3);
      expect(tbs).toContain("a003020102");
    }
  });

  test("is inside the profile that the verifier's own reader has", () => {
    const read = chain.map((certificate) => parseCertificate(new Uint8Array(certificate.rawData)));
    expect(read.map(({ subjectCommonName }) => subjectCommonName?.replace(/^[0-9a-f]{16}/, "<id>"))).toEqual([
      "aws.nitro-enclaves",
      "<id>.us-east-1.aws.nitro-enclaves",
      "<id>.zonal.us-east-1.aws.nitro-enclaves",
      `${INSTANCE_ID}.us-east-1.aws.nitro-enclaves`,
      `${MODULE_ID}.us-east-1.aws`,
    ]);
    expect(read.map(({ notAfter }) => notAfter)).toEqual(chain.map(({ notAfter }) => notAfter));
  });

  test("stands under an anchor that is the root's hash", () => {
    expect(pki.trustAnchor.sha256).toBe(at(nodeChain, ROOT).fingerprint256.replaceAll(":", "").toLowerCase());
    expect(equalBytes(pki.root.certificateDer, new Uint8Array(at(chain, ROOT).rawData))).toBe(true);
  });

  test("is of the sizes that real chains have, within the 1024 bytes that a document allows", () => {
    for (const certificate of chain) expect(certificate.rawData.byteLength).toBeLessThanOrEqual(1024);
    expect(at(chain, REGIONAL).rawData.byteLength).toBeLessThan(800);
    expect(at(chain, LEAF).rawData.byteLength).toBeGreaterThan(630);
  });
});

describe("subjects", () => {
  test("pitfall 22: the root says that it is simulated, and no other certificate is the root", () => {
    expect(at(chain, ROOT).subject).toContain(SIMULATED_ROOT_MARKER);
    expect(at(chain, ROOT).subject).toMatch(/^C=US, O=.*, OU=.*, CN=aws\.nitro-enclaves$/);
    for (const certificate of chain.slice(1)) expect(certificate.subject).not.toContain(SIMULATED_ROOT_MARKER);
  });

  test("are in the order and of the form of real ones", () => {
    expect(at(chain, REGIONAL).subject).toMatch(
      /^C=US, O=Amazon, OU=AWS, CN=[0-9a-f]{16}\.us-east-1\.aws\.nitro-enclaves$/,
    );
    expect(at(chain, ZONAL).subject).toMatch(
      /^CN=[0-9a-f]{16}\.zonal\.us-east-1\.aws\.nitro-enclaves, OU=AWS, O=Amazon, C=US, ST=WA, L=Seattle$/,
    );
    const seattle = "C=US, ST=Washington, L=Seattle, O=Amazon, OU=AWS";
    expect(at(chain, INSTANCE).subject).toBe(`${seattle}, CN=${INSTANCE_ID}.us-east-1.aws.nitro-enclaves`);
    expect(at(chain, LEAF).subject).toBe(`${seattle}, CN=${MODULE_ID}.us-east-1.aws`);
  });

  test("name the Region", async () => {
    const [, regional, , , leaf] = await chainOf(await testPki({ region: "eu-central-1" }));
    expect(new NodeCertificate(regional ?? "").subject).toContain(".eu-central-1.aws.nitro-enclaves");
    expect(new NodeCertificate(leaf ?? "").subject).toContain(`${MODULE_ID}.eu-central-1.aws`);
  });

  test("have UTF8Strings, but a PrintableString for the country", () => {
    for (const certificate of chain) {
      const name = toHex(new Uint8Array(certificate.subjectName.toArrayBuffer()));
      expect(name).toContain("0603550406" + "13025553");
      expect(name).toMatch(/06035504030c/);
      expect(name).not.toMatch(/0603550403(13|16|1e)/);
    }
  });
});

describe("validity periods", () => {
  test("of the root are those of AWS's root", () => {
    expect(at(chain, ROOT).notBefore.toISOString()).toBe("2019-10-28T13:28:05.000Z");
    expect(at(chain, ROOT).notAfter.toISOString()).toBe("2049-10-28T14:28:05.000Z");
  });

  test.each([
    ["regional", REGIONAL, -HOUR, 20 * DAY],
    ["zonal", ZONAL, -HOUR, 5 * DAY + 19 * HOUR],
    ["instance", INSTANCE, 0, DAY],
    ["leaf", LEAF, -3 * SECOND, 3 * HOUR],
  ] as const)("of the %s certificate are those of real ones", (_, index, notBefore, notAfter) => {
    expect(fromNow(at(chain, index).notBefore)).toBe(notBefore);
    expect(fromNow(at(chain, index).notAfter)).toBe(notAfter);
  });
});

describe("extensions", () => {
  const CA_USAGE = "2.5.29.15! 03020186";
  const [AKI, SKI, CRLDP] = ["2.5.29.35", "2.5.29.14", "2.5.29.31"];

  test.each([
    ["root", ROOT, ["2.5.29.19! 30030101ff", SKI, CA_USAGE]],
    ["regional", REGIONAL, ["2.5.29.19! 30060101ff020102", AKI, SKI, CA_USAGE, CRLDP]],
    ["zonal", ZONAL, ["2.5.29.19! 30060101ff020101", AKI, SKI, CA_USAGE, CRLDP]],
    ["instance", INSTANCE, ["2.5.29.19! 30060101ff020100", "2.5.29.15! 03020204", SKI, AKI]],
    ["leaf", LEAF, ["2.5.29.19! 3000", "2.5.29.15 030206c0"]],
  ] as const)("of the %s certificate are those of real ones, in their order", (_, index, expected) => {
    expect(at(chain, index).extensions.map(show)).toEqual(expected);
  });

  test("name the issuer's key", () => {
    for (const index of [REGIONAL, ZONAL, INSTANCE]) {
      const keyId = (certificate: X509Certificate, oid: string) => certificate.getExtension(oid)?.value;
      const issuer = toHex(new Uint8Array(keyId(at(chain, index - 1), SKI) ?? [])).slice(4);
      expect(toHex(new Uint8Array(keyId(at(chain, index), AKI) ?? [])).slice(8)).toBe(issuer);
      expect(issuer).toHaveLength(40);
    }
  });
});

describe("serial numbers", () => {
  test("of a leaf are the enclave's id and the second of issue", () => {
    const seconds = Math.floor(NOW.getTime() / SECOND)
      .toString(16)
      .padStart(16, "0");
    expect(at(nodeChain, LEAF).serialNumber.toLowerCase()).toBe(`019b5640fdf630d6${seconds}`);
  });

  test("of the others are random", async () => {
    const [, regional] = await chainOf(await testPki());
    expect(new NodeCertificate(regional ?? "").serialNumber).not.toBe(at(nodeChain, REGIONAL).serialNumber);
  });
});

describe("issuing", () => {
  test("shares the regional and zonal certificates between instances, not the instance's", async () => {
    const other = await pki.issueInstance("i-0fedcba9876543210").issueLeaf("i-0fedcba9876543210-enc0000000000000001");
    const [root, regional, zonal, instance] = await chainOf(pki);
    expect(other.caBundle.slice(0, 3)).toEqual([root, regional, zonal]);
    expect(other.caBundle[3]).not.toEqual(instance);
  });

  test("keeps each issuer until it would end before what it issues, then renews it with all below it", async () => {
    const clock = clockAt();
    const own = await testPki({ clock });
    const authority = own.issueInstance(INSTANCE_ID);
    const bundle = async () => (await authority.issueLeaf(MODULE_ID)).caBundle;
    const first = await bundle();

    clock.advance(20 * HOUR);
    expect(await bundle()).toEqual(first);
    clock.advance(2 * HOUR); // the instance certificate ends in two hours, a leaf lives three
    const second = await bundle();
    expect(second.slice(0, 3)).toEqual(first.slice(0, 3));
    expect(second[3]).not.toEqual(first[3]);
    clock.advance(5 * DAY);
    const third = await bundle();
    expect(third.slice(0, 2)).toEqual(first.slice(0, 2));
    expect(third[2]).not.toEqual(first[2]);
    clock.advance(20 * DAY);
    const fourth = await bundle();
    expect(fourth[0]).toEqual(first[0]);
    expect(fourth[1]).not.toEqual(first[1]);

    for (const der of fourth) {
      const certificate = new X509Certificate(new Uint8Array(der));
      expect(certificate.notBefore.getTime()).toBeLessThanOrEqual(clock().getTime());
      expect(certificate.notAfter.getTime()).toBeGreaterThan(clock().getTime() + 3 * HOUR);
    }
  });

  test("issues under a given root", async () => {
    const other = await testPki({ root: pki.root });
    expect(other.trustAnchor.sha256).toBe(pki.trustAnchor.sha256);
    const [root, regional] = (await chainOf(other)).map((der) => new NodeCertificate(der));
    expect(root && regional?.verify(root.publicKey)).toBe(true);
  });

  test("takes no instance id or module id of another form", async () => {
    expect(() => pki.issueInstance("i-123")).toThrow(TypeError);
    await expect(pki.issueInstance(INSTANCE_ID).issueLeaf("i-123-enc1")).rejects.toThrow(TypeError);
  });
});
