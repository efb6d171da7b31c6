#!/bin/sh
# The binaries that ship, x64 and arm64, built on either. The other architecture's compiler is installed where that is
# possible (apt-get, as root). A binary that cannot be built is left out, and the reason is printed.
set -eu
cd "$(dirname "$0")/.."

# prebuild ARCH TRIPLET DEBIAN-ARCH
prebuild() {
  if [ "$(node -p process.arch)" = "$1" ]; then
    sh scripts/build-native.sh "vsock/prebuilds/linux-$1.node" || echo "build-prebuilds: no binary for $1"
    return
  fi
  packages="gcc-$(echo "$2" | tr _ -) libc6-dev-$3-cross"
  if ! command -v "$2-gcc" >/dev/null && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    # shellcheck disable=SC2086 # a list of packages
    { apt-get -q update && DEBIAN_FRONTEND=noninteractive apt-get -qy install --no-install-recommends $packages; } >/dev/null 2>&1 || true
  fi
  if command -v "$2-gcc" >/dev/null; then
    CC="$2-gcc" sh scripts/build-native.sh "vsock/prebuilds/linux-$1.node"
  else
    echo "build-prebuilds: no binary for $1: there is no $2-gcc (Debian, Ubuntu: apt-get install $packages)"
  fi
}
prebuild x64 x86_64-linux-gnu amd64
prebuild arm64 aarch64-linux-gnu arm64
