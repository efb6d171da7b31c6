/** AWS JSON 1.1 (Smithy, "AWS JSON 1.1 protocol"): the operation in X-Amz-Target, JSON both ways, errors by `__type`. */
import { randomUUID } from "node:crypto";
import { AwsError } from "../errors.js";
import type { AwsReply } from "./service.js";

const contentType = "application/x-amz-json-1.1";

/** The JSON of a request. @throws AwsError SerializationException */
export function parseBody(body: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(body));
  } catch {
    throw new AwsError("SerializationException"); // neither UTF-8 nor JSON: nothing more can be said of it
  }
}

/** The reply that carries `body`, the JSON of an answer. */
export const jsonReply = (requestId: string, body: string): AwsReply => ({ status: 200, requestId, contentType, body });

/** The reply that carries an error. AccessDenied really has a capital Message; clients of all languages read either. */
export function errorReply({ type, message, status }: AwsError, requestId: string = randomUUID()): AwsReply {
  const member = type === "AccessDeniedException" ? "Message" : "message";
  const body = JSON.stringify({ __type: type, ...(message === "" ? {} : { [member]: message }) });
  return { status, requestId, contentType, body };
}
