//! The demo's figures, read from its events.

use std::time::Duration;

use crate::flow::{Event, What};
use crate::units::Time;

/// How far before a cut its cause may lie.
const CAUSE_WITHIN: Duration = Duration::from_millis(1000);

/// What was counted and measured.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Turns of the user that were sent.
    pub turns: usize,
    /// Replies that were interrupted.
    pub cuts: usize,
    /// Tool calls that were answered with an output.
    pub calls: usize,
    /// From the end of each question to the first sound of its reply, ms. With tools in between it counts too.
    pub reply_ms: Vec<u64>,
    /// From the press (or the gate that opened) to silence, ms.
    pub silence_ms: Vec<u64>,
}

impl Facts {
    /// Reads the events of one or more scenes, in order.
    pub fn of(events: &[Event]) -> Facts {
        let mut facts = Facts::default();
        let (mut asked, mut cause, mut cut) = (None, None, None::<Time>);
        for Event { at, what } in events {
            match what {
                What::LinkOpening => (asked, cause, cut) = (None, None, None),
                What::WindowClosed { .. } => {
                    facts.turns += 1;
                    asked = Some(*at);
                }
                What::Pressed => cause = Some(*at),
                What::GateOpened { .. } if cause.is_none_or(|cause| at.since(cause) > CAUSE_WITHIN) => {
                    cause = Some(*at);
                }
                What::ReplyHeard { .. } => {
                    facts.reply_ms.extend(asked.take().map(|asked: Time| at.since(asked).as_millis() as u64));
                }
                What::ReplyCut { .. } => {
                    facts.cuts += 1;
                    cut = Some(cause.filter(|cause| at.since(*cause) <= CAUSE_WITHIN).unwrap_or(*at));
                }
                What::ReplySilent { .. } => {
                    facts.silence_ms.extend(cut.take().map(|cut| at.since(cut).as_millis() as u64));
                }
                What::ToolAnswered { result: Ok(_), .. } => facts.calls += 1,
                _ => {}
            }
        }
        facts
    }

    /// A few lines for the end of the demo; each ends in a line feed.
    pub fn summary(&self) -> String {
        let plural = |count: usize, word: &str| format!("{count} {word}{}", if count == 1 { "" } else { "s" });
        let mut text = format!(
            "{}, {}, {} interrupted\n",
            plural(self.turns, "turn"),
            plural(self.calls, "tool call"),
            plural(self.cuts, "reply").replace("replys", "replies"),
        );
        if let Some(middle) = middle(&self.reply_ms) {
            text += &format!("question sent → first sound of the reply: {middle} ms (with the emulator's own delay)\n");
        }
        if let Some(middle) = middle(&self.silence_ms) {
            text += &format!("interruption → silence: {middle} ms\n");
        }
        text
    }
}

/// The median; of an even number the lower of the middle two.
fn middle(values: &[u64]) -> Option<u64> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    sorted.get(sorted.len().checked_sub(1)? / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::OpenCause;
    use crate::units::Epoch;

    fn events(list: Vec<(u64, What)>) -> Vec<Event> {
        list.into_iter().map(|(ms, what)| Event { at: Time::from_ms(ms), what }).collect()
    }

    #[test]
    fn figures_come_from_the_right_pairs_of_events() {
        let epoch = Epoch(1);
        let cut = What::ReplyCut { epoch, received_ms: 1, by_user: true };
        let facts = Facts::of(&events(vec![
            (0, What::LinkOpening),
            (1000, What::WindowClosed { sent_ms: 1 }),
            (1300, What::ReplyHeard { epoch }),
            (4000, What::Pressed),
            (4002, cut.clone()),
            (4015, What::ReplySilent { epoch, heard_ms: 1 }),
            (4200, What::GateOpened { cause: OpenCause::Button }),
            (5000, What::WindowClosed { sent_ms: 1 }),
            (5500, What::ReplyHeard { epoch }),
            (9000, What::GateOpened { cause: OpenCause::Voice }),
            (9001, cut),
            (9020, What::ReplySilent { epoch, heard_ms: 1 }),
        ]));
        let expected = Facts { turns: 2, cuts: 2, calls: 0, reply_ms: vec![300, 500], silence_ms: vec![15, 20] };
        assert_eq!(facts, expected);
        assert!(facts.summary().contains("2 turns, 0 tool calls, 2 replies interrupted"), "{}", facts.summary());
    }

    #[test]
    fn nothing_happened_is_said_without_figures() {
        let facts = Facts::of(&[]);
        assert_eq!(facts.summary(), "0 turns, 0 tool calls, 0 replies interrupted\n");
    }
}
