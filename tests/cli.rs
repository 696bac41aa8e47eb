//! The command line without devices: bad input gets a sentence that says what to do, a documented exit code, no panic.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

const MYNAH: &str = env!("CARGO_BIN_EXE_mynah");
/// Longer than anything here takes; the machine may be busy.
const LIMIT: Duration = Duration::from_secs(30);

/// A folder of a test's own. Files: name and text.
fn folder(name: &str, files: &[(&str, &str)]) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("cli").join(name);
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    for (file, text) in files {
        std::fs::write(folder.join(file), text).unwrap();
    }
    folder
}

/// A run of the program; killed when dropped. Standard output and error go to one file.
struct Run {
    child: Child,
    log: PathBuf,
}

impl Run {
    fn start(folder: &Path, name: &str, arguments: &[&str], key: Option<&str>) -> Run {
        let log = folder.join(format!("{name}.log"));
        let file = std::fs::File::create(&log).unwrap();
        let mut command = Command::new(MYNAH);
        command.args(arguments).current_dir(folder).env_remove("GEMINI_API_KEY").env_remove("CREDENTIALS_DIRECTORY");
        command.env_remove("STATE_DIRECTORY").env("XDG_STATE_HOME", folder.join("home"));
        command.envs(key.map(|key| ("GEMINI_API_KEY", key)));
        let child = command.stdin(Stdio::null()).stdout(file.try_clone().unwrap()).stderr(file).spawn().unwrap();
        Run { child, log }
    }

    fn text(&self) -> String {
        let mut text = String::new();
        std::fs::File::open(&self.log).unwrap().read_to_string(&mut text).unwrap();
        text
    }

    fn wait_for<T>(&mut self, what: &str, mut look: impl FnMut(&mut Run) -> Option<T>) -> T {
        let since = Instant::now();
        loop {
            if let Some(found) = look(self) {
                return found;
            }
            assert!(since.elapsed() < LIMIT, "waited in vain for {what}:\n{}", self.text());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn end(&mut self) -> ExitStatus {
        self.wait_for("its end", |run| run.child.try_wait().unwrap())
    }

    /// Waits for a piece of what it prints, while it lives.
    fn says(&mut self, piece: &str) {
        self.wait_for(piece, |run| {
            let status = run.child.try_wait().unwrap();
            let found = run.text().contains(piece);
            assert!(found || status.is_none(), "it ended ({status:?}) without saying {piece}:\n{}", run.text());
            found.then_some(())
        });
    }

    fn signal(&self, signal: i32) {
        // SAFETY: our own child, which nobody has waited for yet.
        unsafe { libc::kill(self.child.id() as i32, signal) };
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs to the end; panics where the code is another, a piece is not said, or the program panicked.
fn expect(folder: &Path, arguments: &[&str], key: Option<&str>, code: i32, pieces: &[&str]) {
    let mut run = Run::start(folder, "run", arguments, key);
    let status = run.end();
    let text = run.text();
    assert_eq!(status.code(), Some(code), "mynah {arguments:?}:\n{text}");
    for piece in pieces {
        assert!(text.contains(piece), "mynah {arguments:?} does not say {piece:?}:\n{text}");
    }
    assert!(!text.contains("panicked"), "mynah {arguments:?}:\n{text}");
    assert!(!text.contains(SECRET), "mynah {arguments:?} tells a key:\n{text}");
}

/// What stands in key files here, and must be printed nowhere.
const SECRET: &str = "secret-of-the-tests";
const HERE: &str = "ws://127.0.0.1:1/x";

#[test]
fn help_is_there_for_each_subcommand() {
    let folder = folder("help", &[]);
    expect(&folder, &["--help"], None, 0, &["run", "demo", "emulator", "trace", "Exit codes", "77", "78"]);
    expect(&folder, &["--version"], None, 0, &["mynah 0."]);
    for (subcommand, option) in [
        ("run", "--board"),
        ("demo", "--text-only"),
        ("emulator", "--listen"),
        ("token", "--uses"),
        ("setup", "--dry-run"),
    ] {
        expect(&folder, &[subcommand, "--help"], None, 0, &["Usage", option]);
    }
    expect(&folder, &[], None, 2, &["Usage"]);
    expect(&folder, &["sing"], None, 2, &["sing", "--help"]);
    expect(&folder, &["run", "--frob"], None, 2, &["--frob", "--help"]);
}

#[test]
fn a_wrong_board_is_told_with_file_line_and_key() {
    let pcm = "[capture]\npcm = \"default\"\n";
    let files = [
        ("frob.toml", format!("description = \"x\"\n{pcm}frob = 1\n[playback]\npcm = \"default\"\n")),
        ("half.toml", format!("description = \"x\"\n{pcm}")),
        ("torn.toml", "description = \"x\n".to_string()),
    ];
    let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (*name, text.as_str())).collect();
    let folder = folder("board", &files);
    for (board, pieces) in [
        ("attic", &["there is no board `attic`", "sim", "generic", "zero2w-i2s", "--board ./my-board.toml"][..]),
        ("./none.toml", &["./none.toml cannot be read"]),
        ("frob.toml", &["frob.toml:4: `capture.frob`", "which knows card, device, pcm, rate_hz"]),
        ("half.toml", &["half.toml", "playback"]),
        ("torn.toml", &["torn.toml:1"]),
    ] {
        for subcommand in ["run", "demo"] {
            expect(&folder, &[subcommand, "--board", board], Some("k"), 78, pieces);
        }
    }
}

#[test]
fn a_wrong_configuration_is_told_with_file_line_and_what_is_right() {
    let tool = "[[tools]]\nname = \"x\"\ndescription = \"d\"\naction = { gpio = \"read\", line = \"attic\" }\n";
    let folder = folder(
        "agent",
        &[
            ("key.toml", "volume = 3\n"),
            ("type.toml", "[listen]\npreroll_ms = \"much\"\n"),
            ("range.toml", "\n[speak]\nvolume_percent = 101\n"),
            ("word.toml", "[listen]\nmode = \"ptt\"\n"),
            ("many.toml", "volume = 3\n[listen]\nmode = \"ptt\"\n"),
            ("tool.toml", tool),
            ("remote.toml", "endpoint = \"ws://192.168.1.1/\"\n"),
            ("ca.toml", "extra_ca = \"none.pem\"\nendpoint = \"wss://127.0.0.1:1/x\"\n"),
            ("empty-ca.toml", "extra_ca = \"key.toml\"\nendpoint = \"wss://127.0.0.1:1/x\"\n"),
        ],
    );
    for (file, pieces) in [
        ("key.toml", &["key.toml:1: `volume` is not a key", "which knows model, "][..]),
        ("type.toml", &["type.toml:2: `listen.preroll_ms` is text", "0 to 2000 ms"]),
        ("range.toml", &["range.toml:3: `speak.volume_percent` is 101", "0 to 100"]),
        ("word.toml", &["word.toml:2: `listen.mode` is \"ptt\"", "`push_to_talk`, `hands_free` or `wake_word`"]),
        ("many.toml", &["2 things to put right", "many.toml:1:", "many.toml:3:"]),
        ("tool.toml", &["tool.toml:4:", "\"attic\"", "which has camera_led, door, door_contact, lamp"]),
        ("remote.toml", &["remote.toml:1: `endpoint`", "unencrypted", "wss://"]),
        ("none.toml", &["none.toml cannot be read"]),
        ("ca.toml", &["extra_ca none.pem cannot be read"]),
        ("empty-ca.toml", &["extra_ca key.toml holds no certificate", "BEGIN CERTIFICATE"]),
    ] {
        expect(&folder, &["run", "--board", "sim", "--config", file], Some("k"), 78, pieces);
    }
    for (url, piece) in [("ws://192.168.1.1/", "--endpoint sends everything unencrypted"), ("frob", "wss://")] {
        expect(&folder, &["run", "--board", "sim", "--endpoint", url], Some("k"), 78, &[piece]);
    }
    let events = ["run", "--board", "sim", "--endpoint", HERE, "--events", "/no/folder/e.jsonl"];
    expect(&folder, &events, None, 78, &["--events /no/folder/e.jsonl cannot be written"]);
}

#[test]
fn a_key_that_is_missing_or_open_to_others_is_told_with_where_to_put_it() {
    let files = [("open.toml", "key_file = \"key\"\n"), ("none.toml", "key_file = \"nokey\"\n"), ("key", SECRET)];
    let folder = folder("key", &files);
    std::fs::set_permissions(folder.join("key"), std::fs::Permissions::from_mode(0o644)).unwrap();
    let run = ["run", "--board", "sim"];
    expect(&folder, &run, None, 77, &["there is no API key", "GEMINI_API_KEY", "key_file"]);
    let run = ["run", "--board", "sim", "--config", "open.toml"];
    expect(&folder, &run, None, 77, &["can be read by others", "chmod 600 key"]);
    let run = ["run", "--board", "sim", "--config", "none.toml"];
    expect(&folder, &run, None, 77, &["nokey cannot be read", "chmod 600"]);
}

#[test]
fn a_wrong_script_or_certificate_of_the_emulator_is_told_with_its_line() {
    let folder =
        folder("script", &[("bad.txt", "turn\n sing\n"), ("mute.txt", "turn\n say none.wav\n"), ("x.pem", "x")]);
    let emulator = |option: &'static str, file: &'static str| ["emulator", "--listen", "127.0.0.1:0", option, file];
    expect(&folder, &emulator("--script", "bad.txt"), None, 78, &["bad.txt:2: `sing` is not understood", "tone"]);
    expect(&folder, &emulator("--script", "mute.txt"), None, 78, &["mute.txt:2:", "none.wav", "WAV file"]);
    expect(&folder, &emulator("--script", "none.txt"), None, 78, &["cannot read none.txt"]);
    let demo = ["demo", "--out", "out", "--script", "bad.txt"];
    expect(&folder, &demo, None, 78, &["bad.txt:2:"]);
    let tls = ["emulator", "--listen", "127.0.0.1:0", "--tls-cert", "x.pem", "--tls-key", "x.pem"];
    expect(&folder, &tls, None, 78, &["x.pem"]);
    expect(&folder, &["emulator", "--tls-cert", "x.pem"], None, 2, &["--tls-key"]);
    expect(&folder, &["emulator", "--listen", "192.0.2.1:9"], None, 1, &["cannot listen on 192.0.2.1:9", "--listen"]);
}

#[test]
fn a_recording_of_the_wrong_kind_is_told_with_how_to_make_a_right_one() {
    let folder = folder("say", &[("text.wav", "this is no sound")]);
    let kind =
        |bits, sample_format| hound::WavSpec { channels: 1, sample_rate: 16_000, bits_per_sample: bits, sample_format };
    let mut float = hound::WavWriter::create(folder.join("float.wav"), kind(32, hound::SampleFormat::Float)).unwrap();
    float.write_sample(0.5_f32).unwrap();
    float.finalize().unwrap();
    hound::WavWriter::create(folder.join("empty.wav"), kind(16, hound::SampleFormat::Int)).unwrap().finalize().unwrap();
    for (file, pieces) in [
        ("text.wav", &["text.wav is not a WAV file", "sox"][..]),
        ("float.wav", &["float.wav holds 32-bit floating-point samples", "sox"]),
        ("empty.wav", &["empty.wav holds no sound"]),
        ("none.wav", &["none.wav cannot be read"]),
    ] {
        expect(&folder, &["run", "--board", "sim", "--endpoint", HERE, "--say", file], None, 78, pieces);
    }
}

#[test]
fn what_the_service_refuses_ends_with_the_code_of_who_must_act() {
    let folder = folder("refused", &[("model.toml", "model = \"gemini-0\"\n"), ("voice.toml", "voice = \"Nobody\"\n")]);
    let mut emulator = Run::start(&folder, "emulator", &["emulator", "--listen", "127.0.0.1:0"], None);
    emulator.says("listening on ws://");
    let text = emulator.text();
    let address = text.split_once("listening on ws://").unwrap().1.split_once(' ').unwrap().0;
    let live = format!("ws://{address}/ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent");
    let run = ["run", "--board", "sim", "--endpoint", &live];
    expect(&folder, &run, Some("bad-key"), 77, &["refused the API key", "API key not valid", "GEMINI_API_KEY"]);
    let model = [&run[..], &["--config", "model.toml"]].concat();
    expect(&folder, &model, Some("k"), 78, &["does not know the model", "gemini-0", "set `model`"]);
    // A voice is not worth ending for: the service's own is taken, and the owner told.
    let voice = [&run[..], &["--config", "voice.toml"]].concat();
    let mut run_with_another_voice = Run::start(&folder, "voice", &voice, Some("k"));
    run_with_another_voice.says("the model has no voice Nobody");
    run_with_another_voice.says("ready: the service took the set-up");
    drop(run_with_another_voice);
    let elsewhere = format!("ws://{address}/elsewhere");
    expect(&folder, &["run", "--board", "sim", "--endpoint", &elsewhere], Some("k"), 78, &["404", "`endpoint`"]);
    assert!(!emulator.text().contains("panicked"), "{}", emulator.text());
}

#[test]
fn without_network_and_without_devices_it_lives_says_so_and_ends_when_told() {
    let board = "description = \"x\"\ndriver = \"files\"\nfolder = \"lines\"\n[capture]\npcm = \"hw:CARD=Nowhere\"\n\
        [playback]\npcm = \"hw:CARD=Nowhere\"\n[lines.talk]\ndirection = \"input\"\n[lines.led]\ndirection = \"output\"\n";
    let folder = folder("nothing", &[("board.toml", board)]);
    let arguments = ["-v", "run", "--board", "board.toml", "--endpoint", HERE, "--events", "events.jsonl"];
    let mut run = Run::start(&folder, "run", &arguments, None);
    run.says("refuses connections to port 1");
    run.says("still no connection");
    run.says("PCM hw:CARD=Nowhere was not found: is it plugged in?");
    run.says("part=\"speaker\"");
    run.says("part=\"mic\"");
    // The light says so, too, and is dark when nobody is there any more.
    let led = || std::fs::read_to_string(folder.join("lines/led")).unwrap();
    run.wait_for("a flash", |_| (led() == "1\n").then_some(()));
    run.wait_for("its end", |_| (led() == "0\n").then_some(()));
    run.signal(libc::SIGTERM);
    assert_eq!(run.end().code(), Some(0), "{}", run.text());
    assert_eq!(led(), "0\n");
    let text = run.text();
    assert!(!text.contains("panicked"), "{text}");
    assert_eq!(text.matches("WARN no connection").count(), 1, "the same news is told once:\n{text}");
    let events = std::fs::read_to_string(folder.join("events.jsonl")).unwrap();
    assert!(events.contains("\"event\":\"link_down\"") && events.contains("\"part\":\"mic\""), "{events}");
}

#[test]
fn ctrl_c_ends_it_with_0() {
    let folder = folder("ctrl-c", &[]);
    let mut run = Run::start(&folder, "run", &["run", "--board", "sim", "--endpoint", HERE], None);
    run.says("no connection");
    run.signal(libc::SIGINT);
    assert_eq!(run.end().code(), Some(0), "{}", run.text());
}
