//! Real programs: what they get, how they end, and that nothing of them stays.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::config::agent::{self, Action};
use crate::hw::signals;
use crate::tools::command as pure;
use serde_json::{Map, json};
use std::os::unix::fs::PermissionsExt;
use tokio::time::sleep;

/// Only ever waited for in a failing test.
const SOON: Duration = Duration::from_secs(20);

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

/// The command line of `sh -c SCRIPT`, with more of the action's keys.
fn shell(script: &str, more: &str) -> (CommandLine, SecretBook) {
    let text = format!(
        "[secrets]\nkey = \"{}/key\"\n[[tools]]\nname = \"x\"\ndescription = \"x\"\naction = {{ command = [\"/bin/sh\", \"-c\", '''{script}'''] {more} }}",
        folder().display()
    );
    let agent = agent::parse(&text, "test").unwrap_or_else(|problems| panic!("{problems:#?}"));
    let Action::Command(action) = &agent.tools[0].action else { panic!("{agent:?}") };
    (pure::line(action, &Map::new()).unwrap(), SecretBook::new(&agent.secrets))
}

fn folder() -> PathBuf {
    let folder = std::env::temp_dir().join(format!("mynah-command-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

fn run(script: &str, more: &str) -> Result<Value, Failure> {
    let (line, secrets) = shell(script, more);
    let commands = Commands::default();
    runtime().block_on(async { tokio::time::timeout(SOON, commands.run(&line, &secrets)).await.unwrap() })
}

/// Whether the process is there and not only waits for somebody to read its exit code.
fn is_alive(process: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", process.trim())).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}

async fn until(what: &str, is_so: impl Fn() -> bool) {
    let since = Instant::now();
    while !is_so() {
        assert!(since.elapsed() < SOON, "{what}");
        sleep(Duration::from_millis(5)).await;
    }
}

#[test]
fn a_program_prints_fails_and_is_not_there_in_sentences() {
    assert_eq!(run("echo one; echo two", "").unwrap(), json!({"code": 0, "text": "one\ntwo"}));
    assert_eq!(run("echo '[1]'", ", output = \"json\"").unwrap(), json!({"code": 0, "answer": [1]}));
    assert_eq!(run("exit 4", ", success = \"any\"").unwrap()["code"], 4);
    let failed = run("echo no such unit >&2; exit 3", "").unwrap_err();
    assert_eq!(failed, Failure::Refused("`sh` failed with code 3: no such unit".into()));
    assert_eq!(run("kill -9 $$", "").unwrap_err().to_string(), "`sh` was ended by signal 9");
    let (line, secrets) = shell("true", "");
    let gone = CommandLine { program: "/nowhere/program".into(), ..line };
    let failed = runtime().block_on(Commands::default().run(&gone, &secrets)).unwrap_err();
    assert!(failed.to_string().starts_with("`program` could not be started: No such file"), "{failed}");
}

/// Keys are in mynah's environment, and SIGTERM is held back in every thread of it.
#[test]
fn a_program_inherits_no_key_no_blocked_signal_no_file_and_no_terminal() {
    thread::spawn(|| {
        let _held = signals::hold().unwrap();
        let blocked = |of: &str| std::fs::read_to_string(of).unwrap().lines().any(|l| l == "SigBlk:\t0000000000000000");
        assert!(!blocked("/proc/thread-self/status"), "the test holds nothing back");
        let said = run("exec cat /proc/self/status", ", output_bytes_max = 16384").unwrap();
        assert!(said["text"].as_str().unwrap().contains("SigBlk:\t0000000000000000"), "{said}");
    })
    .join()
    .unwrap();

    std::fs::write(folder().join("key"), "s3cret").unwrap();
    std::fs::set_permissions(folder().join("key"), std::fs::Permissions::from_mode(0o600)).unwrap();
    let said = run("env | cut -d= -f1 | sort", ", environment = { TOKEN = \"{secret.key}\" }").unwrap();
    let ours: Vec<&str> = ["PWD", "OLDPWD", "SHLVL", "_", "TOKEN"].into_iter().chain(PASSED_ON).collect();
    let names: Vec<&str> = said["text"].as_str().unwrap().lines().collect();
    assert!(names.contains(&"PATH") && names.contains(&"TOKEN"), "{names:?}");
    assert!(names.iter().all(|name| ours.contains(name)), "{names:?}");
    assert!(std::env::vars().any(|(name, _)| !ours.contains(&name.as_str())), "the test has nothing to hide");
    let said = run("test \"$TOKEN\" = s3cret && pwd && ! read line", ", environment = { TOKEN = \"{secret.key}\" }");
    assert_eq!(said.unwrap()["text"], "/", "the secret is there, the folder is the root, standard input is empty");

    // A file that somebody opened without close-on-exec.
    // SAFETY: a path that ends in NUL, and numbers.
    let left_open = unsafe { libc::fcntl(libc::open(c"/dev/null".as_ptr(), libc::O_RDONLY), libc::F_DUPFD, 300) };
    assert!(left_open >= 300);
    let said = run("ls /proc/$$/fd; cut -d' ' -f1,5,6 /proc/$$/stat", "").unwrap();
    let said = said["text"].as_str().unwrap().to_string();
    let lines: Vec<&str> = said.lines().collect();
    assert!(lines.contains(&"2") && !lines.contains(&left_open.to_string().as_str()), "{said}");
    let ids: Vec<&str> = lines.last().unwrap().split(' ').collect();
    assert!(ids[0] == ids[1] && ids[1] == ids[2], "it leads a group and a session of its own: {said}");
}

#[test]
fn a_flood_is_stopped_on_both_pipes_and_leaves_nothing() {
    for (script, most) in
        [("echo $$ >FILE; exec yes", "more than 100 bytes"), ("echo $$ >FILE; exec yes >&2", "more than")]
    {
        let file = folder().join(format!("flood-{}", script.len()));
        let _ = std::fs::remove_file(&file);
        let (line, secrets) = shell(&script.replace("FILE", file.to_str().unwrap()), ", output_bytes_max = 100");
        runtime().block_on(async {
            let commands = Commands::default();
            let failed = tokio::time::timeout(SOON, commands.run(&line, &secrets)).await.unwrap().unwrap_err();
            assert!(failed.to_string().contains(most), "{failed}");
            commands.all_over().await;
            assert!(!is_alive(&std::fs::read_to_string(&file).unwrap()));
        });
    }
}

/// The program's child, and its child, do not listen to SIGTERM.
#[test]
fn a_call_that_is_stopped_leaves_no_descendant_behind_however_stubborn() {
    let file = folder().join("stubborn");
    let _ = std::fs::remove_file(&file);
    let script = format!(
        "trap '' TERM; (trap '' TERM; sh -c 'trap \"\" TERM; echo $$ >>{0}; while :; do sleep 1; done' & echo $! >>{0}; wait) & echo $! $$ | tr ' ' '\\n' >>{0}; wait",
        file.display()
    );
    let (line, secrets) = shell(&script, "");
    let all = || std::fs::read_to_string(&file).unwrap_or_default();
    runtime().block_on(async {
        let commands = Commands::default();
        let stopped = tokio::time::timeout(SOON, async {
            tokio::select! {
                result = commands.run(&line, &secrets) => panic!("{result:?}"),
                () = until("it starts", || all().lines().count() == 4) => {}
            }
        });
        stopped.await.unwrap();
        assert!(all().lines().all(is_alive));
        commands.all_over().await;
        until("all are gone", || !all().lines().any(is_alive)).await;
    });
}

#[test]
fn what_a_program_leaves_in_the_background_ends_with_it() {
    let said = run("sleep 300 & echo $!", "").unwrap();
    let process = said["text"].as_str().unwrap();
    runtime().block_on(until("it is gone", || !is_alive(process)));
}

/// Somebody outside the group holds the pipe open: the call does not wait for that.
#[test]
fn a_daemon_that_keeps_the_pipe_does_not_keep_the_call() {
    let said = run("setsid sh -c 'echo $$; exec sleep 300' & sleep 0.3", "").unwrap();
    let process = said["text"].as_str().unwrap();
    assert!(is_alive(process), "it left the group on purpose");
    // SAFETY: two numbers; the process is the one that this test began.
    unsafe { libc::kill(process.parse().unwrap(), libc::SIGKILL) };
}

#[test]
fn a_program_that_is_asked_to_end_may_put_its_things_in_order() {
    let file = folder().join("order");
    let _ = std::fs::remove_file(&file);
    let script = format!("trap 'echo bye >{0}; exit' TERM; echo up >{0}; sleep 300 & wait", file.display());
    let (line, secrets) = shell(&script, "");
    let said = || std::fs::read_to_string(&file).unwrap_or_default();
    runtime().block_on(async {
        let commands = Commands::default();
        tokio::select! {
            result = commands.run(&line, &secrets) => panic!("{result:?}"),
            () = until("it starts", || said() == "up\n") => {}
        }
        commands.all_over().await;
        assert_eq!(said(), "bye\n");
    });
}

/// A stop of the whole thread has no time for grace.
#[test]
fn the_end_of_the_runtime_kills_at_once() {
    let file = folder().join("runtime");
    let _ = std::fs::remove_file(&file);
    let (line, secrets) = shell(&format!("trap '' TERM; echo $$ >{}; while :; do sleep 1; done", file.display()), "");
    let process = || std::fs::read_to_string(&file).unwrap_or_default();
    let runtime = runtime();
    runtime.spawn(async move { Commands::default().run(&line, &secrets).await.map(drop) });
    runtime.block_on(until("it starts", || process().ends_with('\n')));
    runtime.shutdown_background();
    self::runtime().block_on(until("it is gone", || !is_alive(&process())));
}
