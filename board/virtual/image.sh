#!/bin/bash
# Makes the virtual board's image and prints the folder that holds it: bash board/virtual/image.sh amd64|arm64
# Called by boot.sh, which installs what this needs. Made once; anew where this file or image/ changes.
set -euo pipefail
arch=$1
here=$(dirname "$(readlink -f "$0")")
cache=${VIRTUAL_BOARD_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/mynah-board}
say() { echo "== $*" >&2; }

# gpio-sim is in the kernels of backports only; the userland is the stable release that boards run.
suite=trixie
userland=systemd,systemd-sysv,udev,dbus,kmod,alsa-utils,gpiod,v4l-utils,iproute2,procps,openssl,ca-certificates,busybox-static,python3,mosquitto,mosquitto-clients
modules="snd-aloop gpio-sim vivid 9p 9pnet_virtio virtio_net virtio_blk ext4 configfs virtio_rng af_packet veth uvcvideo vhci-hcd"
devices="snd-aloop gpio-sim vivid"

# The mirror that this machine uses already.
mirror=$(apt-get indextargets --format '$(ORIGIN) $(SITE)' "Created-By: Packages" |
    awk '$1 == "Debian" && $2 ~ /\/debian\/*$/ && !found { found = $2 } END { print found ? found : "http://deb.debian.org/debian" }')
key=$(cat "$0" "$here"/image/* | sha256sum | cut -c1-12)
image=$cache/$arch-$key

# In a name space of its own: what is mounted while it is made is the machine's /dev, too, and must be gone when this is.
foreign=(unshare --mount)
if [ "$arch" = arm64 ] && [ "$(uname -m)" != aarch64 ]; then
    command -v qemu-aarch64-static >/dev/null || { echo "qemu-user-static is missing: sudo apt install qemu-user-static" >&2; exit 1; }
    # Programs of the other architecture run while it is made, in a name space that knows how.
    foreign=(python3 "$here/image/foreign.py")
fi

# Files of kernel modules with all that they need, in the order of loading.
module_files() { # module_files ROOT VERSION NAME…
    local root=$1 version=$2 name
    shift 2
    for name in "$@"; do
        modprobe -d "$root" -S "$version" --show-depends "$name" 2>/dev/null | awk '$1 == "insmod" { print $2 }' || true
    done | awk '!seen[$0]++'
}

# The disk's root: packages, the kernel's modules, and what makes the devices at boot.
make_root() { # make_root ROOT KERNEL VERSION
    local root=$1 kernel=$2 version=$3 modules_at=lib/modules/$3 file
    mkdir -p "$root/$modules_at"
    for file in $(module_files "$kernel" "$version" $modules); do
        install -D -m 644 "$file" "$root/$modules_at/${file#"$kernel/$modules_at/"}"
    done
    cp "$kernel/$modules_at"/modules.{order,builtin,builtin.modinfo} "$root/$modules_at/"
    depmod -b "$root" "$version"
    for file in $devices; do
        [ -n "$(find "$root/$modules_at" -name "$file.ko*")" ] || { echo "kernel $version has no $file" >&2; return 1; }
    done
    echo board >"$root/etc/hostname"
    echo "127.0.0.1 localhost board" >"$root/etc/hosts"
    echo 0123456789abcdef0123456789abcdef >"$root/etc/machine-id"
    touch -d 2037-01-01 "$root/etc/.updated" "$root/var/.updated"
    install -m 644 "$here/image/modprobe.conf" "$root/etc/modprobe.d/board.conf"
    install -m 755 "$here/image/board-devices" "$here/image/board-command" "$root/usr/local/sbin/"
    install -m 644 "$here"/image/*.service "$root/etc/systemd/system/"
    mkdir -p "$root/etc/systemd/system/multi-user.target.wants" "$root/var/log/journal"
    for file in board-devices board-command; do
        ln -s "../$file.service" "$root/etc/systemd/system/multi-user.target.wants/"
    done
    # Seconds of emulated boot that nothing here needs.
    for file in ldconfig mosquitto systemd-{journal-catalog-update,update-done,hwdb-update,update-utmp,timesyncd,firstboot,battery-check} \
        systemd-tpm2-setup{,-early} systemd-pcr{machine,phase} e2scrub_reap alsa-{restore,state} modprobe@{drm,efi_pstore,fuse,dm_mod,loop}; do
        ln -sf /dev/null "$root/etc/systemd/system/$file.service"
    done
    for file in apt-daily apt-daily-upgrade fstrim e2scrub_all dpkg-db-backup; do ln -sf /dev/null "$root/etc/systemd/system/$file.timer"; done
}

# The first program of a boot: loads what the disk needs and goes on there.
make_initrd() { # make_initrd ROOT KERNEL VERSION
    local root=$1 kernel=$2 version=$3 at=$work/initrd-root number=10 file
    mkdir -p "$at"/{bin,proc,sys,dev,mnt,modules}
    cp "$root/usr/bin/busybox" "$at/bin/"
    install -m 755 "$here/image/init" "$at/init"
    for file in $(module_files "$kernel" "$version" virtio_blk ext4); do
        number=$((number + 1))
        xz -dc "$file" >"$at/modules/$number-$(basename "${file%.xz}")"
    done
    (cd "$at" && find . | cpio -o -H newc --quiet | zstd -q)
}

build() {
    local began=$SECONDS root=$work/root kernel=$work/kernel version
    mkdir "$kernel"
    printf "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror %s main\n" $suite $suite-backports >"$work/sources"
    say "the virtual board's image for $arch: packages of Debian $suite"
    "${foreign[@]}" mmdebstrap --quiet --variant=minbase --architectures="$arch" --skip=check/qemu,chroot/mount/sys --include="$userland" \
        --aptopt='APT::Install-Recommends "false"' --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
        --customize-hook="sh $here/image/kernel-hook \"\$1\" $kernel $arch" $suite "$root" "$work/sources" >&2
    version=$(cat "$kernel/version")
    say "its kernel: $version"
    mkdir -p "$kernel/lib" && ln -s ../usr/lib/modules "$kernel/lib/modules"
    depmod -b "$kernel" "$version"
    make_root "$root" "$kernel" "$version"
    make_initrd "$root" "$kernel" "$version" >"$work/new/initrd"
    cp "$kernel/lib/modules/$version/vmlinuz" "$work/new/vmlinuz"
    truncate -s 2G "$work/new/disk"
    # With a journal, as boards have: power cuts are part of the tests.
    mke2fs -q -F -t ext4 -d "$root" -L board "$work/new/disk"
    # Others may be of another checkout; those that nobody used for a week are nobody's.
    find "$cache" -maxdepth 1 -name "$arch-*" -mtime +7 -exec rm -rf --one-file-system {} +
    rm -rf --one-file-system "$image"
    mv "$work/new" "$image"
    say "made in $((SECONDS - began)) s, $(du -sm "$image" | cut -f1) MB"
}

mkdir -p "$cache"
exec 9>"$cache/lock"
flock 9
# What somebody left who was killed while making one.
rm -rf --one-file-system "$cache"/making.*
if [ ! -e "$image/disk" ]; then
    work=$(mktemp -d -p "$cache" making.XXXX)
    trap 'rm -rf --one-file-system "$work"' EXIT
    mkdir "$work/new"
    build
fi
touch "$image"
echo "$image"
