/** What the enclave asks of its parent: answers by status, absence apart from failure. */
import { describe, expect, it, onTestFinished } from "vitest";
import { ServicesClient } from "../../../enclave/kms/services.js";
import type { ServiceAnswer } from "../services.js";
import { fakeServices } from "../services.js";

async function setUp(answer: ServiceAnswer) {
  const services = await fakeServices({ "/certificate": () => answer });
  const client = new ServicesClient(services.address);
  onTestFinished(() => client.close());
  return { client, services };
}

const CERTIFICATE = { method: "GET", path: "/certificate", failureCode: "ERR_CERTIFICATE" } as const;

describe("ServicesClient", () => {
  it("request returns the answer's text", async () => {
    const { client, services } = await setUp({ body: { a: 1 } });
    await expect(client.request(CERTIFICATE)).resolves.toBe('{"a":1}');
    expect(services.requests).toEqual([{ path: "/certificate", body: {} }]);
  });

  it.each([404, 500])("request has the caller's code for a status of %d", async (status) => {
    const { client } = await setUp({ status, body: {} });
    await expect(client.request(CERTIFICATE)).rejects.toThrowCode("ERR_CERTIFICATE");
  });

  it("find tells what is not there from what failed", async () => {
    await expect((await setUp({ body: "x" })).client.find(CERTIFICATE)).resolves.toBe('"x"');
    await expect((await setUp({ status: 404, body: {} })).client.find(CERTIFICATE)).resolves.toBeUndefined();
    await expect((await setUp({ status: 500, body: {} })).client.find(CERTIFICATE)).rejects.toThrowCode(
      "ERR_CERTIFICATE",
    );
  });

  it("pitfall 15: an answer over 64 KiB is a failure of the parent", async () => {
    const { client } = await setUp({ body: "x".repeat(64 * 1024) });
    await expect(client.find(CERTIFICATE)).rejects.toThrowCode("ERR_CERTIFICATE");
  });

  it("a parent that is not there has the caller's code", async () => {
    const client = new ServicesClient("unix:/none");
    await expect(client.find(CERTIFICATE)).rejects.toThrowCode("ERR_CERTIFICATE");
  });
});
