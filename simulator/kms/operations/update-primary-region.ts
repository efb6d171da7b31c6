/**
 * UpdatePrimaryRegion (API_UpdatePrimaryRegion): a replica becomes the primary, and the primary a replica. It is done when
 * this answers: no key is ever seen in the state Updating.
 */
import { z } from "zod";
import { notFound, unsupported } from "../../errors.js";
import type { KmsKey } from "../key.js";
import { isReplica } from "../key.js";
import { regionOf } from "../multi-region.js";
import type { Call, Demand } from "../operation.js";
import { defineOperation } from "../operation.js";
import { keyId, region } from "../schema.js";
import { assertEnabled, demandOn, keyByIdOf } from "./key-access.js";

const updatePrimaryRegionInput = z.object({ KeyId: keyId, PrimaryRegion: region });

type UpdateCall = Call<z.infer<typeof updatePrimaryRegionInput>>;

/** Permission is needed on both keys. */
export const updatePrimaryRegion = defineOperation({
  name: "UpdatePrimaryRegion",
  readOnly: false,
  input: updatePrimaryRegionInput,
  subject: (call) => {
    const key = keyByIdOf(call);
    return { key, replica: replicaIn(call, key) };
  },
  demands: (call, { key, replica }) =>
    replica === undefined ? [demand(call, key)] : [demand(call, key), demand(call, replica)],
  perform: (call, { key, replica }) => {
    if (key.multiRegionKeyType !== "PRIMARY") throw unsupported(`${key.arn} is not a multi-region primary key.`);
    if (replica === undefined) throw noReplica(call, key);
    assertEnabled(key);
    assertEnabled(replica);
    call.regions.put({ ...key, multiRegionKeyType: "REPLICA" });
    call.regions.put({ ...replica, multiRegionKeyType: "PRIMARY" });
    return {};
  },
});

const demand = (call: UpdateCall, key: KmsKey): Demand =>
  demandOn({ ...call, keys: call.regions.of(regionOf(key.arn)).keys }, key, "UpdatePrimaryRegion", [
    ["kms:PrimaryRegion", [call.input.PrimaryRegion]],
  ]);

const replicaIn = ({ regions, input }: UpdateCall, key: KmsKey): KmsKey | undefined =>
  regions.related(key).find((one) => isReplica(one) && regionOf(one.arn) === input.PrimaryRegion);

/** Told as of any key that is not there. */
const noReplica = ({ input: { PrimaryRegion } }: UpdateCall, { arn }: KmsKey) =>
  notFound(`Key '${arn.replace(`:${regionOf(arn)}:`, `:${PrimaryRegion}:`)}' does not exist`);
