//! The process's clock: monotonic, zero at its making; and the calendar beside it.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use super::Clock;
use crate::units::Time;

/// The clock of a running daemon. Copies agree with each other.
#[derive(Clone, Copy, Debug)]
pub struct RealClock {
    began: Instant,
}

impl RealClock {
    /// A clock whose beginning is now.
    pub fn new() -> RealClock {
        RealClock { began: Instant::now() }
    }

    /// The time of an instant; the beginning for earlier ones.
    pub fn time_of(&self, instant: Instant) -> Time {
        Time::from_us(u64::try_from(instant.saturating_duration_since(self.began).as_micros()).unwrap_or(u64::MAX))
    }
}

impl Default for RealClock {
    fn default() -> RealClock {
        RealClock::new()
    }
}

impl Clock for RealClock {
    fn now(&self) -> Time {
        self.time_of(Instant::now())
    }

    fn today(&self) -> u32 {
        day_of(unix_s())
    }

    fn unix_ms(&self) -> i64 {
        unix_ms()
    }
}

/// Seconds since 1970 by the machine's wall clock, which may be wrong and may jump; 0 before 1970.
pub fn unix_s() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
}

/// Milliseconds since 1970 by the same clock.
fn unix_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// No clock that is set shows a time before this (2025-01-01, seconds since 1970): this program is younger.
pub const CLOCK_SET_S: i64 = 1_735_689_600;

/// The local minute of the day, 0–1439; none where the clock was not set yet.
pub fn minute_of_day(unix_s: i64) -> Option<u16> {
    let at = local(unix_s).filter(|_| unix_s >= CLOCK_SET_S)?;
    u16::try_from(at.tm_hour * 60 + at.tm_min).ok()
}

/// The local weekday's name; none where the clock was not set yet.
pub fn weekday(unix_s: i64) -> Option<&'static str> {
    const NAMES: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
    let at = local(unix_s).filter(|_| unix_s >= CLOCK_SET_S)?;
    NAMES.get(usize::try_from(at.tm_wday).ok()?).copied()
}

/// The first moment after `unix_s` that is this minute of the local day (0–1439) on a weekday (0 for Sunday) that fits;
/// none where the clock was not set yet, or no day fits. Where daylight saving leaves that minute out, it is the one an
/// hour off.
#[allow(clippy::useless_conversion, reason = "time is 32 bits wide on some 32-bit machines")]
pub fn next_at(unix_s: i64, minute_of_day: u16, fits: impl Fn(u8) -> bool) -> Option<i64> {
    const DAYS: i32 = 9; // a week, today's minute that is past, and a night in which the clocks change
    let today = local(unix_s).filter(|_| unix_s >= CLOCK_SET_S)?;
    (0..DAYS).find_map(|days| {
        let mut at = today;
        (at.tm_mday, at.tm_isdst, at.tm_sec) = (today.tm_mday + days, -1, 0);
        (at.tm_hour, at.tm_min) = (i32::from(minute_of_day / 60), i32::from(minute_of_day % 60));
        // SAFETY: a pointer to a live value, which the call brings into its usual form; the zone may be read, as in `local`.
        let moment = i64::from(unsafe { libc::mktime(&raw mut at) });
        (moment > unix_s && u8::try_from(at.tm_wday).is_ok_and(&fits)).then_some(moment)
    })
}

/// The local calendar at a moment, from seconds since 1970; none where the system's tables cannot tell.
fn local(unix_s: i64) -> Option<libc::tm> {
    let seconds = libc::time_t::try_from(unix_s).ok()?;
    // SAFETY: a tm is plain data; the null zone in it is never read before localtime_r sets it.
    let mut calendar: libc::tm = unsafe { std::mem::zeroed() };
    // SAFETY: both pointers are to live values of the right types; nothing of the process sets variables of the
    // environment while threads run, so the zone may be read.
    let found = unsafe { libc::localtime_r(&raw const seconds, &raw mut calendar) };
    (!found.is_null()).then_some(calendar)
}

/// The local day of a moment, counted from 1970.
#[allow(clippy::useless_conversion, reason = "the offset is 32 bits wide on 32-bit machines")]
fn day_of(unix_s: i64) -> u32 {
    let offset_s = local(unix_s).map_or(0, |calendar| i64::from(calendar.tm_gmtoff));
    u32::try_from((unix_s + offset_s).div_euclid(24 * 3600)).unwrap_or(0)
}

/// A moment as a person writes it, in local time: `2026-11-21 14:03:12 +0100`.
#[allow(clippy::useless_conversion, reason = "the offset is 32 bits wide on 32-bit machines")]
pub fn written(unix_s: i64) -> String {
    let Some(at) = local(unix_s) else { return format!("{unix_s} s after 1970") };
    let minutes = i64::from(at.tm_gmtoff) / 60;
    let sign = if minutes < 0 { '-' } else { '+' };
    let (hours_off, minutes_off) = (minutes.abs() / 60, minutes.abs() % 60);
    let (year, month) = (i64::from(at.tm_year) + 1900, at.tm_mon + 1);
    let time = format!("{:02}:{:02}:{:02}", at.tm_hour, at.tm_min, at.tm_sec);
    format!("{year:04}-{month:02}-{:02} {time} {sign}{hours_off:02}{minutes_off:02}", at.tm_mday)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_next_time_of_day_is_after_now_and_on_a_day_that_fits() {
        let noon = 1_795_262_400; // 2026-11-21, a Saturday, 12:00:00 UTC
        let now = minute_of_day(noon).unwrap();
        let day_s = 24 * 3600;
        let any = |_| true;
        assert_eq!(next_at(noon, now, any), Some(noon + day_s), "the minute that is just past");
        assert_eq!(next_at(noon - 1, now, any), Some(noon));
        assert_eq!(next_at(noon, (now + 1) % 1440, any), Some(noon + 60));
        assert_eq!(next_at(noon, (now + 1439) % 1440, any), Some(noon + day_s - 60));
        let saturday = |day| day == 6;
        assert_eq!(next_at(noon, now, saturday).map(weekday), Some(Some("Saturday")));
        assert_eq!(next_at(noon, now, saturday), Some(noon + 7 * day_s));
        assert_eq!(next_at(noon, now, |_| false), None);
        assert_eq!(next_at(100, now, any), None, "a clock that is not set");
    }

    #[test]
    fn a_day_begins_at_local_midnight_and_is_written_with_its_offset() {
        let noon = 1_795_262_400; // 2026-11-21 12:00:00 UTC
        #[allow(clippy::useless_conversion)] // 32 bits on 32-bit systems
        let offset_s = local(noon).map_or(0, |at| i64::from(at.tm_gmtoff));
        let midnight = noon - 12 * 3600 - offset_s;
        assert_eq!((day_of(midnight - 1), day_of(midnight)), (20_777, 20_778));
        assert_eq!((weekday(midnight - 1), weekday(midnight), weekday(0)), (Some("Friday"), Some("Saturday"), None));
        assert_eq!((minute_of_day(midnight + 90), minute_of_day(0)), (Some(1), None));
        assert!(written(midnight).starts_with("2026-11-21 00:00:00 "), "{}", written(midnight));
        assert_eq!(day_of(-5 * 24 * 3600), 0, "a clock before 1970 is no reason to end");
    }
}
