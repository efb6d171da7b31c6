/** How new a tenant's active branch key was: remembered, so that an older one is noticed. */
import { describe, expect, it } from "vitest";
import { BranchKeyHistory } from "../../../../enclave/data-keys/branch/branch-key-history.js";

describe("BranchKeyHistory", () => {
  const at = (branchKeyId: string, createdAt: string) => ({ branchKeyId, createdAt });

  it("refuses an active key that is older than one seen before (PITFALLS 27)", () => {
    const history = new BranchKeyHistory(10);
    history.advance(at("a", "2026-02"));
    expect(() => history.advance(at("a", "2026-01"))).toThrowCode("ERR_ROLLBACK");
    history.advance(at("a", "2026-02"));
    history.advance(at("a", "2026-03"));
    expect(() => history.advance(at("a", "2026-02"))).toThrowCode("ERR_ROLLBACK");
    history.advance(at("b", "2026-01"));
  });

  it("remembers so many branch keys, those confirmed most recently", () => {
    const history = new BranchKeyHistory(2);
    for (const id of ["a", "b", "a", "c"]) history.advance(at(id, "2026-02"));
    expect(history.size).toBe(2);
    expect(() => history.advance(at("a", "2026-01"))).toThrowCode("ERR_ROLLBACK");
    history.advance(at("b", "2026-01")); // forgotten: the limit that docs/branch-keys.md tells
  });
});
