//! Strangers' servers over both transports, on good days and bad.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use mynah::flow::What;
use serde_json::json;

use super::process::Process;
use super::rig::{Listening, Rig, SOON, children, children_of, folder, installed, is_alive, number_in, port, wait_for};

const EVERYTHING: &str = r#"
    [mcp.allow]
    echo = {}
    "get-sum" = { as = "add" }
    "get-tiny-image" = {}
    "get-structured-content" = {}
    "get-resource-reference" = {}
    "get-resource-links" = {}
    "get-env" = {}
    "trigger-long-running-operation" = { as = "work", timeout_ms = 1500 }
    "no-such-tool" = {}
"#;

const BAD_DAYS: &str = r#"
    [mcp.allow]
    add = {}
    measure = {}
    fail = {}
    flood = {}
    wait = {}
    hang = { timeout_ms = 1000 }
    die = {}
    noise = {}
    environment = {}
    learn = {}
    later = {}
"#;

fn everything_over_stdio() -> String {
    let it = installed();
    let command = format!("command = [{:?}, {:?}, \"stdio\"]", it.node, it.everything);
    format!("[[mcp]]\nname = \"all\"\ntimeout_ms = 30000\n{command}\n{EVERYTHING}")
}

fn bad_days_over_stdio(more: &str) -> String {
    let it = installed();
    let command = format!("command = [{:?}, {:?}]", it.python, it.bad_days);
    format!("[[mcp]]\nname = \"bad\"\ntimeout_ms = 30000\n{command}\n{more}\n{BAD_DAYS}")
}

fn over_http(name: &str, port: u16, allow: &str) -> String {
    format!("[[mcp]]\nname = \"{name}\"\ntimeout_ms = 30000\nurl = \"http://127.0.0.1:{port}/mcp\"\n{allow}")
}

fn start_everything(port: u16) -> Listening {
    let it = installed();
    let mut command = Command::new(it.node);
    Listening::start(command.arg(it.everything).arg("streamableHttp").env("PORT", port.to_string()), port)
}

fn start_bad_days(port: u16) -> Listening {
    let it = installed();
    Listening::start(Command::new(it.python).arg(it.bad_days).args(["--port", &port.to_string()]), port)
}

/// What the project's own server is there for, whatever the transport.
fn converse_with_everything(rig: &mut Rig) {
    let tools = rig.declared();
    let names: Vec<&str> = tools.iter().map(|tool| tool.name.as_str()).collect();
    assert_eq!(tools.len(), 8, "{names:?}");
    assert!(names.contains(&"add") && names.contains(&"all_get_tiny_image"), "{names:?}");
    assert_eq!(rig.call("all_echo", json!({"message": "h\u{e4}"})), Ok(json!({"result": "Echo: h\u{e4}"})));
    let sum = rig.call("add", json!({"a": 2.0, "b": 3})).unwrap();
    assert!(sum["result"].as_str().unwrap().contains('5'), "{sum}");
    let wrong = rig.call("add", json!({"a": "two", "b": 3})).unwrap_err();
    assert_eq!(wrong, "argument `a` must be NUMBER, not STRING");
    let picture = rig.call("all_get_tiny_image", json!({})).unwrap();
    assert_eq!(picture["left_out"], "1 picture");
    let weather = rig.call("all_get_structured_content", json!({"location": "Chicago"})).unwrap();
    assert!(weather["result"]["temperature"].is_number(), "{weather}");
    let links = rig.call("all_get_resource_links", json!({"count": 3})).unwrap();
    assert_eq!(links["left_out"], "3 links");
    let since = Instant::now();
    let late = rig.call("work", json!({"duration": 20, "steps": 2})).unwrap_err();
    assert!(late.contains("did not answer within 1425 ms") && since.elapsed() < Duration::from_secs(10), "{late}");
    let answer = rig.call("work", json!({"duration": 0.2, "steps": 1})).unwrap();
    assert!(
        answer["result"].as_str().unwrap().contains("completed"),
        "it goes on after a call that was late: {answer}"
    );
}

#[test]
#[ignore = "needs the MCP project's servers; sh tests/run.sh runs it"]
fn the_reference_server_is_spoken_to_over_standard_input_and_output() {
    let mut rig = Rig::new(&everything_over_stdio(), None);
    converse_with_everything(&mut rig);
    let variables = rig.call("all_get_env", json!({})).unwrap().to_string();
    assert!(variables.contains("PATH") && !variables.contains("CARGO"), "{variables}");
    let took = rig.stop();
    assert!(took < Duration::from_secs(5), "{took:?}");
    assert!(children().is_empty(), "left: {:?}", children());
}

#[test]
#[ignore = "needs the MCP project's servers; sh tests/run.sh runs it"]
fn the_reference_server_is_spoken_to_over_http_and_found_again_after_its_restart() {
    let port = port();
    let mut server = start_everything(port);
    let mut rig = Rig::new(&over_http("all", port, EVERYTHING), None);
    converse_with_everything(&mut rig);
    let id = rig.start("work", json!({"duration": 20, "steps": 2}));
    std::thread::sleep(Duration::from_millis(300));
    server.kill();
    let gone = rig.reply();
    assert_eq!(gone.id.to_string(), id);
    println!("killed in mid-call: {:?}", gone.result);
    assert!(gone.result.unwrap_err().contains("may or may not have been done"));
    wait_for("word of the trouble", || {
        rig.told
            .lock()
            .unwrap()
            .iter()
            .any(|w| matches!(w, What::Trouble { part, .. } if part == "mcp all"))
            .then_some(())
    });
    let away = rig.call("all_echo", json!({"message": "x"})).unwrap_err();
    println!("away: {away}");
    assert!(away.contains("`all`"), "{away}");
    let _again = start_everything(port);
    wait_for("the server's return", || rig.call("all_echo", json!({"message": "x"})).ok());
    assert!(rig.told.lock().unwrap().iter().any(|w| matches!(w, What::Recovered { part } if part == "mcp all")));
}

#[test]
#[ignore = "needs the MCP project's servers; sh tests/run.sh runs it"]
fn a_python_server_is_spoken_to_over_both_transports() {
    let port = port();
    let _server = start_bad_days(port);
    let mut rigs = [Rig::new(&bad_days_over_stdio(""), None), Rig::new(&over_http("bad", port, BAD_DAYS), None)];
    for rig in &mut rigs {
        let tools = rig.declared();
        assert_eq!(tools.len(), 10, "{tools:?}");
        let measure = tools.iter().find(|tool| tool.name == "bad_measure").unwrap();
        println!("{:#}", measure.parameters.as_ref().unwrap());
        assert_eq!(rig.call("bad_add", json!({"a": 2.0})).unwrap()["result"], 3);
        let tree = json!({"size": 3, "left": "{\"size\": 2, \"left\": {\"size\": 1}}"});
        let measured = rig.call("bad_measure", json!({"tree": tree, "unit": "cm", "free": "{\"k\": 1}"})).unwrap();
        assert_eq!(measured["result"], "3 branches, 3 cm, ['k']");
        let failed = rig.call("bad_fail", json!({"why": "the moon is full"})).unwrap_err();
        assert!(failed.contains("the moon is full"), "{failed}");
        let flood = rig.call("bad_flood", json!({"count": 300_000})).unwrap();
        assert!(
            flood.to_string().len() < 20_000 && flood["of_bytes"].as_u64() > Some(300_000),
            "{}",
            flood["of_bytes"]
        );
        assert!(rig.call("bad_noise", json!({"count": 500})).is_ok(), "standard error never blocks it");
    }
}

#[test]
#[ignore = "needs the MCP project's servers; sh tests/run.sh runs it"]
fn a_call_that_is_cancelled_is_cancelled_at_the_server() {
    let folder = folder("cancel");
    let port = port();
    let _server = start_bad_days(port);
    for (name, config) in [("stdio", bad_days_over_stdio("")), ("http", over_http("bad", port, BAD_DAYS))] {
        let mut rig = Rig::new(&config, None);
        rig.declared();
        let note = folder.join(name);
        let id = rig.start("bad_wait", json!({"seconds": 50, "note": note.to_str().unwrap()}));
        let says = |word: &str| std::fs::read_to_string(&note).ok().filter(|text| text == word);
        wait_for("the call's arrival", || says("waiting"));
        rig.cancel(&id);
        wait_for("the cancellation at the server", || says("cancelled"));
        assert_eq!(rig.call("bad_add", json!({"a": 1})).unwrap()["result"], 2);
        assert!(rig.has_no_reply(), "a cancelled call is not answered");
    }
}

#[test]
#[ignore = "needs the MCP project's servers; sh tests/run.sh runs it"]
fn a_server_that_is_killed_or_hangs_is_started_again_and_never_twice() {
    let folder = folder("killed");
    let note = |name: &str| folder.join(name).to_str().unwrap().to_string();
    let mut rig = Rig::new(&bad_days_over_stdio(""), None);
    rig.declared();

    let since = Instant::now();
    let id = rig.start("bad_die", json!({"note": note("die")}));
    let first = number_in(&folder.join("die"));
    // SAFETY: takes two numbers; the process is our own grandchild at most.
    unsafe { libc::kill(first, libc::SIGKILL) };
    let killed = rig.reply();
    assert_eq!(killed.id.to_string(), id);
    assert!(since.elapsed() < Duration::from_secs(10));
    assert!(killed.result.clone().unwrap_err().contains("went away in the middle"), "{killed:?}");
    wait_for("its return", || rig.call("bad_add", json!({"a": 1})).ok());
    assert_eq!(children().len(), 1, "{:?}", children());

    let hung = rig.call("bad_hang", json!({"note": note("hang")})).unwrap_err();
    assert!(hung.contains("did not answer within 950 ms"), "{hung}");
    let second = number_in(&folder.join("hang"));
    assert_ne!(first, second);
    wait_for("the end of the one that hangs", || (!is_alive(second)).then_some(()));
    wait_for("its return", || rig.call("bad_add", json!({"a": 1})).ok());
    assert_eq!(children().len(), 1, "{:?}", children());
    let id = rig.start("bad_die", json!({"note": note("again")}));
    let third = number_in(&folder.join("again"));
    let took = rig.stop();
    assert!(took < Duration::from_secs(5), "{took:?}");
    let stopped = rig.reply();
    assert!(stopped.id.to_string() == id && stopped.result.unwrap_err().contains("switched off"));
    assert!(!is_alive(third) && children().is_empty(), "{:?}", children());
}

#[test]
#[ignore = "needs the MCP project's servers; sh tests/run.sh runs it"]
fn tools_that_are_learned_later_are_declared_and_remembered() {
    let state = folder("learned");
    let mut rig = Rig::new(&bad_days_over_stdio(""), Some(&state));
    assert_eq!(rig.declared_at_once().map(|tools| tools.len()), None);
    assert_eq!(rig.declared().len(), 10);
    let unknown = rig.call("bad_later", json!({"a": 4})).unwrap_err();
    assert!(unknown.starts_with("there is no function `bad_later`"), "{unknown}");
    assert!(rig.call("bad_learn", json!({"name": "later"})).is_ok());
    let tools = rig.declared();
    assert!(tools.iter().any(|tool| tool.name == "bad_later"), "{tools:?}");
    assert_eq!(rig.call("bad_later", json!({"a": 4})).unwrap()["result"], 5);
    // Not allowed: it changes nothing.
    assert!(rig.call("bad_learn", json!({"name": "secret"})).is_ok());
    wait_for("the list on the disk", || {
        std::fs::read_to_string(state.join("mcp-tools.json")).ok().filter(|t| t.contains("later"))
    });
    rig.stop();

    let port = port();
    let _server = start_bad_days(port);
    let mut over_http = Rig::new(&over_http("bad", port, BAD_DAYS), None);
    assert_eq!(over_http.declared().len(), 10);
    assert!(over_http.call("bad_learn", json!({"name": "later"})).is_ok());
    assert_eq!(over_http.declared().len(), 11, "over HTTP it is told, too");
    drop(over_http);

    let rig = Rig::new(&bad_days_over_stdio(""), Some(&state));
    let remembered = rig.declared_at_once().expect("before the server is there");
    assert_eq!(remembered, tools);
    drop(rig);
    // A file that anybody has written over is as good as none.
    std::fs::write(state.join("mcp-tools.json"), "{\"bad\": [{\"name\": ").unwrap();
    let rig = Rig::new(&bad_days_over_stdio(""), Some(&state));
    assert!(rig.declared_at_once().is_none());
    assert_eq!(rig.declared().len(), 10);
}

#[test]
#[ignore = "needs the MCP project's servers; sh tests/run.sh runs it"]
fn a_server_gets_its_own_environment_and_no_more() {
    let state = folder("environment");
    let secret = state.join("secret");
    std::fs::write(&secret, "s3cret\n").unwrap();
    std::fs::set_permissions(&secret, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let config = bad_days_over_stdio("environment = { TOKEN = \"t-{secret.hub}\" }");
    let mut rig = Rig::new(&format!("[secrets]\nhub = {secret:?}\n{config}"), None);
    rig.declared();
    let names = rig.call("bad_environment", json!({})).unwrap();
    let names: Vec<&str> = names["result"].as_array().unwrap().iter().filter_map(|n| n.as_str()).collect();
    assert!(names.contains(&"TOKEN") && names.contains(&"PATH"), "{names:?}");
    let expected = ["HOME", "LANG", "LC_CTYPE", "PATH", "TMPDIR", "TOKEN", "TZ"];
    assert!(names.iter().all(|name| expected.contains(name)), "{names:?}");
}

#[test]
#[ignore = "needs the MCP project's servers; sh tests/run.sh runs it"]
fn a_server_that_is_not_there_is_told_once_and_delays_nothing() {
    let it = installed();
    let missing = Path::new("/no/such/program");
    let config = format!(
        "[[mcp]]\nname = \"gone\"\ncommand = [{missing:?}]\n[mcp.allow]\nx = {{}}\n\
         [[mcp]]\nname = \"mute\"\ncommand = [{:?}, \"-c\", \"import time; time.sleep(3600)\"]\n[mcp.allow]\nx = {{}}\n{}",
        it.python,
        bad_days_over_stdio("")
    );
    let since = Instant::now();
    let mut rig = Rig::new(&config, None);
    assert_eq!(rig.declared().len(), 10, "others are not waited for");
    assert_eq!(rig.call("bad_add", json!({"a": 1})).unwrap()["result"], 2);
    std::thread::sleep(Duration::from_secs(5).saturating_sub(since.elapsed()));
    let told: Vec<What> = rig.told.lock().unwrap().clone();
    assert!(
        matches!(&told[..], [What::Trouble { part, text }] if part == "mcp gone" && text.contains("does not start")),
        "{told:?}"
    );
    let took = rig.stop();
    assert!(took < Duration::from_secs(5) && children().is_empty(), "{took:?} {:?}", children());
}

/// The real program on the simulated board, the emulator as the service: the model calls a tool of a server.
#[test]
#[ignore = "needs the MCP project's servers; sh tests/run.sh runs it"]
fn in_a_conversation_the_model_calls_a_tool_of_a_server() {
    const MYNAH: &str = env!("CARGO_BIN_EXE_mynah");
    const LIVE_PATH: &str = "ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent";
    let folder = folder("conversation");
    let script = "turn *\n call bad_add {\"a\": 40, \"b\": 2}\n tone 440Hz 500ms \"It is 42.\"\n";
    std::fs::write(folder.join("script.txt"), script).unwrap();
    let mut emulator = Command::new(MYNAH);
    emulator.args(["emulator", "--listen", "127.0.0.1:0", "--script"]).arg(folder.join("script.txt"));
    let emulator = Process::start("emulator", &folder, &mut emulator);
    let address = wait_for("the emulator's address", || {
        let text = emulator.text();
        let rest = text.split_once("listening on ws://")?.1;
        rest.split_once([' ', '\n']).map(|(address, _)| address.to_string())
    });
    let agent = format!("endpoint = \"ws://{address}/{LIVE_PATH}\"\n{}", bad_days_over_stdio(""));
    std::fs::write(folder.join("agent.toml"), agent).unwrap();
    let mut run = Command::new(MYNAH);
    run.args(["run", "--board", "sim"]).env("GEMINI_API_KEY", "a-key").env("XDG_STATE_HOME", folder.join("home"));
    run.arg("--config").arg(folder.join("agent.toml")).arg("--state").arg(folder.join("state"));
    // The first run learns the tools; the second knows them from the first moment.
    let mut first = Process::start("first", &folder, &mut run);
    wait_for("the list on the disk", || {
        first.must_live();
        std::fs::metadata(folder.join("state/mcp-tools.json")).ok()
    });
    first.signal(libc::SIGTERM);
    first.end_within(SOON);
    let sound = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/cli/sounds/ask_lamp.wav");
    run.arg("--say").arg(sound).arg("--events").arg(folder.join("events.jsonl"));
    let mut second = Process::start("second", &folder, &mut run);
    let events = || std::fs::read_to_string(folder.join("events.jsonl")).unwrap_or_default();
    wait_for("the tool's answer", || {
        second.must_live();
        events().contains("tool_answered").then_some(())
    });
    let said = wait_for("the answer at the service", || {
        let text = emulator.text();
        text.contains("bad_add: {").then_some(text)
    });
    assert!(said.contains("10 functions") && said.contains("{\"output\":{\"result\":42}}"), "{said}");
    // Killed, it cannot end its server: the kernel does.
    let servers = children_of(second.id());
    assert_eq!(servers.len(), 1, "{servers:?}");
    second.signal(libc::SIGKILL);
    wait_for("the server's end", || (!is_alive(servers[0])).then_some(()));
}
