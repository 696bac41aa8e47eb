//! How loud it is right now, told across threads without a lock.

use std::sync::atomic::{AtomicI32, Ordering};

use super::level::rms_dbfs;
use crate::units::Decibel;

/// What is told where nothing was heard since the last look.
pub const SILENCE: Decibel = Decibel(-90.0);

/// The loudest hop since somebody looked last. One thread notes, another takes.
#[derive(Debug)]
pub struct Meter(AtomicI32); // tenths of a decibel

impl Default for Meter {
    fn default() -> Meter {
        Meter(AtomicI32::new(tenths(SILENCE)))
    }
}

impl Meter {
    /// Notes a run of samples, `[frames, 1 channel] S16`: no allocation, no lock.
    pub fn note(&self, samples: &[i16]) {
        self.0.fetch_max(tenths(rms_dbfs(samples)), Ordering::Relaxed);
    }

    /// The loudest since the last look, from [`SILENCE`] to 0 dBFS.
    pub fn take(&self) -> Decibel {
        Decibel(self.0.swap(tenths(SILENCE), Ordering::Relaxed) as f32 / 10.0)
    }
}

fn tenths(level: Decibel) -> i32 {
    (level.0 * 10.0).round() as i32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loudest_since_the_last_look_is_told_once() {
        let meter = Meter::default();
        assert_eq!(meter.take(), SILENCE);
        meter.note(&[3277; 160]);
        meter.note(&[33; 160]);
        meter.note(&[0; 160]);
        assert_eq!(meter.take(), Decibel(-20.0));
        assert_eq!(meter.take(), SILENCE);
    }
}
