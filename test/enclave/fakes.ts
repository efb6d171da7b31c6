/** What the enclave's tests stand it between: a clock that is told, an NSM that is held, and a KMS that says what a test wants. */
import type { KeyObject } from "node:crypto";
import { createPublicKey, generateKeyPairSync } from "node:crypto";
import type { KMSClientConfig } from "@aws-sdk/client-kms";
import { KMSClient } from "@aws-sdk/client-kms";
import type { Clock } from "../../enclave/clock.js";
import { openCiphertextForRecipient } from "../../enclave/kms/ciphertext-for-recipient.js";
import { PinnedKeys } from "../../enclave/kms/pinned-keys.js";
import type { Recipient } from "../../enclave/kms/recipient.js";
import type { LogFields, Logger } from "../../enclave/log.js";
import { toBase64, utf8 } from "../../shared/bytes.js";
import type { Nsm, NsmRequest, NsmResponse } from "../../shared/nsm.js";
import { decodeNsmRequest, encodeNsmResponse } from "../../shared/nsm.js";
import { sealForRecipient } from "../../simulator/kms/ciphertext-for-recipient.js";

export const START = new Date("2026-11-23T10:00:00.000Z");

/** A clock that stands until it is told, timers included. */
export class TestClock implements Clock {
  #elapsedMs = 0;
  readonly #timers = new Map<() => void, number>();

  now(): Date {
    return new Date(START.getTime() + this.#elapsedMs);
  }

  monotonicMs(): number {
    return this.#elapsedMs;
  }

  after(delayMs: number, run: () => void): () => void {
    const timer = (): void => run();
    this.#timers.set(timer, this.#elapsedMs + delayMs);
    return () => void this.#timers.delete(timer);
  }

  /** How many timers wait. */
  get waiting(): number {
    return this.#timers.size;
  }

  /** Lets time pass, and the timers with it, in order. */
  advance(ms: number): void {
    const end = this.#elapsedMs + ms;
    for (let next = this.#nextBefore(end); next; next = this.#nextBefore(end)) {
      this.#timers.delete(next.run);
      this.#elapsedMs = Math.max(this.#elapsedMs, next.atMs);
      next.run();
    }
    this.#elapsedMs = end;
  }

  #nextBefore(end: number): { run: () => void; atMs: number } | undefined {
    return [...this.#timers]
      .map(([run, atMs]) => ({ run, atMs }))
      .filter(({ atMs }) => atMs <= end)
      .sort((a, b) => a.atMs - b.atMs)[0];
  }
}

/** Lets everything run that needs no more than promises. */
export const settle = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));

/** A device that keeps each request until the test answers it. */
export class HeldNsm implements Nsm {
  readonly requests: NsmRequest[] = [];
  readonly #answers: ((bytes: Uint8Array) => void)[] = [];
  readonly #refusals: ((error: Error) => void)[] = [];

  exchange(request: Uint8Array): Promise<Uint8Array> {
    this.requests.push(decodeNsmRequest(request));
    return new Promise((resolve, reject) => {
      this.#answers.push(resolve);
      this.#refusals.push(reject);
    });
  }

  get kinds(): string[] {
    return this.requests.map(({ kind }) => kind);
  }

  /** Answers the oldest request that waits. */
  async answer(response: NsmResponse): Promise<void> {
    this.#refusals.shift();
    this.#answers.shift()?.(encodeNsmResponse(response));
    await settle();
  }

  async fail(error: Error): Promise<void> {
    this.#answers.shift();
    this.#refusals.shift()?.(error);
    await settle();
  }
}

/** Counts what goes to a device. */
export class CountingNsm implements Nsm {
  readonly requests: NsmRequest[] = [];
  readonly #inner: Nsm;

  constructor(inner: Nsm) {
    this.#inner = inner;
  }

  exchange(request: Uint8Array): Promise<Uint8Array> {
    this.requests.push(decodeNsmRequest(request));
    return this.#inner.exchange(request);
  }

  count(kind: NsmRequest["kind"]): number {
    return this.requests.filter((request) => request.kind === kind).length;
  }
}

export const KEY_ARN = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";
export const OTHER_KEY_ARN = "arn:aws:kms:us-east-1:111122223333:key/0987dcba-09fe-87dc-65ba-ab0987654321";
/** A key that no test configuration names. */
export const FOREIGN_KEY_ARN = "arn:aws:kms:us-east-1:111122223333:key/deadbeef-09fe-87dc-65ba-ab0987654321";

export const testKeys = (): PinnedKeys =>
  new PinnedKeys([
    { arn: KEY_ARN, aliases: ["alias/payments"] },
    { arn: OTHER_KEY_ARN, aliases: [] },
  ]);

export interface TestRecipient extends Recipient {
  /** Base64 of an envelope to this recipient. */
  seal(plaintext: Uint8Array): string;
  leases: number;
}

/** A recipient with a real key; its document is not looked at by the fake KMS. */
export function testRecipient(keys = testKeys()): TestRecipient {
  const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  return {
    keys,
    leases: 0,
    seal: (plaintext) => toBase64(sealTo(privateKey, plaintext)),
    async lease() {
      this.leases += 1;
      return { attestationDocument: utf8("document"), open: (blob) => openCiphertextForRecipient(blob, privateKey) };
    },
  };
}

export function sealTo(privateKey: KeyObject, plaintext: Uint8Array): Uint8Array {
  const publicKey = createPublicKey(privateKey);
  return sealForRecipient(plaintext, { publicKey, spki: publicKey.export({ type: "spki", format: "der" }) });
}

export type Json = Readonly<Record<string, unknown>>;

export interface KmsCall {
  /** `Decrypt` and so on. */
  readonly operation: string;
  readonly body: Json;
}

export interface FakeKms {
  readonly client: KMSClient;
  readonly calls: KmsCall[];
}

/** A client of the real SDK whose requests are answered by `answer`: its JSON, or an error to throw as the network would. */
export function fakeKms(answer: (call: KmsCall) => Json | Promise<Json>, changes: KMSClientConfig = {}): FakeKms {
  const calls: KmsCall[] = [];
  const handle = async (request: { headers: Record<string, string>; body: string | Uint8Array }) => {
    const text = typeof request.body === "string" ? request.body : new TextDecoder().decode(request.body);
    const operation = (request.headers["x-amz-target"] ?? "").replace("TrentService.", "");
    const call: KmsCall = { operation, body: JSON.parse(text) };
    calls.push(call);
    const { $status = 200, ...json } = await answer(call);
    const headers = { "content-type": "application/x-amz-json-1.1" };
    return { response: { statusCode: Number($status), headers, body: utf8(JSON.stringify(json)) } };
  };
  const client = new KMSClient({
    region: "us-east-1",
    endpoint: "https://kms.us-east-1.amazonaws.com",
    credentials: { accessKeyId: "AKIDEXAMPLE", secretAccessKey: "secret" },
    maxAttempts: 1,
    requestHandler: { handle, metadata: { handlerProtocol: "http/1.1" } },
    ...changes,
  });
  return { client, calls };
}

export interface TestLog extends Logger {
  readonly entries: { level: "info" | "warn" | "error"; fields: LogFields; message: string }[];
}

export function memoryLog(): TestLog {
  const entries: TestLog["entries"] = [];
  const at = (level: "info" | "warn" | "error") => (fields: LogFields, message: string) =>
    void entries.push({ level, fields, message });
  return { entries, info: at("info"), warn: at("warn"), error: at("error") };
}
