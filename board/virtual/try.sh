#!/bin/bash
# From nothing to a device that has been through everything, on a board without hardware:
#   bash board/virtual/try.sh [-a arm64] [-d PACKAGE.deb] [PARTS…]
# Makes the Debian package (or takes one), makes and boots the board, installs the package there, runs `mynah setup`, has a
# conversation by the board's own button, microphone, loudspeaker, lamp and camera, and then breaks things: pulls the sound
# card, chatters the button, takes the network, kills the process, moves the clock, fills the disk, takes the right to write, sends
# configurations from afar, cuts the power.
# Prints a line a fact. Ends 0 where all hold, 1 where one does not, 124 where it took more than a quarter of an hour or this machine
# could not keep up, 125 where the board could not be made or did not boot, 77 where this machine cannot (each says why).
# Without KVM all is emulated: about twelve minutes. For arm64 only what is named: -a arm64 install
set -euo pipefail
arch=amd64 package=
while getopts a:d: option; do
    case $option in a) arch=$OPTARG ;; d) package=$(readlink -f "$OPTARG") ;; *) exit 2 ;; esac
done
shift $((OPTIND - 1))
cd "$(dirname "$0")/../.."
. board/host-setup.sh
cannot() { echo "CANNOT: $*" >&2; exit 77; }
[ "$(id -u)" = 0 ] || cannot "the virtual board needs root: it makes a root file system"
[ "$(uname -m)" = x86_64 ] || cannot "this is written for an x86-64 machine"

if [ -z "$package" ]; then
    sh board/package.sh "$arch" >&2 || { echo "the package cannot be made (above stands why)" >&2; exit 1; }
    package=$(echo target/debian/mynah_*_"$arch".deb)
fi
share=$PWD/target/tmp/board-$arch
rm -rf "$share"
mkdir -p "$share/out"
cp board/virtual/*.{toml,txt} board/virtual/guest.sh src/cli/sounds/ask_*.wav "$share"
cp "$package" "$share/mynah.deb"
echo "== the virtual board ($arch); what it leaves is in ${share#"$PWD/"}/out"
status=0
bash board/virtual/boot.sh -a "$arch" -s "$share" -t "${VIRTUAL_BOARD_LIMIT_S:-900}" bash guest.sh "$@" &
board=$!
trap 'kill $board 2>/dev/null; wait $board; exit 130' INT TERM
wait $board || status=$?
# A fact that does not hold is more than a lack of time. But what a starved processor does is no fault of the package.
if [ -s "$share/out/failed" ]; then
    status=1
    late=$(cat "$share"/out/journal-*.txt | grep -c "too late to take it from the microphone") || true
    if [ "$late" -ge 3 ]; then
        echo "the device could not follow its microphone $late times: this machine is too slow for it, or too busy" >&2
        status=124
    fi
fi
exit $status
