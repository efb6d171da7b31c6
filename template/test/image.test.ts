/** The image: what is changed in it shows in its measurements, and KMS and clients then refuse it. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import type { ImageFiles } from "../image.js";
import { packImage } from "../image.js";
import { CARD_NUMBER } from "../local/samples.js";
import type { Endpoint, LocalStack } from "../local/stack.js";
import { startLocalStack } from "../local/stack.js";

const CARD = { tenant: "acme", purpose: "card-number" };
const FUNCTION = "dist/functions/card-token.js";

let stack: LocalStack;
before(async () => {
  stack = await startLocalStack();
});
after(() => stack?.close());

/** The files with one of them changed. */
function changed(path: string): ImageFiles {
  const content = stack.files.get(path);
  assert.ok(content, `${path} is in the image`);
  return new Map([...stack.files, [path, Buffer.concat([content, Buffer.from("\n")])]]);
}

describe("the image", () => {
  it("is the same for the same files", async () => {
    const { pcrs } = await stack.startAnother(new Map([...stack.files].reverse()));
    assert.deepEqual(pcrs, stack.pcrs);
  });

  it("holds what runs in the enclave, and nothing of the simulator, the parent or the tests", async () => {
    const paths = [...stack.files.keys()];
    for (const path of ["enclave.json", "settings.json", "package.json", "dist/main.js", FUNCTION]) {
      assert.ok(paths.includes(path), path);
    }
    assert.ok(paths.includes("node_modules/nitro-decrypt/dist/enclave/index.js"));
    assert.deepEqual(
      paths.filter((path) => /simulator|parent\/|local\/|test\//.test(path)),
      [],
    );
    assert.equal((await packImage(stack.files)).ramdisks.length, 2);
  });

  for (const path of [FUNCTION, "settings.json", "node_modules/nitro-decrypt/dist/enclave/index.js"]) {
    it(`changes in PCR0 and PCR2 with a byte of ${path}`, async () => {
      const { pcrs } = await stack.startAnother(changed(path));
      assert.notEqual(pcrs[0], stack.pcrs[0]);
      assert.equal(pcrs[1], stack.pcrs[1]);
      assert.notEqual(pcrs[2], stack.pcrs[2]);
      assert.equal(pcrs[16], stack.pcrs[16]);
    });
  }
});

describe("an enclave with a changed function", () => {
  it("is refused by clients", async () => {
    const { url } = await stack.startAnother(changed(FUNCTION));
    const connecting = stack.connect("acme", { url, pcrs: stack.pcrs });
    await assert.rejects(connecting, { name: "ServiceError", code: "ERR_PCR_MISMATCH" });
  });

  it("is refused by KMS, also for a client that would have it", async () => {
    const ciphertext = await stack.operator.encrypt(Buffer.from(CARD_NUMBER), CARD);
    const call = async (endpoint?: Endpoint) => {
      const enclave = await stack.connect("acme", endpoint);
      return (await enclave.callFunction("card-token", { ciphertext, encryptionContext: CARD })) as {
        lastFour: string;
      };
    };
    assert.equal((await call()).lastFour, "1111");
    await assert.rejects(call(await stack.startAnother(changed(FUNCTION))), { code: "ERR_KMS_DENIED" });
  });
});
