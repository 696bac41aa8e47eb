#!/bin/sh
# A long conversation over a network that drops it again and again; at the end a verdict on memory, threads and files.
#   sh tests/soak.sh          half an hour
#   sh tests/soak.sh 3        three minutes
#   sh tests/soak.sh 30 --release
set -eu
cd "$(dirname "$0")/.."
minutes=${1:-30}
[ $# -eq 0 ] || shift
MYNAH_SOAK_MINUTES=$minutes exec cargo test --locked "$@" --test network -- --ignored --nocapture half_an_hour
