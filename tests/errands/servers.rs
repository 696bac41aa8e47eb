//! Servers for the tests: nginx, which nobody here wrote, and small bad ones that no proper server would be.

use std::io::{Read as _, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::rig::SOON;

/// nginx, until it is dropped.
pub struct Nginx {
    child: Child,
    pub plain: SocketAddr,
    pub other: SocketAddr,
    pub tls: SocketAddr,
    pub odd_tls: SocketAddr,
}

/// An address that nobody uses now.
fn free() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

impl Nginx {
    /// Serves `folder/www`; certificates are in `folder`.
    pub fn start(folder: &Path) -> Nginx {
        let [plain, other, tls, odd_tls] = [free(), free(), free(), free()];
        let at = folder.display();
        std::fs::create_dir_all(folder.join("www")).unwrap();
        let told = r#"{"uri":"$request_uri","method":"$request_method","key":"$http_x_key","room":"$http_x_room","type":"$content_type","length":"$content_length"}"#;
        let places = format!(
            "location /www/ {{ root {at}; dav_methods PUT DELETE; create_full_put_path on; }}
             location /echo {{ default_type application/json; return 200 '{told}'; }}
             location /nothing {{ return 204; }}
             location /busy {{ return 503 'come back later'; }}
             location /denied {{ default_type text/plain; return 403 'not you, $http_x_key'; }}
             location /moved {{ return 302 /echo; }}
             location /kept {{ return 307 /echo; }}
             location /loop {{ return 302 /loop; }}
             location /other {{ return 307 http://{other}/echo; }}
             location /stranger {{ return 302 http://127.0.0.1:9/; }}
             location /in-the-clear {{ return 301 http://{plain}/echo; }}"
        );
        let ssl = |papers: &str| {
            format!("ssl_certificate {at}/{papers}-cert.pem; ssl_certificate_key {at}/{papers}-key.pem;")
        };
        let temp = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|kind| format!("{kind}_temp_path {at}/temp-{kind};"))
            .join("\n");
        let text = format!(
            "daemon off; master_process off; pid {at}/nginx.pid; error_log {at}/error.log; events {{}}
             http {{ access_log off; {temp} types {{ application/json json; text/plain txt; }} absolute_redirect off;
             server {{ listen {plain}; {places} }}
             server {{ listen {other}; {places} }}
             server {{ listen {tls} ssl; {} {places} }}
             server {{ listen {odd_tls} ssl; {} {places} }} }}",
            ssl("right"),
            ssl("wrong-name"),
        );
        let file = folder.join("nginx.conf");
        std::fs::write(&file, text).unwrap();
        let mut command = Command::new("nginx");
        command.arg("-p").arg(folder).arg("-c").arg(&file).arg("-e").arg(folder.join("error.log"));
        let child = command.stdin(Stdio::null()).spawn().expect("nginx: tests/run.sh installs it");
        let since = Instant::now();
        while TcpStream::connect(odd_tls).is_err() {
            assert!(since.elapsed() < SOON, "nginx does not listen: see {at}/error.log");
            thread::sleep(Duration::from_millis(20));
        }
        Nginx { child, plain, other, tls, odd_tls }
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A server that does `bad` with every connection, after it has read the request's beginning.
pub fn bad(bad: impl Fn(&mut TcpStream) + Send + Sync + Clone + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, bad) = (stream.unwrap(), bad.clone());
            thread::spawn(move || {
                let _ = stream.read(&mut [0; 4096]);
                bad(&mut stream);
            });
        }
    });
    address
}

/// Writes `piece` again and again until the other side hangs up.
pub fn flood(stream: &mut impl Write, piece: &[u8]) {
    while stream.write_all(piece).is_ok() {}
}
