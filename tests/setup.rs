//! `mynah setup`: what it finds, what it plans, what it writes, and that a second time there is nothing to do.
//!
//! A machine and the runs on it are a file of tests/setup; MYNAH_BLESS=1 writes what comes out into it anew.
#![allow(clippy::unwrap_used, reason = "tests")]

#[path = "setup/machine.rs"]
mod machine;
#[path = "setup/terminal.rs"]
mod terminal;

use std::fs;
use std::io::Write as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::Stdio;

use machine::{Machine, SECRET};
use terminal::Terminal;

/// Between what a file describes and what comes out.
const CUT: &str = "\n----\n";

/// Makes the machine that a text describes, runs what it says, and tells what came out.
fn told(name: &str, text: &str) -> String {
    let mut machine = Machine::new(name);
    let mut out = String::new();
    let mut file = String::new();
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if let Some(content) = line.strip_prefix('|') {
            let path = machine.root.join(file.trim_start_matches('/'));
            let before = fs::read_to_string(path).unwrap_or_default();
            machine.write(&file, &format!("{before}{}\n", content.strip_prefix(' ').unwrap_or(content)));
            continue;
        }
        match line.split_once(": ") {
            Some(("model", model)) => machine.write("proc/device-tree/model", &format!("{model}\0")),
            Some(("card", card)) => machine.card(card),
            Some(("file", path)) => {
                file = path.to_string();
                machine.write(path, "");
            }
            Some(("shipped", path)) => machine.write(path, include_str!("../systemd/mynah.toml")),
            Some(("key", file)) => fs::write(machine.folder().join(file), format!("{SECRET}\n")).unwrap(),
            Some(("run", arguments)) => {
                let arguments = arguments.replace("ROOT", &machine.root.display().to_string());
                let arguments: Vec<&str> = arguments.split(' ').collect();
                let output = machine.setup(&arguments);
                let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
                let code = output.status.code().unwrap();
                out += &format!(
                    "\n$ mynah setup {}\n{}[{code}]\n",
                    machine.shown(&arguments.join(" ")),
                    machine.shown(&said)
                );
            }
            _ => panic!("{name}: what is {line:?}?"),
        }
    }
    format!("{out}\nFILES\n{}\nCALLS\n{}", machine.files(), machine.calls())
}

#[test]
fn each_machine_is_set_up_as_its_file_says_and_a_second_time_nothing_is_done() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/setup");
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = entries.filter(|path| path.extension().is_some_and(|kind| kind == "txt")).collect();
    files.sort();
    assert!(files.len() >= 8, "{files:?}");
    let mut wrong = Vec::new();
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        let (described, expected) = text.split_once(CUT).unwrap_or((text.trim_end(), ""));
        let name = file.file_stem().unwrap().to_str().unwrap();
        let told = told(name, described);
        if std::env::var_os("MYNAH_BLESS").is_some() {
            fs::write(&file, format!("{described}{CUT}{told}")).unwrap();
        } else if told != expected {
            wrong.push(format!("{name}:\n{told}"));
        }
    }
    assert!(wrong.is_empty(), "not as the files say (MYNAH_BLESS=1 writes them anew):\n{}", wrong.join("\n"));
}

/// A Raspberry Pi with two USB devices, none of which has the usual name.
fn two_cards(name: &str) -> Machine {
    let mut machine = Machine::new(name);
    machine.write("proc/device-tree/model", "Raspberry Pi 5 Model B Rev 1.0\0");
    machine.card("Speaker usb 1-1.2 both Conference Speaker");
    machine.card("Headset usb 1-1.3 both USB Headset");
    machine
}

#[test]
fn the_key_of_standard_input_is_stored_for_root_only_and_shown_nowhere() {
    let machine = Machine::new("key");
    let arguments = ["--yes", "--board", "sim", "--no-doctor", "--key-stdin"];
    for (key, code, words) in [
        (SECRET, 0, "gemini_api_key: the API key"),
        (SECRET, 0, "Everything is as you want it."),
        ("another-key", 0, "gemini_api_key: the API key"),
        ("two words", 77, "is no API key"),
        ("", 77, "is no API key"),
    ] {
        let mut command = machine.command(&arguments);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(key.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert!(said.contains(words) && output.status.code() == Some(code), "{key}: {said}");
        assert!(key.is_empty() || !said.contains(key), "{said}");
    }
    assert_eq!(machine.read("/etc/mynah/gemini_api_key"), "another-key\n");
    assert!(machine.files().contains("/etc/mynah/gemini_api_key 0600"), "{}", machine.files());
}

#[test]
fn who_is_asked_gets_help_chooses_and_sees_what_will_be_done_before_it_is() {
    let machine = two_cards("asked");
    let mut terminal = Terminal::start(machine.command(&[]));
    for (question, keys) in [
        ("Which board is it?", "?\n"),
        ("comes nearest to your board", "\n"),
        ("Which microphone?", "hw:0\n"),
        ("names the card by its number", "2\n"),
        ("Which loudspeaker?", "\n"),
        ("Which line has the button?", "GPIO27\n"),
        ("a line can be taken once", "GPIO5\n"),
        ("Which line has a lamp?", "none\n"),
        ("When does it listen?", "7\n"),
        ("7 is none of these", "\n"),
        ("Which camera?", "none\n"),
        ("Language to answer in [the one that is spoken to it]", "German\n"),
        ("API key, typed or pasted, not shown", "two words\n"),
        ("is no API key", ""),
        ("API key, typed or pasted, not shown", &format!("{SECRET}X\u{7f}\n")),
        ("with microphone usb:1-1.3, loudspeaker usb:1-1.3, button GPIO5, lamp none, camera none", ""),
    ] {
        terminal.shows(question);
        assert!(!machine.root.join("etc").exists(), "nothing is written before the end: {question}");
        terminal.types(keys);
    }
    terminal.shows("Do this? [Y/n]");
    terminal.types("y\n");
    let status = terminal.end();
    assert_eq!(status.code(), Some(0), "{}", terminal.text);
    assert!(!terminal.text.contains(SECRET), "{}", terminal.text);
    assert_eq!(machine.read("/etc/mynah/gemini_api_key"), format!("{SECRET}\n"));
    assert_eq!(machine.read("/etc/default/mynah"), "MYNAH_BOARD=/etc/mynah/board.toml\n");
    let again = machine.setup(&["--yes"]);
    assert!(String::from_utf8(again.stdout).unwrap().starts_with("Everything is as you want it."));

    // Once more by hand: Enter to everything changes nothing.
    let before = machine.files();
    let mut terminal = Terminal::start(machine.command(&[]));
    for question in
        ["board is it?", "microphone?", "loudspeaker?", "button?", "lamp?", "listen?", "camera?", "[German]", "key"]
    {
        terminal.shows(question);
        terminal.types("\n");
    }
    terminal.shows("Everything is as you want it.");
    assert_eq!((terminal.end().code(), machine.files()), (Some(0), before));
}

#[test]
fn who_has_a_wrong_file_is_told_so_before_the_first_question() {
    let machine = two_cards("wrong-file");
    machine.write("/etc/mynah/mynah.toml", "voic = \"Kore\"\n");
    let mut terminal = Terminal::start(machine.command(&[]));
    let code = terminal.end().code();
    assert!(terminal.text.starts_with("mynah: /etc/mynah/mynah.toml:1: `voic` is not a key"), "{}", terminal.text);
    assert_eq!(code, Some(78), "{}", terminal.text);
}

#[test]
fn who_goes_away_before_the_end_leaves_everything_as_it_was() {
    let cases: [(&str, &str, &str, Option<i32>); 4] = [
        ("no", "Do this?", "n\n", Some(0)),
        // Ctrl-C kills it at a question, and is a key where the key is typed.
        ("interrupted", "Which microphone?", "\u{3}", None),
        ("interrupted-key", "API key", "abc\u{3}", Some(1)),
        ("ended", "Which microphone?", "\u{4}", Some(1)),
    ];
    for (name, until, keys, code) in cases {
        let machine = two_cards(name);
        let flags = ["--button", "GPIO17", "--lamp", "GPIO22", "--camera", "none", "--listen-mode", "hands_free"];
        let mut terminal = Terminal::start(machine.command(&flags));
        let questions = ["Which board", "Which microphone?", "Which loudspeaker?", "Language", "API key", "Do this?"];
        for question in questions {
            terminal.shows(question);
            terminal.types(if question == until { keys } else { "\n" });
            if question == until {
                break;
            }
        }
        let status = terminal.end();
        assert_eq!(status.code(), code, "{name}: {}", terminal.text);
        assert_eq!(status.signal(), code.is_none().then_some(libc::SIGINT), "{name}");
        assert!(!machine.root.join("etc").exists(), "{name}");
        assert!(code != Some(1) || terminal.text.contains("nothing was changed"), "{name}: {}", terminal.text);
    }
}

#[test]
fn the_sound_is_tried_and_the_doctor_looks_at_what_was_written() {
    let machine = Machine::new("tried");
    let flags = ["--board", "sim", "--listen-mode", "push_to_talk", "--language", "German"];
    let mut terminal = Terminal::start(machine.command(&[&flags[..], &["--endpoint", "ws://127.0.0.1:1/x"]].concat()));
    for (question, keys) in [
        ("Try the sound now? [Y/n]", "\n"),
        ("noise floor", ""),
        ("Now say something", ""),
        ("nothing but the room", ""),
        ("Did you hear the voice? [Y/n]", "n\n"),
        ("Choose other devices? [Y/n]", "n\n"),
        ("Do this? [Y/n]", "\n"),
        ("the service starts without a key", ""),
        ("Now the doctor looks at it.", ""),
        ("board profile", ""),
        ("does not work: connection", ""),
        ("Put right what the doctor names", ""),
    ] {
        terminal.shows(question);
        terminal.types(keys);
    }
    assert_eq!(terminal.end().code(), Some(4), "{}", terminal.text);
}

#[test]
fn a_file_that_cannot_be_written_stops_it_and_another_run_goes_on_from_there() {
    let machine = Machine::new("stopped");
    // A folder stands where the new file would be written.
    fs::create_dir_all(machine.root.join("etc/mynah/mynah.toml.new/in the way")).unwrap();
    let arguments = ["--yes", "--board", "pi5-usb-speakerphone", "--language", "German"];
    let output = machine.setup(&arguments);
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    for words in ["✓ /etc/default/mynah", "✗ /etc/mynah/mynah.toml", "what is ticked was done", "goes on from there"]
    {
        assert!(said.contains(words), "{said}");
    }
    assert_eq!(output.status.code(), Some(1));
    fs::remove_dir_all(machine.root.join("etc/mynah/mynah.toml.new")).unwrap();
    let said = String::from_utf8(machine.setup(&arguments).stdout).unwrap();
    assert!(!said.contains("/etc/default/mynah") && said.contains("✓ /etc/mynah/mynah.toml"), "{said}");
}

#[test]
fn nobody_to_answer_is_told_which_flags_are_needed() {
    let machine = Machine::new("nobody");
    let output = machine.setup(&[]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(["--yes", "--board", "--key-file", "--dry-run"].iter().all(|flag| said.contains(flag)), "{said}");
    assert_eq!(output.status.code(), Some(2));
}
