#!/bin/sh
# Makes the folder vsock/ a package that stands alone, for `npm run package:vsock`: compiled modules, binaries, licence.
# (A plain `npm pack -w vsock` leaves this out where scripts are off, as they are in this project.)
set -eu
cd "$(dirname "$0")/.."
{
  npx tsc -b vsock
  rm -rf vsock/dist
  cp -r dist/vsock vsock/dist
  cp LICENSE vsock/LICENSE
  sh scripts/build-prebuilds.sh
} >&2
