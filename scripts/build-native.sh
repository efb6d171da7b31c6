#!/bin/sh
# Builds the vsock addon with one call of the C compiler. Usage: build-native.sh [OUT [FLAG...]]
# OUT: vsock/prebuilds/linux-ARCH.node of this machine, unless given. FLAG: for the compiler, after those below.
# CC, and NODE_INCLUDE (the folder of node_api.h and uv.h; they are the same for every architecture), may be set.
set -eu
cd "$(dirname "$0")/.."
out=${1:-vsock/prebuilds/linux-$(node -p process.arch).node}
[ $# -eq 0 ] || shift
cc=${CC:-cc}
include=${NODE_INCLUDE:-$(node -p 'require("node:path").resolve(require("node:fs").realpathSync(process.execPath), "../../include/node")')}

stop() {
  echo "build-native: $1" >&2
  exit 1
}
[ "$(uname -s)" = Linux ] || stop "there is AF_VSOCK on Linux only"
command -v "$cc" >/dev/null || stop "there is no C compiler named $cc (Debian, Ubuntu: apt-get install gcc libc6-dev)"
for header in node_api.h uv.h; do
  [ -f "$include/$header" ] || stop "there is no $header in $include: Node's own builds bring it, Debian's in libnode-dev and libuv1-dev"
done

mkdir -p "$(dirname "$out")"
# Relative paths, no debug information, a build id of the content: the same bytes wherever and whenever it is built.
"$cc" -shared -fPIC -O2 -std=c11 -Wall -Wextra -Werror -fvisibility=hidden \
  -D_FORTIFY_SOURCE=2 -fstack-protector-strong -Wl,-z,relro,-z,now,-z,noexecstack \
  -isystem "$include" -o "$out" vsock/addon.c "$@"
case " $* " in *" -g "*) ;; *) "$(command -v "${cc%gcc}strip" || echo strip)" "$out" ;; esac
echo "build-native: $out, $(wc -c <"$out") bytes"
