/** The pinned Amazon roots, and the names of KMS endpoints. */
import { X509Certificate } from "node:crypto";
import { rootCertificates } from "node:tls";
import { describe, expect, it } from "vitest";
import { AMAZON_ROOT_SHA256, amazonRoots } from "../../../enclave/kms/amazon-roots.js";
import { kmsHostname } from "../../../enclave/kms/kms-endpoint.js";

describe("amazonRoots", () => {
  it("picks the five Amazon roots from those that Node carries, and nothing else", () => {
    const names = amazonRoots().map((pem) => /CN=(.*)$/m.exec(new X509Certificate(pem).subject)?.[1]);
    expect(names.sort()).toEqual(Object.keys(AMAZON_ROOT_SHA256).sort());
    expect(names).toHaveLength(5);
    expect(rootCertificates.length).toBeGreaterThan(50);
  });

  it("a Node.js without them is refused", () => {
    const pinned = new Set(amazonRoots());
    const others = rootCertificates.filter((pem) => !pinned.has(pem));
    expect(() => amazonRoots(others)).toThrowCode("ERR_CONFIGURATION");
    expect(() => amazonRoots([])).toThrowCode("ERR_CONFIGURATION");
  });
});

describe("kmsHostname", () => {
  it.each([
    ["us-east-1", "kms.us-east-1.amazonaws.com"],
    ["us-gov-west-1", "kms.us-gov-west-1.amazonaws.com"],
    ["cn-north-1", "kms.cn-north-1.amazonaws.com.cn"],
    ["eusc-de-east-1", "kms.eusc-de-east-1.amazonaws.eu"],
    ["us-iso-east-1", "kms.us-iso-east-1.c2s.ic.gov"],
    ["us-isob-east-1", "kms.us-isob-east-1.sc2s.sgov.gov"],
    ["us-isof-south-1", "kms.us-isof-south-1.csp.hci.ic.gov"],
    ["eu-isoe-west-1", "kms.eu-isoe-west-1.cloud.adc-e.uk"],
  ])("of %s is %s", (region, hostname) => {
    expect(kmsHostname(region)).toBe(hostname);
  });
});
