/** The name of the regional KMS endpoint (AWS General Reference, "AWS KMS endpoints"; DNS suffixes as in the Nitro Enclaves SDK for C). */

/** DNS suffix by Region prefix; the commercial one where no prefix fits. */
const SUFFIXES: readonly (readonly [prefix: string, suffix: string])[] = [
  ["cn-", "amazonaws.com.cn"],
  ["eusc-", "amazonaws.eu"],
  ["us-iso-", "c2s.ic.gov"],
  ["us-isob-", "sc2s.sgov.gov"],
  ["eu-isoe-", "cloud.adc-e.uk"],
  ["us-isof-", "csp.hci.ic.gov"],
];

/** The host name that the KMS of `region` shows a certificate for. */
export function kmsHostname(region: string): string {
  const suffix = SUFFIXES.find(([prefix]) => region.startsWith(prefix))?.[1] ?? "amazonaws.com";
  return `kms.${region}.${suffix}`;
}
