//! The live timeline: one printed line for each thing that a person would notice.
//!
//! Pure: events in, lines out. Messages of speech come fifty a second; they are folded into sums.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::flow::{CloseCause, DropCause, Event, OpenCause, What};
use crate::units::{Epoch, Time};

/// Folds events into lines.
#[derive(Default)]
pub struct Ticker {
    began: Time,
    user_text: String,
    captions: BTreeMap<Epoch, String>,
    window_closed: Option<Time>,
    cut: Option<Time>,
}

impl Ticker {
    /// A ticker whose zero is `began`.
    pub fn new(began: Time) -> Ticker {
        Ticker { began, ..Ticker::default() }
    }

    /// A new session begins: epochs count from the start again.
    pub fn restart(&mut self) {
        *self = Ticker::new(self.began);
    }

    /// A line of the director's, in the same columns.
    pub fn line(&self, at: Time, who: &str, text: &str) -> String {
        format!("{:>8.2}  {who:<7} {text}\n", at.since(self.began).as_secs_f64())
    }

    /// The lines for an event; empty where a person would notice nothing. Every line ends in a line feed.
    pub fn handle_event(&mut self, event: &Event) -> String {
        let mut lines = self.texts_before(event);
        if let Some((who, text)) = self.own_line(event) {
            lines += &self.line(event.at, who, &text);
        }
        lines
    }

    /// Captions that are complete now that this happened.
    fn texts_before(&mut self, event: &Event) -> String {
        let mut lines = String::new();
        let at = event.at;
        let answers = matches!(
            event.what,
            What::ReplyStarted { .. } | What::ToolCalled { .. } | What::TurnOver { .. } | What::NoAnswer { .. }
        );
        if answers && !self.user_text.is_empty() {
            let text = std::mem::take(&mut self.user_text);
            lines += &self.line(at, "you", &quoted(&text, ""));
        }
        let (finished, more) = match event.what {
            What::ReplyGenerated { epoch } | What::ReplyDrained { epoch, .. } => (Some(epoch), ""),
            What::ReplyCut { epoch, .. } => (Some(epoch), " …"),
            _ => (None, ""),
        };
        if let Some(caption) = finished.and_then(|epoch| self.captions.remove(&epoch)) {
            lines += &self.line(at, "mynah", &quoted(&caption, more));
        }
        lines
    }

    fn own_line(&mut self, event: &Event) -> Option<(&'static str, String)> {
        self.link_line(event)
            .or_else(|| self.user_line(event))
            .or_else(|| self.reply_line(event))
            .or_else(|| tool_line(&event.what))
    }

    fn link_line(&mut self, event: &Event) -> Option<(&'static str, String)> {
        Some(match &event.what {
            What::Ringing { is_ringing: true } => ("timer", "rings".into()),
            What::Ringing { is_ringing: false } => ("timer", "rings no more".into()),
            What::CameraRuns { is_running } => ("camera", if *is_running { "runs" } else { "rests" }.into()),
            What::StillSent { width, height, bytes, age_ms, .. } => {
                let kib = bytes.div_ceil(1024);
                ("camera", format!("picture sent: {width}×{height}, {kib} KiB, {age_ms} ms old"))
            }
            What::NoticeTold => ("mynah", "has something to tell".into()),
            What::NoticeLost { why } => ("mynah", format!("could not tell something: {why}")),
            What::LinkOpening => ("link", "connecting".into()),
            What::LinkReady { setup_ms, .. } => ("link", format!("ready after {setup_ms} ms")),
            What::LinkDown { why } => ("link", format!("down: {why}")),
            What::NoAnswer { waited_ms } => ("link", format!("no answer within {waited_ms} ms")),
            What::Trouble { part, text } => ("trouble", format!("{part}: {text}")),
            What::Recovered { part } => ("trouble", format!("{part} works again")),
            _ => return None,
        })
    }

    fn user_line(&mut self, event: &Event) -> Option<(&'static str, String)> {
        Some(match &event.what {
            What::Pressed => ("button", "pressed".into()),
            What::Released => ("button", "released".into()),
            What::GateOpened { cause: OpenCause::Button } => ("gate", "open: speech, and the button is held".into()),
            What::GateOpened { cause: OpenCause::Voice } => ("gate", "open: somebody speaks".into()),
            What::GateClosed { cause } => ("gate", format!("closed: {}", close_words(*cause))),
            What::WindowClosed { sent_ms } => {
                self.window_closed = Some(event.at);
                ("gate", format!("{} of speech sent", seconds(*sent_ms)))
            }
            What::PressDropped { cause: DropCause::TooShort } => ("gate", "press ignored: too short".into()),
            What::PressDropped { cause: DropCause::OnlySilence } => ("gate", "nothing sent: only silence".into()),
            What::PressDropped { cause: DropCause::Gesture } => ("gate", "nothing sent: a gesture".into()),
            What::PressDropped { cause: DropCause::Muted } => ("gate", "press ignored: muted".into()),
            What::SpeechLost { ms, why } => ("gate", format!("{} of speech lost: {why}", seconds(*ms))),
            What::UserText { text } => {
                self.user_text.clone_from(text);
                return None;
            }
            _ => return None,
        })
    }

    fn reply_line(&mut self, event: &Event) -> Option<(&'static str, String)> {
        Some(match &event.what {
            What::ModelText { epoch, text } => {
                self.captions.entry(*epoch).or_default().push_str(text);
                return None;
            }
            What::ReplyHeard { .. } => {
                let mut text = "is audible".to_owned();
                if let Some(closed) = self.window_closed.take() {
                    let _ = write!(text, ", {} ms after the question", event.at.since(closed).as_millis());
                }
                ("mynah", text)
            }
            What::ReplyDrained { heard_ms, .. } => ("mynah", format!("has finished; {} heard", seconds(*heard_ms))),
            What::ReplyCut { received_ms, by_user, .. } => {
                self.cut = Some(event.at);
                let who = if *by_user { "by you" } else { "by the service" };
                ("mynah", format!("INTERRUPTED {who}; {} had come", seconds(*received_ms)))
            }
            What::ReplySilent { heard_ms, .. } => {
                let mut text = format!("silent; {} heard", seconds(*heard_ms));
                if let Some(cut) = self.cut.take() {
                    let _ = write!(text, ", {} ms after the cut", event.at.since(cut).as_millis());
                }
                ("mynah", text)
            }
            _ => return None,
        })
    }
}

fn tool_line(what: &What) -> Option<(&'static str, String)> {
    Some(match what {
        What::ToolCalled { name, args, .. } => ("tool", format!("{name} {args}")),
        What::ToolAnswered { name, result: Ok(output), took_ms, .. } => {
            ("tool", format!("{name} answered {output} after {took_ms} ms"))
        }
        What::ToolAnswered { name, result: Err(why), .. } => ("tool", format!("{name} failed: {why}")),
        What::ToolCancelled { id } => ("tool", format!("call {id} taken back")),
        What::LineSet { line, active } if line == "lamp" => ("lamp", if *active { "ON" } else { "off" }.into()),
        What::LineSet { line, active } => ("line", format!("{line} {}", if *active { "active" } else { "inactive" })),
        _ => return None,
    })
}

fn close_words(cause: CloseCause) -> &'static str {
    match cause {
        CloseCause::Released => "the button was released",
        CloseCause::Silence => "silence",
        CloseCause::TooLong => "the longest turn is over",
        CloseCause::Mistake => "not meant",
        CloseCause::MicLost => "the microphone was lost",
    }
}

fn quoted(text: &str, more: &str) -> String {
    format!("\"{}{more}\"", text.trim())
}

fn seconds(ms: u64) -> String {
    format!("{:.1} s", ms as f64 / 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::CallId;

    fn print(events: Vec<(u64, What)>) -> Vec<String> {
        let mut ticker = Ticker::new(Time::from_ms(1000));
        let event = |(ms, what)| Event { at: Time::from_ms(ms), what };
        let text: String = events.into_iter().map(|e| ticker.handle_event(&event(e))).collect();
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn a_turn_is_told_in_a_few_lines() {
        let epoch = Epoch(1);
        let mut events = vec![(1500, What::Pressed), (1600, What::GateOpened { cause: OpenCause::Button })];
        events.extend((0..50).map(|i| (1600 + 20 * i, What::SpeechSent { ms: 20 })));
        events.extend([
            (2700, What::UserText { text: "Lamp".into() }),
            (2700, What::UserText { text: "Lamp on.".into() }),
            (2800, What::WindowClosed { sent_ms: 1040 }),
            (3000, What::ReplyStarted { epoch }),
            (3001, What::ModelText { epoch, text: "It is ".into() }),
            (3002, What::ModelText { epoch, text: "on.".into() }),
        ]);
        events.extend((0..50).map(|i| (3003 + i, What::ReplyReceived { epoch, ms: 20 })));
        events.extend([
            (3060, What::ReplyHeard { epoch }),
            (3100, What::ReplyGenerated { epoch }),
            (4000, What::ReplyDrained { epoch, heard_ms: 1000 }),
        ]);
        assert_eq!(
            print(events),
            [
                "    0.50  button  pressed",
                "    0.60  gate    open: speech, and the button is held",
                "    1.80  gate    1.0 s of speech sent",
                "    2.00  you     \"Lamp on.\"",
                "    2.06  mynah   is audible, 260 ms after the question",
                "    2.10  mynah   \"It is on.\"",
                "    3.00  mynah   has finished; 1.0 s heard",
            ]
        );
    }

    #[test]
    fn an_interruption_shows_what_was_said_until_then_and_how_fast_silence_came() {
        let epoch = Epoch(3);
        let lines = print(vec![
            (2000, What::ModelText { epoch, text: "The mynah is".into() }),
            (3000, What::ReplyCut { epoch, received_ms: 9000, by_user: true }),
            (3012, What::ReplySilent { epoch, heard_ms: 980 }),
        ]);
        assert_eq!(
            lines,
            [
                "    2.00  mynah   \"The mynah is …\"",
                "    2.00  mynah   INTERRUPTED by you; 9.0 s had come",
                "    2.01  mynah   silent; 1.0 s heard, 12 ms after the cut",
            ]
        );
    }

    #[test]
    fn tools_lamps_and_troubles_are_told() {
        let (id, name) = (CallId::from("7"), "set_lamp".to_owned());
        let lines = print(vec![
            (1000, What::ToolCalled { id: id.clone(), name: name.clone(), args: serde_json::json!({"on": true}) }),
            (1001, What::LineSet { line: "lamp".into(), active: true }),
            (1002, What::ToolAnswered { id, name, result: Err("no such line".into()), took_ms: 1 }),
            (1003, What::Trouble { part: "mic".into(), text: "it is gone".into() }),
        ]);
        let texts: Vec<&str> = lines.iter().map(|line| &line[10..]).collect();
        assert_eq!(
            texts,
            [
                "tool    set_lamp {\"on\":true}",
                "lamp    ON",
                "tool    set_lamp failed: no such line",
                "trouble mic: it is gone"
            ]
        );
    }
}
