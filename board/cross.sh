#!/bin/sh
# Builds the program as it is shipped for another board, without containers:
#   sh board/cross.sh arm64               64-bit Raspberry Pi OS and Debian (Pi 3 and newer, Zero 2 W)
#   sh board/cross.sh armhf               32-bit (Pi 2 and newer; ARMv7, so neither Pi 1 nor the first Zero)
#   sh board/cross.sh arm64 check         only whether it compiles
#   sh board/cross.sh arm64 run ARGS…     runs what was built, under user-mode emulation: run demo --out /tmp/demo
#   sh board/cross.sh armhf test ARGS…    builds the tests and runs them under emulation: test --lib, test --test session
# Target triples are understood, too. Installs what it needs; leaves target/TRIPLE/release/mynah. The foreign libraries are
# unpacked into target/sysroot/ARCH: nothing of the machine's own package lists is touched.
set -eu
cd "$(dirname "$0")/.."
. board/host-setup.sh

case "${1:-}" in
    arm64 | aarch64-unknown-linux-gnu) arch=arm64 triple=aarch64-unknown-linux-gnu gnu=aarch64-linux-gnu qemu=qemu-aarch64-static ;;
    armhf | armv7-unknown-linux-gnueabihf) arch=armhf triple=armv7-unknown-linux-gnueabihf gnu=arm-linux-gnueabihf qemu=qemu-arm-static ;;
    *) die "name the board's architecture: sh board/cross.sh arm64|armhf [check|run ARGS…|test ARGS…]" ;;
esac
what=${2:-build}
sysroot=$PWD/target/sysroot/$arch

# The board's own libraries, of this machine's Debian release: a program that is linked against newer ones does not start.
make_sysroot() {
    [ ! -e "$sysroot/complete" ] || return 0
    say "the libraries of $arch"
    rm -rf "$sysroot" && mkdir -p "$sysroot/apt/lists/partial" "$sysroot/apt/archives/partial" "$sysroot/apt/debs"
    apt() {
        apt-get -qq -o APT::Architecture=$arch -o APT::Architectures::=$arch -o APT::Sandbox::User=root -o Dir::State::Lists="$sysroot/apt/lists" \
            -o Dir::Cache="$sysroot/apt" -o Dir::State::status=/dev/null -o Debug::NoLocking=1 "$@"
    }
    apt update || say "not all package lists of $arch could be had; going on with those"
    # What they depend on by name differs between releases (libasound2, libasound2t64): apt knows.
    (cd "$sysroot/apt/debs" && apt install --download-only --no-install-recommends -y -o Dir::Cache::archives="$PWD" libasound2-dev) ||
        die "libasound2-dev:$arch could not be had"
    for package in "$sysroot"/apt/debs/*.deb; do dpkg-deb -x "$package" "$sysroot"; done
    rm -rf "$sysroot/apt"
    touch "$sysroot/complete"
}

if [ "$what" = run ]; then
    shift 2
    need_packages qemu-user-static
    make_sysroot
    exec env QEMU_LD_PREFIX="$sysroot" $qemu "target/$triple/release/mynah" "$@"
fi
case $what in build | check | test) ;; *) die "\`$what\` is neither check nor run nor test" ;; esac

need_packages "gcc-$gnu" "libc6-dev-$arch-cross" gcc libc6-dev pkg-config dpkg-dev
need_rust
rustc --print target-libdir --target $triple 2>/dev/null | xargs test -d || rustup target add $triple ||
    die "the Rust libraries of $triple are missing; rustup target add $triple installs them"
make_sysroot

# For Cargo, and for crates that compile C of their own.
name=$(echo $triple | tr a-z- A-Z_)
export "CARGO_TARGET_${name}_LINKER=$gnu-gcc" PKG_CONFIG_ALLOW_CROSS=1 PKG_CONFIG_SYSROOT_DIR="$sysroot" \
    PKG_CONFIG_LIBDIR="$sysroot/usr/lib/$gnu/pkgconfig:$sysroot/usr/share/pkgconfig"
if [ "$what" = check ]; then
    exec cargo check --locked --target $triple --all-targets
fi
if [ "$what" = test ]; then
    shift 2
    need_packages qemu-user-static python3
    # Emulation costs more than the compiler's time does.
    export "CARGO_TARGET_${name}_RUNNER=$qemu" QEMU_LD_PREFIX="$sysroot" CARGO_PROFILE_DEV_OPT_LEVEL=1
    cargo test --locked --target $triple --no-run "$@"
    # With a name space that knows how, tests can start the program itself, too.
    foreign='python3 board/virtual/image/foreign.py'
    if [ "$(id -u)" != 0 ] || ! $foreign true 2>/dev/null; then
        say "this machine runs no foreign programs by itself (root and Linux 6.7 would): tests that start the program fail"
        foreign=
    fi
    exec $foreign cargo test --locked --target $triple "$@"
fi
say "building for $triple"
cargo build --locked --release --target $triple
built=target/$triple/release/mynah
# Debian's compiler for armhf makes ARMv7 whatever it is asked for: to be seen, not believed.
readelf -h "$built" | grep -E 'Class|Machine'
[ $arch != armhf ] || readelf -A "$built" | grep Tag_CPU_arch
say "$built ($(wc -c <"$built") bytes)"
