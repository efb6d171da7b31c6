#!/bin/sh
# The simulated KMS through an unmodified AWS CLI: every operation with a success and an error.
# Usage: check-aws-cli.sh AWS FOLDER. Prints `ok TITLE` or `FAILED TITLE: reason` per check.
set -u
aws=$1
folder=$2

check() { # title, wanted, actual
  if [ "$2" = "$3" ]; then
    echo "ok $1"
  else
    echo "FAILED $1: expected $2, got $3"
    : >"$folder/failed"
  fi
}

# One value of an answer; `None` for a member that there is not. Query, then the command.
get() {
  query=$1
  shift
  "$aws" kms "$@" --query "$query" --output text
}

# A command whose answer says nothing.
run() { "$aws" kms "$@" >/dev/null; }

# The bytes of one member.
bytes() { get "$@" | base64 -d; }

# The command ends with this error. Title, error, then the command.
refused() {
  title=$1
  wanted=$2
  shift 2
  check "$title" "$wanted" "$("$aws" kms "$@" 2>&1 | sed -n 's/.*(\([A-Za-z]*Exception\)).*/\1/p')"
}

# Whether this CLI has the command; older ones do not have the newest.
knows() { ! "$aws" kms "$1" 2>&1 | grep -q "nvalid choice"; }

new_key() { get KeyMetadata.Arn create-key "$@"; }

printf 'from the command line' >"$folder/plain"
plain="fileb://$folder/plain"
store=cks-1234567890abcdef0

keys() {
  key=$(new_key --description first)
  check "create-key gives a key that describe-key knows" first "$(get KeyMetadata.Description describe-key --key-id "$key")"
  refused "create-key wants the usage of an RSA key" ValidationException create-key --key-spec RSA_2048
  refused "describe-key does not find an unknown key" NotFoundException describe-key --key-id no-key
  check "list-keys lists it" "$key" "$(get "Keys[?KeyArn=='$key'].KeyArn" list-keys --page-size 2)"
  refused "list-keys refuses a marker that it did not give" InvalidMarkerException list-keys --marker none --no-paginate
  run update-key-description --key-id "$key" --description second
  check "update-key-description changes it" second "$(get KeyMetadata.Description describe-key --key-id "$key")"
  refused "update-key-description takes no alias" InvalidArnException update-key-description --key-id alias/a --description a
  run disable-key --key-id "$key"
  check "disable-key disables it" Disabled "$(get KeyMetadata.KeyState describe-key --key-id "$key")"
  refused "disable-key does not find an unknown key" NotFoundException disable-key --key-id no-key
  run enable-key --key-id "$key"
  check "enable-key enables it" Enabled "$(get KeyMetadata.KeyState describe-key --key-id "$key")"
  check "schedule-key-deletion says the state" PendingDeletion "$(get KeyState schedule-key-deletion --key-id "$key" --pending-window-in-days 7)"
  refused "schedule-key-deletion does so once" KMSInvalidStateException schedule-key-deletion --key-id "$key"
  refused "enable-key does not save it" KMSInvalidStateException enable-key --key-id "$key"
  check "cancel-key-deletion saves it" "$key" "$(get KeyId cancel-key-deletion --key-id "$key")"
  refused "cancel-key-deletion does so once" KMSInvalidStateException cancel-key-deletion --key-id "$key"
}

names() {
  key=$(new_key --tags TagKey=team,TagValue=a)
  run create-alias --alias-name alias/from-cli --target-key-id "$key"
  check "create-alias names the key" "$key" "$(get KeyMetadata.Arn describe-key --key-id alias/from-cli)"
  refused "create-alias takes no reserved name" NotAuthorizedException create-alias --alias-name alias/aws/cli --target-key-id "$key"
  other=$(new_key)
  run update-alias --alias-name alias/from-cli --target-key-id "$other"
  check "update-alias names another key" alias/from-cli "$(get Aliases[].AliasName list-aliases --key-id "$other")"
  refused "update-alias does not find an unknown alias" NotFoundException update-alias --alias-name alias/none --target-key-id "$key"
  refused "list-aliases does not find an unknown key" NotFoundException list-aliases --key-id no-key
  run delete-alias --alias-name alias/from-cli
  refused "delete-alias does not find it again" NotFoundException delete-alias --alias-name alias/from-cli
  run tag-resource --key-id "$key" --tags TagKey=stage,TagValue=test
  check "tag-resource adds to the tags" "$(printf 'stage\tteam')" "$(get Tags[].TagKey list-resource-tags --key-id "$key")"
  refused "tag-resource takes no reserved prefix" TagException tag-resource --key-id "$key" --tags TagKey=aws:a,TagValue=b
  run untag-resource --key-id "$key" --tag-keys stage
  check "untag-resource takes one away" team "$(get Tags[].TagKey list-resource-tags --key-id "$key")"
  refused "untag-resource takes no alias" InvalidArnException untag-resource --key-id alias/a --tag-keys stage
  refused "list-resource-tags does not find an unknown key" NotFoundException list-resource-tags --key-id no-key
}

encryption() {
  key=$(new_key)
  bytes CiphertextBlob encrypt --key-id "$key" --plaintext "$plain" --encryption-context tenant=a >"$folder/sealed"
  sealed="fileb://$folder/sealed"
  check "decrypt gives back what encrypt was given" "from the command line" "$(bytes Plaintext decrypt --ciphertext-blob "$sealed" --encryption-context tenant=a)"
  refused "encrypt does not find an unknown alias" NotFoundException encrypt --key-id alias/none --plaintext "$plain"
  refused "another encryption context does not open it" InvalidCiphertextException decrypt --ciphertext-blob "$sealed" --encryption-context tenant=b
  refused "decrypt says that a dry run would succeed" DryRunOperationException decrypt --ciphertext-blob "$sealed" --encryption-context tenant=a --dry-run
  check "re-encrypt leaves out the context" "$key" "$(get KeyId re-encrypt --ciphertext-blob "$sealed" --source-encryption-context tenant=a --destination-key-id "$key")"
  refused "re-encrypt does not open another context" InvalidCiphertextException re-encrypt --ciphertext-blob "$sealed" --destination-key-id "$key"
  check "generate-random gives as many bytes as asked" 77 "$(bytes Plaintext generate-random --number-of-bytes 77 | wc -c | tr -d ' ')"
  refused "generate-random gives no 1025" ValidationException generate-random --number-of-bytes 1025
  check "generate-data-key gives 32 bytes" 32 "$(bytes Plaintext generate-data-key --key-id "$key" --key-spec AES_256 | wc -c | tr -d ' ')"
  refused "generate-data-key wants a size" ValidationException generate-data-key --key-id "$key"
  check "generate-data-key-without-plaintext has none" None "$(get Plaintext generate-data-key-without-plaintext --key-id "$key" --key-spec AES_256)"
  refused "generate-data-key-without-plaintext wants a size" ValidationException generate-data-key-without-plaintext --key-id "$key"
  check "generate-data-key-pair gives a public key" 91 "$(bytes PublicKey generate-data-key-pair --key-id "$key" --key-pair-spec ECC_NIST_P256 | wc -c | tr -d ' ')"
  refused "generate-data-key-pair does not find an unknown key" NotFoundException generate-data-key-pair --key-id no-key --key-pair-spec ECC_NIST_P256
  check "generate-data-key-pair-without-plaintext has no private one" None "$(get PrivateKeyPlaintext generate-data-key-pair-without-plaintext --key-id "$key" --key-pair-spec ECC_NIST_P256)"
  refused "generate-data-key-pair-without-plaintext does not find an unknown key" NotFoundException generate-data-key-pair-without-plaintext --key-id no-key --key-pair-spec ECC_NIST_P256
}

signatures() {
  pair=$(new_key --key-spec ECC_NIST_P256 --key-usage SIGN_VERIFY)
  bytes Signature sign --key-id "$pair" --message "$plain" --signing-algorithm ECDSA_SHA_256 >"$folder/signature"
  check "verify takes what sign gave" True "$(get SignatureValid verify --key-id "$pair" --message "$plain" --signing-algorithm ECDSA_SHA_256 --signature "fileb://$folder/signature")"
  refused "sign wants a digest of the right length" ValidationException sign --key-id "$pair" --message "$plain" --message-type DIGEST --signing-algorithm ECDSA_SHA_256
  refused "verify refuses the signature of another message" KMSInvalidSignatureException verify --key-id "$pair" --message "fileb://$folder/signature" --signing-algorithm ECDSA_SHA_256 --signature "fileb://$folder/signature"
  bytes PublicKey get-public-key --key-id "$pair" >"$folder/public"
  check "get-public-key gives it" 91 "$(wc -c <"$folder/public" | tr -d ' ')"
  refused "get-public-key has none of an HMAC key" UnsupportedOperationException get-public-key --key-id "$mac_key"
  bytes Mac generate-mac --key-id "$mac_key" --message "$plain" --mac-algorithm HMAC_SHA_256 >"$folder/mac"
  check "verify-mac takes what generate-mac gave" True "$(get MacValid verify-mac --key-id "$mac_key" --message "$plain" --mac-algorithm HMAC_SHA_256 --mac "fileb://$folder/mac")"
  refused "generate-mac wants its algorithm" InvalidKeyUsageException generate-mac --key-id "$mac_key" --message "$plain" --mac-algorithm HMAC_SHA_512
  refused "verify-mac refuses the MAC of another message" KMSInvalidMacException verify-mac --key-id "$mac_key" --message "fileb://$folder/mac" --mac-algorithm HMAC_SHA_256 --mac "fileb://$folder/mac"
  agreement=$(new_key --key-spec ECC_NIST_P256 --key-usage KEY_AGREEMENT)
  check "derive-shared-secret gives 32 bytes" 32 "$(bytes SharedSecret derive-shared-secret --key-id "$agreement" --key-agreement-algorithm ECDH --public-key "fileb://$folder/public" | wc -c | tr -d ' ')"
  refused "derive-shared-secret wants a public key" ValidationException derive-shared-secret --key-id "$agreement" --key-agreement-algorithm ECDH --public-key "$plain"
  knows encapsulate || return
  kem=$(new_key --key-spec ML_KEM_512 --key-usage ENCAPSULATE_DECAPSULATE)
  bytes SharedSecretCiphertextBlob encapsulate --key-id "$kem" --encapsulation-algorithm ML_KEM >"$folder/capsule"
  check "decapsulate gives 32 bytes" 32 "$(bytes SharedSecret decapsulate --key-id "$kem" --encapsulation-algorithm ML_KEM --shared-secret-ciphertext-blob "fileb://$folder/capsule" | wc -c | tr -d ' ')"
  refused "encapsulate wants a key of that usage" InvalidKeyUsageException encapsulate --key-id "$pair" --encapsulation-algorithm ML_KEM
  refused "decapsulate wants a whole ciphertext" InvalidCiphertextException decapsulate --key-id "$kem" --encapsulation-algorithm ML_KEM --shared-secret-ciphertext-blob "$plain"
  refused "get-key-last-usage is not supported" UnsupportedOperationException get-key-last-usage --key-id "$kem"
}

permissions() {
  key=$(new_key)
  check "get-key-policy gives the default policy" key-default-1 "$(get Policy get-key-policy --key-id "$key" --policy-name default | sed -n 's/.*"Id": "\([^"]*\)".*/\1/p')"
  refused "get-key-policy has no other" NotFoundException get-key-policy --key-id "$key" --policy-name other
  check "list-key-policies lists it" default "$(get PolicyNames list-key-policies --key-id "$key")"
  refused "list-key-policies takes no alias" InvalidArnException list-key-policies --key-id alias/a
  get Policy get-key-policy --key-id "$key" >"$folder/policy"
  check "put-key-policy puts it again" "" "$("$aws" kms put-key-policy --key-id "$key" --policy "file://$folder/policy" 2>&1)"
  refused "put-key-policy takes no text that is none" MalformedPolicyDocumentException put-key-policy --key-id "$key" --policy none
  role=arn:aws:iam::$(echo "$key" | cut -d: -f5):role/cli-worker
  grant=$(get GrantId create-grant --key-id "$key" --grantee-principal "$role" --retiring-principal "$role" --operations Decrypt)
  refused "create-grant wants more than CreateGrant" ValidationException create-grant --key-id "$key" --grantee-principal "$role" --operations CreateGrant
  check "list-grants lists it" "$grant" "$(get Grants[].GrantId list-grants --key-id "$key")"
  refused "list-grants does not find an unknown key" NotFoundException list-grants --key-id no-key
  check "list-retirable-grants lists it" "$grant" "$(get Grants[].GrantId list-retirable-grants --retiring-principal "$role")"
  refused "list-retirable-grants wants a principal" InvalidArnException list-retirable-grants --retiring-principal nobody
  run revoke-grant --key-id "$key" --grant-id "$grant"
  refused "revoke-grant does not find it again" NotFoundException revoke-grant --key-id "$key" --grant-id "$grant"
  grant=$(get GrantId create-grant --key-id "$key" --grantee-principal "$role" --operations Decrypt)
  run retire-grant --key-id "$key" --grant-id "$grant"
  refused "retire-grant does not find it again" NotFoundException retire-grant --key-id "$key" --grant-id "$grant"
}

materials() {
  key=$(new_key --multi-region)
  bytes CiphertextBlob encrypt --key-id "$key" --plaintext "$plain" >"$folder/sealed-before"
  run enable-key-rotation --key-id "$key" --rotation-period-in-days 180
  check "get-key-rotation-status shows the period" 180 "$(get RotationPeriodInDays get-key-rotation-status --key-id "$key")"
  refused "enable-key-rotation wants a symmetric key" UnsupportedOperationException enable-key-rotation --key-id "$mac_key"
  refused "get-key-rotation-status takes no alias" InvalidArnException get-key-rotation-status --key-id alias/a
  run disable-key-rotation --key-id "$key"
  check "disable-key-rotation ends it" False "$(get KeyRotationEnabled get-key-rotation-status --key-id "$key")"
  refused "disable-key-rotation does not find an unknown key" NotFoundException disable-key-rotation --key-id no-key
  run rotate-key-on-demand --key-id "$key"
  check "list-key-rotations shows a rotation on demand" ON_DEMAND "$(get Rotations[].RotationType list-key-rotations --key-id "$key")"
  refused "rotate-key-on-demand wants a symmetric key" UnsupportedOperationException rotate-key-on-demand --key-id "$mac_key"
  refused "list-key-rotations wants one too" UnsupportedOperationException list-key-rotations --key-id "$mac_key"
  run replicate-key --key-id "$key" --replica-region eu-west-1
  check "a replica decrypts what the primary encrypted before" "from the command line" "$(bytes Plaintext decrypt --region eu-west-1 --ciphertext-blob "fileb://$folder/sealed-before")"
  refused "replicate-key does so once for a Region" AlreadyExistsException replicate-key --key-id "$key" --replica-region eu-west-1
  run update-primary-region --key-id "$key" --primary-region eu-west-1
  check "update-primary-region leaves a replica" REPLICA "$(get KeyMetadata.MultiRegionConfiguration.MultiRegionKeyType describe-key --key-id "$key")"
  refused "update-primary-region wants a primary" UnsupportedOperationException update-primary-region --key-id "$key" --primary-region eu-west-1
  external=$(new_key --origin EXTERNAL)
  wrapping="--wrapping-algorithm RSAES_OAEP_SHA_256 --wrapping-key-spec RSA_2048"
  # shellcheck disable=SC2086
  bytes ImportToken get-parameters-for-import --key-id "$external" $wrapping >"$folder/token"
  # shellcheck disable=SC2086
  refused "get-parameters-for-import wants a key of origin EXTERNAL" UnsupportedOperationException get-parameters-for-import --key-id "$key" $wrapping
  refused "import-key-material wants material of the right size" ValidationException import-key-material --key-id "$external" --import-token "fileb://$folder/token" --encrypted-key-material "$plain" --expiration-model KEY_MATERIAL_DOES_NOT_EXPIRE
  refused "delete-imported-key-material wants a key of origin EXTERNAL" UnsupportedOperationException delete-imported-key-material --key-id "$key"
}

custom_key_stores() {
  refused "create-custom-key-store is not supported" UnsupportedOperationException create-custom-key-store --custom-key-store-name a
  refused "describe-custom-key-stores is not supported" UnsupportedOperationException describe-custom-key-stores
  refused "update-custom-key-store is not supported" UnsupportedOperationException update-custom-key-store --custom-key-store-id "$store"
  refused "connect-custom-key-store is not supported" UnsupportedOperationException connect-custom-key-store --custom-key-store-id "$store"
  refused "disconnect-custom-key-store is not supported" UnsupportedOperationException disconnect-custom-key-store --custom-key-store-id "$store"
  refused "delete-custom-key-store is not supported" UnsupportedOperationException delete-custom-key-store --custom-key-store-id "$store"
}

mac_key=$(new_key --key-spec HMAC_256 --key-usage GENERATE_VERIFY_MAC)
# Three at a time: the CLI takes most of its time to start.
(keys; signatures) &
(names; encryption; permissions; custom_key_stores) &
(materials) &
wait
[ ! -e "$folder/failed" ]
