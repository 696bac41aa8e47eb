//! The table: told apart by rhythm alone, safe for who is sensitive to flicker, and the same in the document.
#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;

const MS: Duration = Duration::from_millis(1);

fn ms(ms: u32) -> Duration {
    Duration::from_millis(u64::from(ms))
}

/// What a lamp shows that is only on or off: spans (on, ms) of one cycle, beginning with the longest one that is off;
/// one span where it is steady.
fn rhythm(pattern: &Pattern) -> Vec<(bool, u32)> {
    let is_on = |at: u32| pattern.glow(ms(at), 0, 1).is_on();
    let mut spans: Vec<(bool, u32)> = Vec::new();
    for at in 0..pattern.cycle_ms().max(1) {
        match spans.last_mut() {
            Some((on, length)) if *on == is_on(at) => *length += 1,
            _ => spans.push((is_on(at), 1)),
        }
    }
    // The cycle closes: what ends it and begins it is one span.
    if spans.len() > 1 && spans[0].0 == spans[spans.len() - 1].0 {
        spans[0].1 += spans.pop().unwrap().1;
    }
    let longest = (0..spans.len()).filter(|index| !spans[*index].0).max_by_key(|index| spans[*index].1).unwrap_or(0);
    spans.rotate_left(longest);
    spans
}

/// Whether a person tells two lengths apart without a clock: one is half as long again as the other, or more.
fn differ(one: u32, other: u32) -> bool {
    2 * one.max(other) >= 3 * one.min(other)
}

#[test]
fn each_pattern_has_a_rhythm_of_its_own() {
    for (index, one) in Look::ALL.into_iter().enumerate() {
        for other in Look::ALL.into_iter().skip(index + 1) {
            let (a, b) = (rhythm(pattern(one)), rhythm(pattern(other)));
            let is_alike = a.len() == b.len()
                && a.iter().zip(&b).all(|((on, length), (is_on, long))| on == is_on && !differ(*length, *long));
            assert!(!is_alike, "{one:?} and {other:?} look the same: {a:?}");
        }
    }
    // The test can fail: the same, a little slower, is the same.
    assert!(!differ(300, 400) && differ(300, 450));
}

#[test]
fn what_listens_is_lit_and_what_lets_nothing_out_is_mostly_dark() {
    let on_percent = |look| {
        let spans = rhythm(pattern(look));
        let whole: u32 = spans.iter().map(|(_, length)| length).sum();
        spans.iter().filter(|(on, _)| *on).map(|(_, length)| length).sum::<u32>() * 100 / whole
    };
    assert_eq!(on_percent(Look::Listening), 100);
    assert_eq!(on_percent(Look::Idle), 0);
    assert!(on_percent(Look::ListeningInTrouble) >= 75);
    for look in [Look::Muted, Look::MutedByLine, Look::Offline, Look::Trouble, Look::Spent] {
        assert!(on_percent(look) < 40, "{look:?}");
    }
    // It begins lit: the promise holds from the first moment on.
    for look in [Look::Listening, Look::ListeningInTrouble] {
        assert!(pattern(look).glow(Duration::ZERO, 0, 1).is_on());
    }
}

/// When a lamp begins to rise by more than a tenth of full brightness (WCAG 2.2, "general flash"), in three cycles.
fn flashes(level: impl Fn(u32) -> u8, cycle_ms: u32) -> Vec<u32> {
    let mut found = Vec::new();
    let (mut low, mut high, mut is_up) = (level(0), level(0), false);
    for at in 1..=3 * cycle_ms {
        let now = level(at);
        if is_up {
            high = high.max(now);
            (is_up, low) = if now + 10 < high { (false, now) } else { (true, low) };
        } else {
            low = low.min(now);
            if now > low + 10 {
                found.push(at);
                (is_up, high) = (true, now);
            }
        }
    }
    found
}

#[test]
fn nothing_flashes_more_than_three_times_a_second() {
    for look in Look::ALL {
        let pattern = pattern(look);
        for index in 0..3 {
            let found = flashes(|at| pattern.glow(ms(at), index, 3).percent, pattern.cycle_ms());
            assert!(found.windows(2).all(|pair| pair[1] - pair[0] >= 334), "{look:?} flashes at {found:?}");
        }
    }
    // The test can fail.
    let quick = Pattern { curve: &[(0, 100), (100, 100), (100, 85), (300, 85)], ..*pattern(Look::Idle) };
    assert_eq!(flashes(|at| quick.level(ms(at)), 300), [300, 600, 900]);
}

#[test]
fn flashes_are_as_many_as_the_words_say() {
    let counted = |look| {
        let pattern = pattern(look);
        flashes(|at| pattern.level(ms(at)), pattern.cycle_ms()).len() / 3
    };
    for (look, word, count) in [
        (Look::Muted, "**one** flash", 1),
        (Look::MutedByLine, "one **long** flash and a short one", 2),
        (Look::Offline, "**two** flashes", 2),
        (Look::Trouble, "**three** flashes", 3),
        (Look::Spent, "**four** flashes", 4),
        (Look::ListeningInTrouble, "three short gaps", 3),
        (Look::FollowUp, "one short gap", 1),
        (Look::Ringing, "two **long** flashes", 2),
    ] {
        assert!(pattern(look).words.1.contains(word), "{look:?}");
        assert_eq!(counted(look), count, "{look:?}");
    }
}

#[test]
fn curves_are_well_made() {
    for look in Look::ALL {
        let pattern = pattern(look);
        let curve = pattern.curve;
        assert_eq!(curve[0].0, 0, "{look:?} begins with its beginning");
        assert!(curve.windows(2).all(|pair| pair[0].0 <= pair[1].0), "{look:?} goes back in time");
        assert!(curve.iter().all(|(_, percent)| *percent <= 100));
        assert!(curve.len() == 1 || pattern.cycle_ms() > 0);
    }
}

#[test]
fn levels_run_along_the_curve() {
    let curve = Pattern { curve: &[(0, 0), (100, 100), (200, 100), (200, 10), (400, 10)], ..*pattern(Look::Idle) };
    for (at, percent) in [(0, 0), (1, 1), (50, 50), (99, 99), (100, 100), (199, 100), (200, 10), (399, 10), (400, 0)] {
        assert_eq!(curve.level(ms(at)), percent, "at {at} ms");
        assert_eq!(curve.level(ms(at) + 1000 * ms(400)), percent, "a thousand cycles later");
    }
    assert_eq!(pattern(Look::Listening).level(Duration::from_secs(1 << 40)), 100);
    assert_eq!(pattern(Look::Idle).level(Duration::MAX), 0);
}

/// Who sleeps as long as it is told and looks then has seen every step of a lamp, and sleeps as long as it can.
#[test]
fn sleeping_until_the_next_change_misses_nothing() {
    for look in Look::ALL {
        let pattern = pattern(look);
        for lamps in [1, 3] {
            let Some(_) = pattern.next_change(Duration::ZERO, lamps) else {
                assert_eq!(pattern.cycle_ms(), 0, "{look:?} moves and nobody is woken for it");
                continue;
            };
            let (mut now, mut wakes) = (Duration::ZERO, 0);
            while now < ms(pattern.cycle_ms()) {
                let wait = pattern.next_change(now, lamps).unwrap();
                assert!(wait >= MS && wait <= ms(pattern.cycle_ms()));
                for index in 0..lamps {
                    let seen = pattern.glow(now, index, lamps);
                    let missed = (0..wait.as_millis() as u32)
                        .find(|at| pattern.glow(now + ms(*at), index, lamps).percent != seen.percent && wait > FRAME);
                    assert_eq!(missed, None, "{look:?} changed after {now:?} while nobody looked");
                }
                now += wait;
                wakes += 1;
            }
            let frames = pattern.cycle_ms() / FRAME.as_millis() as u32 + 2 + pattern.curve.len() as u32;
            assert!(wakes <= frames, "{look:?}: {wakes} wake-ups in a cycle");
        }
    }
}

#[test]
fn a_chase_runs_along_the_row_and_keeps_time_on_one_lamp() {
    let thinking = pattern(Look::Thinking);
    // Each lamp is where the one before was a third of a cycle ago.
    for at in (0..1200).step_by(50) {
        for index in 1..3 {
            let before = thinking.glow(ms(at), index - 1, 3);
            assert_eq!(thinking.glow(ms(at + 200), index, 3), before, "lamp {index} at {at} ms");
        }
        assert_eq!(thinking.glow(ms(at), 0, 3).percent, thinking.level(ms(at)));
    }
    assert_eq!(pattern(Look::Speaking).glow(ms(77), 2, 3), pattern(Look::Speaking).glow(ms(77), 0, 3));
}

/// board/README.md shows the table as it is here.
#[test]
fn the_document_shows_the_table() {
    let readme = include_str!("../../../board/README.md");
    let colour = |rgb: Rgb| match rgb {
        WHITE => "white",
        BLUE => "blue",
        GREEN => "green",
        RED => "red",
        ORANGE => "orange",
        VIOLET => "violet",
        _ => panic!("a colour without a name"),
    };
    let rows: Vec<String> = Look::ALL
        .into_iter()
        .map(|look| {
            let Pattern { words: (means, rhythm), colour: rgb, motion, .. } = *pattern(look);
            let shown = match (look, motion) {
                (Look::Idle, _) => "—".to_string(),
                (_, Motion::Together) => colour(rgb).to_string(),
                (_, Motion::Chase) => format!("{}, running along the row", colour(rgb)),
            };
            format!("| {rhythm} | {shown} | {means} |\n")
        })
        .collect();
    let table = rows.concat();
    assert!(readme.contains(&table), "board/README.md has not this table:\n{table}");
}
