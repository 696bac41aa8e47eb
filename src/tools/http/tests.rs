//! Requests, redirects and answers of the action `http`.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::config::agent::action::address::Host;
use crate::config::agent::{self, Action};
use proptest::prelude::*;

/// A tool's action with the parameters `a` and `b`, texts, and `n`, a number.
fn action(action: &str) -> HttpAction {
    let text = format!(
        r#"
        [secrets]
        key = "/nowhere/key"
        [http]
        hosts = ["a.example", "b.example", "c.example:8443"]
        [[tools]]
        name = "ask"
        description = "Asks."
        parameters = {{ type = "OBJECT", properties = {{ a = {{ type = "STRING" }}, b = {{ type = "STRING" }}, n = {{ type = "NUMBER" }} }}, required = ["a", "b", "n"] }}
        action = {{ {action} }}
    "#
    );
    let agent = agent::parse(&text, "test").unwrap_or_else(|problems| panic!("{problems:#?}"));
    match agent.tools[0].action.clone() {
        Action::Http(action) => action,
        other => panic!("{other:?}"),
    }
}

fn args(a: &str) -> Map<String, Value> {
    json!({"a": a, "b": "two", "n": 3.0}).as_object().unwrap().clone()
}

fn asked(what: &str, a: &str) -> Result<Request, String> {
    request(&action(what), &args(a))
}

fn hosts() -> Vec<Host> {
    ["a.example", "b.example", "c.example:8443"].map(|host| Host::parse(host).unwrap()).to_vec()
}

#[test]
fn arguments_are_encoded_and_odd_path_pieces_refused() {
    let url = r#"http = "GET", url = "https://a.example/v1/{a}/x?u={b}&n={n}""#;
    let target = |a| asked(url, a).map(|request| request.target);
    assert_eq!(target("New York").unwrap(), "/v1/New%20York/x?u=two&n=3");
    assert_eq!(target("admin?x=1#y&z").unwrap(), "/v1/admin%3Fx%3D1%23y%26z/x?u=two&n=3");
    assert_eq!(target("k\u{f6}ln%2e").unwrap(), "/v1/k%C3%B6ln%252e/x?u=two&n=3");
    for (odd, word) in [
        ("", "may not be empty"),
        (".", "may not be `.`"),
        ("..", "may not be `.`"),
        ("../admin", "slash"),
        ("a/b", "slash"),
        ("..\\b", "slash"),
        ("a\r\nb", "control"),
        ("a\0", "control"),
    ] {
        assert!(target(odd).unwrap_err().contains(word), "{odd}");
    }
    assert!(target(&"x".repeat(9000)).unwrap_err().contains("too long"));
    let dotted = r#"http = "GET", url = "https://a.example/.{a}""#;
    assert!(asked(dotted, ".").is_err() && asked(dotted, "well-known").is_ok());
    let query = asked(r#"http = "GET", url = "https://a.example/x?u={a}""#, "../a\nb").unwrap();
    assert_eq!(query.target, "/x?u=..%2Fa%0Ab", "a query has no segments");
}

#[test]
fn a_header_takes_no_line_break_and_a_body_takes_types() {
    let what = r#"http = "POST", url = "https://a.example/", headers = { X-Room = "r {a}", Authorization = "Bearer {secret.key}" }, body = { n = "{n}", t = "{a}!", k = "{secret.key}" }"#;
    let request = asked(what, "hall").unwrap();
    assert_eq!(request.headers["x-room"].to_string(), "r hall");
    assert_eq!(request.headers["authorization"].to_string(), "Bearer {secret.key}");
    let sent = fill::reveal_body(request.body.as_ref().unwrap(), &mut |_: &str| Ok::<_, ()>("s".to_string())).unwrap();
    assert_eq!(sent, json!({"n": 3.0, "t": "hall!", "k": "s"}));
    for odd in ["a\r\nX-Evil: 1", "a\nb", "\u{e9}", "\0"] {
        assert!(asked(what, odd).unwrap_err().contains("plain ASCII"), "{odd:?}");
    }
}

#[test]
fn a_redirect_leads_only_to_listed_hosts_and_never_out_of_tls() {
    let what = r#"http = "GET", url = "https://a.example/x/y?z={a}", redirects = 2"#;
    let request = asked(what, "1").unwrap();
    let follow = |location: &str| request.follow(&request.first(), 0, 302, Some(location), &hosts());
    for (location, origin, target) in [
        ("/new", "https://a.example", "/new"),
        ("new?q#f", "https://a.example", "/x/new?q"),
        ("?q", "https://a.example", "/x/y?q"),
        ("//b.example/p", "https://b.example", "/p"),
        ("https://B.example", "https://b.example", "/"),
        ("https://c.example:8443/p", "https://c.example:8443", "/p"),
    ] {
        let hop = follow(location).unwrap().unwrap();
        assert_eq!((hop.origin.to_string().as_str(), hop.target.as_str()), (origin, target), "{location}");
        assert_eq!(hop.is_elsewhere, origin != "https://a.example");
    }
    for (location, word) in [
        ("http://a.example/", "not encrypted"),
        ("http://b.example/", "not encrypted"),
        ("https://d.example/", "does not allow"),
        ("https://a.example.evil/", "does not allow"),
        ("https://a.example:444/", "does not allow"),
        ("https://127.0.0.1/", "does not allow"),
        ("https://a.example@evil.example/", "no address"),
        ("\\\\b.example/", "no address"),
        ("file:///etc/passwd", "no address"),
        ("/a b", "no address"),
        ("", "no address"),
    ] {
        let said = follow(location).unwrap_err().to_string();
        assert!(said.contains(word), "{location}: {said}");
    }
    let again = request.follow(&request.first(), 2, 302, Some("/z"), &hosts()).unwrap_err().to_string();
    assert!(again.contains("more than 2 times"), "{again}");
    let none = asked(r#"http = "GET", url = "https://a.example/""#, "1").unwrap();
    assert_eq!(none.follow(&none.first(), 0, 302, Some("/z"), &hosts()), Ok(None), "off unless asked for");
    assert_eq!(request.follow(&request.first(), 0, 304, Some("/z"), &hosts()), Ok(None));
}

#[test]
fn a_redirect_takes_no_secret_elsewhere() {
    let what = r#"http = "POST", url = "https://a.example/", redirects = 3, headers = { X-Key = "{secret.key}", X-Room = "{a}", Content-Language = "de" }, body = "BODY""#;
    let plain = asked(&what.replace("BODY", "{a}"), "hall").unwrap();
    let names = |request: &Request, hop: &Hop| -> Vec<String> {
        request.headers_of(hop).map(|(name, _)| name.to_string()).collect()
    };
    let first = plain.first();
    assert_eq!(names(&plain, &first), ["content-language", "x-key", "x-room"]);
    let kept = plain.follow(&first, 0, 307, Some("/2"), &hosts()).unwrap().unwrap();
    assert_eq!((kept.method, kept.has_body), (Method::Post, true));
    assert_eq!(names(&plain, &kept), ["content-language", "x-key", "x-room"]);
    let away = plain.follow(&first, 0, 307, Some("https://b.example/"), &hosts()).unwrap().unwrap();
    assert_eq!(names(&plain, &away), ["content-language", "x-room"]);
    let back = plain.follow(&away, 1, 307, Some("https://a.example/"), &hosts()).unwrap().unwrap();
    assert_eq!(names(&plain, &back), ["content-language", "x-room"], "who sent it back chose where");
    let got = plain.follow(&first, 0, 303, Some("/2"), &hosts()).unwrap().unwrap();
    assert_eq!((got.method, got.has_body), (Method::Get, false));
    assert_eq!(names(&plain, &got), ["x-key", "x-room"]);

    let secret = asked(&what.replace("BODY", "{secret.key}"), "hall").unwrap();
    let said = secret.follow(&secret.first(), 0, 308, Some("https://b.example/"), &hosts()).unwrap_err();
    assert!(matches!(&said, Failure::Refused(why) if why.contains("secret")), "{said}");
    assert!(secret.follow(&secret.first(), 0, 302, Some("https://b.example/"), &hosts()).unwrap().is_some());
}

fn reply(status: u16, content_type: &str, body: &str) -> Reply {
    Reply { status, content_type: content_type.into(), body: body.as_bytes().to_vec(), is_cut: false }
}

#[test]
fn answers_become_small_results() {
    let get = asked(r#"http = "GET", url = "https://a.example/""#, "").unwrap();
    let pick =
        asked(r#"http = "GET", url = "https://a.example/", pick = { temp = "/now/temp_c", day = "/days/1" }"#, "")
            .unwrap();
    let weather = r#"{"now": {"temp_c": 21.5}, "days": ["mon", "tue"]}"#;
    for (request, reply, result) in [
        (&pick, reply(200, "text/plain", weather), json!({"status": 200, "answer": {"temp": 21.5, "day": "tue"}})),
        (&get, reply(200, "application/json; charset=utf-8", "[1]"), json!({"status": 200, "answer": [1]})),
        (&get, reply(200, "application/hal+JSON", "null"), json!({"status": 200, "answer": null})),
        (&get, reply(201, "text/plain", " ok\n"), json!({"status": 201, "text": "ok"})),
        (&get, reply(204, "", ""), json!({"status": 204, "answer": "done; the server said nothing more"})),
        (
            &get,
            Reply { body: vec![0xff, 0xd8, 0xff], ..reply(200, "image/jpeg", "") },
            json!({"status": 200, "answer": "done; the answer is 3 bytes of image/jpeg, no text"}),
        ),
    ] {
        assert_eq!(request.answer(&reply), Ok(result));
    }
    let long = get.answer(&reply(200, "text/plain", &"\u{e4}".repeat(5000))).unwrap();
    assert_eq!((long["is_cut"].as_bool(), long["text"].as_str().unwrap().len()), (Some(true), TEXT_BYTES_MAX));
    let cut = Reply { is_cut: true, body: "\u{e4}\u{e4}".as_bytes()[..3].to_vec(), ..reply(200, "", "") };
    assert_eq!(get.answer(&cut).unwrap(), json!({"status": 200, "text": "\u{e4}", "is_cut": true}));
}

#[test]
fn bad_answers_are_told_apart_by_whose_fault_they_are() {
    let get = asked(r#"http = "GET", url = "https://a.example/", pick = { t = "/t" }"#, "").unwrap();
    let post = asked(r#"http = "POST", url = "https://a.example/", body = {}"#, "").unwrap();
    let long = Reply { is_cut: true, ..reply(200, "application/json", "[") };
    for (request, reply, is_reached, word) in [
        (
            &get,
            reply(404, "application/json", "{\"error\":\n\"no such city\"}"),
            true,
            "404: {\"error\": \"no such city\"}",
        ),
        (&get, reply(401, "text/html", "<html>"), true, "status 401"),
        (&get, reply(302, "", ""), true, "does not follow"),
        (&get, reply(200, "application/json", "{\"u\": 1}"), true, "has no /t"),
        (&get, reply(200, "application/json", "{"), true, "is not JSON"),
        (&get, reply(200, "", ""), true, "is not JSON"),
        (&post, long, true, "took the request (status 200), but its answer is longer than 256 KiB"),
        (&get, reply(503, "text/plain", "busy"), false, "has a fault of its own (status 503)"),
        (&post, reply(500, "", ""), false, "whether it did what was asked is not known"),
    ] {
        let failure = request.answer(&reply).unwrap_err();
        assert_eq!(matches!(failure, Failure::Refused(_)), is_reached, "{failure}");
        assert!(failure.to_string().contains(word) && failure.to_string().contains("a.example"), "{failure}");
    }
    let flood = post.answer(&reply(400, "text/plain", &"no ".repeat(100_000))).unwrap_err();
    assert!(flood.to_string().len() < 500);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() })]

    /// A parser of addresses that nobody here wrote sees the same host, path and query whatever the arguments say.
    #[test]
    fn no_argument_changes_the_shape_of_an_address(
        a in "(?s)([./?#&=%@:;\\\\ \r\n\t\0a2eE+]|.){0,12}",
        b in "(?s)([./?#&=%@:;\\\\ \r\n\t\0a2eE+]|.){0,12}",
    ) {
        let action = action(r#"http = "GET", url = "https://a.example/v1/{a}/x.{b}/end?u={a}&v={b}""#);
        let mut args = args(&a);
        args.insert("b".into(), json!(b));
        let Ok(request) = request(&action, &args) else {
            let odd = |text: &str| text.is_empty() || text.chars().any(|c| "/\\".contains(c) || c.is_control());
            prop_assert!([".", ".."].contains(&a.as_str()) || odd(&a) || odd(&b), "refused without need");
            return Ok(());
        };
        let url = url::Url::parse(&format!("{}{}", request.origin, request.target)).unwrap();
        prop_assert_eq!(url.host_str(), Some("a.example"));
        prop_assert_eq!((url.port(), url.username(), url.fragment()), (None, "", None));
        let path: Vec<&str> = url.path_segments().unwrap().collect();
        prop_assert_eq!((path.len(), path[0], path[3]), (4, "v1", "end"));
        let query: Vec<(String, String)> = url.query_pairs().into_owned().collect();
        prop_assert_eq!(query, [("u".to_string(), a.clone()), ("v".to_string(), b.clone())]);
        prop_assert_eq!(request.origin, action.address.origin);
    }
}
