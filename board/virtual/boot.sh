#!/bin/bash
# A board of the kernel's own devices, without hardware: Debian's kernel and systemd under QEMU, with a sound card
# (snd-aloop), a GPIO chip as on a Pi 4 (gpio-sim) and a camera (vivid).
#   bash board/virtual/boot.sh [-a amd64|arm64] [-s FOLDER] [-t SECONDS] COMMAND…
# Boots it and runs COMMAND there as root with FOLDER (default: this one) at /mnt/host, read and written through. Prints what
# it prints and ends with its status; 124: it took too long, 125: the board did not come up, 77: this machine cannot.
# A boot that COMMAND cuts short (echo b > /proc/sysrq-trigger) is followed by another with the same disk, where COMMAND runs
# again: MYNAH_BOOT counts them from 1. Every call begins with a disk as it was made.
# Needs root; installs QEMU and mmdebstrap; the image is made once and kept in VIRTUAL_BOARD_CACHE (~/.cache/mynah-board).
set -euo pipefail
arch=amd64 share=$PWD limit_s=600
while getopts a:s:t: option; do
    case $option in a) arch=$OPTARG ;; s) share=$(readlink -f "$OPTARG") ;; t) limit_s=$OPTARG ;; *) exit 2 ;; esac
done
shift $((OPTIND - 1))
here=$(dirname "$(readlink -f "$0")")
. "$here/../host-setup.sh"
cannot() { echo "CANNOT: $*" >&2; exit 77; }
[ $# -gt 0 ] || cannot "name a command for the board"
[ "$(id -u)" = 0 ] || cannot "the virtual board needs root: it makes a root file system"

case $arch in
    amd64) qemu=qemu-system-x86_64 machine=pc console=ttyS0 package=qemu-system-x86 ;;
    arm64) qemu=qemu-system-aarch64 machine=virt console=ttyAMA0 package=qemu-system-arm ;;
    *) cannot "there is no virtual board for \`$arch\`: amd64 or arm64" ;;
esac
[ $arch = amd64 ] || package="$package qemu-user-static"
(need_packages $package mmdebstrap cpio zstd xz-utils e2fsprogs kmod util-linux debian-archive-keyring python3) >&2 ||
    cannot "what it needs could not be installed (above stands why)"

image=$(bash "$here/image.sh" "$arch") || { echo "the board's image could not be made (above stands why)" >&2; exit 125; }

# /dev/kvm alone is not enough: on a paravirtual host a stock kernel under it is slower than QEMU's own emulation.
accel="tcg,thread=multi,tb-size=256" cpu=max
[ $arch = amd64 ] || cpu=cortex-a72
if [ $arch = amd64 ] && [ -w /dev/kvm ] && grep -qwE 'svm|vmx' /proc/cpuinfo; then accel=kvm cpu=host; fi

run=$(mktemp -d) guest=
trap '[ -z "$guest" ] || kill $guest 2>/dev/null; rm -rf "$run"' EXIT
trap 'exit 130' INT TERM
mkdir "$run/ctl"
printf '%q ' "$@" >"$run/ctl/command"
began=$SECONDS
"$qemu" -M $machine -cpu "${VIRTUAL_BOARD_CPU:-$cpu}" -accel $accel -smp 2 -m 1024 -nodefaults -display none \
    -kernel "$image/vmlinuz" -initrd "$image/initrd" \
    -append "console=$console rw quiet panic=5 mitigations=off systemd.getty_auto=0 net.ifnames=0" \
    -drive "file=$image/disk,format=raw,if=virtio,snapshot=on" -serial "file:$run/serial" \
    -device virtio-serial-pci -chardev stdio,id=out,signal=off -device virtconsole,chardev=out \
    -netdev user,id=net,restrict=on -device virtio-net-pci,netdev=net,romfile= -device virtio-rng-pci \
    -fsdev "local,id=host,path=$share,security_model=none" -device virtio-9p-pci,fsdev=host,mount_tag=host \
    -fsdev "local,id=ctl,path=$run/ctl,security_model=none" -device virtio-9p-pci,fsdev=ctl,mount_tag=ctl \
    </dev/null &
guest=$!
while kill -0 $guest 2>/dev/null; do
    sleep 0.2
    if [ -e "$run/ctl/boots" ]; then wait_s=$limit_s; else wait_s=300; fi
    if [ $((SECONDS - began)) -ge $wait_s ]; then
        kill $guest
        [ -e "$run/ctl/boots" ] || { tail -n 20 "$run/serial" >&2; echo "the board did not come up in $wait_s s" >&2; exit 125; }
        tail -n 20 "$run/serial" >&2
        echo "no end after $limit_s s, in its boot $(cat "$run/ctl/boots"); the lines above are the kernel's last" >&2
        exit 124
    fi
done
wait $guest || true
guest=
[ -e "$run/ctl/status" ] || { tail -n 20 "$run/serial" >&2; exit 125; }
echo "the board: $(cat "$run/ctl/boots") boots, $((SECONDS - began)) s" >&2
status=$(cat "$run/ctl/status")
exit "${status:-125}"
