//! `mynah doctor`: a healthy device is ready, and each defect has its sentence, its line and its exit code.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;

const MYNAH: &str = env!("CARGO_BIN_EXE_mynah");
/// What must be printed nowhere.
const SECRET: &str = "secret-of-the-doctor";

/// A folder of a test's own. Files: name and text.
fn folder(name: &str, files: &[(&str, &str)]) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("doctor").join(name);
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    for (file, text) in files {
        std::fs::write(folder.join(file), text).unwrap();
    }
    folder
}

/// The stand-in service; ended when dropped.
struct Emulator {
    child: Child,
    live: String,
}

impl Emulator {
    fn start() -> Emulator {
        let mut command = Command::new(MYNAH);
        command.args(["emulator", "--listen", "127.0.0.1:0"]).stdin(Stdio::null()).stderr(Stdio::null());
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let line = lines.find_map(|line| line.ok().filter(|line| line.contains("listening on"))).unwrap();
        let address = line.split_once("ws://").unwrap().1.split(' ').next().unwrap().to_string();
        // Whoever writes into a pipe that nobody reads ends.
        std::thread::spawn(move || lines.for_each(drop));
        let live =
            format!("ws://{address}/ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent");
        Emulator { child, live }
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn doctor(folder: &Path, arguments: &[&str], key: Option<&str>, set: &[(&str, &str)]) -> Output {
    let mut command = Command::new(MYNAH);
    command.arg("doctor").args(arguments).current_dir(folder).stdin(Stdio::null());
    command.env_remove("GEMINI_API_KEY").env_remove("CREDENTIALS_DIRECTORY").envs(set.iter().copied());
    let output = command.envs(key.map(|key| ("GEMINI_API_KEY", key))).output().unwrap();
    let said = [&output.stdout[..], &output.stderr[..]].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(!said.contains("panicked") && !said.contains(SECRET) && !said.contains("ALSA lib"), "{said}");
    output
}

/// The report of a run with `--json`, and its exit code.
fn report(folder: &Path, arguments: &[&str], key: Option<&str>, set: &[(&str, &str)]) -> (Value, i32) {
    let output = doctor(folder, &[arguments, &["--json"]].concat(), key, set);
    let value = serde_json::from_slice(&output.stdout).unwrap();
    (value, output.status.code().unwrap())
}

/// Verdict, figure and advice of a check.
fn check(report: &Value, name: &str) -> (String, String) {
    let checks = report["checks"].as_array().unwrap();
    let check = checks.iter().find(|check| check["name"] == name).unwrap_or_else(|| panic!("no {name}: {report:#}"));
    let text = |key: &str| check[key].as_str().unwrap_or_default().to_string();
    (text("verdict"), format!("{} {}", text("figure"), text("advice")))
}

#[test]
fn a_healthy_device_is_ready() {
    let emulator = Emulator::start();
    let folder = folder("healthy", &[]);
    let output = doctor(&folder, &["--board", "sim", "--endpoint", &emulator.live], Some(SECRET), &[]);
    let text = String::from_utf8(output.stdout).unwrap();
    for piece in ["48000 Hz, 1 channel", "noise floor", "-65", "line talk", "clock", "key", "name", "is ready after"] {
        assert!(text.contains(piece), "{piece} is not told:\n{text}");
    }
    // A machine whose clock nobody synchronises, or one that is very busy, is worth a look.
    let is_ready = text.ends_with("\nready\n") && output.status.code() == Some(0);
    let needs_a_look = text.contains("works, but look at: ") && output.status.code() == Some(3);
    assert!(is_ready || needs_a_look, "{text}");
    assert!(!text.contains("\nbad "), "{text}");
    let progress = String::from_utf8(output.stderr).unwrap();
    assert!(progress.contains("be quiet please") && progress.contains("asking the service"), "{progress}");
}

#[test]
fn what_keeps_the_service_away_is_told_with_the_line_to_change() {
    let emulator = Emulator::start();
    let files = [
        ("key", SECRET),
        ("open.toml", "key_file = \"key\"\n"),
        ("model.toml", "model = \"gemini-0\"\n"),
        ("host.toml", "endpoint = \"wss://no-such-host.invalid/x\"\n"),
    ];
    let folder = folder("service", &files);
    let sim = ["--board", "sim", "--no-sound"];
    let with = |rest: &[&str], key: Option<&str>| report(&folder, &[&sim[..], rest].concat(), key, &[]);
    for (rest, key, name, words) in [
        (&["--config", "host.toml"][..], Some("k"), "name", &["no-such-host.invalid", "endpoint"][..]),
        (&["--config", "host.toml"], None, "key", &["GEMINI_API_KEY", "key_file"]),
        (&["--config", "open.toml"], None, "key", &["chmod 600 key"]),
        (&["--endpoint", "ws://127.0.0.1:1/x"], Some("k"), "connection", &["refuses connections to port 1"]),
        (&["--endpoint", &emulator.live], Some("bad-key"), "service", &["refused the API key", "GEMINI_API_KEY"]),
        (&["--endpoint", &emulator.live, "--config", "model.toml"], Some("k"), "service", &["set `model`"]),
        (&["--endpoint", "http://x"], Some("k"), "endpoint", &["`endpoint` must begin with wss://"]),
    ] {
        let (report, code) = with(rest, key);
        let (verdict, told) = check(&report, name);
        assert_eq!((verdict.as_str(), code), ("bad", 4), "{rest:?}: {report:#}");
        assert!(words.iter().all(|word| told.contains(word)), "{rest:?}: {told}");
    }
}

#[test]
fn what_is_wrong_with_the_configuration_is_told_and_the_rest_is_looked_at_all_the_same() {
    let board = "description = \"x\"\ndriver = \"files\"\nfolder = \"lines\"\n[capture]\ncard = \"usb:9-9\"\n[playback]\n\
        card = \"id:Nowhere\"\n[lines.talk]\ndirection = \"input\"\n[lines.lamp]\ndirection = \"output\"\n\
        [camera]\nsource = \"/dev/no-such-camera\"\n";
    let files = [("board.toml", board), ("word.toml", "[listen]\nmode = \"ptt\"\n"), ("lines", "a file in the way")];
    let folder = folder("configuration", &files);
    let (report, code) =
        report(&folder, &["--board", "board.toml", "--config", "word.toml", "--no-network"], None, &[]);
    assert_eq!(code, 4);
    for (name, verdict, words) in [
        ("agent file", "bad", &["word.toml:2", "push_to_talk"][..]),
        ("board profile", "ok", &["board: x"]),
        ("microphone", "bad", &["usb:9-9 was not found"]),
        ("loudspeaker", "bad", &["id:Nowhere was not found"]),
        ("line talk", "bad", &["[lines.talk]"]),
        ("line lamp", "bad", &["[lines.lamp]"]),
        ("camera", "warn", &["/dev/no-such-camera", "is not there"]),
    ] {
        let (found, told) = check(&report, name);
        assert_eq!(found, verdict, "{name}: {told}");
        assert!(words.iter().all(|word| told.contains(word)), "{name}: {told}");
    }
}

/// A virtual card (tests/rig/README.md) and a board on it.
struct Card {
    folder: PathBuf,
    configuration: String,
}

impl Card {
    fn new(name: &str) -> Card {
        let board = "description = \"virtual card\"\ndriver = \"files\"\nfolder = \"lines\"\n[capture]\npcm = \"vmic\"\n\
            [playback]\npcm = \"vspk\"\n";
        let folder = folder(name, &[("board.toml", board)]);
        let made = Command::new(format!("{RIG}/vcard-new.sh")).arg(folder.join("card")).output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        Card { folder, configuration: String::from_utf8(made.stdout).unwrap().trim().to_string() }
    }

    fn set(&self, keys: &[&str]) {
        let status =
            Command::new(format!("{RIG}/vcard-ctl")).arg(self.folder.join("card")).args(keys).output().unwrap();
        assert!(status.status.success(), "{}", String::from_utf8_lossy(&status.stderr));
    }

    /// The microphone hears this, again and again: `[frames, 1 channel] S16 @ 48 kHz`.
    fn hears(&self, sample: impl Fn(usize) -> i16) {
        let bytes: Vec<u8> = (0..480_000).flat_map(|n| sample(n).to_le_bytes()).collect();
        std::fs::write(self.folder.join("heard.raw"), bytes).unwrap();
        self.set(&[&format!("sound_loop={}", self.folder.join("heard.raw").display())]);
    }

    fn report(&self) -> (Value, i32) {
        let set = [("ALSA_CONFIG_PATH", self.configuration.as_str())];
        report(&self.folder, &["--board", "board.toml", "--no-network"], None, &set)
    }
}

const RIG: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/rig");

/// Something like noise, of about this height.
fn noise(n: usize, height: i32) -> i16 {
    let bits = (n as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9) >> 40;
    ((bits as i32 % (2 * height + 1)) - height) as i16
}

#[test]
#[ignore = "needs gcc, libasound2-dev and python3: tests/rig/README.md"]
fn each_defect_of_a_microphone_on_real_alsa_has_its_sentence() {
    let card = Card::new("card");
    card.hears(|n| noise(n, 30));
    let (healthy, _) = card.report();
    for name in ["microphone", "clipping", "DC offset", "noise floor", "loudspeaker"] {
        assert_eq!(check(&healthy, name).0, "ok", "{healthy:#}");
    }
    assert_eq!(check(&healthy, "loop").0, "warn", "this card has no room around it");

    card.hears(|n| noise(n, 30) + 8000);
    assert_eq!(check(&card.report().0, "DC offset").0, "bad");
    card.hears(|n| if n % 100 < 50 { 32_767 } else { -32_768 });
    assert_eq!(check(&card.report().0, "clipping").0, "bad");
    card.set(&["zeros=1"]);
    let (report, code) = card.report();
    let (verdict, told) = check(&report, "microphone's sound");
    assert_eq!((verdict.as_str(), code), ("bad", 4));
    assert!(told.contains("only zeros") && told.contains("muted by a switch"), "{told}");

    card.set(&["zeros=0", "busy=mic"]);
    assert!(check(&card.report().0, "microphone").1.contains("busy"));
    card.set(&["busy=none", "vanish=speaker"]);
    assert!(check(&card.report().0, "loudspeaker").1.contains("not there"));
}
