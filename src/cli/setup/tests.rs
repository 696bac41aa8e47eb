//! What only a machine that runs has: its service, and a key that is encrypted for it.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use super::facts::{BOARD, Facts, KEY_CONF, Place, Programs, Service};
use super::key::{self, CONF_ENCRYPTED, CONF_NONE, CREDENTIAL, PLAIN, StoredKey};
use super::plan::{Deed, Step, Wishes, plan};
use super::{apply, edit};
use crate::hw::key::Key;

fn key(text: &str) -> Key {
    Key::checked(text, "the test").unwrap()
}

/// A set-up machine that simulates its board.
fn facts(service: Service) -> Facts {
    let agent = include_str!("../../../systemd/mynah.toml").to_string();
    Facts {
        defaults: Some("MYNAH_BOARD=sim\n".to_string()),
        agent: Some(agent),
        stored_key: StoredKey::Plain(Some(key("k"))),
        service,
        ..Facts::default()
    }
}

fn called(steps: &[Step]) -> String {
    let calls = steps.iter().filter_map(|step| match &step.deed {
        Deed::Systemctl(arguments) => Some(arguments.join(" ")),
        _ => None,
    });
    calls.collect::<Vec<_>>().join(", ")
}

#[test]
fn the_service_is_told_as_much_as_it_needs_and_stands_still_while_the_doctor_looks() {
    let service = |is_enabled, is_active, is_failed| Service {
        is_there: true,
        is_enabled,
        is_active,
        is_failed,
        is_outdated: false,
    };
    let same = Wishes::default();
    let other = Wishes { language: Some("German".to_string()), ..Wishes::default() };
    let no_doctor = Wishes { leaves_doctor: true, ..other.clone() };
    let alone = Wishes { leaves_service: true, ..other.clone() };
    for (service, wishes, before, after, is_busy) in [
        (service(true, true, false), &same, "", "", true),
        (service(true, true, false), &other, "daemon-reload, stop mynah", "start mynah", false),
        (
            Service { is_outdated: true, ..service(true, true, false) },
            &same,
            "daemon-reload, stop mynah",
            "start mynah",
            false,
        ),
        (service(true, true, false), &no_doctor, "daemon-reload", "restart mynah", true),
        (service(true, true, false), &alone, "", "", true),
        (service(false, false, false), &same, "", "enable --now mynah", false),
        (service(false, false, false), &other, "daemon-reload", "enable --now mynah", false),
        (service(false, true, false), &same, "", "enable mynah", true),
        (service(true, false, true), &same, "reset-failed mynah", "start mynah", false),
        (Service::default(), &other, "", "", false),
    ] {
        let plan = plan(&facts(service), wishes).unwrap();
        let told = (called(&plan.steps), called(&plan.starts), plan.is_busy);
        assert_eq!(told, (before.to_string(), after.to_string(), is_busy), "{service:?} {wishes:?}");
        assert_eq!(plan.starts_service(), after.contains("start ") || after.contains("--now"), "{after}");
    }
    let no_key = Facts { stored_key: StoredKey::Absent, ..facts(service(false, false, false)) };
    let planned = plan(&no_key, &same).unwrap();
    assert_eq!(called(&planned.starts), "enable mynah", "what would fail is not started");
    assert!(planned.text().contains("no API key yet"));
}

#[test]
fn a_key_that_is_stored_already_is_not_stored_again() {
    let wishes = Wishes { key: Some(key("k")), ..Wishes::default() };
    let encrypted = |text| StoredKey::Encrypted(Some(key(text)));
    let ours = Some(CONF_ENCRYPTED.to_string());
    for (stored_key, key_conf, is_stored_anew) in [
        (StoredKey::Plain(Some(key("k"))), None, false),
        (StoredKey::Plain(Some(key("other"))), None, true),
        (StoredKey::Plain(Some(key("k"))), ours.clone(), true),
        (StoredKey::Plain(None), None, true),
        (encrypted("k"), ours.clone(), false),
        (encrypted("k"), None, true),
        (encrypted("other"), ours.clone(), true),
        (StoredKey::Encrypted(None), ours, true),
        (StoredKey::Absent, None, true),
    ] {
        let facts = Facts { stored_key, key_conf, has_creds: true, ..facts(Service::default()) };
        let plan = plan(&facts, &wishes).unwrap();
        assert_eq!(!plan.is_empty(), is_stored_anew, "{facts:?}");
        assert!(!is_stored_anew || plan.text().contains("encrypted for this machine"), "{}", plan.text());
        assert!(!format!("{plan:?}").contains("\"k\""));
    }
}

#[test]
fn a_service_without_a_key_is_told_so_until_there_is_one() {
    let here = Wishes { endpoint: Some("ws://127.0.0.1:1/x".to_string()), ..Wishes::default() };
    let keyless = Facts { stored_key: StoredKey::Absent, ..facts(Service::default()) };
    let planned = plan(&keyless, &here).unwrap();
    let is_told = |step: &Step| matches!(&step.deed, Deed::Write { path: KEY_CONF, text, .. } if text == CONF_NONE);
    assert!(planned.steps.iter().any(is_told), "{}", planned.text());
    let told = Facts { key_conf: Some(CONF_NONE.to_string()), ..facts(Service::default()) };
    let stores = |step: &Step| matches!(&step.deed, Deed::StoreKey { key: stored, .. } if *stored == key("k"));
    assert!(plan(&told, &Wishes::default()).unwrap().steps.iter().any(stores));
    let elsewhere = Some("MYNAH_BOARD=sim\nGEMINI_API_KEY=k\n".to_string());
    let planned = plan(&Facts { defaults: elsewhere, ..keyless }, &Wishes::default()).unwrap();
    assert!(planned.steps.iter().any(is_told) && !planned.text().contains("no API key yet"), "{}", planned.text());
    let absent = Facts { stored_key: StoredKey::Absent, ..told };
    assert!(plan(&absent, &Wishes::default()).unwrap().is_empty());
}

/// A folder of a test's own with programs; gone when dropped.
pub(super) struct Folder(pub PathBuf);

impl Folder {
    pub fn new(name: &str) -> Folder {
        let folder = std::env::temp_dir().join(format!("mynah-setup-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(folder.join("bin")).unwrap();
        Folder(folder)
    }

    pub fn program(&self, name: &str, does: &str) {
        let file = self.0.join("bin").join(name);
        let text = format!("#!/bin/sh\necho \"{name} $*\" >> {}/calls\n{does}\n", self.0.display());
        // By another process: a program that this one has open for writing, be it for a moment in a child of another
        // test's, is refused as busy.
        let mut shell = std::process::Command::new("/bin/sh");
        shell.args(["-c", "printf %s \"$1\" > \"$0\" && chmod 755 \"$0\""]).arg(file).arg(text);
        assert!(shell.status().unwrap().success());
    }

    pub fn programs(&self) -> Programs {
        Programs::of(self.0.join("bin").as_os_str())
    }

    pub fn calls(&self) -> String {
        fs::read_to_string(self.0.join("calls")).unwrap_or_default()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn mode(place: &Place, path: &str) -> Option<u32> {
    Some(fs::metadata(place.at(path)).ok()?.permissions().mode() & 0o7777)
}

#[test]
fn the_key_is_encrypted_where_that_works_and_for_root_only_where_it_does_not() {
    let folder = Folder::new("key");
    let place = Place::below(folder.0.join("root"));
    let secret = key("very-secret");
    let step = Step { deed: Deed::StoreKey { key: secret.clone(), encrypts: true }, says: Vec::new() };
    folder.program("systemd-creds", "if [ $1 = encrypt ]; then echo sealed; cat; else tail -n +2; fi");
    for _ in 0..2 {
        assert_eq!(apply::step(&step, &place, &folder.programs()).unwrap(), None);
    }
    let creds = folder.programs().creds.unwrap();
    assert_eq!(key::stored(&place, Some(&creds)), StoredKey::Encrypted(Some(secret.clone())));
    assert_eq!((mode(&place, CREDENTIAL), mode(&place, PLAIN)), (Some(0o600), None));
    assert_eq!(place.text(KEY_CONF).unwrap().as_deref(), Some(CONF_ENCRYPTED));
    assert!(folder.calls().contains("systemd-creds encrypt --name=gemini_api_key - -\n"));
    assert!(!folder.calls().contains("very-secret"), "a key is no argument");

    // It fails, or does not give back what it was given.
    for does in ["echo no secure storage >&2; exit 1", "echo sealed; cat > /dev/null"] {
        folder.program("systemd-creds", does);
        let otherwise = apply::step(&step, &place, &folder.programs()).unwrap().unwrap();
        assert!(otherwise.contains("does not work here") && !otherwise.contains("very-secret"), "{otherwise}");
        assert_eq!((mode(&place, CREDENTIAL), mode(&place, PLAIN), mode(&place, KEY_CONF)), (None, Some(0o600), None));
        assert_eq!(key::stored(&place, Some(&creds)), StoredKey::Plain(Some(secret.clone())));
    }
}

#[test]
fn a_file_keeps_the_rights_that_its_owner_gave_it_and_the_profile_before_is_kept() {
    let folder = Folder::new("rights");
    let place = Place::below(folder.0.join("root"));
    let write =
        |text: &str| Step { deed: Deed::Write { path: BOARD, text: text.to_string(), mode: 0o644 }, says: Vec::new() };
    apply::step(&write("one\n"), &place, &Programs::default()).unwrap();
    assert_eq!((mode(&place, BOARD), mode(&place, "/etc/mynah")), (Some(0o644), Some(0o755)));
    fs::set_permissions(place.at(BOARD), fs::Permissions::from_mode(0o640)).unwrap();
    apply::step(&write("two\n"), &place, &Programs::default()).unwrap();
    assert_eq!(mode(&place, BOARD), Some(0o640));
    assert_eq!(place.text("/etc/mynah/board.toml.before").unwrap().as_deref(), Some("one\n"));
}

#[test]
fn a_link_of_an_image_does_not_lead_into_the_machine_that_makes_it() {
    let folder = Folder::new("links");
    let place = Place::below(folder.0.join("root"));
    let outside = folder.0.join("outside");
    fs::create_dir_all(place.at("/etc")).unwrap();
    fs::create_dir_all(place.at("/data/mynah")).unwrap();
    fs::create_dir_all(&outside).unwrap();
    let write = Step { deed: Deed::Write { path: BOARD, text: "one\n".into(), mode: 0o644 }, says: Vec::new() };
    std::os::unix::fs::symlink(&outside, place.at("/etc/mynah")).unwrap();
    let why = format!("{:#}", apply::step(&write, &place, &Programs::default()).unwrap_err());
    assert!(why.contains("a link leads out of") && why.contains("relative path"), "{why}");
    fs::write(outside.join("board.toml"), "the machine's own\n").unwrap();
    assert!(place.text(BOARD).is_err());
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 1);
    // Within the image it may lead anywhere.
    fs::remove_file(place.at("/etc/mynah")).unwrap();
    std::os::unix::fs::symlink("../data/mynah", place.at("/etc/mynah")).unwrap();
    apply::step(&write, &place, &Programs::default()).unwrap();
    assert_eq!(place.text("/data/mynah/board.toml").unwrap().as_deref(), Some("one\n"));
}

#[test]
fn systemctl_is_called_and_what_it_says_is_told() {
    let folder = Folder::new("systemctl");
    let place = Place::below(folder.0.join("root"));
    let arguments = vec!["enable".to_string(), "--now".to_string(), "mynah".to_string()];
    let step = Step { deed: Deed::Systemctl(arguments), says: Vec::new() };
    folder.program("systemctl", "exit 0");
    apply::step(&step, &place, &folder.programs()).unwrap();
    assert_eq!(folder.calls(), "systemctl enable --now mynah\n");
    folder.program("systemctl", "echo Unit is masked. >&2; exit 1");
    let why = apply::step(&step, &place, &folder.programs()).unwrap_err().to_string();
    assert!(why.contains("Unit is masked.") && why.contains("journalctl"), "{why}");
    assert!(apply::step(&step, &place, &Programs::default()).is_err());
}

#[test]
fn the_defaults_file_names_what_is_set() {
    let facts = Facts { defaults: Some(edit::with_variable("# x\n", "MYNAH_BOARD", "sim")), ..Facts::default() };
    assert_eq!(facts.board_now(), Some("sim"));
    assert_eq!(Facts::default().board_now(), None);
}

#[test]
fn who_chose_a_wake_word_is_told_how_to_teach_it() {
    let folder = Folder::new("word");
    let place = Place::below(folder.0.join("root"));
    let runs = Service { is_there: true, is_enabled: true, is_active: true, ..Service::default() };
    let wishes = Wishes { listen_mode: Some("wake_word".to_string()), ..Wishes::default() };
    let facts = facts(runs);
    let plan = plan(&facts, &wishes).unwrap();
    let said = super::next(&place, &plan, &facts, &wishes);
    let commands = "\n  sudo systemctl stop mynah\n  sudo mynah wake record --board sim --out /var/lib/mynah/wake.toml\n  \
                    sudo systemctl start mynah\n";
    assert!(said.contains(commands) && said.contains("only the button"), "{said}");
    fs::create_dir_all(place.at("/var/lib/mynah")).unwrap();
    fs::write(place.at("/var/lib/mynah/wake.toml"), "").unwrap();
    assert_eq!(super::next(&place, &plan, &facts, &wishes), "Say your word and ask something.");
}
