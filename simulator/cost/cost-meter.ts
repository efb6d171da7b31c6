/**
 * What the calls in an audit log would cost at AWS, by key and operation. Calls that KMS refused or failed are counted, and
 * cost nothing here. AWS bills the account that calls; this adds up all accounts.
 */
import { isOwnersRecord } from "../cloudtrail/recipients.js";
import type { AuditRecord } from "../cloudtrail/records.js";
import type { PriceClass } from "./prices.js";
import { FREE_REQUESTS, KEY_MONTH_PRICE, PRICED_REQUESTS, PRICED_ROTATIONS, PRICES } from "./prices.js";

/** Of a key, what prices depend on. */
export interface PricedKey {
  readonly arn: string;
  readonly keySpec: string;
  readonly state: string;
  /** What there is or was of material; with a rotation, what has been rotated to. */
  readonly materials: readonly { readonly rotation?: unknown }[];
}

/** The calls of one operation on one key that have one price. */
export interface CostLine {
  /** The key's ARN; undefined for calls that name none. */
  readonly key: string | undefined;
  readonly operation: string;
  readonly priceClass: PriceClass;
  readonly calls: number;
  readonly failedCalls: number;
  /** In US dollars, by the list. */
  readonly price: number;
}

export interface CostReport {
  /** The dearest first. */
  readonly lines: readonly CostLine[];
  readonly calls: number;
  readonly failedCalls: number;
  /** In US dollars, by the list. */
  readonly price: number;
  /** The same, less the requests of each month that are free. */
  readonly priceAfterFreeTier: number;
  /** Keys that cost something, with their rotations, and what they cost in a month. */
  readonly keys: { readonly count: number; readonly rotations: number; readonly pricePerMonth: number };
}

type Tally = { -readonly [Member in keyof CostLine]: CostLine[Member] };

const priceOf = (priceClass: PriceClass, calls: number): number => (calls * PRICES[priceClass]) / PRICED_REQUESTS;
const sum = (values: Iterable<number>): number => [...values].reduce((total, value) => total + value, 0);

export class CostMeter {
  readonly #tallies = new Map<string, Tally>();
  /** Standard requests by month. */
  readonly #months = new Map<string, number>();

  /** Counts a call. `specOf` gives the spec of a key, as far as it is there. */
  add(record: AuditRecord, specOf: (arn: string) => string | undefined): void {
    if (record.eventSource !== "kms.amazonaws.com" || record.eventType !== "AwsApiCall") return;
    if (isOwnersRecord(record)) return; // it is the caller who pays
    const key = record.resources.find(({ ARN }) => ARN.includes(":key/"))?.ARN;
    const priceClass = priceClassOf(record, key === undefined ? undefined : specOf(key));
    const tally = this.#tallyOf(key, record.eventName, priceClass);
    if (record.errorCode !== undefined) {
      tally.failedCalls += 1;
      return;
    }
    tally.calls += 1;
    tally.price = priceOf(priceClass, tally.calls);
    const month = record.eventTime.slice(0, 7);
    if (priceClass === "standard") this.#months.set(month, (this.#months.get(month) ?? 0) + 1);
  }

  /** The costs so far, and those of the keys that there are. */
  report(keys: Iterable<PricedKey>): CostReport {
    const lines = [...this.#tallies.values()]
      .map((tally) => ({ ...tally }))
      .sort((a, b) => b.price - a.price || b.calls - a.calls);
    const price = sum(lines.map((line) => line.price));
    const free = sum([...this.#months.values()].map((calls) => Math.min(calls, FREE_REQUESTS)));
    return {
      lines,
      calls: sum(lines.map((line) => line.calls)),
      failedCalls: sum(lines.map((line) => line.failedCalls)),
      price,
      priceAfterFreeTier: price - priceOf("standard", free),
      keys: monthly(keys),
    };
  }

  #tallyOf(key: string | undefined, operation: string, priceClass: PriceClass): Tally {
    const name = JSON.stringify([key, operation, priceClass]);
    const tally = this.#tallies.get(name) ?? { key, operation, priceClass, calls: 0, failedCalls: 0, price: 0 };
    this.#tallies.set(name, tally);
    return tally;
  }
}

/** A key that is pending deletion costs nothing. */
function monthly(keys: Iterable<PricedKey>): CostReport["keys"] {
  const priced = [...keys].filter(({ state }) => !/^Pending(Replica)?Deletion$/.test(state));
  const rotations = sum(priced.map(({ materials }) => Math.min(rotationsAmong(materials), PRICED_ROTATIONS)));
  return { count: priced.length, rotations, pricePerMonth: (priced.length + rotations) * KEY_MONTH_PRICE };
}

/** Material that is imported and not rotated to yet costs nothing. */
const rotationsAmong = (materials: PricedKey["materials"]): number =>
  materials.filter(({ rotation }) => rotation !== undefined).length;

/** What the price list calls asymmetric requests. Management of an asymmetric key is none. */
const USES_OF_A_KEY_PAIR = new Set([
  "Decapsulate",
  "Decrypt",
  "DeriveSharedSecret",
  "Encapsulate",
  "Encrypt",
  "GetPublicKey",
  "ReEncrypt",
  "Sign",
  "Verify",
]);

function priceClassOf({ eventName, requestParameters }: AuditRecord, keySpec: string | undefined): PriceClass {
  if (eventName.startsWith("GenerateDataKeyPair")) {
    return String(requestParameters?.keyPairSpec).startsWith("RSA") ? "RSA data key pair" : "ECC data key pair";
  }
  if (!USES_OF_A_KEY_PAIR.has(eventName)) return "standard";
  if (keySpec === "RSA_2048") return "RSA 2048";
  if (keySpec !== undefined) return isSymmetric(keySpec) ? "standard" : "asymmetric";
  // Of a key that has gone, the record tells by its algorithm whether it was a pair, but not of which size.
  const { encryptionAlgorithm = "SYMMETRIC_DEFAULT" } = requestParameters ?? {};
  const isPair =
    encryptionAlgorithm !== "SYMMETRIC_DEFAULT" || !["Decrypt", "Encrypt", "ReEncrypt"].includes(eventName);
  return isPair ? "asymmetric" : "standard";
}

const isSymmetric = (keySpec: string): boolean => keySpec === "SYMMETRIC_DEFAULT" || keySpec.startsWith("HMAC_");
