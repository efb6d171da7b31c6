"""The AWS Encryption SDK for Python against the simulated KMS. Usage: check-encryption-sdk.py FOLDER KEY-ARN KEY-ARN
Opens FOLDER/javascript.message with either key and makes FOLDER/python.message."""
import os
import sys

import botocore.session
from aws_encryption_sdk import CommitmentPolicy, EncryptionSDKClient, StrictAwsKmsMasterKeyProvider

folder, *keys = sys.argv[1:]
client = EncryptionSDKClient(commitment_policy=CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT)


def provider(*key_ids):
    return StrictAwsKmsMasterKeyProvider(key_ids=key_ids, botocore_session=botocore.session.get_session())


def check(title, condition):
    print(f"ok {title}" if condition else f"FAILED {title}", flush=True)


with open(os.path.join(folder, "javascript.message"), "rb") as file:
    message = file.read()
for key in keys:
    plaintext, header = client.decrypt(source=message, key_provider=provider(key))
    check(f"Python opens what JavaScript made with the key in {key.split(':')[3]}",
          plaintext.startswith(b"a message between languages") and header.encryption_context["tenant"] == "a")
sealed, _ = client.encrypt(source=b"made by Python", key_provider=provider(*keys), encryption_context={"tenant": "b"})
with open(os.path.join(folder, "python.message"), "wb") as file:
    file.write(sealed)
