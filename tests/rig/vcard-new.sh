#!/bin/sh
# Makes a virtual card ready for use: tests/rig/vcard-new.sh FOLDER [MIC_RATES [MIC_CHANNELS [SPEAKER_RATES [SPEAKER_CHANNELS]]]]
#
# Lists are quoted: "16000 48000". The folder then holds `control`, `asoundrc` with the PCMs vmic and vspk (the card
# itself) and plugvmic and plugvspk (through plug), and later `log.jsonl` and a speaker-NNNN.raw for every run.
# Prints the path of the asoundrc: ALSA_CONFIG_PATH=$(…/vcard-new.sh /dev/shm/card) arecord -D vmic …
set -eu
here=$(cd "$(dirname "$0")" && pwd)
[ $# -ge 1 ] || { sed -n 2,7p "$0" >&2; exit 64; }
mkdir -p "$1"
folder=$(cd "$1" && pwd)
lib=$("$here/vcard-build.sh")
"$here/vcard-ctl" "$folder" >"$folder/.made" && rm "$folder/.made"
pcm() { # NAME RATES CHANNELS
    printf 'pcm.%s { type vcard folder "%s" rates [ %s ] channels [ %s ] hint.description "virtual card" }\n' "$1" "$folder" "$2" "$3"
    printf 'pcm.plug%s { type plug slave.pcm "%s" }\n' "$1" "$1"
}
# The system's alsa.conf is left out on purpose: its hooks load PulseAudio's client library into every process.
{
    printf 'pcm_type.vcard { lib "%s" }\n' "$lib"
    pcm vmic "${2:-48000}" "${3:-1 2}"
    pcm vspk "${4:-48000}" "${5:-1 2}"
} >"$folder/asoundrc"
echo "$folder/asoundrc"
