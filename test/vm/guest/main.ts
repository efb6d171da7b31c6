/** The guest's program: starts what is outside of the enclave, and runs the checks. */
import { runChecks, tellStep } from "./checks.js";
import { bootChecks, failedBootChecks, heartbeatChecks } from "./scenarios/boot.js";
import { peerDeathChecks, restartChecks } from "./scenarios/failures.js";
import { nsmChecks } from "./scenarios/nsm.js";
import { otherConfigurationChecks, requestChecks } from "./scenarios/requests.js";
import { vsockChecks } from "./scenarios/vsock.js";
import { Stage } from "./stage.js";

// What a check leaves undone when its time is up ends in nothing.
process.on("unhandledRejection", (reason) => void process.stdout.write(`nobody waited for this: ${reason}\n`));
tellStep("the guest's program runs");
const stage = await Stage.create();
tellStep("serves /dev/nsm, AWS KMS and instance metadata");
await stage.startParent();
tellStep("the parent runs");
await runChecks([
  ...vsockChecks,
  ...heartbeatChecks,
  ...bootChecks(stage),
  ...requestChecks(stage),
  ...peerDeathChecks(stage),
  ...restartChecks(stage),
  ...otherConfigurationChecks(stage),
  ...failedBootChecks(stage),
  ...nsmChecks(stage),
]);
process.exit();
