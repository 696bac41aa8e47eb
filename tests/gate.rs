//! Recordings through the gate with both real detectors: each `tests/gate/x.wav` (`[frames, 1] S16 @ 16 kHz`)
//! is played, and the windows it opens are compared with what `tests/gate/x.txt` expects.
//!
//! Adding a case is adding two files. A text file has one fact a line, `#` begins a comment, times are
//! milliseconds of the recording:
//!
//! ```text
//! mode hands_free        # or hold, tap, hold_or_tap
//! preroll_ms 300         # any number of [listen] may be set so; the others are as below
//! down 900               # the talk button
//! up 2900
//! speech 1000 3500 lead 100   # one window each: begins ≥ 100 ms before 1000, ends after 3500
//! ends_by 4500                # the window before this line is closed by then
//! dropped only_silence   # a press that is dropped, in the same order; or too_short
//! ```
//!
//! Windows that are not named fail the case. A window may begin at most `LEAD_MAX_MS` too early.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use mynah::audio::{HOP_FRAMES, Hop};
use mynah::config::agent::{ButtonStyle, Listen, ListenMode, VadKind, VoiceBargeIn};
use mynah::flow::{DropCause, GateEvent};
use mynah::gate::Gate;
use mynah::gate::vad;
use mynah::hw::Edge;
use mynah::units::Time;

/// Sound before the speech that is sent needlessly: pre-roll, and a detector that is early.
const LEAD_MAX_MS: u64 = 600;

fn defaults() -> Listen {
    Listen {
        mode: ListenMode::HandsFree,
        button: ButtonStyle::Hold,
        voice_barge_in: VoiceBargeIn::Off,
        onset_ms: 60,
        hangover_ms: 700,
        preroll_ms: 300,
        tail_ms: 200,
        min_press_ms: 150,
        tap_max_ms: 350,
        silence_db: -50.0,
        vad_mode: 2,
        echo_tail_ms: 300,
        message_ms: 20,
        turn_max_s: 60,
        ..mynah::config::agent::Agent::default().listen
    }
}

#[derive(Debug)]
enum Expected {
    Speech { from_ms: u64, to_ms: u64, lead_ms: u64, ends_by_ms: u64 },
    Dropped(DropCause),
}

struct Case {
    listen: Listen,
    edges: Vec<Edge>,
    expected: Vec<Expected>,
}

fn parse(text: &str) -> Result<Case, String> {
    let mut case = Case { listen: defaults(), edges: Vec::new(), expected: Vec::new() };
    for (number, line) in text.lines().enumerate() {
        let line = line.split('#').next().unwrap_or_default();
        let words: Vec<&str> = line.split_whitespace().collect();
        if !words.is_empty() {
            parse_line(&mut case, &words).ok_or_else(|| format!("line {}: cannot read `{line}`", number + 1))?;
        }
    }
    Ok(case)
}

fn parse_line(case: &mut Case, words: &[&str]) -> Option<()> {
    let ms = |word: &str| word.parse::<u64>().ok();
    match *words {
        ["mode", mode] => set_mode(&mut case.listen, mode)?,
        ["down", at] => case.edges.push(Edge { at: Time::from_ms(ms(at)?), active: true }),
        ["up", at] => case.edges.push(Edge { at: Time::from_ms(ms(at)?), active: false }),
        ["speech", from, to, "lead", lead] => case.expected.push(Expected::Speech {
            from_ms: ms(from)?,
            to_ms: ms(to)?,
            lead_ms: ms(lead)?,
            ends_by_ms: u64::MAX,
        }),
        ["ends_by", at] => match case.expected.last_mut()? {
            Expected::Speech { ends_by_ms, .. } => *ends_by_ms = ms(at)?,
            Expected::Dropped(_) => return None,
        },
        ["dropped", "only_silence"] => case.expected.push(Expected::Dropped(DropCause::OnlySilence)),
        ["dropped", "too_short"] => case.expected.push(Expected::Dropped(DropCause::TooShort)),
        [key, value] => set_number(&mut case.listen, key, value)?,
        _ => return None,
    }
    Some(())
}

fn set_mode(listen: &mut Listen, mode: &str) -> Option<()> {
    (listen.mode, listen.button) = match mode {
        "hands_free" => (ListenMode::HandsFree, ButtonStyle::Hold),
        "hold" => (ListenMode::PushToTalk, ButtonStyle::Hold),
        "tap" => (ListenMode::PushToTalk, ButtonStyle::Tap),
        "hold_or_tap" => (ListenMode::PushToTalk, ButtonStyle::HoldOrTap),
        _ => return None,
    };
    Some(())
}

fn set_number(listen: &mut Listen, key: &str, value: &str) -> Option<()> {
    let field = match key {
        "onset_ms" => &mut listen.onset_ms,
        "hangover_ms" => &mut listen.hangover_ms,
        "preroll_ms" => &mut listen.preroll_ms,
        "tail_ms" => &mut listen.tail_ms,
        "min_press_ms" => &mut listen.min_press_ms,
        "tap_max_ms" => &mut listen.tap_max_ms,
        "message_ms" => &mut listen.message_ms,
        "turn_max_s" => &mut listen.turn_max_s,
        "silence_db" => return value.parse().ok().map(|db| listen.silence_db = db),
        "vad_mode" => return value.parse().ok().map(|mode| listen.vad_mode = mode),
        _ => return None,
    };
    value.parse().ok().map(|value| *field = value)
}

/// What the gate made of a recording.
#[derive(Debug, PartialEq)]
enum Found {
    Window { from_ms: u64, to_ms: u64 },
    Dropped(DropCause),
}

fn play(case: &Case, frames: &[i16]) -> Vec<Found> {
    let mut gate = Gate::new(&case.listen, vad::of(&case.listen));
    let mut edges = case.edges.iter().peekable();
    let mut found = Vec::new();
    for (number, frames) in frames.as_chunks::<HOP_FRAMES>().0.iter().enumerate() {
        let hop = Hop { at: Time::from_ms(10 * (number as u64 + 1)), frames: *frames };
        while let Some(edge) = edges.next_if(|edge| edge.at <= hop.at) {
            gate.handle_edge(*edge);
        }
        gate.handle_hop(&hop);
        while let Some(event) = gate.poll_output() {
            note(&mut found, event);
        }
    }
    found
}

fn note(found: &mut Vec<Found>, event: GateEvent) {
    match event {
        GateEvent::Opened(_) => found.push(Found::Window { from_ms: u64::MAX, to_ms: 0 }),
        GateEvent::Speech(speech) => {
            let Some(Found::Window { from_ms, to_ms }) = found.last_mut() else { panic!("speech outside a window") };
            *from_ms = (*from_ms).min(speech.at.as_ms() - speech.frames().len() as u64 / 16);
            *to_ms = speech.at.as_ms();
        }
        GateEvent::Dropped(cause) => found.push(Found::Dropped(cause)),
        _ => {}
    }
}

fn complaints(case: &Case, found: &[Found]) -> String {
    let mut text = String::new();
    for pair in 0..case.expected.len().max(found.len()) {
        let fits = match (case.expected.get(pair), found.get(pair)) {
            (Some(Expected::Dropped(cause)), Some(Found::Dropped(other))) => cause == other,
            (
                Some(Expected::Speech { from_ms, to_ms, lead_ms, ends_by_ms }),
                Some(Found::Window { from_ms: begins, to_ms: ends }),
            ) => {
                begins + lead_ms <= *from_ms && begins + LEAD_MAX_MS >= *from_ms && (to_ms..=ends_by_ms).contains(&ends)
            }
            _ => false,
        };
        if !fits {
            let _ = writeln!(text, "  expected {:?}\n  found    {:?}", case.expected.get(pair), found.get(pair));
        }
    }
    text
}

fn read_frames(path: &Path) -> Vec<i16> {
    let mut wav = hound::WavReader::open(path).expect("a WAV file beside each text file");
    let spec = wav.spec();
    assert_eq!((spec.channels, spec.sample_rate, spec.bits_per_sample), (1, 16_000, 16), "{}", path.display());
    wav.samples().map(Result::unwrap).collect()
}

#[test]
fn recordings_open_the_windows_they_should() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/gate");
    let mut wrong = String::new();
    let mut cases = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "txt") {
            continue;
        }
        cases += 1;
        let mut case =
            parse(&fs::read_to_string(&path).unwrap()).unwrap_or_else(|why| panic!("{}: {why}", path.display()));
        // `x@hold.txt` plays `x.wav` too, so that one recording serves several cases.
        let name = path.file_stem().unwrap().to_str().unwrap();
        let wav = path.with_file_name(name.split('@').next().unwrap()).with_extension("wav");
        let frames = read_frames(&wav);
        for kind in [VadKind::WebRtc, VadKind::Neural] {
            case.listen.vad = kind;
            let complaints = complaints(&case, &play(&case, &frames));
            if !complaints.is_empty() {
                let _ = writeln!(wrong, "{}, {kind:?}:\n{complaints}", path.display());
            }
        }
    }
    assert!(cases >= 10, "only {cases} cases were found");
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn a_case_that_is_wrong_is_caught() {
    let window = |from_ms, to_ms| Found::Window { from_ms, to_ms };
    let case = parse("speech 1000 2000 lead 100\nends_by 3000").unwrap();
    assert_eq!(complaints(&case, &[window(900, 2500)]), "");
    for found in [
        vec![],
        vec![window(910, 2500)], // first syllable at risk
        vec![window(100, 2500)], // far too early
        vec![window(900, 1990)], // cut off
        vec![window(900, 3010)], // does not end
        vec![window(900, 1500), window(1600, 2500)],
        vec![Found::Dropped(DropCause::TooShort)],
    ] {
        assert_ne!(complaints(&case, &found), "", "{found:?}");
    }
    assert!(parse("speech 1000").is_err());
    assert!(parse("prerol_ms 100").is_err());
    assert!(parse("ends_by 10").is_err());
}

thread_local! {
    /// Allocations of this thread.
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

struct Counting;

#[global_allocator]
static COUNTING: Counting = Counting;

// SAFETY: hands everything to the system's allocator unchanged; the counter is a plain cell of the thread.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let _ = ALLOCATIONS.try_with(|count| count.set(count.get() + 1));
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: it was allocated by `System` with this layout.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[test]
fn the_gate_allocates_nothing_while_it_listens() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/gate");
    let frames = read_frames(&folder.join("two.wav"));
    for kind in [VadKind::WebRtc, VadKind::Neural] {
        let listen = Listen { preroll_ms: 2000, vad: kind, ..defaults() };
        let mut gate = Gate::new(&listen, vad::of(&listen));
        let before = ALLOCATIONS.get();
        let mut pieces = 0;
        for (number, frames) in frames.as_chunks::<HOP_FRAMES>().0.iter().enumerate() {
            let at = Time::from_ms(10 * (number as u64 + 1));
            if number % 97 == 0 {
                gate.handle_edge(Edge { at, active: number % 2 == 0 });
            }
            gate.handle_hop(&Hop { at, frames: *frames });
            while let Some(event) = gate.poll_output() {
                pieces += u32::from(matches!(event, GateEvent::Speech(_)));
            }
        }
        assert!(pieces > 100, "{kind:?}: {pieces} pieces of speech");
        assert_eq!(ALLOCATIONS.get() - before, 0, "{kind:?}");
    }
    let before = ALLOCATIONS.get();
    drop(vec![0u8; 10]);
    assert_eq!(ALLOCATIONS.get() - before, 1, "the counter counts");
}
