//! Cards of made-up machines.
#![allow(clippy::unwrap_used)]

use std::os::unix::fs::symlink;

use super::*;

/// A machine whose files are in a folder of the test's own, gone when dropped.
struct Machine {
    root: PathBuf,
    listed: String,
}

impl Machine {
    fn new(name: &str) -> Machine {
        let root = std::env::temp_dir().join(format!("mynah-cards-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&root);
        fs::create_dir_all(root.join("proc/asound")).unwrap();
        // As `device_folder` sees it: without links in its own path.
        Machine { root: fs::canonicalize(root).unwrap(), listed: String::new() }
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// A card in the tree of devices, with the PCMs of both directions.
    fn card(&mut self, number: u32, id: &str, name: &str, device: &str) {
        self.listed += &format!(" {number} [{id:<15}]: USB-Audio - {name}\n                      {name} at usb\n");
        self.write("proc/asound/cards", &self.listed);
        fs::create_dir_all(self.root.join(device)).unwrap();
        fs::create_dir_all(self.root.join(format!("sys/class/sound/card{number}"))).unwrap();
        symlink(self.root.join(device), self.root.join(format!("sys/class/sound/card{number}/device"))).unwrap();
        for way in ["c", "p"] {
            let folder = format!("proc/asound/card{number}/pcm0{way}");
            self.write(&format!("{folder}/info"), "card: 0\nid: USB Audio\nname: USB Audio\n");
            self.write(&format!("{folder}/sub0/status"), "closed\n");
        }
    }

    /// … one behind a USB port, with a serial number or without.
    fn usb(&mut self, number: u32, id: &str, port: &str, serial: Option<&str>) {
        let device = format!("sys/devices/pci0/usb1/{port}");
        self.write(&format!("{device}/idVendor"), "0d8c\n");
        self.write(&format!("{device}/idProduct"), "0014\n");
        self.write(&format!("{device}/power/control"), "on\n");
        if let Some(serial) = serial {
            self.write(&format!("{device}/serial"), &format!("{serial}\n"));
        }
        self.card(number, id, "USB Audio Device", &format!("{device}/{port}:1.0"));
    }

    fn unplug_all(&mut self) {
        self.listed.clear();
        self.write("proc/asound/cards", "--- no soundcards ---\n");
        fs::remove_dir_all(self.root.join("sys")).unwrap();
    }

    fn cards(&self) -> Cards {
        Cards::below(&self.root)
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.root);
    }
}

fn usb(path: &str) -> CardName {
    CardName::Usb(path.into())
}

#[test]
fn a_card_is_found_by_port_serial_and_id_whatever_its_number() {
    let mut machine = Machine::new("find");
    for (headset, speakerphone) in [(0, 1), (1, 0)] {
        machine.card(2, "vc4hdmi0", "vc4-hdmi-0", "sys/devices/platform/soc/hdmi");
        machine.usb(headset, "Headset", "1-1.2", None);
        machine.usb(speakerphone, "Device", "1-1.3", Some("ABC 123"));
        let found = |name: &CardName| machine.cards().find(name).map(|card| card.number);
        assert_eq!(found(&usb("1-1.3")), Ok(speakerphone));
        assert_eq!(found(&CardName::Serial("ABC 123".into())), Ok(speakerphone));
        assert_eq!(found(&CardName::Id("Headset".into())), Ok(headset));
        assert_eq!(found(&CardName::Id("vc4hdmi0".into())), Ok(2));
        machine.unplug_all();
    }
}

#[test]
fn what_is_there_is_told_where_a_card_is_missing() {
    let mut machine = Machine::new("missing");
    let missing = |machine: &Machine| machine.cards().find(&usb("1-9")).unwrap_err();
    assert!(missing(&machine).contains("no sound card at all"));
    machine.usb(0, "Device", "1-1.3", None);
    assert!(missing(&machine).contains("only usb:1-1.3 (USB Audio Device)"), "{}", missing(&machine));
    machine.usb(1, "Device_1", "1-1.4", None);
    assert!(missing(&machine).contains("usb:1-1.3 (USB Audio Device), usb:1-1.4"), "{}", missing(&machine));
}

#[test]
fn two_cards_with_one_serial_number_are_not_mixed_up() {
    let mut machine = Machine::new("twins");
    machine.usb(0, "Device", "1-1.3", Some("0000"));
    machine.usb(1, "Device_1", "1-1.4", Some("0000"));
    let told = machine.cards().find(&CardName::Serial("0000".into())).unwrap_err();
    assert!(told.contains("2 cards") && told.contains("usb:1-1.3") && told.contains("usb:1-1.4"), "{told}");
}

#[test]
fn everything_a_card_is_known_by_is_read() {
    let mut machine = Machine::new("all");
    machine.usb(3, "Device", "1-1.3", Some("S"));
    let cards = machine.cards().list();
    assert_eq!(
        cards,
        [Card {
            number: 3,
            id: "Device".into(),
            name: "USB Audio Device".into(),
            usb_path: Some("1-1.3".into()),
            serial: Some("S".into()),
            usb_id: Some("0d8c:0014".into()),
            driver: Some("USB-Audio".into()),
        }]
    );
    let pcms = machine.cards().pcms(&cards[0]);
    assert_eq!(
        pcms.iter().map(|pcm| (pcm.device, pcm.way)).collect::<Vec<_>>(),
        [(0, Way::Capture), (0, Way::Playback)]
    );
    for name in ["hw:CARD=Device,DEV=0", "plughw:Device", "hw:Device,0"] {
        assert_eq!(machine.cards().of_alsa_name(name), Some((cards[0].clone(), 0)), "{name}");
    }
    for name in ["default", "hw:CARD=Other", "pulse"] {
        assert_eq!(machine.cards().of_alsa_name(name), None, "{name}");
    }
}

#[test]
fn who_holds_a_pcm_is_named_by_process_not_by_thread() {
    let mut machine = Machine::new("holder");
    machine.usb(0, "Device", "1-1.3", None);
    let card = machine.cards().list().remove(0);
    let held = |machine: &Machine| machine.cards().holder(&card, 0, Way::Capture);
    assert_eq!(held(&machine), None);
    machine.write("proc/asound/card0/pcm0c/sub0/status", "state: RUNNING\nowner_pid   : 815\ntrigger_time: 1.0\n");
    machine.write("proc/815/status", "Name:\tdata-loop.0\nTgid:\t812\nPid:\t815\n");
    machine.write("proc/812/comm", "pipewire\n");
    assert_eq!(held(&machine), Some(Holder { process: 812, name: "pipewire".into() }));
    assert_eq!(machine.cards().any_holder(Way::Capture), held(&machine));
    assert_eq!(machine.cards().any_holder(Way::Playback), None);
    let told = held(&machine).unwrap().sentence();
    assert_eq!(told, "pipewire (process 812) holds it: stop that program or give it another card");
    machine.write("proc/812/comm", "mynah\n");
    assert!(held(&machine).unwrap().sentence().contains("systemctl stop mynah"));
}

#[test]
fn a_card_that_may_sleep_says_by_which_setting() {
    let mut machine = Machine::new("sleep");
    machine.usb(0, "Device", "1-1.3", None);
    let card = machine.cards().list().remove(0);
    assert_eq!(machine.cards().sleep_setting(&card), None);
    machine.write("sys/devices/pci0/usb1/1-1.3/power/control", "auto\n");
    let expected = ("/sys/devices/pci0/usb1/1-1.3/power/control".to_string(), "auto".to_string());
    assert_eq!(machine.cards().sleep_setting(&card), Some(expected));
}

#[test]
fn odd_files_are_survived() {
    let machine = Machine::new("odd");
    assert_eq!(machine.cards().list(), []);
    machine.write("proc/asound/cards", "--- no soundcards ---\n 0 [\n x [a]: b\n 7 [x]: y\n");
    let cards = machine.cards().list();
    assert_eq!(cards.len(), 1, "{cards:?}");
    assert_eq!((cards[0].number, cards[0].name.as_str(), cards[0].usb_path.as_deref()), (7, "y", None));
}
