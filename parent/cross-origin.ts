/**
 * Cross-origin requests (the Fetch standard's CORS protocol): pages of the origins that are named may ask for attestation
 * and send sealed requests from a browser. Origins are compared literally; there is no wildcard. Nothing secret rests on
 * it: it keeps other pages from using a visitor's network position, and no page from anything that it could ask itself.
 */
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";

/** What a browser has of its own: attestation and sealed requests. */
const OPEN_TO_PAGES = ["/attestation", "/v1/sealed"].flatMap((path) => [path, `/enclaves/:enclave${path}`]);
const PREFLIGHT_SECONDS = 600;

export function allowOrigins(app: FastifyInstance, origins: readonly string[]): void {
  if (origins.length === 0) return;
  const allow = (request: FastifyRequest, reply: FastifyReply): void => {
    const { origin } = request.headers;
    reply.header("vary", "origin");
    if (origin === undefined || !origins.includes(origin)) return;
    reply.headers({
      "access-control-allow-origin": origin,
      "access-control-expose-headers": "x-request-id, content-location",
    });
  };
  app.addHook("onRequest", async (request, reply) => {
    if (OPEN_TO_PAGES.includes(request.routeOptions.url ?? "")) allow(request, reply);
  });
  for (const path of OPEN_TO_PAGES) {
    app.options(path, async (_request, reply) =>
      reply
        .headers({
          "access-control-allow-methods": "GET, POST",
          "access-control-allow-headers": "content-type",
          "access-control-max-age": PREFLIGHT_SECONDS,
        })
        .code(204)
        .send(),
    );
  }
}
