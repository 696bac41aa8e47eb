//! Every input in `fuzz/seeds/`: what fuzzing began with, and what it once found, tried on every run.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

use std::fs;
use std::path::Path;

#[path = "../fuzz/src/agent_file.rs"]
mod agent_file;
#[path = "../fuzz/src/client_message.rs"]
mod client_message;
#[path = "../fuzz/src/close_reason.rs"]
mod close_reason;
#[path = "../fuzz/src/emulator_script.rs"]
mod emulator_script;
#[path = "../fuzz/src/server_message.rs"]
mod server_message;

/// A target's name and what tries an input of it.
type Target = (&'static str, fn(&[u8]));

const TARGETS: [Target; 5] = [
    ("agent_file", agent_file::run),
    ("client_message", client_message::run),
    ("close_reason", close_reason::run),
    ("emulator_script", emulator_script::run),
    ("server_message", server_message::run),
];
/// What all inputs may weigh: they are kept for what they found, not for their number.
const SEEDS_BYTES_MAX: u64 = 200_000;

#[test]
fn nothing_that_fuzzing_ever_found_comes_back() {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
    let mut bytes_all = 0;
    for (target, run) in TARGETS {
        let mut inputs = 0;
        for entry in fs::read_dir(fuzz.join("seeds").join(target)).unwrap() {
            let path = entry.unwrap().path();
            println!("{}", path.display()); // shown where it fails
            let bytes = fs::read(&path).unwrap();
            run(&bytes);
            inputs += 1;
            bytes_all += bytes.len() as u64;
        }
        assert!(inputs >= 5, "{target}: {inputs} inputs");
    }
    assert!(bytes_all <= SEEDS_BYTES_MAX, "{bytes_all} bytes of inputs");
}

#[test]
fn every_target_is_tried_here_and_every_folder_of_inputs_has_one() {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
    let names = |folder: &str| {
        let entries = fs::read_dir(fuzz.join(folder)).unwrap();
        let stem = |path: &Path| path.file_stem().unwrap().to_str().unwrap().to_owned();
        let mut names: Vec<_> = entries.map(|entry| stem(&entry.unwrap().path())).collect();
        names.sort();
        names
    };
    let expected = TARGETS.map(|(target, _)| target);
    assert_eq!(names("fuzz_targets"), expected);
    assert_eq!(names("seeds"), expected);
}
