/** The enums of key specs and algorithms against those of the AWS SDK's service model. */
import {
  CustomerMasterKeySpec,
  DataKeyPairSpec,
  EncapsulationAlgorithmSpec,
  EncryptionAlgorithmSpec,
  KeyAgreementAlgorithmSpec,
  KeySpec,
  KeyUsageType,
  MacAlgorithmSpec,
  MessageType,
  SigningAlgorithmSpec,
} from "@aws-sdk/client-kms";
import { describe, expect, it } from "vitest";
import * as own from "../../../simulator/kms/key-specs.js";

describe("the enums of the service model", () => {
  it.each<[string, readonly string[], Readonly<Record<string, string>>]>([
    ["CustomerMasterKeySpec", own.CUSTOMER_MASTER_KEY_SPECS, CustomerMasterKeySpec],
    ["DataKeyPairSpec", own.DATA_KEY_PAIR_SPECS, DataKeyPairSpec],
    ["EncapsulationAlgorithmSpec", own.ENCAPSULATION_ALGORITHMS, EncapsulationAlgorithmSpec],
    ["EncryptionAlgorithmSpec", own.ENCRYPTION_ALGORITHMS, EncryptionAlgorithmSpec],
    ["KeyAgreementAlgorithmSpec", own.KEY_AGREEMENT_ALGORITHMS, KeyAgreementAlgorithmSpec],
    ["KeySpec", own.KEY_SPECS, KeySpec],
    ["KeyUsageType", own.KEY_USAGES, KeyUsageType],
    ["MacAlgorithmSpec", own.MAC_ALGORITHMS, MacAlgorithmSpec],
    ["MessageType", own.MESSAGE_TYPES, MessageType],
    ["SigningAlgorithmSpec", own.SIGNING_ALGORITHMS, SigningAlgorithmSpec],
  ])("are all here and no others: %s", (_, values, model) => {
    expect([...values].sort()).toEqual(Object.values(model).sort());
  });

  it("has every algorithm in the abilities of some key", () => {
    const able = own.KEY_SPECS.flatMap((spec) =>
      own.KEY_USAGES.flatMap((usage) => Object.values(own.algorithmMembers(spec, usage)).flat()),
    );
    const algorithms = [
      ...own.ENCAPSULATION_ALGORITHMS,
      ...own.ENCRYPTION_ALGORITHMS,
      ...own.KEY_AGREEMENT_ALGORITHMS,
      ...own.MAC_ALGORITHMS,
      ...own.SIGNING_ALGORITHMS,
    ];
    expect([...new Set(able)].sort()).toEqual([...algorithms].sort());
  });
});
