//! The real binary on the simulated board, a bad network, and `mynah emulator` behind TLS.

use std::fs::File;
use std::io::Write as _;
use std::net::SocketAddr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use super::certificates::{self, Papers};
use super::process::{Process, wait_for};
use super::proxy::Proxy;
use super::voice::{self, Said};

const MYNAH: &str = env!("CARGO_BIN_EXE_mynah");
const LIVE_PATH: &str = "/ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent";
/// What should take a second or two on a quiet machine.
pub const SOON: Duration = Duration::from_secs(20);
/// What includes a silence that must be noticed, and growing waits.
pub const IN_A_WHILE: Duration = Duration::from_secs(60);

/// What is said is looked for sample by sample: the ears must not touch it.
const RAW: &str = "[echo]\ncanceller = \"off\"\nnoise_suppression = \"off\"";
/// Long periods: a busy machine must not make the microphone overrun.
const BOARD: &str = r#"description = "The board of the network's tests"
driver = "sim"
[capture]
pcm = "sim"
rate_hz = 16000
channels = 1
period_ms = 40
[playback]
pcm = "sim"
rate_hz = 48000
channels = 1
period_ms = 40
[lines.talk]
direction = "input"
[lines.led]
direction = "output"
[lines.lamp]
direction = "output"
"#;

/// What answers every question the same, quickly.
pub const ANSWER: &str = "setup delay 20ms\nlatency 100ms\nturn *\n tone 440Hz 500ms \"Yes.\"\n";

/// A device, a network, a service.
pub struct Rig {
    pub proxy: Proxy,
    pub folder: PathBuf,
    mynah: Option<Process>,
    emulators: Vec<Process>,
    hand: File,
    said: u64,
    /// What a test saw last, for its failure.
    last_seen: String,
}

impl Rig {
    /// Everything, with a connection that stands. `agent`: more lines of `mynah.toml`.
    pub fn new(name: &str, script: &str, agent: &str) -> Rig {
        let mut rig = Rig::without_mynah(name, script, agent, Papers::Right);
        rig.start_mynah();
        rig.await_event(0, "link_ready", SOON);
        rig
    }

    /// The same before `mynah run` is started.
    pub fn without_mynah(name: &str, script: &str, agent: &str, papers: Papers) -> Rig {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("network").join(name);
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        certificates::make(&folder);
        for (file, text) in [("script.txt", script), ("board.toml", BOARD)] {
            std::fs::write(folder.join(file), text).unwrap();
        }
        let mut emulators = Vec::new();
        let proxy = Proxy::start(start_emulator(&folder, papers, &mut emulators));
        let ca = folder.join("ca.pem");
        let agent = format!(
            "endpoint = \"wss://{}{LIVE_PATH}\"\nextra_ca = \"{}\"\n{RAW}\n{agent}\n",
            proxy.address,
            ca.display()
        );
        std::fs::write(folder.join("mynah.toml"), agent).unwrap();
        let hand = fifo(&folder.join("hand"));
        Rig { proxy, folder, mynah: None, emulators, hand, said: 0, last_seen: String::new() }
    }

    /// Starts another emulator with other papers, and sends the network's further connections to it.
    pub fn serve_with(&mut self, papers: Papers) {
        let address = start_emulator(&self.folder, papers, &mut self.emulators);
        self.proxy.redirect(address);
    }

    /// Starts `mynah run`, again where it was killed.
    pub fn start_mynah(&mut self) {
        let mut command = Command::new("sh");
        command.args(["-c", "hand=$1; shift; exec \"$0\" \"$@\" <>\"$hand\"", MYNAH]).arg(self.folder.join("hand"));
        command.args(["-v", "run", "--hand", "--config"]).arg(self.folder.join("mynah.toml"));
        command.arg("--board").arg(self.folder.join("board.toml")).arg("--events").arg(self.events_path());
        command.arg("--state").arg(self.folder.join("state"));
        command.env("GEMINI_API_KEY", "key-of-the-network-tests");
        self.mynah = Some(Process::start("mynah", &self.folder, &mut command));
    }

    pub fn mynah_id(&self) -> u32 {
        self.mynah.as_ref().unwrap().id()
    }

    /// Panics where the device's program has ended; `meanwhile` is what the test saw.
    pub fn must_live(&mut self, meanwhile: &str) {
        self.last_seen = meanwhile.to_string();
        self.mynah.as_mut().unwrap().must_live();
    }

    pub fn kill_mynah(&mut self) {
        let mut mynah = self.mynah.take().unwrap();
        mynah.signal(libc::SIGKILL);
        mynah.end_within(SOON);
    }

    // Hands and voice.

    pub fn order(&mut self, order: &str) {
        self.hand.write_all(format!("{order}\n").as_bytes()).unwrap();
    }

    /// Presses the button and begins to speak; the sound goes on by itself.
    pub fn begin_to_say(&mut self, seconds: f64) -> Said {
        self.said += 1;
        let said = Said::new(self.said, seconds);
        let path = self.folder.join(format!("said-{}.wav", self.said));
        said.write(&path);
        self.order("press");
        self.order(&format!("say {}", path.display()));
        said
    }

    /// Says something with the button held while `meanwhile` happens, which takes less time than the speech.
    pub fn say(&mut self, seconds: f64, meanwhile: impl FnOnce(&mut Rig)) -> Said {
        let since = std::time::Instant::now();
        let said = self.begin_to_say(seconds);
        meanwhile(self);
        // Half a second for the file to be read and the microphone's last period.
        let length = Duration::from_secs_f64(said.seconds()) + Duration::from_millis(500);
        std::thread::sleep(length.saturating_sub(since.elapsed()));
        self.order("release");
        said
    }

    // What the device tells.

    fn events_path(&self) -> PathBuf {
        self.folder.join("events.jsonl")
    }

    pub fn events(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.events_path()).unwrap_or_default();
        text.lines().map_while(|line| serde_json::from_str(line).ok()).collect()
    }

    /// How many events there are: a mark in time for [`Rig::await_event`].
    pub fn mark(&self) -> usize {
        self.events().len()
    }

    /// Waits for an event after `mark`; answers the mark behind it and the event.
    pub fn await_event(&mut self, mark: usize, name: &str, limit: Duration) -> (usize, Value) {
        wait_for(&format!("event {name}"), limit, || {
            self.mynah.as_mut().unwrap().must_live();
            let events = self.events();
            let at = mark + events.iter().skip(mark).position(|event| event["event"] == name)?;
            Some((at + 1, events[at].clone()))
        })
    }

    /// How many events of that name there are.
    pub fn count(&self, name: &str) -> usize {
        self.events().iter().filter(|event| event["event"] == name).count()
    }

    // What the service heard.

    /// The recordings of turns, in order of connections and turns: those that ended, or those that were cut.
    fn recordings(&self, is_cut: bool) -> Vec<PathBuf> {
        let folders =
            (0..self.emulators.len()).filter_map(|number| record_folder(&self.folder, number).read_dir().ok());
        let mut named: Vec<(Vec<u32>, PathBuf)> = folders
            .flat_map(|entries| entries.flatten().map(|entry| entry.path()))
            .filter(|path| path.extension().is_some_and(|e| e == "wav"))
            .filter(|path| path.to_string_lossy().ends_with("-cut.wav") == is_cut)
            .map(|path| {
                let name = path.strip_prefix(&self.folder).unwrap().to_string_lossy().into_owned();
                (name.split(['-', '.', '/']).filter_map(|part| part.parse().ok()).collect(), path)
            })
            .collect();
        named.sort();
        named.into_iter().map(|(_, path)| path).collect()
    }

    /// Waits until the service has heard so many turns to their end; answers them.
    pub fn heard(&mut self, turns: usize, limit: Duration) -> Vec<Vec<i16>> {
        wait_for(&format!("{turns} turns at the service"), limit, || {
            self.mynah.as_mut().unwrap().must_live();
            let found: Vec<_> = self.recordings(false).iter().filter_map(|path| voice::read(path)).collect();
            (found.len() >= turns).then_some(found)
        })
    }

    /// The newest turns that ended, with their files.
    pub fn heard_lately(&self, turns: usize) -> Vec<(PathBuf, Vec<i16>)> {
        let newest = self.recordings(false).into_iter().rev().take(turns);
        newest.filter_map(|path| voice::read(&path).map(|heard| (path, heard))).collect()
    }

    /// The turns that the service heard the beginning of.
    pub fn cut(&self) -> Vec<Vec<i16>> {
        self.recordings(true).iter().filter_map(|path| voice::read(path)).collect()
    }

    /// What the service printed.
    pub fn service_says(&self) -> String {
        self.emulators.iter().map(Process::text).collect()
    }

    /// Panics unless the last turn that the service heard is this, and each that was cut is its beginning.
    pub fn must_have_heard(&mut self, said: &Said, turns: usize, limit: Duration) {
        let heard = self.heard(turns, limit);
        assert_eq!(heard.len(), turns, "the service heard a turn twice");
        let last = heard.last().unwrap();
        if let Err(why) = said.is_whole_in(last) {
            panic!("the utterance did not arrive whole: {why}");
        }
        for cut in self.cut() {
            assert!(said.find(&cut).is_none() || last.starts_with(&cut), "what was sent first is another sound");
        }
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.mynah.take();
        self.emulators.clear();
        if std::thread::panicking() {
            eprintln!("--- the run's files are in {}\n{}", self.folder.display(), self.last_seen);
            for (name, lines) in [("events.jsonl", 30), ("mynah.log", 40), ("emulator-0.log", 40)] {
                let text = std::fs::read_to_string(self.folder.join(name)).unwrap_or_default();
                let all: Vec<&str> = text.lines().filter(|line| !line.contains("speech_sent")).collect();
                eprintln!("--- {name}\n{}", all[all.len().saturating_sub(lines)..].join("\n"));
            }
        }
    }
}

fn start_emulator(folder: &Path, papers: Papers, emulators: &mut Vec<Process>) -> SocketAddr {
    let mut command = Command::new(MYNAH);
    command.args(["emulator", "--listen", "127.0.0.1:0"]);
    command.arg("--script").arg(folder.join("script.txt"));
    command.arg("--record").arg(record_folder(folder, emulators.len()));
    for (option, file) in [("--tls-cert", "cert.pem"), ("--tls-key", "key.pem")] {
        command.arg(option).arg(folder.join(format!("{}-{file}", papers.name())));
    }
    let mut emulator = Process::start(&format!("emulator-{}", emulators.len()), folder, &mut command);
    let address = wait_for("the emulator's address", SOON, || {
        emulator.must_live();
        emulator.text().split_once("listening on wss://")?.1.split_once(' ')?.0.parse().ok()
    });
    emulators.push(emulator);
    address
}

/// Each emulator counts its clients from 1.
fn record_folder(folder: &Path, emulator: usize) -> PathBuf {
    folder.join(format!("record-{emulator}"))
}

/// Makes a FIFO, and opens it so that neither end waits for the other.
fn fifo(path: &Path) -> File {
    let name = std::ffi::CString::new(path.as_os_str().as_bytes()).unwrap();
    // SAFETY: a valid C string that outlives the call.
    assert_eq!(unsafe { libc::mkfifo(name.as_ptr(), 0o600) }, 0, "no FIFO at {}", path.display());
    File::options().read(true).write(true).open(path).unwrap()
}
