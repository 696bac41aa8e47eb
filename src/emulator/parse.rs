//! Reads a script: lines into words, words into statements. The statements are described in [`super::script`].

use std::ops::RangeInclusive;
use std::time::Duration;

use serde_json::Value;

use super::script::{
    Completion, FrameKind, HandOut, Handles, Life, SCRIPT_MAX, SCRIPT_SOUND_MAX, STEPS_MAX, Script, ScriptedCall,
    SetupPlan, Step, Style, StyleChange, TURNS_MAX, Turn,
};
use super::sounds::{SOUND_MAX, Sounds, frames_in, silence, to_downlink, tone};
use crate::units::Hertz;

/// Longest time in a script.
const TIME_MAX: Duration = Duration::from_secs(3600);
/// Longest life of a connection or a handle: a day, as one kind of the service has it for handles.
const LONG_TIME_MAX: Duration = Duration::from_secs(24 * 3600);
/// How long before its end a connection's `goAway` comes (measured: live-protocol.md 6).
const AWAY: Duration = Duration::from_secs(50);
/// Pitches a tone may have, Hz: a 24 kHz stream carries no more than 12 kHz.
const PITCHES_HZ: RangeInclusive<u32> = 50..=10_000;
/// Paces, times real time.
const PACES: RangeInclusive<u32> = 1..=1000;
/// Lengths of a piece of audio.
const PIECE_MIN: Duration = Duration::from_millis(1);
const PIECE_MAX: Duration = Duration::from_secs(2);

/// What is wrong with a script.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {problem}; {right}")]
pub struct ScriptError {
    /// Line, from 1.
    pub line: usize,
    /// What is there.
    pub problem: String,
    /// What would be right.
    pub right: String,
}

/// A complaint that does not know its line yet: what is there, and what would be right.
type Complaint = (String, String);

/// A word of a line.
#[derive(Clone, Debug, PartialEq)]
enum Word<'a> {
    Bare(&'a str),
    Text(String),
    Json(Value),
}

use Word::{Bare, Json, Text};

/// Reads a whole script.
pub(super) fn script(text: &str, sounds: &Sounds) -> Result<Script, ScriptError> {
    let mut reader = Reader {
        sounds,
        script: Script {
            setup: SetupPlan::Complete,
            setup_delay: Duration::from_millis(120),
            latency: Duration::from_millis(200),
            style: Style::default(),
            turns: Vec::new(),
            continues: false,
            handles: Handles::default(),
            life: None,
            usage: true,
        },
        open_ended: false,
        frames_said: 0,
    };
    let at = |line: usize| move |(problem, right)| ScriptError { line, problem, right };
    if text.len() > SCRIPT_MAX {
        return Err(at(1)((format!("the script has {} bytes", text.len()), format!("{SCRIPT_MAX} at most"))));
    }
    for (index, line) in text.lines().enumerate() {
        let words = split(line).map_err(at(index + 1))?;
        if !words.is_empty() {
            reader.statement(&words).map_err(at(index + 1))?;
        }
    }
    if reader.script.turns.is_empty() {
        let line = text.lines().count().max(1);
        return Err(at(line)(("there is no turn".into(), "a script has at least one `turn`".into())));
    }
    Ok(reader.script)
}

/// The WAV files in a script, with their lines. Lines that cannot be read are left to [`script`].
pub(super) fn files(text: &str) -> Vec<(usize, String)> {
    let mut files = Vec::new();
    for (index, line) in text.lines().enumerate() {
        if let Ok([Bare("say"), Bare(name), ..]) = split(line).as_deref()
            && name.ends_with(".wav")
        {
            files.push((index + 1, (*name).to_owned()));
        }
    }
    files
}

/// A line's words, without its comment.
fn split(line: &str) -> Result<Vec<Word<'_>>, Complaint> {
    let mut words = Vec::new();
    let mut rest = line.trim();
    while !rest.is_empty() && !rest.starts_with('#') {
        if rest.starts_with(['"', '{', '[']) {
            let mut values = serde_json::Deserializer::from_str(rest).into_iter::<Value>();
            let value = match values.next() {
                Some(Ok(value)) => value,
                Some(Err(error)) => return Err((format!("{rest} cannot be read: {error}"), "JSON is wanted".into())),
                None => break,
            };
            rest = &rest[values.byte_offset()..];
            words.push(match value {
                Value::String(text) => Text(text),
                other => Json(other),
            });
        } else {
            let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
            words.push(Bare(&rest[..end]));
            rest = &rest[end..];
        }
        rest = rest.trim_start();
    }
    Ok(words)
}

struct Reader<'a> {
    sounds: &'a Sounds,
    script: Script,
    /// Whether `turn *` was seen, after which no turn can be reached.
    open_ended: bool,
    /// Frames of sound in it so far, at the downlink's rate.
    frames_said: usize,
}

impl Reader<'_> {
    fn statement(&mut self, words: &[Word<'_>]) -> Result<(), Complaint> {
        if let Some(change) = style(words)? {
            if self.script.turns.is_empty() {
                self.script.style.change(change);
                return Ok(());
            }
            return self.add(Step::Style(change), words);
        }
        match words {
            [Bare("turn"), rest @ ..] => self.turn(rest),
            [Bare("setup" | "latency" | "connections" | "handles" | "lives" | "usage"), ..] => {
                if self.script.turns.is_empty() {
                    return self.preamble(words);
                }
                Err((show(words), "this statement comes before the first turn".into()))
            }
            _ => {
                let step = self.step(words)?;
                self.add(step, words)
            }
        }
    }

    /// Adds a statement to the turn that was begun last.
    fn add(&mut self, step: Step, words: &[Word<'_>]) -> Result<(), Complaint> {
        let Some(turn) = self.script.turns.last_mut() else {
            return Err((show(words), "this statement belongs into a turn; begin one with `turn`".into()));
        };
        if turn.steps.len() >= STEPS_MAX {
            return Err(("the turn is too long".into(), format!("{STEPS_MAX} statements at most")));
        }
        if let Step::Speak(frames, _) = &step {
            self.frames_said += frames.len();
            if self.frames_said > frames_in(SCRIPT_SOUND_MAX) {
                let right = format!("{} minutes of sound at most", SCRIPT_SOUND_MAX.as_secs() / 60);
                return Err(("the script says too much".into(), right));
            }
        }
        turn.steps.push(step);
        Ok(())
    }

    fn turn(&mut self, rest: &[Word<'_>]) -> Result<(), Complaint> {
        let right = "`turn`, `turn \"what the user said\"`, or as the last one `turn *`";
        if self.open_ended {
            return Err(("a turn after `turn *` is never reached".into(), "put `turn *` last".into()));
        }
        if self.script.turns.len() >= TURNS_MAX {
            return Err(("there are too many turns".into(), format!("{TURNS_MAX} at most")));
        }
        let (open_ended, heard) = match rest {
            [] => (false, None),
            [Text(heard)] => (false, Some(heard.clone())),
            [Bare("*")] => (true, None),
            [Bare("*"), Text(heard)] => (true, Some(heard.clone())),
            other => return Err((format!("turn {}", show(other)), right.into())),
        };
        self.open_ended = open_ended;
        self.script.turns.push(Turn { heard, steps: Vec::new() });
        Ok(())
    }

    fn preamble(&mut self, words: &[Word<'_>]) -> Result<(), Complaint> {
        match words {
            [Bare("setup"), Bare("delay"), Bare(delay)] => self.script.setup_delay = time(delay)?,
            [Bare("setup"), Bare("never")] => self.script.setup = SetupPlan::Never,
            [Bare("setup"), Bare("close"), Bare(code), Text(reason)] => {
                self.script.setup = SetupPlan::Close { code: close_code(code)?, reason: reason.clone() };
            }
            [Bare("latency"), Bare(latency)] => self.script.latency = time(latency)?,
            [Bare("connections"), Bare("continue")] => self.script.continues = true,
            [Bare("handles"), Bare("off")] => self.script.handles.hand_out = HandOut::Never,
            [Bare("handles"), Bare("early")] => self.script.handles.hand_out = HandOut::Early,
            [Bare("handles"), Bare("withheld")] => self.script.handles.hand_out = HandOut::Withheld,
            [Bare("handles"), Bare("late"), Bare(late)] => self.script.handles.hand_out = HandOut::Late(time(late)?),
            [Bare("handles"), Bare(valid)] => self.script.handles.valid = long_time(valid)?,
            [Bare("lives"), Bare(length), rest @ ..] => self.script.life = Some(life(length, rest)?),
            [Bare("usage"), Bare("off")] => self.script.usage = false,
            _ => {
                let right = "`setup delay 120ms`, `setup never`, `setup close 1011 \"reason\"`, `latency 200ms`, \
                             `connections continue`, `handles 2h`, `handles off`, `handles late 300ms`, \
                             `handles early`, `handles withheld`, `lives 590s away 50s`, `lives 58m silent` or \
                             `usage off`";
                return Err((show(words), right.into()));
            }
        }
        Ok(())
    }

    fn step(&self, words: &[Word<'_>]) -> Result<Step, Complaint> {
        Ok(match words {
            [Bare("say"), Bare(name)] => self.sound(name, None)?,
            [Bare("say"), Bare(name), Text(text)] => self.sound(name, Some(text))?,
            [Bare("tone"), Bare(pitch), Bare(length)] => tone_step(pitch, length, "")?,
            [Bare("tone"), Bare(pitch), Bare(length), Text(text)] => tone_step(pitch, length, text)?,
            [Bare("silence"), Bare(length)] => Step::Speak(silence(sound_length(length)?), String::new()),
            [Bare("echo")] => Step::Echo,
            [Bare("caption"), Text(text)] => Step::Caption(text.clone()),
            [Bare("thought"), Text(text)] => Step::Thought(text.clone()),
            [Bare("wait"), Bare(length)] => Step::Wait(time(length)?),
            [Bare(verb @ ("call" | "call!")), Bare(name), rest @ ..] => Step::Call(call(verb, name, rest)?),
            [Bare(verb @ ("start" | "start!")), Bare(name), rest @ ..] => Step::Start(call(verb, name, rest)?),
            [Bare("await")] => Step::Await,
            [Bare("cancel")] => Step::Cancel,
            [Bare("interrupt")] => Step::Interrupt,
            [Bare("see"), Bare(pictures)] => Step::See(count(pictures)?),
            [Bare("stall")] => Step::Stall,
            [Bare("go-away"), Bare(left)] => Step::GoAway(time(left)?),
            [Bare("raw"), Json(event)] => Step::Raw(event.clone()),
            [Bare("garbage"), Text(text)] => Step::Garbage(text.clone()),
            [Bare("empty")] => Step::Empty,
            [Bare("close"), Bare(code)] => Step::Close { code: close_code(code)?, reason: String::new() },
            [Bare("close"), Bare(code), Text(reason)] => {
                Step::Close { code: close_code(code)?, reason: reason.clone() }
            }
            _ => return Err((format!("`{}` is not understood", show(words)), usage(words))),
        })
    }

    fn sound(&self, name: &str, text: Option<&String>) -> Result<Step, Complaint> {
        let Some(sound) = self.sounds.get(name) else {
            let known: Vec<_> = self.sounds.names().collect();
            let right = match known.as_slice() {
                [] => "a WAV file (`say hello.wav \"Hello.\"`) or `tone 440Hz 2s` would do".to_owned(),
                names => {
                    format!("the sounds are {}; a WAV file (`say hello.wav \"Hello.\"`) would do", names.join(", "))
                }
            };
            return Err((format!("there is no sound named {name}"), right));
        };
        let frames = to_downlink(&sound.frames, sound.rate);
        if frames.len() > frames_in(SOUND_MAX) {
            return Err((format!("{name} is too long"), format!("{} s at most", SOUND_MAX.as_secs())));
        }
        Ok(Step::Speak(frames, text.unwrap_or(&sound.text).clone()))
    }
}

fn tone_step(pitch: &str, length: &str, text: &str) -> Result<Step, Complaint> {
    let wanted = || format!("a pitch from {} to {}, like 440Hz", PITCHES_HZ.start(), PITCHES_HZ.end());
    let pitch_hz = pitch.strip_suffix("Hz").and_then(|hz| hz.parse().ok()).filter(|hz| PITCHES_HZ.contains(hz));
    let pitch = Hertz(pitch_hz.ok_or_else(|| (format!("tone {pitch}"), wanted()))?);
    Ok(Step::Speak(tone(pitch, sound_length(length)?), text.to_owned()))
}

fn call(verb: &str, name: &str, rest: &[Word<'_>]) -> Result<ScriptedCall, Complaint> {
    let args = match rest {
        [] => Value::Object(serde_json::Map::new()),
        [Json(args @ Value::Object(_))] => args.clone(),
        other => {
            let right = format!("arguments are one JSON object: {verb} {name} {{\"on\": true}}");
            return Err((format!("{verb} {name} {}", show(other)), right));
        }
    };
    Ok(ScriptedCall { name: name.to_owned(), args, forced: verb.ends_with('!') })
}

/// How long a connection lives, and how long before its end `goAway` comes.
fn life(length: &str, rest: &[Word<'_>]) -> Result<Life, Complaint> {
    let right = || "`lives 590s away 50s` (the second time is the shorter one), or `lives 58m silent`".to_owned();
    let length = long_time(length)?;
    let away = match rest {
        [] => Some(AWAY),
        [Bare("away"), Bare(left)] => Some(time(left)?),
        [Bare("silent")] => None,
        other => return Err((format!("lives … {}", show(other)), right())),
    };
    if away.is_some_and(|left| left >= length) {
        return Err((format!("a life of {} s is shorter than its goAway", length.as_secs_f64()), right()));
    }
    Ok(Life { length, away })
}

/// The change of style that the words stand for, if they are such a statement.
fn style(words: &[Word<'_>]) -> Result<Option<StyleChange>, Complaint> {
    let switch = |word: &str, verb: &str| match word {
        "on" => Ok(true),
        "off" => Ok(false),
        other => Err((format!("{verb} {other}"), format!("`{verb} on` or `{verb} off`"))),
    };
    Ok(Some(match words {
        [Bare("pieces"), Bare(shortest), Bare(longest)] => {
            let (shortest, longest) = (time(shortest)?, time(longest)?);
            if shortest < PIECE_MIN || longest > PIECE_MAX || shortest > longest {
                return Err((show(words), "1ms to 2s, the shorter one first: `pieces 8ms 60ms`".into()));
            }
            StyleChange::Pieces(shortest, longest)
        }
        [Bare("pace"), Bare(pace)] => {
            let times = pace.strip_suffix('x').and_then(|times| times.parse().ok()).filter(|n| PACES.contains(n));
            StyleChange::Pace(times.ok_or_else(|| (show(words), "1x to 1000x: `pace 10x`".to_owned()))?)
        }
        [Bare("odd"), Bare(word)] => StyleChange::Odd(switch(word, "odd")?),
        [Bare("pack"), Bare(word)] => StyleChange::Packed(switch(word, "pack")?),
        [Bare("frames"), Bare("binary")] => StyleChange::Frames(FrameKind::Binary),
        [Bare("frames"), Bare("text")] => StyleChange::Frames(FrameKind::Text),
        [Bare("complete"), Bare("realtime")] => StyleChange::Completion(Completion::RealTime),
        [Bare("complete"), Bare(after)] => StyleChange::Completion(Completion::After(time(after)?)),
        _ => return Ok(None),
    }))
}

fn time(word: &str) -> Result<Duration, Complaint> {
    let parsed = match word.strip_suffix("ms") {
        Some(ms) => ms.parse().ok().map(Duration::from_millis),
        None => word.strip_suffix('s').and_then(|s| s.parse().ok()).and_then(|s| Duration::try_from_secs_f64(s).ok()),
    };
    parsed.filter(|time| *time <= TIME_MAX).ok_or_else(|| (word.to_owned(), "a time like 120ms or 2.5s".into()))
}

/// A time that may be given in minutes or hours too.
fn long_time(word: &str) -> Result<Duration, Complaint> {
    let unit = |suffix: char, seconds: u64| {
        word.strip_suffix(suffix).and_then(|n| n.parse::<u64>().ok()).and_then(|n| n.checked_mul(seconds))
    };
    match unit('h', 3600).or(unit('m', 60)).map(Duration::from_secs) {
        Some(long) if long <= LONG_TIME_MAX => Ok(long),
        Some(_) => Err((word.to_owned(), format!("{} h at most", LONG_TIME_MAX.as_secs() / 3600))),
        None => time(word).map_err(|(what, _)| (what, "a time like 300ms, 50s, 58m or 2h".to_owned())),
    }
}

fn sound_length(word: &str) -> Result<Duration, Complaint> {
    let length = time(word)?;
    if length > SOUND_MAX {
        return Err((word.to_owned(), format!("a sound lasts {} s at most", SOUND_MAX.as_secs())));
    }
    Ok(length)
}

/// How many pictures.
fn count(word: &str) -> Result<usize, Complaint> {
    let count = word.parse().ok().filter(|count| *count <= 256);
    count.ok_or_else(|| (format!("see {word}"), "a number of pictures, 0 to 256: see 1".into()))
}

/// Codes that a server may put into a close frame, and 1006 for a connection that is cut.
fn close_code(word: &str) -> Result<u16, Complaint> {
    let code = word.parse().ok().filter(|code| matches!(code, 1000..=1003 | 1006..=1014 | 3000..=4999));
    code.ok_or_else(|| {
        (format!("close {word}"), "a close code: 1000, 1007, 1008, 1011, or 1006 to cut the line".into())
    })
}

/// How the statement that the first word names is written.
fn usage(words: &[Word<'_>]) -> String {
    let Some(Bare(verb)) = words.first() else { return "a statement begins with its name".into() };
    let right = match *verb {
        "say" => "say NAME, or say FILE.wav \"text\"",
        "tone" => "tone 440Hz 2s \"text\"",
        "silence" => "silence 500ms",
        "caption" => "caption \"text\"",
        "thought" => "thought \"text\"",
        "wait" => "wait 300ms",
        "call" | "start" | "call!" | "start!" => "call NAME {\"argument\": 1}",
        "go-away" => "go-away 50s",
        "raw" => "raw {\"serverContent\": {}}",
        "garbage" => "garbage \"text\"",
        "close" => "close 1011 \"reason\"",
        "pieces" => "pieces 8ms 60ms",
        "pace" => "pace 10x",
        "see" => "see 1",
        "frames" => "frames binary, or frames text",
        "complete" => "complete realtime, or complete 300ms",
        "echo" | "await" | "cancel" | "interrupt" | "stall" | "empty" => "this statement stands alone",
        _ => {
            return "statements are turn, say, tone, silence, echo, caption, thought, wait, call, start, await, cancel, \
                    see, interrupt, stall, go-away, raw, garbage, empty, close, pieces, pace, odd, frames, pack, complete, \
                    setup, latency, connections, handles, lives and usage"
                .into();
        }
    };
    format!("it is written `{right}`")
}

fn show(words: &[Word<'_>]) -> String {
    let shown: Vec<_> = words
        .iter()
        .map(|word| match word {
            Bare(word) => (*word).to_owned(),
            Text(text) => format!("{text:?}"),
            Json(value) => value.to_string(),
        })
        .collect();
    shown.join(" ")
}
