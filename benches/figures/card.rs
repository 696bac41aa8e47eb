//! The virtual card seen from the bench: turns its knobs, reads its log and what its speaker played.
//!
//! The layout of the control file is tests/rig/virtual_card/card.h's.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

const SLOT_AT: u64 = 40;
const SLOT_BYTES: u64 = 528;
const PATH_BYTES: usize = 512;

/// Samples up to this are silence: what dithering or a fade's end may leave.
const SILENCE: i16 = 8;

/// Which of the two sounds that the microphone hears at once.
#[derive(Clone, Copy)]
pub enum Slot {
    /// The background: speech.
    Sound = 0,
    /// What is laid over it.
    Mark = 1,
}

/// A run of the speaker or the microphone, from start to stop.
#[derive(Clone, Debug)]
pub struct Run {
    /// Its number, in the name of the speaker's file.
    pub number: u64,
    /// "mic" or "speaker".
    pub pcm: String,
    /// When frame 0 passed the converter.
    pub start_ns: i64,
    /// Frames per second.
    pub rate_hz: f64,
    channels: u64,
    sample_bytes: u64,
    /// Why it stopped, and after how many frames; none while it runs.
    pub stop: Option<(String, u64)>,
}

impl Run {
    /// When a frame passed the converter.
    pub fn ns(&self, frame: u64) -> i64 {
        self.start_ns + (frame as f64 * 1e9 / self.rate_hz) as i64
    }

    /// The first frame at or after a time.
    fn frame(&self, at_ns: i64) -> u64 {
        ((at_ns - self.start_ns).max(0) as f64 * self.rate_hz / 1e9).ceil() as u64
    }
}

/// The card.
pub struct Card {
    folder: PathBuf,
    control: File,
}

impl Card {
    /// Opens the folder that vcard-new.sh made.
    pub fn open(folder: &Path) -> Result<Card> {
        let control = fs::OpenOptions::new().read(true).write(true).open(folder.join("control"));
        let control = control.with_context(|| format!("no virtual card in {}", folder.display()))?;
        Ok(Card { folder: folder.to_path_buf(), control })
    }

    /// Plays a raw file into the microphone from `start_ns` on.
    pub fn hear(&self, slot: Slot, path: &Path, looped: bool, start_ns: i64) -> Result<()> {
        let at = SLOT_AT + SLOT_BYTES * slot as u64;
        let name = path.as_os_str().as_encoded_bytes();
        ensure!(name.len() < PATH_BYTES, "the path {} is too long for the card", path.display());
        let mut turn = [0; 4];
        self.control.read_exact_at(&mut turn, at)?;
        let turn = u32::from_le_bytes(turn) | 1; // odd: being written
        self.control.write_all_at(&turn.to_le_bytes(), at)?;
        let mut body = Vec::new();
        body.extend(u32::from(looped).to_le_bytes());
        body.extend(start_ns.to_le_bytes());
        body.extend(name);
        body.resize(SLOT_BYTES as usize - 4, 0);
        self.control.write_all_at(&body, at + 4)?;
        Ok(self.control.write_all_at(&turn.wrapping_add(1).to_le_bytes(), at)?)
    }

    /// All runs so far.
    pub fn runs(&self) -> Result<Vec<Run>> {
        let log = fs::read_to_string(self.folder.join("log.jsonl")).unwrap_or_default();
        let mut runs: Vec<Run> = Vec::new();
        for line in log.lines() {
            let Ok(event) = serde_json::from_str::<Value>(line) else { continue };
            let number = event["run"].as_u64().unwrap_or_default();
            match event["event"].as_str() {
                Some("start") => runs.push(Run {
                    number,
                    pcm: event["pcm"].as_str().unwrap_or_default().to_owned(),
                    start_ns: event["at_ns"].as_i64().unwrap_or_default(),
                    rate_hz: event["rate_hz"].as_f64().unwrap_or(48_000.0),
                    channels: event["channels"].as_u64().unwrap_or(1),
                    sample_bytes: if event["format"] == "S32_LE" { 4 } else { 2 },
                    stop: None,
                }),
                Some("stop") => {
                    let why = event["why"].as_str().unwrap_or_default().to_owned();
                    let frames = event["frames"].as_u64().unwrap_or_default();
                    if let Some(run) = runs.iter_mut().rfind(|run| run.number == number) {
                        run.stop = Some((why, frames));
                    }
                }
                _ => {}
            }
        }
        Ok(runs)
    }

    /// What the speaker's channel 0 played from `from_ns` until now: pieces of (run, first frame, samples).
    pub fn played(&self, from_ns: i64) -> Result<Vec<(Run, u64, Vec<i16>)>> {
        let now_ns = crate::clock::now_ns();
        let mut pieces = Vec::new();
        for run in self.runs()?.into_iter().filter(|run| run.pcm == "speaker") {
            let first = run.frame(from_ns);
            let end = run.stop.as_ref().map_or_else(|| run.frame(now_ns), |(_, frames)| *frames);
            if end > first {
                let samples = self.samples(&run, first, end)?;
                pieces.push((run, first, samples));
            }
        }
        Ok(pieces)
    }

    fn samples(&self, run: &Run, first: u64, end: u64) -> Result<Vec<i16>> {
        let file = File::open(self.folder.join(format!("speaker-{:04}.raw", run.number)))?;
        let step = run.channels * run.sample_bytes;
        let held = file.metadata()?.len() / step;
        let end = end.min(held);
        let mut bytes = vec![0; (end.saturating_sub(first) * step) as usize];
        file.read_exact_at(&mut bytes, first * step)?;
        let upper = run.sample_bytes as usize - 2; // S32 has our 16 bits on top
        Ok(bytes.chunks_exact(step as usize).map(|f| i16::from_le_bytes([f[upper], f[upper + 1]])).collect())
    }

    /// When the speaker first played something louder than `level` after `from_ns`.
    pub fn first_loud_ns(&self, from_ns: i64, level: i16) -> Result<Option<i64>> {
        Ok(self.played(from_ns)?.iter().find_map(|(run, first, samples)| {
            let at = samples.iter().position(|x| x.saturating_abs() > level)?;
            Some(run.ns(first + at as u64))
        }))
    }

    /// When the speaker last played anything but silence after `from_ns`, if it did.
    pub fn last_sound_ns(&self, from_ns: i64) -> Result<Option<i64>> {
        let found = self.played(from_ns)?.iter().rev().find_map(|(run, first, samples)| {
            let at = samples.iter().rposition(|x| x.saturating_abs() > SILENCE)?;
            Some(run.ns(first + at as u64 + 1))
        });
        Ok(found)
    }

    /// Xruns of a PCM ("mic" or "speaker") that happened in a stretch of time.
    pub fn xruns(&self, pcm: &str, from_ns: i64, until_ns: i64) -> Result<usize> {
        let is_xrun = |run: &Run| match &run.stop {
            Some((why, frames)) => why == "xrun" && (from_ns..until_ns).contains(&run.ns(*frames)),
            None => false,
        };
        Ok(self.runs()?.iter().filter(|run| run.pcm == pcm && is_xrun(run)).count())
    }
}
