#!/bin/sh
# The simulated KMS through an unmodified AWS CLI. Usage: check-aws-cli.sh AWS FOLDER
# Prints `ok TITLE` or `FAILED TITLE: reason` per check.
set -u
aws=$1
folder=$2
failures=0

check() { # title, wanted, actual
  if [ "$2" = "$3" ]; then
    echo "ok $1"
  else
    echo "FAILED $1: expected $2, got $3"
    failures=1
  fi
}

key=$("$aws" kms create-key --query KeyMetadata.KeyId --output text)
check "create-key gives a key that describe-key knows" "$key" \
  "$("$aws" kms describe-key --key-id "$key" --query KeyMetadata.KeyId --output text)"

printf 'from the command line' >"$folder/plain"
"$aws" kms encrypt --key-id "$key" --plaintext "fileb://$folder/plain" --encryption-context tenant=a \
  --query CiphertextBlob --output text | base64 -d >"$folder/sealed"
check "decrypt gives back what encrypt was given" "from the command line" \
  "$("$aws" kms decrypt --ciphertext-blob "fileb://$folder/sealed" --encryption-context tenant=a \
    --query Plaintext --output text | base64 -d)"
check "another encryption context does not open it" "InvalidCiphertextException" \
  "$("$aws" kms decrypt --ciphertext-blob "fileb://$folder/sealed" --encryption-context tenant=b 2>&1 |
    sed -n 's/.*(\([A-Za-z]*Exception\)).*/\1/p')"
check "generate-data-key gives 32 bytes" 32 \
  "$("$aws" kms generate-data-key --key-id "$key" --key-spec AES_256 --query Plaintext --output text | base64 -d | wc -c | tr -d ' ')"
grant=$("$aws" kms create-grant --key-id "$key" --grantee-principal arn:aws:iam::111122223333:user/grantee \
  --operations Decrypt DescribeKey --query GrantId --output text)
check "list-grants shows what create-grant made" "$grant" \
  "$("$aws" kms list-grants --key-id "$key" --query 'Grants[].GrantId' --output text)"
"$aws" kms revoke-grant --key-id "$key" --grant-id "$grant"
check "revoke-grant takes it away" "" "$("$aws" kms list-grants --key-id "$key" --query 'Grants[].GrantId' --output text)"
check "get-key-policy gives the default policy" key-default-1 \
  "$("$aws" kms get-key-policy --key-id "$key" --policy-name default --query Policy --output text |
    sed -n 's/.*"Id": "\([^"]*\)".*/\1/p')"
exit "$failures"
