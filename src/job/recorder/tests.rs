//! Events in, lines out.
#![allow(clippy::unwrap_used)]

use serde_json::json;

use super::*;
use crate::config::procedure;
use crate::flow::{JobOrder, Occasion};
use crate::job::record::Why;
use crate::units::Epoch;

const IDLE: Duration = Duration::from_secs(600);

fn recorder() -> Recorder {
    let pump = "title = \"Pump\"\n[[steps]]\ntext = \"Close\"\nphoto = true\n[[steps]]\ntext = \"Read\"\nreading = \"p\"\nmax = 2\n";
    let procedures = vec![("pump".to_string(), procedure::parse(pump, "pump").unwrap())];
    Recorder::new(Settings { idle: IDLE, still_bytes_max: 100, procedures })
}

fn at(ms: u64) -> Time {
    Time::from_us(ms * 1000)
}

fn tell(recorder: &mut Recorder, ms: u64, what: What) {
    recorder.handle_event(&Event { at: at(ms), what });
}

fn user(text: &str) -> What {
    What::UserText { text: text.into() }
}

fn model(text: &str) -> What {
    What::ModelText { epoch: Epoch(1), text: text.into() }
}

fn over() -> What {
    What::TurnOver { reason: None }
}

fn still(bytes: usize) -> What {
    What::StillSent { why: Occasion::Looked, width: 4, height: 3, bytes, age_ms: 20, jpeg: vec![7; bytes].into() }
}

/// What is to be done, a line each: milliseconds, then the entry's JSON.
fn outputs(recorder: &mut Recorder) -> Vec<String> {
    let ms = |at: Time| at.as_us() / 1000;
    std::iter::from_fn(|| recorder.poll_output())
        .map(|output| match output {
            Output::Begin(at) => format!("{} begin", ms(at)),
            Output::Write(at, entry) => format!("{} {}", ms(at), serde_json::to_string(&entry).unwrap()),
            Output::Still(at, Entry::Still { file, .. }, jpeg) => {
                format!("{} {} {}", ms(at), file.unwrap(), jpeg.len())
            }
            Output::Still(..) => panic!("a picture without a file"),
            Output::Announce => "announce".into(),
            Output::PicturesFull => "full".into(),
            Output::Close => "close".into(),
        })
        .collect()
}

fn said(turn: u32, by: &str, text: &str) -> String {
    format!(r#"{{"kind":"said","turn":{turn},"by":"{by}","text":"{text}"}}"#)
}

#[test]
fn a_conversation_becomes_lines_in_the_order_in_which_it_was_held() {
    let mut r = recorder();
    tell(&mut r, 0, model("a greeting that nobody asked for"));
    assert_eq!(outputs(&mut r), [""; 0], "nobody is there: no job");
    tell(&mut r, 10, What::WindowOpened);
    tell(&mut r, 100, user("The"));
    tell(&mut r, 200, user("The pump"));
    assert_eq!(outputs(&mut r), ["100 begin", "announce"]);
    r.handle_time(at(499));
    assert_eq!(outputs(&mut r), [""; 0]);
    r.handle_time(at(500));
    assert_eq!(outputs(&mut r), [format!("100 {}", said(1, "user", "The pump"))], "the battery may die now");
    tell(&mut r, 600, user("The pump leaks."));
    tell(&mut r, 700, model("Is it "));
    tell(&mut r, 750, model("much?"));
    tell(&mut r, 800, over());
    let lines = [format!("600 {}", said(1, "user", " leaks.")), format!("700 {}", said(1, "model", "Is it much?"))];
    assert_eq!(outputs(&mut r), lines);
    // The same words once more are said once more.
    for (ms, turn) in [(1000, 2), (2000, 3)] {
        tell(&mut r, ms, What::WindowOpened);
        tell(&mut r, ms, user("Yes"));
        tell(&mut r, ms + 100, over());
        assert_eq!(outputs(&mut r), [format!("{ms} {}", said(turn, "user", "Yes"))]);
    }
}

#[test]
fn a_reply_that_is_cut_says_so() {
    let mut r = recorder();
    tell(&mut r, 0, user("Go on"));
    tell(&mut r, 100, model("There once was"));
    tell(&mut r, 200, What::ReplyCut { epoch: Epoch(1), received_ms: 900, by_user: true });
    tell(&mut r, 210, What::WindowOpened);
    tell(&mut r, 300, user("Stop"));
    tell(&mut r, 900, over());
    let lines = outputs(&mut r);
    assert_eq!(
        lines[3..],
        [
            format!("100 {}", said(1, "model", "There once was")),
            r#"200 {"kind":"cut","turn":1}"#.to_string(),
            format!("300 {}", said(2, "user", "Stop")),
        ]
    );
}

#[test]
fn a_job_ends_when_nobody_speaks_or_a_person_begins_anew() {
    let mut r = recorder();
    tell(&mut r, 0, user("Hello"));
    outputs(&mut r);
    assert_eq!(r.deadline(), Some(at(0) + PIECE_WAITS));
    r.handle_time(at(1000));
    assert_eq!(r.deadline(), Some(at(0) + IDLE), "what the model says to itself keeps no job");
    let end = at(0) + IDLE;
    r.handle_time(end);
    let lines = outputs(&mut r);
    assert_eq!(lines[1..], [format!("{} {}", end.as_us() / 1000, r#"{"kind":"ended","why":"idle"}"#), "close".into()]);
    assert_eq!(r.deadline(), None);
    tell(&mut r, 700_000, user("Another one"));
    assert_eq!(outputs(&mut r), ["700000 begin", "announce"]);
    tell(&mut r, 700_100, What::ConversationReset);
    let lines = outputs(&mut r);
    assert_eq!(lines[1..], [r#"700100 {"kind":"ended","why":"reset"}"#, "close"]);
}

#[test]
fn pictures_are_kept_until_they_take_too_much() {
    let mut r = recorder();
    tell(&mut r, 0, still(60));
    tell(&mut r, 10, still(30));
    tell(&mut r, 20, still(20));
    tell(&mut r, 30, still(20));
    let without = |ms| format!(r#"{ms} {{"kind":"still","width":4,"height":3,"bytes":20,"why":"looked"}}"#);
    let lines = ["0 begin".to_string(), "announce".into(), "0 still-0001.jpg 60".into(), "10 still-0002.jpg 30".into()];
    assert_eq!(outputs(&mut r), [&lines[..], &["full".into(), without(20), without(30)]].concat());
}

#[test]
fn a_call_is_written_before_it_is_answered_and_the_logs_own_only_where_they_fail() {
    let mut r = recorder();
    let id = |id: &str| CallId(id.into());
    let called = |i: &str, name: &str| What::ToolCalled { id: id(i), name: name.into(), args: json!({"text": i}) };
    tell(&mut r, 0, called("a", "open_door"));
    tell(&mut r, 10, called("b", "note"));
    tell(&mut r, 20, called("c", "note"));
    tell(&mut r, 30, called("d", "ring"));
    let answered =
        |i: &str, name: &str, result| What::ToolAnswered { id: id(i), name: name.into(), result, took_ms: 5 };
    tell(&mut r, 40, answered("a", "open_door", Ok(json!({"done": true}))));
    tell(&mut r, 50, answered("b", "note", Ok(json!({}))));
    tell(&mut r, 60, answered("c", "note", Err("NOT written".into())));
    tell(&mut r, 70, What::ToolCancelled { id: id("d") });
    tell(&mut r, 80, What::ToolCancelled { id: id("of nobody") });
    let lines = outputs(&mut r);
    assert_eq!(
        lines[2..],
        [
            r#"0 {"kind":"called","id":"a","name":"open_door","args":{"text":"a"}}"#,
            r#"30 {"kind":"called","id":"d","name":"ring","args":{"text":"d"}}"#,
            r#"40 {"kind":"answered","id":"a","name":"open_door","result":{"done":true},"took_ms":5}"#,
            r#"60 {"kind":"called","id":"c","name":"note","args":{"text":"c"}}"#,
            r#"60 {"kind":"answered","id":"c","name":"note","error":"NOT written","took_ms":5}"#,
            r#"70 {"kind":"answered","id":"d","name":"ring","error":"it was taken back","took_ms":0}"#,
        ]
    );
}

#[test]
fn the_recording_is_announced_until_it_was_said() {
    let mut r = recorder();
    let announcements = |r: &mut Recorder| outputs(r).iter().filter(|output| *output == "announce").count();
    tell(&mut r, 0, user("Hello"));
    assert_eq!(announcements(&mut r), 1);
    r.announced(false);
    tell(&mut r, 100, user("Hello you"));
    assert_eq!(announcements(&mut r), 1, "the core was busy");
    r.announced(true);
    tell(&mut r, 200, What::NoticeLost { why: "no connection".into() });
    r.handle_time(at(300));
    assert_eq!(announcements(&mut r), 0, "nobody is there to hear it");
    tell(&mut r, 400, user("Hello you there"));
    assert_eq!(announcements(&mut r), 1);
    r.announced(true);
    tell(&mut r, 500, What::NoticeTold);
    tell(&mut r, 600, user("Well"));
    assert_eq!(announcements(&mut r), 0);
}

/// Plans an order, takes what it planned as written; answers the lines and what the model is told.
fn obey(r: &mut Recorder, ms: u64, order: &JobOrder) -> Result<(Vec<Entry>, Value), String> {
    let lines = r.plan(order, at(ms))?;
    let told = r.done(order, &lines);
    Ok((lines, told))
}

fn start(title: &str, procedure: Option<&str>) -> JobOrder {
    JobOrder::Start { title: title.into(), procedure: procedure.map(str::to_string) }
}

fn step(step: u32) -> JobOrder {
    JobOrder::Step { step, is_skipped: false, comment: None }
}

#[test]
fn a_technician_is_guided_through_a_procedure() {
    let mut r = recorder();
    tell(&mut r, 0, user("I begin with the pump"));
    assert!(obey(&mut r, 1, &start("Pump at Mill Lane", Some("boiler"))).unwrap_err().ends_with("there are: pump"));
    let (lines, told) = obey(&mut r, 10, &start("Pump at Mill Lane", Some("pump"))).unwrap();
    assert!(matches!(&lines[..], [Entry::Titled { procedure: Some(_), .. }]), "{lines:?}");
    assert_eq!(
        (&told["steps"][0]["state"], &told["steps"][1]["wants_reading"]),
        (&json!("next"), &json!("p, at most 2"))
    );
    assert_eq!(obey(&mut r, 20, &start("Pump at Mill Lane", Some("pump"))).unwrap().0, [], "said twice is begun once");
    assert!(obey(&mut r, 30, &step(1)).unwrap_err().contains("wants a picture"));
    tell(&mut r, 40, still(10));
    assert_eq!(obey(&mut r, 50, &step(1)).unwrap().1["next"]["step"], 2);
    let reading = |value| JobOrder::Reading { name: "P".into(), value, unit: None, comment: None };
    let (lines, told) = obey(&mut r, 60, &reading(3.0)).unwrap();
    assert!(matches!(&lines[..], [Entry::Reading { is_out_of_range: true, .. }]), "{lines:?}");
    assert_eq!(told, json!({"written": true, "should_be": "at most 2", "in_range": false}));
    assert!(obey(&mut r, 70, &step(2)).is_err());
    assert_eq!(obey(&mut r, 80, &JobOrder::Note { text: "leaks".into() }).unwrap().1["notes"], 1);
    outputs(&mut r);
    let (lines, told) = obey(&mut r, 90, &JobOrder::End).unwrap();
    assert_eq!((lines, &told["steps_left_open"]), (vec![Entry::Ended { why: End::Asked }], &json!(["Read"])));
    assert_eq!(outputs(&mut r), ["close"], "its line is written by whoever took the order");
    tell(&mut r, 95, user("I begin with the pump. And that was it."));
    assert_eq!(outputs(&mut r), [""; 0], "what is still heard of these words begins no other job");
    assert!(obey(&mut r, 100, &JobOrder::Where).unwrap_err().contains("no job is recorded"));
    assert!(obey(&mut r, 100, &JobOrder::End).is_err());
    tell(&mut r, 200, What::WindowOpened);
    tell(&mut r, 210, user("Next"));
    assert_eq!(outputs(&mut r), ["210 begin", "announce"]);
}

#[test]
fn another_title_is_another_job_and_a_note_alone_begins_one() {
    let mut r = recorder();
    obey(&mut r, 0, &JobOrder::Note { text: "x".into() }).unwrap();
    assert_eq!(outputs(&mut r), ["0 begin", "announce"]);
    obey(&mut r, 10, &start("A", None)).unwrap();
    assert_eq!(outputs(&mut r), [""; 0], "the job that is recorded gets its title");
    obey(&mut r, 20, &start("A", Some("pump"))).unwrap();
    assert_eq!(outputs(&mut r), [""; 0], "and its procedure");
    obey(&mut r, 30, &start("B", None)).unwrap();
    let lines = outputs(&mut r);
    assert_eq!(lines, [r#"30 {"kind":"ended","why":"another"}"#, "close", "30 begin", "announce"]);
}

#[test]
fn what_could_not_be_written_is_not_done() {
    let mut r = recorder();
    obey(&mut r, 0, &start("A", Some("pump"))).unwrap();
    tell(&mut r, 5, still(10));
    r.plan(&step(1), at(10)).unwrap(); // and the disk is full
    assert_eq!(obey(&mut r, 20, &JobOrder::Where).unwrap().1["steps"][0]["state"], "next");
}

#[test]
fn a_job_goes_on_after_a_restart_where_it_stood() {
    let mut first = recorder();
    let mut log = Progress::default();
    for order in
        [&start("A", Some("pump")), &JobOrder::Step { step: 1, is_skipped: true, comment: Some("no light".into()) }]
    {
        obey(&mut first, 0, order).unwrap().0.iter().for_each(|entry| log.take(entry));
    }
    log.take(&Entry::Said { turn: 7, by: Party::User, text: "x".into() });
    log.take(&Entry::Still { file: Some("still-0001.jpg".into()), width: 1, height: 1, bytes: 5, why: Why::Looked });
    let mut r = recorder();
    r.resume(log, Duration::from_secs(500), at(1000));
    assert_eq!(outputs(&mut r), [r#"1000 {"kind":"resumed","after_s":500}"#], "nobody has spoken yet");
    assert_eq!(r.deadline(), Some(at(101_000)), "what is left of the idle time");
    assert_eq!(obey(&mut r, 2000, &JobOrder::Where).unwrap().1["steps"][1]["state"], "next");
    tell(&mut r, 3000, user("Go on"));
    tell(&mut r, 3100, still(5));
    let spoken = [format!("3000 {}", said(8, "user", "Go on")), "3100 still-0002.jpg 5".into()];
    assert_eq!(outputs(&mut r), [&["announce".to_string()][..], &spoken].concat(), "it may be somebody else");
}
