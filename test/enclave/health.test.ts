/** The enclave's report of itself: what makes it degraded. */
import { describe, expect, it } from "vitest";
import type { HealthSources } from "../../enclave/health.js";
import { healthReport, KmsHealth } from "../../enclave/health.js";
import type { RegionState } from "../../enclave/kms/region-availability.js";
import type { SharedKeysState } from "../../enclave/sealing/sealed-keys.js";
import { TestClock } from "./fakes.js";

const sourcesWith = (shared?: SharedKeysState): HealthSources => ({
  nsm: { state: "ok" },
  kms: new KmsHealth(new TestClock()),
  regions: { regions: undefined },
  recipient: { state: { keyAgeSeconds: 0, keyUses: 0, spareKeys: 0 } },
  credentials: undefined,
  time: { state: { documentAgeSeconds: 0, wallAheadMs: 0, kmsAheadMs: null, monotonicAheadMs: null } },
  sealed: { state: { keyAgeSeconds: 0, retiredKeys: 0, ...(shared ? { shared } : {}) } },
  tls: undefined,
  machine: undefined,
});

describe("a report", () => {
  it("is ok with keys of the enclave's own, and with those of a fleet", () => {
    expect(healthReport(sourcesWith()).status).toBe("ok");
    const shared = { epoch: 3, failure: undefined, rollbacks: 1 };
    expect(healthReport(sourcesWith(shared))).toMatchObject({ status: "ok", sealed: { shared } });
  });

  it("is degraded while a Region rests, and lists the Regions where there are several", () => {
    const own: RegionState = { region: "us-east-1", status: "ok", failure: undefined, restSeconds: undefined };
    const resting: RegionState = { ...own, status: "resting", failure: "ERR_TIMEOUT", restSeconds: 30 };
    const withRegions = (...regions: RegionState[]) => healthReport({ ...sourcesWith(), regions: { regions } });
    expect(withRegions(own, own)).toMatchObject({ status: "ok", regions: [own, own] });
    expect(withRegions(resting, own)).toMatchObject({ status: "degraded", regions: [resting, own] });
    expect(healthReport(sourcesWith()).regions).toBeUndefined();
  });

  it.each(["ERR_ROLLBACK", "ERR_SEALING_SEED", "ERR_KMS_DENIED"] as const)(
    "is degraded while the seeds of a fleet are not as they should be (%s)",
    (failure) => {
      const shared = { epoch: 3, failure, rollbacks: 1 };
      expect(healthReport(sourcesWith(shared))).toMatchObject({ status: "degraded", sealed: { shared } });
    },
  );
});
