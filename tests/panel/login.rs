//! Whom the panel lets in: names, pages of others, forms, passwords, cookies, TLS.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Instant;

use mynah::flow::{Control, What};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::ServerName;
use rustls::{ClientConnection, StreamOwned};

use crate::rig::{Answer, LIMIT, Panel, Place, free_port, wait_for};

const STOP: &str = r#"{"do":"stop"}"#;

#[test]
fn only_this_devices_names_are_answered() {
    let panel = Panel::start("hosts = [\"mynah.local\"]\n");
    for (host, status) in [
        ("localhost", 200),
        ("127.0.0.1", 200),
        ("mynah.local:8080", 200),
        ("evil.example", 403),
        ("127.0.0.1.evil.example", 403),
        ("", 403),
    ] {
        for path in ["/api/state", "/", "/metrics"] {
            let answer = panel.send(&format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"));
            assert_eq!(answer.status, status, "{host}: {answer:?}");
        }
    }
    for request in [
        "GET / HTTP/1.1\r\nConnection: close\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\nConnection: close\r\n\r\n",
        "GET http://evil.example/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    ] {
        assert_eq!(panel.send(request).status, 400, "{request}");
    }
}

#[test]
fn nothing_is_wanted_by_another_page_or_a_form() {
    let panel = Panel::start("");
    let own = format!("Origin: http://127.0.0.1:{}\r\n", panel.port);
    for (more, status) in [
        (String::new(), 403), // no header that a form cannot send
        ("X-Mynah: 0\r\n".into(), 403),
        ("X-Mynah: 1\r\nOrigin: http://evil.example\r\n".into(), 403),
        ("X-Mynah: 1\r\nOrigin: null\r\n".into(), 403),
        ("X-Mynah: 1\r\nOrigin: http://127.0.0.1:1\r\n".into(), 403),
        ("X-Mynah: 1\r\nSec-Fetch-Site: cross-site\r\n".into(), 403),
        (own.clone(), 403),
    ] {
        let answer = panel.post("/api/do", &more, STOP);
        assert_eq!(answer.status, status, "{more}: {answer:?}");
    }
    assert!(panel.gave_nothing());
    assert_eq!(panel.post("/api/do", &format!("{own}X-Mynah: 1\r\n"), STOP).status, 204);
    assert_eq!(panel.given(), Control::Stop);
    for path in ["/api/state", "/api/stills/1.jpg", "/metrics"] {
        assert_eq!(panel.get(path, "Sec-Fetch-Site: cross-site\r\n").status, 403, "{path}");
    }
    assert_eq!(panel.get("/", "Sec-Fetch-Site: cross-site\r\n").status, 200, "a link may lead here");
    assert_eq!(panel.get("/api/do", "").status, 405);
}

#[test]
fn a_password_opens_and_nothing_else_does() {
    let place = Place::new("password");
    let file = place.file("secret", "open sesame & co\n");
    let panel = Panel::start(&format!("secret_file = \"{file}\"\n"));
    for path in ["/api/state", "/api/events", "/api/settings", "/api/recorder", "/api/stills/1.jpg", "/metrics", "/no"]
    {
        let answer = panel.get(path, "");
        assert!(answer.status == 401 || answer.header("location") == Some("/login"), "{path}: {answer:?}");
        assert_eq!(panel.get(path, "Cookie: mynah_session=\r\n").status, answer.status);
    }
    assert_eq!(panel.wish(STOP).status, 401);
    for path in ["/", "/kiosk"] {
        assert_eq!(panel.get(path, "").header("location"), Some("/login"));
    }
    for path in ["/login", "/assets/style.css", "/healthz"] {
        assert_eq!(panel.get(path, "").status, 200, "{path}");
    }
    let wrong = panel.post("/login", "", "secret=open");
    assert_eq!((wrong.status, wrong.header("location"), wrong.header("set-cookie")), (303, Some("/login#wrong"), None));
    assert_eq!(panel.post("/login", "Origin: http://evil.example\r\n", "secret=open+sesame+%26+co").status, 403);

    let right = panel.post("/login", "", "secret=open+sesame+%26+co");
    assert_eq!((right.status, right.header("location")), (303, Some("/")));
    let cookie = right.header("set-cookie").unwrap().to_string();
    assert!(cookie.contains("; httponly; samesite=strict;") && !cookie.contains("secure"), "{cookie}");
    let cookie = format!("Cookie: {}\r\n", cookie.split(';').next().unwrap());
    assert_eq!(panel.get("/api/state", &cookie).json()["device"]["view"]["is_login_needed"], true);
    assert_eq!(panel.post("/api/do", &format!("{cookie}X-Mynah: 1\r\n"), STOP).status, 204);
    assert_eq!(panel.get("/metrics", "Authorization: Bearer open sesame & co\r\n").status, 200);
    let answers =
        ["/api/state", "/api/settings", "/api/recorder", "/metrics"].map(|path| panel.get(path, &cookie).body);
    assert!(answers.iter().all(|answer| answer.len() > 10 && !answer.contains("sesame")));

    assert_eq!(panel.post("/logout", &cookie, "").status, 303);
    assert_eq!(panel.get("/api/state", &cookie).status, 401);
}

#[test]
fn who_guesses_waits() {
    let place = Place::new("guesses");
    let file = place.file("secret", "open sesame");
    let panel = Panel::start(&format!("secret_file = \"{file}\"\n"));
    let to: Vec<String> =
        (0..7).map(|_| panel.post("/login", "", "secret=x").header("location").unwrap().to_string()).collect();
    assert_eq!(to[..5], ["/login#wrong"; 5]);
    assert_eq!(to[5..], ["/login#wait"; 2]);
    assert_eq!(panel.post("/login", "", "secret=open+sesame").header("location"), Some("/login#wait"));
    assert_eq!(panel.get("/metrics", "Authorization: Bearer open sesame\r\n").status, 429);
}

#[test]
fn a_password_that_others_can_read_or_that_is_short_serves_nothing() {
    let place = Place::new("exposed");
    let exposed = place.file("exposed", "open sesame");
    std::fs::set_permissions(&exposed, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    let short = place.file("short", "1234");
    for (file, part) in [(exposed, "chmod 600"), (short, "fewer"), ("/nowhere".into(), "no file")] {
        let panel = Panel::start_at(free_port(), &format!("secret_file = \"{file}\"\n"));
        wait_for("the trouble", || !panel.told.lock().unwrap().is_empty());
        let told = format!("{:?}", panel.told.lock().unwrap());
        assert!(told.contains(part) && !told.contains("sesame"), "{told}");
        assert!(TcpStream::connect(("127.0.0.1", panel.port)).is_err());
    }
}

#[test]
fn it_speaks_tls_where_a_certificate_is_named_and_nothing_else() {
    let place = Place::new("tls");
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = params.self_signed(&key).unwrap().pem();
    let issuer = Issuer::new(params, key);
    let own = KeyPair::generate().unwrap();
    let certificate =
        CertificateParams::new(["127.0.0.1".to_string()]).unwrap().signed_by(&own, &issuer).unwrap().pem();
    let files = (place.file("cert.pem", &certificate), place.file("key.pem", &own.serialize_pem()));
    let secret = place.file("secret", "open sesame");
    let panel =
        Panel::start(&format!("certificate = \"{}\"\nkey = \"{}\"\nsecret_file = \"{secret}\"\n", files.0, files.1));
    let config = Arc::new(mynah::hw::tls::config(Some(ca.as_bytes())).unwrap());
    let ask = |request: String| {
        let name = ServerName::try_from("127.0.0.1").unwrap();
        let socket = TcpStream::connect(("127.0.0.1", panel.port)).unwrap();
        socket.set_read_timeout(Some(LIMIT)).unwrap();
        let mut stream = StreamOwned::new(ClientConnection::new(config.clone(), name).unwrap(), socket);
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        Answer::read(&answer)
    };
    let host = format!("Host: 127.0.0.1:{}\r\n", panel.port);
    let health = ask(format!("GET /healthz HTTP/1.1\r\n{host}Connection: close\r\n\r\n"));
    assert_eq!((health.status, health.body.trim()), (200, "ok"));
    let form = "secret=open+sesame";
    let login = ask(format!(
        "POST /login HTTP/1.1\r\n{host}Origin: https://127.0.0.1:{}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{form}",
        panel.port,
        form.len()
    ));
    assert!(login.header("set-cookie").unwrap().ends_with("; secure"), "{login:?}");
    assert_eq!(panel.get("/healthz", "").status, 0, "without TLS there is no answer");
}

/// The cookie of one who shows the password, as a line of a request's head.
fn sign_in(panel: &Panel, form: &str) -> String {
    let right = panel.post("/login", "", form);
    let cookie = right.header("set-cookie").unwrap_or_else(|| panic!("{right:?}"));
    format!("Cookie: {}\r\n", cookie.split(';').next().unwrap())
}

#[test]
fn who_signed_in_is_known_after_a_restart_until_the_password_is_another() {
    let place = Place::new("restart");
    let file = place.file("secret", "open sesame");
    let settings = format!("secret_file = \"{file}\"\n");
    let state = || Some(Arc::new(mynah::hw::folder::Folder::new(place.0.join("state"))));
    let start = || {
        let panel = Panel::start_with(free_port(), &settings, state());
        panel.wait_until_open();
        panel
    };
    let kept = place.0.join("state/sign_ins.json");
    let is_kept = |count: usize| {
        let text = std::fs::read_to_string(&kept).unwrap_or_default();
        text.matches("\"mark\"").count() == count
    };
    let panel = start();
    let (stays, leaves) = (sign_in(&panel, "secret=open+sesame"), sign_in(&panel, "secret=open+sesame"));
    wait_for("both on the disk", || is_kept(2));
    assert_eq!(panel.post("/logout", &leaves, "").status, 303);
    wait_for("one on the disk", || is_kept(1));
    let text = std::fs::read_to_string(&kept).unwrap();
    assert!(!text.contains(stays.trim().trim_start_matches("Cookie: mynah_session=")), "no token is in it");
    let rights = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&kept).unwrap().permissions());
    assert_eq!(rights & 0o777, 0o600);
    drop(panel);
    let panel = start();
    assert_eq!(panel.get("/api/state", &stays).status, 200);
    assert_eq!(panel.get("/api/state", &leaves).status, 401);
    drop(panel);
    place.file("secret", "another one");
    let panel = start();
    assert_eq!(panel.get("/api/state", &stays).status, 401);
    drop(panel);
    std::fs::write(&kept, "{").unwrap();
    assert_eq!(start().get("/login", "").status, 200, "a broken file keeps nobody out");
}

#[test]
fn a_session_that_ends_ends_what_is_told_to_it_whatever_else_its_requests_say() {
    let place = Place::new("ends");
    let file = place.file("secret", "open sesame");
    let panel = Panel::start(&format!("secret_file = \"{file}\"\n"));
    let cookie = sign_in(&panel, "secret=open+sesame");
    let mut viewer = panel.view(&format!("{cookie}Authorization: Basic eDp5\r\n"));
    viewer.next().unwrap();
    assert_eq!(panel.post("/logout", &cookie, "").status, 303);
    // It is asked every fifteen seconds.
    let since = Instant::now();
    for percent in (0..100).cycle() {
        panel.tell(What::VolumeSet { percent });
        if viewer.next().is_none() {
            return;
        }
        assert!(since.elapsed() < LIMIT, "it goes on being told");
    }
}
