/** How the commands of `kms` reach one that runs: a file that the server leaves, and signed calls. */
import { readFile } from "node:fs/promises";
import { request as httpRequest } from "node:http";
import { request as httpsRequest } from "node:https";
import { join, resolve } from "node:path";
import { z } from "zod";
import { ServiceError } from "../../shared/errors.js";
import { parseJson } from "../../shared/wire.js";
import type { AccessKey } from "../../simulator/iam/principals.js";
import { signRequest } from "../../simulator/iam/sign-request.js";
import { hasCode } from "../../simulator/storage/storage-error.js";
import type { Io } from "../command.js";
import { CommandFailure } from "../command.js";
import type { Mark } from "./owned-files.js";

export const CONNECTION_FILE = "connection.json";

const TIMEOUT_MS = 30_000;
const MAX_ANSWER_BYTES = 64 * 1024 * 1024;

const connectionSchema = z.strictObject({
  endpoint: z.url(),
  region: z.string(),
  caFile: z.string(),
  accessKey: z.strictObject({ accessKeyId: z.string(), secretAccessKey: z.string() }),
  mark: z.strictObject({ process: z.string(), files: z.record(z.string(), z.string()) }),
});

/** A server that runs, and the operator's key. */
export interface Connection {
  readonly endpoint: string;
  readonly region: string;
  readonly caFile: string;
  readonly accessKey: AccessKey;
  /** Of the files beside it. */
  readonly mark: Mark;
}

export const encodeConnection = (connection: Connection): string => `${JSON.stringify(connection)}\n`;

/** The connection of the server whose files lie in `folder`. */
export async function readConnection(folder: string | undefined, io: Io): Promise<Connection> {
  if (folder === undefined) throw new CommandFailure(2, "--folder is required: where the running KMS has its files");
  const path = join(resolve(io.cwd, folder), CONNECTION_FILE);
  try {
    return parseJson(connectionSchema, await readFile(path, "utf8"), "ERR_CONFIGURATION");
  } catch (cause) {
    throw new CommandFailure(
      1,
      `${path} says of no KMS that runs; start one with "nitro-decrypt kms --folder ${folder}"`,
      {
        cause,
      },
    );
  }
}

/** The mark of the files in `folder`, if a server left them. */
export async function markIn(folder: string): Promise<Mark | undefined> {
  try {
    return parseJson(connectionSchema, await readFile(join(folder, CONNECTION_FILE), "utf8"), "ERR_CONFIGURATION").mark;
  } catch (error) {
    if (error instanceof ServiceError || hasCode(error, "ENOENT")) return undefined; // none, or of something else
    throw error;
  }
}

/** Which operation of which service. */
export interface Operation {
  readonly service: string;
  /** X-Amz-Target. */
  readonly target: string;
}

/** Calls an operation in AWS JSON. */
export async function call(connection: Connection, operation: Operation, input: unknown, io: Io): Promise<unknown> {
  const url = new URL(connection.endpoint);
  const body = Buffer.from(JSON.stringify(input));
  const { service, target } = operation;
  const unsigned = { host: url.host, operation: target, body, region: connection.region, service, now: io.now() };
  const headers = signRequest(unsigned, connection.accessKey);
  const { status, text } = await post(connection, url, headers, body);
  if (status === 200) return JSON.parse(text);
  const { __type: type, message = "" } = z
    .looseObject({ __type: z.string(), message: z.string().optional() })
    .parse(JSON.parse(text));
  throw new CommandFailure(1, message === "" ? type : `${type}: ${message}`);
}

async function post(connection: Connection, url: URL, headers: Readonly<Record<string, string>>, body: Buffer) {
  const secure = url.protocol === "https:";
  const ca = secure ? await readFile(connection.caFile) : undefined;
  const options = { method: "POST", headers: { ...headers, "content-length": body.length }, timeout: TIMEOUT_MS };
  return new Promise<{ status: number; text: string }>((resolve, reject) => {
    const fail = (cause: Error) =>
      reject(new CommandFailure(1, `${url.origin} does not answer: ${cause.message}. Does the KMS run?`, { cause }));
    const request = secure ? httpsRequest(url, { ...options, ca }) : httpRequest(url, options);
    request.on("response", (response) => {
      const chunks: Buffer[] = [];
      let length = 0;
      response.on("data", (chunk: Buffer) => {
        length += chunk.length;
        if (length > MAX_ANSWER_BYTES) request.destroy(new Error("the answer is too long"));
        else chunks.push(chunk);
      });
      response.on("end", () => resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString() }));
      response.on("error", fail);
    });
    request.on("timeout", () => request.destroy(new Error(`nothing came for ${TIMEOUT_MS / 1000} seconds`)));
    request.on("error", fail);
    request.end(body);
  });
}
