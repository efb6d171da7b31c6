import type { ConnectOptions } from "nitro-decrypt";
import { connectEnclave } from "nitro-decrypt";

/** What is wrong with the contexts of the application's own calls, once for each code and pair. */
export const connectWatched = (url: string, options: ConnectOptions) =>
  connectEnclave(url, {
    ...options,
    expectedContextPairs: ["tenant"],
    onContextWarning: ({ code, message }) => console.warn(`${code}: ${message}`),
  });
