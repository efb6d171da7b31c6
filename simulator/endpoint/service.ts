/** The AWS services behind one endpoint. Which of them a request is for stands in its signature's credential scope. */
import { setTimeout as sleep } from "node:timers/promises";
import { AwsError } from "../errors.js";
import type { SignedRequest } from "../iam/sigv4.js";
import { claimedScopeOf } from "../iam/sigv4.js";
import { errorReply } from "./aws-json.js";

/** A request and where it came from. */
export interface AwsRequest extends SignedRequest {
  /** The X-Amz-Target header: which operation, in the JSON protocols. */
  readonly operation: string | undefined;
  readonly sourceIp: string;
  readonly userAgent: string;
  /** Whether it came over TLS. */
  readonly secure: boolean;
  readonly tlsDetails?: TlsDetails | undefined;
}

/** `tlsDetails` of a CloudTrail record (CloudTrail User Guide, "CloudTrail record contents"). */
export interface TlsDetails {
  readonly tlsVersion: string;
  readonly cipherSuite: string;
  readonly clientProvidedHostHeader: string;
}

export interface AwsReply {
  readonly status: number;
  readonly requestId: string;
  readonly contentType: string;
  readonly body: string;
}

/** One service. It authenticates its requests itself, and answers every one in its own protocol. */
export interface Service {
  /** Never rejects. */
  answer(request: AwsRequest): Promise<AwsReply>;
}

/** How long calls that are under way may take when the services end. */
const CLOSE_TIMEOUT_MS = 10_000;

/** Hands each request to the service that it was signed for; to `kms` what names no other one. */
export class Services implements Service {
  readonly #services: ReadonlyMap<string, Service>;
  readonly #kms: Service;
  readonly #underWay = new Set<Promise<AwsReply>>();
  #closed = false;

  constructor(services: { readonly kms: Service } & Readonly<Record<string, Service>>) {
    this.#services = new Map(Object.entries(services));
    this.#kms = services.kms;
  }

  async answer(request: AwsRequest): Promise<AwsReply> {
    if (this.#closed) return errorReply(new AwsError("ServiceUnavailableException", "", 503));
    const service = this.#services.get(claimedScopeOf(request).service) ?? this.#kms;
    const reply = service.answer(request);
    this.#underWay.add(reply);
    return reply.finally(() => this.#underWay.delete(reply));
  }

  /** Takes no more requests. Resolves when those under way are answered, or do not come to an end. */
  async close(): Promise<void> {
    this.#closed = true;
    await Promise.race([Promise.all(this.#underWay), sleep(CLOSE_TIMEOUT_MS, undefined, { ref: false })]);
  }
}
