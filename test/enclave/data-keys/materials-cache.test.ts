/** Where the caching manager keeps data keys: which materials leave when, and that they have no key any more. */
import type {
  CryptographicMaterialsCache,
  NodeDecryptionMaterial,
  NodeEncryptionMaterial,
} from "@aws-crypto/client-node";
import { describe, expect, it } from "vitest";
import { KmsDataKeys } from "../../../enclave/data-keys/kms-data-keys.js";
import { MaterialsCache } from "../../../enclave/data-keys/materials-cache.js";
import { settle, TestClock, testKeys } from "../fakes.js";
import { TableKms, toDecrypt, toEncrypt, useOf } from "./table-kms.js";

const clock = new TestClock();
const table = new TableKms();
const source = new KmsDataKeys(testKeys());

const newMaterial = (): Promise<NodeEncryptionMaterial> => source.encryptMaterials(toEncrypt(), useOf(table));
const opened = (made: NodeEncryptionMaterial): Promise<NodeDecryptionMaterial> =>
  source.decryptMaterials(toDecrypt(made), useOf(table));

async function setUp() {
  const store = new MaterialsCache({ capacity: 1, maxAgeMs: 60_000, clock });
  const making = await newMaterial();
  return { store, cache: store.forRequest(), making, opening: await opened(making) };
}

describe("a kept data key", () => {
  it("is found with its counts, of which every search is one message", async () => {
    const { cache, making } = await setUp();
    cache.putEncryptionMaterial("a", making, 10);
    expect(cache.getEncryptionMaterial("a", 5)).toMatchObject({ messagesEncrypted: 2, bytesEncrypted: 15 });
    expect(cache.getEncryptionMaterial("a", 0)).toMatchObject({ messagesEncrypted: 3, bytesEncrypted: 15 });
    expect(cache.getEncryptionMaterial("b", 5)).toBe(false);
  });

  it("to make messages is none to open them, and the other way round", async () => {
    const { store, cache, making, opening } = await setUp();
    cache.putEncryptionMaterial("a", making, 10);
    cache.putDecryptionMaterial("b", opening);
    expect([cache.getDecryptionMaterial("a"), cache.getEncryptionMaterial("b", 1), store.size]).toEqual([
      false,
      false,
      2,
    ]);
  });

  it.each<[string, (cache: CryptographicMaterialsCache, store: MaterialsCache) => unknown]>([
    [
      "it is too old and asked for",
      (cache) => {
        clock.advance(60_000);
        return cache.getDecryptionMaterial("a");
      },
    ],
    ["it is too old and nobody asks", () => clock.advance(120_000)],
    ["it is given up", (cache) => cache.del("a")],
    ["the cache is closed", (_, store) => store.close()],
  ])("is overwritten when %s", async (_, leave) => {
    const { store, cache, making, opening } = await setUp();
    cache.putEncryptionMaterial("a", making, 10);
    cache.putDecryptionMaterial("a", opening);
    leave(cache, store);
    cache.getEncryptionMaterial("a", 1);
    expect([making.hasUnencryptedDataKey, opening.hasUnencryptedDataKey, store.size]).toEqual([false, false, 0]);
  });

  it("is overwritten when another one takes its place", async () => {
    const { cache, making } = await setUp();
    cache.putEncryptionMaterial("a", making, 10);
    const other = await newMaterial();
    cache.putEncryptionMaterial("b", other, 10);
    expect([making.hasUnencryptedDataKey, other.hasUnencryptedDataKey]).toEqual([false, true]);
  });

  it("that comes when the cache is closed is not kept, and is overwritten once the manager has its copy", async () => {
    const { store, cache, making, opening } = await setUp();
    store.close();
    cache.putEncryptionMaterial("a", making, 10);
    cache.putDecryptionMaterial("a", opening);
    expect([making.hasUnencryptedDataKey, opening.hasUnencryptedDataKey, store.size]).toEqual([true, true, 0]);
    await settle();
    expect([making.hasUnencryptedDataKey, opening.hasUnencryptedDataKey, store.size]).toEqual([false, false, 0]);
  });

  it("is no branch key", async () => {
    const { cache } = await setUp();
    expect(() => cache.putBranchKeyMaterial("a", {})).toThrow(TypeError);
    expect(() => cache.getBranchKeyMaterial("a")).toThrow(TypeError);
  });

  it("pitfall 12: is as old as the request that fetched it, however long the answer was held back", async () => {
    const { store, making, opening } = await setUp();
    const cache = store.forRequest();
    clock.advance(50_000);
    cache.putDecryptionMaterial("a", opening);
    clock.advance(9_999);
    expect(cache.getDecryptionMaterial("a")).not.toBe(false);
    clock.advance(1);
    expect(cache.getDecryptionMaterial("a")).toBe(false);
    cache.putEncryptionMaterial("b", making, 1);
    await settle();
    expect([making.hasUnencryptedDataKey, store.size]).toEqual([false, 0]);
  });
});
