//! Conversations as data: every `tests/session/*.txt` is played against the session on a virtual clock.
//!
//! A script is a list of inputs, each followed by what must come of it. `tests/session/README.md` has the
//! notation; adding a case is adding a file. A failure prints file and line, what was expected and what came.
//! `MYNAH_SCRIPT=part-of-a-name` plays only the files that contain it; `MYNAH_BLESS=1` rewrites the `->` lines
//! to what came (read the difference before you commit it).
//!
//! `chance.rs` beside the scripts plays random inputs against the same rules, which `rules.rs` holds.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "session/chance.rs"]
mod chance;
#[path = "session/ledger.rs"]
mod ledger;
#[path = "session/notation.rs"]
mod notation;
#[path = "session/play.rs"]
mod play;
#[path = "session/rules.rs"]
mod rules;

use std::path::{Path, PathBuf};

fn scripts() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/session");
    let wanted = std::env::var("MYNAH_SCRIPT").unwrap_or_default();
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> = files
        .filter(|path| path.extension().is_some_and(|e| e == "txt") && path.to_string_lossy().contains(&wanted))
        .collect();
    files.sort();
    files
}

#[test]
fn every_script_plays_as_written() {
    let bless = std::env::var_os("MYNAH_BLESS").is_some();
    let scripts = scripts();
    assert!(!scripts.is_empty(), "no script fits MYNAH_SCRIPT");
    let mut failures = Vec::new();
    for path in &scripts {
        let name = path.file_name().unwrap().to_string_lossy();
        let text = std::fs::read_to_string(path).unwrap();
        if bless {
            std::fs::write(path, play::bless(&name, &text)).unwrap();
        }
        let text = std::fs::read_to_string(path).unwrap();
        failures.extend(play::play(&name, &text));
    }
    assert!(failures.is_empty(), "{} of {} scripts:\n\n{}\n", failures.len(), scripts.len(), failures.join("\n\n"));
}

#[test]
fn there_are_enough_conversations_and_each_says_what_it_is() {
    let scripts = scripts();
    if std::env::var_os("MYNAH_SCRIPT").is_none() {
        assert!(scripts.len() >= 28, "{} scripts", scripts.len());
    }
    for path in scripts {
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("# "), "{}: the first line says in a comment what it shows", path.display());
        assert!(text.contains("->"), "{}: expects nothing", path.display());
    }
}

/// The runner itself must be able to fail.
#[test]
fn a_script_that_expects_something_else_fails_with_its_line() {
    for (script, line, wanted) in [
        ("start\n-> link open 2\n", 1, "link open 1"),
        ("start\n", 1, "link open 1"),
        ("start\n-> link open 1\n-> send setup\n", 1, "send setup"),
        ("given ready\ngate pressed\n! released\n", 2, "released"),
        ("given ready\ngate pressed\n!no pressed\n", 2, "pressed"),
        ("given ready\nserver complete\n= deadline answer 8s\n", 2, "answer"),
        ("given ready\nserver nonsense\n", 2, "nonsense"),
        ("given ready\nwait 1s\n", 0, ""),
    ] {
        let failure = play::play("x.txt", script);
        if line == 0 {
            assert_eq!(failure, None);
            continue;
        }
        let failure = failure.unwrap_or_else(|| panic!("{script:?} passed"));
        assert!(failure.starts_with(&format!("x.txt:{line}: ")), "{failure}");
        assert!(failure.contains(wanted), "{failure}");
    }
}
