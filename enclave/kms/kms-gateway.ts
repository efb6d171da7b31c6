/**
 * The transport *gateway* to KMS (DESIGN decision 2): the parent signs and makes the call; the enclave has neither
 * credentials nor TLS. Whoever carries the answer can forge it (PITFALLS 1), so the only command that goes this way is
 * Decrypt for AWS Encryption SDK messages, whose own authentication and key commitment catch a forged data key
 * (messages.ts), and GenerateRandom for the readiness probe, which throws the bytes away. All others are refused here,
 * in the enclave, before anything is sent.
 */
import type { KMSClient } from "@aws-sdk/client-kms";
import { NodeHttpHandler } from "@smithy/node-http-handler";
import { z } from "zod";
import { fromBase64, utf8 } from "../../shared/bytes.js";
import { ServiceError } from "../../shared/errors.js";
import { parseJson } from "../../shared/wire.js";
import type { ServicesClient } from "./services.js";

/** The parent's answer: KMS's status and JSON. */
const base64 = z.string().refine((text) => fromBase64(text) !== undefined, "expected base64");

/** An answer of KMS in AWS JSON. The fields that the SDK reads of it have their types: the parent chooses the values. */
const gatewayResponse = z.strictObject({
  status: z.union([z.literal(200), z.int().min(400).max(599)]),
  body: z.looseObject({
    KeyId: z.string().optional(),
    CiphertextForRecipient: base64.nullish(),
    Plaintext: base64.nullish(),
    __type: z.string().optional(),
    message: z.string().optional(),
    Message: z.string().optional(),
  }),
});

type Handle = NodeHttpHandler["handle"];

/** A `requestHandler` that posts `{target, body}` to the parent's services instead of speaking to KMS. */
export class GatewayHandler extends NodeHttpHandler {
  readonly #services: ServicesClient;

  constructor(services: ServicesClient) {
    super();
    this.#services = services;
  }

  override async handle(...[request, options = {}]: Parameters<Handle>): ReturnType<Handle> {
    const target = request.headers["x-amz-target"];
    const body: unknown = JSON.parse(textOf(request.body));
    const signal = options.abortSignal instanceof AbortSignal ? options.abortSignal : undefined;
    const answer = await this.#services.request({
      method: "POST",
      path: "/kms",
      body: utf8(JSON.stringify({ target, body })),
      failureCode: "ERR_KMS_UNAVAILABLE",
      signal,
    });
    const { status, body: json } = parseJson(gatewayResponse, answer, "ERR_KMS_ANSWER");
    const headers = { "content-type": "application/x-amz-json-1.1" };
    return { response: { statusCode: status, headers, body: utf8(JSON.stringify(json)) } };
  }
}

function textOf(body: unknown): string {
  if (typeof body === "string") return body;
  if (body instanceof Uint8Array) return new TextDecoder().decode(body);
  throw new TypeError("GatewayHandler: expected the request's body as text or bytes");
}

/**
 * Makes `client` refuse every command but the one named, with ServiceError ERR_GATEWAY_REFUSED, before it is attested
 * or sent.
 */
export function allowOnly(client: KMSClient, commandName: "DecryptCommand" | "GenerateRandomCommand"): KMSClient {
  client.middlewareStack.add(
    (next, context) => async (args) => {
      if (context.commandName === commandName) return next(args);
      throw new ServiceError("ERR_GATEWAY_REFUSED", `expected ${commandName}: nothing else goes this way`);
    },
    { step: "initialize", name: "nitroDecryptAllowOnly", priority: "high" },
  );
  return client;
}
