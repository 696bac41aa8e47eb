//! Which jobs go: those that are too old, then the oldest until the rest has room.

/// A job on the disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Its name.
    pub name: String,
    /// Its last line, milliseconds since 1970.
    pub last_ms: i64,
    /// What it takes.
    pub bytes: u64,
}

/// How much is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How long, days.
    pub days: u32,
    /// How much, bytes.
    pub bytes: u64,
}

const DAY_MS: i64 = 24 * 3600 * 1000;

/// The names of the jobs that go, the oldest first; never the `current` one. Without a time nothing is too old: a clock
/// that was not set yet must not delete anything.
pub fn outdated(jobs: &[Kept], current: Option<&str>, limits: Limits, now_ms: Option<i64>) -> Vec<String> {
    let mut jobs: Vec<&Kept> = jobs.iter().collect();
    // Two of one minute by their names, which have a number.
    jobs.sort_by(|a, b| (a.last_ms, &a.name).cmp(&(b.last_ms, &b.name)));
    let mut total = jobs.iter().fold(0_u64, |sum, job| sum.saturating_add(job.bytes));
    let mut going = Vec::new();
    for job in jobs.into_iter().filter(|job| Some(job.name.as_str()) != current) {
        let oldest_ms = now_ms.map(|now_ms| now_ms.saturating_sub(i64::from(limits.days) * DAY_MS));
        let is_too_old = oldest_ms.is_some_and(|oldest_ms| job.last_ms < oldest_ms);
        if is_too_old || total > limits.bytes {
            total = total.saturating_sub(job.bytes);
            going.push(job.name.clone());
        }
    }
    going
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = DAY_MS;

    fn job(name: &str, last_day: i64, bytes: u64) -> Kept {
        Kept { name: name.into(), last_ms: last_day * DAY, bytes }
    }

    #[test]
    fn the_oldest_go_first_and_the_present_one_never() {
        let jobs = [job("c", 30, 10), job("a", 10, 10), job("b", 20, 10)];
        let gone = |current, days, bytes, now| outdated(&jobs, current, Limits { days, bytes }, now);
        let now = Some(31 * DAY);
        assert_eq!(gone(None, 90, 30, now), [""; 0], "all have room");
        assert_eq!(gone(None, 90, 29, now), ["a"]);
        assert_eq!(gone(None, 90, 10, now), ["a", "b"]);
        assert_eq!(gone(Some("a"), 90, 20, now), ["b"], "the present one stays, whatever its age");
        assert_eq!(gone(Some("a"), 90, 0, now), ["b", "c"]);
        assert_eq!(gone(None, 15, 30, now), ["a"]);
        assert_eq!(gone(None, 1, 30, now), ["a", "b"], "one that ended a day ago is no older than a day");
        assert_eq!(gone(Some("b"), 1, 30, now), ["a"]);
        assert_eq!(gone(None, 1, 30, None), [""; 0], "a clock that is not set makes nothing old");
        assert_eq!(gone(None, 1, 10, None), ["a", "b"], "but the disk is full all the same");
    }
}
