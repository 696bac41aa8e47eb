//! Lines in, a report out; and nothing that somebody said is more than text in it.
#![allow(clippy::unwrap_used)]

use serde_json::json;

use super::html::{Album, Medium, page};
use super::*;
use crate::config::procedure;
use crate::job::record::Why;

const PUMP: &str = "title = \"Service\"\n[[steps]]\ntext = \"Close\"\nphoto = true\n[[steps]]\ntext = \"Read\"\nreading = \"p\"\n[[steps]]\ntext = \"Sign\"\n";

/// A line each second from 08:40:00 on.
fn lines(entries: Vec<Entry>) -> Lines {
    let at = |n: i64| format!("2026-11-22 08:{:02}:{:02} +0100", 40 + n / 60, n % 60);
    let one = |(entry, n): (Entry, i64)| Record { at: at(n), unix_ms: 1_795_333_200_000 + n * 1000, entry };
    Lines { records: entries.into_iter().zip(0..).map(one).collect(), torn: 0 }
}

fn said(turn: u32, by: Party, text: &str) -> Entry {
    Entry::Said { turn, by, text: text.into() }
}

fn still(file: &str) -> Entry {
    Entry::Still { file: Some(file.into()), width: 4, height: 3, bytes: 9, why: Why::Looked }
}

fn reading(value: f64, is_out_of_range: bool) -> Entry {
    let wanted = Some("at most 2".to_string());
    Entry::Reading { name: "p".into(), value, unit: Some("bar".into()), comment: None, wanted, is_out_of_range }
}

fn step(step: u32, is_skipped: bool, comment: Option<&str>) -> Entry {
    Entry::Step { step, is_skipped, comment: comment.map(str::to_string) }
}

fn job(words: &str) -> Lines {
    let words = || words.to_string();
    lines(vec![
        Entry::Began { job: "2026-11-22-0840-1".into() },
        said(1, Party::User, &words()),
        Entry::Titled { title: words(), procedure: Some(procedure::parse(PUMP, "p").unwrap()) },
        said(1, Party::Model, "Well, "),
        still("still-0001.jpg"),
        said(1, Party::Model, &words()),
        Entry::Cut { turn: 1 },
        step(1, false, None),
        reading(3.0, true),
        reading(1.5, false),
        step(2, false, Some(&words())),
        step(3, true, Some("nobody there")),
        Entry::Note { text: words() },
        Entry::Called { id: "a".into(), name: words(), args: json!({ "x": words() }) },
        Entry::Answered { id: "a".into(), name: words(), result: None, error: Some(words()), took_ms: 7 },
        Entry::Called { id: "b".into(), name: "open_door".into(), args: json!({}) },
        Entry::Trouble { part: words(), text: words() },
        Entry::Ended { why: End::Asked },
    ])
}

fn written(report: &Report, medium: Medium, made_at: &str, album: Album<'_>) -> String {
    let mut html = Vec::new();
    page(report, medium, made_at, album, &mut html).unwrap();
    String::from_utf8(html).unwrap()
}

#[test]
fn a_report_has_everything_in_its_place() {
    let report = Report::new("2026-11-22-0840-1", &job("The pump"));
    assert_eq!((report.heading(), report.length().as_str(), report.state()), ("The pump", "16 s", "finished"));
    assert_eq!(report.step_counts(), (2, 1, 0));
    assert_eq!(
        report.steps.iter().map(|row| (row.state(), row.stills.len(), row.readings.len())).collect::<Vec<_>>(),
        [("done", 1, 0), ("done", 0, 2), ("skipped", 0, 0),]
    );
    assert_eq!((report.stills[0].step, report.stills[0].caption.as_deref()), (Some(1), Some("The pump")));
    let words: Vec<(&str, bool)> = report.said.iter().map(|said| (said.text.as_str(), said.is_cut)).collect();
    assert_eq!(words, [("The pump", false), ("Well, The pump", true)], "pieces are put together");
    assert_eq!(report.calls[0].result, Some(Err("The pump".into())));
    assert_eq!(report.calls[1].result, None, "the battery died meanwhile");
    assert_eq!(report.readings.iter().map(|r| r.value.as_str()).collect::<Vec<_>>(), ["3 bar", "1.5 bar"]);
}

#[test]
fn an_empty_log_and_one_without_an_end_make_a_report() {
    let none = Report::new("1", &Lines { records: Vec::new(), torn: 3 });
    let html = written(&none, Medium::Screen, "now", &|_| None);
    assert!(html.contains("Job without a title") && html.contains("3 lines of this job are missing"), "{html}");
    let some = Report::new("1", &lines(vec![Entry::Note { text: "x".into() }]));
    assert_eq!((some.state(), some.length().as_str()), ("in progress", "0 s"));
    markdown::text(&some, &|_| None);
}

#[test]
fn what_somebody_said_is_nothing_but_text() {
    let evil =
        "<script>alert(1)</script><img src=x onerror='x'>\"'&\u{202e}\u{7} `a` [b](javascript:c) **d** | # \n- e";
    let report = Report::new("1", &job(evil));
    let html = written(&report, Medium::Screen, "<now>", &|_| Some(b"<svg onload=x>".to_vec()));
    for bad in ["<script", "<img", "onerror='", "\u{202e}", "\u{7}", "<now>", "data:image"] {
        assert!(!html.contains(bad), "{bad} in {html}");
    }
    assert!(html.contains("default-src 'none'") && html.contains("The picture was not kept."));
    let md = markdown::text(&report, &|file| Some(format!("a/{file}")));
    for bad in ["<script", "](java", "**d**", "\n- e", "`a`", "\u{202e}"] {
        assert!(!md.replace("\\]", "").replace("\\*", "").replace("\\`", "").contains(bad), "{bad} in {md}");
    }
    assert!(md.contains("![Picture 1](<a/still-0001.jpg>)"), "{md}");
}

#[test]
fn a_page_needs_nothing_but_itself() {
    let report = Report::new("1", &job("The pump"));
    let html = written(&report, Medium::Paper, "now", &|_| Some(vec![0xff, 0xd8, 0xff]));
    assert!(html.contains("src=\"data:image/jpeg;base64,/9j/\""));
    assert!(!html.contains("http://") && !html.contains("https://") && !html.contains("<script"));
    assert!(html.contains("@page") && html.contains("Customer, date"));
    assert!(!written(&report, Medium::Screen, "now", &|_| None).contains("@page"));
    // Every tag that is opened is closed.
    for tag in ["section", "table", "ol", "li", "div", "figure", "svg", "p", "h2", "span", "tr", "td", "ul"] {
        let opened = html.matches(&format!("<{tag}>")).count() + html.matches(&format!("<{tag} ")).count();
        assert_eq!(opened, html.matches(&format!("</{tag}>")).count(), "{tag}");
    }
}

#[test]
fn a_length_is_said_in_words() {
    let said: Vec<String> = [0, 59_999, 250_000, 4_320_000, -5].into_iter().map(length).collect();
    assert_eq!(said, ["0 s", "59 s", "4 min 10 s", "1 h 12 min", "0 s"]);
}
