import { once } from "node:events";
import { mkdtemp, rm, stat, writeFile } from "node:fs/promises";
import type { RequestOptions } from "node:http";
import { request as httpRequest } from "node:http";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { utf8 } from "../../../shared/bytes.js";
import type { Nsm } from "../../../shared/nsm.js";
import { NSM_MAX_REQUEST_BYTES, NSM_MAX_RESPONSE_BYTES } from "../../../shared/nsm.js";
import type { ConnectedNsm } from "../../../simulator/nsm/client.js";
import { connectSimulatedNsm } from "../../../simulator/nsm/client.js";
import type { NsmServer } from "../../../simulator/nsm/server.js";
import { serveNsm } from "../../../simulator/nsm/server.js";

/** Answers with what it was asked; "fail" makes it throw. */
const echo: Nsm = {
  exchange: async (request) => {
    if (new TextDecoder().decode(request) === "fail") throw new Error("the device is broken");
    return request;
  },
};

let folder: string;
let server: NsmServer;
let client: ConnectedNsm;
const path = () => join(folder, "nsm");

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "nd-nsm-"));
  server = await serveNsm(echo, `unix:${path()}`);
  client = connectSimulatedNsm(server.address);
});
afterEach(async () => {
  client.close();
  await server.close();
  await rm(folder, { recursive: true, force: true });
});

function post(body: Uint8Array, options: RequestOptions = {}): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const headers = { "content-type": "application/cbor", "content-length": body.length };
    const request = httpRequest({ socketPath: path(), method: "POST", path: "/", headers, ...options }, (response) => {
      response.resume();
      response.once("end", () => resolve(response.statusCode));
    });
    request.once("error", reject);
    request.end(body);
  });
}

describe("a served NSM", () => {
  test("answers through the client as it does in process", async () => {
    expect(await client.exchange(utf8("a request"))).toEqual(utf8("a request"));
    const full = new Uint8Array(NSM_MAX_REQUEST_BYTES).fill(7);
    expect(await client.exchange(full)).toEqual(full);
  });

  test("answers many at once", async () => {
    const requests = Array.from({ length: 50 }, (_, index) => utf8(`request ${index}`));
    expect(await Promise.all(requests.map((request) => client.exchange(request)))).toEqual(requests);
  });

  test("has a socket that is its owner's alone", async () => {
    expect((await stat(path())).mode & 0o777).toBe(0o600);
  });

  test("refuses other methods, paths and media types, and larger bodies", async () => {
    const body = utf8("a request");
    expect(await post(body)).toBe(200);
    expect(await post(body, { method: "PUT" })).toBe(404);
    expect(await post(body, { path: "/other" })).toBe(404);
    expect(await post(body, { headers: { "content-type": "text/plain" } })).toBe(415);
    expect(await post(new Uint8Array(NSM_MAX_REQUEST_BYTES + 1))).toBe(413);
  });

  test("outlives a device that fails, which the client reports", async () => {
    await expect(client.exchange(utf8("fail"))).rejects.toThrowCode("ERR_NSM");
    expect(await client.exchange(utf8("again"))).toEqual(utf8("again"));
  });

  test("cannot take the place of a file that is there", async () => {
    const taken = join(folder, "taken");
    await writeFile(taken, "");
    await expect(serveNsm(echo, `unix:${taken}`)).rejects.toThrowCode("ERR_ADDRESS");
    await expect(serveNsm(echo, "vsock://3:5000")).rejects.toThrowCode("ERR_ADDRESS");
  });

  test("is gone after close, with its socket", async () => {
    const own = await serveNsm(echo, `unix:${join(folder, "own")}`);
    const user = connectSimulatedNsm(own.address);
    expect(await user.exchange(utf8("x"))).toEqual(utf8("x"));
    await own.close();
    await expect(user.exchange(utf8("x"))).rejects.toThrowCode("ERR_NSM");
    await expect(stat(join(folder, "own"))).rejects.toThrow("ENOENT");
    user.close();
  });
});

describe("closing a served NSM", () => {
  test("answers what has been asked, and does not wait for connections that ask nothing", async () => {
    let release: (value: Uint8Array) => void = () => undefined;
    let asked: () => void = () => undefined;
    const arrived = new Promise<void>((resolve) => {
      asked = resolve;
    });
    const slow: Nsm = {
      exchange: () => {
        asked();
        return new Promise((resolve) => {
          release = resolve;
        });
      },
    };
    const own = await serveNsm(slow, `unix:${join(folder, "slow")}`);
    const user = connectSimulatedNsm(own.address);
    const silent = connect(join(folder, "slow"));
    await once(silent, "connect");
    const answer = user.exchange(utf8("x"));
    await arrived;
    const closed = own.close();
    release(utf8("late"));
    expect(await answer).toEqual(utf8("late"));
    await closed;
    await own.close();
    silent.destroy();
    user.close();
  });
});

describe("the client", () => {
  test("pitfall 15: refuses an answer that is longer than the device's", async () => {
    const long: Nsm = { exchange: async () => new Uint8Array(NSM_MAX_RESPONSE_BYTES + 1) };
    const own = await serveNsm(long, `unix:${join(folder, "long")}`);
    const user = connectSimulatedNsm(own.address);
    await expect(user.exchange(utf8("x"))).rejects.toThrowCode("ERR_NSM");
    user.close();
    await own.close();
  });

  test("takes no address but a Unix socket's", () => {
    expect(() => connectSimulatedNsm("vsock://3:5000")).toThrowCode("ERR_ADDRESS");
  });
});
