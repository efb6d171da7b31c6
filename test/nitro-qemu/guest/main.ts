/** The program of the first enclave: checks the machine that it runs on, and tells the host on its console. */
import { openNsmDevice } from "../../../enclave/machine/nsm-device.js";
import { runChecks, tellStep } from "../../vm/guest/checks.js";
import { CheckedNsm } from "./checked-nsm.js";
import { documentChecks } from "./document-checks.js";
import { machineChecks, vsockChecks } from "./machine-checks.js";
import { pcrChecks } from "./pcr-checks.js";
import { requestChecks } from "./request-checks.js";

tellStep("the enclave's program runs");
const device = openNsmDevice();
const nsm = new CheckedNsm(device);
await runChecks([
  ...vsockChecks,
  ...pcrChecks(nsm),
  ...requestChecks(nsm),
  ...documentChecks(nsm),
  ...machineChecks(device), // after them this process is root no more
]);
await device.close();
process.exit();
