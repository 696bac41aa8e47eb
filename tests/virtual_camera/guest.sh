# The checks, inside, as root: guest.sh PARTS… Prints a line a fact. Each part has its cameras to itself.
set -u
bad=0 control=/tmp/usb
check() {  # WHAT COMMAND...: a fact
  local what=$1; shift
  if "$@"; then echo "ok    $what"; else echo "FAIL  $what"; bad=1; fi
}
# Whether a file has this, wherever its lines end.
has() { tr -s '[:space:]' ' ' < "out/$1" | grep -qE -- "$2" || { echo "--- $1 has no $2:"; cat "out/$1"; return 1; }; }
# Ten seconds for what a busy machine may take.
soon() { local i; for i in $(seq 100); do "$@" && return 0; sleep 0.1; done; return 1; }

tests() {  # NAME DEVICE TEST...: of the program's own tests, each by its name
  local name=$1 camera=$2; shift 2
  for test in "$@"; do
    MYNAH_TEST_CAMERA=$camera MYNAH_TEST_OUT=out ./unit-tests --ignored --nocapture --test-threads=1 \
      "with_a_camera_$test" > "out/$name-$test" 2>&1
    check "$name: $(echo "$test" | tr _ ' ')" has "$name-$test" 'test result: ok. 1 passed'
    sed -n 's/^FIGURES/      figures:/p' "out/$name-$test"
  done
}
vivid=/sys/bus/platform/drivers/vivid
plug() { mkdir -p $control; python3 usb_camera.py pictures $control & echo $! > $control/process; soon ls $by_id > /dev/null 2>&1; }
unplug() { kill "$(cat $control/process)"; }
by_id=/dev/v4l/by-id/usb-mynah_Camera_of_air_0001-video-index0
is_on() { [ "$(cat $control/is_running)" = 1 ]; }
is_off() { [ "$(cat $control/is_running)" = 0 ]; }

doctor() {  # NAME SOURCE [WIDTH HEIGHT]: what the program says to a board with this camera
  cat board.toml > /tmp/camera.toml
  printf '[camera]\nsource = "%s"\nwidth = %s\nheight = %s\n' "$2" "${3:-1280}" "${4:-720}" >> /tmp/camera.toml
  ./mynah doctor --board /tmp/camera.toml > "out/$1" 2>&1; true
}

part_raw() {
  modprobe vivid n_devs=1 node_types=0x1 num_inputs=1 input_types=0x00; soon test -e /dev/video0
  export MYNAH_TEST_UNPLUG="echo vivid.0 > $vivid/unbind" MYNAH_TEST_PLUG="echo vivid.0 > $vivid/bind; sleep 2"
  export MYNAH_TEST_SIZE=small
  tests raw /dev/video0 pictures what_waited two_cannot unplugged
  v4l2-ctl -d /dev/video0 --list-formats > out/raw-formats
  modprobe -r vivid
}
part_usb() {
  unset MYNAH_TEST_SIZE
  modprobe -a vhci-hcd uvcvideo; plug
  export MYNAH_TEST_UNPLUG="kill \$(cat $control/process)"
  export MYNAH_TEST_PLUG="python3 usb_camera.py pictures $control > /dev/null 2>&1 & echo \$! > $control/process; sleep 5"
  export MYNAH_TEST_HANG="touch $control/hang" MYNAH_TEST_GO_ON="rm $control/hang"
  check "usb: cameras are called video4linux by the kernel, as in the unit" grep -qw video4linux /proc/devices
  check "usb: the camera has a name that stays" test -e $by_id
  tests usb $by_id pictures what_waited two_cannot that_hangs
  check "usb: five pictures a second were asked for" test "$(cat $control/asked_fps)" = 5
  check "usb: the sensor is off when nobody has it" soon is_off
  tests usb $by_id unplugged
  unplug
}
part_doctor() {
  modprobe -a vhci-hcd uvcvideo; plug
  modprobe vivid n_devs=1 node_types=0x1 num_inputs=1 input_types=0x00; sleep 2
  vivid_device=$(v4l2-ctl --list-devices | sed -n '/vivid/,$s/^\t\(.*video.*\)/\1/p' | head -1)
  ./mynah devices > out/devices 2>&1
  check "devices: the camera's own name, and what it gives" has devices 'Camera of air'
  check "devices: a name to write into the profile" has devices "source = \"$by_id\""
  check "devices: what it gives" has devices 'MJPG up to 1280×720'
  doctor doctor-usb $by_id; check "doctor: a USB camera" has doctor-usb 'ok +camera +1280×720, .* a second'
  doctor doctor-raw "$vivid_device" 320 180; check "doctor: a raw camera" has doctor-raw 'ok +camera +320×180'
  v4l2-ctl -d $by_id --stream-mmap > /dev/null 2>&1 & other=$!
  soon is_on; doctor doctor-busy $by_id; kill $other
  check "doctor: who has the camera" has doctor-busy 'v4l2-ctl \(process [0-9]+\) holds it'
  touch $control/same; doctor doctor-frozen $by_id; rm $control/same
  check "doctor: a frozen camera" has doctor-frozen 'it is frozen'
  doctor doctor-none /dev/video99; check "doctor: no camera" has doctor-none 'is not there: plug it in'
  check "doctor: the sensor is off afterwards" soon is_off
  unplug; modprobe -r vivid
}
modprobe -r vivid
for part in "$@"; do
  declare -F "part_$part" > /dev/null || { echo "there is no part \`$part\`"; exit 2; }
  echo "== $part"
  "part_$part"
done
exit $bad
