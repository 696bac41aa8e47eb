//! The ears: echo and noise are taken out of what the microphone heard before the gate decides on it.
//!
//! A hop of the microphone comes in, the hops of the far-end copy beside it; out comes the same hop, cleaned, with
//! what is known of the echo in it: whether the loudspeaker can be heard at all, whether there is more in the hop
//! than the loudspeaker accounts for, and whether the canceller does its work.
//!
//! ```text
//! far-end copy ─→ align ─→ ┐                      ┌─→ evidence ─→ somebody speaks here, or not
//! microphone ─────────────→ cancel ─→ powers ─────┤
//!                             │                   └─→ duplex ───→ a voice may cut a reply, or not
//!                             └─→ noise, gain ─→ the cleaned hop, to the gate
//! ```
//!
//! Pure, like the gate behind it. Where the canceller is switched off, nobody knows what is echo: `Room::duplex` stays
//! unknown, and the gate closes its ears while the loudspeaker is audible.

pub mod align;
pub mod bargein;
pub mod cancel;
pub mod duplex;
pub mod evidence;
pub mod leak;
pub mod spectrum;

use self::align::{Align, Frames};
use self::cancel::{EchoCanceller, Polish, Powers, Sonora};
use self::duplex::{Meter, State};
use self::evidence::{Circumstances, Evidence, Nearness, Signals};
use crate::audio::{HOP_FRAMES, HOP_MS, Hop};
use crate::config::agent::Echo;
use crate::flow::Duplex;
use crate::units::Time;

/// From here a hop of the loudspeaker can be heard: mean square of a level of −66 dBFS, under every room's noise.
const FAR_POWER_MIN: f32 = 270.0;

/// How long the room goes on sounding after the last echo came, ms: what is 40 dB down in a lively room.
const ROOM_TAIL_MS: u32 = 400;

/// After so many hops of silence in the far-end copy nothing is missed where it is not waited for: 0.5 s.
const FAR_SILENT_HOPS: u32 = 50;

/// An echo may come so much later than the canceller says, ms.
const DELAY_SLACK_MS: u32 = 20;

/// What is so much louder than the noise was said by somebody, once the loudspeaker is silent: 10 dB.
const SAID: f32 = 10.0;

/// Hops of sound after a cut that show that somebody was there: 100 ms.
const SAID_HOPS_MIN: u32 = 10;

/// What is known of the loudspeaker in a hop.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Room {
    /// Something that the loudspeaker played may be in the hop.
    pub is_far: bool,
    /// What there is in the hop beyond what the loudspeaker accounts for. Means nothing where `is_far` is false.
    pub near: Nearness,
    /// Whether a voice may cut a reply; nothing while that is not known, or where there is no canceller.
    pub duplex: Option<Duplex>,
    /// ERLE as measured last, dB; 0 where it never was.
    pub erle_db: f32,
}

impl Room {
    /// A room without loudspeaker.
    pub const SILENT: Room =
        Room { is_far: false, near: Nearness { bands: 0.0, lasting: 0.0, passes: false }, duplex: None, erle_db: 0.0 };
}

/// A hop as the gate takes it.
#[derive(Clone, Copy)]
pub struct Heard {
    /// The cleaned sound; its stamp is the raw hop's, and what is in it lags that by up to 14 ms.
    pub hop: Hop,
    /// The same before the suppressor: a voice whole, the echo of a loudspeaker 10–25 dB softer than it was, and all
    /// the noise. What to send of somebody who speaks over the loudspeaker, whom the suppressor takes for echo.
    pub over: [i16; HOP_FRAMES],
    /// What is known of the loudspeaker in it.
    pub room: Room,
}

impl From<Hop> for Heard {
    /// A hop from a microphone that hears no loudspeaker.
    fn from(hop: Hop) -> Heard {
        Heard { hop, over: hop.frames, room: Room::SILENT }
    }
}

/// What `mynah doctor` and the panel want to know.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Figures {
    /// How much faster the loudspeaker's clock is than the microphone's, parts in a million.
    pub drift_ppm: f32,
    /// From the loudspeaker's converter to the microphone's, beyond what the stamps say, ms.
    pub delay_ms: u32,
    /// ERLE as measured last, dB; 0 where it never was.
    pub erle_db: f32,
    /// Whether a voice may cut a reply; nothing while that is not known.
    pub duplex: Option<Duplex>,
    /// How often the alignment had to jump.
    pub jumps: u64,
}

/// The stage between microphone and gate.
pub struct Ears {
    align: Align,
    canceller: Option<Box<dyn EchoCanceller>>,
    polish: Option<Polish>,
    evidence: Evidence,
    meter: Meter,
    configured_delay_ms: u32,
    far: Frames,
    heard: Frames,
    near: Frames,
    over: Frames,
    /// Hops of silence in the far-end copy until now.
    far_silent_hops: u32,
    /// Hops since the loudspeaker last played anything.
    quiet_hops: u32,
    seen_jumps: u64,
    was_talking: bool,
    /// In a window that opened over the loudspeaker: hops in which something was said once it was silent.
    said_after_cut: Option<u32>,
    /// The window before was one in which nothing was.
    was_cut_by_nobody: bool,
}

impl Ears {
    /// Ears that know nothing of the room yet, made as `echo` says.
    pub fn new(echo: &Echo) -> Ears {
        let canceller: Option<Box<dyn EchoCanceller>> =
            if cancel::is_wanted(echo.canceller) { Some(Box::new(Sonora::new())) } else { None };
        Ears::with(echo, canceller)
    }

    /// Ears with a canceller of one's own, or without one.
    pub fn with(echo: &Echo, canceller: Option<Box<dyn EchoCanceller>>) -> Ears {
        Ears {
            align: Align::new(echo.delay_ms),
            canceller,
            polish: Polish::new(echo),
            evidence: Evidence::new(),
            meter: Meter::new(echo.full_duplex_db),
            configured_delay_ms: echo.delay_ms,
            far: [0.0; HOP_FRAMES],
            heard: [0.0; HOP_FRAMES],
            near: [0.0; HOP_FRAMES],
            over: [0.0; HOP_FRAMES],
            far_silent_hops: u32::MAX,
            quiet_hops: u32::MAX,
            seen_jumps: 0,
            was_talking: false,
            said_after_cut: None,
            was_cut_by_nobody: false,
        }
    }

    /// Takes a hop of the far-end copy; `at` is when its newest frame leaves the loudspeaker. It may be earlier or
    /// later than the microphone's newest hop; earlier than the copy's own newest, it takes back what was not heard.
    pub fn handle_far(&mut self, far: &Hop) {
        let is_silent = far.frames.iter().all(|&sample| sample == 0);
        self.far_silent_hops = if is_silent { self.far_silent_hops.saturating_add(1) } else { 0 };
        self.align.handle_far(far);
    }

    /// Whether far-end copy that belongs to a hop captured at `near` is still to come: wait for it a moment. Not for
    /// silence: a converter that is kept awake between replies would make all that is said 30 ms later. `is_audible` says
    /// that the loudspeaker sounds, which is told before its sound can be captured.
    pub fn wants_far(&self, near: Time, is_audible: bool) -> bool {
        (is_audible || self.far_silent_hops < FAR_SILENT_HOPS) && self.align.wants_far(near)
    }

    /// Takes the microphone's next hop. `is_talking` says that a window is open: then what is left is a voice, not
    /// the canceller's failure.
    pub fn hear(&mut self, near: &Hop, is_talking: bool) -> Heard {
        self.align.read(near, &mut self.far);
        for (sample, &raw) in self.near.iter_mut().zip(&near.frames) {
            *sample = f32::from(raw);
        }
        self.heard = self.near;
        let is_far = self.note_far();
        let powers = match &mut self.canceller {
            Some(canceller) => canceller.cancel(&mut self.near, &self.far, &mut self.over),
            None => {
                self.over = self.near;
                Powers::default()
            }
        };
        let room = self.judge(&powers, is_far, is_talking);
        if let Some(polish) = &mut self.polish {
            polish.polish(&mut self.near);
        }
        let hop = Hop { at: near.at, frames: self.near.map(|sample| sample as i16) };
        Heard { hop, over: self.over.map(|sample| sample as i16), room }
    }

    /// Notes whether the loudspeaker plays; answers whether it can be heard, also as echo.
    fn note_far(&mut self) -> bool {
        let power = self.far.iter().map(|sample| sample * sample).sum::<f32>() / HOP_FRAMES as f32;
        self.quiet_hops = if power >= FAR_POWER_MIN { 0 } else { self.quiet_hops.saturating_add(1) };
        self.quiet_hops < (self.found_delay_ms() + ROOM_TAIL_MS) / HOP_MS
    }

    /// What the canceller has found, ms.
    fn found_delay_ms(&self) -> u32 {
        self.canceller.as_ref().map_or(0, |canceller| canceller.delay_ms())
    }

    fn judge(&mut self, powers: &Powers, is_far: bool, is_talking: bool) -> Room {
        if self.canceller.is_none() {
            return Room { is_far, ..Room::SILENT };
        }
        if self.align.jumps() != self.seen_jumps {
            self.seen_jumps = self.align.jumps();
            self.meter.handle_doubt();
        }
        let now = Circumstances {
            delay_ms: self.found_delay_ms(),
            is_far,
            is_tail: is_far && self.quiet_hops * HOP_MS > self.found_delay_ms() + DELAY_SLACK_MS,
            is_talking,
            is_trusted: self.duplex() == Some(Duplex::Full),
        };
        let signals = Signals { far: &self.far, near: &self.heard, linear: &self.over, powers };
        let near = self.evidence.handle_hop(&signals, now);
        let echo = (is_far && !is_talking).then(|| self.evidence.echo());
        self.meter.handle_hop(powers, self.evidence.noise(is_far), echo);
        self.watch_cut(powers, is_far, is_talking);
        Room { is_far, near, duplex: self.duplex(), erle_db: self.meter.erle_db() }
    }

    /// A window that opened over the loudspeaker, and in which nobody says anything once it is silent, was perhaps
    /// opened by the loudspeaker, or by somebody who said one short word. After two in a row the canceller is to prove
    /// itself anew.
    fn watch_cut(&mut self, powers: &Powers, is_far: bool, is_talking: bool) {
        let is_said = powers.clean >= SAID * self.evidence.noise(is_far);
        self.said_after_cut = match self.said_after_cut {
            None if is_talking && is_far && !self.was_talking => Some(0),
            Some(hops) if is_talking => Some(hops + u32::from(is_said && !is_far)),
            Some(hops) => {
                let is_by_nobody = hops < SAID_HOPS_MIN;
                if is_by_nobody && self.was_cut_by_nobody {
                    self.meter.handle_doubt();
                }
                self.was_cut_by_nobody = is_by_nobody;
                None
            }
            other => other,
        };
        self.was_talking = is_talking;
    }

    fn duplex(&self) -> Option<Duplex> {
        match self.meter.state() {
            State::Unproven => None,
            State::Proven => Some(Duplex::Full),
            State::Failing => Some(Duplex::Half),
        }
    }

    /// What is known of clocks, delay and canceller.
    pub fn figures(&self) -> Figures {
        let ahead_ms = (align::AHEAD_S * 1000.0) as u32;
        Figures {
            drift_ppm: self.align.drift_ppm(),
            delay_ms: (self.found_delay_ms() + self.configured_delay_ms).saturating_sub(ahead_ms),
            erle_db: self.meter.erle_db(),
            duplex: self.duplex(),
            jumps: self.align.jumps(),
        }
    }
}

#[cfg(test)]
mod room;
#[cfg(test)]
mod tests;
