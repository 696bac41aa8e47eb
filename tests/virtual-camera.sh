#!/bin/bash
# The program with a kernel's own cameras, in a booted guest: vivid (raw pictures), and a USB camera with MJPEG.
#   bash tests/virtual-camera.sh            everything; the first call builds the guest, some minutes
#   bash tests/virtual-camera.sh raw usb    only these parts
# Prints a line a fact; ends 0 where all hold, 1 where one does not, 2 where the guest cannot be had (and says why).
# On demand only: root, QEMU and mmdebstrap (Debian packages) and a Debian mirror are needed, no KVM.
# The guest is the suite of this machine, so that what is built here runs there. Its init is virtual_camera/init.sh.
set -euo pipefail
cd "$(dirname "$0")/.."
parts="${*:-raw usb doctor}"
cannot() { echo "CANNOT: $*" >&2; exit 2; }

[ "$(id -u)" = 0 ] || cannot "this needs root: it makes a root file system"
[ "$(uname -m)" = x86_64 ] || cannot "this is written for an x86-64 machine"
for tool in qemu-system-x86_64 mmdebstrap mke2fs ffmpeg; do
  command -v "$tool" >/dev/null || cannot "$tool is missing: sudo apt install qemu-system-x86 mmdebstrap e2fsprogs ffmpeg"
done
. /etc/os-release

# --- the guest's image, kept in target/ until what makes it changes ----------------------------------------------------
work=$PWD/target/tmp/virtual-camera
packages=linux-image-amd64,initramfs-tools,udev,kmod,python3,v4l-utils,libasound2,procps
# The initial RAM disk has what finds the disk; the kernel's modules for hardware that no guest has stay out.
initramfs="mkdir -p \"\$1/etc/initramfs-tools/conf.d\"; echo MODULES=list > \"\$1/etc/initramfs-tools/conf.d/guest\"
  printf '%s\\n' virtio_pci virtio_blk ext4 > \"\$1/etc/initramfs-tools/modules\""
useless='gpu net/wireless net/ethernet scsi infiniband iio md staging hwmon isdn ata nvme mtd bluetooth nfc platform'
image=$work/image-$(echo "$VERSION_CODENAME $packages $initramfs $useless" | sha256sum | cut -c1-12)
build() {
  local root=$work/root began=$SECONDS leave_out=() folder
  rm -rf "$root" "$image.new"; mkdir -p "$image.new"
  for folder in $useless; do leave_out+=("--dpkgopt=path-exclude=/lib/modules/*/kernel/drivers/$folder/*"); done
  for folder in doc man locale; do leave_out+=("--dpkgopt=path-exclude=/usr/share/$folder/*"); done
  echo "== building the guest: Debian $VERSION_CODENAME with its kernel"
  nice -n 10 mmdebstrap --quiet --variant=minbase --include="$packages" --aptopt='APT::Install-Recommends "false"' \
    "${leave_out[@]}" --essential-hook="$initramfs" "$VERSION_CODENAME" "$root" \
    || cannot "the guest cannot be built: is a Debian mirror within reach?"
  cp -L "$root/vmlinuz" "$image.new/vmlinuz"; cp -L "$root/initrd.img" "$image.new/initrd"
  rm -rf "$root"/boot/* "$root"/var/{cache,lib}/apt/*; mkdir -p "$root/share"
  # All it knows is where to go on; so the checks change without a new image.
  printf '%s\n' '#!/bin/sh' 'mount -t 9p -o trans=virtio,version=9p2000.L share /share' 'exec sh /share/init.sh' > "$root/sbin/guest"
  chmod +x "$root/sbin/guest"
  truncate -s 2G "$image.new/disk"
  mke2fs -q -F -t ext4 -O ^has_journal -d "$root" "$image.new/disk"
  rm -rf "$root"; mv "$image.new" "$image"
  echo "   in $((SECONDS - began)) s, $(du -sm "$image" | cut -f1) MB"
}
[ -e "$image/disk" ] || build
[ "$parts" != image ] || exit 0

# --- what it shares with this machine ------------------------------------------------------------------------------------
echo "== building the program and the driver's tests"
nice -n 10 cargo build --locked --quiet
tests=$(nice -n 10 cargo test --locked --no-run --lib --message-format=json 2>/dev/null \
  | sed -n 's/.*"executable":"\([^"]*\)".*/\1/p' | tail -1)
[ -x "$tests" ] || { echo "the unit tests do not build: cargo test --no-run --lib shows why"; exit 1; }
share=$work/share
rm -rf "$share"; mkdir -p "$share/out"
strip -o "$share/mynah" "${CARGO_TARGET_DIR:-target}/debug/mynah"
strip -o "$share/unit-tests" "$tests"
cp tests/virtual_camera/* "$share"
mkdir "$share/pictures"   # what the USB camera sees: a moving test picture
ffmpeg -v error -f lavfi -i testsrc2=size=1280x720:rate=5 -t 6 -c:v mjpeg -huffman default -pix_fmt yuvj422p -q:v 4 \
  "$share/pictures/%03d.jpg"
echo "$parts" > "$share/parts"

# --- the guest ----------------------------------------------------------------------------------------------------------
# KVM is only of use where the processor's own virtualisation is: elsewhere it is slower than emulation, or hangs.
accel=tcg processor=max
if [ -w /dev/kvm ] && grep -qwE 'svm|vmx' /proc/cpuinfo; then accel=kvm processor=host; fi
echo "== the guest, by $accel; what it leaves is in ${share#"$PWD/"}/out"
began=$SECONDS
timeout "${GUEST_SECONDS_MAX:-600}" nice -n 10 qemu-system-x86_64 -M pc -cpu $processor -accel $accel -smp 1 -m 1024 \
  -nodefaults -display none -no-reboot -kernel "$image/vmlinuz" -initrd "$image/initrd" \
  -append "console=ttyS0 root=/dev/vda rw quiet panic=-1 mitigations=off init=/sbin/guest" \
  -drive "file=$image/disk,format=raw,if=virtio,snapshot=on" -serial "file:$share/out/console.log" \
  -device virtio-rng-pci -fsdev "local,id=s,path=$share,security_model=none" -device virtio-9p-pci,fsdev=s,mount_tag=share \
  </dev/null || true
echo "== $((SECONDS - began)) s in the guest"
[ -e "$share/out/status" ] || { tail -20 "$share/out/console.log"; cannot "the guest came to no end; its console is above"; }
cat "$share/out/facts"
exit "$(cat "$share/out/status")"
