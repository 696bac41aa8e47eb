//! Strangers: the official Python SDK as a client of the emulator, and a strict server that checks `mynah run` with its types.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::process::{Process, wait_for};
use super::rig::{MYNAH, Rig, SOON, Wish, certificate, recording};

/// Installing the SDK takes its time on a slow network.
const INSTALLED_WITHIN: Duration = Duration::from_secs(400);

fn python(script: &str) -> Command {
    let mut command = Command::new("python3");
    command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/line").join(script));
    // The virtual environment outlives the run.
    command.arg("--cache").arg(Path::new(env!("CARGO_TARGET_TMPDIR")).join("strangers"));
    command
}

fn address(process: &mut Process, limit: Duration) -> String {
    wait_for("the server's address", limit, || {
        process.must_live();
        let text = process.text();
        let rest = text.split_once("listening on wss://")?.1;
        rest.split_once([' ', '\n']).map(|(address, _)| address.to_string())
    })
}

#[test]
#[ignore = "needs the Python SDK; sh tests/run.sh runs it"]
fn the_official_sdk_holds_a_conversation_with_the_emulator() {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("line/sdk");
    let _ = std::fs::remove_dir_all(&folder);
    certificate(&folder);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/line/sdk.txt");
    let mut command = Command::new(MYNAH);
    command.args(["emulator", "--listen", "127.0.0.1:0", "--script"]).arg(script);
    command.arg("--tls-cert").arg(folder.join("cert.pem")).arg("--tls-key").arg(folder.join("key.pem"));
    let mut emulator = Process::start("emulator", &folder, &mut command);
    let address = address(&mut emulator, SOON);
    let mut command = python("sdk.py");
    command.args(["--address", &address]).arg("--cert").arg(folder.join("ca.pem"));
    command.arg("--speech").arg(recording("ask_lamp"));
    let mut sdk = Process::start("sdk", &folder, &mut command);
    let status = sdk.end_within(INSTALLED_WITHIN);
    println!("{}", sdk.text());
    assert!(status.success(), "{}\n--- the emulator:\n{}", sdk.text(), emulator.text());
}

#[test]
#[ignore = "needs PulseAudio and the Python SDK; sh tests/run.sh runs it"]
fn a_strict_stranger_of_a_server_refuses_nothing_that_mynah_says() {
    let mut rig = Rig::without_server("strict", Wish::default());
    let mut command = python("strict_server.py");
    command.args(["--address", "127.0.0.1:0", "--turns", "3"]);
    command.arg("--cert").arg(rig.path("cert.pem")).arg("--key").arg(rig.path("key.pem"));
    let mut server = Process::start("strict", &rig.folder, &mut command);
    let address = address(&mut server, INSTALLED_WITHIN);
    rig.write_agent(&address, Wish::default());
    rig.start_mynah();
    rig.await_mic();
    rig.after(0, "link_ready", SOON);
    // A turn to its end, one that is cut, and the one that cuts it.
    let mark = rig.ask("ask_lamp");
    let over = rig.after(mark, "turn_over", SOON);
    wait_for("the lamp", SOON, || (rig.line("lamp") == "1").then_some(()));
    let mark = rig.ask("ask_hello");
    rig.after(mark.max(over), "reply_heard", SOON);
    rig.ask("ask_stop");
    let status = server.end_within(SOON);
    println!("{}", server.text());
    assert!(status.success(), "{}", server.text());
    assert!(server.text().contains("\"refused\": []"), "{}", server.text());
}
