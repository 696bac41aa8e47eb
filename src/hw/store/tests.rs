//! The state file against everything that can be wrong with it, in real folders.
#![allow(clippy::unwrap_used)]

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use super::*;
use crate::config::agent::endpoint;
use crate::live::client::Said;
use crate::session::memory::{Resumable, Spent};

const NOW_S: i64 = 1_795_262_400;

/// A state folder that is gone when dropped.
struct Place(PathBuf);
impl Place {
    fn new(name: &str) -> Place {
        let path = std::env::temp_dir().join(format!("mynah-store-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Place(path)
    }
    fn store(&self, url: &str, keep: Keep) -> Store {
        Store::new(Arc::new(Folder::new(&self.0)), &endpoint::parse(url).unwrap(), keep)
    }
    fn text(&self, name: &str) -> String {
        fs::read_to_string(self.0.join(name)).unwrap()
    }
}
impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

const URL: &str = "wss://service.example/live";

fn memory() -> Memory {
    Memory {
        resumable: Some(Resumable { handle: "the-handle".into(), setup: u64::MAX }),
        spent: Spent { day: 20_778, tokens: 4711, microusd: 99 },
        said: vec![Said { by_user: true, text: "the-words".into() }],
        volume_percent: Some(35),
        is_muted: true,
        proven: Some(7),
    }
}

#[test]
fn what_was_kept_is_found_with_its_age() {
    let place = Place::new("age");
    let store = place.store(URL, Keep::HandleAndWords);
    assert_eq!(store.read(NOW_S), Past::default());
    store.write(&store.sheet(memory(), NOW_S, None)).unwrap();
    let hour = Some(Duration::from_secs(3600));
    // A clock that was never set at the one moment or the other, or went back, cannot tell.
    for (written_s, now_s, age) in [
        (NOW_S, NOW_S + 3600, hour),
        (NOW_S, NOW_S, Some(Duration::ZERO)),
        (NOW_S, NOW_S - 1, None),
        (NOW_S, 100, None),
        (100, NOW_S, None),
        (100, 200, None),
    ] {
        store.write(&store.sheet(memory(), written_s, None)).unwrap();
        let found = store.read(now_s);
        let sheet = Some(store.sheet(memory(), written_s, None));
        assert_eq!(found, Past { memory: memory(), age, sheet, trouble: None }, "{written_s} {now_s}");
    }
}

#[test]
fn a_handle_is_as_old_as_its_first_writing_however_often_the_program_starts() {
    let place = Place::new("restarts");
    let store = place.store(URL, Keep::Handle);
    let found_after = |seconds, memory: Memory| {
        let found = store.read(NOW_S + seconds);
        store.write(&store.sheet(memory, NOW_S + seconds, found.sheet.as_ref())).unwrap();
        store.read(NOW_S + seconds).age.unwrap().as_secs()
    };
    let spent = |tokens| Memory { spent: Spent { tokens, ..Spent::default() }, ..memory() };
    assert_eq!(found_after(0, spent(1)), 0);
    assert_eq!(found_after(600, spent(2)), 600);
    assert_eq!(found_after(6000, spent(2)), 6000);
    let newer = Some(Resumable { handle: "newer".into(), setup: 1 });
    assert_eq!(found_after(6001, Memory { resumable: newer, ..memory() }), 0);
    assert_eq!(found_after(6002, Memory { resumable: None, ..memory() }), 0, "without one there is nothing to age");
    // Written when the clock was not set: from now on it is known.
    store.write(&store.sheet(memory(), 5, None)).unwrap();
    assert_eq!(found_after(0, memory()), 0);
}

#[test]
fn no_more_is_on_the_disk_than_the_owner_allows() {
    let place = Place::new("allowed");
    for (keep, has_handle, has_words) in
        [(Keep::HandleAndWords, true, true), (Keep::Handle, true, false), (Keep::Nothing, false, false)]
    {
        let store = place.store(URL, keep);
        store.write(&store.sheet(memory(), NOW_S, None)).unwrap();
        let text = place.text("session.json");
        assert_eq!((text.contains("the-handle"), text.contains("the-words")), (has_handle, has_words), "{text}");
        assert_eq!(store.read(NOW_S).memory.spent, memory().spent);
    }
    // The owner changed their mind: what is there already is not taken, and goes.
    let before = place.store(URL, Keep::HandleAndWords);
    before.write(&before.sheet(memory(), NOW_S, None)).unwrap();
    let store = place.store(URL, Keep::Nothing);
    let found = store.read(NOW_S + 5);
    assert_eq!(found.memory, Memory { resumable: None, said: Vec::new(), ..memory() });
    store.write(&found.sheet.unwrap()).unwrap();
    assert!(!place.text("session.json").contains("the-"));
    assert_eq!(store.read(NOW_S + 5).age, Some(Duration::from_secs(5)), "it is as old as it was");
}

#[test]
fn another_service_is_another_conversation() {
    let place = Place::new("service");
    let store = place.store(URL, Keep::HandleAndWords);
    store.write(&store.sheet(memory(), NOW_S, None)).unwrap();
    for other in ["wss://other.example/live", "wss://service.example:444/live"] {
        let found = place.store(other, Keep::HandleAndWords).read(NOW_S);
        assert_eq!(found.memory, Memory { resumable: None, said: Vec::new(), proven: None, ..memory() }, "{other}");
    }
    let here = place.store("ws://127.0.0.1:9/live", Keep::HandleAndWords);
    assert_eq!(here.read(NOW_S), Past::default(), "what is tried on this machine costs nothing");
    here.write(&here.sheet(Memory::default(), NOW_S, None)).unwrap();
    assert_eq!(store.read(NOW_S).memory, memory());
}

#[test]
fn what_cannot_be_taken_is_put_aside_with_a_sentence() {
    let place = Place::new("aside");
    let store = place.store(URL, Keep::Handle);
    store.write(&store.sheet(memory(), NOW_S, None)).unwrap();
    let good = place.text("session.json");
    let cases = [
        ("", "is broken"),
        ("{", "is broken"),
        ("[1]", "is broken"),
        (&good[..good.len() / 2], "is broken"),
        (&good.replace("\"spent\": {", "\"spent\": { \"tokens\": -1,"), "is broken"),
        (&good.replace("\"version\": 1", "\"version\": 2, \"more\": {}"), "by a newer version"),
        (&good.replace("\"version\": 1", "\"version\": 0"), "by an older version"),
        (&good.replace("the-handle", &"x".repeat(FILE_BYTES_MAX)), "is far too large"),
    ];
    for (text, why) in cases {
        fs::write(place.0.join("session.json"), text).unwrap();
        fs::set_permissions(place.0.join("session.json"), Permissions::from_mode(0o600)).unwrap();
        let found = store.read(NOW_S);
        let trouble = found.trouble.unwrap();
        assert!(trouble.contains(why) && trouble.contains("session.json.bad"), "{trouble}");
        assert!(!trouble.contains("the-handle"));
        assert_eq!(found.memory, Memory::default());
        assert_eq!(place.text("session.json.bad"), text, "one is kept: the last");
        assert_eq!(store.read(NOW_S), Past::default(), "it is told once");
    }
    fs::write(place.0.join("session.json"), &good).unwrap();
    fs::set_permissions(place.0.join("session.json"), Permissions::from_mode(0o644)).unwrap();
    assert!(store.read(NOW_S).trouble.unwrap().contains("was open to other users"));
    // What an other program of the same version added is no reason to forget.
    fs::write(place.0.join("session.json"), good.replace("\"spent\"", "\"mood\": 1, \"spent\"")).unwrap();
    fs::set_permissions(place.0.join("session.json"), Permissions::from_mode(0o600)).unwrap();
    assert_eq!(store.read(NOW_S).memory.resumable, memory().resumable);
}

#[test]
fn words_that_are_far_too_many_are_left_out_rather_than_written_in_vain() {
    let place = Place::new("many");
    let store = place.store(URL, Keep::HandleAndWords);
    let many = vec![Said { by_user: false, text: "x".repeat(FILE_BYTES_MAX) }];
    store.write(&store.sheet(Memory { said: many, ..memory() }, NOW_S, None)).unwrap();
    assert_eq!(store.read(NOW_S).memory, Memory { said: Vec::new(), ..memory() });
}
