#!/bin/sh
# Installs what the tests need and runs them all: first the tiers that need no device, then the line over real
# ALSA, a real TLS WebSocket and strangers' clients.
#   sh tests/run.sh           everything
#   sh tests/run.sh --quick   only the tiers without devices (a few minutes after the build)
set -eu
cd "$(dirname "$0")/.."
. board/host-setup.sh

need_packages gcc libc6-dev pkg-config libasound2-dev
need_rust
say "building"
cargo build --locked --all-targets
say "tiers without devices: unit, tidy, boards, wire, scripts, simulation"
cargo test --locked
say "the fuzz targets: built, and each plays its seeds"
need_packages g++
cargo build --locked --manifest-path fuzz/Cargo.toml --target-dir target
for seeds in fuzz/seeds/*; do
    "target/debug/${seeds##*/}" -runs=0 "$seeds"
done
[ "${1:-}" = --quick ] && exit 0
say "simulation: 20,000 conversations"
MYNAH_SEEDS=20000 cargo test --locked --profile sim --test simulation every_rule_holds -- --nocapture
say "the ears in simulated rooms, a short form"
sh benches/acoustics/run.sh --quick

say "bad networks, what takes longer"
cargo test --locked --test network -- --ignored --nocapture half_a_minute a_reconnection

need_packages python3
say "the virtual card: unplugging, refusals, the doctor's findings"
cargo test --locked --test alsa -- --ignored --test-threads=1 a_card_that_is_unplugged what_a_card_does_not
cargo test --locked --test doctor -- --ignored

need_packages ffmpeg
say "the camera: a stream of pictures that nobody here wrote"
cargo test --locked --test camera -- --ignored

need_packages chromium
command -v node >/dev/null 2>&1 && command -v npm >/dev/null 2>&1 || need_packages nodejs npm
say "the panel: a real browser, at a device of a script and at a real one"
(cd tests/panel && npm ci --no-audit --no-fund --silent && node both.mjs)
cargo test --locked --test panel -- --ignored

need_packages mosquitto mosquitto-clients
say "MQTT: a broker that nobody here wrote"
cargo test --locked --test mqtt -- --ignored
say "a device of a fleet: reports, signed configurations, the way back"
cargo test --locked --test fleet -- --ignored

need_packages nginx-light
PATH="$PATH:/usr/sbin" # Debian has nginx there, and not every user's path has it
say "tools that ask servers: nginx, plain and with TLS"
cargo test --locked --test http -- --ignored --test-threads=1

need_packages pulseaudio pulseaudio-utils libasound2-plugins openssl python3 python3-venv
say "the line: real libasound, real TLS WebSocket, strangers' clients"
cargo test --locked --test line -- --ignored --test-threads=1
say "MCP: strangers' servers over both transports"
command -v node >/dev/null 2>&1 && command -v npm >/dev/null 2>&1 || need_packages nodejs npm
cargo test --locked --test mcp -- --ignored --test-threads=1
say "Home Assistant itself: states, services, restarts"
cargo test --locked --test home_assistant -- --ignored --test-threads=1
say "all tests passed"
