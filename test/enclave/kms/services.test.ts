/** What the enclave asks of its parent: the answer's text, or that there is none. */
import { describe, expect, it, onTestFinished } from "vitest";
import { ServicesClient } from "../../../enclave/kms/services.js";
import { fakeServices } from "../services.js";

async function setUp(status: number) {
  const services = await fakeServices({ "/thing": () => ({ status, body: { thing: 1 } }) });
  const client = new ServicesClient(services.address);
  onTestFinished(() => client.close());
  return { client, ask: { method: "GET", path: "/thing", failureCode: "ERR_CERTIFICATE" } as const };
}

describe("ServicesClient", () => {
  it("gives the text of an answer", async () => {
    const { client, ask } = await setUp(200);
    expect(await client.request(ask)).toBe('{"thing":1}');
    expect(await client.find(ask)).toBe('{"thing":1}');
  });

  it("takes what is not there for a failure, or finds nothing, as it is asked", async () => {
    const { client, ask } = await setUp(404);
    await expect(client.request(ask)).rejects.toThrowCode("ERR_CERTIFICATE");
    expect(await client.find(ask)).toBeUndefined();
  });

  it.each([204, 403, 500])("takes status %d for a failure either way", async (status) => {
    const { client, ask } = await setUp(status);
    await expect(client.request(ask)).rejects.toThrowCode("ERR_CERTIFICATE");
    await expect(client.find(ask)).rejects.toThrowCode("ERR_CERTIFICATE");
  });
});
