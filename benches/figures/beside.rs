//! The line's figures while the tools are in bad company, or many look at the panel, beside those of a quiet run: neither
//! ever touches the sound path.

use std::cell::Cell;
use std::ffi::CString;
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsRawFd, FromRawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::client::Setting;
use crate::clock::{Uneven, ms, now_ns, sleep_ms};
use crate::figures::Bench;
use crate::peers::{TOOLS, Wrong};
use crate::server::{Kind, Server, end_messages};
use crate::soak;
use crate::table::Row;
use crate::viewers::{Guest, Panel, Party};

/// The tool whose line is watched.
const LAMP: &str = "[[tools]]\nname = \"set_lamp\"\ndescription = \"Lamp.\"\npolicy = { per_minute = 600 }\n\
    parameters = { type = \"OBJECT\", properties = { on = { type = \"BOOLEAN\" } }, required = [\"on\"] }\n\
    action = { gpio = \"set\", line = \"lamp\", argument = \"on\" }\n\n";

/// Calls that hang are stopped after a minute, and are made again then.
const HANGS_FOR_NS: i64 = 61_000_000_000;

/// The model that calls the bad company again and again.
pub struct Company {
    wrong: Wrong,
    called_ns: Cell<Option<i64>>,
    number: Cell<u64>,
}

impl Company {
    /// Calls all of it twice, where no older calls hang; the client is idle before and after.
    pub fn call(&self, server: &Server) -> Result<()> {
        let is_waiting = self.called_ns.get().is_some_and(|at_ns| now_ns() - at_ns < HANGS_FOR_NS);
        if self.wrong == Wrong::Hang && is_waiting {
            return Ok(());
        }
        self.called_ns.set(Some(now_ns()));
        let calls: Vec<Value> = TOOLS.into_iter().chain(TOOLS).map(|name| self.numbered(name)).collect();
        let mut turn = vec![json!({"toolCall": {"functionCalls": calls}})];
        turn.extend(end_messages());
        server.send_all(&turn)?;
        sleep_ms(50.0);
        Ok(())
    }

    fn numbered(&self, name: &str) -> Value {
        self.number.set(self.number.get() + 1);
        json!({"id": format!("{name}-{}", self.number.get()), "name": name, "args": {}})
    }
}

/// Tells when a file is written to.
struct Watch(File);

impl Watch {
    fn open(path: &Path) -> Result<Watch> {
        let name = CString::new(path.as_os_str().as_bytes())?;
        // SAFETY: a new descriptor that nobody else has; the name is a C string that outlives the call.
        let (file, watch) = unsafe {
            let descriptor = libc::inotify_init1(libc::IN_CLOEXEC);
            ensure!(descriptor >= 0, "inotify: {}", std::io::Error::last_os_error());
            let file = File::from_raw_fd(descriptor);
            (file, libc::inotify_add_watch(descriptor, name.as_ptr(), libc::IN_MODIFY))
        };
        ensure!(watch >= 0, "{}: {}", path.display(), std::io::Error::last_os_error());
        Ok(Watch(file))
    }

    /// When it was written to next.
    fn next(&mut self) -> Result<i64> {
        let mut wait = libc::pollfd { fd: self.0.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        // SAFETY: one descriptor, which lives here.
        let ready = unsafe { libc::poll(&mut wait, 1, 5000) };
        let at_ns = now_ns();
        ensure!(ready == 1, "the line did not move in 5 s");
        let _ = self.0.read(&mut [0; 4096])?;
        Ok(at_ns)
    }
}

/// (j) The figures of a quiet run, and of one each in which what tools ask hangs, floods and is not there.
pub fn all(setting: &Setting, bench: &Bench<'_>) -> Result<Vec<Row>> {
    let mut quiet: Vec<Row> = Vec::new();
    let mut rows = Vec::new();
    for wrong in std::iter::once(None).chain(Wrong::ALL.map(Some)) {
        let agent = wrong.map(Wrong::agent).transpose()?.unwrap_or_default() + LAMP;
        setting.prepare(bench.server.port, &agent)?;
        let company = wrong.map(|wrong| Company { wrong, called_ns: Cell::new(None), number: Cell::new(0) });
        let repetitions = bench.repetitions.div_ceil(2); // four times over, it takes long enough
        let found = one(&Bench { company: company.as_ref(), repetitions, ..*bench }, || Ok(None))?;
        compare(&mut rows, &mut quiet, wrong.map(Wrong::word), found);
    }
    setting.prepare(bench.server.port, "")?;
    Ok(rows)
}

/// (k) The figures with nobody at the panel, and of one run each with many viewers there, and with a hostile one as well.
pub fn watched(setting: &Setting, bench: &Bench<'_>) -> Result<Vec<Row>> {
    let (mut quiet, mut rows) = (Vec::new(), Vec::new());
    for guest in [None, Some(Guest::Viewers), Some(Guest::Hostile)] {
        let panel = Panel::new()?;
        setting.prepare(bench.server.port, &(panel.agent(&setting.folder)? + LAMP))?;
        let repetitions = bench.repetitions.div_ceil(2);
        let visit = || guest.map(|guest| Ok((guest, panel.visit(guest)?))).transpose();
        let found = one(&Bench { repetitions, ..*bench }, visit)?;
        compare(&mut rows, &mut quiet, guest.map(Guest::word), found);
    }
    setting.prepare(bench.server.port, "")?;
    Ok(rows)
}

/// The first run is the quiet one, beside which the others stand.
fn compare(rows: &mut Vec<Row>, quiet: &mut Vec<Row>, word: Option<&str>, found: Vec<Row>) {
    match word {
        None => {
            rows.extend(found.iter().cloned());
            *quiet = found;
        }
        Some(word) => rows.extend(found.into_iter().zip(&*quiet).map(|(row, quiet)| row.beside(word, quiet))),
    }
}

fn one(bench: &Bench<'_>, visit: impl FnOnce() -> Result<Option<(Guest, Party)>>) -> Result<Vec<Row>> {
    let (mut client, _) = bench.setting.start(bench.server)?;
    sleep_ms(1000.0);
    let party = visit()?;
    let mut rows = vec![
        // Spread evenly over a message's 20 ms, it takes many for a median.
        Bench { repetitions: 4 * bench.repetitions, ..*bench }.mic_to_server(&mut client)?,
        bench.reply_to_dac(&mut client)?,
        bench.silence(&mut client, true)?,
        call_to_line(bench)?,
    ];
    let mut glitches = soak::Glitches::default();
    let began_ns = now_ns();
    for _ in 0..bench.repetitions.div_ceil(15) {
        soak::round(bench, &mut client, &mut glitches)?;
    }
    rows.push(glitches.row(bench, began_ns)?);
    party.as_ref().map_or(Ok(()), |(guest, party)| party.check(*guest))?;
    ensure!(client.is_alive(), "the client died");
    Ok(rows)
}

/// A tool call written by the service until its line is set, the line being a file of the `files` driver.
fn call_to_line(bench: &Bench<'_>) -> Result<Row> {
    let mut watch = Watch::open(&bench.setting.folder.join("lines/lamp"))?;
    let mut uneven = Uneven::new(6);
    let mut values = Vec::new();
    for number in 0..bench.repetitions * 3 {
        if number.is_multiple_of(10) {
            bench.keep_company()?;
        }
        sleep_ms(110.0 + uneven.below(20.0)); // a policy allows ten calls a second at most
        let from = bench.server.mark();
        let id = format!("lamp-{number}");
        let call = json!({"id": id, "name": "set_lamp", "args": {"on": number.is_multiple_of(2)}});
        let sent_ns = bench.server.send(&json!({"toolCall": {"functionCalls": [call]}}))?;
        values.push(ms(watch.next()? - sent_ns));
        let is_answer = |kind: &Kind| matches!(kind, Kind::Other(text) if text.contains(&format!("\"{id}\"")));
        bench.server.wait(from, 5000, |arrival| is_answer(&arrival.kind)).context("a call was not answered")?;
        bench.server.send_all(&end_messages())?;
    }
    Ok(Row::new("tool call message -> GPIO line", "ms", Some(25.0), "", values))
}
