#!/bin/sh
# Makes the speech of the bench: sh benches/acoustics/corpus.sh FOLDER
#
# People: telephone prompts of Debian's asterisk packages (CC BY-SA 3.0, the Russian ones CC BY 3.0; wide-band, four
# studio voices in five languages), the actors of a game (fillets-ng, GPL), the card test of alsa-utils. Synthesised: espeak-ng, flite.
# Nothing of it is committed or shipped. FOLDER/PART/VOICE-NUMBER.raw is `[frames, 1 channel] S16_LE @ 16 kHz`; parts: `user`
# speaks to the device, `reply` is what the device says, `crowd` is talked in the background. No voice is in two parts.
set -eu
cd "$(dirname "$0")/../.."
folder=$1
# What the corpus is made of: another number makes it anew.
edition=2
[ "$(cat "$folder/edition" 2>/dev/null)" = "$edition" ] && exit 0
. board/host-setup.sh
need_packages asterisk-core-sounds-en-g722 asterisk-core-sounds-es-g722 asterisk-core-sounds-fr-g722 \
    asterisk-core-sounds-it-g722 asterisk-core-sounds-ru-g722 fillets-ng-data-nl alsa-utils espeak-ng flite ffmpeg
say "making the speech of the bench in $folder"
rm -rf "$folder"
mkdir -p "$folder/user" "$folder/reply" "$folder/crowd"

# raw PART VOICE NUMBER FILE: one file as raw speech.
raw() {
    ffmpeg -nostdin -loglevel error -y -i "$4" -map 0:a:0 -ac 1 -ar 16000 -f s16le \
        "$folder/$1/$2-$(printf %03d "$3").raw" </dev/null
}

# prompts PART VOICE SIZE_MIN SIZE_MAX HOW_MANY: prompts of that size, evenly picked by name. G.722 has 8000 bytes a second.
prompts() {
    number=0
    list=$(find "/usr/share/asterisk/sounds/$2" -maxdepth 1 -name '*.g722' -size +"$3"c -size -"$4"c \
        ! -name '*tone*' ! -name '*beep*' ! -name '*monkeys*' ! -name '*weasels*' ! -name '*silence*' | LC_ALL=C sort)
    step=$(($(printf '%s\n' "$list" | wc -l) / $5))
    [ "$step" -ge 1 ] || step=1
    for file in $(printf '%s\n' "$list" | awk "NR % $step == 0" | head -n "$5"); do
        raw "$1" "$2" "$number" "$file"
        number=$((number + 1))
    done
}

prompts user en_US_f_Allison 6000 40000 40
prompts user fr_CA_f_June 6000 40000 40
prompts user it_IT_m_Carlo 6000 40000 40
prompts reply es_MX_f_Allison 40000 600000 30
prompts crowd ru_RU_f_IvrvoiceRU 16000 80000 40

# The game's two fishes speak Dutch: -m- is she, -v- is he.
for voice in m v; do
    number=0
    for file in $(find /usr/share/games/fillets-ng/sound -name "*-$voice-*.ogg" -size +12k -size -60k | LC_ALL=C sort |
        awk 'NR % 9 == 0' | head -n 40); do
        raw user "nl_fish_$voice" "$number" "$file"
        number=$((number + 1))
    done
done
number=0
for file in /usr/share/sounds/alsa/Front_*.wav /usr/share/sounds/alsa/Rear_*.wav /usr/share/sounds/alsa/Side_*.wav; do
    raw user en_card_test "$number" "$file"
    number=$((number + 1))
done

# What people say to such a device, then what it says to them. A line is a file.
user_lines="stop
no, wait
okay, that is enough
what time is it?
please turn the light off in the kitchen
how far is it from here to the station?
sorry, I meant the other one
set a timer for twenty minutes"
reply_lines="It will be cloudy in the morning, with some rain from the west in the early afternoon. In the evening the sky clears, and the night will be cold, with ground frost in the valleys.
The pump runs since six o'clock. Its pressure is two point four bar, which is within the limits, and the filter was changed on the third of November. Shall I tell you when the next inspection is due?
Once upon a time there was a small boat that was afraid of the sea. Every morning it looked at the waves and thought that they were much too high, and every evening it promised itself to try again tomorrow.
To reset the machine, switch it off at the wall, wait for half a minute, and then hold the green button down while you switch it on again. The display shows a row of zeros when it has worked."
crowd_lines="and then he told me that the whole building had been sold, without a single word to anybody who lived there
we could take the early train and be back before the shops close, if you do not mind getting up at five
the second half was much better than the first, but the referee should have seen that, everybody else did"

# speak PART VOICE COMMAND...: each line of $lines by a command that reads it as its last argument.
speak() {
    part=$1 voice=$2 number=0
    shift 2
    printf '%s\n' "$lines" | while IFS= read -r line; do
        "$@" "$line" </dev/null
        raw "$part" "$voice" "$number" "$folder/said.wav"
        number=$((number + 1))
    done
}
lines=$user_lines
speak user espeak_us espeak-ng -w "$folder/said.wav" -v en-us
speak user espeak_gb_f3 espeak-ng -w "$folder/said.wav" -v en-gb+f3 -s 190
speak user flite_awb flite -voice awb -o "$folder/said.wav" -t
speak user flite_kal16 flite -voice kal16 -o "$folder/said.wav" -t
lines=$reply_lines
speak reply flite_slt flite -voice slt -o "$folder/said.wav" -t
speak reply flite_rms flite -voice rms -o "$folder/said.wav" -t
speak reply espeak_us_f5 espeak-ng -w "$folder/said.wav" -v en-us+f5 -s 160
lines=$crowd_lines
for variant in m1 m4 m7 f1 f2 f4; do
    speak crowd "espeak_sc_$variant" espeak-ng -w "$folder/said.wav" -v "en-gb-scotland+$variant"
done
rm -f "$folder/said.wav"
echo "$edition" >"$folder/edition"
