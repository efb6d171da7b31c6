/** Talking to the simulated STS as programs do: forms signed with Signature Version 4, XML back. */
import type { Clock } from "../../simulator/clock.js";
import type { SimulatedKms } from "../../simulator/endpoint/server.js";
import { signatureOf } from "../../simulator/iam/sigv4.js";
import type { Credentials } from "./simulated-kms.js";

export interface StsReply {
  readonly status: number;
  readonly text: string;
  /** The content of the first element of that name; "" if there is none. */
  element(name: string): string;
}

/** Sends a form to a server of plain HTTP. */
export async function callSts(
  kms: SimulatedKms,
  clock: Clock,
  credentials: Credentials,
  form: Readonly<Record<string, string>>,
): Promise<StsReply> {
  const body = new URLSearchParams({ Version: "2011-06-15", ...form }).toString();
  const time = `${clock().toISOString().replace(/[-:]/g, "").slice(0, 15)}Z`;
  const date = time.slice(0, 8);
  const headers = {
    "content-type": "application/x-www-form-urlencoded; charset=utf-8",
    host: `localhost:${kms.port}`,
    "x-amz-date": time,
    ...(credentials.sessionToken === undefined ? {} : { "x-amz-security-token": credentials.sessionToken }),
  };
  const signedHeaders = Object.keys(headers);
  const scope = `${date}/${kms.region}/sts/aws4_request`;
  const signature = signatureOf(
    { method: "POST", target: "/", body: Buffer.from(body) },
    new Map(Object.entries(headers)),
    { date, region: kms.region, service: "sts", scope, signedHeaders },
    time,
    credentials.secretAccessKey,
  ).toString("hex");
  const authorization = `AWS4-HMAC-SHA256 Credential=${credentials.accessKeyId}/${scope}, SignedHeaders=${signedHeaders.join(";")}, Signature=${signature}`;
  const reply = await fetch(kms.endpoint, { method: "POST", headers: { ...headers, authorization }, body });
  const text = await reply.text();
  const element = (name: string): string => new RegExp(`<${name}>([^<]*)</${name}>`).exec(text)?.[1] ?? "";
  return { status: reply.status, text, element };
}

/** The credentials that an answer has. */
export const credentialsIn = ({ element }: StsReply): Required<Credentials> => ({
  accessKeyId: element("AccessKeyId"),
  secretAccessKey: element("SecretAccessKey"),
  sessionToken: element("SessionToken"),
});

/** Code, status and message of an error; a test compares all three. */
export const errorIn = ({ status, element }: StsReply) => ({
  status,
  code: element("Code"),
  message: element("Message"),
});
