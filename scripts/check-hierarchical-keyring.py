"""The hierarchical keyring of the AWS Cryptographic Material Providers Library for Python, with the AWS Encryption SDK.
Usage: check-hierarchical-keyring.py COMMAND FOLDER JSON-FILE, where COMMAND is create-table, create-key, make or open.
The file has {"table", "logicalName", "keyArn", "branchKey", "context", and for make and open "name" and "text"}: the branch key
is that of a tenant and has the custom context {"tenant": branchKey}. Messages are FOLDER/NAME.message. Prints `ok TITLE` or
`FAILED TITLE: reason`; the environment says where KMS and DynamoDB are (AWS_ENDPOINT_URL_KMS, AWS_ENDPOINT_URL_DYNAMODB)."""
import json
import os
import sys

import boto3
from aws_cryptographic_material_providers.keystore.client import KeyStore
from aws_cryptographic_material_providers.keystore.config import KeyStoreConfig
from aws_cryptographic_material_providers.keystore.models import (
    CreateKeyInput,
    CreateKeyStoreInput,
    KMSConfigurationKmsKeyArn,
)
from aws_cryptographic_material_providers.mpl import AwsCryptographicMaterialProviders
from aws_cryptographic_material_providers.mpl.config import MaterialProvidersConfig
from aws_cryptographic_material_providers.mpl.models import CreateAwsKmsHierarchicalKeyringInput
from aws_encryption_sdk import CommitmentPolicy, EncryptionSDKClient

TTL_SECONDS = 60
command, folder, file_name = sys.argv[1:]
with open(file_name, encoding="utf8") as given:
    asked = json.load(given)
client = EncryptionSDKClient(commitment_policy=CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT)


def key_store():
    return KeyStore(
        KeyStoreConfig(
            ddb_table_name=asked["table"],
            logical_key_store_name=asked["logicalName"],
            kms_configuration=KMSConfigurationKmsKeyArn(asked["keyArn"]),
            ddb_client=boto3.client("dynamodb"),
            kms_client=boto3.client("kms"),
        )
    )


def keyring():
    providers = AwsCryptographicMaterialProviders(config=MaterialProvidersConfig())
    return providers.create_aws_kms_hierarchical_keyring(
        CreateAwsKmsHierarchicalKeyringInput(
            key_store=key_store(), branch_key_id=asked["branchKey"], ttl_seconds=TTL_SECONDS
        )
    )


def message_path():
    return os.path.join(folder, f"{asked['name']}.message")


def create_table():
    key_store().create_key_store(CreateKeyStoreInput())


def create_key():
    tenant = asked["branchKey"]
    key_store().create_key(CreateKeyInput(branch_key_identifier=tenant, encryption_context={"tenant": tenant}))


def make():
    message, _ = client.encrypt(
        source=asked["text"].encode(), keyring=keyring(), encryption_context=asked["context"]
    )
    with open(message_path(), "wb") as file:
        file.write(message)


def open_message():
    with open(message_path(), "rb") as file:
        plaintext, _ = client.decrypt(source=file.read(), keyring=keyring(), encryption_context=asked["context"])
    if plaintext.decode() != asked["text"]:
        raise ValueError("another plaintext")


COMMANDS = {"create-table": create_table, "create-key": create_key, "make": make, "open": open_message}
title = f"Python's hierarchical keyring, {command}: {asked.get('name', asked['branchKey'])}"
try:
    COMMANDS[command]()
    print(f"ok {title}")
except Exception as error:  # whatever it is, it is the check's outcome
    print(f"FAILED {title}: {type(error).__name__} {error}")
    sys.exit(1)
