#!/bin/sh
# Fuzzes for real: inputs are made up, guided by what code they reach, until one breaks a promise.
#   sh tests/fuzz.sh               every target for a minute
#   sh tests/fuzz.sh 600 TARGET…   these targets for ten minutes each
# Needs cargo-fuzz (`cargo install --locked cargo-fuzz`) and a C++ compiler. What it finds is in fuzz/artifacts/: mend it,
# make it small (`cargo fuzz tmin`), and keep it in fuzz/seeds/TARGET/ beside a unit test.
set -eu
cd "$(dirname "$0")/.."
. board/host-setup.sh

seconds=${1:-60}
[ $# -gt 0 ] && shift
[ $# -gt 0 ] || set -- agent_file client_message close_reason emulator_script server_message
need_packages g++
need_rust
command -v cargo-fuzz >/dev/null 2>&1 || die "cargo-fuzz is missing: cargo install --locked cargo-fuzz"
for target in "$@"; do
    say "$target for $seconds s"
    grown=target/fuzz/inputs/$target
    mkdir -p "$grown"
    # The instrumentation is not stable in name, though in every toolchain: this lets any of them do it.
    RUSTC_BOOTSTRAP=1 cargo fuzz run --target-dir target/fuzz "$target" "$grown" "fuzz/seeds/$target" -- \
        -max_total_time="$seconds" -rss_limit_mb=1024 -timeout=10
done
say "nothing was found"
