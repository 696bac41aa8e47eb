//! The report that a fleet's owner reads: how the device is, by which configuration, and what it has done. No word that
//! anybody said is in it.

use serde_json::{Value, json};

use super::ledger::Refused;
use crate::flow::What;

/// Sentences of what is out of order.
const FAULTS_MAX: usize = 8;
/// Bytes of one.
const FAULT_BYTES_MAX: usize = 300;

/// What is counted since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    turns: u64,
    replies_lost: u64,
    connections: u64,
    connections_lost: u64,
    xruns: u64,
    /// Cost of the day, as far as anything of it is known since the start.
    day_microusd: Option<u64>,
}

impl Counts {
    /// Takes what happened.
    pub fn handle(&mut self, what: &What) {
        match what {
            What::TurnOver { .. } => self.turns += 1,
            What::ReplyLost { .. } => self.replies_lost += 1,
            What::LinkReady { .. } => self.connections += 1,
            What::LinkDown { .. } => self.connections_lost += 1,
            What::Xrun { .. } => self.xruns += 1,
            What::Usage { day_microusd, .. } => self.day_microusd = Some(*day_microusd),
            _ => {}
        }
    }
}

/// The configuration by which the device goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// `own`, `proving` or `accepted`.
    pub state: &'static str,
    /// Its serial; none for the device's own file.
    pub serial: Option<u64>,
    /// The serial of one that is taken and waits for a quiet moment.
    pub next: Option<u64>,
    /// The last that was not taken or taken back, if none was accepted since.
    pub refused: Option<Refused>,
}

/// What is in order and what is not: a change of it is told at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// Whether nothing vital is out of order.
    pub is_ok: bool,
    /// Sentences of what is out of order, also of what is not vital.
    pub faults: Vec<String>,
    /// The configuration.
    pub standing: Standing,
}

/// The rest of the report.
#[derive(Clone, Debug)]
pub struct Rest<'a> {
    /// The wall clock's time, as it is written.
    pub at: String,
    /// For how long the program runs, s.
    pub up_s: u64,
    /// The board profile's name.
    pub board: &'a str,
    /// What the device does, one word.
    pub state: &'static str,
    /// What was counted.
    pub counts: Counts,
}

/// The report.
pub fn json(order: &Order, rest: &Rest<'_>) -> Value {
    let faults = order.faults.iter().take(FAULTS_MAX);
    let faults: Vec<&str> = faults.map(|fault| &fault[..fault.floor_char_boundary(FAULT_BYTES_MAX)]).collect();
    let Standing { state, serial, next, refused } = &order.standing;
    let refused = refused.as_ref().map(|Refused { serial, why }| {
        let serial = (*serial > 0).then_some(serial);
        json!({ "serial": serial, "why": why[..why.floor_char_boundary(FAULT_BYTES_MAX)] })
    });
    let counts = &rest.counts;
    json!({
        "at": rest.at,
        "version": env!("CARGO_PKG_VERSION"),
        "board": rest.board,
        "up_s": rest.up_s,
        "state": rest.state,
        "is_ok": order.is_ok,
        "faults": faults,
        "day_usd": counts.day_microusd.map(|microusd| microusd as f64 / 1e6),
        "counts": {
            "turns": counts.turns,
            "replies_lost": counts.replies_lost,
            "connections": counts.connections,
            "connections_lost": counts.connections_lost,
            "xruns": counts.xruns,
        },
        "configuration": { "state": state, "serial": serial, "next": next, "refused": refused },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::live::usage::Usage;

    fn order() -> Order {
        let refused = Some(Refused { serial: 8, why: "the service was not reached within 120 s".into() });
        let standing = Standing { state: "accepted", serial: Some(7), next: None, refused };
        Order { is_ok: false, faults: vec!["mic: it was unplugged".into()], standing }
    }

    fn rest(counts: Counts) -> Rest<'static> {
        Rest { at: "2026-11-22T12:00:00Z".into(), up_s: 61, board: "sim", state: "trouble", counts }
    }

    #[test]
    fn the_report_is_the_one_that_is_written_down() {
        let mut counts = Counts::default();
        counts.handle(&What::TurnOver { reason: None });
        counts.handle(&What::Xrun { part: "mic".into() });
        counts.handle(&What::LinkDown { why: "gone".into() });
        let (turn, day_tokens) = (Usage::default(), 9);
        counts.handle(&What::Usage { turn, turn_microusd: 1, session_microusd: 2, day_tokens, day_microusd: 12_500 });
        let expected = json!({
            "at": "2026-11-22T12:00:00Z", "version": env!("CARGO_PKG_VERSION"), "board": "sim", "up_s": 61,
            "state": "trouble", "is_ok": false, "faults": ["mic: it was unplugged"], "day_usd": 0.0125,
            "counts": { "turns": 1, "replies_lost": 0, "connections": 0, "connections_lost": 1, "xruns": 1 },
            "configuration": {
                "state": "accepted", "serial": 7, "next": null,
                "refused": { "serial": 8, "why": "the service was not reached within 120 s" },
            },
        });
        assert_eq!(json(&order(), &rest(counts)), expected);
    }

    #[test]
    fn it_is_bounded_and_no_word_of_anybody_is_counted() {
        let mut counts = Counts::default();
        counts.handle(&What::UserText { text: "open the door".into() });
        assert_eq!(counts, Counts::default());
        let faults = (0..100).map(|part| format!("{part}: {}", "ä".repeat(5000))).collect();
        let refused = Some(Refused { serial: 0, why: "ä".repeat(5000) });
        let order = Order { faults, standing: Standing { refused, ..order().standing }, ..order() };
        let report = json(&order, &rest(counts));
        assert!(report.to_string().len() < 4000);
        assert_eq!(report["configuration"]["refused"]["serial"], Value::Null, "none that can be told");
        assert_eq!(report["day_usd"], Value::Null, "nothing is known of it yet");
    }
}
