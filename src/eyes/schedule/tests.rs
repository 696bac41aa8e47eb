//! The schedule told in data: what is wanted, what comes, what follows.

use super::*;

const TERMS: Terms = Terms { settle: Duration::from_millis(300), frozen_after: Some(Duration::from_secs(5)) };

fn at(ms: u64) -> Time {
    Time::from_ms(ms)
}

fn still(content: u8, ms: u64) -> Still {
    Still { jpeg: vec![content; 4].into(), width: 4, height: 3, taken_at: at(ms) }
}

fn judge(schedule: &mut Schedule, content: u8, ms: u64) -> Verdict {
    schedule.judge(&still(content, ms), |still| still.jpeg[0] == 0)
}

#[test]
fn the_sensor_runs_while_pictures_are_wanted_and_never_otherwise() {
    let mut schedule = Schedule::new(TERMS);
    for (wish, looks, is_shut, need) in [
        (EyeWish::Rest, 0, false, Need::Rest),
        (EyeWish::Rest, 1, false, Need::Run),
        (EyeWish::Watch, 0, false, Need::Run),
        (EyeWish::Take, 0, false, Need::Run),
        (EyeWish::Shut, 1, false, Need::Rest),
        (EyeWish::Take, 3, true, Need::Rest),
    ] {
        schedule.set(wish, looks, is_shut);
        assert_eq!(schedule.need(at(0)), need, "{wish:?}, {looks} looks, shut: {is_shut}");
    }
}

#[test]
fn the_first_pictures_of_a_sensor_that_was_off_are_not_used() {
    let mut schedule = Schedule::new(TERMS);
    schedule.started(at(1000));
    assert_eq!(judge(&mut schedule, 1, 1800), Verdict::Early);
    assert_eq!(judge(&mut schedule, 2, 2000), Verdict::Early);
    assert_eq!(judge(&mut schedule, 3, 2100), Verdict::Good);
    schedule.stopped();
    schedule.started(at(9000));
    assert_eq!(judge(&mut schedule, 4, 9500), Verdict::Early, "once more");
}

#[test]
fn a_picture_that_never_changes_is_noticed_over_a_restart_too() {
    let mut schedule = Schedule::new(TERMS);
    schedule.started(at(0));
    assert_eq!(judge(&mut schedule, 1, 100), Verdict::Early);
    for ms in [1000, 3000, 5000] {
        assert_eq!(judge(&mut schedule, 1, ms), Verdict::Good);
    }
    assert_eq!(judge(&mut schedule, 1, 5100), Verdict::Frozen(Duration::from_secs(5)));
    schedule.failed(at(5100));
    schedule.started(at(6100));
    assert_eq!(judge(&mut schedule, 1, 6500), Verdict::Frozen(Duration::from_millis(6400)));
    schedule.failed(at(6500));
    schedule.started(at(9000));
    judge(&mut schedule, 2, 9100);
    assert_eq!(judge(&mut schedule, 3, 9500), Verdict::Good);

    let mut screen = Schedule::new(Terms { frozen_after: None, ..TERMS });
    screen.started(at(0));
    judge(&mut screen, 1, 0);
    assert_eq!(judge(&mut screen, 1, 600_000), Verdict::Good, "a screen may stand still");
}

#[test]
fn a_black_picture_is_not_used_and_is_no_reason_to_start_again() {
    let mut schedule = Schedule::new(TERMS);
    schedule.started(at(0));
    judge(&mut schedule, 1, 0);
    assert_eq!(judge(&mut schedule, 0, 400), Verdict::Black);
    assert_eq!(judge(&mut schedule, 2, 600), Verdict::Good);
}

#[test]
fn a_camera_that_fails_is_tried_again_ever_later_until_it_gives_a_picture() {
    let mut schedule = Schedule::new(TERMS);
    schedule.set(EyeWish::Watch, 0, false);
    for wait_s in [1, 2, 4, 8, 16, 30, 30] {
        schedule.failed(at(0));
        assert_eq!(schedule.need(at(wait_s * 1000 - 1)), Need::NotBefore(at(wait_s * 1000)));
        assert_eq!(schedule.need(at(wait_s * 1000)), Need::Run);
    }
    schedule.started(at(0));
    judge(&mut schedule, 1, 0);
    judge(&mut schedule, 2, 300);
    schedule.failed(at(1000));
    assert_eq!(schedule.need(at(1000)), Need::NotBefore(at(2000)));
}

#[test]
fn a_camera_that_says_nothing_is_noticed() {
    let mut schedule = Schedule::new(TERMS);
    assert_eq!(schedule.is_silent(at(60_000)), None, "it is off");
    schedule.started(at(1000));
    assert_eq!(schedule.is_silent(at(8999)), None);
    assert_eq!(schedule.is_silent(at(9000)), Some(FIRST_WITHIN));
    judge(&mut schedule, 1, 9000);
    assert_eq!(schedule.is_silent(at(12_999)), None);
    assert_eq!(schedule.is_silent(at(13_000)), Some(NEXT_WITHIN));
}
