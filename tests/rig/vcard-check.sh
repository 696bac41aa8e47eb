#!/bin/sh
# Checks the virtual card itself (content, pacing, delay, xruns, drop, vanishing, drift): tests/rig/vcard-check.sh
set -eu
here=$(cd "$(dirname "$0")" && pwd)
run=$(mktemp -d "${TMPDIR:-/tmp}/vcard-check.XXXXXX")
trap 'rm -rf "$run"' EXIT INT TERM
ALSA_CONFIG_PATH=$("$here/vcard-new.sh" "$run/card")
export ALSA_CONFIG_PATH
python3 - "$run/count.wav" <<'PYTHON'
import struct, sys, wave
with wave.open(sys.argv[1], "wb") as file:
    file.setparams((1, 2, 48000, 0, "NONE", ""))
    file.writeframes(b"".join(struct.pack("<h", min(k, 32767)) for k in range(48000)))
PYTHON
${CC:-cc} -std=gnu11 -O1 -g -Wall -Wextra -Werror -o "$run/check" \
    "$here/virtual_card/check.c" "$here/virtual_card/sound.c" -lasound -lm
"$run/check" "$run/card" "$run/count.wav"
