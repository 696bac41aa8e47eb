//! Tests of the far-end copy against a device whose every frame is heard at a known time.
#![allow(clippy::unwrap_used)]

use super::*;

/// A device that plays frame `n` of its line at `began` + `n` / rate, and the copy beside it.
struct Device {
    copy: FarCopy,
    rate: Hertz,
    began: Time,
    written: usize,
    hops: Vec<Hop>,
}

impl Device {
    fn new(rate: u32) -> Device {
        let rate = Hertz(rate);
        let copy = FarCopy::new(rate, rate.frames_in_ms(100)).unwrap();
        Device { copy, rate, began: Time::from_ms(1000), written: 0, hops: Vec::new() }
    }

    fn write(&mut self, frames: &[i16]) {
        let stereo: Vec<i16> = frames.iter().flat_map(|&frame| [frame, frame]).collect();
        self.copy.on_written(&stereo, 2);
        self.written += frames.len();
    }

    fn heard(&self, now: Time) -> usize {
        self.rate.frames_in(now.since(self.began)) as usize
    }

    fn look(&mut self, now: Time) {
        self.copy.on_position(self.written - self.heard(now), now);
        self.fetch();
    }

    fn stand(&mut self, now: Time) {
        self.copy.on_standing(now);
        self.fetch();
        assert!(self.hops.last().is_none_or(|hop| hop.at <= now), "nothing before its time");
    }

    fn fetch(&mut self) {
        self.hops.extend(std::iter::from_fn(|| self.copy.poll_hop()));
    }

    /// When what is loud in the copy was heard: the middle of it.
    fn loud_at_us(&self) -> f64 {
        let frames = self.hops.iter().flat_map(|hop| {
            let newest = hop.at.as_us() as f64;
            hop.frames.iter().enumerate().map(move |(n, &frame)| (newest - (159 - n) as f64 * 62.5, frame))
        });
        let (sum, weight) = frames
            .fold((0.0, 0.0), |(sum, weight), (at, frame)| (sum + at * f64::from(frame), weight + f64::from(frame)));
        sum / weight
    }
}

/// `ms` of silence with a soft click in its middle.
fn click(rate: Hertz, ms: u32) -> Vec<i16> {
    let mut frames = vec![0; rate.frames_in_ms(ms)];
    let (middle, half) = (frames.len() / 2, rate.frames_in_ms(2));
    for n in 0..=2 * half {
        let x = std::f64::consts::TAU * n as f64 / (2 * half) as f64;
        frames[middle - half + n] = (8000.0 * (1.0 - x.cos())) as i16;
    }
    frames
}

#[test]
fn a_click_is_in_the_copy_at_the_time_it_was_heard() {
    for rate in [8000, 11_025, 16_000, 22_050, 24_000, 44_099, 44_100, 48_000, 96_000, 192_000] {
        for look_ms in [3, 10, 50] {
            let mut device = Device::new(rate);
            let sound = click(device.rate, 400);
            let block = device.rate.frames_in_ms(10);
            let mut rest = sound.chunks(block);
            for ms in (0..500).step_by(look_ms) {
                let now = device.began + Duration::from_millis(ms as u64);
                while device.written < device.heard(now) + 8 * block {
                    device.write(rest.next().unwrap_or(&vec![0; block]));
                }
                device.look(now);
            }
            let truth = device.began.as_us() as f64 + sound.len() as f64 / 2.0 * 1e6 / f64::from(rate);
            let off = device.loud_at_us() - truth;
            assert!(off.abs() < 150.0, "{rate} Hz, a look each {look_ms} ms: {off} µs off");
            let steps = device.hops.windows(2).map(|pair| pair[1].at.since(pair[0].at).as_micros());
            assert!({ steps }.all(|step| step.abs_diff(10_000) < 100), "{rate} Hz: an even line");
        }
    }
}

#[test]
fn nothing_is_given_before_it_was_heard_and_nothing_while_the_device_stands() {
    let mut device = Device::new(48_000);
    device.write(&click(Hertz(48_000), 100));
    device.fetch();
    assert!(device.hops.is_empty(), "it does not run");
    for ms in 0..100 {
        let now = device.began + Duration::from_millis(ms);
        device.look(now);
        assert!(device.hops.last().is_none_or(|hop| hop.at <= now), "at {ms} ms");
        let expected = (ms as usize).saturating_sub(20) / 10;
        assert!(device.hops.len() >= expected, "{} hops at {ms} ms: no later than need be", device.hops.len());
    }
}

#[test]
fn what_a_drop_threw_away_is_not_in_the_copy_and_all_before_it_is() {
    for rate in [16_000, 44_100, 48_000] {
        for cut_ms in 30..60 {
            let mut device = Device::new(rate);
            device.write(&vec![6000; device.rate.frames_in_ms(100)]);
            device.look(device.began + Duration::from_millis(20));
            let cut = device.began + Duration::from_millis(cut_ms);
            device.look(cut);
            device.copy.on_dropped();
            (0..200).for_each(|ms| device.stand(cut + Duration::from_millis(ms)));
            assert!(!device.copy.has_tail());
            let sum: i64 = device.hops.iter().flat_map(|hop| &hop.frames).map(|&frame| i64::from(frame)).sum();
            let copied_ms = sum as f64 / 6000.0 / 16.0;
            assert!((copied_ms - cut_ms as f64).abs() < 0.3, "{rate} Hz, cut at {cut_ms} ms: {copied_ms} ms copied");
            let last = device.hops.last().unwrap().at;
            assert!(last.since(cut) < Duration::from_millis(40), "{rate} Hz: the last hop is {last}, the cut at {cut}");
        }
    }
}

#[test]
fn what_begins_right_after_a_stop_is_in_the_copy_from_its_first_frame() {
    for pause_ms in [0, 1, 7, 15, 30, 300] {
        let mut device = Device::new(48_000);
        device.write(&vec![6000; 4800]);
        device.look(device.began + Duration::from_millis(35));
        device.copy.on_dropped();
        let again = device.began + Duration::from_millis(35 + pause_ms);
        device.stand(again);
        (device.began, device.written) = (again, 0);
        device.write(&vec![-6000; 9600]);
        device.look(again + Duration::from_millis(100));
        assert!(device.hops.is_sorted_by(|one, next| one.at < next.at));
        let mut loud = device.hops.iter().flat_map(|hop| {
            let from_us = hop.at.as_us() as f64 - 159.0 * 62.5;
            hop.frames.iter().enumerate().map(move |(n, &frame)| (from_us + n as f64 * 62.5, frame))
        });
        let first = loud.find(|(_, frame)| *frame < -3000).unwrap().0;
        let off = first - again.as_us() as f64;
        assert!(off.abs() < 200.0, "{off} µs off, begun {pause_ms} ms after the stop");
    }
}

#[test]
fn what_a_server_says_right_after_a_start_places_nothing() {
    let mut device = Device::new(48_000);
    device.write(&vec![6000; 4800]);
    device.look(device.began + Duration::from_millis(35));
    device.copy.on_dropped();
    let again = device.began + Duration::from_millis(40);
    (device.began, device.written) = (again, 0);
    device.write(&vec![-6000; 9600]);
    // Measured on PulseAudio: for 3 ms what was written is said to be heard up to 3.5 ms too early.
    for (at_us, early_us) in [(0, 2050), (200, 3520), (3600, 140), (9000, 0)] {
        let now = again + Duration::from_micros(at_us);
        let delay =
            device.written - device.heard(now) - device.rate.frames_in(Duration::from_micros(early_us)) as usize;
        device.copy.on_position(delay, now);
        device.fetch();
    }
    (10..100).for_each(|ms| device.look(again + Duration::from_millis(ms)));
    let steps = device.hops.windows(2).map(|pair| pair[1].at.since(pair[0].at).as_micros());
    assert!({ steps }.all(|step| step.abs_diff(10_000) < 100), "an even line: {:?}", stamps(&device.hops));
}

#[test]
fn a_device_that_ran_dry_before_it_was_looked_at_was_heard_when_it_was_said_to_be() {
    let mut device = Device::new(48_000);
    device.write(&vec![6000; 48 * 50]);
    (0..=30).for_each(|ms| device.look(device.began + Duration::from_millis(ms)));
    // The thread did not wake for 40 ms; the device was empty for 20 of them, and for some more until it was told.
    let dry = device.began + Duration::from_millis(70);
    device.copy.on_position(0, dry);
    device.copy.on_starved();
    let again = dry + Duration::from_millis(15);
    device.stand(again);
    (device.began, device.written) = (again, 0);
    device.write(&vec![6000; 4800]);
    (0..100).for_each(|ms| device.look(again + Duration::from_millis(ms)));
    let steps = device.hops.windows(2).map(|pair| pair[1].at.since(pair[0].at).as_micros());
    assert!({ steps }.all(|step| step.abs_diff(10_000) < 100), "an even line: {:?}", stamps(&device.hops));
    let silent = device.hops.iter().flat_map(|hop| &hop.frames).skip(160).filter(|&&frame| frame < 3000).count();
    assert!((silent as f64 / 16.0 - 35.0).abs() < 0.5, "{} ms of silence", silent as f64 / 16.0);
}

fn stamps(hops: &[Hop]) -> Vec<u64> {
    hops.iter().map(|hop| hop.at.as_us()).collect()
}

#[test]
fn what_a_starved_device_was_given_was_heard_and_what_slept_was_not() {
    for is_sleep in [false, true] {
        let mut device = Device::new(48_000);
        device.write(&vec![6000; 48 * 60]);
        device.look(device.began + Duration::from_millis(20));
        if is_sleep {
            device.copy.on_slept()
        } else {
            device.copy.on_starved()
        }
        (20..120).for_each(|ms| device.copy.on_standing(device.began + Duration::from_millis(ms)));
        device.fetch();
        let loud = device.hops.iter().flat_map(|hop| &hop.frames).filter(|&&frame| frame > 3000).count() / 16;
        assert!(if is_sleep { loud <= 20 } else { (59..=61).contains(&loud) }, "sleep {is_sleep}: {loud} ms");
        let last = device.hops.last().unwrap().at;
        assert!(last <= device.began + Duration::from_millis(100), "{last}: when it was said to be");
    }
}

#[test]
fn a_device_with_more_on_its_way_than_is_held_does_not_take_memory() {
    let mut device = Device::new(48_000);
    for _ in 0..300 {
        device.write(&[100; 480]);
        device.copy.on_position(48_000 * 10, device.began);
        device.fetch();
    }
    assert!(device.hops.is_empty() && device.copy.held.len() <= device.copy.held_max);
    assert!(device.copy.held.capacity() < 2 * device.copy.held_max);
}

#[test]
fn hops_that_nobody_fetches_are_left_out_and_counted() {
    let mut device = Device::new(48_000);
    device.write(&vec![100; 48_000]);
    device.copy.on_position(0, device.began + Duration::from_secs(1));
    device.fetch();
    assert_eq!((device.hops.len(), device.copy.take_lost_hops()), (FAR_RING_HOPS, 100 - FAR_RING_HOPS as u64));
    assert_eq!(device.copy.take_lost_hops(), 0);
}
