#!/bin/sh
# How often other people's speech is taken for a wake word: sh benches/wake.sh WAKE.toml [PERCENT]
#
# Downloads an hour of announcements by four speakers in four languages (Debian's asterisk-core-sounds, 16 kHz) and runs
# `mynah wake test` on them. Needs apt-get, dpkg, ffmpeg, and a release build in target/release. On demand, not in CI.
set -eu
model=$(realpath "$1")
percent=${2:-50}
mynah=$(realpath "${MYNAH:-$(dirname "$0")/../target/release/mynah}")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
for language in en fr it es; do
    apt-get download -q "asterisk-core-sounds-$language-g722"
    mkdir "$language"
    dpkg -x asterisk-core-sounds-"$language"-g722_*.deb "$language"
    find "$language" -name '*.g722' | sort | while read -r file; do
        ffmpeg -nostdin -v error -f g722 -i "$file" -f s16le -ac 1 -ar 16000 -
    done > "$language.raw"
    # A file of more than 20 minutes is not taken.
    ffmpeg -nostdin -v error -f s16le -ac 1 -ar 16000 -i "$language.raw" -t 1150 "$language.wav"
done
"$mynah" wake test --model "$model" --sensitivity-percent "$percent" en.wav fr.wav it.wav es.wav
