#!/bin/sh
# Makes the demo's recordings again. Not part of the build: the WAVs are committed.
#
# Needs flite and sox (apt-get install flite sox). The agent is flite's voice slt, the user its voice rms, both
# synthetic and free to use, both a little faster than flite speaks by itself. All are 16-bit mono: the agent's at
# 24 kHz (what the Live API sends), the user's at 16 kHz. Silence at both ends is trimmed to 60 ms. Replies have
# their peak at -3 dBFS, the user at -9 dBFS: someone at arm's length from a microphone that is not overdriven.
set -eu
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# make NAME VOICE RATE PEAK_DB TEXT
make() {
    flite -voice "$2" --setf duration_stretch=0.92 -t "$5" -o "$work/$1.wav"
    sox "$work/$1.wav" -r "$3" -b 16 -c 1 --no-dither "$1.wav" \
        silence 1 0.01 0.3% reverse silence 1 0.01 0.3% reverse pad 0.06 0.06 gain -n "$4"
}

agent() { make "$1" slt 24000 -3 "$2"; }
user() { make "$1" rms 16000 -9 "$2"; }

user ask_hello "Hello! What can you do?"
user ask_lamp "Please switch on the lamp."
user ask_bird "Tell me something about the mynah bird."
user ask_stop "Thank you, that is enough. Goodbye!"
user ask_see "What do you see?"

agent say_hello "Hello! I can talk, and I can switch the lamp."
agent say_lamp "The lamp is on now."
agent say_bird "The mynah is a bird of the starling family. It lives in Asia, and it is famous for its voice: a tame mynah repeats what people say, and nobody can tell who spoke."
agent say_goodbye "Goodbye! See you soon."
agent say_see "I see a lamp and a clock."
