/** The parent's services in a test: HTTP at a Unix socket, answers by path. */
import type { IncomingHttpHeaders } from "node:http";
import { createServer } from "node:http";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { listenAt } from "../../transport/listen.js";
import { testFolder } from "../support/folder.js";
import { anyPeer } from "../support/streams.js";
import type { Json } from "./fakes.js";

export type ServiceAnswer = { readonly status?: number; readonly body: unknown };

export interface FakeServices {
  readonly address: string;
  readonly requests: { path: string; body: Json }[];
  readonly headers: IncomingHttpHeaders[];
}

export async function fakeServices(
  answers: Readonly<Record<string, (body: Json) => ServiceAnswer | Promise<ServiceAnswer>>>,
): Promise<FakeServices> {
  const services: FakeServices = { address: `unix:${join(testFolder(), "services")}`, requests: [], headers: [] };
  const server = createServer(async (request, response) => {
    const parts: Uint8Array[] = [];
    for await (const part of request) parts.push(part);
    const text = Buffer.concat(parts).toString();
    const path = request.url ?? "";
    const body: Json = text === "" ? {} : JSON.parse(text);
    services.requests.push({ path, body });
    services.headers.push(request.headers);
    const answer = await answers[path]?.(body);
    response.statusCode = answer ? (answer.status ?? 200) : 404;
    response.end(JSON.stringify(answer?.body ?? {}));
  });
  onTestFinished(() => server.closeAllConnections());
  onTestFinished(() => void server.close());
  await listenAt(server, services.address, anyPeer);
  return services;
}
