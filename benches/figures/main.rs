//! The figures of the line, measured on the virtual card: `sh benches/run.sh` builds what is needed and runs this.
//!
//! Card, server and bench read one clock, so a figure is a difference of two exact times and not of two guesses.
#![allow(clippy::print_stdout, reason = "the table is what it is for")]

mod bare;
mod beside;
mod card;
mod client;
mod clock;
mod figures;
mod peers;
mod server;
mod soak;
mod table;
mod tools;
mod viewers;
mod voice;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};

use card::{Card, Slot};
use client::Setting;
use figures::Bench;
use server::Server;
use table::Row;

const HELP: &str = "sh benches/run.sh [OPTION ...]
  --soak MINUTES   length of the soak (10; 0 leaves it out)
  --quick          few repetitions, 5 s of processor time, no soak
  --only LETTERS   only these: a microphone, b reply, c silence, d start, e load, f press, g size, h soak,
                   i tool to GPIO, j all that while tools hang, flood and are down,
                   k while fifty look at the panel, and a hostile one
  --self-test      measures the bench's own bare client: what the rig itself costs
  --mynah FILE     another binary than target/release/mynah
";

/// A one-minute load average above this says that somebody else was at work. Building the bench makes some itself.
const QUIET_LOAD: f64 = 1.0;

struct Arguments {
    folder: PathBuf,
    mynah: Option<PathBuf>,
    soak_minutes: f64,
    quick: bool,
    only: String,
}

fn arguments() -> Result<Option<Arguments>> {
    let mut parsed = Arguments {
        folder: PathBuf::new(),
        mynah: Some(PathBuf::from("target/release/mynah")),
        soak_minutes: 10.0,
        quick: false,
        only: "abcdefghijk".to_owned(),
    };
    let mut list = std::env::args().skip(1);
    while let Some(argument) = list.next() {
        let mut value = || list.next().with_context(|| format!("{argument} needs a value\n{HELP}"));
        match argument.as_str() {
            "--bench" => {}
            "--folder" => parsed.folder = value()?.into(),
            "--soak" => parsed.soak_minutes = value()?.parse().context("--soak needs a number of minutes")?,
            "--only" => parsed.only = value()?,
            "--mynah" => parsed.mynah = Some(value()?.into()),
            "--self-test" => parsed.mynah = None,
            "--quick" => parsed.quick = true,
            _ => bail!("{argument} is unknown\n{HELP}"),
        }
    }
    // `cargo test --benches` starts benches without a folder: nothing to do then.
    Ok((!parsed.folder.as_os_str().is_empty()).then_some(parsed))
}

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            // Without the backtrace that anyhow's own printing adds: these errors are sentences for people.
            eprintln!("figures: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Answers whether all limits hold.
fn run() -> Result<bool> {
    let mut list = std::env::args().skip(1);
    if list.next().as_deref() == Some("--bare-client") {
        let port = list.next().context("port")?.parse()?;
        return bare::run(port, Path::new(&list.next().context("folder")?)).map(|()| true);
    }
    let Some(arguments) = arguments()? else {
        println!("the figures need the virtual card: sh benches/run.sh");
        return Ok(true);
    };
    // Other programs' work, ours has not begun: with any, late wake-ups are theirs and not the client's.
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().and_then(|load| load.parse::<f64>().ok()).unwrap_or_default();
    let rows = measure(&arguments)?;
    println!("\n{}", table::head());
    for row in &rows {
        println!("{}", row.line());
    }
    if load > QUIET_LOAD {
        println!("the machine was not quiet (load {load} at the start): measure again when it is");
    }
    Ok(rows.iter().all(Row::holds))
}

fn make_sounds(folder: &Path) -> Result<()> {
    voice::write_raw(&folder.join("speech-48000.raw"), &voice::speech(48_000))?;
    voice::write_raw(&folder.join("mark-48000.raw"), &voice::mark(48_000))?;
    let twice = voice::speech(16_000).repeat(4);
    anyhow::ensure!(voice::jumps_are_found(), "the bench itself is broken: it does not find jumps in its own sound");
    println!("test speech: webrtc-vad at its strictest hears speech in {:.0} % of it", voice::voiced_percent(&twice));
    Ok(())
}

fn measure(arguments: &Arguments) -> Result<Vec<Row>> {
    let folder = &arguments.folder;
    let setting = Setting { folder: folder.clone(), mynah: arguments.mynah.clone() };
    let card = Card::open(&folder.join("card"))?;
    let server = Server::start(folder)?;
    setting.prepare(server.port, "")?;
    make_sounds(folder)?;
    card.hear(Slot::Sound, &folder.join("speech-48000.raw"), true, clock::now_ns())?;
    let (repetitions, cpu_s) = if arguments.quick { (8, 5.0) } else { (30, 30.0) };
    let bench = Bench { setting: &setting, server: &server, card: &card, repetitions, cpu_s, company: None };
    let wanted = |letter: char| arguments.only.contains(letter);
    let mut rows = Vec::new();
    if wanted('i') && arguments.mynah.is_some() {
        rows.extend(tools::call_to_edge(if arguments.quick { 100 } else { 400 })?.into_iter().map(said));
    }
    if wanted('d') {
        rows.push(said(bench.start()?));
    }
    let (mut client, _) = setting.start(&server)?;
    clock::sleep_ms(1000.0);
    if wanted('f') {
        rows.push(said(bench.press_to_audio(&mut client)?));
    }
    if wanted('a') {
        rows.push(said(bench.mic_to_server(&mut client)?));
    }
    if wanted('b') {
        rows.push(said(bench.reply_to_dac(&mut client)?));
    }
    if wanted('c') {
        rows.push(said(bench.silence(&mut client, false)?));
        rows.push(said(bench.silence(&mut client, true)?));
    }
    if wanted('e') {
        rows.extend(bench.load(&mut client)?.into_iter().map(said));
    }
    if wanted('g') {
        rows.extend(bench.size()?.map(said));
    }
    if wanted('h') && !arguments.quick && arguments.soak_minutes > 0.0 {
        rows.extend(soak::soak(&bench, &mut client, arguments.soak_minutes)?.into_iter().map(said));
    }
    anyhow::ensure!(client.is_alive(), "the client died; see {}", folder.join("client.log").display());
    drop(client);
    if wanted('j') && arguments.mynah.is_some() {
        rows.extend(beside::all(&setting, &bench)?.into_iter().map(said));
    }
    if wanted('k') && arguments.mynah.is_some() {
        rows.extend(beside::watched(&setting, &bench)?.into_iter().map(said));
    }
    Ok(rows)
}

/// Shows a row as soon as it is there: a soak is long.
fn said(row: Row) -> Row {
    eprintln!("{}", row.line());
    row
}
