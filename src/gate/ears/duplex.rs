//! Full or half duplex: how well the canceller works, measured, and whether a voice may cut a reply.
//!
//! Measured is the ERLE: power of the echo before and after the canceller, hop by hop in dB and then averaged, over what
//! the loudspeaker plays while no window is open. The average of decibels, not of powers, because somebody who
//! begins to speak over a reply is in some of these hops, and because nothing may be left out on suspicion: a canceller
//! that fails looks like somebody who speaks. The noise of the room is taken off both, and hops in which the echo hardly
//! stands out of it are not counted: they would call a silent loudspeaker in a noisy room a failure. Nor are those in
//! which no such echo was to be expected: where it seldom is, most of what stands out would be somebody's voice.
//!
//! At the start nothing is proven, and a voice does not cut: a device that interrupts itself is the worst there is,
//! while a second of deafness in the first reply is hardly noticed, and the button cuts at any time. An echo too
//! soft to be measured proves itself by being so.

use super::cancel::Powers;

/// The canceller, judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Not enough was played yet.
    Unproven,
    /// It does its work.
    Proven,
    /// It does not.
    Failing,
}

/// How far the echo must stand out of the noise to be counted, as a ratio of powers: 18 dB, so that an ERLE of 15
/// and more can be seen.
const STANDS_OUT: f32 = 63.0;

/// The newest hops weigh as much as if they were so many: a second and a half of echo.
const WEIGHT: f32 = 1.0 / 150.0;

/// The most that one hop tells, dB: what lies beyond is the noise's doing.
const ERLE_MAX_DB: f32 = 60.0;

/// What is left under the noise is not seen: not more than 10 dB of it are believed.
const UNDER_NOISE: f32 = 0.1;

/// Hops with echo before the first verdict: 0.8 s.
const PROOF_HOPS: u32 = 80;
/// … and before the first verdict may be a bad one, 4 s: the canceller learns the room in one or two.
const FAILURE_HOPS: u32 = 400;
/// Hops of playing with hardly an echo that can be measured that prove there is none: 2 s.
const NO_ECHO_HOPS: u32 = 200;

/// How much better than the limit it must become before it counts as good again, dB.
const HYSTERESIS_DB: f32 = 3.0;
/// How long a verdict holds at least, in hops with echo: 1 s before it is called bad, 3 s before it is good again.
const GOOD_HOPS_MIN: u32 = 100;
const BAD_HOPS_MIN: u32 = 300;

/// Measures and judges.
#[derive(Clone, Copy, Debug)]
pub struct Meter {
    limit_db: f32,
    state: State,
    erle_db: f32,
    /// Hops measured since the verdict changed, or since the start.
    measured: u32,
    /// … and hops of playing without measurable echo.
    without_echo: u32,
}

impl Meter {
    /// Nothing measured; below `limit_db` the canceller fails.
    pub fn new(limit_db: f32) -> Meter {
        Meter { limit_db, state: State::Unproven, erle_db: 0.0, measured: 0, without_echo: 0 }
    }

    /// Takes the powers of the next hop and the power of the noise in the room. `echo` is the power that the loudspeaker
    /// is expected to leave in it; nothing where it cannot be heard, or a window is open.
    pub fn handle_hop(&mut self, powers: &Powers, noise: f32, echo: Option<f32>) {
        let Some(echo) = echo else { return };
        if powers.near.min(echo) < noise.max(1.0) * STANDS_OUT {
            self.without_echo = self.without_echo.saturating_add(1);
            // Hardly anything, and what there was did not get through.
            let is_soft = self.without_echo >= NO_ECHO_HOPS.max(8 * self.measured);
            if self.state == State::Unproven && is_soft && (self.measured == 0 || self.erle_db >= self.limit_db) {
                self.change(State::Proven);
            }
            return;
        }
        self.measured = self.measured.saturating_add(1);
        let weight = WEIGHT.max(1.0 / self.measured as f32);
        let before = powers.near - noise;
        let after = (powers.clean - noise).max(noise * UNDER_NOISE).max(before / 1e6).max(1e-3);
        self.erle_db += weight * ((10.0 * (before / after).log10()).min(ERLE_MAX_DB) - self.erle_db);
        self.judge();
    }

    fn judge(&mut self) {
        let erle_db = self.erle_db;
        let is_good = erle_db >= self.limit_db + HYSTERESIS_DB;
        match self.state {
            State::Unproven if is_good && self.measured >= PROOF_HOPS => self.change(State::Proven),
            State::Unproven if !is_good && self.measured >= FAILURE_HOPS => self.change(State::Failing),
            State::Proven if erle_db < self.limit_db && self.measured >= GOOD_HOPS_MIN => self.change(State::Failing),
            State::Failing if is_good && self.measured >= BAD_HOPS_MIN => self.change(State::Proven),
            _ => {}
        }
    }

    fn change(&mut self, state: State) {
        self.state = state;
        (self.measured, self.without_echo) = (0, 0);
    }

    /// Takes a doubt: the alignment jumped, or a reply was cut by nobody. What was proven is to be proven anew.
    pub fn handle_doubt(&mut self) {
        if self.state == State::Proven {
            self.change(State::Unproven);
        }
    }

    /// The verdict.
    pub fn state(&self) -> State {
        self.state
    }

    /// The ERLE over the last seconds of echo, dB, 0–60; 0 before anything was measured.
    pub fn erle_db(&self) -> f32 {
        self.erle_db.max(0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOISE: f32 = 1e4;

    /// Hops of `[near, clean]` powers of which the loudspeaker accounts for `echo`.
    fn hear(meter: &mut Meter, hops: u32, [near, clean]: [f32; 2], echo: f32) {
        (0..hops).for_each(|_| meter.handle_hop(&Powers { near, clean }, NOISE, Some(echo)));
    }

    #[test]
    fn voices_in_a_noisy_room_are_not_the_cancellers_failure() {
        let mut meter = Meter::new(15.0);
        hear(&mut meter, 100, [1e6, 1e4], 1e6);
        assert_eq!(meter.state(), State::Proven);
        hear(&mut meter, 2000, [2e6, 2e6], 1e5); // of an echo under the noise, somebody speaks
        assert_eq!(meter.state(), State::Proven);
    }

    #[test]
    fn an_echo_that_gets_through_is() {
        let mut meter = Meter::new(15.0);
        hear(&mut meter, 100, [1e6, 1e4], 1e6);
        hear(&mut meter, 300, [1e6, 5e5], 1e6);
        assert_eq!(meter.state(), State::Failing);
        hear(&mut meter, 1000, [1e6, 1e4], 1e6);
        assert_eq!(meter.state(), State::Proven);
    }
}
