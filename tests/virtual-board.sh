#!/bin/bash
# The program with a kernel's own devices, in a booted guest: sound loopback, GPIO simulator, systemd.
#   bash tests/virtual-board.sh              everything, about five minutes under emulation
#   bash tests/virtual-board.sh gpio-test demo lines refusals plug chip check service     only these parts
# Prints a line a fact; ends 0 where all hold, 1 where one does not. On demand only: it needs root, QEMU (installed
# where missing) and `../shared/virtual-board/vboard.sh` beside the project (VBOARD_SH names it elsewhere).
set -euo pipefail
cd "$(dirname "$0")/.."
parts="${*:-gpio-test demo lines refusals plug chip check service}"

vboard=${VBOARD_SH:-}
[ -n "$vboard" ] || [ ! -e ../shared/virtual-board/vboard.sh ] || vboard=../shared/virtual-board/vboard.sh
[ -n "$vboard" ] || { echo "vboard.sh is not there: VBOARD_SH=/path/to/vboard.sh names it"; exit 1; }

echo "== building"
cargo build --locked --quiet
tests=$(cargo test --locked --no-run --lib --message-format=json 2>/dev/null | sed -n 's/.*"executable":"\([^"]*\)".*/\1/p' | tail -1)
[ -x "$tests" ] || { echo "the unit tests do not build: cargo test --no-run --lib shows why"; exit 1; }

share=$PWD/target/tmp/virtual-board
rm -rf "$share"; mkdir -p "$share/out" "$share/systemd"
strip -o "$share/mynah" "${CARGO_TARGET_DIR:-target}/debug/mynah"   # debug symbols are ten times the program
strip -o "$share/unit-tests" "$tests"
cp tests/virtual_board/* src/cli/sounds/*.wav "$share"
cp systemd/* board/*.rules "$share/systemd"

echo "== the guest (a first call builds its image, a minute or two); what it leaves is in ${share#"$PWD/"}/out"
exec "$vboard" -t 900 -s "$share" bash guest.sh $parts
