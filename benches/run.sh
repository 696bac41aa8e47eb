#!/bin/sh
# Measures the figures of the line on the virtual card and prints one table: sh benches/run.sh [--quick] [--help]
# `--only acoustics` runs the bench of the ears instead, which needs no card: see acoustics/run.sh.
#
# Builds the card's plugin, the release binary if it is missing or older than its sources (MYNAH=FILE names another)
# and the bench. Needs libasound2-dev, python3, openssl, gcc and cargo. Other work on the machine spoils the figures.
set -eu
cd "$(dirname "$0")/.."
case " $* " in
*" --only acoustics "*)
    # All options but that one are its own.
    for option; do
        shift
        case $option in
        --only | acoustics) ;;
        *) set -- "$@" "$option" ;;
        esac
    done
    exec sh benches/acoustics/run.sh "$@"
    ;;
esac
mynah=${MYNAH:-target/release/mynah}
case " $* " in
*" --self-test "*) ;;
*)
    if [ -z "${MYNAH:-}" ] && { [ ! -x "$mynah" ] || [ -n "$(find src Cargo.toml Cargo.lock -newer "$mynah" -type f)" ]; }; then
        cargo build --release
    fi
    set -- --mynah "$mynah" "$@"
    ;;
esac
# Memory is the best place: a disk that writes back may stop a speaker's thread.
base=/dev/shm
[ -w $base ] || base=${TMPDIR:-/tmp}
run=$(mktemp -d $base/mynah-figures.XXXXXX)
trap '[ -n "${KEEP:-}" ] && echo "kept: $run" >&2 || rm -rf "$run"' EXIT
trap 'exit 130' INT TERM HUP
tests/rig/vcard-new.sh "$run/card" >"$run/asoundrc.path"
sh tests/rig/certificate.sh "$run"
# The dev profile: the bench itself needs no link-time optimisation, its dependencies are optimised there as well.
cargo bench --quiet --profile dev --bench figures -- --folder "$run" "$@" || {
    status=$?
    [ ! -s "$run/client.log" ] || { echo "the client's last words:" >&2; tail -n 20 "$run/client.log" >&2; }
    exit $status
}
