//! What the service says of itself once it was started: the doctor looks from outside of its sandbox, it from within.

use std::process::{ExitCode, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::facts::{Place, Programs, command};
use super::person::Person;
use super::plan::Plan;
use crate::cli::exit;

/// How long it is waited for; a connection takes a second or two.
const LIMIT: Duration = Duration::from_secs(15);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(500);
/// How the service's sentence begins where nothing is wrong.
const WELL: [&str; 3] = ["Ready", "Muted", "Today's limit"];

/// What came of the start.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Found {
    /// The exit code that it asks for: 0, [`exit::WORKS_BUT`] or [`exit::DOES_NOT_WORK`].
    code: u8,
    /// A sentence for a person.
    words: String,
}

/// Where the service was started: waits until it says how it is, tells that, and answers the verdict with it.
///
/// # Errors
/// Nothing can be shown.
pub fn settle(
    place: &Place,
    plan: &Plan,
    programs: &Programs,
    verdict: ExitCode,
    person: &mut dyn Person,
) -> anyhow::Result<ExitCode> {
    if !place.is_live() || !plan.starts_service() {
        return Ok(verdict);
    }
    person.say(&format!("\nNow the service says how it is (within {} seconds).\n", LIMIT.as_secs()))?;
    let Some(found) = look(programs, LIMIT) else { return Ok(verdict) };
    person.say(&format!("{}\n", found.words))?;
    Ok(worse(verdict, found.code))
}

/// The doctor's verdict, or the service's where that is worse.
fn worse(verdict: ExitCode, code: u8) -> ExitCode {
    let is_worse = code == exit::DOES_NOT_WORK || verdict == ExitCode::SUCCESS;
    if is_worse { ExitCode::from(code) } else { verdict }
}

/// Looks until the service says how it is, or the time is over. None where systemd says nothing.
fn look(programs: &Programs, limit: Duration) -> Option<Found> {
    let since = Instant::now();
    loop {
        let state = state(programs)?;
        let is_over = since.elapsed() >= limit;
        if let Some(found) = judge(&state, is_over) {
            return Some(found);
        }
        if is_over {
            return None;
        }
        thread::sleep(PAUSE.min(limit));
    }
}

/// What systemd knows of it.
fn state(programs: &Programs) -> Option<String> {
    let mut asked = command(programs.systemctl.as_deref()?);
    asked.args(["show", "mynah", "-p", "ActiveState", "-p", "Result", "-p", "StatusText"]).stdin(Stdio::null());
    Some(String::from_utf8_lossy(&asked.output().ok()?.stdout).into_owned())
}

/// What that means; none where it may still become another one, and the time is not over.
fn judge(state: &str, is_over: bool) -> Option<Found> {
    let value =
        |key: &str| state.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('=')).unwrap_or_default();
    let (active, says) = (value("ActiveState"), value("StatusText").trim_end_matches('.'));
    let found = |code, words: String| Some(Found { code, words });
    let more = "`journalctl -u mynah` says more";
    if active == "failed" || (is_over && !["active", "reloading", ""].contains(&active)) {
        let result = value("Result");
        return found(exit::DOES_NOT_WORK, format!("mynah does not run (systemd: {active}, {result}): {more}."));
    }
    if active == "active" && WELL.iter().any(|begin| says.starts_with(begin)) {
        return found(0, format!("mynah runs: {says}."));
    }
    if !is_over || active.is_empty() {
        return None;
    }
    match says {
        "" => found(0, "mynah runs, and has not said yet how it is: `systemctl status mynah` tells.".to_string()),
        // Without its word the button does all the same.
        says if says.starts_with("Trouble with wake:") && !says.contains("(and ") => {
            found(exit::WORKS_BUT, format!("mynah runs, but: {says}."))
        }
        says if says.starts_with("Trouble") => found(exit::DOES_NOT_WORK, format!("mynah runs, but: {says}; {more}.")),
        // That there is no connection yet is the doctor's to judge, who asked for one.
        says => found(0, format!("mynah runs: {says}.")),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::super::tests::Folder;
    use super::*;

    fn told(active: &str, result: &str, says: &str, is_over: bool) -> Option<(u8, String)> {
        let state = format!("Result={result}\nActiveState={active}\nStatusText={says}\n");
        judge(&state, is_over).map(|found| (found.code, found.words))
    }

    #[test]
    fn it_is_waited_until_all_is_well_or_nothing_more_can_come() {
        let yet = "Started; no connection to the service yet.";
        let busy = "Trouble with line: GPIO17 is busy";
        for (active, says, at_once, at_last) in [
            ("active", "Ready.", Some(0), Some(0)),
            ("active", "Muted by the switch on the device.", Some(0), Some(0)),
            ("active", yet, None, Some(0)),
            ("active", busy, None, Some(4)),
            ("active", "Trouble with wake: there is no /var/lib/mynah/wake.toml", None, Some(3)),
            ("active", "Trouble with wake: there is none (and 1 more)", None, Some(4)),
            ("active", "", None, Some(0)),
            ("activating", "", None, Some(4)),
            ("failed", busy, Some(4), Some(4)),
            ("", "", None, None),
        ] {
            let code = |is_over| told(active, "success", says, is_over).map(|(code, _)| code);
            assert_eq!((code(false), code(true)), (at_once, at_last), "{active} {says}");
        }
        let (_, words) = told("active", "success", busy, true).unwrap();
        assert_eq!(words, "mynah runs, but: Trouble with line: GPIO17 is busy; `journalctl -u mynah` says more.");
        let (_, words) = told("failed", "exit-code", "", false).unwrap();
        assert_eq!(words, "mynah does not run (systemd: failed, exit-code): `journalctl -u mynah` says more.");
    }

    #[test]
    fn systemd_is_asked_again_until_the_service_is_ready() {
        let folder = Folder::new("started");
        let calls = folder.0.join("calls").display().to_string();
        let third = format!("[ $(wc -l < {calls}) -ge 3 ] && says=Ready. || says='Started; no connection yet.'");
        folder.program("systemctl", &format!("{third}\necho ActiveState=active; echo \"StatusText=$says\""));
        let found = look(&folder.programs(), Duration::from_secs(60)).unwrap();
        assert_eq!((found.code, found.words.as_str()), (0, "mynah runs: Ready."));
        assert_eq!(folder.calls(), "systemctl show mynah -p ActiveState -p Result -p StatusText\n".repeat(3));
        folder.program("systemctl", "exit 1");
        assert_eq!(look(&folder.programs(), Duration::ZERO), None);
        assert_eq!(look(&Programs::default(), Duration::ZERO), None);
    }

    #[test]
    fn the_worse_of_both_verdicts_is_the_exit_code() {
        for (doctors, services, code) in [(0, 0, 0), (0, 3, 3), (0, 4, 4), (3, 0, 3), (3, 4, 4), (4, 3, 4), (4, 0, 4)] {
            assert_eq!(worse(ExitCode::from(doctors), services), ExitCode::from(code), "{doctors} {services}");
        }
    }
}
