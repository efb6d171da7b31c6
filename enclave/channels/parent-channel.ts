/**
 * The plain channel from the parent: HTTP at the enclave's address. It carries the routes that are open, the operations
 * that the configuration opens to the parent, and sealed requests, which the parent can only pass on.
 */
import { createServer } from "node:http";
import { MEDIA_TYPE_OHTTP_REQUEST } from "../../shared/ohttp/media-types.js";
import { MAX_SEALED_BYTES } from "../../shared/wire.js";
import type { Route } from "../operations/route.js";
import { checkedRoute } from "../operations/route.js";
import type { Router } from "../operations/router.js";
import type { SealedChannel } from "./sealed.js";
import type { ServedChannel } from "./server.js";

export function parentChannel(router: Router, sealed: SealedChannel, listen: ServedChannel["listen"]): ServedChannel {
  const sealedRoute: Route = {
    name: "sealed",
    method: "POST",
    contentTypes: [MEDIA_TYPE_OHTTP_REQUEST],
    always: false,
    guarded: true, // by what is inside
    idempotent: false,
    serve: async (request) => sealed.serve(await request.body.whole(MAX_SEALED_BYTES), request),
  };
  return {
    name: "parent",
    streams: false,
    create: createServer,
    listen,
    match: (target) =>
      target.path === "/v1/sealed" ? checkedRoute(sealedRoute, target) : router.match("parent", target),
    connectionKey: () => undefined,
  };
}
