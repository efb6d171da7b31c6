/** The files of a release: settings.json with its HMAC key, and enclave.json. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { CARD_NUMBER } from "../local/samples.js";
import type { Endpoint, LocalStack } from "../local/stack.js";
import { startLocalStack } from "../local/stack.js";
import type { Settings } from "../settings.js";
import { parseSettings } from "../settings.js";

const CARD = { tenant: "acme", purpose: "card-number" };
const encode = (settings: object) => Buffer.from(JSON.stringify(settings));

let stack: LocalStack;
let settings: Settings;
before(async () => {
  stack = await startLocalStack();
  settings = parseSettings(await stack.operator.makeSettings());
});
after(() => stack?.close());

async function cardToken(endpoint?: Endpoint, encryptionContext: Record<string, string> = CARD): Promise<unknown> {
  const ciphertext = await stack.operator.encrypt(Buffer.from(CARD_NUMBER), encryptionContext);
  const enclave = await stack.connect("acme", endpoint);
  return enclave.callFunction("card-token", { ciphertext, encryptionContext });
}

describe("settings.json", () => {
  it("is refused with a field too many or too few, or with a tenant", () => {
    const { cardToken } = settings;
    const { keyId: _keyId, ...lacking } = cardToken;
    const ofTenant = { ...cardToken, encryptionContext: { ...cardToken.encryptionContext, tenant: "acme" } };
    assert.deepEqual(parseSettings(encode({ cardToken })), settings);
    for (const wrong of [{ cardToken, more: 1 }, { cardToken: lacking }, { cardToken: ofTenant }, {}]) {
      assert.throws(() => parseSettings(encode(wrong)), { name: "ZodError" });
    }
  });
});

describe("the HMAC key", () => {
  it("is the same in every enclave of a release: tokens agree", async () => {
    assert.deepEqual(await cardToken(await stack.startAnother(stack.files)), await cardToken());
  });

  it("that KMS did not open at first is asked for again", async () => {
    const fresh = await stack.startAnother(stack.files);
    await stack.release(stack.pcrs, { StringEquals: { "kms:EncryptionContext:purpose": CARD.purpose } });
    await assert.rejects(cardToken(fresh), { code: "ERR_KMS_DENIED" });
    await stack.release(stack.pcrs);
    assert.deepEqual(await cardToken(fresh), await cardToken());
  });

  it("is refused when it is shorter than its hash", async () => {
    const { encryptionContext } = settings.cardToken;
    const short = await stack.operator.encrypt(new Uint8Array(16), encryptionContext);
    const cardSettings = { ...settings.cardToken, hmacKeyCiphertext: Buffer.from(short).toString("base64") };
    const files = new Map([...stack.files, ["settings.json", encode({ cardToken: cardSettings })]]);
    const endpoint = await stack.startAnother(files);
    await stack.release(endpoint.pcrs);
    await assert.rejects(cardToken(endpoint), { code: "ERR_FUNCTION_FAILED" });
    await stack.release(stack.pcrs);
  });
});

describe("enclave.json", () => {
  it("with policies that ask for no tenant still gives no token without one", async () => {
    const configuration = JSON.parse(String(stack.files.get("enclave.json")));
    const { authorization } = configuration;
    authorization.schema = authorization.schema
      .join("\n")
      .replace("tenant: String, purpose", "tenant?: String, purpose");
    authorization.policies = "permit(principal, action, resource);";
    const files = new Map([...stack.files, ["enclave.json", encode(configuration)]]);
    const endpoint = await stack.startAnother(files);
    assert.notEqual(endpoint.pcrs[16], stack.pcrs[16]);
    await stack.release(endpoint.pcrs);
    assert.equal(((await cardToken(endpoint)) as { lastFour: string }).lastFour, "1111");
    await assert.rejects(cardToken(endpoint, { purpose: CARD.purpose }), { code: "ERR_FUNCTION_REFUSED" });
    await stack.release(stack.pcrs);
  });
});
