/** `fetch` with a connection for each request, so that none is left open when the answer has come. */
import type { IncomingMessage } from "node:http";
import { request as httpRequest } from "node:http";
import { buffer } from "node:stream/consumers";

export const fetchOnce: typeof fetch = async (input, init = {}) => {
  const { method = "GET", body, signal } = init;
  const headers = Object.fromEntries(new Headers(init.headers));
  const answer = await new Promise<IncomingMessage>((resolve, reject) => {
    const request = httpRequest(String(input), { method, headers, agent: false, ...(signal ? { signal } : {}) });
    request.once("response", resolve).once("error", reject);
    request.end(body);
  });
  const fields = Object.entries(answer.headers).flatMap(([name, value]) =>
    typeof value === "string" ? [[name, value] as const] : [],
  );
  return new Response(await buffer(answer), {
    status: answer.statusCode ?? 0,
    headers: fields.map(([n, v]) => [n, v]),
  });
};
