//! The text is read back by a parser that follows the format's own description, not the writer.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::flow::{OpenCause, Start, Usage};
use crate::units::Epoch;

const GAUGES: Gauges = Gauges { up_s: 12.5, is_healthy: true, viewers: 2, missed: 0 };

/// Samples by name and labels. Checked on the way: names, escapes, numbers, one HELP and one TYPE before the samples of a
/// family, all of them together, no sample twice.
fn parse(text: &str) -> BTreeMap<String, f64> {
    assert!(text.ends_with('\n'));
    let (mut samples, mut types, mut family) = (BTreeMap::new(), BTreeMap::new(), String::new());
    let mut helped = BTreeSet::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            family = rest.split_once(' ').unwrap().0.to_string();
            assert!(helped.insert(family.clone()), "{line}");
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            assert_eq!(name, family);
            assert!(["counter", "gauge", "histogram", "summary"].contains(&kind), "{line}");
            assert!(types.insert(name.to_string(), kind.to_string()).is_none());
            assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
        } else {
            let (sample, value) = line.rsplit_once(' ').unwrap();
            let name = sample.split('{').next().unwrap();
            assert!(name.chars().all(|c| c.is_ascii_lowercase() || c == '_'), "{line}");
            let ends = ["", "_bucket", "_sum", "_count"];
            assert!(ends.iter().any(|end| name.strip_suffix(end) == Some(&family)), "{line} is not of {family}");
            labels(sample);
            assert!(samples.insert(sample.to_string(), value.parse::<f64>().unwrap()).is_none(), "{line}");
        }
    }
    samples
}

/// `{name="value",…}`: quotes within a value only behind a backslash.
fn labels(sample: &str) {
    let Some((_, rest)) = sample.split_once('{') else { return };
    let mut rest = rest.strip_suffix('}').unwrap();
    while !rest.is_empty() {
        let (name, value) = rest.split_once("=\"").unwrap();
        assert!(name.trim_start_matches(',').chars().all(|c| c.is_ascii_lowercase()), "{sample}");
        let mut letters = value.char_indices();
        let end = loop {
            match letters.next().unwrap() {
                (_, '\\') => assert!("\\\"n".contains(letters.next().unwrap().1), "{sample}"),
                (at, '"') => break at,
                (_, letter) => assert_ne!(letter, '\n'),
            }
        };
        rest = &value[end + 1..];
    }
}

fn after(events: &[(u64, What)]) -> BTreeMap<String, f64> {
    let mut metrics = Metrics::default();
    for (ms, what) in events {
        metrics.handle(&Event { at: Time::from_ms(*ms), what: what.clone() });
    }
    parse(&metrics.text(&GAUGES))
}

#[test]
fn an_empty_device_has_counters_at_zero() {
    let samples = after(&[]);
    assert_eq!(samples["mynah_turns_total"], 0.0);
    assert_eq!(samples["mynah_viewers"], 2.0);
    assert_eq!(samples["mynah_reply_latency_seconds_bucket{le=\"+Inf\"}"], 0.0);
}

#[test]
fn a_day_is_spent_until_a_connection_is_made_again() {
    let spent = (0, What::DaySpent { why: "the day's limit is used up".into() });
    assert_eq!(after(std::slice::from_ref(&spent))["mynah_day_spent"], 1.0);
    let ready = (9, What::LinkReady { setup_ms: 9, start: Start::Fresh });
    assert_eq!(after(&[spent, ready])["mynah_day_spent"], 0.0);
}

#[test]
fn a_conversation_is_counted() {
    let answered = |result| What::ToolAnswered { id: "1".into(), name: "lamp".into(), result, took_ms: 250 };
    let usage = Usage { total: 1200, ..Usage::default() };
    let samples = after(&[
        (0, What::LinkReady { setup_ms: 9, start: Start::Fresh }),
        (100, What::GateOpened { cause: OpenCause::Voice }),
        (1000, What::WindowClosed { sent_ms: 800 }),
        (1640, What::ReplyHeard { epoch: Epoch(1) }),
        (1700, answered(Ok(1.into()))),
        (1800, answered(Err("no".into()))),
        (1900, What::ReplyCut { epoch: Epoch(1), received_ms: 9, by_user: true }),
        (2000, What::TurnOver { reason: None }),
        (
            2000,
            What::Usage { turn: usage, turn_microusd: 4000, session_microusd: 1, day_tokens: 1, day_microusd: 9000 },
        ),
        (2100, What::Xrun { part: "mic".into() }),
        (2200, What::Trouble { part: "a \"b\\\n".into(), text: "x".into() }),
        (2300, What::EchoState { duplex: Duplex::Full, erle_db: 21.5 }),
    ]);
    for (sample, value) in [
        ("mynah_reply_latency_seconds_bucket{le=\"0.5\"}", 0.0),
        ("mynah_reply_latency_seconds_bucket{le=\"0.75\"}", 1.0),
        ("mynah_reply_latency_seconds_bucket{le=\"+Inf\"}", 1.0),
        ("mynah_reply_latency_seconds_sum", 0.64),
        ("mynah_connections_total{start=\"fresh\"}", 1.0),
        ("mynah_tool_calls_total{tool=\"lamp\",outcome=\"done\"}", 1.0),
        ("mynah_tool_calls_total{tool=\"lamp\",outcome=\"failed\"}", 1.0),
        ("mynah_tool_seconds_sum{tool=\"lamp\"}", 0.5),
        ("mynah_tool_seconds_count{tool=\"lamp\"}", 2.0),
        ("mynah_replies_cut_total{by=\"user\"}", 1.0),
        ("mynah_turns_total", 1.0),
        ("mynah_tokens_total", 1200.0),
        ("mynah_cost_usd_total", 0.004),
        ("mynah_day_cost_usd", 0.009),
        ("mynah_xruns_total{part=\"mic\"}", 1.0),
        ("mynah_troubles_total{part=\"a \\\"b\\\\\\n\"}", 1.0),
        ("mynah_erle_db", 21.5),
        ("mynah_full_duplex", 1.0),
    ] {
        assert_eq!(samples.get(sample), Some(&value), "{sample}");
    }
}

#[test]
fn a_reply_that_was_not_waited_for_has_no_latency() {
    let heard = What::ReplyHeard { epoch: Epoch(1) };
    assert_eq!(after(&[(5, heard)])["mynah_reply_latency_seconds_count"], 0.0);
}

#[test]
fn a_stranger_makes_no_end_of_labels() {
    let events: Vec<(u64, What)> = (0..1000)
        .map(|n| (0, What::ToolLost { id: "1".into(), name: format!("tool{n}"), is_told: true }))
        .chain((0..1000).map(|n| (0, What::Trouble { part: format!("part{n}"), text: String::new() })))
        .collect();
    let samples = after(&events);
    assert!(samples.len() < 3 * LABELS_MAX, "{}", samples.len());
    assert_eq!(samples["mynah_tool_calls_total{tool=\"others\",outcome=\"lost\"}"], (1000 - LABELS_MAX) as f64);
}
