//! Keeps the house in order: who may name whom, what rooms may touch, lengths, first lines, loose ends.
//!
//! The table of floors is the one of the architecture document; changing it is a design change. Each check
//! names file and line, and each is shown to fail on a snippet that breaks its rule.
#![allow(clippy::unwrap_used)]

use std::fmt;
use std::fs;
use std::path::Path;

#[path = "tidy/source.rs"]
mod source;

use source::{Source, line_of, words};

const FILE_LINES_MAX: usize = 500;
const FUNCTION_LINES_MAX: usize = 70;

/// Rooms and files of `src/` with their floor; `run.rs` and the drivers of `hw/` are told apart in [`floor`].
const FLOORS: [(&str, u8); 22] = [
    ("units", 0),
    ("bell", 0),
    ("live", 1),
    ("audio", 1),
    ("still", 1),
    ("config", 1),
    ("trace", 1),
    ("flow", 2),
    ("hw", 2),
    ("mic", 3),
    ("gate", 3),
    ("session", 3),
    ("speaker", 3),
    ("tools", 3),
    ("eyes", 3),
    ("panel", 3),
    ("job", 3),
    ("fleet", 3),
    ("emulator", 3),
    ("daemon", 6),
    ("cli", 6),
    ("main", 6),
];
const DRIVERS: u8 = 4;
const THREADS: u8 = 5;
const TOP: u8 = 6;

/// Where the table is bent: the file's beginning, what it names, and why that is right.
const BENT: [(&str, &str, &str); 3] = [
    ("src/live/", "crate::config::agent", "the setup message and the table of models are made from the agent file"),
    ("src/live/", "crate::audio", "the protocol carries sound: it takes and gives audio's types"),
    ("src/live/", "crate::still", "the protocol carries pictures, too"),
];

/// What no pure room touches: clocks, threads, files, sockets, processes, chance.
///
/// Addresses (`std::net::IpAddr`) are values; only what opens a socket or asks a resolver is named.
const IMPURE: [&str; 15] = [
    "std::time::Instant",
    "std::time::SystemTime",
    "std::thread",
    "std::fs",
    "std::net::TcpStream",
    "std::net::TcpListener",
    "std::net::UdpSocket",
    "std::net::ToSocketAddrs",
    "std::process",
    "std::os",
    "tokio",
    "rand",
    "getrandom",
    "fastrand",
    "libc",
];

/// The one file below the threads that knows of threads: a handle to wake one, which all queues share.
const PURITY_EXEMPT: &str = "src/bell.rs";

#[derive(Debug, PartialEq)]
struct Complaint {
    file: String,
    line: usize,
    what: String,
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.what)
    }
}

fn complain(source: &Source, line: usize, what: String) -> Complaint {
    Complaint { file: source.file.clone(), line, what }
}

/// The room of a file: the folder of `src/` it is in, or its own name.
fn room(file: &str) -> &str {
    let inner = file.strip_prefix("src/").unwrap_or(file);
    inner.split('/').next().unwrap_or(inner).trim_end_matches(".rs")
}

fn room_floor(room: &str) -> Option<u8> {
    FLOORS.iter().find(|(name, _)| *name == room).map(|(_, floor)| *floor)
}

/// The floor of a file; `lib.rs` has none, because it only lists the rooms.
fn floor(file: &str) -> Option<u8> {
    // A thread's file, or the folder that belongs to it.
    if (file.ends_with("/run.rs") || file.contains("/run/")) && room(file) != "cli" {
        return Some(THREADS);
    }
    if file.starts_with("src/hw/") && file != "src/hw/mod.rs" {
        return Some(DRIVERS);
    }
    room_floor(room(file))
}

/// The floor of what a path names: `crate::hw::sim::…` is a driver, `crate::hw::Board` a trait.
fn path_floor(path: &[String]) -> Option<u8> {
    let is_module = path.get(2).is_some_and(|name| name.starts_with(char::is_lowercase));
    match (path.get(1)?.as_str(), path.get(2).map(String::as_str)) {
        // `cli/run.rs` is the subcommand of that name.
        (room, Some("run")) if room != "cli" && room_floor(room).is_some() => Some(THREADS),
        ("hw", Some(_)) if is_module => Some(DRIVERS),
        (room, _) => room_floor(room),
    }
}

fn check_floors(source: &Source) -> Vec<Complaint> {
    if !source.file.starts_with("src/") || source.file == "src/lib.rs" {
        return Vec::new();
    }
    let Some(own) = floor(&source.file) else {
        return vec![complain(source, 1, "this room has no floor in the table of tests/tidy.rs".into())];
    };
    let mut complaints = Vec::new();
    for (line, path) in [source.paths("crate"), source.paths("mynah")].concat() {
        let Some(other) = path_floor(&path) else {
            if path.get(1).is_some_and(|name| name.starts_with(char::is_lowercase)) {
                complaints.push(complain(source, line, format!("{} is no room of the table", path.join("::"))));
            }
            continue;
        };
        let name = path.join("::");
        let is_bent = BENT.iter().any(|(file, bent, _)| source.file.starts_with(file) && name.starts_with(bent));
        let is_own_room = path[1] == room(&source.file) && other <= own;
        if other >= own && !is_own_room && !is_bent && own != TOP {
            let what = format!("{name} (floor {other}) may not be named from floor {own}");
            complaints.push(complain(source, line, what));
        }
    }
    complaints
}

fn check_purity(source: &Source) -> Vec<Complaint> {
    if source.file == PURITY_EXEMPT || floor(&source.file).is_none_or(|floor| floor >= DRIVERS) {
        return Vec::new();
    }
    let mut complaints = Vec::new();
    for root in ["std", "tokio", "rand", "getrandom", "fastrand", "libc"] {
        for (line, path) in source.paths(root) {
            let path = path.join("::");
            if let Some(what) = IMPURE.iter().find(|what| path == **what || path.starts_with(&format!("{what}::"))) {
                complaints.push(complain(
                    source,
                    line,
                    format!("{what} in a pure room: it belongs in a run.rs or hw/"),
                ));
            }
        }
    }
    complaints
}

fn check_lengths(source: &Source) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    if !source.text.starts_with("//! ") {
        complaints.push(complain(source, 1, "the first line must say what the file is (`//! …`)".into()));
    }
    let lines = source.text.lines().count() - source.test_lines;
    if lines > FILE_LINES_MAX {
        complaints.push(complain(source, lines, format!("{lines} lines without tests, more than {FILE_LINES_MAX}")));
    }
    for function in source.functions() {
        let lines = function.last - function.first + 1;
        if lines > FUNCTION_LINES_MAX {
            let what = format!("fn {} has {lines} lines, more than {FUNCTION_LINES_MAX}", function.name);
            complaints.push(complain(source, function.first, what));
        }
    }
    complaints
}

fn check_unwraps(source: &Source) -> Vec<Complaint> {
    let functions = source.functions();
    let lines: Vec<&str> = source.code.lines().collect();
    let is_excused = |line: usize| {
        let inside = functions.iter().filter(|function| (function.first..=function.last).contains(&line));
        let begin = inside.map(|function| function.first).max().unwrap_or(line).saturating_sub(6);
        let near = lines[begin..line].join("\n");
        near.contains("_used") && near.contains("clippy::") && near.contains("reason")
    };
    let mut complaints = Vec::new();
    for call in [".unwrap()", ".expect("] {
        for (at, _) in source.code.match_indices(call) {
            let after = source.code[at + call.len()..].trim_start();
            // A parser may have a method `expect` of its own; the library's takes a string.
            let is_library = call == ".unwrap()" || after.starts_with(['"', '&']);
            let line = line_of(&source.code, at);
            if is_library && !is_excused(line) {
                complaints.push(complain(
                    source,
                    line,
                    format!("{call} outside tests without an allow that has a reason"),
                ));
            }
        }
    }
    complaints
}

fn check_loose_ends(source: &Source) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    for (number, line) in source.comments.lines().enumerate() {
        let is_header = line.trim_start().starts_with("//!");
        if !is_header && (line.contains("http://") || line.contains("https://")) {
            complaints.push(complain(
                source,
                number + 1,
                "an address in a comment: it belongs in the module's header".into(),
            ));
        }
    }
    for (text, marks) in
        [(&source.comments, &["TODO", "FIXME", "XXX"][..]), (&source.all_code, &["todo", "unimplemented"])]
    {
        for mark in marks {
            for at in words(text, mark) {
                let is_loose = text == &source.comments || text[at + mark.len()..].starts_with('!');
                if is_loose {
                    complaints.push(complain(source, line_of(text, at), format!("{mark}: finish it or open an issue")));
                }
            }
        }
    }
    complaints
}

fn check_all(source: &Source) -> Vec<Complaint> {
    [check_floors, check_purity, check_lengths, check_unwraps, check_loose_ends]
        .iter()
        .flat_map(|check| check(source))
        .collect()
}

fn read_sources(root: &Path, folder: &Path, sources: &mut Vec<Source>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read_sources(root, &path, sources);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let file = path.strip_prefix(root).unwrap().to_str().unwrap().replace('\\', "/");
            sources.push(Source::new(&file, &fs::read_to_string(&path).unwrap()));
        }
    }
}

#[test]
fn the_house_is_tidy() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut sources = Vec::new();
    for folder in ["src", "tests", "benches", "fuzz/src", "fuzz/fuzz_targets"] {
        read_sources(root, &root.join(folder), &mut sources);
    }
    assert!(sources.len() > 20, "only {} files were found", sources.len());
    let complaints: Vec<String> = sources.iter().flat_map(check_all).map(|complaint| complaint.to_string()).collect();
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}

/// The lines complained of, in order.
fn lines(check: fn(&Source) -> Vec<Complaint>, file: &str, text: &str) -> Vec<usize> {
    let mut lines: Vec<usize> = check(&Source::new(file, text)).iter().map(|complaint| complaint.line).collect();
    lines.sort_unstable();
    lines
}

#[test]
fn a_room_that_names_a_higher_one_is_caught() {
    for (file, text, expected) in [
        ("src/gate/mod.rs", "use crate::session::Turn;\n", &[1][..]),
        ("src/gate/mod.rs", "\nuse crate::{audio::Hop, flow,\n  speaker::{Jitter, run}};\n", &[3, 3]),
        ("src/gate/mod.rs", "fn f() { let x = crate::tools::table(); }\n", &[1]),
        ("src/gate/mod.rs", "use crate::{units::Time, hw::Edge, gate::vad::Vad};\n", &[]),
        ("src/gate/mod.rs", "use crate::hw::sim::World;\n", &[1]),
        ("src/gate/mod.rs", "use crate::gate::run::spawn;\n", &[1]),
        ("src/gate/mod.rs", "use crate::daemon;\nuse crate::cellar::Wine;\n", &[1, 2]),
        ("src/gate/mod.rs", "#[cfg(test)]\nmod tests {\n  use crate::session::Turn;\n}\n", &[]),
        ("src/gate/mod.rs", "#[cfg(test)]\nuse crate::{session, cli};\nuse crate::mic::Mic;\n", &[3]),
        ("src/gate/mod.rs", "// crate::session::Turn\nconst A: &str = \"crate::cli\";\n", &[]),
        ("src/gate/mod.rs", "const B: &str = r#\"\"crate::cli\"#; use crate::cli::C;\n", &[1]),
        ("src/gate/mod.rs", "fn a<'a>(x: &'a u8, c: char) { c == '\"'; crate::cli::c('\\''); }\n", &[1]),
        ("src/gate/run.rs", "use crate::{session::Turn, hw::sim::World};\nuse crate::mic::run;\n", &[2]),
        ("src/live/mod.rs", "use crate::flow::Event;\nuse crate::trace::Trace;\nuse crate::audio::Hop;\n", &[1, 2]),
        ("src/trace.rs", "use crate::audio::Hop;\n", &[1]),
        ("src/hw/mod.rs", "use crate::hw::alsa::Pcm;\n", &[1]),
        ("src/hw/sim.rs", "use crate::hw::{Board, tap::Tap};\nuse crate::gate::Gate;\nuse crate::cli;\n", &[3]),
        ("src/units.rs", "use crate::units::Time;\nuse crate::bell::Bell;\n", &[2]),
        ("src/main.rs", "use mynah::{cli, daemon};\n", &[]),
        ("src/cli/demo.rs", "use crate::daemon::start;\n", &[]),
        ("src/cli/run.rs", "use crate::daemon::Daemon;\n", &[]),
        ("src/session/run.rs", "use crate::cli::run;\n", &[1]),
        ("src/cellar.rs", "\n", &[1]),
    ] {
        assert_eq!(lines(check_floors, file, text), expected, "{file}: {text}");
    }
}

#[test]
fn a_room_that_is_not_pure_is_caught() {
    for (file, text, expected) in [
        ("src/session/turn.rs", "use std::time::Instant;\n", &[1][..]),
        ("src/session/turn.rs", "use std::time::{Duration, SystemTime};\n", &[1]),
        ("src/session/turn.rs", "use std::{fmt,\n thread, net::TcpStream};\n", &[2, 2]),
        (
            "src/session/turn.rs",
            "fn f() {\n  std::fs::read(\"x\");\n  rand::random(); tokio::spawn(g); }\n",
            &[2, 3, 3],
        ),
        ("src/session/turn.rs", "use std::net::{IpAddr, UdpSocket};\nuse std::net::SocketAddr;\n", &[1]),
        ("src/session/turn.rs", "use std::time::Duration;\nuse crate::rand::Thing;\n", &[]),
        ("src/session/turn.rs", "#[cfg(test)]\nmod tests { use std::fs; }\n", &[]),
        ("src/session/run.rs", "use std::thread;\n", &[]),
        ("src/hw/files.rs", "use std::fs;\n", &[]),
        ("src/bell.rs", "use std::thread;\n", &[]),
        ("src/trace.rs", "use std::thread;\n", &[1]),
    ] {
        assert_eq!(lines(check_purity, file, text), expected, "{file}: {text}");
    }
}

#[test]
fn what_is_too_long_is_caught() {
    let file_of = |lines: usize| format!("//! x\n{}", "const A: u8 = 0;\n".repeat(lines - 1));
    let function_of = |lines: usize| format!("//! x\nfn f() {{\n{}}}\n", "  g();\n".repeat(lines - 2));
    let tests = "#[cfg(test)]\nmod tests {\n\n// why\nfn a() {}\n}\n";
    for (text, expected) in [
        (file_of(500), &[][..]),
        (file_of(501), &[501]),
        (file_of(500) + tests, &[]),
        (file_of(2).replace("//! x", "// x"), &[1]),
        (file_of(2).replace("//! x", ""), &[1]),
        (function_of(70), &[]),
        (function_of(71), &[2]),
        ("//! x\ntrait T { fn f(); }\nfn g(h: fn(u8)) {}\n".into(), &[]),
    ] {
        assert_eq!(lines(check_lengths, "src/gate/x.rs", &text), expected, "{} lines", text.lines().count());
    }
    assert_eq!(lines(check_lengths, "tests/long.rs", &file_of(900)), [0; 0]);
    assert_eq!(lines(check_lengths, "tests/long.rs", "fn a() {}\n"), [1]);
}

#[test]
fn an_unwrap_without_a_reason_is_caught() {
    let excused = "#[allow(clippy::expect_used, reason = \"checked above\")]\nfn f() {\n  a.expect(\"b\");\n}\n";
    for (text, expected) in [
        ("fn f() {\n  a.unwrap();\n}\n", &[2][..]),
        ("fn f() {\n  a.expect(\n  \"b\");\n  c.expect(&format!(\"d\"));\n}\n", &[2, 4]),
        ("fn f() {\n  self.expect('x');\n  a.unwrap_or(1);\n}\n", &[]),
        (excused, &[]),
        (&excused.replace(", reason = \"checked above\"", ""), &[3]),
        ("#[cfg(test)]\nmod tests {\n  fn f() { a.unwrap(); }\n}\n", &[]),
        ("// a.unwrap()\nconst A: &str = \".unwrap()\";\n", &[]),
    ] {
        assert_eq!(lines(check_unwraps, "src/gate/x.rs", text), expected, "{text}");
    }
    assert_eq!(lines(check_unwraps, "tests/x.rs", "fn f() { a.unwrap(); }\n"), [0; 0]);
}

#[test]
fn a_loose_end_is_caught() {
    for (text, expected) in [
        ("//! See https://example.org.\n//! More: http://example.org.\n", &[][..]),
        ("//! x\n// see https://example.org\n/// and http://example.org\n", &[2, 3]),
        ("const A: &str = \"https://example.org\"; // fine\n", &[]),
        ("// TODO: later\n/* FIXME */ fn f() { todo!() }\n", &[1, 2, 2]),
        ("#[cfg(test)]\nmod t { fn f() { unimplemented!(\"x\") } } // XXX\n", &[2, 2]),
        ("// TODOS and xXXx\nfn todo() {}\nlet todo = 1;\n", &[]),
    ] {
        assert_eq!(lines(check_loose_ends, "src/gate/x.rs", text), expected, "{text}");
    }
}

#[test]
fn the_oldest_rust_is_the_same_everywhere() {
    let read = |file: &str| fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap();
    let after = |text: &str, start: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(start)).unwrap();
        line.trim_matches(['"', ' ']).to_string()
    };
    assert_eq!(after(&read("Cargo.toml"), "rust-version ="), after(&read("board/host-setup.sh"), "RUST_MIN="));
}
