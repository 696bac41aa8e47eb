//! The wake word from the command line: recordings in, a file out, the word found in other recordings by it.
//! And the detector's hops, which allocate nothing.
#![allow(clippy::unwrap_used)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::path::PathBuf;
use std::process::{Command, Output};

use mynah::audio::HOP_FRAMES;
use mynah::gate::vad::{Vad, WebRtc};
use mynah::gate::wake::{Templates, WakeDetector};
use mynah::hw;

thread_local! {
    /// Allocations of this thread.
    static COUNTED: Cell<u64> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: everything is passed on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNTED.set(COUNTED.get() + 1);
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn sound(name: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/wake")).join(format!("{name}.wav"))
}

fn mynah(words: &[&str], files: &[PathBuf]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_mynah")).arg("wake").args(words).args(files).output().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

fn file(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("mynah-wake-{}-{name}.toml", std::process::id()))
}

fn record(out: &std::path::Path, names: &[&str]) -> Output {
    let files: Vec<PathBuf> = names.iter().map(|name| sound(name)).collect();
    mynah(&["record", "--out", out.to_str().unwrap(), "--from"], &files)
}

const OWNER: [&str; 4] = ["owner_1", "owner_2", "owner_3", "owner_4"];

#[test]
fn a_word_that_was_recorded_is_found_in_other_recordings_and_its_hops_allocate_nothing() {
    let model = file("good");
    let recorded = record(&model, &OWNER);
    let report = said(&recorded);
    assert!(recorded.status.success(), "{report}");
    assert!(report.contains("4 of 4 recordings heard again") && report.contains(": 0 false in"), "{report}");

    let tested = mynah(&["test", "--model", model.to_str().unwrap()], &["again_low", "other_morning"].map(sound));
    let result = said(&tested);
    assert!(result.contains("again_low.wav: heard at") && result.contains("other_morning.wav: not heard"), "{result}");
    assert!(result.contains("1 times in"), "{result}");

    let mut detector = Templates::new(&hw::wake::load(&model).unwrap(), 50);
    let mut vad = WebRtc::new(2);
    let frames = hw::wav::load(&sound("again_low")).unwrap().frames;
    let hops: Vec<[i16; HOP_FRAMES]> = frames.as_chunks().0.to_vec();
    let before = COUNTED.get();
    let mut finds = 0;
    for hop in &hops {
        detector.hear_far(hop);
        finds += u32::from(detector.hear(hop, vad.is_voiced(hop), true));
    }
    assert_eq!(COUNTED.get(), before, "hops allocate");
    assert_eq!(finds, 0, "what the loudspeaker says is not the owner");
    std::fs::remove_file(&model).unwrap();
}

#[test]
fn recordings_that_make_no_word_and_files_that_are_none_end_with_what_to_do() {
    let model = file("bad");
    for (names, expected) in [
        (&["owner_1", "owner_2"][..], "3 to 8 sayings"),
        (&["owner_1", "owner_2", "owner_3", "other_yellow"], "other_yellow.wav: saying 4 is not like the others"),
    ] {
        let refused = record(&model, names);
        assert!(!refused.status.success() && said(&refused).contains(expected), "{}", said(&refused));
        assert!(!model.exists(), "a file was written all the same");
    }
    let missing = mynah(&["test", "--model", model.to_str().unwrap()], &[sound("owner_1")]);
    assert!(said(&missing).contains("make it with `mynah wake record"), "{}", said(&missing));
    let unwritable = record("/nonexistent/wake.toml".as_ref(), &OWNER[..3]);
    assert!(said(&unwritable).contains("cannot be written"), "{}", said(&unwritable));
}
