//! Speech of the corpus, at one level, with the moments at which it truly begins and ends.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use mynah::audio::HOP_FRAMES;

use crate::signal::{self, from_db};

/// Active level of every utterance as it is loaded, dBFS: a person at arm's length from a microphone of usual gain.
pub const SPEECH_DB: f32 = -26.0;

/// Hops so far under an utterance's active level are no speech, dB. Weak beginnings (an f, an h) are 20-28 dB down.
const QUIET_DB: f32 = -30.0;

/// A recording's own noise must be exceeded by so much, dB, where that is more than [`QUIET_DB`] asks for …
const ABOVE_NOISE_DB: f32 = 9.0;
/// … but speech is never asked to be louder than this, dB under its active level.
const LOUD_ENOUGH_DB: f32 = -20.0;

/// Hops in a row that make a beginning or an end: a click of the recording is shorter.
const RUN_HOPS: usize = 3;

/// Sound kept before the beginning and after the end, hops.
const MARGIN_HOPS: usize = 5;

/// Pauses up to this long belong to the speech around them, hops (stops within words; 150 ms).
const BRIDGED_HOPS: usize = 15;

/// Lengths of speech that are of use, hops.
const LENGTH_HOPS: std::ops::RangeInclusive<usize> = 30..=6000;

/// One utterance.
#[derive(Clone)]
pub struct Utterance {
    /// Voice and number.
    pub name: String,
    /// `[frames, 1 channel] F32 @ 16 kHz` at [`SPEECH_DB`], from just before the beginning to just after the end.
    pub frames: Vec<f32>,
    /// Frame in which the speech begins.
    pub onset: usize,
    /// Frame in which it ends.
    pub offset: usize,
    /// For each hop, whether it is speech.
    pub active: Vec<bool>,
}

/// All utterances of a part, sorted by name.
pub fn load(folder: &Path, part: &str) -> Result<Vec<Utterance>> {
    let folder = folder.join(part);
    let list = fs::read_dir(&folder).with_context(|| format!("no corpus in {}: make it first", folder.display()))?;
    let mut files: Vec<_> = list.filter_map(|entry| Some(entry.ok()?.path())).collect();
    files.sort();
    let mut utterances = Vec::new();
    for file in files {
        let name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let bytes = fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
        let frames = bytes.as_chunks::<2>().0.iter().map(|pair| f32::from(i16::from_le_bytes(*pair)) / 32_768.0);
        utterances.extend(label(name, frames.collect()));
    }
    ensure!(utterances.len() >= 10, "only {} utterances in {}", utterances.len(), folder.display());
    Ok(utterances)
}

/// Cuts a recording to its speech and labels it; nothing where there is no speech of a useful length. Some of the
/// recordings begin with a thump of 8 Hz up to half a second before the first word: that is no syllable.
fn label(name: String, recording: Vec<f32>) -> Option<Utterance> {
    let voice = signal::without_rumble(&recording);
    let levels: Vec<f32> = voice.chunks_exact(HOP_FRAMES).map(signal::level_db).collect();
    let mut sorted = levels.clone();
    sorted.sort_by(f32::total_cmp);
    let loudest = *sorted.get(sorted.len().checked_sub(1)? * 19 / 20)?;
    let noise = sorted.get(sorted.len() / 20)?;
    let is_loud = |level: f32| level > loudest - 25.0;
    let loud: Vec<f32> =
        voice.chunks_exact(HOP_FRAMES).filter(|hop| is_loud(signal::level_db(hop))).flatten().copied().collect();
    let active_db = signal::level_db(&loud);
    let threshold = (active_db + QUIET_DB).max((noise + ABOVE_NOISE_DB).min(active_db + LOUD_ENOUGH_DB));
    let above: Vec<bool> = levels.iter().map(|level| *level > threshold).collect();
    let starts = |run: &[bool]| run.iter().all(|above| *above);
    let first = above.windows(RUN_HOPS).position(starts)?;
    let last = above.windows(RUN_HOPS).rposition(starts)? + RUN_HOPS;
    if !LENGTH_HOPS.contains(&(last - first)) {
        return None;
    }
    let from = first.saturating_sub(MARGIN_HOPS);
    let to = (last + MARGIN_HOPS).min(above.len());
    let gain = from_db(SPEECH_DB - active_db);
    let mut frames: Vec<f32> = recording[from * HOP_FRAMES..to * HOP_FRAMES].iter().map(|x| x * gain).collect();
    fade(&mut frames, (first - from) * HOP_FRAMES);
    let mut active = above[from..to].to_vec();
    active[..first - from].fill(false);
    active[last - from..].fill(false);
    bridge(&mut active);
    Some(Utterance { name, frames, onset: (first - from) * HOP_FRAMES, offset: (last - from) * HOP_FRAMES, active })
}

/// Fades the margin in and out, so that a recording's noise does not begin with a jump.
fn fade(frames: &mut [f32], margin: usize) {
    let margin = margin.max(1);
    for i in 0..margin.min(frames.len()) {
        let gain = i as f32 / margin as f32;
        frames[i] *= gain;
        let last = frames.len() - 1 - i;
        frames[last] *= gain;
    }
}

/// Closes short gaps.
fn bridge(active: &mut [bool]) {
    let mut last = None;
    for i in 0..active.len() {
        if active[i] {
            if let Some(last) = last
                && i - last <= BRIDGED_HOPS
            {
                active[last..i].fill(true);
            }
            last = Some(i);
        }
    }
}
