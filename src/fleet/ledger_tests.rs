//! Tests of the ledger: what is taken, proven, given up and known again.

#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;
use crate::hw::folder::parse_versioned;

fn envelope(serial: u64) -> Envelope {
    Envelope { serial, name: "hall".into(), agent: format!("# {serial}"), signature: format!("s{serial}") }
}

fn serial(envelope: Option<&Envelope>) -> Option<u64> {
    envelope.map(|envelope| envelope.serial)
}

fn again(ledger: &Ledger) -> Ledger {
    parse_versioned(ledger.to_json().as_bytes(), VERSION).unwrap()
}

#[test]
fn a_candidate_that_proves_itself_is_the_last_good_one() {
    let ledger = Ledger::default().with_candidate(envelope(3)).started();
    assert_eq!((serial(ledger.candidate()), serial(ledger.accepted())), (Some(3), None));
    let ledger = again(&ledger.proven());
    assert_eq!((serial(ledger.candidate()), serial(ledger.accepted())), (None, Some(3)));
    let ledger = again(&ledger.with_candidate(envelope(4)).started().rolled_back("it did not work"));
    assert_eq!((serial(ledger.candidate()), serial(ledger.accepted())), (None, Some(3)));
    assert_eq!(ledger.refused(), Some(&Refused { serial: 4, why: "it did not work".into() }));
    assert_eq!(ledger.with_candidate(envelope(5)).proven().refused(), None, "that is over");
}

#[test]
fn a_candidate_that_ends_the_program_is_started_twice_and_never_again() {
    let mut ledger = Ledger::default().with_candidate(envelope(3));
    for _ in 0..STARTS_MAX {
        ledger = again(&ledger.started());
        assert_eq!(serial(ledger.candidate()), Some(3));
    }
    ledger = again(&ledger.started());
    assert_eq!(ledger.candidate(), None);
    assert!(ledger.refused().unwrap().why.contains("ended 2 times"));
    assert_eq!(again(&ledger.started()), ledger, "the last good one is started as often as need be");
}

#[test]
fn older_ones_are_refused_and_those_that_the_broker_kept_are_known() {
    let ledger = Ledger::default();
    assert_eq!(ledger.judge(&envelope(1), false), Ok(News::New));
    let ledger = ledger.with_candidate(envelope(3)).proven().with_candidate(envelope(7)).rolled_back("no");
    for (sent, expected) in [(3, Ok(News::Known)), (7, Ok(News::Known)), (8, Ok(News::New))] {
        assert_eq!(
            (ledger.judge(&envelope(sent), false), ledger.judge(&envelope(sent), true)),
            (expected.clone(), expected)
        );
    }
    for older in [envelope(1), envelope(6), Envelope { signature: "other".into(), ..envelope(7) }] {
        let why = ledger.judge(&older, false).unwrap_err();
        assert!(why.contains("7 was here before"), "{why}");
    }
}

#[test]
fn an_older_one_that_the_broker_kept_at_another_topic_is_nobodys_fault() {
    let ledger = Ledger::default().with_candidate(envelope(9)).proven();
    for (sent, is_kept, expected) in [(6, true, Some(News::Old)), (6, false, None), (10, true, Some(News::New))] {
        assert_eq!(ledger.judge(&envelope(sent), is_kept).ok(), expected, "{sent}, kept: {is_kept}");
    }
    let same = Envelope { signature: "other".into(), ..envelope(9) };
    assert!(ledger.judge(&same, true).is_err(), "its owner gave a serial twice, and would wait for it in vain");
    // One that was in force, and is pushed out by as many as are known.
    let many = (10..40).fold(ledger, |ledger, serial| ledger.with_candidate(envelope(serial)).proven());
    assert_eq!(many.judge(&envelope(9), true), Ok(News::Old));
    assert!(many.judge(&envelope(9), false).is_err());
}

#[test]
fn a_file_that_is_none_is_refused() {
    for (text, part) in
        [("", "broken"), ("{}", "broken"), ("{\"version\":2}", "a newer version"), ("{\"version\":1}", "broken")]
    {
        assert!(parse_versioned::<Ledger>(text.as_bytes(), VERSION).unwrap_err().contains(part), "{text}");
    }
}

proptest! {
    /// Whatever is sent and however it goes: serials in force never fall but to the last good one, and the list is bounded.
    #[test]
    fn what_is_accepted_only_rises(steps in proptest::collection::vec((0u8..4, 1u64..40), 0..80)) {
        let mut ledger = Ledger::default();
        let mut accepted = 0;
        for (step, sent) in steps {
            ledger = match step {
                0 if ledger.judge(&envelope(sent), sent % 2 == 0) == Ok(News::New) => ledger.with_candidate(envelope(sent)),
                0 => ledger,
                1 => ledger.started(),
                2 => ledger.proven(),
                _ => ledger.rolled_back("why"),
            };
            let now = serial(ledger.accepted()).unwrap_or(0);
            prop_assert!(now >= accepted);
            prop_assert!(ledger.known.len() <= KNOWN_MAX && ledger.to_json().len() < LEDGER_BYTES_MAX);
            prop_assert_eq!(&again(&ledger), &ledger);
            accepted = now;
        }
    }
}
