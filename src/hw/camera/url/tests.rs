//! Tests of cameras on the network: sockets that answer what a test says.
#![allow(clippy::unwrap_used)]

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, sync_channel};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::super::drawn;
use super::*;
use crate::config::agent::action::address::{Origin, Scheme};
use crate::hw::clock::RealClock;
use crate::units::Time;

/// A camera that gives `answer` each time; what it was asked comes back.
fn camera(answer: Vec<u8>) -> (CameraUrl, Receiver<String>) {
    camera_behind(Scheme::Http, answer, Ok)
}

/// The same behind what `dress` makes of a connection.
fn camera_behind<S: Read + Write>(
    scheme: Scheme,
    answer: Vec<u8>,
    dress: impl Fn(TcpStream) -> io::Result<S> + Send + 'static,
) -> (CameraUrl, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (tell, told) = sync_channel(8);
    std::thread::spawn(move || -> io::Result<()> {
        for stream in listener.incoming() {
            let mut stream = dress(stream?)?;
            let mut head = [0; 2048];
            // One that does not like our certificate says so instead.
            let Ok(count) = stream.read(&mut head) else { continue };
            let _ = tell.try_send(String::from_utf8_lossy(&head[..count]).to_string());
            stream.write_all(&answer)?;
        }
        Ok(())
    });
    let origin = Origin { scheme, host: "127.0.0.1".into(), port };
    (CameraUrl { origin, path: "/snapshot.jpg?channel=1".into(), login_file: None }, told)
}

fn next(wish: &CameraUrl) -> Result<Option<Still>, CameraTrouble> {
    start(wish, None, Arc::new(RealClock::new())).unwrap().next(Duration::from_secs(20))
}

/// What a camera answers that gives this picture.
fn with_head(jpeg: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\nContent-Length: {}\r\n\r\n", jpeg.len());
    [head.as_bytes(), jpeg].concat()
}

#[test]
fn a_picture_is_fetched_with_the_owners_login() {
    let jpeg = drawn::draw(64, 48, Time::ZERO).unwrap();
    let (mut wish, told) = camera(with_head(&jpeg));
    let file = std::env::temp_dir().join(format!("mynah-camera-login-{}", std::process::id()));
    std::fs::write(&file, "owner:secret\n").unwrap();
    let own = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(&file, own).unwrap();
    wish.login_file = Some(file.clone());
    let still = next(&wish).unwrap().unwrap();
    assert_eq!((still.width, still.height, still.jpeg), (64, 48, jpeg));
    let asked = told.recv().unwrap();
    assert!(asked.starts_with("GET /snapshot.jpg?channel=1 HTTP/1.1\r\n"), "{asked}");
    assert!(asked.contains("authorization: Basic b3duZXI6c2VjcmV0\r\n"), "{asked}");
    std::fs::remove_file(&file).unwrap();
}

#[test]
fn nothing_is_asked_any_more_once_it_is_dropped() {
    // One that never answers: the request is under way when it is given up.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let origin = Origin { scheme: Scheme::Http, host: "127.0.0.1".into(), port: listener.local_addr().unwrap().port() };
    let wish = CameraUrl { origin, path: "/".into(), login_file: None };
    let mut camera = start(&wish, None, Arc::new(RealClock::new())).unwrap();
    let (mut asked, _) = listener.accept().unwrap();
    assert_eq!(camera.next(Duration::ZERO), Ok(None));
    drop(camera);
    asked.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut rest = Vec::new();
    let _ = asked.read_to_end(&mut rest); // to the end of the connection, not of the time
    listener.set_nonblocking(true).unwrap();
    assert_eq!(listener.accept().unwrap_err().kind(), io::ErrorKind::WouldBlock);
}

#[test]
fn a_refusal_and_what_is_no_picture_are_told_and_not_kept_waiting_for() {
    for (answer, told) in [
        ("HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n", "it answered with 401 Unauthorized"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "no JPEG picture"),
    ] {
        let (wish, _asked) = camera(answer.into());
        let trouble = next(&wish).unwrap_err().to_string();
        assert!(trouble.contains(told) && trouble.contains("127.0.0.1"), "{trouble}");
    }
}
/// Papers of an authority of the house's own for 127.0.0.1: how to show them, and the authority's PEM.
fn papers() -> (Arc<ServerConfig>, String) {
    let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let pem = params.self_signed(&key).unwrap().pem();
    let (authority, own) = (Issuer::new(params, key), KeyPair::generate().unwrap());
    let certificate = CertificateParams::new(["127.0.0.1".to_string()]).unwrap().signed_by(&own, &authority).unwrap();
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(own.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = config.with_no_client_auth().with_single_cert(vec![certificate.der().clone()], key).unwrap();
    (Arc::new(config), pem)
}

#[test]
fn a_camera_with_a_certificate_of_the_houses_own_is_trusted_where_the_owner_says_so() {
    let (config, pem) = papers();
    let jpeg = drawn::draw(64, 48, Time::ZERO).unwrap();
    let dress = move |tcp| {
        let server = ServerConnection::new(config.clone()).map_err(io::Error::other)?;
        Ok(StreamOwned::new(server, tcp))
    };
    let (wish, _asked) = camera_behind(Scheme::Https, with_head(&jpeg), dress);
    let stranger = next(&wish).unwrap_err().to_string();
    assert!(stranger.contains("TLS failed: invalid peer certificate"), "{stranger}");
    let mut camera = start(&wish, Some(pem.as_bytes()), Arc::new(RealClock::new())).unwrap();
    assert_eq!(camera.next(Duration::from_secs(20)).unwrap().unwrap().jpeg, jpeg);
}
