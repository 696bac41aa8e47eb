#!/bin/bash
# The part of tests/virtual-board.sh that runs in the guest, as root: says and does, and looks at what came of it.
set -u
here=/mnt/host out=/mnt/host/out run=/run/check
G=/run/gpio                                  # the GPIO simulator: sim_gpioN/pull is a finger, /value a voltmeter
failed=0
mkdir -p $run; cp $here/* $run/ 2>/dev/null; cd $run || exit 1
chmod 755 $run; chmod 644 $run/*; chmod 755 $run/mynah $run/unit-tests

# --- words of the facts

fact() { # fact "what is claimed" command…: prints whether it holds
  local text=$1; shift
  if "$@" >$run/why 2>&1; then
    echo "ok    $text"; echo yes > $run/held
  else
    echo "FAIL  $text"; tail -n 3 $run/why | sed 's/^/      /'; failed=1; : > $run/held
  fi
}
need() { # as fact; where it does not hold, the rest of the part is not tried
  fact "$@"; [ -s $run/held ]
}
within() { # within SECONDS command…: until it succeeds; guest time may stretch, so the bounds are wide
  local until=$((SECONDS + $1)); shift
  until "$@"; do [ $SECONDS -lt $until ] || { echo "waited in vain for: $*"; return 1; }; sleep 0.1; done
}
level() { local is; is=$(cat $G/sim_gpio$1/value); [ "$is" = "$2" ] || { echo "GPIO$1 is $is"; return 1; }; }
never() { ! "$@"; }
events() { tail -n +$((mark + 1)) $log/events.jsonl 2>/dev/null; }
event() { events | grep -qE "$1"; }          # event REGEX: since the mark
marked() { mark=$(wc -l < $log/events.jsonl); }
said() { grep -qF -- "$1" $2 || { tail -3 $2; return 1; }; }
loud() { # loud FILE.wav: its loudest sample is above -24 dBFS
  local peak; peak=$(tail -c +45 $1 | od -An -v -w2 -t d2 | awk '{ v = $1 < 0 ? -$1 : $1; if (v > m) m = v } END { print m + 0 }')
  echo "loudest sample $peak"; [ $peak -gt 2000 ]
}
press() { echo pull-down > $G/sim_gpio17/pull; }
release() { echo pull-up > $G/sim_gpio17/pull; }
speak() { aplay -q -D plughw:CARD=Loopback,DEV=0,SUBDEV=0 $run/$1.wav 2>> $log/aplay.log; }
ask() { # ask RECORDING: presses, speaks, lets go
  marked; press; within 10 event '"pressed"' || echo "      no press came"
  speak $1; sleep 0.3; release
}
users() { gpioinfo 2>/dev/null | grep -E "\"?$1\"?[[:space:]]" | tail -1; }
held() { users $1 | grep -q consumer=; }

# --- programs

begin() { # begin NAME: a folder for what this part leaves
  log=$out/$1; mkdir -p $log; mark=0; release; echo pull-down > $G/sim_gpio24/pull
}
serve() { ./mynah emulator --listen 127.0.0.1:9010 --record $log/record "$@" > $log/emulator.log 2>&1 & emulator=$!; within 20 said listening $log/emulator.log > /dev/null 2>&1; }
start() { ./mynah -v run --config agent.toml --board ${board:-board.toml} --events $log/events.jsonl >> $log/mynah.log 2>&1 & mynah=$!; }
is_up() { within 30 event '"link_ready"' && within 30 said "the microphone runs" $log/mynah.log; }
ended() { ! kill -0 $1 2>/dev/null; }
stop() { # stop SIGNAL EXPECTED
  kill -$1 $mynah; within 20 ended $mynah || return 1
  wait $mynah; local status=$?; echo "status $status"; [ $status = $2 ]
}
finish() { # whatever the part left running
  local left; for left in $(jobs -p); do kill $left 2>/dev/null; wait $left 2>/dev/null; done; release
}

# --- the parts

part_gpio-test() {
  begin gpio-test
  ./unit-tests --ignored --exact hw::gpio::tests::the_kernels_simulator_presses_and_shows_the_lamp > $log/test.txt 2>&1
  fact "the driver's own test with the kernel's GPIO simulator" said "1 passed; 0 failed" $log/test.txt
}

part_demo() {
  begin demo
  fact "the demo on the simulated board ends well" ./mynah demo --out $log
  cp $run/why $log/demo.txt
  fact "its reply is audible in reply.wav" loud $log/reply.wav
}

part_lines() {
  begin lines; serve --script lines.txt
  gpioset -C squatter GPIO17=1 & local squatter=$!; gpioset -C lodger GPIO27=0 & local lodger=$!
  within 10 held GPIO17; within 10 held GPIO27
  start
  fact "a busy button is told with its holder" within 20 event 'line GPIO17 is busy: `squatter` holds it'
  fact "a busy light is told with its holder" within 20 event 'line GPIO27 is busy: `lodger` holds it'
  kill $squatter $lodger; wait $squatter $lodger 2>/dev/null; release
  fact "the button is taken when it is free" within 20 event '"recovered","part":"line"'
  need "link and microphone are up" is_up || return
  users GPIO17 > $log/gpioinfo.txt
  fact "GPIO17 is ours: active-low, pulled up, both edges, debounced" \
    grep -qE 'active-low.*bias=pull-up.*edges=both.*debounce.*consumer="?mynah' $log/gpioinfo.txt

  marked; press; release; sleep 2
  fact "a bounce shorter than the debounce is no press" never event '"pressed"'

  gpioset -C pump GPIO22=0 & local pump=$!; within 10 held GPIO22
  ask ask_lamp
  fact "a press is an edge, and a release is one" within 10 event '"released"'
  fact "a tool on a busy lamp fails, and names who holds it" within 20 event 'line GPIO22 is busy: `pump` holds it'
  fact "and the turn ends" within 20 event '"reply_drained"'
  kill $pump; wait $pump 2>/dev/null

  arecord -q -D hw:CARD=Loopback,DEV=1,SUBDEV=1 -f S16_LE -r 48000 -c 1 $log/reply.wav 2> $log/arecord.log & local recorder=$!
  marked; press
  fact "GPIO27, the light, is on while the button is held" within 10 level 27 1
  speak ask_lamp; sleep 0.3; release
  fact "and off after it" within 10 level 27 0
  fact "the tool switches GPIO22" within 20 level 22 1
  fact "mynah holds GPIO22" held GPIO22
  fact "the reply is played to its end" within 30 event '"reply_drained"'
  kill -INT $recorder; wait $recorder 2>/dev/null
  fact "and came out of the loopback" loud $log/reply.wav
  fact "the question reached the service" loud $log/record/client-1-turn-2.wav

  ask ask_bird
  fact "a long reply begins" within 20 event '"reply_heard"'
  sleep 1; marked; press
  fact "a press cuts it" within 20 event '"reply_silent"'
  speak ask_hello; sleep 0.3
  echo pull-up > $G/sim_gpio24/pull; release
  fact "the door's contact is read as active" within 20 event '"is_door_open".*"ok":.*true|"is_door_open".*true'
  fact "the door's pulse drives the active-low GPIO23 low" within 20 level 23 0
  fact "and ends" within 20 level 23 1
  fact "the lamp stays on meanwhile" level 22 1

  fact "SIGTERM ends it with 0" stop TERM 0
  fact "the lamp is off after it" level 22 0
  fact "GPIO22 is free after it" never held GPIO22

  start; marked; need "it starts again" is_up || return
  for n in 1 2 3 4; do ask ask_hello; within 20 event '"reply_heard"' > /dev/null; sleep 0.5; done
  ask ask_lamp; fact "the lamp is on again" within 20 level 22 1
  kill -KILL $mynah; wait $mynah 2>/dev/null
  fact "GPIO22 is free after SIGKILL" within 5 never held GPIO22
  echo "      after SIGKILL GPIO22 is $(cat $G/sim_gpio22/value) (the simulator falls to its pull; a chip may keep its level)"
  marked; start; need "it starts after a kill" is_up || return
  fact "SIGINT ends it with 0" stop INT 0
}

part_refusals() {
  begin refusals; serve
  sed 's/GPIO17/GPIO99/; s/GPIO27/gpiochip0:99/' board.toml > missing.toml; board=missing.toml start
  fact "a missing line is told by its name" within 20 event 'line GPIO99 was not found: .gpioinfo. lists'
  fact "a missing offset too" within 20 event 'line gpiochip0:99 was not found'
  need "it lives on" is_up || return
  stop TERM 0 > /dev/null; sed -n 's/.*"text":"\(.*\)"}/      says: \1/p' $log/events.jsonl | sort -u

  ls -l /dev/gpiochip* /dev/snd/pcmC0D0p > $log/devices.txt; rm -f $log/events.jsonl; mark=0
  install -d -m 777 $run/nobody; log_before=$log; log=$run/nobody
  setpriv --reuid=65534 --regid=65534 --clear-groups ./mynah run --config agent.toml --board board.toml \
    --events $log/events.jsonl > $log/mynah.log 2>&1 & mynah=$!
  fact "without rights to the chip: told what to do" within 20 event 'no right to use /dev/gpiochip'
  fact "without rights to the card: told what to do" within 20 event 'may not be opened by this user'
  stop TERM 0 > /dev/null; sed -n 's/.*"text":"\(.*\)"}/      says: \1/p' $log/events.jsonl | sort -u
  cp -r $run/nobody $log_before; log=$log_before

  rm -f $log/events.jsonl; mark=0
  arecord -q -D hw:CARD=Loopback,DEV=1,SUBDEV=0 -f S16_LE -r 48000 -c 1 /dev/null 2> $log/arecord.log & local other=$!
  sleep 1; start
  fact "a busy microphone is told" within 20 event '"part":"mic","text":"PCM hw:CARD=Loopback,DEV=1,SUBDEV=0 is busy'
  kill $other; wait $other 2>/dev/null
  fact "and taken when it is free" within 20 event '"recovered","part":"mic"'
  stop TERM 0 > /dev/null
}

part_plug() {
  begin plug; serve; start
  need "link and microphone are up" is_up || return
  ask ask_hello; fact "an answer" within 30 event '"reply_drained"'
  marked; local driver=/sys/bus/platform/drivers/snd_aloop
  echo snd_aloop.0 > $driver/unbind & local pull=$!    # ends when nobody has the card open any more
  fact "the card unplugged: the microphone is told" within 20 event '"trouble".*"part":"mic"'
  fact "and the loudspeaker" within 20 event '"trouble".*"part":"speaker"'
  need "all of the card is let go of" within 20 ended $pull || { cat /proc/$mynah/task/*/comm | xargs echo "     "; return; }
  marked; echo snd_aloop.0 > $driver/bind
  fact "plugged in again: the microphone works" within 20 event '"recovered".*"part":"mic"'
  fact "and the loudspeaker" within 20 event '"recovered".*"part":"speaker"'
  ask ask_hello; fact "an answer after it" within 30 event '"reply_drained"'

  ask ask_hello; within 20 event '"reply_heard"' > /dev/null; marked
  echo snd_aloop.0 > $driver/unbind & pull=$!
  need "all of it is let go of in mid-reply" within 20 ended $pull || return
  sleep 3; echo snd_aloop.0 > $driver/bind
  fact "unplugged in mid-reply and plugged in again: works" within 20 event '"recovered".*"part":"speaker"'
  sleep 2; ask ask_hello; fact "an answer after that" within 30 event '"reply_drained"'
  sed -n 's/.*"text":"\(.*\)"}/      says: \1/p' $log/events.jsonl | sort -u
  fact "SIGTERM ends it with 0" stop TERM 0
}

part_chip() {
  begin chip; serve; start
  need "link and microphone are up" is_up || return
  local sim=/sys/kernel/config/gpio-sim/board
  press; within 10 event '"pressed"' > /dev/null; marked
  echo 0 > $sim/live
  fact "the chip is gone with the button held: told" within 20 event 'its chip /dev/gpiochip0 is gone: is it plugged in'
  fact "and the button counts as released" within 20 event '"released"'
  marked; echo 1 > $sim/live; ln -sfn /sys/devices/platform/gpio-sim.0/gpiochip*/ /run/gpio; release
  fact "the chip is back: the button works" within 20 event '"recovered".*"part":"line"'
  marked; press
  fact "a press arrives" within 20 event '"pressed"'
  fact "the light works on the new chip" within 20 level 27 1
  release; sed -n 's/.*"text":"\(.*\)"}/      says: \1/p' $log/events.jsonl | sort -u
  fact "SIGTERM ends it with 0" stop TERM 0
}

part_check() {
  begin check
  # A person who reads: does what the check asks for, and counts how often the lamp went on.
  ./mynah demo --board board.toml --out $log > $log/check.txt 2>&1 & local demo=$! blinks=0
  fact "the check says what to do" within 30 said "Please hold the button" $log/check.txt
  sleep 1; press; sleep 1; speak ask_hello; sleep 0.3; release
  fact "and goes on to the lamp" within 60 said "Once more: hold the button" $log/check.txt
  sleep 0.5; press; sleep 1; speak ask_lamp; sleep 0.3; release
  local was=0 is; while ! ended $demo; do is=$(cat $G/sim_gpio22/value); [ $was = 1 ] || [ $is = 0 ] || blinks=$((blinks + 1)); was=$is; done
  wait $demo; fact "the check of a board with a person ends with 0" test $? = 0
  fact "GPIO22 blinked twice ($blinks)" test $blinks = 2
  sed -n 's/^/      /; / works\|FAILED\|level\|not tried/p' $log/check.txt

  ./mynah demo --board board.toml --text-only > $log/nobody.txt 2>&1 & demo=$!
  fact "with nobody there it ends by itself" within 400 ended $demo
  wait $demo; fact "with 1" test $? = 1
  sed -n 's/^/      /; / works\|FAILED\|level\|not tried/p' $log/nobody.txt
}

part_service() {
  begin service; serve
  install -m 755 mynah /usr/bin/mynah; install -d /etc/mynah; cp agent.toml /etc/mynah/mynah.toml; cp board.toml /etc/mynah/board.toml
  (umask 077; echo none > /etc/mynah/gemini_api_key); echo MYNAH_BOARD=/etc/mynah/board.toml > /etc/default/mynah
  cp $here/systemd/mynah.service /etc/systemd/system/; cp $here/systemd/mynah.sysusers /usr/lib/sysusers.d/mynah.conf
  fact "its user is made" systemd-sysusers
  for rules in $here/systemd/*.rules; do [ ! -e "$rules" ] || cp "$rules" /etc/udev/rules.d/; done
  udevadm control --reload; udevadm trigger --subsystem-match=gpio; udevadm settle; ls -l /dev/gpiochip* > $log/devices.txt
  systemctl daemon-reload
  fact "the service starts and says it is ready" timeout 90 systemctl start mynah
  fact "as its own user it holds the button" within 30 held GPIO17
  press; fact "the light follows the button" within 10 level 27 1
  release; within 10 level 27 0 > /dev/null
  press; sleep 1; speak ask_hello; sleep 0.3; release
  fact "a question reaches the service" within 20 test -s $log/record/client-1-turn-1.wav
  sleep 3
  systemctl kill -s SEGV mynah; sleep 4
  fact "killed by a fault it is started again" within 30 systemctl is-active mynah
  fact "the service stops" timeout 60 systemctl stop mynah
  systemctl show mynah -p Result -p ExecMainStatus > $log/result.txt
  fact "with 0" grep -qx ExecMainStatus=0 $log/result.txt
  journalctl -u mynah -o cat > $log/journal.txt; grep -E 'WARN|ERROR' $log/journal.txt | sort -u | sed 's/^/      /' | head
}

for part in "$@"; do
  declare -F "part_$part" > /dev/null || { echo "there is no part \`$part\`"; exit 2; }
  echo "== $part"; part_$part; finish
done
sync
[ $failed = 0 ] && echo "== all of it holds" || echo "== NOT all of it holds"
exit $failed
