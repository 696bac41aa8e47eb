//! `mynah wake record`: asks for the word a few times, checks each saying, and writes the file.

use std::io::{IsTerminal as _, Write};
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use super::cleaned::Cleaned;
use super::mic::Mic;
use super::test::Tester;
use crate::audio::level::rms_dbfs;
use crate::audio::{HOP_FRAMES, HOP_MS, UPLINK_RATE, resample};
use crate::cli::load;
use crate::cli::sounds::RECORDINGS;
use crate::config::agent::Echo;
use crate::gate::wake::cut::{Cut, Flaw, cut};
use crate::gate::wake::model::{Model, ModelTrouble, SAYINGS_MAX, SAYINGS_MIN, Saying, threshold};
use crate::hw;

/// How long one is given to say it: two seconds of word, and time to begin.
const SAY_MS: u32 = 3500;
/// How long the ears listen to the room before the first saying: what suppresses noise knows it after less.
const ROOM_MS: u32 = 1000;
/// After so many failures in a row something is wrong that saying it once more does not mend.
const FAILURES_MAX: u32 = 8;
/// A bar of the level meter is so wide at full scale; a cell is 3 dB.
const BAR_CELLS: usize = 20;

/// Arguments of `mynah wake record`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The file to write; name it in the agent file as `word_file` in the section `wake`
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// How often to say it
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u8).range(SAYINGS_MIN as i64..=SAYINGS_MAX as i64))]
    times: u8,
    /// The board profile whose microphone to use: a built-in name or a file [default: the one in /etc/default/mynah, else generic]
    #[arg(long, value_name = "NAME|FILE", default_value_t = load::this_board(), hide_default_value = true)]
    board: String,
    /// The agent file, whose section `echo` the sound is cleaned by [default: /etc/mynah/mynah.toml where there is one]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Learn from these recordings instead of the microphone; the word is said once in each
    #[arg(long, value_name = "FILE.wav", num_args = 1.., conflicts_with_all = ["times", "board"])]
    from: Vec<PathBuf>,
    /// The sensitivity that the self-test is made with, as in the agent file
    #[arg(long, value_name = "PERCENT", default_value_t = 50, value_parser = clap::value_parser!(u32).range(0..=100))]
    sensitivity_percent: u32,
}

/// Records and writes.
///
/// # Errors
/// As [`super::run`].
pub fn run(args: &Args, out: &mut dyn Write) -> anyhow::Result<()> {
    let echo = load::agent(load::config_path(args.config.as_deref()))?.echo;
    let (model, recordings) = if args.from.is_empty() {
        by_microphone(&mut Mic::open(&args.board, &echo)?, usize::from(args.times))?
    } else {
        from_files(&args.from, &echo)?
    };
    hw::wake::save(&args.out, &model).map_err(anyhow::Error::msg)?;
    report(args, &model, &recordings, &echo, out).context("the report cannot be printed")
}

/// A recording as it was made, and cleaned: `[frames, 1 channel] S16 @ 16 kHz`.
#[derive(Default)]
pub(super) struct Recording {
    raw: Vec<i16>,
    pub(super) cleaned: Vec<i16>,
}

type Learned = (Model, Vec<Recording>);

fn from_files(files: &[PathBuf], echo: &Echo) -> anyhow::Result<Learned> {
    let mut recordings = Vec::new();
    let mut sayings = Vec::new();
    for file in files {
        let recording = load(file, echo)?;
        let found =
            cut(&recording.cleaned, &recording.raw).map_err(|flaw| anyhow::anyhow!("{}: {flaw}", file.display()))?;
        sayings.push(found.saying);
        recordings.push(recording);
    }
    let model = Model::new(sayings).map_err(|trouble| match trouble {
        ModelTrouble::Odd(n) => anyhow::anyhow!("{}: {trouble}", files[n - 1].display()),
        _ => anyhow::Error::new(trouble),
    })?;
    Ok((model, recordings))
}

/// A WAV as the gate would hear it.
pub(super) fn load(file: &Path, echo: &Echo) -> anyhow::Result<Recording> {
    let sound = hw::wav::load(file)?;
    let raw = resample::whole(&sound.frames, sound.rate, UPLINK_RATE)?;
    Ok(Recording { cleaned: Cleaned::new(echo).hear_all(&raw), raw })
}

fn by_microphone(mic: &mut Mic, times: usize) -> anyhow::Result<Learned> {
    eprintln!(
        "Say the wake word {times} times, as you will say it later: from where you will stand, in a quiet room.\n\
         Two words of three or four syllables are best. Wait for each prompt."
    );
    record(mic, ROOM_MS, |_| {})?;
    let mut collected: Vec<(Saying, Recording)> = Vec::new();
    let mut failures = 0;
    loop {
        anyhow::ensure!(failures < FAILURES_MAX, "this does not work here: try another room, word or microphone");
        if collected.len() == times {
            match Model::new(collected.iter().map(|(saying, _)| saying.clone()).collect()) {
                Ok(model) => return Ok((model, collected.into_iter().map(|(_, recording)| recording).collect())),
                Err(ModelTrouble::Odd(n)) => {
                    eprintln!("  Number {n} differs from the others: once more.");
                    collected.remove(n - 1);
                }
                Err(other) => return Err(other.into()),
            }
            failures += 1;
        }
        let recording = one(mic, collected.len() + 1, times)?;
        match cut(&recording.cleaned, &recording.raw) {
            Ok(found) => {
                eprintln!("  {}", praise(&found));
                collected.push((found.saying, recording));
            }
            Err(flaw) => {
                eprintln!("  {}: once more.", sentence(&flaw));
                failures += 1;
            }
        }
    }
}

fn praise(found: &Cut) -> String {
    format!("good: {:.1} s, {}", f64::from(found.ms) / 1000.0, found.peak)
}

fn sentence(flaw: &Flaw) -> String {
    let text = flaw.to_string();
    text.trim_end_matches('.').to_string()
}

/// Records for [`SAY_MS`], and shows the level meanwhile where somebody can see it.
fn one(mic: &mut Mic, number: usize, times: usize) -> anyhow::Result<Recording> {
    eprintln!("{number} of {times}: say it now");
    let shows = std::io::stderr().is_terminal();
    let recording = record(mic, SAY_MS, |raw| {
        if shows && (raw.len() / HOP_FRAMES).is_multiple_of(10) {
            eprint!("\r  [{}]", bar(rms_dbfs(&raw[raw.len() - 10 * HOP_FRAMES..]).0));
        }
    })?;
    if shows {
        eprint!("\r  {:1$}\r", "", BAR_CELLS + 2);
    }
    Ok(recording)
}

/// Records for `ms`; `watch` is given what was captured so far, hop by hop.
fn record(mic: &mut Mic, ms: u32, mut watch: impl FnMut(&[i16])) -> anyhow::Result<Recording> {
    let frames = (ms / HOP_MS) as usize * HOP_FRAMES;
    let mut recording = Recording::default();
    mic.listen(|raw, cleaned| {
        recording.raw.extend_from_slice(raw);
        recording.cleaned.extend_from_slice(cleaned);
        watch(&recording.raw);
        recording.raw.len() < frames
    })?;
    Ok(recording)
}

/// A meter: a cell for every 3 dB above −60 dBFS.
fn bar(level_db: f32) -> String {
    let cells = (((level_db + 60.0) / 3.0).max(0.0) as usize).min(BAR_CELLS);
    "#".repeat(cells) + &".".repeat(BAR_CELLS - cells)
}

/// What became of it, and a test: each recording must be heard, and the demo's sentences must not.
fn report(
    args: &Args,
    model: &Model,
    recordings: &[Recording],
    echo: &Echo,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    let percent = args.sensitivity_percent;
    let mut heard = 0;
    for recording in recordings {
        let mut tester = Tester::new(model, percent);
        tester.hear_all(&recording.cleaned);
        heard += u32::from(tester.finds() > 0);
    }
    let (mut wrong, mut seconds, mut nearest) = (0, 0.0, f32::INFINITY);
    for recording in RECORDINGS {
        let (frames, rate) = recording.frames()?;
        let frames = Cleaned::new(echo).hear_all(&resample::whole(&frames, rate, UPLINK_RATE)?);
        let mut tester = Tester::new(model, percent);
        tester.hear_all(&frames);
        wrong += tester.finds();
        seconds += frames.len() as f64 / f64::from(UPLINK_RATE.0);
        nearest = nearest.min(tester.best().unwrap_or(f32::INFINITY));
    }
    writeln!(out, "{}: {} sayings, {:.2} s", args.out.display(), recordings.len(), model.rows() as f64 / 100.0)?;
    writeln!(
        out,
        "distance between your sayings: {:.1}; heard up to score {:.2} ({percent} %)",
        model.own(),
        threshold(percent)
    )?;
    writeln!(out, "self-test: {heard} of {} recordings heard again", recordings.len())?;
    let nearest = if nearest.is_finite() { format!("{nearest:.2}") } else { "far away".to_string() };
    writeln!(out, "self-test: {wrong} false in {seconds:.0} s of other speech (nearest score {nearest})")?;
    writeln!(
        out,
        "In the agent file: [listen] mode = \"wake_word\" and [wake] word_file = \"{}\"",
        args.out.display()
    )?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_meter_goes_from_empty_to_full() {
        assert_eq!(bar(-96.0), "....................");
        assert_eq!(bar(-30.0), "##########..........");
        assert_eq!(bar(3.0), "####################");
    }
}
