/** Signs a request with AWS Signature Version 4, as `verifySignature` wants it: for the tools that speak with the simulator. */
import type { AccessKey } from "./principals.js";
import { signatureOf } from "./sigv4.js";

/** A POST to `/` that has yet to be signed. */
export interface UnsignedRequest {
  readonly host: string;
  readonly operation: string;
  readonly body: Uint8Array;
  readonly region: string;
  readonly service: string;
  readonly now: Date;
}

/** The headers that it goes out with. */
export function signRequest(request: UnsignedRequest, key: AccessKey): Readonly<Record<string, string>> {
  const { host, operation, body, region, service, now } = request;
  const time = `${now.toISOString().replace(/[-:]/g, "").slice(0, 15)}Z`;
  const date = time.slice(0, 8);
  const scope = `${date}/${region}/${service}/aws4_request`;
  const headers = {
    "content-type": "application/x-amz-json-1.1",
    host,
    "x-amz-date": time,
    "x-amz-target": operation,
  };
  const signedHeaders = Object.keys(headers);
  const signature = signatureOf(
    { method: "POST", target: "/", body },
    new Map(Object.entries(headers)),
    { date, region, service, scope, signedHeaders },
    time,
    key.secretAccessKey,
  ).toString("hex");
  const authorization = `AWS4-HMAC-SHA256 Credential=${key.accessKeyId}/${scope}, SignedHeaders=${signedHeaders.join(";")}, Signature=${signature}`;
  return { ...headers, authorization };
}
