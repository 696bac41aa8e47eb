#!/bin/sh
# Installs what is missing, builds mynah and runs its demo: no key, no microphone and no network service needed.
#   sh board/try.sh [arguments of `mynah demo`]
set -eu
cd "$(dirname "$0")/.."
. board/host-setup.sh

need_packages gcc libc6-dev pkg-config libasound2-dev
need_rust
say "building mynah (a few minutes the first time; on a small board up to half an hour)"
cargo build --release --locked
say "running the demo"
exec "${CARGO_TARGET_DIR:-target}/release/mynah" demo "$@"
