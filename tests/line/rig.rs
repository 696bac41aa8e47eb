//! The whole line: private PulseAudio, `mynah emulator` with TLS, `mynah run` with real ALSA, and a person's hands.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use base64::Engine as _;
use serde_json::Value;

use super::process::{Process, before_others, wait_for};
use super::pulse::{self, Pulse};
use super::sound::Sound;

pub const MYNAH: &str = env!("CARGO_BIN_EXE_mynah");
/// The path that a Live client asks for.
pub const LIVE_PATH: &str = "/ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent";
/// What should take a second or two on a quiet machine.
pub const SOON: Duration = Duration::from_secs(20);
/// What includes a reply of ten seconds.
pub const IN_A_WHILE: Duration = Duration::from_secs(45);

const BOARD: &str = r#"description = "A board of the line's tests: PulseAudio's default devices, lines as files"
driver = "files"
folder = "FOLDER/lines"
[capture]
pcm = "MIC"
[playback]
pcm = "SPEAKER"
[lines.talk]
direction = "input"
[lines.led]
direction = "output"
[lines.lamp]
direction = "output"
"#;

const RAW: &str = "[echo]\ncanceller = \"off\"\nnoise_suppression = \"off\"\n";

const LAMP_TOOL: &str = r#"[[tools]]
name = "set_lamp"
description = "Switches the lamp. Call it only when the user asks for it."
parameters = { type = "OBJECT", properties = { on = { type = "BOOLEAN" } }, required = ["on"] }
action = { gpio = "set", line = "lamp", argument = "on" }
"#;

/// What a test wants to be otherwise.
#[derive(Clone, Copy, Default)]
pub struct Wish<'a> {
    /// The emulator's script.
    pub script: &'a str,
    /// Lines of `[listen]`.
    pub listen: &'a str,
    /// Lines of `[speak]`. The sounds of a conversation's steps are left out: recordings are compared with what was sent.
    pub speak: &'a str,
    /// More of the agent file, behind all else: sections, tools.
    pub more: &'a str,
    /// The ears clean what is heard, as they do by default. Where they do not, it is looked for sample by sample: their
    /// high-pass shifts a voice's phases, which nobody hears and a correlation does.
    pub ears: bool,
    /// PCMs that name their PulseAudio device, so that nothing else takes its place when it is gone.
    pub own_devices: bool,
}

pub struct Rig {
    pub folder: PathBuf,
    pub pulse: Pulse,
    pub emulator: Option<Process>,
    pub mynah: Option<Process>,
    address: String,
    /// Emulators started so far; each has a folder of its own for its recordings.
    emulators: u32,
}

impl Rig {
    /// Everything up and ready for the first press: microphone, connection.
    pub fn new(name: &str, wish: Wish<'_>) -> Rig {
        let mut rig = Rig::without_mynah(name, wish);
        rig.start_mynah();
        rig.await_mic();
        rig.await_event(0, "link_ready", None, SOON);
        rig
    }

    /// The same before `mynah run` is started.
    pub fn without_mynah(name: &str, wish: Wish<'_>) -> Rig {
        let mut rig = Rig::without_server(name, wish);
        rig.start_emulator();
        rig.write_agent(&rig.address, wish);
        rig
    }

    /// The same before a server is started.
    pub fn without_server(name: &str, wish: Wish<'_>) -> Rig {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("line").join(name);
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        certificate(&folder);
        let pulse = Pulse::start(&folder.join("pulse"));
        std::fs::write(folder.join("script.txt"), wish.script).unwrap();
        let (mic, speaker) = if wish.own_devices { (pulse::MIC, pulse::SPEAKER) } else { ("default", "default") };
        let board = BOARD.replace("FOLDER", &folder.display().to_string());
        let board = board.replace("MIC", mic).replace("SPEAKER", speaker);
        std::fs::write(folder.join("board.toml"), board).unwrap();
        Rig { folder, pulse, emulator: None, mynah: None, address: "127.0.0.1:0".into(), emulators: 0 }
    }

    /// Writes the agent file of `mynah run`; `address` is the server's.
    pub fn write_agent(&self, address: &str, wish: Wish<'_>) {
        // A microphone that nobody says anything to gives zeros here, where a real one has noise.
        let listen = wish.listen;
        let ears = if wish.ears { "" } else { RAW };
        let patience = if listen.contains("dead_mic_s") { "" } else { "dead_mic_s = 600\n" };
        let agent = format!(
            "endpoint = \"wss://{address}{LIVE_PATH}\"\nextra_ca = \"{}\"\n[listen]\n{patience}{listen}\n\
             [speak]\ncues = \"few\"\n{}\n{ears}{LAMP_TOOL}{}",
            self.folder.join("ca.pem").display(),
            wish.speak,
            wish.more,
        );
        std::fs::write(self.folder.join("mynah.toml"), agent).unwrap();
    }

    /// Starts the emulator, a second time at the address of the first.
    pub fn start_emulator(&mut self) {
        self.emulators += 1;
        let mut command = before_others(MYNAH);
        command.args(["emulator", "--listen", &self.address]);
        for (option, file) in [("--script", "script.txt"), ("--tls-cert", "cert.pem"), ("--tls-key", "key.pem")] {
            command.arg(option).arg(self.folder.join(file));
        }
        command.arg("--record").arg(self.record_folder());
        let name = format!("emulator-{}", self.emulators);
        let mut emulator = Process::start(&name, &self.folder, &mut command);
        self.address = wait_for("the emulator's address", SOON, || {
            emulator.must_live();
            let text = emulator.text();
            text.split_once("listening on wss://")?.1.split_once(' ').map(|(address, _)| address.to_string())
        });
        self.emulator = Some(emulator);
    }

    /// Starts `mynah run`.
    pub fn start_mynah(&mut self) {
        let mut command = before_others(MYNAH);
        command.args(["-v", "run", "--config"]).arg(self.folder.join("mynah.toml"));
        command.arg("--board").arg(self.folder.join("board.toml"));
        command.arg("--events").arg(self.events_path()).arg("--state").arg(self.folder.join("state"));
        command.env("GEMINI_API_KEY", "key-of-the-line-tests");
        self.pulse.put_into(&mut command);
        self.mynah = Some(Process::start("mynah", &self.folder, &mut command));
    }

    /// Waits until sound comes from the microphone for the first time.
    pub fn await_mic(&mut self) {
        let mynah = self.mynah.as_mut().unwrap();
        wait_for("the microphone", SOON, || {
            mynah.must_live();
            mynah.text().contains("the microphone runs").then_some(())
        });
    }

    fn events_path(&self) -> PathBuf {
        self.folder.join("events.jsonl")
    }

    fn record_folder(&self) -> PathBuf {
        self.folder.join(format!("record-{}", self.emulators))
    }

    /// A file in the run's folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    // What happened.

    pub fn events(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.events_path()).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// How many events there are: a mark in time for [`Rig::await_event`].
    pub fn mark(&self) -> usize {
        self.events().len()
    }

    /// Waits for an event after `mark`; answers it and the mark behind it.
    pub fn await_event(
        &mut self,
        mark: usize,
        name: &str,
        field: Option<(&str, Value)>,
        limit: Duration,
    ) -> (usize, Value) {
        let what = format!("event {name} {field:?}");
        let path = self.events_path();
        let mynah = self.mynah.as_mut().unwrap();
        wait_for(&what, limit, || {
            mynah.must_live();
            let text = std::fs::read_to_string(&path).unwrap_or_default();
            // The system may cut a write in two where a page ends: half a line is not read yet.
            let text = &text[..text.rfind('\n').map_or(0, |end| end + 1)];
            let mut events = text.lines().skip(mark).map(|line| serde_json::from_str::<Value>(line).unwrap());
            let at = events.position(|event| {
                event["event"] == name && field.as_ref().is_none_or(|(key, value)| event[key] == *value)
            })?;
            let line = text.lines().nth(mark + at)?;
            Some((mark + at + 1, serde_json::from_str(line).unwrap()))
        })
    }

    /// The same with only the mark behind it.
    pub fn after(&mut self, mark: usize, name: &str, limit: Duration) -> usize {
        self.await_event(mark, name, None, limit).0
    }

    /// Panics where such an event is between two marks.
    pub fn must_be_without(&self, name: &str, from: usize, to: usize) {
        let events = self.events();
        let found = events[from..to].iter().find(|event| event["event"] == name);
        assert!(found.is_none(), "unexpected: {found:?}");
    }

    // Hands and voice.

    pub fn press(&self) {
        self.write_talk("1\n");
    }

    pub fn release(&self) {
        self.write_talk("0\n");
    }

    fn write_talk(&self, word: &str) {
        let path = self.folder.join("lines/talk");
        std::fs::OpenOptions::new().write(true).open(path).unwrap().write_all(word.as_bytes()).unwrap();
    }

    /// Holds the button while a bundled recording is said; answers the mark before the press.
    pub fn ask(&mut self, name: &str) -> usize {
        let mark = self.mark();
        self.press();
        self.after(mark, "pressed", SOON);
        self.pulse.say(&recording(name));
        self.release();
        mark
    }

    /// What the file of an output line holds.
    pub fn line(&self, name: &str) -> String {
        std::fs::read_to_string(self.folder.join("lines").join(name)).unwrap_or_default().trim().to_string()
    }

    // The emulator's side.

    /// Waits for the recording of a client's turn at the present emulator.
    pub fn heard(&self, client: u32, turn: u32) -> Sound {
        let path = self.record_folder().join(format!("client-{client}-turn-{turn}.wav"));
        wait_for(&format!("{}", path.display()), SOON, || {
            // The length stands in the header when the file is finished.
            let file = hound::WavReader::open(&path).ok()?;
            (file.duration() > 0).then_some(())
        });
        Sound::read(&path)
    }

    /// What a client and the present emulator said, each with `ms`, `from` and `message`.
    pub fn messages(&self, client: u32) -> Vec<Value> {
        let path = self.record_folder().join(format!("client-{client}.jsonl"));
        let text = std::fs::read_to_string(path).unwrap_or_default();
        text.lines().map_while(|line| serde_json::from_str(line).ok()).collect()
    }

    /// The sound that the emulator sent in the client's turn with that number, from 1.
    pub fn sent(&self, client: u32, turn: usize) -> Sound {
        let mut turns = vec![Vec::new()];
        for message in self.messages(client) {
            let content = &message["message"]["serverContent"];
            for part in content["modelTurn"]["parts"].as_array().into_iter().flatten() {
                if let Some(data) = part["inlineData"]["data"].as_str() {
                    let bytes = base64::engine::general_purpose::STANDARD.decode(data).unwrap();
                    turns.last_mut().unwrap().extend(bytes);
                }
            }
            if content["turnComplete"] == true {
                turns.push(Vec::new());
            }
        }
        let frames = turns[turn - 1].chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect();
        Sound { rate: 24_000, frames }
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.mynah.take();
        self.emulator.take();
        if std::thread::panicking() {
            eprintln!("--- the run's files are in {}", self.folder.display());
            eprintln!("--- the rig\n{}", tail(&self.pulse.log(), 20));
            let mut logs: Vec<PathBuf> = std::fs::read_dir(&self.folder)
                .into_iter()
                .flatten()
                .flatten()
                .map(|entry| entry.path())
                .filter(|path| path.extension().is_some_and(|e| e == "log"))
                .collect();
            logs.sort();
            for log in logs {
                let text = std::fs::read_to_string(&log).unwrap_or_default();
                eprintln!("--- {}\n{}", log.display(), tail(&text, 40));
            }
        }
    }
}

fn tail(text: &str, lines: usize) -> String {
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}

/// A bundled recording.
pub fn recording(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("src/cli/sounds/{name}.wav"))
}

/// Leaves ca.pem, cert.pem and key.pem.
pub fn certificate(folder: &Path) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/rig/certificate.sh");
    let made = Command::new("sh").arg(script).arg(folder).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}
