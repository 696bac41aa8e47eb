//! Programs that are no servers: they end, flood, never finish a line, or leave children behind.

use std::time::{Duration, Instant};

use mynah::flow::What;
use serde_json::json;

use super::rig::{Rig, folder, is_alive, wait_for};

/// One call of a line, as a bound for everything else on the errands thread; the machine may be busy.
const AT_ONCE: Duration = Duration::from_secs(1);

const LINE: &str = r#"
    [[tools]]
    name = "is_lamp_on"
    description = "Lamp?"
    action = { gpio = "read", line = "lamp" }
    [[tools]]
    name = "switch_lamp"
    description = "Lamp."
    parameters = { type = "OBJECT", properties = { on = { type = "BOOLEAN" } }, required = ["on"] }
    action = { gpio = "set", line = "lamp", argument = "on" }
"#;

fn server(name: &str, shell: &str) -> String {
    format!("[[mcp]]\nname = \"{name}\"\ncommand = [\"/bin/sh\", \"-c\", {shell:?}]\nallow = {{ x = {{}} }}\n")
}

#[test]
fn programs_that_are_no_servers_delay_no_line_and_leave_nothing_behind() {
    let folder = folder("hostile");
    let note = folder.join("grandchild");
    let config = [
        LINE.to_string(),
        server("ends", "exit 3"),
        server("floods", "exec yes"),
        server("endless", "exec cat /dev/zero"),
        server("noisy", "exec yes >&2"),
        server("hangs", &format!("sleep 1000 & echo $! > {0:?}.new; mv {0:?}.new {0:?}; sleep 1000", note)),
    ];
    let mut rig = Rig::new(&config.concat(), None);
    let grandchild = wait_for("the grandchild", || std::fs::read_to_string(&note).ok()?.trim().parse().ok());
    assert!(is_alive(grandchild));
    let mut slowest = Duration::ZERO;
    for n in 0..20 {
        let since = Instant::now();
        assert_eq!(rig.call("switch_lamp", json!({"on": n % 2 == 0})), Ok(json!({"line": "lamp", "on": n % 2 == 0})));
        slowest = slowest.max(since.elapsed());
        std::thread::sleep(Duration::from_millis(50));
    }
    println!("the slowest call of a line took {slowest:?}");
    assert!(slowest < AT_ONCE, "{slowest:?}");
    wait_for("word of the one that ends", || {
        let told = rig.told.lock().unwrap();
        told.iter().any(|what| matches!(what, What::Trouble { part, .. } if part == "mcp ends")).then_some(())
    });
    let took = rig.stop();
    assert!(took < Duration::from_secs(8), "{took:?}");
    wait_for("the grandchild's end", || (!is_alive(grandchild)).then_some(()));
}
