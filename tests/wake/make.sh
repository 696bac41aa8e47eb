#!/bin/sh
# Makes the wake word's recordings again. Not part of the build: the WAVs are committed.
#
# Needs flite (apt-get install flite), whose voices are synthetic and free to use. The owner is the voice slt; she says
# "hello mynah" a little faster or slower and higher or lower each time, as people do. All are 16 kHz, 16-bit, mono.
set -eu
cd "$(dirname "$0")"

# say NAME VOICE STRETCH PITCH_HZ TEXT
say() { flite -voice "$2" --setf duration_stretch="$3" --setf int_f0_target_mean="$4" -t "$5" -o "$1.wav"; }

say owner_1 slt 1.00 170 "hello mynah"
say owner_2 slt 1.08 182 "hello mynah."
say owner_3 slt 0.92 160 "hello mynah!"
say owner_4 slt 1.15 175 "hello mynah"
# Other sayings of the word …
say again_fast slt 0.80 185 "hello mynah"
say again_slow slt 1.25 155 "hello mynah"
say again_high slt 1.00 215 "hello mynah!"
say again_low slt 1.05 140 "hello mynah."
# … and what is not the word, in the same voice.
say other_morning slt 1.00 170 "good morning"
say other_yellow slt 1.00 170 "yellow banana"
say other_maria slt 1.00 170 "hello Maria"
say other_minor slt 0.85 170 "a minor thing"
# Another voice says the word.
say stranger rms 1.00 100 "hello mynah"
