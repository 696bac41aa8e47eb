//! What the figures of the test sound mean, and which line to change. Pure.

use super::erle::{self, Cancelled};
use super::report::Check;
use super::sound::{Played, ROOM, Score, Session, Track, at_16_khz};
use crate::audio::level::rms_dbfs;
use crate::audio::measure::{Found, Quiet, drift_ppm, find};
use crate::audio::trouble::PcmTrouble;
use crate::audio::{UPLINK_RATE, level};
use crate::config::agent::Agent;
use crate::config::board::{self, Pick};
use crate::flow::Duplex;
use crate::hw::PcmShape;
use crate::mic::dead::Silence;

/// Share of clipped samples that is heard, percent; and one that makes speech unintelligible.
const CLIPPED_PERCENT: (f32, f32) = (0.01, 1.0);
/// Constant part that costs headroom, percent of full scale; and one that is a defect.
const DC_PERCENT: (f32, f32) = (2.0, 20.0);
/// Noise floor of a loud room or a gain that is too high, dBFS; and one that speech drowns in.
const FLOOR_DB: (f32, f32) = (-40.0, -25.0);
/// The noise must lie so much below `silence_db`, dB, or silence is taken for sound.
const SILENCE_MARGIN_DB: f32 = 6.0;
/// Longest delay that the canceller finds by itself, ms.
const DELAY_FOUND_MS: f64 = 250.0;
/// A delay below zero means stamps that are wrong by more than a period, ms.
const DELAY_LEAST_MS: f64 = -15.0;
/// More drift than two crystals have, ppm: one of the clocks is not what it says.
const DRIFT_PPM: f64 = 300.0;
/// A flat line's spread, steps.
const FLAT: u32 = 2;
/// How far from its expected place the second sweep may be, frames at 16 kHz: 0.1 s.
const SECOND_SLACK: usize = 1600;

/// All checks of microphone, loudspeaker and the way between them.
pub fn sound(session: &Session, score: &Score, agent: &Agent, profile: &board::Board) -> Vec<Check> {
    let mut checks = Vec::new();
    match &session.mic {
        Ok(track) => checks.extend(microphone(track, agent, profile)),
        Err(trouble) => checks.push(not_opened("microphone", trouble)),
    }
    match &session.speaker {
        Ok(played) => checks.push(loudspeaker(played)),
        Err(trouble) => checks.push(not_opened("loudspeaker", trouble)),
    }
    if let (Ok(track), Ok(played)) = (&session.mic, &session.speaker) {
        let is_simulated = profile.driver == board::LineDriver::Sim && profile.capture.pcm == SIMULATED.into();
        checks.extend(match way(track, played, score, agent) {
            Some(checks) => checks,
            None if is_simulated => vec![Check::ok("loop", "none: the simulated board has no room around it")],
            None => vec![deaf_to_itself()],
        });
    }
    checks
}

/// The PCM of the simulated board.
const SIMULATED: &str = "sim";

/// Right with headphones, and wrong without.
fn deaf_to_itself() -> Check {
    Check::warn(
        "loop",
        "the microphone does not hear the loudspeaker",
        "right with headphones; otherwise: is it plugged in and turned up (`alsamixer`, `[speak] volume_percent`), is \
         `[playback] card` or `pcm` the right device?",
    )
}

fn not_opened(name: &str, trouble: &PcmTrouble) -> Check {
    let figure = match trouble {
        PcmTrouble::Busy { .. } => "busy",
        PcmTrouble::Missing { .. } => "not there",
        PcmTrouble::Refused { .. } => "refuses the settings",
        _ => "does not work",
    };
    Check::bad(name, figure, trouble.to_string())
}

fn times(count: u32) -> String {
    if count == 1 { "once".to_string() } else { format!("{count} times") }
}

fn shape_words(shape: &PcmShape) -> String {
    let ms = |frames: usize| frames as f64 * 1000.0 / f64::from(shape.rate.0);
    let channels = if shape.channels == 1 { "channel" } else { "channels" };
    format!(
        "{}, {} {channels}, periods of {:.1} ms, ring of {:.0} ms",
        shape.rate,
        shape.channels,
        ms(shape.period_frames),
        ms(shape.buffer_frames)
    )
}

fn microphone(track: &Track, agent: &Agent, profile: &board::Board) -> Vec<Check> {
    let shape = &track.shape;
    let pick = match profile.capture.pick {
        _ if shape.channels == 1 => String::new(),
        Pick::Average => " → mean of all".to_string(),
        Pick::Channel(channel) => format!(" → channel {channel}"),
    };
    let chain = format!("{}{pick} → {UPLINK_RATE}", shape_words(shape));
    let opens = match track.xruns {
        0 => Check::ok("microphone", chain),
        xruns => Check::warn(
            "microphone",
            format!("{chain}; sound lost {}", times(xruns)),
            "sound was lost because this machine was late: what else runs on it? `[capture] period_ms` may be longer",
        ),
    };
    let room = &track.frames[..track.frames.len().min(shape.rate.frames_in(ROOM) as usize)];
    // The first tenth: converters swing in.
    let quiet = Quiet::of(&room[room.len() / 10..], shape.rate);
    if quiet.spread <= FLAT {
        if Quiet::of(&track.frames, shape.rate).spread > FLAT {
            // It heard the test sound: a gate of its own, in the device or in a sound server.
            let figure = "digital silence while nobody speaks, sound when there is some";
            return vec![opens, Check::ok("microphone's sound", figure)];
        }
        let is_zero = quiet.peak.0 <= level::FLOOR.0 + 7.0;
        let silence = if is_zero { Silence::Zeros } else { Silence::Flat };
        let figure = if silence == Silence::Zeros { "only zeros" } else { "a flat line" };
        return vec![opens, Check::bad("microphone's sound", figure, advice_of_silence(silence))];
    }
    vec![opens, clipping(&quiet), constant(&quiet), floor(&quiet, agent)]
}

fn advice_of_silence(silence: Silence) -> String {
    let what = if silence == Silence::Zeros { "it is open and gives only zeros" } else { "it gives a flat line" };
    format!(
        "{what}: is it muted by a switch on it or on its cable, or by its mixer (`alsamixer`)? Is `[capture] card` or `pcm` \
         the right device, and `[capture] pick` the right channel (`mynah devices` lists them)?"
    )
}

fn clipping(quiet: &Quiet) -> Check {
    let figure = format!("peak {}, {:.2} % clipped", quiet.peak, quiet.clipped_percent);
    let advice = "the microphone is at the end of its scale in a quiet room: lower its gain (`alsamixer`, F4, \"Mic\" and \
                  \"Boost\")";
    let check = match quiet.clipped_percent {
        share if share >= CLIPPED_PERCENT.1 => Check::bad("clipping", figure, advice),
        share if share >= CLIPPED_PERCENT.0 => Check::warn("clipping", figure, advice),
        _ => Check::ok("clipping", figure),
    };
    check.with("clipped_percent", quiet.clipped_percent)
}

fn constant(quiet: &Quiet) -> Check {
    let figure = format!("{:+.2} % of full scale", quiet.dc_percent);
    let advice = "the signal does not lie around zero: a cheap converter (harmless up to some percent), or a microphone that \
                  needs another `[capture] pick` or a supply voltage that it does not get";
    let check = match quiet.dc_percent.abs() {
        share if share >= DC_PERCENT.1 => Check::bad("DC offset", figure, advice),
        share if share >= DC_PERCENT.0 => Check::warn("DC offset", figure, advice),
        _ => Check::ok("DC offset", figure),
    };
    check.with("dc_percent", quiet.dc_percent)
}

fn floor(quiet: &Quiet, agent: &Agent) -> Check {
    let (figure, silence_db) = (format!("{}", quiet.floor), agent.listen.silence_db);
    let loud = "the room or the microphone is loud: lower its gain (`alsamixer`), or bring it nearer to who speaks";
    let check = match quiet.floor.0 {
        floor if floor >= FLOOR_DB.1 => Check::bad("noise floor", figure, format!("speech drowns in it: {loud}")),
        floor if floor >= FLOOR_DB.0 => Check::warn("noise floor", figure, loud),
        floor if floor > silence_db - SILENCE_MARGIN_DB => Check::warn(
            "noise floor",
            figure,
            format!(
                "`[listen] silence_db = {silence_db}` lies in the noise: set it to {:.0}",
                (floor + SILENCE_MARGIN_DB + 4.0).min(-20.0)
            ),
        ),
        _ => Check::ok("noise floor", figure),
    };
    check.with("noise_floor_db", quiet.floor.0)
}

fn loudspeaker(played: &Played) -> Check {
    let chain = format!("24000 Hz → {}", shape_words(&played.shape));
    match played.xruns {
        0 => Check::ok("loudspeaker", chain),
        xruns => Check::warn(
            "loudspeaker",
            format!("{chain}; starved {}", times(xruns)),
            "this machine was late: what else runs on it? `[playback] period_ms` may be longer",
        ),
    }
}

/// The loop through the room: delay, drift, echo, ERLE; none where the microphone does not hear the loudspeaker.
fn way(track: &Track, played: &Played, score: &Score, agent: &Agent) -> Option<Vec<Check>> {
    if track.xruns > 0 || played.xruns > 0 {
        return Some(vec![Check::warn(
            "loop",
            "not measured",
            "sound was lost on the way (see above), so that places in it cannot be compared: ask again on a quiet machine",
        )]);
    }
    let near = at_16_khz(&track.frames, track.shape.rate).ok()?;
    let sweep = &score.frames[score.first.clone()];
    // Not before the room's end, not after the speech has begun by as much as an echo may be late.
    let from = score.first.start.saturating_sub(SECOND_SLACK);
    let until = (score.speech.start + 2 * SECOND_SLACK).min(near.len());
    let first = near.get(from..until).and_then(|part| find(part, sweep))?;
    let first = Found { at_frames: first.at_frames + from as f64, ..first };
    let mut checks = Vec::new();
    let delay_ms = delay_ms(track, played, score, first);
    checks.extend(delay_ms.map(delay));
    checks.extend(drift(&near, score, first));
    checks.extend(echo(&near, score, first, agent));
    let shift = first.at_frames as i64 - score.first.start as i64;
    let heard = &near[..near.len().min((score.speech.end as i64 + shift).max(0) as usize)];
    let found = erle::measure(heard, &score.frames, shift, delay_ms.unwrap_or_default(), &agent.echo);
    checks.push(cancelled(found, agent.echo.full_duplex_db));
    Some(checks)
}

/// What the sound takes beyond what ALSA says of both sides, ms.
fn delay_ms(track: &Track, played: &Played, score: &Score, first: Found) -> Option<f64> {
    let (mic, speaker) = (track.line?, played.line?);
    let per = |shape: &PcmShape| f64::from(shape.rate.0) / f64::from(UPLINK_RATE.0);
    let left_s = speaker.at_s(score.first.start as f64 * per(&played.shape));
    let heard_s = mic.at_s(first.at_frames * per(&track.shape));
    Some((heard_s - left_s) * 1000.0)
}

fn delay(delay_ms: f64) -> Check {
    let figure = format!("{delay_ms:.1} ms from the loudspeaker to the microphone");
    let check = if delay_ms > DELAY_FOUND_MS {
        let advice = format!(
            "longer than the echo canceller looks by itself: write `delay_ms = {delay_ms:.0}` into [echo] of the agent file"
        );
        Check::warn("loop delay", figure, advice)
    } else if delay_ms < DELAY_LEAST_MS {
        let advice = "heard before it was played: the driver's delays are wrong, and the echo canceller may fail; \
                      another `[capture] period_ms` and `[playback] period_ms` may help";
        Check::warn("loop delay", figure, advice)
    } else {
        Check::ok("loop delay", figure)
    };
    check.with("delay_ms", delay_ms)
}

fn drift(near: &[i16], score: &Score, first: Found) -> Option<Check> {
    let apart = score.second.start - score.first.start;
    let from = (first.at_frames as usize + apart).saturating_sub(SECOND_SLACK);
    let until = (from + 2 * SECOND_SLACK + score.second.len()).min(near.len());
    let second = find(near.get(from..until)?, &score.frames[score.second.clone()])?;
    let ppm = drift_ppm(apart as f64, second.at_frames + from as f64 - first.at_frames);
    let figure = format!("{ppm:+.0} ppm between the two clocks");
    let check = if ppm.abs() > DRIFT_PPM {
        let advice = "more than crystals differ: is one of the two a sound server or a Bluetooth device? Name the card \
                      itself in `[capture]` and `[playback]` (`mynah devices`)";
        Check::warn("drift", figure, advice)
    } else {
        Check::ok("drift", figure)
    };
    Some(check.with("drift_ppm", ppm))
}

fn echo(near: &[i16], score: &Score, first: Found, agent: &Agent) -> Option<Check> {
    let delay = first.at_frames as i64 - score.first.start as i64;
    let from = (score.speech.start as i64 + delay).max(0) as usize;
    let heard = near.get(from..(from + score.speech.len()).min(near.len()))?;
    let echo_db = rms_dbfs(heard).0;
    let clipped = heard.iter().filter(|frame| frame.unsigned_abs() >= 32_700).count() * 100 / heard.len().max(1);
    let figure = format!("{echo_db:.0} dBFS at volume {} %", agent.speak.volume_percent);
    let level = if clipped > 0 {
        let advice = "the loudspeaker drives the microphone to the end of its scale, and no echo canceller can follow: lower \
                      `[speak] volume_percent`, or the microphone's gain (`alsamixer`)";
        Check::warn("echo", figure, advice)
    } else {
        Check::ok("echo", figure)
    };
    Some(level.with("echo_db", echo_db))
}

fn cancelled(found: Cancelled, wanted_db: f32) -> Check {
    let (erle_db, duplex) = match found {
        Cancelled::Never => {
            let figure =
                "no canceller (`[echo] canceller`, or a 32-bit board): the button cuts a reply, a voice does not";
            return Check::ok("ERLE", figure);
        }
        Cancelled::TooSoft => return Check::ok("ERLE", "the echo is too soft to need a canceller"),
        Cancelled::By(erle_db, duplex) => (erle_db, duplex),
    };
    let figure = format!("{erle_db:.0} dB of the echo are cancelled");
    let check = if duplex == Duplex::Half {
        let advice = format!(
            "less than `[echo] full_duplex_db = {wanted_db}` for long enough: a voice will not cut a reply (the button does). \
             Put loudspeaker and microphone further apart, or lower `[speak] volume_percent`"
        );
        Check::warn("ERLE", figure, advice)
    } else {
        Check::ok("ERLE", figure)
    };
    check.with("erle_db", erle_db)
}

#[cfg(test)]
mod tests;
