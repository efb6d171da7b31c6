/** Sealing seeds: what one enclave of a fleet makes the others open, and nothing else. */
import { describe, expect, it } from "vitest";
import { toBase64, utf8 } from "../../../shared/bytes.js";
import type { OhttpKeyPair } from "../../../shared/ohttp/key-configuration.js";
import { encodeKeyConfigurations } from "../../../shared/ohttp/key-configuration.js";
import type { SealingSeed } from "../../../shared/sealing-seed.js";
import { sealingSeed } from "../../../shared/sealing-seed.js";
import { createNitroPki } from "../../../simulator/pki/nitro-pki.js";
import type { MemberOptions } from "../channels/fleet-member.js";
import { fleetMember } from "../channels/fleet-member.js";
import { seedKms } from "../channels/seed-kms.js";
import { START, TestClock } from "../fakes.js";
import { testImage } from "../platform.js";

const CREATED = START.getTime() + 250;

async function setUp() {
  const clock = new TestClock();
  const pki = await createNitroPki({ clock: () => clock.now() });
  const kms = seedKms();
  const member = (changes: Partial<MemberOptions> = {}) => fleetMember({ clock, pki, kms, ...changes });
  const maker = await member();
  const made = await maker.seeds.make(3, CREATED);
  return { clock, kms, member, maker, made, opener: await member() };
}

const publicKeys = (pairs: readonly OhttpKeyPair[]) =>
  toBase64(encodeKeyConfigurations(pairs.map(({ configuration }) => configuration)));

describe("a seed", () => {
  it("gives the enclave that opens it the keys of the one that made it", async () => {
    const { made, opener } = await setUp();
    const opened = await opener.seeds.open(made.record);
    expect(publicKeys(opened.pairs)).toBe(publicKeys(made.pairs));
    expect(opened).toMatchObject({ record: made.record, createdMs: CREATED });
    for (const { keys } of opened.pairs) expect(keys.privateKey.extractable).toBe(false);
  });

  it("is kept as a record that is public: epoch, time, ciphertext, document", async () => {
    const { made, kms } = await setUp();
    expect(sealingSeed.parse(made.record)).toEqual(made.record);
    expect(made.record).toMatchObject({ epoch: 3, created: new Date(CREATED).toISOString() });
    expect(kms.calls.map(({ operation }) => operation)).toEqual(["GenerateDataKey"]);
  });

  it("is bound to fleet, measurement, epoch and time by its encryption context", async () => {
    const { kms, maker } = await setUp();
    expect(kms.calls[0]?.body).toMatchObject({
      NumberOfBytes: 32,
      EncryptionContext: {
        purpose: "nitro-decrypt sealing identity",
        fleet: "payments",
        measurement: maker.identity.measurement,
        epoch: "3",
        created: "2026-11-23T10:00:00.250Z",
      },
    });
  });

  it("is opened days after the certificates of its document have ended", async () => {
    const { clock, made, opener } = await setUp();
    clock.advance(3 * 86_400_000);
    await expect(opener.seeds.open(made.record)).resolves.toBeDefined();
  });

  it("is opened by an enclave of another instance: PCR4 may differ", async () => {
    const { made, member } = await setUp();
    const elsewhere = await member({ instanceId: "i-0fedcba9876543210" });
    await expect(elsewhere.seeds.open(made.record)).resolves.toBeDefined();
  });
});

describe("a record is refused", () => {
  it.each<[string, Partial<SealingSeed>]>([
    ["another epoch", { epoch: 4 }],
    ["another time", { created: "2026-11-23T10:00:01.250Z" }],
    ["a ciphertext that KMS did not make", { ciphertext: toBase64(utf8("made up")) }],
    ["no document", { document: toBase64(utf8("made up")) }],
  ])("with %s", async (_, change) => {
    const { made, opener } = await setUp();
    await expect(opener.seeds.open({ ...made.record, ...change })).rejects.toThrowCode("ERR_SEALING_SEED");
    await expect(opener.seeds.open(made.record)).resolves.toBeDefined();
  });

  it("PITFALLS 1: whose seed somebody knows, who may call kms:Encrypt, in the right context and with a genuine document", async () => {
    const { kms, made, maker, opener } = await setUp();
    const { epoch, created, document } = made.record;
    const { fleet, measurement } = maker.identity;
    const context = { purpose: "nitro-decrypt sealing identity", fleet, measurement, epoch: String(epoch), created };
    const ciphertext = kms.encrypt(new Uint8Array(32), context);
    await expect(opener.seeds.open({ epoch, created, ciphertext, document })).rejects.toThrowCode("ERR_SEALING_SEED");
    expect(kms.calls.at(-1)?.operation).toBe("Decrypt"); // KMS opened it
  });

  it("whose document was made for something else", async () => {
    const { made, maker, opener } = await setUp();
    const document = toBase64(await maker.nsm.attest({ nonce: null, publicKey: null, userData: null }, "kms"));
    await expect(opener.seeds.open({ ...made.record, document })).rejects.toThrowCode("ERR_SEALING_SEED");
  });

  it("whose document was made at another time", async () => {
    const { clock, maker, opener } = await setUp();
    clock.advance(120_300);
    const { record } = await maker.seeds.make(4, CREATED);
    await expect(opener.seeds.open(record)).rejects.toThrowCode("ERR_SEALING_SEED");
  });

  it("PITFALLS 22: whose document is of another root", async () => {
    const { clock, kms, made } = await setUp();
    const pki = await createNitroPki({ clock: () => clock.now() });
    const { seeds } = await fleetMember({ clock, pki, kms });
    await expect(seeds.open(made.record)).rejects.toThrowCode("ERR_SEALING_SEED");
  });

  it.each<[string, Partial<MemberOptions>]>([
    [
      "another image",
      { image: { kernel: utf8("other"), cmdline: utf8(""), ramdisks: [utf8("base"), utf8("application")] } },
    ],
    ["another configuration", { configuration: '{"version":1}' }],
    ["another fleet", { fleet: "records" }],
  ])("by enclaves of %s, before or by KMS", async (_, changes) => {
    const { made, member } = await setUp();
    await expect((await member(changes)).seeds.open(made.record)).rejects.toThrowCode("ERR_SEALING_SEED");
  });

  it("of a seed of another length", async () => {
    const { kms, maker, opener, made } = await setUp();
    const { epoch, created, document } = made.record;
    const { fleet, measurement } = maker.identity;
    const context = { purpose: "nitro-decrypt sealing identity", fleet, measurement, epoch: String(epoch), created };
    const ciphertext = kms.encrypt(new Uint8Array(31), context);
    await expect(opener.seeds.open({ epoch, created, ciphertext, document })).rejects.toThrowCode("ERR_SEALING_SEED");
  });
});

describe("KMS", () => {
  it("that refuses or is away is told as such, and not taken for a record that is wrong", async () => {
    const { kms, made, opener } = await setUp();
    kms.failure = { $status: 400, __type: "AccessDeniedException" };
    await expect(opener.seeds.open(made.record)).rejects.toThrowCode("ERR_KMS_DENIED");
    await expect(opener.seeds.make(4, CREATED)).rejects.toThrowCode("ERR_KMS_DENIED");
    kms.failure = { $status: 500, __type: "KMSInternalException" };
    await expect(opener.seeds.open(made.record)).rejects.toThrowCode("ERR_KMS_UNAVAILABLE");
  });
});

describe("the measurement", () => {
  it("is the same for the same image and configuration, and another for another of either", async () => {
    const { maker, opener, member } = await setUp();
    expect(maker.identity).toEqual(opener.identity);
    const image = { ...(await testImage()), cmdline: utf8("other") };
    const measurements = [
      maker.identity.measurement,
      (await member({ image })).identity.measurement,
      (await member({ configuration: "other" })).identity.measurement,
    ];
    expect(new Set(measurements).size).toBe(3);
  });
});
