/** ExplainRequest: the decision as it was at the call, and for whom; and who may ask the simulator's own service at all. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { DescribeKeyCommand, RevokeGrantCommand } from "@aws-sdk/client-kms";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { trustAnchorFromSha256 } from "../../../shared/attestation/trust-anchor.js";
import { startKms } from "../../../simulator/endpoint/server.js";
import { ADMINISTRATOR_POLICY } from "../../../simulator/iam/principals.js";
import { readWorld } from "../../../simulator/world/world.js";
import { projectRoot } from "../../support/project.js";
import { callControl } from "../../support/simulated-control.js";
import type { Credentials } from "../../support/simulated-kms.js";
import { errorNameOf } from "../../support/simulated-kms.js";
import { clockAt } from "../fixtures.js";
import type { GrantedKms } from "../kms/grants/granted-kms.js";
import { FOREIGN_ACCOUNT, startGrantedKms } from "../kms/grants/granted-kms.js";

let granted: GrantedKms;
beforeAll(async () => {
  granted = await startGrantedKms({ protocol: "http" });
});
afterAll(() => granted[Symbol.asyncDispose]());

const explain = (credentials: Credentials, RequestId?: string) =>
  callControl(granted.kms, granted.clock, credentials, "ExplainRequest", { RequestId });

const administratorOf = (name: string, accountId: string): Credentials =>
  granted.kms.principals.addUser({ name, accountId, policies: [ADMINISTRATOR_POLICY] });

describe("ExplainRequest", () => {
  it("says what was decided at the call, when the grant that allowed it is gone", async () => {
    const { alice, operator, kms } = granted;
    const KeyId = await granted.newKey();
    const { GrantId } = await granted.grant(KeyId);
    const { $metadata } = await alice.send(new DescribeKeyCommand({ KeyId }));
    const before = await explain(kms.operator, $metadata.requestId);
    expect(before).toMatchObject({ decisions: [{ allowed: true, reason: "allowed", granted: true }] });
    await operator.send(new RevokeGrantCommand({ KeyId, GrantId }));
    expect(await errorNameOf(alice.send(new DescribeKeyCommand({ KeyId })))).toBe("AccessDeniedException");
    expect(await explain(kms.operator, $metadata.requestId)).toEqual(before);
  });

  it("says what was refused at the call, when a grant allows it now", async () => {
    const KeyId = await granted.newKey();
    expect(await errorNameOf(granted.alice.send(new DescribeKeyCommand({ KeyId })))).toBe("AccessDeniedException");
    const before = await explain(granted.kms.operator);
    expect(before).toMatchObject({ decisions: [{ allowed: false, granted: false }] });
    await granted.grant(KeyId);
    expect(await explain(granted.kms.operator, String(before.requestId))).toEqual(before);
  });

  it("is for the account that called and for the one that was called upon, and for no other", async () => {
    const KeyId = await granted.newKey();
    await errorNameOf(granted.stranger.send(new DescribeKeyCommand({ KeyId })));
    const mine = await explain(granted.kms.operator);
    expect(mine).toMatchObject({ eventName: "DescribeKey", errorCode: "AccessDeniedException" });
    const id = String(mine.requestId);
    expect(await explain(administratorOf("caller", FOREIGN_ACCOUNT), id)).toEqual(mine);
    const other = administratorOf("other", "777788889999");
    const none = { __type: "NotFoundException", message: `There is no call ${id} among the newest` };
    expect(await explain(other, id)).toEqual(none);
    const message = "No call has been refused for want of permission";
    expect(await explain(other)).toEqual({ __type: "NotFoundException", message });
  });
});

describe("the simulator's own service", () => {
  const world = (serviceControlPolicy: object) => {
    const file = JSON.parse(readFileSync(join(projectRoot, "docs/examples/world.json"), "utf8"));
    const Statement = [{ Effect: "Allow", Action: "kms:*", Resource: "*", ...serviceControlPolicy }];
    file.organization.root.serviceControlPolicies = { list: { Version: "2012-10-17", Statement } };
    return readWorld(file, { region: "us-east-1" });
  };

  it("is not limited by an organisation's list of AWS services, but by the caller's policies", async () => {
    const clock = clockAt();
    const trustAnchor = trustAnchorFromSha256("none", "00".repeat(32));
    await using kms = await startKms({ trustAnchor, clock, protocol: "http", world: world({}) });
    const nobody = kms.principals.addUser({ name: "nobody" });
    expect(await callControl(kms, clock, kms.operator, "GetFaults")).toEqual({ faults: [], clockOffsetSeconds: 0 });
    const Message = `User: arn:aws:iam::${kms.accountId}:user/nobody is not authorized to perform: simulator:GetFaults on resource: * because no identity-based policy allows the simulator:GetFaults action`;
    expect(await callControl(kms, clock, nobody, "GetFaults")).toEqual({ __type: "AccessDeniedException", Message });
  });

  it.each(["GetFaults", "SetFaults", "GetAuditRecords", "GetCost"])(
    "keeps %s to its home account",
    async (operation) => {
      const stranger = administratorOf(`stranger-${operation}`, "999999999999");
      expect(await callControl(granted.kms, granted.clock, stranger, operation)).toEqual({
        __type: "AccessDeniedException",
        Message: `User: arn:aws:iam::999999999999:user/stranger-${operation} is not authorized to perform: simulator:${operation}: it is for principals of account ${granted.kms.accountId}`,
      });
    },
  );
});
