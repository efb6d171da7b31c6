/** The end of an HTTP exchange, as node:http does not tell it. */
import type { IncomingMessage, ServerResponse } from "node:http";

/**
 * Calls `run` once, when the answer has been sent or its connection has ended, whichever comes first; at once when the
 * connection has ended already.
 *
 * A response alone does not tell: one that waits behind another on a pipelined connection emits no 'close' when that
 * connection ends, and whatever its exchange holds would be held for ever.
 */
export function onceGone(request: IncomingMessage, response: ServerResponse, run: () => void): void {
  const { socket } = request;
  let told = false;
  const gone = (): void => {
    if (told) return; // Node closes the response from within the socket's 'close'
    told = true;
    response.off("close", gone);
    socket.off("close", gone);
    run();
  };
  if (socket.closed || response.closed) {
    gone();
    return;
  }
  response.once("close", gone);
  socket.setMaxListeners(0); // one for each request that is waiting on the connection, and bounded as they are
  socket.once("close", gone);
}
