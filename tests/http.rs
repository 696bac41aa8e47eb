//! Actions of the kind `http` against nginx, and against servers that hang, drip, break off and flood.
//!
//! The tests with nginx are `#[ignore]`d: `tests/run.sh` installs it and runs them.
//! `cargo test --test http -- --ignored`
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, reason = "tests")]

#[path = "network/certificates.rs"]
mod certificates;
#[path = "errands/rig.rs"]
mod rig;
#[path = "errands/servers.rs"]
mod servers;

use std::io::Write as _;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::thread;
use std::time::{Duration, Instant};

use certificates::Papers;
use rig::{Rig, SOON, folder, tool};
use serde_json::json;
use servers::{Nginx, bad, flood};

/// An agent file with these hosts and tools.
fn agent(top: &str, hosts: &[SocketAddr], tools: &str) -> String {
    let hosts: Vec<String> = hosts.iter().map(|host| format!("\"{host}\"")).collect();
    format!("{top}\n[http]\nhosts = [{}]\n{tools}", hosts.join(", "))
}

fn get(name: &str, address: SocketAddr, path: &str, more: &str) -> String {
    tool(name, 20_000, &format!("http = \"GET\", url = \"http://{address}{path}\" {more}"))
}

#[test]
#[ignore = "needs nginx (tests/run.sh installs it)"]
fn nginx_is_asked_and_its_answers_are_told() {
    let folder = folder("nginx");
    certificates::make(&folder);
    let nginx = Nginx::start(&folder);
    std::fs::write(folder.join("www/weather.json"), r#"{"current": {"temp_c": 21.5, "text": "rain"}}"#).unwrap();
    std::fs::write(folder.join("www/note.txt"), "milk, bread\n").unwrap();
    std::fs::write(folder.join("key"), "s3cret-key\n").unwrap();
    std::fs::set_permissions(folder.join("key"), std::fs::Permissions::from_mode(0o600)).unwrap();
    let top = format!("extra_ca = \"{0}/ca.pem\"\n[secrets]\nkey = \"{0}/key\"", folder.display());
    let key = ", headers = { X-Key = \"{secret.key}\", X-Room = \"hall\" }";
    let mut tools = String::new();
    for (name, path, more) in [
        ("weather", "/www/weather.json", ", pick = { t = \"/current/temp_c\", sky = \"/current/text\" }"),
        ("whole", "/www/weather.json", ""),
        ("note", "/www/note.txt", ""),
        ("missing", "/www/none.txt", ""),
        ("nothing", "/nothing", ""),
        ("denied", "/denied", key),
        ("moved", "/moved", ""),
        ("follow", "/moved", ", redirects = 1"),
        ("loop", "/loop", ", redirects = 3"),
        ("stranger", "/stranger", ", redirects = 3"),
    ] {
        tools += &get(name, nginx.plain, path, more);
    }
    tools += &get("keep", nginx.plain, "/kept", &format!("{key}, redirects = 1"));
    tools += &get("other", nginx.plain, "/other", &format!("{key}, redirects = 1"));
    let parameters = r#"parameters = { type = "OBJECT", properties = { x = { type = "STRING" } }, required = ["x"] }"#;
    for (name, action) in [
        ("echo", format!("http = \"GET\", url = \"http://{}/echo/{{x}}/end?q={{x}}\" {key}", nginx.plain)),
        (
            "put",
            format!("http = \"PUT\", url = \"http://{}/www/{{x}}.json\", body = {{ said = \"{{x}}\" }}", nginx.plain),
        ),
        ("post", format!("http = \"POST\", url = \"http://{}/echo\", body = {{ said = \"{{x}}\" }}", nginx.plain)),
    ] {
        tools += &tool(name, 20_000, &action).replace("action", &format!("{parameters}\naction"));
    }
    tools += &tool("safe", 20_000, &format!("http = \"GET\", url = \"https://{}/echo\"", nginx.tls));
    tools +=
        &tool("clear", 20_000, &format!("http = \"GET\", url = \"https://{}/in-the-clear\", redirects = 1", nginx.tls));
    tools += &tool("false_papers", 20_000, &format!("http = \"GET\", url = \"https://{}/echo\"", nginx.odd_tls));
    let by_name = format!("localhost:{}", nginx.plain.port());
    tools += &tool("by_name", 20_000, &format!("http = \"GET\", url = \"http://{by_name}/nothing\""));
    tools += &tool("nowhere", 20_000, "http = \"GET\", url = \"https://nowhere.invalid/\"");
    tools += &tool("head", 20_000, &format!("http = \"HEAD\", url = \"http://{}/www/note.txt\"", nginx.plain));
    let text = agent(&top, &[nginx.plain, nginx.other, nginx.tls, nginx.odd_tls], &tools);
    let text = text.replace("hosts = [", &format!("hosts = [\"{by_name}\", \"nowhere.invalid\", "));
    let mut rig = Rig::new(&text);

    let done = |answer| Ok(json!({"status": 200, "answer": answer}));
    assert_eq!(rig.call("weather", json!({})), done(json!({"t": 21.5, "sky": "rain"})));
    assert_eq!(rig.call("whole", json!({})), done(json!({"current": {"temp_c": 21.5, "text": "rain"}})));
    assert_eq!(rig.call("note", json!({})), Ok(json!({"status": 200, "text": "milk, bread"})));
    assert_eq!(rig.call("nothing", json!({})).unwrap()["status"], 204);
    assert_eq!(rig.call("head", json!({})).unwrap()["status"], 200);
    assert_eq!(rig.call("by_name", json!({})).unwrap()["status"], 204);
    for (name, word) in [
        ("nowhere", "the server nowhere.invalid could not be reached: "),
        ("missing", "status 404"),
        ("denied", "status 403: not you, ..."),
        ("moved", "status 302"),
        ("loop", "more than 3 times"),
        ("stranger", "to 127.0.0.1:9, which the device's owner does not allow"),
        ("clear", "not encrypted"),
        ("false_papers", "TLS failed: invalid peer certificate"),
    ] {
        let said = rig.call(name, json!({})).unwrap_err();
        assert!(said.contains(word) && !said.contains("s3cret"), "{name}: {said}");
    }

    let echo = rig.call("echo", json!({"x": "..a b?c=d&e#f%2e\u{e4}"})).unwrap();
    let encoded = "..a%20b%3Fc%3Dd%26e%23f%252e%C3%A4";
    assert_eq!(echo["answer"]["uri"], format!("/echo/{encoded}/end?q={encoded}"), "as nginx has seen it");
    assert!(rig.call("echo", json!({"x": "../nothing"})).unwrap_err().contains("slash"), "nginx would go up there");
    assert_eq!(echo["answer"]["key"], "...", "it got the key, and the model does not hear it");
    assert_eq!(rig.call("follow", json!({})).unwrap()["answer"]["uri"], "/echo");
    assert_eq!(rig.call("keep", json!({})).unwrap()["answer"]["key"], "...");
    let other = rig.call("other", json!({})).unwrap();
    assert_eq!((&other["answer"]["key"], &other["answer"]["room"]), (&json!(""), &json!("hall")));
    assert_eq!(rig.call("safe", json!({})).unwrap()["answer"]["method"], "GET");
    let post = rig.call("post", json!({"x": "hello"})).unwrap();
    assert_eq!((&post["answer"]["type"], &post["answer"]["length"]), (&json!("application/json"), &json!("16")));
    assert_eq!(rig.call("put", json!({"x": "list"})).unwrap()["status"], 201);
    assert_eq!(std::fs::read_to_string(folder.join("www/list.json")).unwrap(), r#"{"said":"list"}"#);
    rig.stop();
}

#[test]
#[ignore = "needs nginx (tests/run.sh installs it)"]
fn a_server_of_a_stranger_or_with_a_fault_is_not_asked_again_and_again() {
    let folder = folder("nginx-faults");
    certificates::make(&folder);
    let nginx = Nginx::start(&folder);
    let tools = get("busy", nginx.plain, "/busy", "")
        + &tool("stranger", 20_000, &format!("http = \"GET\", url = \"https://{}/echo\"", nginx.tls));
    let mut rig = Rig::new(&agent("", &[nginx.plain, nginx.tls], &tools)); // without extra_ca
    for _ in 0..3 {
        let said = rig.call("busy", json!({})).unwrap_err();
        assert!(said.contains("fault of its own (status 503)") && !said.contains("come back"), "{said}");
    }
    let said = rig.call("busy", json!({})).unwrap_err();
    assert!(said.contains("could not be reached just now; it is tried again in"), "{said}");
    let said = rig.call("stranger", json!({})).unwrap_err();
    assert!(said.contains("UnknownIssuer") && said.contains("nothing was done"), "{said} ({:?})", Papers::Stranger);
    rig.stop();
}

#[test]
fn servers_that_hang_drip_break_off_or_never_end_cost_their_own_call_and_no_more() {
    const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n";
    let silent = bad(|_| thread::sleep(SOON));
    let drip = bad(|stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n");
        while stream.write_all(b"x").is_ok() {
            thread::sleep(Duration::from_millis(50));
        }
    });
    let endless_text = bad(|stream| {
        let _ = stream.write_all(HEAD);
        flood(stream, &[b'a'; 8192]);
    });
    let endless_json = bad(|stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n[");
        flood(stream, &[b'1'; 8192]);
    });
    let endless_head = bad(|stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n");
        flood(stream, b"X-More: and more\r\n");
    });
    let gone = bad(|_| {});
    let short = bad(|stream| drop(stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nfew")));
    let no_http = bad(|stream| drop(stream.write_all(b"220 mail.example ESMTP\r\n")));
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();

    let mut tools = String::new();
    let hosts = [silent, drip, endless_text, endless_json, endless_head, gone, short, no_http, nobody];
    for (name, host) in ["silent", "drip", "text", "json", "head", "gone", "short", "mail", "nobody"].iter().zip(hosts)
    {
        let timeout_ms = if ["silent", "drip"].contains(name) { 1000 } else { 20_000 };
        tools += &tool(name, timeout_ms, &format!("http = \"POST\", url = \"http://{host}/\""));
    }
    let mut rig = Rig::new(&agent("", &hosts, &tools));
    let text = rig.call("text", json!({})).unwrap();
    assert_eq!((&text["is_cut"], text["text"].as_str().unwrap().len()), (&json!(true), 4096));
    for (name, word) in [
        ("silent", "did not answer within 950 ms; whether it did what was asked is not known"),
        ("drip", "did not answer within 950 ms"),
        ("json", "longer than 256 KiB"),
        ("head", "broke off"),
        ("gone", "broke off"),
        ("short", "broke off"),
        ("mail", "broke off"),
        ("nobody", "could not be reached: Connection refused (os error 111); nothing was done"),
    ] {
        let since = Instant::now();
        let said = rig.call(name, json!({})).unwrap_err();
        assert!(said.contains(word), "{name}: {said}");
        assert!(since.elapsed() < Duration::from_secs(15), "{name}: {:?}", since.elapsed());
    }
    for _ in 0..2 {
        rig.call("silent", json!({})).unwrap_err();
    }
    let since = Instant::now();
    let said = rig.call("silent", json!({})).unwrap_err();
    assert!(said.contains("tried again in") && since.elapsed() < Duration::from_millis(800), "{said}");
    rig.stop();
}

#[test]
fn a_cancelled_request_hangs_up() {
    let (seen, sees) = std::sync::mpsc::channel();
    let silent = bad(move |stream| {
        let _ = seen.send("asked");
        let _ = std::io::Read::read(stream, &mut [0; 1]); // returns when the other side hangs up
        let _ = seen.send("hung up");
    });
    let mut rig = Rig::new(&agent("", &[silent], &get("ask", silent, "/", "")));
    let id = rig.start("ask", json!({}));
    assert_eq!(sees.recv_timeout(SOON), Ok("asked"));
    rig.cancel(&id);
    assert_eq!(sees.recv_timeout(SOON), Ok("hung up"));
    rig.stop();
}

/// The issue's promise: slow and flooding tools disturb no other. Bounds are wide, since the machine may be busy.
#[test]
fn pulses_keep_their_time_while_servers_hang_and_flood_and_programs_do() {
    const PULSE: Duration = Duration::from_millis(40);
    const PULSES: usize = 25;
    let silent = bad(|_| thread::sleep(SOON));
    let endless = bad(|stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n");
        flood(stream, &[b'a'; 65_536]);
    });
    let tools = tool("pulse", 5000, "gpio = \"pulse\", line = \"door\", pulse_ms = 40")
        + &tool("hang", 30_000, &format!("http = \"GET\", url = \"http://{silent}/\""))
        + &tool("flood", 5000, &format!("http = \"GET\", url = \"http://{endless}/\""))
        + &tool("yes", 5000, "command = [\"/usr/bin/yes\"]")
        + &tool("complain", 5000, "command = [\"/bin/sh\", \"-c\", \"exec yes >&2\"]");
    let mut rig = Rig::new(&agent("", &[silent, endless], &tools));
    rig.start("hang", json!({}));
    let mut floods = Vec::new();
    let mut others = 0;
    let mut pulse = rig.start("pulse", json!({}));
    while rig.pulses().len() < PULSES {
        if floods.is_empty() {
            floods = ["flood", "yes", "complain"].map(|name| rig.start(name, json!({}))).to_vec();
        }
        let (id, result) = rig.reply();
        if id == pulse {
            result.unwrap();
            pulse = rig.start("pulse", json!({}));
        } else {
            assert!(floods.contains(&id), "{result:?}");
            let is_flood = result.map_or_else(|why| why.contains("printed more than"), |told| told["is_cut"] == true);
            assert!(is_flood, "it was no flood");
            floods.retain(|flood| *flood != id);
            others += 1;
        }
    }
    let mut pulses = rig.pulses();
    pulses.sort();
    let (median, longest) = (pulses[pulses.len() / 2], pulses[pulses.len() - 1]);
    println!("{others} floods; pulses of {PULSE:?}: median {median:?}, longest {longest:?}");
    assert!(others >= 6, "only {others} floods beside them");
    assert!(pulses[0] >= PULSE && median < PULSE + Duration::from_millis(30), "median {median:?}");
    assert!(longest < PULSE + Duration::from_millis(400), "longest {longest:?}");
    rig.stop();
}
