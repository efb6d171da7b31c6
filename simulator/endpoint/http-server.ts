/** Starting and stopping the simulator's HTTP servers. */
import type { Server } from "node:http";
import type { Server as SecureServer } from "node:https";

type AnyServer = Server | SecureServer;

/** Listens; rejects if the address cannot be had. */
export function listen(server: AnyServer, options: { readonly port: number; readonly host: string }): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(options, () => {
      server.off("error", reject);
      resolve();
    });
  });
}

/** Stops listening and ends every connection. A server that is stopped already stays so. */
export async function stop(server: AnyServer): Promise<void> {
  if (!server.listening) return;
  await new Promise<void>((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}
