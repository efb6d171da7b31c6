import { GenerateRandomCommand } from "@aws-sdk/client-kms";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Simulation } from "../../simulator/simulation.js";
import { startSimulation } from "../../simulator/simulation.js";
import { errorNameOf, kmsClient } from "../support/simulated-kms.js";
import { clockAt, SECOND } from "./fixtures.js";

const TTL = "x-aws-ec2-metadata-token-ttl-seconds";
const TOKEN = "x-aws-ec2-metadata-token";
const CREDENTIALS = "/latest/meta-data/iam/security-credentials";

const clock = clockAt();
let simulation: Simulation;

beforeAll(async () => {
  simulation = await startSimulation({ clock, credentialLifetimeSeconds: 3600, roleName: "my-role" });
});
afterAll(() => simulation.close());

const send = (path: string, method = "GET", headers: Record<string, string> = {}) =>
  fetch(`${simulation.imds.endpoint}${path}`, { method, headers });
const newToken = async (seconds = 21_600) =>
  (await send("/latest/api/token", "PUT", { [TTL]: String(seconds) })).text();
const get = async (path: string, token?: string) => send(path, "GET", { [TOKEN]: token ?? (await newToken()) });

interface CredentialsDocument {
  readonly AccessKeyId: string;
  readonly SecretAccessKey: string;
  readonly Token: string;
  readonly Expiration: string;
}
const credentials = async () => (await (await get(`${CREDENTIALS}/my-role`)).json()) as CredentialsDocument;

describe("the metadata service", () => {
  it("gives a token, the role's name, and its credentials, which the KMS takes", async () => {
    expect(await (await get(`${CREDENTIALS}/`)).text()).toBe("my-role");
    const document = await credentials();
    expect(document).toMatchObject({
      Code: "Success",
      Type: "AWS-HMAC",
      LastUpdated: expect.stringMatching(/^\d{4}-.*Z$/),
    });
    const { AccessKeyId: accessKeyId, SecretAccessKey: secretAccessKey, Token: sessionToken } = document;
    const client = kmsClient(simulation.kms, clock, { accessKeyId, secretAccessKey, sessionToken });
    expect(await errorNameOf(client.send(new GenerateRandomCommand({ NumberOfBytes: 1 })))).toBe("no error");
    client.destroy();
  });

  it("gives the same credentials until five minutes before their end, then new ones", async () => {
    const first = await credentials();
    const remainingMs = Date.parse(first.Expiration) - Math.floor(clock().getTime() / SECOND) * SECOND;
    clock.advance(remainingMs - 301 * SECOND);
    expect(await credentials()).toEqual(first);
    clock.advance(2 * SECOND);
    const second = await credentials();
    expect(second.AccessKeyId).not.toBe(first.AccessKeyId);
    expect(Date.parse(second.Expiration)).toBeGreaterThan(Date.parse(first.Expiration));
  });

  it("knows the instance and its Region", async () => {
    expect(await (await get("/latest/meta-data/instance-id")).text()).toBe(simulation.instanceId);
    expect(await (await get("/latest/meta-data/placement/region")).text()).toBe("us-east-1");
  });

  it("refuses version 1: a request without a token", async () => {
    expect((await send(`${CREDENTIALS}/`)).status).toBe(401);
    expect((await send(`${CREDENTIALS}/my-role`)).status).toBe(401);
  });

  it("refuses a token that it did not give, and one that has ended", async () => {
    expect((await get(`${CREDENTIALS}/`, "made-up")).status).toBe(401);
    const token = await newToken(60);
    expect((await get(`${CREDENTIALS}/`, token)).status).toBe(200);
    clock.advance(60 * SECOND);
    expect((await get(`${CREDENTIALS}/`, token)).status).toBe(401);
  });

  it.each([undefined, "0", "21601", "ten", "-1", "1e3"])("refuses to give a token for %s seconds", async (seconds) => {
    const headers = seconds === undefined ? undefined : { [TTL]: seconds };
    expect((await send("/latest/api/token", "PUT", headers)).status).toBe(400);
  });

  it("refuses to give a token through a proxy", async () => {
    const headers = { [TTL]: "60", "x-forwarded-for": "10.0.0.1" };
    expect((await send("/latest/api/token", "PUT", headers)).status).toBe(403);
  });

  it("knows nothing else", async () => {
    expect((await get(`${CREDENTIALS}/other-role`)).status).toBe(404);
    expect((await get("/latest/user-data")).status).toBe(404);
    expect((await send("/latest/other", "PUT", { [TTL]: "60" })).status).toBe(404);
    expect((await send("/latest/api/token", "POST")).status).toBe(405);
  });
});
