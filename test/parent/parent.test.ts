import { existsSync } from "node:fs";
import { describe, expect, onTestFinished, test } from "vitest";
import type { ParentOptions } from "../../parent/index.js";
import { createParent } from "../../parent/index.js";
import { connectTo } from "../../transport/connect.js";
import { collect } from "../support/streams.js";
import { openParent, parentOptions, tcpTarget } from "./fakes.js";

const exists = (address: string): boolean => existsSync(address.slice("unix:".length));

describe("createParent", () => {
  test("opens API, services and tunnel, and closes them all", async () => {
    const { port } = await tcpTarget((socket) => void socket.pipe(socket));
    const target = { host: "127.0.0.1", port };
    const { options } = parentOptions();
    const tunnel = { ...options.tunnel, target, allow: [target] };
    const { url, parent, tunnelAddress, servicesAddress } = await openParent(
      (_request, response) => void response.end("{}"),
      { tunnel },
    );
    expect(url).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
    const stream = await connectTo(tunnelAddress, { deadlineMs: 5_000 });
    stream.end("through the tunnel");
    expect((await collect(stream)).toString()).toBe("through the tunnel");
    await parent.close();
    expect([exists(tunnelAddress), exists(servicesAddress)]).toEqual([false, false]);
    await expect(fetch(url)).rejects.toThrow();
  });

  test("starts without its enclave", async () => {
    const { options } = parentOptions();
    const parent = await createParent(options);
    onTestFinished(() => parent.close());
    expect((await (await fetch(`${parent.url}/healthz`)).json()).status).toBe("degraded");
  });

  test("several run in one process, each with its own metrics", async () => {
    const listener: Parameters<typeof openParent>[0] = (_request, response) => void response.end("{}");
    const one = await openParent(listener);
    const two = await openParent(listener);
    await fetch(`${one.url}/attestation`);
    expect(await (await fetch(`${one.url}/metrics`)).text()).toContain('route="/attestation"');
    expect(await (await fetch(`${two.url}/metrics`)).text()).not.toContain('route="/attestation"');
  });

  test("names an IPv6 address as URLs do", async () => {
    const { options } = parentOptions({ listen: { host: "::1", port: 0 } });
    const parent = await createParent(options);
    onTestFinished(() => parent.close());
    expect(parent.url).toMatch(/^http:\/\/\[::1\]:\d+$/);
  });

  test("pitfall 24: does not start with an empty allow-list", async () => {
    const { options } = parentOptions();
    const tunnel = { ...options.tunnel, allow: [] };
    await expect(createParent({ ...options, tunnel })).rejects.toThrowCode("ERR_CONFIGURATION");
    expect([exists(options.tunnel.listen), exists(options.services)]).toEqual([false, false]);
  });

  test.each<[string, (options: ParentOptions) => Partial<ParentOptions>]>([
    ["an enclave address that is none", () => ({ enclaves: [{ name: "enclave", address: "http://enclave" }] })],
    ["two parts at one address", (options) => ({ services: options.tunnel.listen })],
    ["a services folder that is not there", () => ({ services: "unix:/nowhere/at/all" })],
    ["a host that is not this machine's", () => ({ listen: { host: "192.0.2.1", port: 0 } })],
  ])("refuses %s with ERR_ADDRESS, and leaves nothing open", async (_what, change) => {
    const { options } = parentOptions();
    const changed = { ...options, ...change(options) };
    await expect(createParent(changed)).rejects.toThrowCode("ERR_ADDRESS");
    expect([exists(options.tunnel.listen), exists(options.services)]).toEqual([false, false]);
  });
});
