//! What the demo leaves behind: two WAV files, the events and the picture.

use std::fs;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use super::timeline::{self, Picture};
use crate::audio::level::{FLOOR, rms_dbfs};
use crate::flow::Event;
use crate::hw::tap::Track;
use crate::hw::wav;

/// Writes the artefacts into `folder`, which exists, over those of an earlier demo. Answers their paths.
pub fn write(folder: &Path, picture: &Picture<'_>) -> anyhow::Result<Vec<PathBuf>> {
    let at = |name: &str| folder.join(name);
    let paths = vec![at("reply.wav"), at("mic.wav"), at("events.jsonl"), at("timeline.svg")];
    // Both tracks as long as the demo, so that they can be laid over each other in any editor.
    let length = picture.end.since(picture.began).as_secs_f64();
    write_wav(&paths[0], picture.reply, length).with_context(|| cannot(&paths[0]))?;
    write_wav(&paths[1], picture.mic, length).with_context(|| cannot(&paths[1]))?;
    write_events(&paths[2], picture.events).with_context(|| cannot(&paths[2]))?;
    fs::write(&paths[3], timeline::svg(picture)).with_context(|| cannot(&paths[3]))?;
    Ok(paths)
}

fn cannot(path: &Path) -> String {
    format!("{} cannot be written: is there space, and may you write there? --out names another folder", path.display())
}

fn write_wav(path: &Path, track: &Track, seconds: f64) -> anyhow::Result<()> {
    let length = ((seconds * f64::from(track.rate.0)) as usize).max(track.frames.len());
    let mut frames = track.frames.clone();
    frames.resize(length, 0);
    Ok(wav::save(path, track.rate, &frames)?)
}

fn write_events(path: &Path, events: &[Event]) -> anyhow::Result<()> {
    let mut file = BufWriter::new(fs::File::create(path)?);
    for event in events {
        crate::cli::events::write(&mut file, event)?;
    }
    Ok(file.flush()?)
}

/// What the recorded microphone level says about a real board, as a sentence.
pub fn mic_level(mic: &Track) -> String {
    let window = mic.rate.frames_in_ms(100).max(1);
    let levels = mic.frames.chunks_exact(window).map(|frames| rms_dbfs(frames).0);
    let level_db = levels.fold(FLOOR.0, f32::max);
    let clipped = mic.frames.iter().filter(|sample| sample.unsigned_abs() >= 32_700).count();
    let advice = if clipped > 20 {
        "it is overdriven: lower the capture level (`alsamixer`, F4)"
    } else if level_db < -75.0 {
        "it delivers silence: is it muted, or is another microphone meant?"
    } else if level_db < -40.0 {
        "it is quiet: come closer or raise the capture level (`alsamixer`, F4)"
    } else {
        "good"
    };
    format!("microphone level: loudest 100 ms at {level_db:.0} dBFS; {advice}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Hertz;

    fn level(sample: i16) -> String {
        mic_level(&Track { rate: Hertz(16_000), frames: vec![sample; 16_000], is_whole: true })
    }

    #[test]
    fn the_microphone_level_is_judged() {
        assert!(level(0).contains("silence"), "{}", level(0));
        assert!(level(50).contains("quiet"), "{}", level(50));
        assert!(level(3276).contains("-20 dBFS; good"), "{}", level(3276));
        assert!(level(32_767).contains("overdriven"), "{}", level(32_767));
    }
}
