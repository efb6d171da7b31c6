/** What an enclave tells its parent of its start, `POST /enclave-state` at the parent's services. Nothing rests on it. */
import * as z from "zod";
import { ERRORS } from "./errors.js";

const code = z.string().refine((text) => Object.hasOwn(ERRORS, text), "expected an error code");

export const enclaveState = z.discriminatedUnion("state", [
  z.strictObject({
    state: z.literal("serving"),
    /** PCR16, in hexadecimal. */
    configurationPcr: z.string().regex(/^[0-9a-f]{96}$/, "expected 48 bytes in hexadecimal"),
  }),
  z.strictObject({ state: z.literal("failed"), code }),
]);

export type EnclaveState = z.infer<typeof enclaveState>;
