/**
 * Interface endpoints, and which requests come through one (PrivateLink Guide, "Access an AWS service using an interface
 * VPC endpoint"). At AWS the network decides it. Here an endpoint that says where its requests come from has every
 * request from there, and no other; one that does not say has the requests whose Host header is its DNS name, which a
 * caller chooses, and signs. Of two endpoints for the same addresses the Host header tells which.
 */
import { BlockList, isIP } from "node:net";
import type { EndpointPolicy } from "../iam/policy/compile.js";
import { compileEndpointPolicy } from "../iam/policy/compile.js";
import { textOf } from "./policies.js";
import type { VpcEndpointFile } from "./schema.js";
import { at, WorldError } from "./world-error.js";

export interface VpcEndpoint {
  readonly id: string;
  readonly vpcId: string;
  /** Whose it is; undefined if the world does not say. */
  readonly accountId: string | undefined;
  /** `com.amazonaws.REGION.SERVICE`. */
  readonly serviceName: string;
  /** Left out: everything is allowed. */
  readonly policy: EndpointPolicy | undefined;
  /** Whether a request from that address may be one of its own; undefined if the endpoint does not say. */
  readonly hasSource: ((address: string) => boolean) | undefined;
}

/** Where a request came from, and for which service it was signed. */
export interface Arrival {
  readonly sourceIp: string;
  /** The Host header. */
  readonly host: string;
  readonly region: string;
  readonly service: string;
}

/** @throws WorldError */
export function readVpcEndpoint(file: VpcEndpointFile, place: string): VpcEndpoint {
  const { id, vpcId, accountId, serviceName, policy, sourceCidrs } = file;
  return {
    id,
    vpcId,
    accountId,
    serviceName,
    policy:
      policy === undefined
        ? undefined
        : at(`${place}.policy`, () => compileEndpointPolicy(textOf(policy), { name: id })),
    hasSource: sourceCidrs && at(`${place}.sourceCidrs`, () => addressTest(sourceCidrs)),
  };
}

/** The endpoint that a request came through. */
export function endpointOf(arrival: Arrival, endpoints: readonly VpcEndpoint[]): VpcEndpoint | undefined {
  const { host, sourceIp, region, service } = arrival;
  const ofService = endpoints.filter(({ serviceName }) => serviceName === `com.amazonaws.${region}.${service}`);
  const named = (endpoint: VpcEndpoint): boolean => isHostOf(host, endpoint);
  const around = ofService.filter(({ hasSource }) => hasSource?.(sourceIp));
  return around.find(named) ?? around[0] ?? ofService.find((one) => one.hasSource === undefined && named(one));
}

/** `vpce-0123-abcd.kms.eu-west-1.vpce.amazonaws.com`, with or without a zone, and without the second part too. */
function isHostOf(host: string, { id }: VpcEndpoint): boolean {
  const [label = "", ...domain] = host.toLowerCase().replace(/:\d+$/, "").split(".");
  return domain.includes("vpce") && (label === id || label.startsWith(`${id}-`));
}

function addressTest(cidrs: readonly string[]): (address: string) => boolean {
  const list = new BlockList();
  for (const cidr of cidrs) {
    const [network = "", prefix = ""] = cidr.split("/");
    list.addSubnet(network, Number(prefix), familyOf(network));
  }
  return (address) => isIP(address) !== 0 && list.check(address, familyOf(address));
}

const familyOf = (address: string): "ipv4" | "ipv6" => (isIP(address) === 6 ? "ipv6" : "ipv4");

/** @throws WorldError if two have one id */
export function assertDistinct(endpoints: readonly VpcEndpoint[]): void {
  const ids = endpoints.map(({ id }) => id);
  const twice = ids.find((id, i) => ids.indexOf(id) !== i);
  if (twice !== undefined) throw new WorldError(`vpcEndpoints: ${twice} stands there twice`);
}
