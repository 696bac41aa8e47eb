//! Days and times as the service writes them (RFC 3339), from and to seconds since 1970.
//!
//! The sums are those of Howard Hinnant's "chrono-compatible low-level date algorithms" (2021-09): years begin
//! in March, so that the leap day is the last of the year.

/// Seconds of a day; leap seconds do not count in Unix time.
const DAY_S: u64 = 86_400;
/// The last second of the year 9999: later ones do not fit the four digits of a year.
const LAST_UNIX_S: u64 = 253_402_300_799;

/// `2026-11-20T12:00:00Z` for seconds since 1970; the end of the year 9999 for later ones.
pub fn format(unix_s: u64) -> String {
    let unix_s = unix_s.min(LAST_UNIX_S);
    let (year, month, day) = date_of(unix_s / DAY_S);
    let (hour, minute, second) = (unix_s % DAY_S / 3600, unix_s % 3600 / 60, unix_s % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// Seconds since 1970 of `2026-11-20T12:00:00Z`, with any offset and with or without a fraction, which is cut
/// off. Nothing for other texts, days that do not exist and years before 1970.
pub fn parse(text: &str) -> Option<u64> {
    let number = |from: usize, to: usize| -> Option<u64> {
        let digits = text.get(from..to)?;
        digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
    };
    let is_shaped =
        [(4, "-"), (7, "-"), (13, ":"), (16, ":")].iter().all(|(at, sign)| text.get(*at..at + 1) == Some(sign));
    if !is_shaped || !matches!(text.get(10..11)?, "T" | "t" | " ") {
        return None;
    }
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let days = days_of(year, month, day)?;
    let local_s = i64::try_from(days * DAY_S + hour * 3600 + minute * 60 + second.min(59)).ok()?;
    u64::try_from(local_s - offset_s(text.get(19..)?)?).ok()
}

/// What stands after the seconds: a fraction, which does not count, and `Z` or `±hh:mm`.
fn offset_s(rest: &str) -> Option<i64> {
    let zone = match rest.strip_prefix('.') {
        None => rest,
        Some(fraction) => {
            let zone = fraction.trim_start_matches(|letter: char| letter.is_ascii_digit());
            (zone.len() < fraction.len()).then_some(zone)?
        }
    };
    if matches!(zone, "Z" | "z") {
        return Some(0);
    }
    let sign = match zone.get(..1)? {
        "+" => 1,
        "-" => -1,
        _ => return None,
    };
    let (hours, minutes) = zone[1..].split_once(':')?;
    let number = |digits: &str| -> Option<i64> {
        let is_number = digits.len() == 2 && digits.bytes().all(|byte| byte.is_ascii_digit());
        is_number.then(|| digits.parse().ok())?
    };
    let (hours, minutes) = (number(hours)?, number(minutes)?);
    (hours < 24 && minutes < 60).then_some(sign * (hours * 3600 + minutes * 60))
}

/// Year, month and day of a day counted from 1970.
fn date_of(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468; // from the first of March of the year 0
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

/// Days from 1970 to a date; nothing for one that does not exist or lies before.
fn days_of(year: u64, month: u64, day: u64) -> Option<u64> {
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) || year < 1970 {
        return None;
    }
    let year_from_march = year - u64::from(month <= 2);
    let month_from_march = (month + 9) % 12;
    let (era, year_of_era) = (year_from_march / 400, year_from_march % 400);
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    let days = (era * 146_097 + day_of_era).checked_sub(719_468)?;
    // The 31st of a month of 30 days would come out as the next month's first.
    (date_of(days) == (year, month, day)).then_some(days)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_times_are_written_and_read() {
        // From `date -u -d @N +%FT%TZ`.
        for (unix_s, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_795_132_799, "2026-11-19T23:59:59Z"),
            (1_795_132_800, "2026-11-20T00:00:00Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
            (LAST_UNIX_S, "9999-12-31T23:59:59Z"),
        ] {
            assert_eq!((format(unix_s).as_str(), parse(text)), (text, Some(unix_s)));
        }
        assert_eq!(format(u64::MAX), "9999-12-31T23:59:59Z");
    }

    #[test]
    fn offsets_and_fractions_are_read_and_what_is_no_time_is_not() {
        let noon = parse("2026-11-20T12:00:00Z");
        for text in [
            "2026-11-20T13:30:00+01:30",
            "2026-11-20t12:00:00.999999999z",
            "2026-11-20 04:00:00.5-08:00",
            "2026-11-20T12:00:00+00:00",
        ] {
            assert_eq!(parse(text), noon, "{text}");
        }
        for text in [
            "",
            "soon",
            "2026-11-20",
            "2026-11-20T12:00:00",
            "2026-11-20T12:00Z",
            "2026-02-29T00:00:00Z",
            "2026-11-31T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-11-20T24:00:00Z",
            "2026-11-20T12:00:00.Z",
            "2026-11-20T12:00:00+1:00",
            "2026-11-20T12:00:00+01:0é",
            "+026-11-20T12:00:00Z",
            "1969-12-31T23:59:59Z",
            "1970-01-01T00:00:00+01:00",
            "2026-11-20T12:00:00Zebra",
            "２026-11-20T12:00:00Z",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(unix_s in 0..=LAST_UNIX_S) {
            prop_assert_eq!(parse(&format(unix_s)), Some(unix_s));
        }

        #[test]
        fn no_text_breaks_the_reader(text in "\\PC{0,40}") {
            let _ = parse(&text);
        }
    }
}
