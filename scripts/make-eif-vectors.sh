#!/bin/sh
# Makes the enclave images of test/vectors/eif anew, with AWS's crate aws-nitro-enclaves-image-format (scripts/eif-writer)
# and keys from openssl that are deleted at once. Needs cargo, openssl with its headers, and node.
# Every run makes other keys and so other signatures: PCR8 and the signed files differ from run to run, all else does not.
#
# Usage: scripts/make-eif-vectors.sh [FOLDER]    default test/vectors/eif
set -eu
cd "$(dirname "$0")/.."
command -v cargo >/dev/null || { echo "cargo is not installed" >&2; exit 1; }
command -v openssl >/dev/null || { echo "openssl is not installed" >&2; exit 1; }

mkdir -p "${1:-test/vectors/eif}"
out=$(cd "${1:-test/vectors/eif}" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# a copy, so that neither Cargo.lock nor target/ appears in the project
cp -R scripts/eif-writer "$work/writer"
target=${CARGO_TARGET_DIR:-$work/target}
CARGO_TARGET_DIR=$target cargo build --quiet --manifest-path "$work/writer/Cargo.toml"
writer=$target/debug/eif-writer

# Made-up parts: each ramdisk has a length of its own, so that a wrong border would show.
cd "$work"
printf 'no kernel %.0s' $(seq 1 60) >kernel
printf 'base ramdisk %.0s' $(seq 1 25) >base
printf 'application ramdisk %.0s' $(seq 1 33) >application
printf 'another ramdisk %.0s' $(seq 1 11) >another
cmdline='reboot=k panic=30 pci=off nomodules console=ttyS0 random.trust_cpu=on'

# certificate NAME CURVE DAYS: self-signed, version 3
certificate() {
  openssl ecparam -name "$2" -genkey -noout -out "$1.key"
  openssl req -new -x509 -sha384 -key "$1.key" -days "$3" -subj "/C=DE/O=Nobody, Inc./CN=EIF test $1" -out "$1.pem"
}
certificate p256 prime256v1 9000
certificate p384 secp384r1 36500 # after 2050: a GeneralizedTime
certificate p521 secp521r1 9000
# As AWS's guide makes one: by a request, and of version 1; here also issued by an RSA authority.
openssl req -new -x509 -newkey rsa:2048 -nodes -keyout ca.key -days 9000 -subj "/CN=EIF test authority" -out ca.pem 2>/dev/null
openssl ecparam -name secp384r1 -genkey -out issued.key
openssl req -new -key issued.key -sha384 -subj "/O=Nobody/CN=EIF test issued" -out issued.csr
openssl x509 -req -days 9000 -in issued.csr -CA ca.pem -CAkey ca.key -set_serial 7 -out issued.pem 2>/dev/null

# image NAME ARCH KEY CERTIFICATE RAMDISK...
image() {
  name=$1 arch=$2 key=$3 certificate=$4
  shift 4
  "$writer" "$name.eif" "$arch" kernel "$cmdline" "$key" "$certificate" "$@" >>images
  mv "$name.eif" "$out/"
}
image unsigned x86_64 - - base application
image one-ramdisk x86_64 - - base
image three-ramdisks-arm64 aarch64 - - base application another
image signed-p256 x86_64 p256.key p256.pem base application
image signed-p384 x86_64 p384.key p384.pem base application
image signed-p521-arm64 aarch64 p521.key p521.pem base application another
image signed-v1-certificate x86_64 issued.key issued.pem base application
image signed-later x86_64 -,p384.key -,p384.pem base application
image signed-again x86_64 p256.key,p384.key p256.pem,p384.pem base application

# What the crate printed, one object an image.
node -e '
  const images = require("node:fs").readFileSync(0, "utf8").trim().split("\n").map((line) => JSON.parse(line));
  console.log(JSON.stringify(images, null, 2));
' <images >"$out/expected.json"
echo "wrote $(wc -l <images) images to $out"
