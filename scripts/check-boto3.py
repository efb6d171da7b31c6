"""The simulated KMS through unmodified boto3. Prints `ok TITLE` or `FAILED TITLE: reason` per check."""
import json

import boto3
from botocore.exceptions import ClientError

kms = boto3.client("kms")
failures = 0


def check(title, condition, reason=""):
    global failures
    failures += 0 if condition else 1
    print(f"ok {title}" if condition else f"FAILED {title}: {reason}", flush=True)


def error_of(call, **arguments):
    try:
        call(**arguments)
    except ClientError as error:
        return error.response["Error"]["Code"], error.response["Error"]["Message"]
    return "none", ""


key = kms.create_key(Description="from boto3")["KeyMetadata"]
arn = key["Arn"]
check("CreateKey gives an enabled symmetric key", key["KeyState"] == "Enabled" and key["KeySpec"] == "SYMMETRIC_DEFAULT", key)
check("DescribeKey knows it", kms.describe_key(KeyId=arn)["KeyMetadata"]["KeyId"] == key["KeyId"])

kms.create_alias(AliasName="alias/from-boto3", TargetKeyId=key["KeyId"])
context = {"tenant": "a", "purpose": "check"}
sealed = kms.encrypt(KeyId="alias/from-boto3", Plaintext=b"secret", EncryptionContext=context)["CiphertextBlob"]
opened = kms.decrypt(CiphertextBlob=sealed, EncryptionContext=context)
check("Decrypt gives back what Encrypt was given", opened["Plaintext"] == b"secret" and opened["KeyId"] == arn, opened)
code, _ = error_of(kms.decrypt, CiphertextBlob=sealed, EncryptionContext={"tenant": "b"})
check("another encryption context does not open it", code == "InvalidCiphertextException", code)

data_key = kms.generate_data_key(KeyId=arn, KeySpec="AES_256")
again = kms.decrypt(CiphertextBlob=data_key["CiphertextBlob"])["Plaintext"]
check("GenerateDataKey gives a key that Decrypt gives again", len(again) == 32 and again == data_key["Plaintext"])
check("GenerateDataKeyWithoutPlaintext has none", "Plaintext" not in kms.generate_data_key_without_plaintext(KeyId=arn, KeySpec="AES_128"))
pair = kms.generate_data_key_pair(KeyId=arn, KeyPairSpec="ECC_NIST_P256")
check("GenerateDataKeyPair gives both keys", len(pair["PublicKey"]) == 91 and len(pair["PrivateKeyPlaintext"]) > 100)
check("GenerateRandom gives as many bytes as asked", len(kms.generate_random(NumberOfBytes=77)["Plaintext"]) == 77)

grantee = arn.replace(":kms:" + kms.meta.region_name, ":iam:").split(":key/")[0] + ":user/grantee"
grant = kms.create_grant(KeyId=arn, GranteePrincipal=grantee, Operations=["Decrypt", "RetireGrant"], Name="check",
                         Constraints={"EncryptionContextSubset": context})
listed = kms.list_grants(KeyId=arn, GranteePrincipal=grantee)["Grants"]
check("ListGrants shows what CreateGrant made", [one["GrantId"] for one in listed] == [grant["GrantId"]]
      and listed[0]["Constraints"] == {"EncryptionContextSubset": context}, listed)
kms.describe_key(KeyId=arn, GrantTokens=[grant["GrantToken"]])
code, _ = error_of(kms.describe_key, KeyId=arn, GrantTokens=["unknown"])
check("an unknown grant token is refused", code == "InvalidGrantTokenException", code)
kms.retire_grant(GrantToken=grant["GrantToken"])
code, message = error_of(kms.revoke_grant, KeyId=arn, GrantId=grant["GrantId"])
check("a grant that was retired is no more", (code, message) == ("NotFoundException", f"Grant ID {grant['GrantId']} not found"), (code, message))

policy = json.loads(kms.get_key_policy(KeyId=arn, PolicyName="default")["Policy"])
check("GetKeyPolicy gives the default policy", policy["Id"] == "key-default-1", policy)
policy["Statement"].append({"Effect": "Deny", "Principal": "*", "Action": "kms:Decrypt", "Resource": "*",
                            "Condition": {"Null": {"kms:RecipientAttestation:ImageSha384": "true"}}})
kms.put_key_policy(KeyId=arn, PolicyName="default", Policy=json.dumps(policy))
code, message = error_of(kms.decrypt, CiphertextBlob=sealed, EncryptionContext=context)
check("a policy that demands attestation refuses plain Decrypt",
      code == "AccessDeniedException" and message.endswith("with an explicit deny in a resource-based policy"), (code, message))
code, message = error_of(kms.describe_key, KeyId="no-key")
check("an unknown key is not found", (code, message) == ("NotFoundException", "Invalid keyId 'no-key'"), (code, message))
code, message = error_of(kms.encrypt, KeyId=arn, Plaintext=b"x" * 4097)
check("4097 bytes are too many", code == "ValidationException" and "less than or equal to 4096" in message, (code, message))
wrong = boto3.client("kms", aws_secret_access_key="wrong", aws_access_key_id=kms._request_signer._credentials.access_key)
code, _ = error_of(wrong.generate_random, NumberOfBytes=1)
check("a wrong secret does not sign", code == "InvalidSignatureException", code)
raise SystemExit(1 if failures else 0)
