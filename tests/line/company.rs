//! The line in bad company: what is said and heard stays whole, and as quick, while those whom tools ask hang, flood
//! and are not there.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use super::rig::{IN_A_WHILE, Rig, SOON, Wish};
use super::sound::Sound;
use super::talking::{FROM_THE_PRESS, must_hold_all, must_hold_reply};
use super::witness::steadily;

/// The topic that the broker floods.
const TOPIC: &str = "test/state";

/// How much later a reply may be heard than in the quiet turn of the same run, ms: wide, the figure is the bench's.
const LATER_MS: f64 = 100.0;

/// Does `what` with every connection; answers the port.
fn serve(what: impl Fn(&mut TcpStream) -> std::io::Result<()> + Send + Sync + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (port, what) = (listener.local_addr().unwrap().port(), Arc::new(what));
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let what = what.clone();
            thread::spawn(move || what(&mut stream));
        }
    });
    port
}

fn hang(stream: &mut TcpStream) -> std::io::Result<()> {
    let mut rest = [0; 1024];
    while stream.read(&mut rest)? > 0 {}
    Ok(())
}

/// 100 Mbit/s of one thing.
fn flood(stream: &mut TcpStream, piece: &[u8]) -> std::io::Result<()> {
    let batch = piece.repeat(125_000 / piece.len());
    loop {
        stream.write_all(&batch)?;
        thread::sleep(Duration::from_millis(10));
    }
}

fn endless(stream: &mut TcpStream) -> std::io::Result<()> {
    let _ = stream.read(&mut [0; 4096])?;
    stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;
    flood(stream, &[b'x'; 1000])
}

/// A broker (MQTT 3.1.1, bytes by hand) that floods a topic as soon as `is_on`.
fn broker(stream: &mut TcpStream, is_on: &AtomicBool) -> std::io::Result<()> {
    let _ = stream.read(&mut [0; 4096])?; // CONNECT
    stream.write_all(&[0x20, 2, 0, 0])?;
    let _ = stream.read(&mut [0; 4096])?; // SUBSCRIBE
    while !is_on.load(Ordering::Relaxed) {
        thread::sleep(Duration::from_millis(20));
    }
    let mut publish = vec![0x30, (2 + TOPIC.len() + 20) as u8, 0, TOPIC.len() as u8];
    publish.extend(TOPIC.as_bytes());
    publish.extend([b'1'; 20]);
    flood(stream, &publish)
}

fn agent(hang: u16, endless: u16, broker: u16) -> String {
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let tools = [("hang", hang), ("flood", endless), ("nobody", nobody)].map(|(name, port)| {
        format!(
            "[[tools]]\nname = \"{name}\"\ndescription = \"Asks.\"\nbehavior = \"non_blocking\"\ntimeout_ms = 60000\n\
             policy = {{ order = \"parallel\", per_minute = 600 }}\n\
             action = {{ http = \"GET\", url = \"http://127.0.0.1:{port}/\" }}\n"
        )
    });
    format!(
        "[http]\nhosts = [\"127.0.0.1:{hang}\", \"127.0.0.1:{endless}\", \"127.0.0.1:{nobody}\"]\n\
         [mqtt]\nhost = \"127.0.0.1\"\nport = {broker}\nversion = \"3.1.1\"\npresence = \"off\"\n{}\
         [[tools]]\nname = \"state\"\ndescription = \"Reads.\"\naction = {{ mqtt = \"read\", state_topic = \"{TOPIC}\" }}\n",
        tools.concat()
    )
}

/// From a reply's first sound in the program to its first in the loudspeaker's device, ms.
fn heard_after_ms(rig: &mut Rig, mark: usize) -> f64 {
    let (_, started) = rig.await_event(mark, "reply_started", None, SOON);
    let (_, heard) = rig.await_event(mark, "reply_heard", None, SOON);
    (heard["at_us"].as_f64().unwrap() - started["at_us"].as_f64().unwrap()) / 1000.0
}

#[test]
#[ignore = "needs PulseAudio; sh tests/run.sh runs it"]
fn what_is_said_and_heard_stays_whole_while_tools_hang_flood_and_are_down() {
    steadily(|| {
        let is_on = Arc::new(AtomicBool::new(false));
        let broker_is_on = is_on.clone();
        let more = agent(serve(hang), serve(endless), serve(move |stream| broker(stream, &broker_is_on)));
        let quiet = "turn \"Quiet.\"\n say say_hello\n";
        let bad = "start hang {}\n start hang {}\n start flood {}\n start flood {}\n start nobody {}\n";
        let script = format!(
            "{quiet}turn \"Not quiet.\"\n {bad} say say_hello\nturn \"Still.\"\n {bad} start state {{}}\n say say_hello\n"
        );
        let mut rig = Rig::new("company", Wish { script: &script, more: &more, ..Wish::default() });
        let mut after_ms = Vec::new();
        for turn in 1..=3 {
            is_on.store(turn > 1, Ordering::Relaxed);
            let speaker = rig.path(&format!("speaker-{turn}.wav"));
            rig.pulse.record(&speaker);
            let mark = rig.ask("ask_hello");
            let closed = rig.after(mark, "window_closed", SOON);
            must_hold_all(&rig.heard(1, turn), "ask_hello", FROM_THE_PRESS);
            after_ms.push(heard_after_ms(&mut rig, closed));
            rig.after(closed, "reply_drained", IN_A_WHILE);
            rig.pulse.record_end(&speaker, 500.0);
            must_hold_reply(&Sound::read(&speaker), &rig.sent(1, turn as usize));
        }
        println!("from a reply's arrival until it is heard: {after_ms:.1?} ms, the first in a quiet turn");
        assert!(after_ms[1..].iter().all(|ms| *ms <= after_ms[0] + LATER_MS), "{after_ms:?}");
        for event in ["xrun", "speech_lost", "reply_concealed", "link_down"] {
            rig.must_be_without(event, 0, rig.mark());
        }
        let calls = rig.events().iter().filter(|event| event["event"] == "tool_called").count();
        assert_eq!(calls, 11, "the tools were called");
        let (_, state) = rig.await_event(0, "tool_answered", Some(("name", "state".into())), SOON);
        assert!(state["result"]["Ok"]["state"].is_number(), "the broker's flood has arrived: {state}");
    });
}
