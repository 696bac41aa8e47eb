#!/bin/bash
# The program with a kernel's own cameras, in a booted guest: vivid (raw pictures), and a USB camera with MJPEG.
#   bash tests/virtual-camera.sh            everything
#   bash tests/virtual-camera.sh raw usb    only these parts
# Prints a line a fact; ends 0 where all hold, 77 where this machine cannot, 124 after a quarter of an
# hour, 125 where the board did not come up, else with something else (each says why).
# On demand only: it needs root and QEMU (installed where missing).
set -euo pipefail
cd "$(dirname "$0")/.."
. board/host-setup.sh
parts="${*:-raw usb doctor}"
[ "$(id -u)" = 0 ] || { echo "CANNOT: the virtual board needs root: it makes a root file system" >&2; exit 77; }
need_packages gcc libc6-dev pkg-config libasound2-dev ffmpeg >&2
need_rust

echo "== building the program and the driver's tests"
cargo build --locked --quiet
tests=$(cargo test --locked --no-run --lib --message-format=json 2>/dev/null | sed -n 's/.*"executable":"\([^"]*\)".*/\1/p' | tail -1) || true
[ -x "$tests" ] || { echo "the unit tests do not build: cargo test --no-run --lib shows why"; exit 1; }

share=$PWD/target/tmp/virtual-camera
rm -rf "$share"; mkdir -p "$share/out" "$share/pictures"
strip -o "$share/mynah" "${CARGO_TARGET_DIR:-target}/debug/mynah"
strip -o "$share/unit-tests" "$tests"
cp tests/virtual_camera/* "$share"
# What the USB camera sees: a moving test picture.
ffmpeg -v error -f lavfi -i testsrc2=size=1280x720:rate=5 -t 6 -c:v mjpeg -huffman default -pix_fmt yuvj422p -q:v 4 \
    "$share/pictures/%03d.jpg"

echo "== the guest (a first call builds its image); what it leaves is in ${share#"$PWD/"}/out"
exec bash board/virtual/boot.sh -t 900 -s "$share" bash guest.sh $parts
