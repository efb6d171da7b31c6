/**
 * The workload: small objects of many tenants. Each object is encrypted once, for a tenant that Zipf's law chooses; then
 * there are as many decryptions, of objects that it chooses again, so that few are asked for very often and most hardly ever.
 */
import type { Draw } from "./random.js";
import { seededDraw, zipfian } from "./random.js";

export const TENANTS = 100;
export const OBJECT_BYTES = 200;

/** What the encryption context of an object has: its tenant alone, or the object besides, which one object alone has then. */
export type ContextKind = "tenant" | "object";

export interface WorkloadOptions {
  readonly objects: number;
  readonly context: ContextKind;
  readonly seed: number;
}

export class Workload {
  readonly objects: number;
  readonly #context: ContextKind;
  readonly #tenants: Uint8Array;
  readonly #draw: Draw;

  constructor({ objects, context, seed }: WorkloadOptions) {
    this.objects = objects;
    this.#context = context;
    this.#draw = seededDraw(seed);
    const tenant = zipfian(TENANTS, this.#draw);
    this.#tenants = Uint8Array.from({ length: objects }, tenant);
  }

  /** Which object each decryption is of. The tenant of an object does not depend on its number, so the number is its rank. */
  accesses(): () => number {
    return zipfian(this.objects, this.#draw);
  }

  tenantOf(object: number): number {
    return this.#tenants[object] ?? 0;
  }

  /** The first object that is not the tenant's. */
  objectOfAnother(tenant: number): number {
    return this.#tenants.findIndex((other) => other !== tenant);
  }

  contextOf(object: number): Readonly<Record<string, string>> {
    const tenant = tenantName(this.tenantOf(object));
    return this.#context === "tenant" ? { tenant } : { tenant, object: `object-${object}` };
  }

  /** The contents of an object, base64: no two objects have the same. */
  plaintextOf(object: number): string {
    return Buffer.alloc(OBJECT_BYTES, `object ${object} of ${tenantName(this.tenantOf(object))}. `).toString("base64");
  }
}

export const tenantName = (tenant: number): string => `tenant-${String(tenant).padStart(3, "0")}`;
