//! One reply of the model: the block of the script, played in time.
//!
//! It knows nothing of connections: it says what is due ([`Act`]), and when the next thing will be.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::script::{Completion, ScriptedCall, Step, Style};
use super::sounds::frames_in;
use super::usage::Context;
use crate::audio::DOWNLINK_RATE;
use crate::units::{Frames, Time};

/// Eighths between the shortest and the longest piece, in the order in which pieces take them: uneven, and
/// the same in every run.
const UNEVEN_EIGHTHS: [u32; 9] = [0, 8, 3, 6, 1, 5, 2, 7, 4];

/// Words in a piece of output transcription.
const CAPTION_WORDS: usize = 2;

/// What is due.
#[derive(Debug, PartialEq)]
pub(super) enum Act {
    /// Send this event.
    Event(Value),
    /// Send this event, together with the next one.
    Hold(Value),
    /// Send this, which is no event.
    Verbatim(String),
    /// Make these calls.
    Calls(Vec<ScriptedCall>),
    CancelCalls,
    /// Cut this reply.
    Interrupt,
    /// This turn must have seen so many pictures.
    See(usize),
    Close {
        code: u16,
        reason: String,
    },
    /// Send `generationComplete`; with true, together with `turnComplete`, and the reply is over.
    Generated(bool),
    /// Send `turnComplete`; the reply is over.
    Complete,
}

enum Stage {
    /// The next statement or piece comes at this time.
    Running(Time),
    /// Until the open calls are answered.
    AwaitingCalls,
    Stalled,
    /// All was sent; the turn is complete at this time.
    Generated(Time),
    Over,
}

/// A reply under way.
pub(super) struct Reply {
    steps: VecDeque<Step>,
    style: Style,
    /// What `echo` says: `[frames, 1 channel] S16 @ 24 kHz`.
    voice: Arc<[i16]>,
    speaking: Option<Speaking>,
    due_acts: VecDeque<Act>,
    stage: Stage,
    /// When a client that plays in real time has played all that was sent.
    heard_until: Time,
    /// Sound and thoughts sent so far, as tokens.
    tokens: Context,
    frames_sent: u64,
    captioned: bool,
}

/// A sound that is being sent, as bytes.
struct Speaking {
    frames: Arc<[i16]>,
    bytes_sent: usize,
    pieces_sent: usize,
    words: VecDeque<String>,
    words_total: usize,
}

impl Reply {
    /// A reply that begins at `starts_at`.
    pub(super) fn new(steps: &[Step], style: Style, voice: Arc<[i16]>, starts_at: Time) -> Reply {
        Reply {
            steps: steps.iter().cloned().collect(),
            style,
            voice,
            speaking: None,
            due_acts: VecDeque::new(),
            stage: Stage::Running(starts_at),
            heard_until: starts_at,
            tokens: Context::default(),
            frames_sent: 0,
            captioned: false,
        }
    }

    pub(super) fn style(&self) -> Style {
        self.style
    }

    /// What it has cost so far.
    pub(super) fn tokens(&self) -> Context {
        self.tokens
    }

    /// Sound sent so far.
    pub(super) fn sent(&self) -> Duration {
        Frames(self.frames_sent).duration(DOWNLINK_RATE)
    }

    /// When to come back; none where only the client or nothing can move it.
    pub(super) fn deadline(&self) -> Option<Time> {
        match self.stage {
            Stage::Running(at) | Stage::Generated(at) => Some(at),
            Stage::AwaitingCalls | Stage::Stalled | Stage::Over => None,
        }
    }

    /// Whether it waits for the answers to its calls.
    pub(super) fn awaits_calls(&self) -> bool {
        matches!(self.stage, Stage::AwaitingCalls)
    }

    /// The calls it waited for are answered: goes on at `at`.
    pub(super) fn go_on(&mut self, at: Time) {
        if self.awaits_calls() {
            self.stage = Stage::Running(at);
        }
    }

    /// The next thing that is due; `open_calls` says whether a call still lacks its answer.
    pub(super) fn next(&mut self, now: Time, open_calls: bool) -> Option<Act> {
        loop {
            if let Some(act) = self.due_acts.pop_front() {
                return Some(act);
            }
            match self.stage {
                Stage::Running(at) if at <= now => {
                    if self.speaking.is_some() {
                        self.speak(now, at);
                    } else if let Some(step) = self.steps.pop_front() {
                        self.take(step, at, open_calls);
                    } else {
                        self.finish(now);
                    }
                }
                Stage::Generated(at) if at <= now => {
                    self.stage = Stage::Over;
                    return Some(Act::Complete);
                }
                _ => return None,
            }
        }
    }

    /// Takes a statement of the script.
    fn take(&mut self, step: Step, at: Time, open_calls: bool) {
        match step {
            Step::Wait(length) => self.stage = Stage::Running(at + length),
            Step::Speak(frames, text) => self.begin_to_speak(frames, &text),
            Step::Echo => self.begin_to_speak(self.voice.clone(), ""),
            Step::Caption(text) => self.caption(&text),
            Step::Thought(text) => {
                self.tokens.add_text(&text);
                let part = json!({"text": text, "thought": true});
                self.event(json!({"serverContent": {"modelTurn": {"role": "model", "parts": [part]}}}));
            }
            Step::Call(call) => {
                let mut calls = vec![call];
                while let Some(Step::Call(_)) = self.steps.front() {
                    if let Some(Step::Call(call)) = self.steps.pop_front() {
                        calls.push(call);
                    }
                }
                self.due_acts.push_back(Act::Calls(calls));
                // Comes round again as `await`, when it is known which calls were really made.
                self.steps.push_front(Step::Await);
            }
            Step::Start(call) => self.due_acts.push_back(Act::Calls(vec![call])),
            Step::Await if open_calls => self.stage = Stage::AwaitingCalls,
            Step::Await => {}
            Step::Cancel => self.due_acts.push_back(Act::CancelCalls),
            Step::See(pictures) => self.due_acts.push_back(Act::See(pictures)),
            Step::Interrupt => self.due_acts.push_back(Act::Interrupt),
            Step::Stall => self.stage = Stage::Stalled,
            Step::GoAway(left) => self.event(json!({"goAway": {"timeLeft": format!("{}s", left.as_secs_f64())}})),
            Step::Raw(event) => self.event(event),
            Step::Garbage(text) => self.due_acts.push_back(Act::Verbatim(text)),
            Step::Empty => self.event(json!({"serverContent": {}})),
            Step::Close { code, reason } => self.due_acts.push_back(Act::Close { code, reason }),
            Step::Style(change) => self.style.change(change),
        }
    }

    fn event(&mut self, event: Value) {
        self.due_acts.push_back(Act::Event(event));
    }

    fn begin_to_speak(&mut self, frames: Arc<[i16]>, text: &str) {
        if frames.is_empty() {
            return self.caption(text);
        }
        let words: VecDeque<_> = text.split_whitespace().map(str::to_owned).collect();
        self.speaking = Some(Speaking { frames, bytes_sent: 0, pieces_sent: 0, words_total: words.len(), words });
    }

    fn caption(&mut self, text: &str) {
        if !text.is_empty() {
            let text = self.spaced(text);
            self.event(json!({"serverContent": {"outputTranscription": {"text": text}}}));
        }
    }

    /// Pieces of a caption are appended to each other, so each but the first begins with a space.
    fn spaced(&mut self, text: &str) -> String {
        let space = if self.captioned { " " } else { "" };
        self.captioned = true;
        format!("{space}{text}")
    }

    /// Sends the next piece of the sound.
    fn speak(&mut self, now: Time, at: Time) {
        let Some(speaking) = &mut self.speaking else { return };
        let bytes = speaking.next_piece(&self.style);
        let last = speaking.is_over();
        let words = speaking.next_words();
        let frames = (bytes.len() / 2) as u64;
        let length = Frames(frames).duration(DOWNLINK_RATE);
        self.frames_sent += frames;
        self.tokens.add_audio(bytes.len() / 2, DOWNLINK_RATE);
        self.heard_until = self.heard_until.max(now) + length;
        self.stage = Stage::Running(at + length / self.style.pace);
        if last {
            self.speaking = None;
        }
        let caption = words.map(|words| self.spaced(&words));
        if !self.style.packed {
            if let Some(caption) = caption {
                self.event(json!({"serverContent": {"outputTranscription": {"text": caption}}}));
            }
            return self.event(content(&[&bytes], None));
        }
        let (first, second) = bytes.split_at(if self.style.odd { bytes.len() / 2 } else { bytes.len() / 4 * 2 });
        let event = content(&[first, second], caption);
        // What follows at once rides with the last piece.
        let followed = matches!(self.steps.front(), None | Some(Step::Call(_) | Step::Start(_)));
        self.due_acts.push_back(if last && followed { Act::Hold(event) } else { Act::Event(event) });
        if last && followed {
            self.stage = Stage::Running(at);
        }
    }

    /// All was sent.
    fn finish(&mut self, now: Time) {
        let complete_at = match self.style.completion {
            Completion::RealTime => self.heard_until.max(now),
            Completion::After(wait) => now + wait,
        };
        let together = self.style.packed && complete_at <= now;
        self.stage = if together { Stage::Over } else { Stage::Generated(complete_at) };
        self.due_acts.push_back(Act::Generated(together));
    }
}

impl Speaking {
    /// The next bytes: `[≤ frames, 1 channel] S16_LE @ 24 kHz`, cut within a sample where the style wants it.
    fn next_piece(&mut self, style: &Style) -> Vec<u8> {
        let (shortest, longest) = style.pieces;
        let eighths = UNEVEN_EIGHTHS[self.pieces_sent % UNEVEN_EIGHTHS.len()];
        let frames = frames_in(shortest + (longest - shortest) * eighths / 8).max(1);
        let start = self.bytes_sent;
        let end = (start + frames * 2 + usize::from(style.odd)).min(self.frames.len() * 2);
        self.pieces_sent += 1;
        self.bytes_sent = end;
        (start..end).map(|byte| self.frames[byte / 2].to_le_bytes()[byte % 2]).collect()
    }

    fn is_over(&self) -> bool {
        self.bytes_sent >= self.frames.len() * 2
    }

    /// The words that the sound has reached, if they are worth a piece.
    fn next_words(&mut self) -> Option<String> {
        let reached = (self.words_total * self.bytes_sent).div_ceil(self.frames.len() * 2);
        let ready = reached.saturating_sub(self.words_total - self.words.len());
        if ready == 0 || (ready < CAPTION_WORDS && !self.is_over()) {
            return None;
        }
        Some(self.words.drain(..ready).collect::<Vec<_>>().join(" "))
    }
}

/// An event with sound, one part for each of `pieces`.
fn content(pieces: &[&[u8]], caption: Option<String>) -> Value {
    let mime = format!("audio/pcm;rate={}", DOWNLINK_RATE.0);
    let parts: Vec<_> = pieces
        .iter()
        .filter(|bytes| !bytes.is_empty())
        .map(|bytes| json!({"inlineData": {"mimeType": mime, "data": STANDARD.encode(bytes)}}))
        .collect();
    let mut content = json!({"modelTurn": {"role": "model", "parts": parts}});
    if let Some(caption) = caption {
        content["outputTranscription"] = json!({"text": caption});
    }
    json!({"serverContent": content})
}
