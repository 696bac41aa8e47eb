#!/bin/bash
# The program with a kernel's own devices, in a booted guest: sound loopback, GPIO simulator, systemd.
#   bash tests/virtual-board.sh              everything, about five minutes under emulation
#   bash tests/virtual-board.sh gpio-test demo lines refusals plug chip check service     only these parts
# Prints a line a fact; ends 0 where all hold, 77 where this machine cannot, 124 after a quarter of an
# hour, 125 where the board did not come up, else with something else (each says why).
# On demand only: it needs root and QEMU (installed where missing).
set -euo pipefail
cd "$(dirname "$0")/.."
. board/host-setup.sh
[ "$(id -u)" = 0 ] || { echo "CANNOT: the virtual board needs root: it makes a root file system" >&2; exit 77; }
need_packages gcc libc6-dev pkg-config libasound2-dev >&2
need_rust
parts="${*:-gpio-test demo lines refusals plug chip check service}"

echo "== building"
cargo build --locked --quiet
tests=$(cargo test --locked --no-run --lib --message-format=json 2>/dev/null | sed -n 's/.*"executable":"\([^"]*\)".*/\1/p' | tail -1) || true
[ -x "$tests" ] || { echo "the unit tests do not build: cargo test --no-run --lib shows why"; exit 1; }

share=$PWD/target/tmp/virtual-board
rm -rf "$share"; mkdir -p "$share/out" "$share/systemd"
strip -o "$share/mynah" "${CARGO_TARGET_DIR:-target}/debug/mynah"   # debug symbols are ten times the program
strip -o "$share/unit-tests" "$tests"
cp tests/virtual_board/* src/cli/sounds/*.wav "$share"
cp systemd/* board/*.rules "$share/systemd"

echo "== the guest (a first call builds its image); what it leaves is in ${share#"$PWD/"}/out"
exec bash board/virtual/boot.sh -t 900 -s "$share" bash guest.sh $parts
