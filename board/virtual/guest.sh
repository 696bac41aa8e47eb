#!/bin/bash
# The part of try.sh that runs on the virtual board, as root: a technician's afternoon, and then everything that goes wrong.
# Prints a line a fact; what it leaves is in out/ beside it. Runs again after each power cut and goes on where it was.
set -u
here=/mnt/host out=/mnt/host/out
finger=/run/gpio/sim_gpio17/pull
failed=$(cat $out/failed 2>/dev/null || echo 0)

# --- words of the facts

fact() { # fact "what is claimed" command…
    local text=$1
    shift
    if "$@" >/tmp/why 2>&1; then
        echo "ok    $text"
    else
        echo "FAIL  $text"
        tail -n 4 /tmp/why | sed 's/^/      /'
        failed=$((failed + 1))
        echo $failed >$out/failed
        return 1
    fi
}
never() { ! "$@"; }
within() { # within SECONDS command…: guest time stretches under emulation, so the bounds are wide
    local until=$((SECONDS + $1))
    shift
    until "$@"; do
        [ $SECONDS -lt $until ] || { echo "waited in vain for: $*"; status; return 1; }
        sleep 0.2
    done
}
status() { systemctl show mynah -p ActiveState -p SubState -p NRestarts -p StatusText | tr '\n' ' '; echo; }
# Of a process that died systemd keeps the words until the next one starts.
is_ready() { [ "$(systemctl show mynah -p ActiveState -p StatusText | grep -cE '^(ActiveState=active|StatusText=Ready.*)$')" = 2 ]; }
says() { systemctl show mynah -p StatusText | grep -qE "$1"; }
level() { # level GPIO 0|1
    local is
    is=$(cat /run/gpio/sim_gpio$1/value)
    [ "$is" = "$2" ] || { echo "GPIO$1 is $is"; return 1; }
}
# By cursor: a clock that jumps makes times useless.
journal() { journalctl -u mynah --after-cursor="$cursor" -o cat; }
told() { journal | grep -qE "$1"; }
lost_after() { journal | sed "0,/$1/d" | grep "no connection"; }
restarted_since() { [ "$(systemctl show -P NRestarts mynah)" -gt $1 ]; }
mark() { cursor=$(journalctl -n 1 --show-cursor -o cat | sed -n 's/^-- cursor: //p'); }
served() { journalctl -u service --after-cursor="$cursor" -o cat | grep -qE "$1"; }
loud() { # loud FILE.wav: for a tenth of a second in all it is above -24 dBFS; the device's own sounds are off
    python3 - $1 <<'END'
import array, sys
sound = open(sys.argv[1], "rb").read()[44:]
count = sum(abs(sample) > 2000 for sample in array.array("h", sound[:len(sound) // 2 * 2]))
print(count, "loud samples in", sys.argv[1])
sys.exit(count < 4800)
END
}

# --- a person

press() { echo pull-down >$finger; }
release() { echo pull-up >$finger; }
speak() { aplay -q -D plughw:CARD=Loopback,DEV=0,SUBDEV=0 $here/$1.wav; }
ask() { press; sleep 0.3; speak $1; sleep 0.3; release; }
turns() { ls /srv/heard/*-turn-*.wav 2>/dev/null | wc -l; }
came() { [ "$(turns)" -gt $1 ] || { echo "$(turns) questions came, as before"; return 1; }; }
# A question, its way to the service, the lamp, and the reply out of the loudspeaker.
converse() { # converse NAME
    local before recorder cursor result
    before=$(turns)
    mark
    arecord -q -D hw:CARD=Loopback,DEV=1,SUBDEV=1 -f S16_LE -r 48000 -c 1 $out/reply-$1.wav 2>>$out/arecord.log &
    recorder=$!
    ask ask_lamp
    within 30 came $before && within 30 told 'tool answered .*switch_lamp.*ok=true' && level 22 1 && within 30 loud $out/reply-$1.wav
    result=$?
    sleep 2 # the reply's end
    kill -INT $recorder
    wait $recorder
    return $result
}

# --- the world around the device: a network with the service in it

world() {
    mkdir -p /srv/heard
    ip netns add world
    ip link add uplink type veth peer name service
    ip link set service netns world
    ip addr add 10.9.0.2/24 dev uplink
    ip link set uplink up
    ip -n world addr add 10.9.0.1/24 dev service
    ip -n world link set service up
    [ -e /srv/key.pem ] || certificate
    serve ${1:-lamp}
}
# Valid long before and after: the clock is going to jump.
certificate() {
    local now
    now=$(date +%s)
    date -q -s "@$((now - 400 * 86400))" >/dev/null 2>&1 || date -s "@$((now - 400 * 86400))" >/dev/null
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 4000 -subj "/CN=authority" \
        -addext basicConstraints=critical,CA:TRUE -keyout /srv/ca.key -out /etc/mynah/ca.pem
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=service" -keyout /srv/key.pem -out /srv/leaf.csr
    printf 'subjectAltName=IP:10.9.0.1\nbasicConstraints=critical,CA:FALSE\nextendedKeyUsage=serverAuth\n' >/srv/leaf.ext
    openssl x509 -req -in /srv/leaf.csr -CA /etc/mynah/ca.pem -CAkey /srv/ca.key -CAcreateserial -days 4000 -extfile /srv/leaf.ext \
        -out /srv/cert.pem
    date -s "@$now" >/dev/null
} >>$out/certificate.log 2>&1
serve() { # serve SCRIPT: the service, in a network of its own
    systemctl stop service 2>/dev/null
    rm -f /srv/heard/*
    systemd-run -q --unit=service --collect -p NetworkNamespacePath=/run/netns/world \
        /usr/bin/mynah -v emulator --listen 10.9.0.1:9443 --tls-cert /srv/cert.pem --tls-key /srv/key.pem --record /srv/heard \
        --script $here/$1.txt
}

# --- the afternoon

# The doctor at its end notes that no time server has set this board's clock: 3 is "works, but look at".
set_up() {
    mynah setup --yes --board $here/board.toml --key-file /root/key --no-sound-test
    [ $? = 0 ] || grep -qx "works, but look at: clock" /tmp/why
}
resident() { # resident MB: the process, after what it has done so far, takes no more
    local is_mb
    is_mb=$(awk '/VmRSS/ { print int($2 / 1024 + 0.5) }' /proc/$(main_pid)/status)
    echo "resident: $is_mb MB"
    [ "$is_mb" -le $1 ]
}
main_pid() { systemctl show -P MainPID mynah; }
devices_are() {
    local are
    # systemd's own: the clock, read only (ProtectClock=), and the TPM that it decrypts the key by.
    are=$(systemctl show -P DeviceAllow mynah | grep -oE '(char|block)-[a-z0-9_]*|/dev/[^ ]*' | grep -vxE 'char-(rtc|tpm)' | sort | xargs)
    [ "$are" = "$1" ] || { echo "it is: $are"; return 1; }
}
part_install() {
    fact "the package is unpacked" dpkg --unpack $here/mynah.deb || return 1
    # Something else is plugged in just now: udev reads its rules before their groups are there.
    sleep 4
    udevadm trigger --settle --action=change --subsystem-match=mem
    fact "the package installs" dpkg --configure mynah || return 1
    udevadm settle
    fact "the GPIO chips are of the group gpio" bash -c "stat -c '%n %G' /dev/gpiochip* | tee /tmp/chips && test -s /tmp/chips && ! grep -v ' gpio$' /tmp/chips"
    fact "its user is there, its manual and its profiles" bash -c "getent passwd mynah && test -e /usr/share/man/man1/mynah-setup.1.gz -a -d /usr/share/mynah/boards"
    fact "nothing runs before the owner wants it" never systemctl is-active mynah
    install -m 644 $here/mynah.toml /etc/mynah/mynah.toml
    world
    echo a-key-that-the-emulator-takes >/root/key
    fact "mynah setup, by flags, to the end" set_up
    cp /tmp/why $out/setup.txt
    fact "a second time it changes nothing" bash -c "mynah setup --yes --board $here/board.toml --key-file /root/key --no-sound-test --dry-run | tee /tmp/again | grep -qi 'as you want it\|nothing to change'"
    cp /tmp/again $out/setup-again.txt
    fact "the service may use what the board names, and no other devices" devices_are "char-alsa char-gpiochip char-video4linux"
    fact "the service runs and is enabled" systemctl is-enabled mynah
    fact "and says that it is ready" within 60 is_ready
    fact "systemd-analyze rates its sandbox 1.5 or better" systemd-analyze security --no-pager --threshold=15 mynah
    tail -n 1 /tmp/why | tee $out/security.txt | sed 's/^/      /'
    fact "the first conversation: heard, the lamp switched, answered aloud" converse first
    fact "it takes 20 MB of memory at most" resident 20
    sed 's/^/      /' /tmp/why
}

# A loaded machine emulates a camera too slowly for the model's patience: a person asks again.
look() {
    local tries
    for tries in 1 2 3; do
        within 60 is_ready
        mark
        ask ask_see
        within 15 told "picture sent" && return 0
    done
    return 1
}
part_camera() {
    serve look
    fact "asked what it sees, it sends a picture" look
    fact "and the service saw one" within 30 served "shows with it: [0-9]+×[0-9]+"
    fact "and answered" within 30 served "has answered with"
    fact "on the same connection" never lost_after "picture sent"
    serve lamp
    within 60 is_ready
}

part_sound_card() {
    local driver=/sys/bus/platform/drivers/snd_aloop pull
    mark
    echo snd_aloop.0 >$driver/unbind &
    pull=$!
    fact "the sound card is pulled: it is told" within 30 says "Trouble with (mic|speaker)"
    status | sed 's/^/      /'
    fact "and all of it let go of" within 30 never kill -0 $pull 2>/dev/null
    echo snd_aloop.0 >$driver/bind
    fact "it is back: ready again" within 60 is_ready
    fact "a conversation" converse card
}

part_button() {
    local before
    before=$(turns)
    # While somebody speaks: a press that counts would ask.
    speak ask_lamp &
    sleep 0.5
    python3 -c 'import sys
for edge in range(400): open(sys.argv[1], "w").write(("pull-down", "pull-up")[edge % 2])' $finger
    wait $!
    sleep 4
    fact "a button that chatters two hundred times asks nothing" test "$(turns)" = $before
    fact "a conversation" converse button
}

part_network() {
    mark
    press
    sleep 0.3
    speak ask_bird &
    sleep 1
    ip -n world link set service down
    wait $!
    release
    fact "the network goes in mid-utterance: it is told" within 90 says "Trouble with link"
    ip -n world link set service up
    fact "it is back: ready again" within 120 is_ready
    fact "a conversation" converse network
}

# A start with next to nothing: no sound in the kernel, no network, no clock. Then all of it comes.
part_bare_start() {
    local now module
    systemctl stop mynah
    now=$(date +%s)
    for module in snd_aloop snd_pcm snd_timer snd; do rmmod $module; done
    ip -n world link set service down
    date -s @86400 >/dev/null
    fact "the kernel knows nothing of sound" never grep -w alsa /proc/devices
    mark
    fact "without a sound card, a network and a clock the service starts" systemctl start mynah
    fact "and tells that it has no sound card" within 60 told "There is no sound card at all"
    fact "and that the clock is not set" within 60 told "the clock is not set"
    ip -n world link set service up
    date -s "@$((now + 60))" >/dev/null
    modprobe snd-aloop
    fact "the clock is set, the first card is plugged in: ready" within 120 is_ready
    fact "a conversation" converse late
}

part_kill() {
    local restarts
    restarts=$(systemctl show -P NRestarts mynah)
    mark
    fact "the lamp is on" level 22 1
    systemctl kill -s KILL mynah
    # The simulated line falls by itself when nobody holds it; a real one may not.
    fact "killed in mid-life: the lamp is brought to rest" within 30 told "^lamp +inactive"
    fact "and is at rest" level 22 0
    fact "it is started again" within 60 restarted_since $restarts
    fact "and ready" within 60 is_ready
    fact "a conversation" converse kill
}

part_clock() {
    local now restarts
    now=$(date +%s) restarts=$(systemctl show -P NRestarts mynah)
    date -s "@$((now + 3 * 86400))" >/dev/null
    fact "the clock jumps three days ahead: a conversation" converse ahead
    date -s "@$((now - 86400))" >/dev/null
    fact "and a day back: a conversation" converse back
    fact "without a restart" never restarted_since $restarts
    date -s "@$((now + 60))" >/dev/null
}

part_disk() {
    local size
    size=$(df --output=avail -B1 /var | tail -n 1)
    mark
    fallocate -l $size /var/full 2>/dev/null
    dd if=/dev/zero of=/var/fuller bs=4k 2>/dev/null
    fact "the disk is full: a conversation all the same" converse full
    fact "it is told what cannot be written" within 60 told "disk full|No space left"
    rm -f /var/full /var/fuller
    touch /run/room
    fact "there is room again: a conversation" converse room
    fact "and the state is written again" within 60 test /var/lib/mynah/session.json -nt /run/room
}

# Questions whose answers are written down, and somewhere among them the power goes: by what the kernel calls an
# emergency restart, which neither writes nor unmounts.
part_cut() {
    fact "before the cut: ready" within 60 is_ready
    (sleep $((4 + MYNAH_BOOT * 2)).$((RANDOM % 10)); echo b >/proc/sysrq-trigger) &
    while true; do ask ask_lamp; systemctl kill -s USR1 mynah; done
}
part_after_cut() {
    fact "power cut $((MYNAH_BOOT - 1)): the service starts by itself" within 120 is_ready
    fact "nothing of its state was broken" never ls /var/lib/mynah/*.bad
    journalctl -u mynah -b -o cat | grep -i "put aside\|broken" | sed 's/^/      /'
    fact "settings and key are there" bash -c "test -s /etc/mynah/mynah.toml && cat /etc/mynah/gemini_api_key* | grep -q ."
    fact "a conversation" converse cut$MYNAH_BOOT
}

# A read-only root with the state on tmpfs, as on a device whose card must not wear out.
part_read_only() {
    systemctl stop mynah
    mount -t tmpfs -o mode=755 state /var/lib/mynah
    mount -t tmpfs heard /srv/heard
    serve lamp
    journalctl --relinquish-var
    fact "the root can only be read" within 20 mount -o remount,ro /
    fact "indeed" never touch /etc/mynah/x
    mark
    fact "it starts all the same" systemctl start mynah
    fact "and is ready" within 60 is_ready
    fact "a conversation" converse read-only
    fact "its state is on the tmpfs" within 60 test -s /var/lib/mynah/session.json
    fact "it is told that it is ready" told "ready: the service took"
    fact "and nothing that it cannot be written" never told "cannot be written|Read-only"
    systemctl stop mynah
    systemctl stop service
    mount -o remount,rw /
    umount /srv/heard
    serve lamp
    umount /var/lib/mynah
    journalctl --flush
    systemctl start mynah
    fact "ready on its own disk again" within 60 is_ready
}

# --- one of many: an owner with a broker, who signs configurations

health() { mosquitto_sub -h 10.9.0.1 -t mynah/fleet/board/health -C 1 -W 5; }
health_has() { health | tee /tmp/health | grep -qE "$1" || { cat /tmp/health; return 1; }; }
send() { # send SERIAL FILE
    mynah fleet sign --key /srv/fleet.pem --name board --serial $1 $2 >/tmp/signed || return
    mosquitto_pub -h 10.9.0.1 -r -q 1 -t mynah/fleet/board/config -s </tmp/signed
}
part_fleet() {
    local restarts pid
    printf 'listener 1883 10.9.0.1\nallow_anonymous true\n' >/srv/broker.conf
    systemd-run -q --unit=broker --collect -p NetworkNamespacePath=/run/netns/world /usr/sbin/mosquitto -c /srv/broker.conf
    cp /etc/mynah/mynah.toml /srv/own.toml
    printf '\n[mqtt]\nhost = "10.9.0.1"\n[fleet]\nname = "board"\nproving_s = 60\npublic_key = "%s"\n' \
        "$(mynah fleet key --out /srv/fleet.pem)" >>/etc/mynah/mynah.toml
    systemctl restart mynah
    fact "it tells its health over a broker that nobody here wrote" within 90 health_has '"state":"own".*"is_ok":true'
    restarts=$(systemctl show -P NRestarts mynah) pid=$(main_pid)
    { echo 'language = "German"'; cat /srv/own.toml; } >/srv/signed.toml
    fact "a signed configuration is sent" send 1 /srv/signed.toml
    fact "it is taken and proves itself" within 120 health_has '"serial":1,"state":"accepted"'
    sed 's/10.9.0.1:9443/10.9.0.1:9444/' /srv/own.toml >/srv/signed.toml
    fact "one that reaches no service is sent" send 2 /srv/signed.toml
    fact "it is taken back, by itself" within 240 health_has '"refused":\{[^}]*"serial":2'
    fact "the one before is in force" within 60 health_has '"serial":1'
    fact "to systemd it was one service all the time" test "$(main_pid) $(systemctl show -P NRestarts mynah)" = "$pid $restarts"
    fact "ready" within 60 is_ready
    fact "a conversation" converse fleet
    cp /tmp/health $out/health.json
    cp /srv/own.toml /etc/mynah/mynah.toml
    systemctl stop broker
    systemctl restart mynah
    fact "out of the fleet again: ready" within 60 is_ready
}

# What no wizard did: a key that is not where the unit wants it, and a board whose lines are files.
nobody() { setpriv --reuid=65534 --regid=65534 "$@"; }
by_group() { nobody --groups="$(getent group mynah | cut -d: -f3)" sh -c "$1"; }
rests_since() { # rests_since RESTARTS: its key was missing, and it was not started again
    local is
    is=$(systemctl show mynah -p ActiveState -p ExecMainStatus -p NRestarts | sort | xargs)
    [ "$is" = "ActiveState=failed ExecMainStatus=243 NRestarts=$1" ] || { echo "it is: $is"; return 1; }
}
part_by_hand() {
    local before restarts
    restarts=$(systemctl show -P NRestarts mynah)
    mkdir /root/away
    mv /etc/mynah/gemini_api_key* /root/away
    fact "without the key's file it does not start" never systemctl restart mynah
    sleep 4
    fact "and is not started again and again" rests_since $restarts
    mv /root/away/* /etc/mynah
    cp /etc/default/mynah /root/away/
    sed 's/^driver = .*/driver = "files"\nfolder = "\/run\/mynah"/; /^line = /d; /^bias = /d; /^polarity = /d; /^debounce_ms = /d' \
        $here/board.toml >/etc/mynah/files.toml
    echo MYNAH_BOARD=/etc/mynah/files.toml >/etc/default/mynah
    fact "with it, and with lines that are files, it starts" systemctl restart mynah
    fact "and is ready" within 60 is_ready
    before=$(turns)
    fact "who is in its group presses" by_group 'echo 1 >/run/mynah/talk'
    sleep 0.3
    speak ask_lamp
    sleep 0.3
    by_group 'echo 0 >/run/mynah/talk'
    fact "the question comes" within 30 came $before
    fact "and the lamp's file says that it is on" within 30 by_group 'grep -qx 1 /run/mynah/lamp'
    fact "nobody else may press" never nobody --clear-groups sh -c 'echo 1 >/run/mynah/talk'
    mv /root/away/mynah /etc/default/mynah
    rm /etc/mynah/files.toml
    systemctl restart mynah
    fact "on its own board again: ready" within 60 is_ready
}

part_end() {
    mark
    systemctl reload mynah
    fact "it reloads, and says what it did" within 20 told "read anew"
    fact "it stops in order" systemctl stop mynah
    mynah doctor --no-sound >$out/doctor.txt 2>&1
    fact "the doctor by hand looks at this board, with its key" bash -c "grep -q '^ok    board profile      board:' $out/doctor.txt && grep -q '^ok    key' $out/doctor.txt"
    fact "with 0, and the lamp at rest" test "$(systemctl show -P ExecMainStatus mynah)" = 0 -a "$(cat /run/gpio/sim_gpio22/value)" = 0
    systemctl start mynah
    fact "it runs again" within 60 is_ready
    local configuration=$(md5sum /etc/mynah/mynah.toml /etc/mynah/board.toml) state=/var/lib/mynah/session.json
    dpkg-deb -R $here/mynah.deb /tmp/newer
    sed -i 's/^Version: .*/Version: 99.0-1/' /tmp/newer/DEBIAN/control
    dpkg-deb -Zgzip -z1 -b /tmp/newer /tmp/newer.deb >/dev/null
    local was=$(main_pid)
    fact "a newer package installs while it runs" dpkg -i /tmp/newer.deb
    fact "it is another process after it, and ready" within 60 bash -c "test \$(systemctl show -P MainPID mynah) != $was && systemctl show mynah -p StatusText | grep -q =Ready"
    fact "the configuration is as it was" test "$(md5sum /etc/mynah/mynah.toml /etc/mynah/board.toml)" = "$configuration"
    fact "and its state is there, whole" bash -c "test -s $state && ! ls $state.bad"
    fact "a conversation" converse update
    fact "the package goes" dpkg --purge mynah
    fact "its state and the key with it" never compgen -G "/var/lib/mynah*"
    fact "and what setup wrote" bash -c "! ls -d /etc/mynah/gemini* /etc/mynah/board* /etc/default/mynah* /etc/systemd/system/mynah* /etc/systemd/system/*.wants/mynah* 2>/dev/null"
}

release
case $MYNAH_BOOT in
    1)
        parts=${*:-install camera sound_card bare_start button network kill clock disk read_only fleet by_hand cut}
        ;;
    2) world && parts="after_cut cut" ;;
    *) world && parts="after_cut end" ;;
esac
for part in $parts; do
    declare -F part_$part >/dev/null || { echo "there is no part \`$part\`" && exit 2; }
    echo "== ${part//_/ } ($(cut -d. -f1 /proc/uptime) s)"
    part_$part
    journalctl -u mynah -b -o short-precise >$out/journal-$MYNAH_BOOT.txt 2>&1
    [ $part != install ] || [ $failed = 0 ] || break
done
journalctl -u service -b -o cat >$out/service-$MYNAH_BOOT.txt 2>&1
sync
[ $failed = 0 ] && echo "== all of it holds" || echo "== $failed facts do NOT hold"
[ $failed = 0 ]
