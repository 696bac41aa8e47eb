#!/bin/sh
# Measures what the ears do in simulated rooms and compares voice detectors: sh benches/acoustics/run.sh [--quick] [--help]
#
# Makes its speech from Debian packages first (see corpus.sh; kept in target/acoustics/corpus). Tables and plots go to
# target/acoustics/out. The quick form runs in CI with the profile of the simulation, the long one as shipped.
set -eu
cd "$(dirname "$0")/../.."
corpus=target/acoustics/corpus
mkdir -p target/acoustics
sh benches/acoustics/corpus.sh $corpus
case " $* " in
*" --quick "*) profile=sim ;;
*) profile=release ;;
esac
cargo bench --quiet --profile "${PROFILE:-$profile}" --bench acoustics -- --corpus $corpus "$@"
