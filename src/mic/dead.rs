//! Whether a microphone that runs is dead: it gives nothing, only zeros, or a flat line.
//!
//! A living one has noise in its last bit at all times. Exceptions are headsets that switch themselves to digital
//! silence while nobody speaks, and those that are muted by a switch of their own; they are opened again in vain, at
//! growing intervals, because opening makes some devices click. Pure: the thread reads, this counts.

use std::time::Duration;

use crate::units::Time;

/// A microphone that runs and gives no frames at all for so long is dead, whatever is configured for zeros: a read
/// that is due every few milliseconds does not come late by this.
const NOTHING: Duration = Duration::from_millis(1000);
/// How far a flat line may stray from where it began, steps of 16 bits: a resampler's rounding moves a constant by one.
const FLAT_TOLERANCE: u16 = 2;
/// After an opening the converter swings in (a constant voltage charges a capacitor): that is no life.
const SETTLE: Duration = Duration::from_millis(500);
/// Hops that are alive before the microphone counts as alive: a single click is none.
const ALIVE_HOPS: u32 = 10;
/// A flat line of this length ends a count of living hops: a click now and then is no life either.
const LULL: Duration = Duration::from_secs(2);
/// The longest wait from one attempt to the next. Opening again has not helped by then; it is done in case somebody
/// has mended the device where the kernel does not notice.
const REOPEN_EVERY_MAX: Duration = Duration::from_secs(600);

/// What a dead microphone gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Silence {
    /// No frames.
    Nothing,
    /// Zeros.
    Zeros,
    /// One value that is not zero.
    Flat,
}

impl Silence {
    /// What the owner is told: what it is, and what to look at.
    pub fn sentence(self) -> &'static str {
        match self {
            Silence::Nothing => {
                "the microphone runs but gives no sound, and opening it again does not help: unplug it and plug it in \
                 again, or name another one in the board profile (`mynah devices` lists them)"
            }
            Silence::Zeros => {
                "the microphone gives only zeros, and opening it again does not help: is it muted by a switch on it or \
                 on its cable, or by its mixer (`alsamixer`)? Does `[capture]` in the board profile name the right \
                 device, and `pick` the right channel? `mynah doctor` listens to it"
            }
            Silence::Flat => {
                "the microphone gives a flat line, and opening it again does not help: is it plugged into its sound \
                 card? Does `[capture]` in the board profile name the right device, and `pick` the right channel? \
                 `mynah doctor` listens to it"
            }
        }
    }
}

/// What the thread is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News {
    /// Open the microphone again.
    Reopen(Silence),
    /// … and tell the owner: opening it again did not help.
    ReopenAndTell(Silence),
    /// Tell the owner that it is alive again.
    Alive,
}

/// Watches one microphone.
#[derive(Debug)]
pub struct Watch {
    limit: Duration,
    opened_at: Time,
    /// The flat line that lasts now: since when, and where it began.
    flat: Option<(Time, i16)>,
    /// When frames came last.
    fed_at: Time,
    alive_hops: u32,
    /// Openings since it died.
    attempts: u32,
    is_owner_told: bool,
}

impl Watch {
    /// A watch for a microphone that is dead after `limit` of zeros or of a flat line.
    pub fn new(limit: Duration) -> Watch {
        Watch {
            limit,
            opened_at: Time::ZERO,
            flat: None,
            fed_at: Time::ZERO,
            alive_hops: 0,
            attempts: 0,
            is_owner_told: false,
        }
    }

    /// The microphone was opened.
    pub fn opened(&mut self, now: Time) {
        (self.opened_at, self.fed_at, self.flat, self.alive_hops) = (now, now, None, 0);
    }

    /// The owner was told that the device works, after another trouble: a death is news again.
    pub fn forget(&mut self) {
        (self.attempts, self.is_owner_told) = (0, false);
    }

    /// Nothing is counted until the next hop: the microphone is muted, or a wait was meant.
    pub fn pause(&mut self, now: Time) {
        (self.fed_at, self.flat) = (now, None);
    }

    /// A hop came (`[160 frames, 1 channel] S16 @ 16 kHz`).
    pub fn hear(&mut self, frames: &[i16], now: Time) -> Option<News> {
        self.fed_at = now;
        let first = frames.first().copied().unwrap_or(0);
        let is_flat_from = |level: i16| frames.iter().all(|frame| frame.abs_diff(level) <= FLAT_TOLERANCE);
        self.flat = match self.flat {
            Some((since, level)) if is_flat_from(level) => Some((since, level)),
            _ if is_flat_from(first) => Some((now, first)),
            _ => None,
        };
        let Some((since, level)) = self.flat else { return self.live(now) };
        let lasted = now.since(since);
        if lasted >= LULL {
            self.alive_hops = 0;
        }
        let silence = if level.unsigned_abs() <= FLAT_TOLERANCE { Silence::Zeros } else { Silence::Flat };
        self.is_due(lasted, self.limit).then(|| self.die(silence))
    }

    /// No hop came.
    pub fn hear_nothing(&mut self, now: Time) -> Option<News> {
        self.is_due(now.since(self.fed_at), NOTHING.min(self.limit)).then(|| self.die(Silence::Nothing))
    }

    fn live(&mut self, now: Time) -> Option<News> {
        if now.since(self.opened_at) < SETTLE {
            return None;
        }
        self.alive_hops = self.alive_hops.saturating_add(1);
        if self.alive_hops < ALIVE_HOPS {
            return None;
        }
        self.attempts = 0;
        std::mem::take(&mut self.is_owner_told).then_some(News::Alive)
    }

    /// Whether a silence that `lasted` so long calls for an opening: twice after `limit`, then at doubling intervals.
    fn is_due(&self, lasted: Duration, limit: Duration) -> bool {
        let wait = limit.saturating_mul(1 << self.attempts.saturating_sub(1).min(20));
        lasted >= wait.min(REOPEN_EVERY_MAX.max(limit))
    }

    fn die(&mut self, silence: Silence) -> News {
        self.attempts = self.attempts.saturating_add(1);
        self.flat = None;
        // The first opening often helps, and then it is nobody's business.
        if self.attempts < 2 || std::mem::replace(&mut self.is_owner_told, true) {
            return News::Reopen(silence);
        }
        News::ReopenAndTell(silence)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a microphone gives for a while.
    #[derive(Clone, Copy)]
    enum Gives {
        Nothing,
        Level(i16),
        /// Within so many steps of 100.
        Near(i16),
        Noise,
    }

    /// Plays seconds of sound and answers what the watch says, with the second; a reopening takes no time.
    fn play(watch: &mut Watch, now: &mut Time, parts: &[(u64, Gives)]) -> Vec<(u64, News)> {
        let mut said = Vec::new();
        for &(seconds, gives) in parts {
            for hop in 0..seconds * 100 {
                *now += Duration::from_millis(10);
                let frame = |n: usize| match gives {
                    Gives::Level(level) => level,
                    Gives::Near(off) => 100 + (n as i16 % 2) * off,
                    _ => ((n as u64 * 7919 + hop * 31) % 17) as i16 - 8,
                };
                let frames: [i16; 160] = std::array::from_fn(frame);
                let news = match gives {
                    Gives::Nothing => watch.hear_nothing(*now),
                    _ => watch.hear(&frames, *now),
                };
                if let Some(news) = news {
                    said.push((now.as_ms() / 1000, news));
                    if news != News::Alive {
                        watch.opened(*now);
                    }
                }
            }
        }
        said
    }

    fn watch() -> (Watch, Time) {
        let mut watch = Watch::new(Duration::from_secs(10));
        watch.opened(Time::ZERO);
        (watch, Time::ZERO)
    }

    #[test]
    fn zeros_are_opened_again_then_told_once_then_tried_at_growing_intervals() {
        let (mut watch, mut now) = watch();
        let said = play(&mut watch, &mut now, &[(3600, Gives::Level(0))]);
        assert_eq!(said[0].1, News::Reopen(Silence::Zeros));
        assert_eq!(said[1].1, News::ReopenAndTell(Silence::Zeros));
        assert!(said[2..].iter().all(|(_, news)| *news == News::Reopen(Silence::Zeros)));
        let at: Vec<u64> = said.iter().map(|(at, _)| *at).collect();
        assert_eq!(at, [10, 20, 40, 80, 160, 320, 640, 1240, 1840, 2440, 3040]);
    }

    #[test]
    fn what_each_silence_is_called() {
        for (gives, expected) in [
            (Gives::Level(2), Some((10, News::Reopen(Silence::Zeros)))),
            (Gives::Level(-700), Some((10, News::Reopen(Silence::Flat)))),
            (Gives::Near(2), Some((10, News::Reopen(Silence::Flat)))),
            (Gives::Near(3), None),
            (Gives::Noise, None),
        ] {
            let (mut watch, mut now) = watch();
            assert_eq!(play(&mut watch, &mut now, &[(11, gives)]).first().copied(), expected);
        }
    }

    #[test]
    fn a_microphone_without_frames_is_told_of_after_seconds() {
        let (mut watch, mut now) = watch();
        let said = play(&mut watch, &mut now, &[(20, Gives::Nothing)]);
        let reopen = News::Reopen(Silence::Nothing);
        assert_eq!(
            said,
            [(1, reopen), (2, News::ReopenAndTell(Silence::Nothing)), (4, reopen), (8, reopen), (16, reopen)]
        );
    }

    #[test]
    fn sound_that_comes_back_is_told_once_and_the_next_death_is_news_again() {
        let (mut watch, mut now) = watch();
        let death = [(22, Gives::Level(0)), (5, Gives::Noise)];
        let expected = [News::Reopen(Silence::Zeros), News::ReopenAndTell(Silence::Zeros), News::Alive];
        for _ in 0..2 {
            let said: Vec<News> = play(&mut watch, &mut now, &death).iter().map(|(_, news)| *news).collect();
            assert_eq!(said, expected);
        }
    }

    #[test]
    fn an_opening_that_helps_is_nobodys_business() {
        let (mut watch, mut now) = watch();
        let said = play(&mut watch, &mut now, &[(11, Gives::Level(0)), (100, Gives::Noise), (9, Gives::Level(0))]);
        assert_eq!(said, [(10, News::Reopen(Silence::Zeros))]);
    }

    #[test]
    fn a_click_at_opening_or_now_and_then_is_no_life() {
        let (mut watch, mut now) = watch();
        play(&mut watch, &mut now, &[(20, Gives::Level(0))]);
        for _ in 0..20 {
            // 400 ms of swinging in after each opening, then a click of one hop a minute
            let noise: [i16; 160] = std::array::from_fn(|n| n as i16 * 10);
            watch.opened(now);
            for _ in 0..40 {
                now += Duration::from_millis(10);
                assert_eq!(watch.hear(&noise, now), None);
            }
            play(&mut watch, &mut now, &[(3, Gives::Level(0))]);
            now += Duration::from_millis(10);
            assert_eq!(watch.hear(&noise, now), None);
        }
    }

    #[test]
    fn a_muted_microphone_does_not_die() {
        let (mut watch, mut now) = watch();
        for _ in 0..100 {
            assert_eq!(play(&mut watch, &mut now, &[(1, Gives::Level(0))]), []);
            watch.pause(now);
        }
        now += Duration::from_secs(60);
        watch.pause(now);
        assert_eq!(watch.hear_nothing(now + Duration::from_millis(999)), None);
    }
}
