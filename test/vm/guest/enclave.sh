#!/bin/busybox sh
# An enclave from its kernel's start to its program, as AWS's init does it: namespaces stand in for the hypervisor's walls.
# It has no network and sees no other process. Ends when the program ends; who started it does what a reboot would.
[ "$1" = inside ] || exec unshare -n -p -f -m "$0" inside
node /app/dist/cli/init.js || exit
mount -t proc proc /enclave/proc
mount -t tmpfs tmpfs /enclave/dev
for device in nsm vsock null zero full random urandom console; do cp -a "/dev/$device" /enclave/dev/; done
ln -s /proc/self/fd /enclave/dev/fd
chmod 666 /enclave/dev/nsm
# One item a line, as in the files /env and /cmd of an enclave image.
set -f
IFS='
'
exec env -i PATH=/sbin:/usr/sbin:/bin:/usr/bin $(cat /etc/enclave-env) /bin/busybox chroot /enclave $(cat /etc/enclave-cmd)
