//! Sensors on a made-up `/sys`.

use std::os::unix::fs::symlink;

use super::*;
use crate::config::board::Sensor as Wish;

/// Gone when dropped.
struct Tree(PathBuf);

impl Tree {
    fn new(name: &str, files: &[(&str, &str)]) -> Tree {
        let sys = std::env::temp_dir().join(format!("mynah-sensor-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&sys);
        let tree = Tree(sys);
        files.iter().for_each(|(file, text)| tree.write(file, text));
        tree
    }

    fn write(&self, file: &str, text: &str) {
        let path = self.0.join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn read(&self, source: SensorSource) -> Result<Reading, String> {
        let wish = Wish { source, unit: None, scale: 1.0, offset: 0.0, min: None, max: None };
        open(&self.0, "probe", &wish).read().map_err(|trouble| trouble.to_string())
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn wire() -> SensorSource {
    SensorSource::OneWire { id: "28-0316a2797a5b".into() }
}
fn hwmon(chip: &str, channel: &str) -> SensorSource {
    SensorSource::Hwmon { chip: chip.into(), channel: channel.into() }
}
fn iio(device: &str, channel: &str) -> SensorSource {
    SensorSource::Iio { device: device.into(), channel: channel.into() }
}
fn reading(value: f64, unit: &str) -> Result<Reading, String> {
    Ok(Reading { value, unit: unit.into() })
}

#[test]
fn a_one_wire_thermometer_is_read_and_its_faults_are_told_apart() {
    let file = "bus/w1/devices/28-0316a2797a5b/w1_slave";
    let tree = Tree::new("wire", &[("bus/w1/devices/w1_bus_master1/w1_master_name", "")]);
    tree.write("bus/w1/devices/28-00000aaaaaaa/w1_slave", "");
    let missing = tree.read(wire()).unwrap_err();
    assert!(missing.contains("no 1-wire device 28-0316a2797a5b (there is 28-00000aaaaaaa)"), "{missing}");
    let bytes = "72 01 4b 46 7f ff 0e 10 57";
    for (verdict, milli, expected) in [
        ("57 YES", "23125", Ok(23.125)),
        ("57 YES", "-18062", Ok(-18.062)),
        ("57 NO", "23125", Err("checksum")),
        ("57 YES", "85000", Err("supply wire")),
        ("57 YES", "127937", Err("cannot be (-55 to 125")),
        ("57 YES", "warm", Err("without a temperature")),
    ] {
        tree.write(file, &format!("{bytes} : crc={verdict}\n{bytes} t={milli}\n"));
        match (tree.read(wire()), expected) {
            (Ok(read), Ok(value)) => assert_eq!(Ok(read), reading(value, "°C")),
            (Err(why), Err(word)) => assert!(why.starts_with("sensor probe: ") && why.contains(word), "{why}"),
            other => panic!("{verdict} {milli}: {other:?}"),
        }
    }
    let zeros = "00 00 00 00 00 00 00 00 00";
    tree.write(file, &format!("{zeros} : crc=00 YES\n{zeros} t=0\n"));
    assert!(tree.read(wire()).unwrap_err().contains("touches ground"));
    tree.write(file, "");
    assert!(tree.read(wire()).is_err());
}

#[test]
fn hwmon_channels_are_found_by_chip_and_by_label_whatever_their_number() {
    let tree = Tree::new(
        "hwmon",
        &[
            ("class/hwmon/hwmon0/name", "cpu_thermal\n"),
            ("class/hwmon/hwmon0/temp1_input", "48312\n"),
            ("class/hwmon/hwmon3/name", "ina226\n"),
            ("class/hwmon/hwmon3/in1_input", "12104\n"),
            ("class/hwmon/hwmon3/power1_input", "3300000\n"),
            ("class/hwmon/hwmon3/power1_label", "battery\n"),
        ],
    );
    assert_eq!(tree.read(hwmon("cpu_thermal", "temp1")), reading(48.312, "°C"));
    assert_eq!(tree.read(hwmon("ina226", "in1")), reading(12.104, "V"));
    assert_eq!(tree.read(hwmon("ina226", "battery")), reading(3.3, "W"));
    let why = tree.read(hwmon("ina226", "temp1")).unwrap_err();
    assert!(why.contains("no channel temp1 (there is in1, power1)"), "{why}");
    let why = tree.read(hwmon("lm75", "temp1")).unwrap_err();
    assert!(why.contains("no hwmon chip lm75 (there is cpu_thermal, ina226)"), "{why}");
}

#[test]
fn two_chips_of_one_name_are_told_apart_by_their_devices() {
    let tree = Tree::new("twins", &[]);
    for (number, device) in [(0, "1-0048"), (1, "1-0049")] {
        tree.write(&format!("class/hwmon/hwmon{number}/name"), "lm75\n");
        tree.write(&format!("class/hwmon/hwmon{number}/temp1_input"), &format!("{}\n", 20_000 + number));
        fs::create_dir_all(tree.0.join("devices").join(device)).unwrap();
        let link = tree.0.join(format!("class/hwmon/hwmon{number}/device"));
        symlink(format!("../../../devices/{device}"), link).unwrap();
    }
    let why = tree.read(hwmon("lm75", "temp1")).unwrap_err();
    assert!(why.contains("2 of the hwmon chip lm75") && why.contains("1-0048, 1-0049"), "{why}");
    assert_eq!(tree.read(hwmon("1-0049", "temp1")), reading(20.001, "°C"));
}

#[test]
fn iio_channels_are_read_processed_or_raw() {
    let tree = Tree::new(
        "iio",
        &[
            ("bus/iio/devices/iio:device0/name", "bme280\n"),
            ("bus/iio/devices/iio:device0/in_temp_input", "21480\n"),
            ("bus/iio/devices/iio:device0/in_pressure_input", "101.325000000\n"),
            ("bus/iio/devices/iio:device1/name", "mcp3208\n"),
            ("bus/iio/devices/iio:device1/in_voltage0_raw", "2048\n"),
            ("bus/iio/devices/iio:device1/in_voltage_scale", "0.805664062\n"),
            ("bus/iio/devices/iio:device1/in_voltage1_raw", "nothing\n"),
            ("bus/iio/devices/iio:device2/name", "hts221\n"),
            ("bus/iio/devices/iio:device2/in_temp_raw", "100\n"),
            ("bus/iio/devices/iio:device2/in_temp_offset", "-50\n"),
            ("bus/iio/devices/iio:device2/in_temp_scale", "400\n"),
        ],
    );
    assert_eq!(tree.read(iio("bme280", "temp")), reading(21.48, "°C"));
    assert_eq!(tree.read(iio("bme280", "pressure")), reading(1013.25, "hPa"));
    assert_eq!(tree.read(iio("mcp3208", "voltage0")), reading(1.65, "V"));
    assert_eq!(tree.read(iio("hts221", "temp")), reading(20.0, "°C"));
    let why = tree.read(iio("mcp3208", "voltage1")).unwrap_err();
    assert!(why.contains("\"nothing\", which is no number"), "{why}");
    let why = tree.read(iio("bme280", "voltage0")).unwrap_err();
    assert!(why.contains("no channel voltage0 (there is pressure, temp)"), "{why}");
}

#[test]
fn a_file_is_a_number_in_its_first_line() {
    let tree = Tree::new("file", &[("level", "42.5\nlitres\n"), ("empty", "")]);
    assert_eq!(tree.read(SensorSource::File(tree.0.join("level"))), reading(42.5, ""));
    assert!(tree.read(SensorSource::File(tree.0.join("empty"))).unwrap_err().contains("no number"));
    assert!(tree.read(SensorSource::File(tree.0.join("none"))).unwrap_err().contains("there is no "));
}
