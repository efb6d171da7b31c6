"""The simulated KMS through unmodified boto3: every operation with a success and an error.
Prints `ok TITLE` or `FAILED TITLE: reason` per check."""
import hashlib
import hmac
import json
from datetime import datetime, timedelta, timezone

import boto3
from botocore.exceptions import ClientError
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding

kms = boto3.client("kms")
failures = 0
succeeded, failed = set(), set()
kms.meta.events.register("after-call.kms", lambda http_response, model, **_: (succeeded if http_response.status_code == 200 else failed).add(model.name))

# What the simulated KMS does not offer.
UNSUPPORTED = {f"{verb}CustomKeyStore" for verb in ("Create", "Update", "Connect", "Disconnect", "Delete")} | {"DescribeCustomKeyStores"}


def check(title, condition, reason=""):
    global failures
    failures += 0 if condition else 1
    print(f"ok {title}" if condition else f"FAILED {title}: {reason}", flush=True)


def error_of(call, arguments):
    try:
        call(**arguments)
    except ClientError as error:
        return error.response["Error"]["Code"], error.response["Error"]["Message"]
    return "none", ""


def refused(title, code, text, call, **arguments):
    """The call ends with this error, whose message contains the text."""
    actual, message = error_of(call, arguments)
    check(title, actual == code and text in message, (actual, message))


def new_key(**arguments):
    return kms.create_key(**arguments)["KeyMetadata"]["Arn"]


# Keys
key = kms.create_key(Description="from boto3", Tags=[{"TagKey": "team", "TagValue": "a"}])["KeyMetadata"]
arn = key["Arn"]
check("CreateKey gives an enabled symmetric key", key["KeyState"] == "Enabled" and key["KeySpec"] == "SYMMETRIC_DEFAULT", key)
refused("CreateKey wants the usage of an RSA key", "ValidationException", "You must specify a KeyUsage value", kms.create_key, KeySpec="RSA_2048")
check("DescribeKey gives what CreateKey gave", kms.describe_key(KeyId=arn)["KeyMetadata"] == key)
refused("DescribeKey does not find an unknown key", "NotFoundException", "Invalid keyId 'no-key'", kms.describe_key, KeyId="no-key")
other = new_key()
check("ListKeys lists both keys", {arn, other} <= {entry["KeyArn"] for entry in kms.list_keys()["Keys"]})
check("ListKeys lists them page by page", len(list(kms.get_paginator("list_keys").paginate(PaginationConfig={"PageSize": 1}))) >= 2)
refused("ListKeys refuses a marker that it did not give", "InvalidMarkerException", "", kms.list_keys, Marker="none")
kms.update_key_description(KeyId=arn, Description="new")
check("UpdateKeyDescription changes it", kms.describe_key(KeyId=arn)["KeyMetadata"]["Description"] == "new")
refused("UpdateKeyDescription takes no alias", "InvalidArnException", "Key Aliases are not supported", kms.update_key_description, KeyId="alias/a", Description="")

# Aliases
kms.create_alias(AliasName="alias/from-boto3", TargetKeyId=arn)
check("CreateAlias names the key", kms.describe_key(KeyId="alias/from-boto3")["KeyMetadata"]["Arn"] == arn)
refused("CreateAlias takes no reserved name", "NotAuthorizedException", "", kms.create_alias, AliasName="alias/aws/boto3", TargetKeyId=arn)
kms.update_alias(AliasName="alias/from-boto3", TargetKeyId=other)
check("UpdateAlias names another key", kms.describe_key(KeyId="alias/from-boto3")["KeyMetadata"]["Arn"] == other)
refused("UpdateAlias does not find an unknown alias", "NotFoundException", "alias/none is not found", kms.update_alias, AliasName="alias/none", TargetKeyId=arn)
check("ListAliases lists those of a key", [entry["AliasName"] for entry in kms.list_aliases(KeyId=other)["Aliases"]] == ["alias/from-boto3"])
refused("ListAliases does not find an unknown key", "NotFoundException", "Invalid keyId", kms.list_aliases, KeyId="no-key")
kms.delete_alias(AliasName="alias/from-boto3")
check("DeleteAlias takes the name away", kms.list_aliases(KeyId=other)["Aliases"] == [])
refused("DeleteAlias does not find it again", "NotFoundException", "is not found", kms.delete_alias, AliasName="alias/from-boto3")

# Tags
kms.tag_resource(KeyId=arn, Tags=[{"TagKey": "stage", "TagValue": "test"}])
check("TagResource adds to the tags", [tag["TagKey"] for tag in kms.list_resource_tags(KeyId=arn)["Tags"]] == ["stage", "team"])
refused("TagResource takes no reserved prefix", "TagException", "Tags beginning with aws: are reserved", kms.tag_resource, KeyId=arn, Tags=[{"TagKey": "aws:a", "TagValue": ""}])
kms.untag_resource(KeyId=arn, TagKeys=["stage"])
check("UntagResource takes one away", kms.list_resource_tags(KeyId=arn)["Tags"] == [{"TagKey": "team", "TagValue": "a"}])
refused("UntagResource does not find an unknown key", "NotFoundException", "does not exist", kms.untag_resource, KeyId=arn[:-12] + "0" * 12, TagKeys=["a"])
refused("ListResourceTags takes no alias", "InvalidArnException", "Key Aliases", kms.list_resource_tags, KeyId="alias/a")

# Encryption
context = {"tenant": "a", "purpose": "check"}
sealed = kms.encrypt(KeyId=arn, Plaintext=b"secret", EncryptionContext=context)["CiphertextBlob"]
opened = kms.decrypt(CiphertextBlob=sealed, EncryptionContext=context)
check("Decrypt gives back what Encrypt was given", opened["Plaintext"] == b"secret" and opened["KeyId"] == arn, opened)
refused("Encrypt takes no 4097 bytes", "ValidationException", "less than or equal to 4096", kms.encrypt, KeyId=arn, Plaintext=b"x" * 4097)
refused("Decrypt opens nothing under another context", "InvalidCiphertextException", "", kms.decrypt, CiphertextBlob=sealed, EncryptionContext={"tenant": "b"})
refused("Decrypt says that a dry run would succeed", "DryRunOperationException", "would have succeeded", kms.decrypt, CiphertextBlob=sealed, EncryptionContext=context, DryRun=True)
moved = kms.re_encrypt(CiphertextBlob=sealed, SourceEncryptionContext=context, DestinationKeyId=other)
check("ReEncrypt moves it to another key", kms.decrypt(CiphertextBlob=moved["CiphertextBlob"])["KeyId"] == other)
refused("ReEncrypt wants the source key", "IncorrectKeyException", "", kms.re_encrypt, CiphertextBlob=sealed, SourceEncryptionContext=context, SourceKeyId=other, DestinationKeyId=other)
check("GenerateRandom gives as many bytes as asked", len(kms.generate_random(NumberOfBytes=77)["Plaintext"]) == 77)
refused("GenerateRandom wants a number", "ValidationException", "NumberOfBytes is required.", kms.generate_random)

# Data keys
data_key = kms.generate_data_key(KeyId=arn, KeySpec="AES_256")
again = kms.decrypt(CiphertextBlob=data_key["CiphertextBlob"])["Plaintext"]
check("GenerateDataKey gives a key that Decrypt gives again", len(again) == 32 and again == data_key["Plaintext"])
refused("GenerateDataKey wants a size", "ValidationException", "either number of bytes or key spec", kms.generate_data_key, KeyId=arn)
check("GenerateDataKeyWithoutPlaintext has none", "Plaintext" not in kms.generate_data_key_without_plaintext(KeyId=arn, KeySpec="AES_128"))
refused("GenerateDataKeyWithoutPlaintext wants one size", "ValidationException", "either number of bytes or key spec", kms.generate_data_key_without_plaintext, KeyId=arn, KeySpec="AES_128", NumberOfBytes=16)
pair = kms.generate_data_key_pair(KeyId=arn, KeyPairSpec="ECC_NIST_P256")
check("GenerateDataKeyPair gives both keys", len(pair["PublicKey"]) == 91 and len(pair["PrivateKeyPlaintext"]) > 100)
refused("GenerateDataKeyPair knows its specs", "ValidationException", "enum value set", kms.generate_data_key_pair, KeyId=arn, KeyPairSpec="AES_256")
check("GenerateDataKeyPairWithoutPlaintext has no private one", "PrivateKeyPlaintext" not in kms.generate_data_key_pair_without_plaintext(KeyId=arn, KeyPairSpec="ECC_NIST_P256"))
refused("GenerateDataKeyPairWithoutPlaintext knows its specs", "ValidationException", "enum value set", kms.generate_data_key_pair_without_plaintext, KeyId=arn, KeyPairSpec="AES_256")

# Signatures, MACs, key agreement
signer = new_key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")
signing = {"KeyId": signer, "Message": b"message", "SigningAlgorithm": "ECDSA_SHA_256"}
signature = kms.sign(**signing)["Signature"]
check("Verify takes what Sign gave", kms.verify(**signing, Signature=signature)["SignatureValid"])
digest = hashlib.sha256(b"message").digest()
check("Verify takes the digest as well", kms.verify(**{**signing, "Message": digest}, MessageType="DIGEST", Signature=signature)["SignatureValid"])
refused("Sign wants a digest of the right length", "ValidationException", "Digest is invalid length", kms.sign, **{**signing, "MessageType": "DIGEST"})
refused("Verify refuses the signature of another message", "KMSInvalidSignatureException", "", kms.verify, **{**signing, "Message": b"other"}, Signature=signature)
check("GetPublicKey gives it", len(kms.get_public_key(KeyId=signer)["PublicKey"]) == 91)
refused("GetPublicKey has none of a symmetric key", "UnsupportedOperationException", "", kms.get_public_key, KeyId=arn)
mac_key = {"KeyId": new_key(KeySpec="HMAC_256", KeyUsage="GENERATE_VERIFY_MAC"), "MacAlgorithm": "HMAC_SHA_256"}
mac = kms.generate_mac(**mac_key, Message=b"message")["Mac"]
check("VerifyMac takes what GenerateMac gave", kms.verify_mac(**mac_key, Message=b"message", Mac=mac)["MacValid"])
refused("GenerateMac wants its algorithm", "InvalidKeyUsageException", "is incompatible with key spec HMAC_256", kms.generate_mac, **{**mac_key, "MacAlgorithm": "HMAC_SHA_512"}, Message=b"message")
refused("VerifyMac refuses the MAC of another message", "KMSInvalidMacException", "", kms.verify_mac, **mac_key, Message=b"other", Mac=mac)
agreement = [{"KeyId": new_key(KeySpec="ECC_NIST_P256", KeyUsage="KEY_AGREEMENT")} for _ in range(2)]
publics = [kms.get_public_key(**one)["PublicKey"] for one in agreement]
secrets = [kms.derive_shared_secret(**one, KeyAgreementAlgorithm="ECDH", PublicKey=public)["SharedSecret"] for one, public in zip(agreement, reversed(publics))]
check("DeriveSharedSecret gives both sides the same", secrets[0] == secrets[1] and len(secrets[0]) == 32)
refused("DeriveSharedSecret wants a public key", "ValidationException", "", kms.derive_shared_secret, **agreement[0], KeyAgreementAlgorithm="ECDH", PublicKey=b"none")

# Grants
role = arn.split(":")[4].join(["arn:aws:iam::", ":role/worker"])
grant = kms.create_grant(KeyId=arn, GranteePrincipal=role, RetiringPrincipal=role, Operations=["Decrypt"])
check("CreateGrant gives a token", len(grant["GrantToken"]) > 0)
refused("CreateGrant wants more than CreateGrant", "ValidationException", "must not contain only the CreateGrant operation", kms.create_grant, KeyId=arn, GranteePrincipal=role, Operations=["CreateGrant"])
check("ListGrants lists it", [entry["GrantId"] for entry in kms.list_grants(KeyId=arn)["Grants"]] == [grant["GrantId"]])
refused("ListGrants does not find an unknown key", "NotFoundException", "", kms.list_grants, KeyId="no-key")
check("ListRetirableGrants lists it", [entry["GrantId"] for entry in kms.list_retirable_grants(RetiringPrincipal=role)["Grants"]] == [grant["GrantId"]])
refused("ListRetirableGrants wants a principal", "InvalidArnException", "", kms.list_retirable_grants, RetiringPrincipal="nobody")
kms.revoke_grant(KeyId=arn, GrantId=grant["GrantId"])
check("RevokeGrant ends it", kms.list_grants(KeyId=arn)["Grants"] == [])
refused("RevokeGrant does not find it again", "NotFoundException", "", kms.revoke_grant, KeyId=arn, GrantId=grant["GrantId"])
bound = {"EncryptionContextSubset": context}
retired = kms.create_grant(KeyId=arn, GranteePrincipal=role, Operations=["Decrypt"], Constraints=bound)
check("ListGrants shows the constraints", kms.list_grants(KeyId=arn, GranteePrincipal=role)["Grants"][0]["Constraints"] == bound)
check("DescribeKey takes a grant token", kms.describe_key(KeyId=arn, GrantTokens=[retired["GrantToken"]])["KeyMetadata"]["Arn"] == arn)
refused("DescribeKey takes no other token", "InvalidGrantTokenException", "", kms.describe_key, KeyId=arn, GrantTokens=["unknown"])
kms.retire_grant(GrantToken=retired["GrantToken"])
check("RetireGrant ends it", kms.list_grants(KeyId=arn)["Grants"] == [])
refused("RetireGrant does not find it again", "NotFoundException", "", kms.retire_grant, KeyId=arn, GrantId=retired["GrantId"])

# What not every installed version knows
if hasattr(kms, "encapsulate"):
    kem = {"KeyId": new_key(KeySpec="ML_KEM_512", KeyUsage="ENCAPSULATE_DECAPSULATE"), "EncapsulationAlgorithm": "ML_KEM"}
    capsule = kms.encapsulate(**kem)
    opened = kms.decapsulate(**kem, SharedSecretCiphertextBlob=capsule["SharedSecretCiphertextBlob"])
    check("Decapsulate gives what Encapsulate gave", opened["SharedSecret"] == capsule["SharedSecret"])
    refused("Encapsulate wants a key of that usage", "InvalidKeyUsageException", "", kms.encapsulate, **{**kem, "KeyId": arn})
    refused("Decapsulate wants a whole ciphertext", "InvalidCiphertextException", "", kms.decapsulate, **kem, SharedSecretCiphertextBlob=b"short")
    check("ListKeys lists no keys of other accounts", kms.list_keys(ResourceOwners=["OTHER_ACCOUNTS_VIA_RAM"])["Keys"] == [])
    used = kms.get_key_last_usage(KeyId=kem["KeyId"])
    check("GetKeyLastUsage tells of the last use", used["KeyLastUsage"]["Operation"] == "Decapsulate")
    refused("GetKeyLastUsage knows no other keys", "NotFoundException", "does not exist", kms.get_key_last_usage, KeyId="12345678-1234-1234-1234-123456789012")

# Custom key stores
store = {"CustomKeyStoreId": "cks-1234567890abcdef0"}
refused("CreateCustomKeyStore is not supported", "UnsupportedOperationException", "", kms.create_custom_key_store, CustomKeyStoreName="a")
refused("DescribeCustomKeyStores is not supported", "UnsupportedOperationException", "", kms.describe_custom_key_stores)
refused("UpdateCustomKeyStore is not supported", "UnsupportedOperationException", "", kms.update_custom_key_store, **store)
refused("ConnectCustomKeyStore is not supported", "UnsupportedOperationException", "", kms.connect_custom_key_store, **store)
refused("DisconnectCustomKeyStore is not supported", "UnsupportedOperationException", "", kms.disconnect_custom_key_store, **store)
refused("DeleteCustomKeyStore is not supported", "UnsupportedOperationException", "", kms.delete_custom_key_store, **store)

# States of a key
kms.disable_key(KeyId=other)
refused("DisableKey disables it", "DisabledException", "is disabled.", kms.encrypt, KeyId=other, Plaintext=b"x")
refused("DisableKey does not find an unknown key", "NotFoundException", "", kms.disable_key, KeyId="no-key")
kms.enable_key(KeyId=other)
check("EnableKey enables it", kms.describe_key(KeyId=other)["KeyMetadata"]["Enabled"])
scheduled = kms.schedule_key_deletion(KeyId=other, PendingWindowInDays=7)
check("ScheduleKeyDeletion says when", scheduled["PendingWindowInDays"] == 7 and scheduled["KeyState"] == "PendingDeletion", scheduled)
check("DescribeKey says so too", kms.describe_key(KeyId=other)["KeyMetadata"]["DeletionDate"] == scheduled["DeletionDate"])
refused("ScheduleKeyDeletion does so once", "KMSInvalidStateException", "is pending deletion.", kms.schedule_key_deletion, KeyId=other)
refused("EnableKey does not save it", "KMSInvalidStateException", "is pending deletion.", kms.enable_key, KeyId=other)
kms.cancel_key_deletion(KeyId=other)
check("CancelKeyDeletion saves it", kms.describe_key(KeyId=other)["KeyMetadata"]["KeyState"] == "Disabled")
refused("CancelKeyDeletion does so once", "KMSInvalidStateException", "is not pending deletion.", kms.cancel_key_deletion, KeyId=other)

# Rotation
rotated = kms.create_key(MultiRegion=True)["KeyMetadata"]
sealed_before = kms.encrypt(KeyId=rotated["Arn"], Plaintext=b"old")["CiphertextBlob"]
hmac_key = new_key(KeySpec="HMAC_256", KeyUsage="GENERATE_VERIFY_MAC")
kms.enable_key_rotation(KeyId=rotated["Arn"], RotationPeriodInDays=90)
status = kms.get_key_rotation_status(KeyId=rotated["Arn"])
check("EnableKeyRotation sets the period", status["KeyRotationEnabled"] and status["RotationPeriodInDays"] == 90, status)
refused("EnableKeyRotation wants a symmetric key", "UnsupportedOperationException", "", kms.enable_key_rotation, KeyId=hmac_key)
kms.disable_key_rotation(KeyId=rotated["Arn"])
check("DisableKeyRotation ends it", not kms.get_key_rotation_status(KeyId=rotated["Arn"])["KeyRotationEnabled"])
refused("DisableKeyRotation does not find an unknown key", "NotFoundException", "Invalid keyId", kms.disable_key_rotation, KeyId="no-key")
refused("GetKeyRotationStatus takes no alias", "InvalidArnException", "Key Aliases", kms.get_key_rotation_status, KeyId="alias/a")
kms.rotate_key_on_demand(KeyId=rotated["Arn"])
[rotation] = kms.list_key_rotations(KeyId=rotated["Arn"])["Rotations"]
current = kms.describe_key(KeyId=rotated["Arn"])["KeyMetadata"]["CurrentKeyMaterialId"]
check("RotateKeyOnDemand makes new material", rotation["KeyMaterialId"] == current != rotated["CurrentKeyMaterialId"], rotation)
refused("RotateKeyOnDemand wants a symmetric key", "UnsupportedOperationException", "", kms.rotate_key_on_demand, KeyId=hmac_key)
refused("ListKeyRotations wants one too", "UnsupportedOperationException", "", kms.list_key_rotations, KeyId=hmac_key)

# Multi-Region keys
elsewhere = boto3.client("kms", region_name="eu-west-1")
replica = kms.replicate_key(KeyId=rotated["Arn"], ReplicaRegion="eu-west-1")["ReplicaKeyMetadata"]
opened = elsewhere.decrypt(CiphertextBlob=sealed_before)
check("ReplicateKey makes a key that decrypts what the primary encrypted", opened["Plaintext"] == b"old" and replica["KeyId"] == rotated["KeyId"], replica)
refused("ReplicateKey does so once for a Region", "AlreadyExistsException", "", kms.replicate_key, KeyId=rotated["Arn"], ReplicaRegion="eu-west-1")
kms.update_primary_region(KeyId=rotated["Arn"], PrimaryRegion="eu-west-1")
configuration = elsewhere.describe_key(KeyId=replica["Arn"])["KeyMetadata"]["MultiRegionConfiguration"]
check("UpdatePrimaryRegion makes it the primary", configuration["MultiRegionKeyType"] == "PRIMARY", configuration)
refused("UpdatePrimaryRegion wants a primary", "UnsupportedOperationException", "is not a multi-region primary key.", kms.update_primary_region, KeyId=rotated["Arn"], PrimaryRegion="eu-west-1")

# Imported material
external = new_key(Origin="EXTERNAL", KeySpec="HMAC_256", KeyUsage="GENERATE_VERIFY_MAC")
refused("GetParametersForImport wants a key of origin EXTERNAL", "UnsupportedOperationException", "origin is AWS_KMS", kms.get_parameters_for_import, KeyId=hmac_key, WrappingAlgorithm="RSAES_OAEP_SHA_256", WrappingKeySpec="RSA_2048")
parameters = kms.get_parameters_for_import(KeyId=external, WrappingAlgorithm="RSAES_OAEP_SHA_256", WrappingKeySpec="RSA_2048")
material = b"0123456789abcdef0123456789abcdef"
wrapped = serialization.load_der_public_key(parameters["PublicKey"]).encrypt(material, padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None))
imported = {"KeyId": external, "ImportToken": parameters["ImportToken"], "EncryptedKeyMaterial": wrapped}
refused("ImportKeyMaterial wants to know when it expires", "ValidationException", "A validTo date must be set", kms.import_key_material, **imported)
kms.import_key_material(**imported, ValidTo=datetime.now(timezone.utc) + timedelta(days=1))
mac = kms.generate_mac(KeyId=external, Message=b"message", MacAlgorithm="HMAC_SHA_256")["Mac"]
check("ImportKeyMaterial brings a key that makes the MACs that it makes elsewhere", mac == hmac.digest(material, b"message", "sha256"))
kms.delete_imported_key_material(KeyId=external)
state = kms.describe_key(KeyId=external)["KeyMetadata"]["KeyState"]
check("DeleteImportedKeyMaterial takes it away", state == "PendingImport", state)
refused("DeleteImportedKeyMaterial wants a key of origin EXTERNAL", "UnsupportedOperationException", "origin is AWS_KMS", kms.delete_imported_key_material, KeyId=hmac_key)

# Key policies
policy = json.loads(kms.get_key_policy(KeyId=arn, PolicyName="default")["Policy"])
check("GetKeyPolicy gives the default policy", policy["Id"] == "key-default-1", policy)
refused("GetKeyPolicy has no other", "NotFoundException", "No such policy exists", kms.get_key_policy, KeyId=arn, PolicyName="other")
check("ListKeyPolicies lists it", kms.list_key_policies(KeyId=arn)["PolicyNames"] == ["default"])
refused("ListKeyPolicies takes no alias", "InvalidArnException", "Key Aliases", kms.list_key_policies, KeyId="alias/a")
refused("PutKeyPolicy refuses to lock everybody out", "MalformedPolicyDocumentException", "will not allow you to update the key policy", kms.put_key_policy, KeyId=arn, Policy=json.dumps({**policy, "Statement": [{**policy["Statement"][0], "Action": "kms:Decrypt"}]}))
policy["Statement"].append({"Effect": "Deny", "Principal": "*", "Action": "kms:Decrypt", "Resource": "*",
                            "Condition": {"Null": {"kms:RecipientAttestation:ImageSha384": "true"}}})
kms.put_key_policy(KeyId=arn, PolicyName="default", Policy=json.dumps(policy))
refused("PutKeyPolicy can demand attestation of Decrypt", "AccessDeniedException", "with an explicit deny in a resource-based policy", kms.decrypt, CiphertextBlob=sealed, EncryptionContext=context)

wrong = boto3.client("kms", aws_secret_access_key="wrong", aws_access_key_id=kms._request_signer._credentials.access_key)
refused("a wrong secret does not sign", "InvalidSignatureException", "", wrong.generate_random, NumberOfBytes=1)

operations = set(kms.meta.service_model.operation_names)
check("every operation that is offered has succeeded", operations - succeeded <= UNSUPPORTED, operations - succeeded - UNSUPPORTED)
check("every operation has been refused", operations <= failed, operations - failed)
raise SystemExit(1 if failures else 0)
