//! Wrong configuration files and what is said about them: each `tests/config/NAME.toml` has its `NAME.txt`.
//!
//! A case is two files. A name that begins with `board-` is read as a board profile, others as agent files; of an
//! agent file without faults of its own it is said how it fits the simulated board. `MYNAH_BLESS=1` writes the
//! texts anew, to be looked at before they are committed.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use mynah::config::{Problem, agent, board, check, locate};
use proptest::prelude::*;

fn cases() -> BTreeSet<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/config");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    files.filter(|path| path.extension().is_some_and(|end| end == "toml")).collect()
}

fn problems(name: &str, text: &str) -> Vec<Problem> {
    if name.starts_with("board-") {
        return board::parse(text, name, "case").err().unwrap_or_default();
    }
    match agent::parse(text, name) {
        Err(problems) => problems,
        Ok(agent) => {
            let sim = board::parse(board::builtin("sim").unwrap(), "board/sim.toml", "sim").unwrap();
            let mut problems = check(&agent, &sim);
            locate(&mut problems, text, name);
            problems
        }
    }
}

#[test]
fn every_wrong_file_gets_its_sentences() {
    let cases = cases();
    assert!(cases.len() >= 12);
    let mut differing = Vec::new();
    for case in cases {
        let name = case.file_name().unwrap().to_str().unwrap();
        let text = std::fs::read_to_string(&case).unwrap();
        let problems = problems(name, &text);
        assert!(!problems.is_empty(), "{name} was taken as valid");
        let lines: Vec<usize> = problems.iter().map(|problem| problem.line).collect();
        assert!(lines.is_sorted(), "{name}: not in line order: {lines:?}");
        assert!(lines.iter().all(|line| (1..=text.lines().count().max(1)).contains(line)), "{name}: {lines:?}");

        let said = problems.iter().fold(String::new(), |all, problem| format!("{all}{problem}\n"));
        let expected = case.with_extension("txt");
        if std::env::var_os("MYNAH_BLESS").is_some() {
            std::fs::write(&expected, &said).unwrap();
        }
        if std::fs::read_to_string(&expected).unwrap_or_default() != said {
            differing.push(format!("{name}:\n{said}"));
        }
    }
    assert!(differing.is_empty(), "these say something else than their .txt:\n{}", differing.join("\n"));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever a slip of the editor does to a valid file: no panic, and every problem lies inside it.
    #[test]
    fn garbled_files_are_refused_or_read_but_never_panic(
        at in 0.0..1.0_f64,
        cut in 0..40_usize,
        put in "[\\[\\]{}=\"#.,\n a-z0-9\u{e9}-]{0,12}",
        is_board in any::<bool>(),
    ) {
        let text = if is_board { board::builtin("pi4-two-mic-hat").unwrap() } else { include_str!("../systemd/mynah.toml") };
        let mut letters: Vec<char> = text.replace("\n# ", "\n").chars().collect();
        let start = (at * letters.len() as f64) as usize;
        letters.splice(start..(start + cut).min(letters.len()), put.chars());
        let garbled: String = letters.into_iter().collect();
        let problems = problems(if is_board { "board-x.toml" } else { "x.toml" }, &garbled);
        let lines = garbled.split('\n').count();
        prop_assert!(problems.iter().all(|problem| problem.line <= lines && !problem.message.is_empty()));
    }
}
