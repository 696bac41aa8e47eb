#!/bin/sh
# Makes a Debian package:
#   sh board/package.sh                    of this machine's architecture
#   sh board/package.sh arm64|armhf        of another (board/cross.sh)
# Installs what it needs (cargo-deb among it), builds the program as it is shipped, man pages and completions, and leaves
# target/debian/mynah_VERSION_ARCH.deb. Ends with 1 where lintian finds an error in it.
set -eu
cd "$(dirname "$0")/.."
. board/host-setup.sh
need_packages gcc libc6-dev pkg-config libasound2-dev dpkg-dev lintian
need_rust
arch=${1:-$(dpkg --print-architecture)}
# The tool is used once and looks at little: built quickly rather than well.
command -v cargo-deb >/dev/null 2>&1 || {
    say "installing cargo-deb"
    CARGO_PROFILE_RELEASE_OPT_LEVEL=0 CARGO_PROFILE_RELEASE_LTO=off cargo install --locked --quiet cargo-deb
}
say "building"
if [ "$arch" = "$(dpkg --print-architecture)" ]; then
    triple='' built=target/release/mynah
    cargo build --locked --release
else
    sh board/cross.sh "$arch"
    case $arch in arm64) triple=aarch64-unknown-linux-gnu ;; armhf) triple=armv7-unknown-linux-gnueabihf ;; esac
    built=target/$triple/release/mynah
    # Newer functions of the C library than the package asks for would keep it from starting.
    newest=$(readelf -V "$built" | grep -o 'GLIBC_2\.[0-9]*' | sort -Vu | tail -n 1)
    [ "$(printf '%s\n' "$newest" GLIBC_2.34 | sort -V | tail -n 1)" = GLIBC_2.34 ] ||
        die "the program needs $newest: say so in Cargo.toml, package.metadata.deb.variants.cross"
fi
say "man pages and completions"
rm -rf target/manual # what is not made any more does not belong in
cargo run --locked --quiet --example manual -- target/manual
[ -e target/manual/man/mynah-setup.1 ] || die "there is no man page of \`mynah setup\` in target/manual"
say "the package"
rm -f target/debian/mynah_*_"$arch".deb
cargo deb --locked --no-build --no-strip --quiet --output target/debian/ ${triple:+--target "$triple" --variant cross}
package=$(echo target/debian/mynah_*_"$arch".deb)
say "looking at it"
dpkg-deb --info "$package"
lintian --fail-on error "$package"
say "$package ($(wc -c <"$package") bytes, the program in it $(wc -c <"$built")): sudo apt install ./$package"
