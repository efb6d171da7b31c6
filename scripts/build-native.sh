#!/bin/sh
# Builds the vsock addon with one call of the C compiler. Usage: build-native.sh [OUT [FLAG...]]
# OUT: vsock/prebuilds/linux-ARCH.node of this machine, unless given. FLAG: for the compiler, after those below.
# CC and NODE_INCLUDE (the headers' folder; they are the same for every architecture) may be set.
set -eu
cd "$(dirname "$0")/.."
out=${1:-vsock/prebuilds/linux-$(node -p process.arch).node}
[ $# -eq 0 ] || shift
cc=${CC:-cc}
stop() {
  echo "build-native: $1" >&2
  exit 1
}
[ "$(uname -s)" = Linux ] || stop "there is AF_VSOCK on Linux only"
command -v "$cc" >/dev/null || stop "there is no C compiler named $cc (Debian, Ubuntu: apt-get install gcc libc6-dev)"
# The folder of node_api.h and uv.h: this Node's own, else a system's. Both interfaces are stable, so another version's will do.
own=$(node -p 'require("node:path").resolve(require("node:fs").realpathSync(process.execPath), "../../include/node")')
include=
for folder in ${NODE_INCLUDE:-"$own" /usr/local/include/node /usr/include/node}; do
  [ -z "$include" ] && [ -f "$folder/node_api.h" ] && [ -f "$folder/uv.h" ] && include=$folder
done
[ -n "$include" ] ||
  stop "there are no node_api.h and uv.h in ${NODE_INCLUDE:-$own}: Node's own builds bring them (Debian, Ubuntu: apt-get install libnode-dev libuv1-dev)"

mkdir -p "$(dirname "$out")"
# Relative paths, no debug information, a build id of the content: the same bytes wherever and whenever it is built.
"$cc" -shared -fPIC -O2 -std=c11 -Wall -Wextra -Werror -fvisibility=hidden \
  -D_FORTIFY_SOURCE=2 -fstack-protector-strong -Wl,-z,relro,-z,now,-z,noexecstack \
  -isystem "$include" -o "$out" vsock/addon.c "$@"
case " $* " in *" -g "*) ;; *) "$(command -v "${cc%gcc}strip" || echo strip)" "$out" ;; esac
echo "build-native: $out, $(wc -c <"$out") bytes"
