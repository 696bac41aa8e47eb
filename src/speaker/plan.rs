//! What the speaker's thread does next: render, start, drop or wait, by what is to be heard and where the device stands.

use std::time::Duration;

use super::jitter::Front;
use super::volume::Edges;
use super::{BLOCK_MS, Source, Speaker};
use crate::flow::SpeakerFact;
use crate::units::Time;

/// Silence played in one gap before the device is stopped until sound comes: a stalled network is no reason to
/// feed a device for minutes.
const GAP_MAX: Duration = Duration::from_millis(1000);

/// Where the device stands, as the thread sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Device {
    /// It cannot be used now.
    Lost,
    /// It stands and holds nothing.
    Stopped,
    /// It holds frames, but less than its start threshold: it does not run.
    Held,
    /// It runs.
    Running {
        /// It holds so little that what is not written now comes too late.
        is_low: bool,
        /// There is room for another block below the fill that is aimed at.
        has_room: bool,
    },
}

/// What the thread does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plan {
    /// Call [`Speaker::render`] and write the block.
    Render,
    /// Start the device with what it holds.
    Start,
    /// Stop the device at once and discard what it holds, then call [`Speaker::on_dropped`].
    Drop,
    /// Nothing until an order comes, the device empties, or this time.
    Wait(Option<Time>),
}

impl Speaker {
    /// What to do next, the device standing at `device`.
    pub fn plan(&mut self, device: Device, now: Time) -> Plan {
        if matches!(device, Device::Stopped | Device::Lost) {
            self.must_drop = false;
        }
        self.awake.look(matches!(device, Device::Stopped | Device::Lost), now);
        if self.must_drop {
            return Plan::Drop;
        }
        if device == Device::Lost {
            self.give_up_cues();
            return Plan::Wait(None);
        }
        if matches!(device, Device::Running { .. })
            && let Some(epoch) = self.starting.take_if(|epoch| !self.ledger.has_before(*epoch))
        {
            self.started = Some(epoch);
            self.fact(SpeakerFact::Started { epoch });
        }
        if matches!(device, Device::Running { .. }) {
            let change = self.cues.on_running();
            self.note_cue(change);
        }
        self.move_source(now);
        match (self.source, device) {
            (Source::Playing(_), _) => self.plan_sound(device),
            _ => self.plan_silence(device, now),
        }
    }

    /// A turn is being played: keep the device filled as long as there is sound, and silent when there is none.
    fn plan_sound(&self, device: Device) -> Plan {
        let is_ready = self.jitter.has(u64::from(BLOCK_MS) * 1000);
        match device {
            Device::Stopped => Plan::Render,
            Device::Held if is_ready => Plan::Render,
            Device::Held => Plan::Start,
            Device::Running { has_room: true, .. } if is_ready => Plan::Render,
            Device::Running { is_low: true, .. } => Plan::Render,
            _ => Plan::Wait(None),
        }
    }

    /// No turn to play now: fill the device with a cue, push out what is unheard with silence, bridge a gap, keep the
    /// converter awake, else stop.
    fn plan_silence(&self, device: Device, now: Time) -> Plan {
        let (deadline, is_gap) = match self.source {
            Source::Filling { since, gap_since } => {
                (since.map(|at| at + self.prebuffer), gap_since.is_some_and(|at| now.since(at) < GAP_MAX))
            }
            _ => (None, false),
        };
        let has_cue = self.cues.has_frames(self.rate);
        let awake_until = self.awake.until(now);
        let goes_on = is_gap || self.ledger.has_unheard() || self.cues.is_sounding() || awake_until.is_some();
        match device {
            Device::Stopped | Device::Held | Device::Running { has_room: true, .. } if has_cue => Plan::Render,
            Device::Stopped if awake_until.is_some() => Plan::Render,
            Device::Stopped | Device::Lost => Plan::Wait(deadline),
            _ if !goes_on => Plan::Drop,
            Device::Held => Plan::Start,
            Device::Running { is_low: true, .. } => Plan::Render,
            Device::Running { .. } => Plan::Wait(deadline.into_iter().chain(awake_until).min()),
        }
    }

    /// Follows what is at the front of the jitter buffer.
    fn move_source(&mut self, now: Time) {
        if matches!(self.source, Source::Playing(_)) {
            return; // `render` ends it
        }
        self.pass_ends();
        let Front::Sound(epoch, rate) = self.jitter.front() else { return };
        if self.source == Source::Idle {
            self.source = Source::Filling { since: Some(now), gap_since: None };
        }
        let Source::Filling { since: Some(since), .. } = self.source else { return };
        let is_enough = self.jitter.has(self.prebuffer.as_micros() as u64) || now.since(since) >= self.prebuffer;
        let is_free = rate == self.rate || !(self.ledger.has_unheard() || self.cues.is_sounding());
        if !is_enough || !is_free {
            return;
        }
        if rate != self.rate {
            self.rate = rate;
            self.ledger.set_rate(rate);
            self.edges = Edges::new(rate);
        }
        self.source = Source::Playing(epoch);
    }
}
