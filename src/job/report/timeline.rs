//! The time line of a report: one lane for each kind of thing, in SVG.

use std::fmt::Write as _;

use super::html::escape;
use super::{Moment, Report};
use crate::job::record::Party;

const WIDTH: f64 = 900.0;
/// Where the lanes begin, right of their names.
const LEFT: f64 = 104.0;
const RIGHT: f64 = 16.0;
const LANE: f64 = 26.0;
const TOP: f64 = 8.0;
/// Labels of the axis; more stand in each other's way.
const LABELS: i64 = 6;
/// Marks in one lane; more are one grey line on paper.
const MARKS_MAX: usize = 2000;

/// One mark: when, how it looks, and what it says when pointed at.
type Mark<'a> = (&'a Moment, &'static str, String);

/// The time line; empty where the job has no length.
pub(super) fn svg(report: &Report) -> String {
    let span_ms = report.last.unix_ms - report.began.unix_ms;
    if span_ms <= 0 {
        return String::new();
    }
    let lanes: Vec<(&str, Vec<Mark<'_>>)> = lanes(report).into_iter().filter(|(_, marks)| !marks.is_empty()).collect();
    if lanes.is_empty() {
        return String::new();
    }
    let x = |unix_ms: i64| {
        let part = (unix_ms - report.began.unix_ms) as f64 / span_ms as f64;
        LEFT + part.clamp(0.0, 1.0) * (WIDTH - LEFT - RIGHT)
    };
    let bottom = TOP + lanes.len() as f64 * LANE;
    let mut svg = format!(
        "<svg class=\"timeline\" viewBox=\"0 0 {WIDTH} {:.0}\" role=\"img\" aria-label=\"Time line of the job, {} to {}; \
         the same is listed below\">\n",
        bottom + 24.0,
        escape(report.began.time()),
        escape(report.last.time())
    );
    for label in 0..=LABELS {
        let unix_ms = report.began.unix_ms + span_ms * label / LABELS;
        let (at, anchor) = (x(unix_ms), if label == LABELS { "end" } else { "middle" });
        let _ = writeln!(
            svg,
            "<line x1=\"{at:.1}\" y1=\"{TOP}\" x2=\"{at:.1}\" y2=\"{bottom}\" class=\"grid\"/><text x=\"{at:.1}\" \
             y=\"{:.0}\" class=\"axis\" text-anchor=\"{anchor}\">{}</text>",
            bottom + 16.0,
            escape(&time_after(&report.began, unix_ms - report.began.unix_ms, span_ms))
        );
    }
    for (index, (name, marks)) in lanes.iter().enumerate() {
        lane(&mut svg, name, TOP + (index as f64 + 0.5) * LANE, marks, &x);
    }
    svg += "</svg>\n";
    svg
}

fn lane(svg: &mut String, name: &str, y: f64, marks: &[Mark<'_>], x: &dyn Fn(i64) -> f64) {
    let _ = writeln!(
        svg,
        "<text x=\"{:.0}\" y=\"{:.1}\" class=\"lane\" text-anchor=\"end\">{name}</text><line x1=\"{LEFT}\" y1=\"{y:.1}\" \
         x2=\"{:.0}\" y2=\"{y:.1}\" class=\"base\"/>",
        LEFT - 14.0,
        y + 4.0,
        WIDTH - RIGHT
    );
    for (when, class, what) in marks.iter().take(MARKS_MAX) {
        let at = x(when.unix_ms);
        let title = format!("<title>{} {}</title>", escape(when.time()), escape(what));
        let _ = match *class {
            "user" | "model" => writeln!(
                svg,
                "<rect x=\"{:.1}\" y=\"{:.1}\" width=\"3\" height=\"14\" class=\"{class}\">{title}</rect>",
                at - 1.5,
                y - 7.0
            ),
            _ => writeln!(svg, "<circle cx=\"{at:.1}\" cy=\"{y:.1}\" r=\"5.5\" class=\"{class}\">{title}</circle>"),
        };
    }
}

fn lanes(report: &Report) -> Vec<(&'static str, Vec<Mark<'_>>)> {
    let said = |by: Party, class: &'static str| {
        let of = report.said.iter().filter(|said| said.by == by);
        of.map(|said| (&said.when, class, super::short(said.text.trim(), 80))).collect::<Vec<Mark<'_>>>()
    };
    let speech = [said(Party::User, "user"), said(Party::Model, "model")].concat();
    let steps = report.steps.iter().filter_map(|row| {
        let class = if row.is_skipped { "skip" } else { "step" };
        Some((row.ticked.as_ref()?, class, format!("step {} {}", row.number, row.state())))
    });
    let readings = report.readings.iter().map(|reading| {
        let class = if reading.is_out_of_range { "bad" } else { "reading" };
        (&reading.when, class, format!("{} {}", reading.name, reading.value))
    });
    let notes = report.notes.iter().map(|(when, text)| (when, "note", super::short(text, 80)));
    let stills =
        report.stills.iter().zip(1..).map(|(still, number)| (&still.when, "still", format!("picture {number}")));
    let calls = report.calls.iter().map(|call| {
        let class = if matches!(call.result, Some(Err(_))) { "bad" } else { "call" };
        (&call.when, class, call.name.clone())
    });
    vec![
        ("Speech", speech),
        ("Steps", steps.collect()),
        ("Readings", readings.collect()),
        ("Notes", notes.collect()),
        ("Pictures", stills.collect()),
        ("Actions", calls.collect()),
    ]
}

/// The time of day so long after a moment, by its own clock; with seconds where the whole is short.
fn time_after(from: &Moment, ms: i64, span_ms: i64) -> String {
    const SHORT_MS: i64 = 20 * 60 * 1000; // labels would be the same twice
    let mut parts = from.time().split(':').map(|part| part.parse::<i64>().ok());
    let (Some(Some(hour)), Some(Some(minute)), Some(Some(second))) = (parts.next(), parts.next(), parts.next()) else {
        return super::length(ms);
    };
    let at = (hour * 3600 + minute * 60 + second + ms / 1000).rem_euclid(24 * 3600);
    let (hour, minute, second) = (at / 3600, at / 60 % 60, at % 60);
    if span_ms < SHORT_MS { format!("{hour:02}:{minute:02}:{second:02}") } else { format!("{hour:02}:{minute:02}") }
}
