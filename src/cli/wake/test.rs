//! `mynah wake test`: when the wake word is heard, and with which score.

use std::io::Write;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::Context as _;

use super::mic::Mic;
use super::record::load;
use crate::audio::{HOP_FRAMES, HOP_MS};
use crate::cli;
use crate::config::agent::Echo;
use crate::gate::vad::{Vad as _, WebRtc};
use crate::gate::wake::model::{Model, threshold};
use crate::gate::wake::spotter::Spotter;
use crate::gate::wake::{Templates, WakeDetector as _};
use crate::hw;

/// Scores above this are not worth showing: any speech has them.
const SCORE_SHOWN_MAX: f32 = 1.5;
/// The detector's mode by default.
const VAD_MODE: u8 = 2;

/// Arguments of `mynah wake test`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The wake word, as `mynah wake record` wrote it down
    #[arg(long, value_name = "FILE")]
    model: PathBuf,
    /// As in the agent file
    #[arg(long, value_name = "PERCENT", default_value_t = 50, value_parser = clap::value_parser!(u32).range(0..=100))]
    sensitivity_percent: u32,
    /// The board profile whose microphone to use: a built-in name or a file [default: the one in /etc/default/mynah, else generic]
    #[arg(long, value_name = "NAME|FILE", default_value_t = cli::load::this_board(), hide_default_value = true)]
    board: String,
    /// The agent file, whose section `echo` the sound is cleaned by [default: /etc/mynah/mynah.toml where there is one]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// On the microphone: end after so many seconds
    #[arg(long, value_name = "N", default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=3600))]
    seconds: u32,
    /// Recordings to look at, instead of the microphone
    #[arg(value_name = "FILE.wav", conflicts_with_all = ["board", "seconds"])]
    files: Vec<PathBuf>,
}

/// The detector, and a matcher beside it that tells of near misses too.
pub struct Tester {
    detector: Templates,
    near_misses: Spotter,
    vad: WebRtc,
    hops: u64,
    finds: u32,
    best: Option<f32>,
    spent: Duration,
}

impl Tester {
    /// A tester of the word of `model`.
    pub fn new(model: &Model, sensitivity_percent: u32) -> Tester {
        Tester {
            detector: Templates::new(model, sensitivity_percent),
            near_misses: Spotter::new(model, SCORE_SHOWN_MAX),
            vad: WebRtc::new(VAD_MODE),
            hops: 0,
            finds: 0,
            best: None,
            spent: Duration::ZERO,
        }
    }

    /// Takes the next hop; the score, where the word was found.
    pub fn hear(&mut self, hop: &[i16; HOP_FRAMES]) -> Option<f32> {
        self.hops += 1;
        let voiced = self.vad.is_voiced(hop);
        self.near_misses.hear(hop, voiced);
        let score = self.near_misses.score();
        self.best = [self.best, score].into_iter().flatten().min_by(f32::total_cmp);
        let begun = Instant::now();
        let is_found = self.detector.hear(hop, voiced, false);
        self.spent += begun.elapsed();
        self.finds += u32::from(is_found);
        is_found.then(|| self.detector.matched().unwrap_or_default())
    }

    /// Takes a whole recording and half a second of silence; the finds as (ms, score).
    pub fn hear_all(&mut self, frames: &[i16]) -> Vec<(u64, f32)> {
        let silence = [[0; HOP_FRAMES]; 50];
        let mut finds = Vec::new();
        for hop in frames.as_chunks().0.iter().chain(&silence) {
            if let Some(score) = self.hear(hop) {
                finds.push((self.hops * u64::from(HOP_MS), score));
            }
        }
        finds
    }

    /// How often the word was found.
    pub fn finds(&self) -> u32 {
        self.finds
    }

    /// The best score; none where all was far away.
    pub fn best(&self) -> Option<f32> {
        self.best
    }

    fn us_per_hop(&self) -> f64 {
        self.spent.as_secs_f64() * 1e6 / self.hops.max(1) as f64
    }
}

/// Listens and tells.
///
/// # Errors
/// As [`super::run`].
pub fn run(args: &Args, out: &mut dyn Write) -> anyhow::Result<()> {
    let model = hw::wake::load(&args.model).map_err(anyhow::Error::msg)?;
    let echo = cli::load::agent(cli::load::config_path(args.config.as_deref()))?.echo;
    let percent = args.sensitivity_percent;
    writeln!(out, "heard up to score {:.2} ({percent} %); 1 is how your own sayings compare", threshold(percent))?;
    if args.files.is_empty() {
        return by_microphone(args, &model, &echo, out);
    }
    let (mut finds, mut seconds, mut us) = (0, 0.0, 0.0f64);
    for file in &args.files {
        let frames = load(file, &echo)?.cleaned;
        let mut tester = Tester::new(&model, percent);
        for (ms, score) in tester.hear_all(&frames) {
            writeln!(out, "{}: heard at {:.2} s, score {score:.2}", file.display(), ms as f64 / 1000.0)?;
        }
        if tester.finds() == 0 {
            writeln!(out, "{}: not heard, {}", file.display(), nearest(tester.best()))?;
        }
        finds += tester.finds();
        seconds += tester.hops as f64 / 100.0;
        us = us.max(tester.us_per_hop());
    }
    writeln!(out, "{finds} times in {seconds:.0} s of {} files; at most {us:.0} µs a hop", args.files.len())
        .context("the result cannot be printed")
}

fn nearest(best: Option<f32>) -> String {
    best.map_or_else(|| "nothing was near".to_string(), |score| format!("nearest score {score:.2}"))
}

fn by_microphone(args: &Args, model: &Model, echo: &Echo, out: &mut dyn Write) -> anyhow::Result<()> {
    let mut mic = Mic::open(&args.board, echo)?;
    eprintln!("Listening for {} s; say the wake word, and say other things.", args.seconds);
    let mut tester = Tester::new(model, args.sensitivity_percent);
    let mut printed = Ok(());
    mic.listen(|_, hop| {
        if let Some(score) = tester.hear(hop) {
            printed = writeln!(out, "heard at {:.1} s, score {score:.2}", tester.hops as f64 / 100.0);
        }
        printed.is_ok() && tester.hops < u64::from(args.seconds) * 100
    })?;
    printed.context("the result cannot be printed")?;
    writeln!(out, "{} times; {}; {:.0} µs a hop", tester.finds(), nearest(tester.best()), tester.us_per_hop())
        .context("the result cannot be printed")
}
