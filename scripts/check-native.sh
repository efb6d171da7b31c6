#!/bin/sh
# The tests of the addon, on a binary whose endpoints are abstract Unix sockets: first as it ships, then with AddressSanitizer
# and UndefinedBehaviorSanitizer, which fail a test at their first report. Usage: check-native.sh (after tsc -b)
# Leaks are not looked for by AddressSanitizer: Node itself leaves memory to the end of the process, threads' too. The tests
# count descriptors.
set -eu
cd "$(dirname "$0")/.."
scratch=dist/native
mkdir -p "$scratch"

sh scripts/build-native.sh "$scratch/test.node" -DVSOCK_OVER_UNIX
sh scripts/build-native.sh "$scratch/test-again.node" -DVSOCK_OVER_UNIX
cmp "$scratch/test.node" "$scratch/test-again.node"
VSOCK_TEST_ADDON=$PWD/$scratch/test.node npx vitest run test/vsock test/transport test/parent/enclave-places.test.ts

cc=${CC:-cc}
asan=$("$cc" -print-file-name=libasan.so)
ubsan=$("$cc" -print-file-name=libubsan.so)
if [ "$asan" = libasan.so ] || [ "$ubsan" = libubsan.so ]; then
  echo "check-native: $cc brings no sanitizers (Debian, Ubuntu: libgcc-12-dev or the like): FAILED" >&2
  exit 1
fi
# The compiler's file names a linker script on some systems; the loader wants the library.
asan=$(readlink -f "$asan") ubsan=$(readlink -f "$ubsan")
sh scripts/build-native.sh "$scratch/test-sanitized.node" -DVSOCK_OVER_UNIX -g -O1 -fno-omit-frame-pointer -U_FORTIFY_SOURCE \
  -fsanitize=address,undefined -fno-sanitize-recover=all
rm -f "$scratch"/report.*
reports=$PWD/$scratch/report
# A report goes to a file too: a program that a test starts may end without one that the test would see.
VSOCK_TEST_ADDON=$PWD/$scratch/test-sanitized.node LD_PRELOAD="$asan $ubsan" \
  ASAN_OPTIONS="detect_leaks=0:abort_on_error=0:exitcode=99:log_path=$reports" UBSAN_OPTIONS="print_stacktrace=1:halt_on_error=1" \
  "$(command -v node)" node_modules/vitest/vitest.mjs run test/vsock test/transport test/parent/enclave-places.test.ts --testTimeout 240000
if ls "$scratch"/report.* >/dev/null 2>&1; then
  cat "$scratch"/report.*
  echo "check-native: the sanitizers reported" >&2
  exit 1
fi
echo "check-native: both runs passed, and the sanitizers reported nothing"
