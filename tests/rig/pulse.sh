#!/bin/sh
# A private PulseAudio daemon with a null-sink microphone and speaker under ALSA's `pulse` plugin.
#
# Source it and call the functions, or run it: tests/rig/pulse.sh COMMAND [ARGUMENT …] runs the command in the rig
# (ALSA's default PCM and the PulseAudio tools are the rig's) and clears up. Nothing global is touched, root will do.
# Needs pulseaudio, pulseaudio-utils, libasound2-plugins. tests/rig/README.md has examples.
#
#   pulse_up [FOLDER]         starts the daemon; sets and exports what clients need; FOLDER is made if not given
#   pulse_say FILE.wav        plays a WAV into the microphone, returns when it was said
#   pulse_record FILE.wav     starts recording the speaker;  pulse_record_end stops it
#   pulse_echo MS             lets the microphone hear the speaker, MS later;  pulse_echo_end
#   pulse_unplug mic|spk      removes the sink;  pulse_plug mic|spk brings it back
#   pulse_down                ends the daemon (by its own pid) and removes the folder if pulse_up made it
# pulse_up sets a trap on EXIT unless PULSE_RIG_NO_TRAP is set; then the caller must call pulse_down.

PULSE_RIG_RATE=${PULSE_RIG_RATE:-48000}

pulse_up() {
    for tool in pulseaudio pactl pacat parec; do
        command -v $tool >/dev/null || { echo "pulse.sh: $tool is missing: apt-get install pulseaudio pulseaudio-utils libasound2-plugins" >&2; return 69; }
    done
    pulse_made=
    if [ $# -gt 0 ]; then mkdir -p "$1"; pulse_run=$(cd "$1" && pwd); else
        pulse_run=$(mktemp -d "${TMPDIR:-/tmp}/mynah-pulse.XXXXXX"); pulse_made=1
    fi
    pulse_recorder='' pulse_echo_module=''
    mkdir -p "$pulse_run/pulse" "$pulse_run/xdg" "$pulse_run/home"
    chmod 700 "$pulse_run/pulse" "$pulse_run/xdg"
    cat >"$pulse_run/start.pa" <<SCRIPT
load-module module-native-protocol-unix auth-anonymous=1 socket=$pulse_run/pulse.sock
$(pulse_sink mic | sed 's/^/load-module /')
$(pulse_sink spk | sed 's/^/load-module /')
set-default-sink spk
set-default-source mic.monitor
SCRIPT
    cat >"$pulse_run/asoundrc" <<SCRIPT
</usr/share/alsa/alsa.conf>
pcm.!default { type pulse }
ctl.!default { type pulse }
SCRIPT
    export PULSE_SERVER="unix:$pulse_run/pulse.sock" PULSE_RUNTIME_PATH="$pulse_run/pulse"
    export XDG_RUNTIME_DIR="$pulse_run/xdg" ALSA_CONFIG_PATH="$pulse_run/asoundrc"
    [ -n "${PULSE_RIG_NO_TRAP:-}" ] || trap pulse_down EXIT
    [ -n "${PULSE_RIG_NO_TRAP:-}" ] || trap 'exit 130' INT TERM HUP
    HOME="$pulse_run/home" pulseaudio -n -F "$pulse_run/start.pa" --daemonize=no --use-pid-file=no \
        --exit-idle-time=-1 --disallow-exit --log-level=notice >"$pulse_run/pulse.log" 2>&1 &
    pulse_pid=$!
    tries=0
    until pactl info >/dev/null 2>&1; do
        tries=$((tries + 1))
        if [ $tries -gt 100 ] || ! kill -0 $pulse_pid 2>/dev/null; then
            echo "pulse.sh: the daemon does not come up:" >&2
            cat "$pulse_run/pulse.log" >&2
            return 69
        fi
        sleep 0.1
    done
}

# The module that is the sink $1: the microphone has one channel, the speaker two.
pulse_sink() {
    channels=2
    [ "$1" = mic ] && channels=1
    echo "module-null-sink sink_name=$1 rate=$PULSE_RIG_RATE channels=$channels format=s16le"
}

pulse_say() {
    # paplay reads the WAV's header; the null sink needs no more than that.
    paplay -d mic --latency-msec=30 "$1"
}

pulse_record() {
    [ -z "$pulse_recorder" ] || pulse_record_end
    parec -d spk.monitor --file-format=wav --rate="$PULSE_RIG_RATE" --channels=2 --format=s16le \
        --latency-msec=30 "$1" 2>>"$pulse_run/pulse.log" &
    pulse_recorder=$!
    tries=0
    until pactl list short source-outputs | grep -q . || [ $tries -gt 50 ]; do tries=$((tries + 1)); sleep 0.05; done
}

pulse_record_end() {
    [ -n "$pulse_recorder" ] || return 0
    kill -INT "$pulse_recorder" 2>/dev/null || true
    wait "$pulse_recorder" 2>/dev/null || true
    pulse_recorder=''
}

pulse_echo() {
    pulse_echo_module=$(pactl load-module module-loopback source=spk.monitor sink=mic latency_msec="$1" adjust_time=0)
}

pulse_echo_end() {
    [ -z "$pulse_echo_module" ] || pactl unload-module "$pulse_echo_module"
    pulse_echo_module=''
}

pulse_unplug() {
    module=$(pactl list short modules | awk -v name="sink_name=$1 " '$2 == "module-null-sink" && index($0, name) { print $1 }')
    [ -z "$module" ] || pactl unload-module "$module"
}

pulse_plug() {
    # Unquoted on purpose: the module's name and its arguments are words.
    # shellcheck disable=SC2046
    pactl load-module $(pulse_sink "$1") >/dev/null
    pactl set-default-sink spk
    pactl set-default-source mic.monitor
}

pulse_down() {
    pulse_record_end
    if [ -n "${pulse_pid:-}" ]; then
        kill "$pulse_pid" 2>/dev/null || true
        tries=0
        while kill -0 "$pulse_pid" 2>/dev/null && [ $tries -lt 30 ]; do tries=$((tries + 1)); sleep 0.1; done
        kill -KILL "$pulse_pid" 2>/dev/null || true
        wait "$pulse_pid" 2>/dev/null || true
        pulse_pid=''
    fi
    [ -z "${pulse_made:-}" ] || rm -rf "$pulse_run"
    return 0
}

case ${0##*/} in
pulse.sh)
    [ $# -gt 0 ] || { sed -n '2,16p' "$0" >&2; exit 64; }
    pulse_up || exit
    "$@"
    ;;
esac
