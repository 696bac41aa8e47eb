//! The built-in figures: what the device's own short sounds are made of.
//!
//! They differ in more than one way (how many tones, how they move, how long, high or low, bright or hollow), so that they
//! are told apart without a musical ear. Steps of a conversation are a twentieth of a second, as often as they come;
//! what was changed is two tones or more; what is wrong is low and hollow, or long, or falls in steps. Small
//! loudspeakers give little below 400 Hz and turn harsh above 2 kHz: the energy lies between. A figure is a function of the
//! frame, not a recording: it needs no memory, fits every rate, and one that was cut with the reply under it is taken up
//! where it was heard to.

use std::f64::consts::TAU;

use crate::flow::Cue;
use crate::units::Hertz;

/// The longest figure, ms: what a device has to say of itself must not stand in the way of a conversation.
pub const CUE_MS_MAX: u32 = 450;
/// Peak of a figure, -15 dBFS: heard over speech, which peaks 10 dB above, and not startling in a silent room.
const PEAK: f64 = 5800.0;
/// How long a tone swells, ms: no click, and still the beginning of something.
const SWELL_MS: f64 = 12.0;

/// One tone of a figure and the rest after it.
#[derive(Clone, Copy, Debug)]
struct Tone {
    from_hz: f64,
    /// Its pitch at its end; it moves there evenly.
    to_hz: f64,
    ms: u32,
    /// How long it fades at its end, ms: as long as itself for one that is struck, short for one that is held.
    fade_ms: f64,
    /// Its size beside [`PEAK`], 0 to 1.
    level: f64,
    /// Strength of its third harmonic beside it, 0 to 0.5: what makes a tone hollow, and what a small loudspeaker gives of a
    /// low one.
    third: f64,
    rest_ms: u32,
}

/// Struck lightly twice, like a finger on a glass: one moment.
const STRUCK: Tone = tone(1047.0, 1047.0, 100, 88.0, 50);
/// One tone that slides down an octave: it slipped away.
const SLIDE: Tone = tone(1245.0, 622.0, 320, 100.0, 0);
/// Held, low and hollow, twice: an engaged line.
const HELD: Tone = Tone { third: 0.45, ..tone(440.0, 440.0, 170, 30.0, 80) };
/// Hollow, three times and quickly: a knock that wants to be looked at.
const KNOCK: Tone = Tone { third: 0.45, ..tone(600.0, 600.0, 56, 20.0, 34) };
/// Stairs, down: it is going out; up: it begins anew.
const STEP: Tone = tone(988.0, 988.0, 120, 50.0, 20);
/// A door, its upper and its lower half: it falls shut, or opens.
const DOOR: Tone = tone(784.0, 784.0, 90, 60.0, 10);
/// A flick of a sixteenth of a second, up: your turn; down: I have it.
const FLICK: Tone = tone(880.0, 1760.0, 64, 24.0, 0);
/// Struck four times, high and low in turn, like two small bells: come.
const BELL: Tone = tone(1568.0, 1568.0, 85, 70.0, 20);
/// One soft low stroke that dies away, every now and then: still at it.
const BREATH: Tone = Tone { level: 0.45, ..tone(523.0, 523.0, 180, 168.0, 0) };

const AGAIN: &[Tone] = &[STRUCK, Tone { rest_ms: 0, ..STRUCK }];
const LOST: &[Tone] = &[SLIDE];
const OFFLINE: &[Tone] = &[HELD, Tone { rest_ms: 0, ..HELD }];
const SPENT: &[Tone] = &[STEP, at(740.0, STEP), Tone { ms: 160, fade_ms: 90.0, rest_ms: 0, ..at(523.0, STEP) }];
const LISTENING: &[Tone] = &[FLICK];
const HEARD: &[Tone] = &[Tone { from_hz: FLICK.to_hz, to_hz: FLICK.from_hz, ..FLICK }];
const THINKING: &[Tone] = &[BREATH];
const ERROR: &[Tone] = &[KNOCK, KNOCK, Tone { rest_ms: 0, ..KNOCK }];
const MUTED: &[Tone] = &[DOOR, Tone { rest_ms: 0, ..at(523.0, DOOR) }];
const UNMUTED: &[Tone] = &[at(523.0, DOOR), Tone { rest_ms: 0, ..DOOR }];
const RESET: &[Tone] = &[at(523.0, STEP), at(740.0, STEP), Tone { ms: 160, fade_ms: 90.0, rest_ms: 0, ..STEP }];
const RING: &[Tone] = &[BELL, at(1175.0, BELL), BELL, Tone { rest_ms: 0, ..at(1175.0, BELL) }];

const fn tone(from_hz: f64, to_hz: f64, ms: u32, fade_ms: f64, rest_ms: u32) -> Tone {
    Tone { from_hz, to_hz, ms, fade_ms, level: 1.0, third: 0.0, rest_ms }
}

/// The same at another pitch.
const fn at(hz: f64, tone: Tone) -> Tone {
    Tone { from_hz: hz, to_hz: hz, ..tone }
}

fn tones(cue: Cue) -> &'static [Tone] {
    match cue {
        Cue::Again => AGAIN,
        Cue::Lost => LOST,
        Cue::Offline => OFFLINE,
        Cue::Spent => SPENT,
        Cue::Listening => LISTENING,
        Cue::Heard => HEARD,
        Cue::Thinking => THINKING,
        Cue::Error => ERROR,
        Cue::Muted => MUTED,
        Cue::Unmuted => UNMUTED,
        Cue::Reset => RESET,
        Cue::Ring => RING,
    }
}

/// Length of a built-in figure in frames at `rate`.
pub fn length(cue: Cue, rate: Hertz) -> usize {
    rate.frames_in_ms(tones(cue).iter().map(|tone| tone.ms + tone.rest_ms).sum())
}

/// The frame `at` of a built-in figure (`S16 @ rate`); 0 past its end.
pub fn sample(cue: Cue, at: usize, rate: Hertz) -> i16 {
    let mut ms = at as f64 * 1000.0 / f64::from(rate.0);
    for tone in tones(cue) {
        if ms < f64::from(tone.ms) {
            return (PEAK * tone.level * tone_at(tone, ms)).round() as i16;
        }
        ms -= f64::from(tone.ms + tone.rest_ms);
        if ms < 0.0 {
            return 0;
        }
    }
    0
}

/// A tone `ms` after its beginning: -1 to 1.
fn tone_at(tone: &Tone, ms: f64) -> f64 {
    let (s, whole_s) = (ms / 1000.0, f64::from(tone.ms) / 1000.0);
    let cycles = tone.from_hz * s + (tone.to_hz - tone.from_hz) * s * s / (2.0 * whole_s);
    let wave = (TAU * cycles.fract()).sin() + tone.third * (TAU * (3.0 * cycles).fract()).sin();
    let swell = soft(ms / SWELL_MS) * soft((f64::from(tone.ms) - ms) / tone.fade_ms);
    // The two do not peak together: for a third harmonic up to a half of the tone the sum stays below this.
    wave * swell / (1.0 + 0.16 * tone.third)
}

/// From 0 to 1 without a corner at either end.
fn soft(x: f64) -> f64 {
    0.5 - 0.5 * (x.clamp(0.0, 1.0) * TAU / 2.0).cos()
}

#[cfg(test)]
mod tests;
