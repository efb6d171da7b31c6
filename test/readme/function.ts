import { defineFunction } from "nitro-decrypt/enclave";
import { z } from "zod";

/** Code of the measured image: what it is given stays in the enclave, what leaves is what `output` lets through. */
export const lastFour = defineFunction({
  name: "last-four",
  input: z.undefined(),
  output: z.object({ lastFour: z.string().regex(/^\d{4}$/) }),
  run: ({ plaintext }) => ({ lastFour: new TextDecoder().decode(plaintext.subarray(-4)) }),
});
