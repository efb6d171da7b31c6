"""AWS Encryption SDK messages by its SDK for Python, for an enclave and from it. Usage: check-enclave-messages.py FOLDER JOBS
JOBS is a file of JSON, a list of {"do": "make", "name", "keys", "suite", "frameLength", "context", "text"} and of {"do": "open", "name", "key",
"which", "context", "text"}; messages are in FOLDER/NAME.message. Prints a line for each that is opened; the environment says where KMS is."""
import json
import os
import sys

import botocore.session
from aws_encryption_sdk import CommitmentPolicy, EncryptionSDKClient
from aws_encryption_sdk.identifiers import Algorithm
from aws_encryption_sdk.key_providers.kms import MRKAwareStrictAwsKmsMasterKeyProvider

SUITES = {
    0x0478: Algorithm.AES_256_GCM_HKDF_SHA512_COMMIT_KEY,
    0x0578: Algorithm.AES_256_GCM_HKDF_SHA512_COMMIT_KEY_ECDSA_P384,
}
folder = sys.argv[1]
with open(sys.argv[2], encoding="utf8") as jobs_file:
    jobs = json.load(jobs_file)
client = EncryptionSDKClient(commitment_policy=CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT)


def provider(*keys):
    return MRKAwareStrictAwsKmsMasterKeyProvider(key_ids=keys, botocore_session=botocore.session.get_session())


def path(job):
    return os.path.join(folder, f"{job['name']}.message")


def make(job):
    message, _ = client.encrypt(
        source=job["text"].encode(),
        key_provider=provider(*job["keys"]),
        encryption_context=job["context"],
        algorithm=SUITES[job["suite"]],
        frame_length=job["frameLength"],
    )
    with open(path(job), "wb") as file:
        file.write(message)


def open_message(job):
    title = f"Python opens what the enclave made: {job['name']}, with key {job['which']}"
    try:
        with open(path(job), "rb") as file:
            plaintext, header = client.decrypt(source=file.read(), key_provider=provider(job["key"]))
    except Exception as error:  # whatever it is, it is the check's outcome
        print(f"FAILED {title}: {type(error).__name__}", flush=True)
        return
    same = plaintext.decode() == job["text"] and job["context"].items() <= header.encryption_context.items()
    print(f"ok {title}" if same else f"FAILED {title}: another plaintext or context", flush=True)


for one in jobs:
    make(one) if one["do"] == "make" else open_message(one)
