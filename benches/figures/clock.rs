//! The host's CLOCK_MONOTONIC: the clock of the virtual card, of the server and of every figure.

use std::time::Duration;

/// Nanoseconds of CLOCK_MONOTONIC.
pub fn now_ns() -> i64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the kernel fills a structure that lives here.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut time) };
    // 32-bit systems count in 32 bits.
    #[allow(clippy::useless_conversion)]
    let (s, ns) = (i64::from(time.tv_sec), i64::from(time.tv_nsec));
    s * 1_000_000_000 + ns
}

/// Sleeps for so many milliseconds.
pub fn sleep_ms(ms: f64) {
    std::thread::sleep(Duration::from_secs_f64(ms.max(0.0) / 1e3));
}

/// Sleeps until a point of CLOCK_MONOTONIC.
pub fn sleep_until(at_ns: i64) {
    sleep_ms((at_ns - now_ns()) as f64 / 1e6);
}

/// Nanoseconds as milliseconds.
pub fn ms(ns: i64) -> f64 {
    ns as f64 / 1e6
}

/// Uneven numbers for the phases of measurements: a linear congruential generator, the same in every run.
pub struct Uneven(u64);

impl Uneven {
    /// Starts at `seed`.
    pub fn new(seed: u64) -> Uneven {
        Uneven(seed)
    }

    /// The next number in 0..`below`.
    pub fn below(&mut self, below: f64) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1u64 << 53) as f64 * below
    }
}
