/** GetFaults and SetFaults: the fault plan over the wire. */
import { z } from "zod";
import type { Faults } from "../endpoint/faults.js";
import { faultPlan } from "../endpoint/faults.js";
import { validationError } from "../errors.js";
import type { ControlOperation } from "./control-service.js";

export const faultOperations = (faults: Faults): readonly (readonly [string, ControlOperation])[] => [
  ["GetFaults", () => faults.plan],
  [
    "SetFaults",
    (input) => {
      const parsed = faultPlan.safeParse(input);
      if (!parsed.success) throw validationError(`This is no fault plan:\n${z.prettifyError(parsed.error)}`);
      faults.set(parsed.data);
      return faults.plan;
    },
  ],
];
