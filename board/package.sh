#!/bin/sh
# Makes the Debian package of this machine's architecture: sh board/package.sh
# Installs what it needs (cargo-deb among it), builds the program as it is shipped, man pages and completions, and leaves
# target/debian/mynah_*.deb. Ends with 1 where lintian finds an error in it.
set -eu
cd "$(dirname "$0")/.."
. board/host-setup.sh
need_packages gcc libc6-dev pkg-config libasound2-dev dpkg-dev lintian
need_rust
command -v cargo-deb >/dev/null 2>&1 || {
    say "installing cargo-deb"
    cargo install --locked --quiet cargo-deb
}
say "building"
cargo build --locked --release
say "man pages and completions"
cargo run --locked --quiet --example manual -- target/manual
say "the package"
rm -f target/debian/*.deb
cargo deb --locked --no-build --quiet
package=$(echo target/debian/mynah_*.deb)
say "looking at it"
dpkg-deb --info "$package"
lintian --fail-on error "$package"
say "$package ($(wc -c <"$package") bytes): sudo apt install ./$package"
