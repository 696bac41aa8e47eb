//! Many viewers, and clients that mean harm: all of them are bounded, and the others do not notice.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use mynah::flow::What;

use crate::rig::{Panel, wait_for};

#[test]
fn fifty_viewers_see_the_same_and_their_number_is_told() {
    let panel = Panel::start("");
    let mut viewers: Vec<_> = (0..50).map(|_| panel.view("")).collect();
    for viewer in &mut viewers {
        assert_eq!(viewer.next().unwrap().0, "state");
    }
    assert_eq!(panel.state()["health"]["viewers"], 50);
    let began = Instant::now();
    panel.tell(What::VolumeSet { percent: 33 });
    for viewer in &mut viewers {
        viewer.patch("the volume", |patch| patch["look"]["volume"] == 33);
    }
    println!("50 viewers knew it after {:?}", began.elapsed());
    drop(viewers);
    wait_for("no viewer", || panel.state()["health"]["viewers"] == 0);
}

#[test]
fn no_more_look_on_than_may_and_pages_are_served_all_the_same() {
    let panel = Panel::start("");
    let viewers: Vec<_> = (0..56)
        .map(|_| {
            let mut viewer = panel.view("");
            assert_eq!(viewer.next().unwrap().0, "state");
            viewer
        })
        .collect();
    let refused = panel.get("/api/events", "");
    assert_eq!(refused.status, 503, "{refused:?}");
    assert_eq!(panel.get("/", "").status, 200);
    // One connection too many is closed, and nobody else loses anything.
    let more: Vec<TcpStream> = (0..30).map(|_| panel.connect()).collect();
    drop(more);
    wait_for("a place", || panel.get("/healthz", "").status == 200);
    drop(viewers);
}

#[test]
fn whoever_never_ends_a_request_is_given_up() {
    let panel = Panel::start("");
    let mut slow: Vec<TcpStream> = (0..60).map(|_| panel.connect()).collect();
    for stream in &mut slow {
        stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n").unwrap();
    }
    let began = Instant::now();
    let mut closed = 0;
    while closed < slow.len() {
        assert!(began.elapsed() < Duration::from_secs(40), "{closed} were given up");
        for stream in &mut slow {
            let _ = stream.write_all(b"X-Slow: 1\r\n");
        }
        std::thread::sleep(Duration::from_millis(500));
        closed = slow.iter_mut().map(is_closed).filter(|is_closed| *is_closed).count();
    }
    assert!(began.elapsed() > Duration::from_secs(5), "who is only slow has time");
    assert_eq!(panel.get("/healthz", "").status, 200);
}

#[test]
fn whoever_says_nothing_more_is_given_up_too() {
    let panel = Panel::start("");
    let mut silent = panel.connect();
    let mut idle = panel.connect();
    write!(idle, "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    wait_for("the end of both", || is_closed(&mut silent) && is_closed(&mut idle));
}

fn is_closed(stream: &mut TcpStream) -> bool {
    stream.set_nonblocking(true).unwrap();
    let found = loop {
        match stream.read(&mut [0; 4096]) {
            Ok(0) => break true,
            Ok(_) => {}
            Err(error) => break error.kind() != ErrorKind::WouldBlock,
        }
    };
    stream.set_nonblocking(false).unwrap();
    found
}

#[test]
fn a_head_or_a_body_without_end_is_cut() {
    let panel = Panel::start("");
    let head = format!("GET / HTTP/1.1\r\nHost: localhost\r\nX-Long: {}", "x".repeat(100_000));
    assert!(matches!(panel.send(&head).status, 0 | 431));
    let many = "X-Many: 1\r\n".repeat(2000);
    assert!(matches!(panel.get("/", &many).status, 0 | 431));

    for (path, status) in [("/api/do", 413), ("/login", 303), ("/api/state", 405), ("/nowhere", 404)] {
        let mut stream = panel.connect();
        let head =
            format!("POST {path} HTTP/1.1\r\nHost: localhost\r\nX-Mynah: 1\r\nTransfer-Encoding: chunked\r\n\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        let chunk = [b"1000\r\n".as_slice(), &[b'x'; 4096], b"\r\n"].concat();
        let (began, mut sent) = (Instant::now(), 0_u64);
        while stream.write_all(&chunk).is_ok() {
            sent += 4096;
            assert!(sent < 64 << 20, "{path} took {sent} bytes");
            assert!(began.elapsed() < Duration::from_secs(30), "{path} reads on");
        }
        let mut answer = [0; 64];
        let read = stream.read(&mut answer).unwrap_or(0);
        let answer = String::from_utf8_lossy(&answer[..read]).to_string();
        assert!(answer.is_empty() || answer.contains(&status.to_string()), "{path}: {answer}");
    }
    let announced = "POST /api/do HTTP/1.1\r\nHost: localhost\r\nX-Mynah: 1\r\nContent-Length: 99999999999\r\n\r\n";
    assert_eq!(panel.send(announced).status, 413);
    assert_eq!(panel.get("/healthz", "").status, 200);
}

#[test]
fn a_viewer_that_does_not_read_is_dropped_and_costs_a_bounded_memory() {
    let panel = Panel::start("");
    let mut stream = panel.connect();
    let socket = socket2::SockRef::from(&stream);
    let _ = socket.set_recv_buffer_size(4096);
    write!(stream, "GET /api/events HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    wait_for("the viewer", || panel.state()["health"]["viewers"] == 1);
    let began = Instant::now();
    let mut n = 0;
    while panel.state()["health"]["viewers"] == 1 {
        assert!(began.elapsed() < Duration::from_secs(60), "it is still there");
        n += 1;
        panel.tell(What::WindowOpened);
        panel.tell(What::UserText { text: format!("{n} {}", "word ".repeat(1500)) });
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(panel.get("/healthz", "").status, 200);
}

#[test]
fn noise_is_no_request() {
    let panel = Panel::start("");
    for noise in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..],
        b"\0\0\0\0",
        b"GET\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ] {
        let mut stream = panel.connect();
        let _ = stream.write_all(noise);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        assert!(!String::from_utf8_lossy(&answer).contains("200"), "{noise:?}");
    }
    assert_eq!(panel.get("/healthz", "").status, 200);
}
