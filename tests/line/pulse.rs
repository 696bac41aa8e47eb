//! The private PulseAudio daemon of `tests/rig/pulse.sh`, held by a shell that takes one command at a time.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use super::process::{before_others, wait_for};

/// Longer than any recording that is said.
const COMMAND_WITHIN: Duration = Duration::from_secs(60);

/// Reads commands from standard input; the end of the input ends the daemon, also when the test was killed.
const SHELL: &str = r#". tests/rig/pulse.sh
pulse_up "$0" || exit
while read -r line; do
    eval "$line" </dev/null >&2
    echo "done $?"
done"#;

/// PCMs of ALSA that name their PulseAudio device: where it is gone, no other one takes its place.
const OWN_DEVICES: [(&str, &str); 2] = [(MIC, "mic.monitor"), (SPEAKER, "spk")];
pub const MIC: &str = "line_mic";
pub const SPEAKER: &str = "line_spk";

pub struct Pulse {
    shell: Child,
    orders: Option<ChildStdin>,
    answers: Receiver<String>,
    folder: PathBuf,
}

impl Pulse {
    /// Starts the daemon with its files in `folder`.
    pub fn start(folder: &Path) -> Pulse {
        std::fs::create_dir_all(folder).unwrap();
        let log = std::fs::File::create(folder.join("shell.log")).unwrap();
        let mut shell = before_others("sh")
            .args(["-c", SHELL])
            .arg(folder)
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap();
        let (sender, answers) = channel();
        let lines = BufReader::new(shell.stdout.take().unwrap()).lines();
        std::thread::spawn(move || lines.map_while(Result::ok).try_for_each(|line| sender.send(line)));
        let orders = shell.stdin.take();
        let mut pulse = Pulse { shell, orders, answers, folder: folder.into() };
        pulse.prepare();
        pulse
    }

    /// Waits for the daemon, and gives ALSA the rig's devices by names of their own.
    fn prepare(&mut self) {
        // The daemon gives its main thread, which asks the players for more sound, an ordinary priority.
        self.run("chrt -r -p 5 $pulse_pid 2>/dev/null || true");
        // A null sink that nobody hears sleeps up to 2 s and makes the first listener wait. Microphones do not.
        let listener = self.folder.join("listener.raw");
        let _ = std::fs::remove_file(&listener);
        self.run(&format!("parec -d mic.monitor --latency-msec=10 '{}' &", listener.display()));
        let is_awake = || std::fs::metadata(&listener).is_ok_and(|file| file.len() > 0).then_some(());
        wait_for("the first sound of the microphone", Duration::from_secs(10), is_awake);
        let mut asoundrc = std::fs::OpenOptions::new().append(true).open(self.folder.join("asoundrc")).unwrap();
        for (ours, device) in OWN_DEVICES {
            writeln!(asoundrc, "pcm.{ours} {{ type pulse device \"{device}\" }}").unwrap();
        }
    }

    /// Ends the daemon: all devices are gone.
    pub fn end(&mut self) {
        self.run("pulse_down");
    }

    /// Starts the daemon again.
    pub fn start_again(&mut self) {
        self.run("pulse_up \"$0\"");
        self.prepare();
    }

    /// Runs a line of shell in the rig, to its end.
    pub fn run(&mut self, line: &str) {
        writeln!(self.orders.as_mut().unwrap(), "{line}").unwrap();
        let answer = self.answers.recv_timeout(COMMAND_WITHIN);
        assert_eq!(answer.as_deref(), Ok("done 0"), "in the rig: {line}\n{}", self.log());
    }

    /// What the rig's own programs complained of.
    pub fn log(&self) -> String {
        let read = |name: &str| std::fs::read_to_string(self.folder.join(name)).unwrap_or_default();
        read("shell.log") + &read("pulse.log")
    }

    /// The environment of a program whose sound goes through the rig.
    pub fn put_into(&self, command: &mut Command) {
        let at = |name: &str| self.folder.join(name);
        command
            .env("PULSE_SERVER", format!("unix:{}", at("pulse.sock").display()))
            .env("PULSE_RUNTIME_PATH", at("pulse"))
            .env("XDG_RUNTIME_DIR", at("xdg"))
            .env("HOME", at("home"))
            .env("ALSA_CONFIG_PATH", at("asoundrc"));
    }

    /// Says a WAV file into the microphone; returns when it was said.
    pub fn say(&mut self, wav: &Path) {
        // Not `pulse_say`: its 30 ms of buffer run dry on a machine that is busy with other things. A person does not.
        self.run(&format!("paplay -d mic --latency-msec=1000 '{}'", wav.display()));
    }

    /// Begins to record the loudspeaker.
    pub fn record(&mut self, wav: &Path) {
        self.run(&format!("pulse_record '{}'", wav.display()));
        wait_for("the recording to begin", Duration::from_secs(10), || (recorded_ms(wav) > 0.0).then_some(()));
    }

    /// Records `ms` more, then ends the recording.
    pub fn record_end(&mut self, wav: &Path, ms: f64) {
        let until = recorded_ms(wav) + ms;
        wait_for("the recording to go on", Duration::from_secs(20), || (recorded_ms(wav) >= until).then_some(()));
        self.run("pulse_record_end");
    }
}

/// How much a recording that is still growing holds: two channels of 16 bits at 48 kHz.
pub fn recorded_ms(wav: &Path) -> f64 {
    let bytes = std::fs::metadata(wav).map_or(0, |file| file.len().saturating_sub(44));
    bytes as f64 / (48.0 * 4.0)
}

impl Drop for Pulse {
    fn drop(&mut self) {
        self.orders.take();
        let since = Instant::now();
        while since.elapsed() < Duration::from_secs(8) {
            if matches!(self.shell.try_wait(), Ok(Some(_))) {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = self.shell.kill();
        let _ = self.shell.wait();
    }
}
