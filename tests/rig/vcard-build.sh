#!/bin/sh
# Builds the virtual card's plugin: tests/rig/vcard-build.sh [FOLDER]; prints the path of the library.
#
# Needs gcc (or $CC) and libasound2-dev. Rebuilds only when a source is newer.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
out=${1:-$here/../../target/rig}
mkdir -p "$out"
out=$(cd "$out" && pwd)
lib=$out/libasound_module_pcm_vcard.so
if [ ! -e "$lib" ] || [ -n "$(find "$here/virtual_card" -newer "$lib" -name '*.[ch]')" ]; then
    ${CC:-cc} -std=gnu11 -O2 -g -Wall -Wextra -Werror -shared -fPIC -DPIC \
        -o "$lib.new" "$here/virtual_card/open.c" "$here/virtual_card/card.c" "$here/virtual_card/sound.c" -lasound -lm >&2
    mv "$lib.new" "$lib"
fi
echo "$lib"
