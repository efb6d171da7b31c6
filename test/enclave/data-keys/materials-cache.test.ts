/** Where the caching manager keeps data keys: which materials leave when, and that they have no key any more. */
import type { NodeDecryptionMaterial, NodeEncryptionMaterial } from "@aws-crypto/client-node";
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
  const cache = new MaterialsCache({ capacity: 1, maxAgeMs: 60_000, clock });
  const making = await newMaterial();
  return { cache, making, opening: await opened(making) };
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
    const { cache, making, opening } = await setUp();
    cache.putEncryptionMaterial("a", making, 10);
    cache.putDecryptionMaterial("b", opening);
    expect([cache.getDecryptionMaterial("a"), cache.getEncryptionMaterial("b", 1), cache.size]).toEqual([
      false,
      false,
      2,
    ]);
  });

  it.each<[string, (cache: MaterialsCache) => unknown]>([
    [
      "it is too old and asked for",
      (cache) => {
        clock.advance(60_000);
        return cache.getDecryptionMaterial("a");
      },
    ],
    ["it is too old and nobody asks", () => clock.advance(120_000)],
    ["it is given up", (cache) => cache.del("a")],
    ["the cache is closed", (cache) => cache.close()],
  ])("is overwritten when %s", async (_, leave) => {
    const { cache, making, opening } = await setUp();
    cache.putEncryptionMaterial("a", making, 10);
    cache.putDecryptionMaterial("a", opening);
    leave(cache);
    cache.getEncryptionMaterial("a", 1);
    expect([making.hasUnencryptedDataKey, opening.hasUnencryptedDataKey, cache.size]).toEqual([false, false, 0]);
  });

  it("is overwritten when another one takes its place", async () => {
    const { cache, making } = await setUp();
    cache.putEncryptionMaterial("a", making, 10);
    const other = await newMaterial();
    cache.putEncryptionMaterial("b", other, 10);
    expect([making.hasUnencryptedDataKey, other.hasUnencryptedDataKey]).toEqual([false, true]);
  });

  it("that comes when the cache is closed is not kept, and is overwritten once the manager has its copy", async () => {
    const { cache, making, opening } = await setUp();
    cache.close();
    cache.putEncryptionMaterial("a", making, 10);
    cache.putDecryptionMaterial("a", opening);
    expect([making.hasUnencryptedDataKey, opening.hasUnencryptedDataKey, cache.size]).toEqual([true, true, 0]);
    await settle();
    expect([making.hasUnencryptedDataKey, opening.hasUnencryptedDataKey, cache.size]).toEqual([false, false, 0]);
  });

  it("is no branch key", async () => {
    const { cache } = await setUp();
    expect(() => cache.putBranchKeyMaterial()).toThrow(TypeError);
    expect(cache.getBranchKeyMaterial()).toBe(false);
  });
});
