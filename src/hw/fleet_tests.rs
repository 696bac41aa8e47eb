//! Tests of the desk: what is in force after each start, and that a power cut leaves one of two states.

#![allow(clippy::unwrap_used)]

use std::path::PathBuf;

use ring::signature::{Ed25519KeyPair, KeyPair as _};

use super::*;
use crate::config::agent;
use crate::config::agent::fleet::ALL;
use crate::config::board;

struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Place {
        let path = std::env::temp_dir().join(format!("mynah-fleet-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        Place(path)
    }

    /// A start of the program, with this key in its file.
    fn start_with(&self, seed: u8) -> Desk {
        let key: String = pair(seed).public_key().as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        let text =
            format!("voice = \"Kore\"\n[mqtt]\nhost = \"broker\"\n[fleet]\nname = \"hall\"\npublic_key = \"{key}\"\n");
        let owned = Owned { text, name: "test".into() };
        let fleet = agent::parse(&owned.text, "test").unwrap().fleet.unwrap();
        let usable = |agent: &Agent| match agent.voice.as_deref() {
            Some("Nobody") => Err("there is no key".to_string()),
            _ => Ok(()),
        };
        Desk::open(fleet, owned, profile(), Some(Arc::new(Folder::new(&self.0))), Box::new(usable))
    }

    fn start(&self) -> Desk {
        self.start_with(1)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn profile() -> Board {
    board::parse(board::builtin("sim").unwrap(), "board/sim.toml", "sim").unwrap()
}

fn pair(seed: u8) -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap()
}

fn sent(serial: u64, voice: &str) -> Vec<u8> {
    sent_to("hall", serial, voice)
}

fn sent_to(name: &str, serial: u64, voice: &str) -> Vec<u8> {
    Envelope::sign(&pair(1), name, serial, &format!("voice = \"{voice}\"\n")).unwrap().to_json().into_bytes()
}

fn voice(desk: &Desk) -> String {
    agent::parse(&desk.text().text, "test").unwrap().voice.unwrap()
}

fn standing(desk: &Desk) -> (&'static str, Option<u64>, Option<u64>) {
    let Standing { state, serial, next, .. } = desk.standing();
    (state, serial, next)
}

#[test]
fn one_that_proves_itself_stays_and_survives_restarts() {
    let place = Place::new("proves");
    let desk = place.start();
    assert_eq!((voice(&desk).as_str(), standing(&desk)), ("Kore", ("own", None, None)));
    assert!(!desk.is_restart_due() && !desk.is_proving());
    assert_eq!(desk.take(&sent(3, "Puck"), false), Ok(Some(3)));
    assert_eq!((voice(&desk).as_str(), standing(&desk)), ("Kore", ("own", None, Some(3))), "until the restart");
    assert!(desk.is_restart_due() && !desk.is_proving());
    drop(desk);
    let desk = place.start();
    assert_eq!((voice(&desk).as_str(), standing(&desk)), ("Puck", ("proving", Some(3), None)));
    assert!(desk.is_proving() && !desk.is_restart_due());
    assert_eq!(desk.take(&sent(3, "Puck"), true), Ok(None), "the broker kept it");
    assert_eq!(desk.take(&sent_to(ALL, 2, "Leda"), true), Ok(None), "and an older one for all");
    desk.accept().unwrap();
    assert_eq!(standing(&desk), ("accepted", Some(3), None));
    assert!(!desk.is_proving() && !desk.is_restart_due());
    drop(desk);
    assert_eq!(standing(&place.start()), ("accepted", Some(3), None));
}

#[test]
fn an_empty_one_is_the_devices_own_file() {
    let place = Place::new("empty");
    place.start().take(&sent(3, "Puck"), false).unwrap();
    place.start().accept().unwrap();
    let empty = Envelope::sign(&pair(1), "hall", 4, "\n").unwrap().to_json().into_bytes();
    place.start().take(&empty, false).unwrap();
    let desk = place.start();
    assert_eq!((voice(&desk).as_str(), standing(&desk)), ("Kore", ("proving", Some(4), None)));
    desk.accept().unwrap();
    assert_eq!(standing(&desk), ("own", Some(4), None));
    drop(desk);
    assert_eq!((voice(&place.start()).as_str(), standing(&place.start())), ("Kore", ("own", Some(4), None)));
}

#[test]
fn one_that_does_not_is_taken_back_for_the_last_good_one() {
    let place = Place::new("back");
    place.start().take(&sent(3, "Puck"), false).unwrap();
    place.start().accept().unwrap();
    place.start().take(&sent_to(ALL, 4, "Zephyr"), false).unwrap();
    let desk = place.start();
    assert_eq!(voice(&desk), "Zephyr");
    assert!(desk.give_up("the service was not reached") && !desk.give_up("again"));
    assert!(desk.is_restart_due());
    drop(desk);
    let desk = place.start();
    assert_eq!((voice(&desk).as_str(), standing(&desk)), ("Puck", ("accepted", Some(3), None)));
    assert_eq!(desk.standing().refused.unwrap().serial, 4);
    assert_eq!(desk.take(&sent_to(ALL, 4, "Zephyr"), false), Ok(None), "it is remembered");
    // And one that comes while another is proving takes its place.
    desk.take(&sent(5, "Aoede"), false).unwrap();
    let desk = place.start();
    desk.take(&sent(6, "Leda"), false).unwrap();
    assert!(desk.is_restart_due() && !desk.is_proving() && !desk.give_up("it is not asked any more"));
    assert_eq!(voice(&place.start()), "Leda");
}

#[test]
fn one_that_kills_the_program_is_started_twice() {
    let place = Place::new("kills");
    place.start().take(&sent(3, "Puck"), false).unwrap();
    let voices: Vec<String> = (0..4).map(|_| voice(&place.start())).collect();
    assert_eq!(voices, ["Puck", "Puck", "Kore", "Kore"]);
    assert!(place.start().standing().refused.unwrap().why.contains("ended 2 times"));
}

#[test]
fn what_is_not_the_owners_newest_and_fitting_changes_nothing() {
    let place = Place::new("door");
    let desk = place.start();
    desk.take(&sent(3, "Puck"), false).unwrap();
    drop(desk);
    let desk = place.start();
    desk.accept().unwrap();
    let before = std::fs::read(place.0.join(FILE)).unwrap();
    let foreign = Envelope::sign(&pair(2), "hall", 9, "").unwrap().to_json().into_bytes();
    for (name, payload, serial, part) in [
        ("rubbish", b"{}".to_vec(), 0, "not what `mynah fleet sign` prints"),
        ("another's", foreign, 0, "public_key"),
        ("another device's", sent_to("attic", 9, "Puck"), 0, "signed for `attic`"),
        ("an older one", sent(2, "Leda"), 2, "3 was here before"),
        ("its serial again", sent(3, "Leda"), 3, "3 was here before"),
        ("a key nobody knows", sent(9, "Puck\"\nvioce = \"Puck"), 9, "did you mean `voice`?"),
        ("no credentials for it", sent(9, "Nobody"), 9, "there is no key"),
    ] {
        let refused = desk.take(&payload, false).unwrap_err();
        assert!(refused.serial == serial && refused.why.contains(part), "{name}: {refused:?}");
        assert_eq!(std::fs::read(place.0.join(FILE)).unwrap(), before, "{name}");
    }
    assert!(!desk.is_restart_due());
}

#[test]
fn an_owner_at_the_device_takes_it_back_with_another_key_or_none() {
    let place = Place::new("key");
    place.start().take(&sent(3, "Puck"), false).unwrap();
    place.start().accept().unwrap();
    let desk = place.start_with(2);
    assert_eq!((voice(&desk).as_str(), standing(&desk)), ("Kore", ("own", None, None)));
    assert!(desk.trouble().unwrap().contains("configuration 3 is not in force"), "{:?}", desk.trouble());
    drop(desk);
    assert_eq!(voice(&place.start()), "Puck", "the first key again");
}

#[test]
fn a_file_that_is_none_costs_a_sentence_and_never_the_start() {
    let place = Place::new("unfit");
    Folder::new(&place.0).write(FILE, b"{\"version\":1,").unwrap();
    let desk = place.start();
    assert_eq!(voice(&desk), "Kore");
    assert!(desk.trouble().unwrap().contains("put aside"), "{:?}", desk.trouble());
    assert_eq!(desk.take(&sent(3, "Puck"), false), Ok(Some(3)));
    // Written by half before the power went: the one before it stands, and nothing else is read.
    std::fs::write(place.0.join("fleet.json.new"), "{").unwrap();
    assert_eq!(voice(&place.start()), "Puck");
}

#[test]
fn what_cannot_be_counted_or_kept_is_not_run() {
    let place = Place::new("full");
    place.start().take(&sent(3, "Puck"), false).unwrap();
    // Nothing can be written there any more.
    std::fs::create_dir_all(place.0.join("fleet.json.new/in the way")).unwrap();
    let desk = place.start();
    assert_eq!((voice(&desk).as_str(), desk.is_proving(), desk.is_restart_due()), ("Kore", false, false));
    assert!(desk.standing().refused.unwrap().why.contains("cannot be written"), "a start after the other is no way");
    let refused = desk.take(&sent(4, "Leda"), false).unwrap_err();
    assert!(refused.why.contains("cannot be written"), "{}", refused.why);
}
