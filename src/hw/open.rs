//! A real board from its profile: ALSA for sound, the profile's driver for lines.

use std::path::Path;
use std::sync::Arc;

use super::{
    Board, Button, Camera, CameraTrouble, Capture, Clock, Input, Light, LineLight, LineTrouble, Output, Playback, Pwm,
    Sensor, SensorTrouble,
};
use super::{camera, files, gpio, pixels, pwm, sensor};
use crate::audio::trouble::PcmTrouble;
use crate::config::board::{self, Direction, Line, LineDriver};

/// The board that `profile` describes. Opens nothing yet; `clock` stamps the edges.
pub fn open(profile: board::Board, clock: Arc<dyn Clock>) -> Arc<dyn Board> {
    Arc::new(Opened { profile, clock })
}

struct Opened {
    profile: board::Board,
    clock: Arc<dyn Clock>,
}

impl Opened {
    /// The profile's entry for a line, which must go in the wanted direction.
    fn line(&self, name: &str, wanted: Direction) -> Result<&Line, LineTrouble> {
        let Some(line) = self.profile.lines.get(name) else {
            let why = format!("board `{}` has no such line; add [lines.{name}] to its profile", self.profile.name);
            return Err(LineTrouble::Other { line: name.to_string(), why });
        };
        if line.direction == wanted {
            return Ok(line);
        }
        let (is, was) = match line.direction {
            Direction::Input => ("input", "output"),
            Direction::Output => ("output", "input"),
        };
        let why = format!("is an {is} of board `{}` and was wanted as {was}", self.profile.name);
        Err(LineTrouble::Other { line: name.to_string(), why })
    }

    fn simulated(&self, name: &str) -> LineTrouble {
        let why =
            format!("lines of board `{}` are simulated (driver = \"sim\"): use the simulated board", self.profile.name);
        LineTrouble::Other { line: name.to_string(), why }
    }
}

impl Board for Opened {
    fn open_capture(&self) -> Result<Box<dyn Capture>, PcmTrouble> {
        super::alsa::open_capture(&self.profile.capture)
    }

    fn open_playback(&self) -> Result<Box<dyn Playback>, PcmTrouble> {
        super::alsa::open_playback(&self.profile.playback)
    }

    fn open_button(&self, name: &str) -> Result<Box<dyn Button>, LineTrouble> {
        let line = self.line(name, Direction::Input)?;
        match &self.profile.driver {
            LineDriver::Gpio => gpio::open_button(line, name, self.clock.clone()),
            LineDriver::Files(folder) => files::open_button(folder, name, self.clock.clone()),
            LineDriver::Sim => Err(self.simulated(name)),
        }
    }

    fn open_output(&self, name: &str) -> Result<Box<dyn Output>, LineTrouble> {
        let line = self.line(name, Direction::Output)?;
        match &self.profile.driver {
            LineDriver::Gpio => gpio::open_output(line, name),
            LineDriver::Files(folder) => files::open_output(folder, name),
            LineDriver::Sim => Err(self.simulated(name)),
        }
    }

    fn open_input(&self, name: &str) -> Result<Box<dyn Input>, LineTrouble> {
        let line = self.line(name, Direction::Input)?;
        match &self.profile.driver {
            LineDriver::Gpio => gpio::open_input(line, name),
            LineDriver::Files(folder) => files::open_input(folder, name),
            LineDriver::Sim => Err(self.simulated(name)),
        }
    }

    fn open_light(&self) -> Result<Box<dyn Light>, LineTrouble> {
        match &self.profile.light {
            Some(board::Light::Pwm(wish)) => pwm::open(Path::new(pwm::CLASS), wish),
            Some(board::Light::Pixels(wish)) => pixels::open(wish),
            // Where the profile has none, the sentence about the line says what to add.
            Some(board::Light::Line) | None => Ok(Box::new(LineLight::new(self.open_output(board::LED)?))),
        }
    }

    fn open_pwm(&self, name: &str) -> Result<Box<dyn Pwm>, LineTrouble> {
        let Some(wish) = self.profile.pwm.get(name) else {
            let why = format!("board `{}` has no such output; add [pwm.{name}] to its profile", self.profile.name);
            return Err(LineTrouble::Pwm { what: name.to_string(), why });
        };
        pwm::open_output(Path::new(pwm::CLASS), name, wish)
    }

    fn open_camera(&self, extra_ca_pem: Option<&[u8]>) -> Result<Box<dyn Camera>, CameraTrouble> {
        camera::of(self.profile.camera.as_ref(), &self.profile.name, extra_ca_pem, self.clock.clone())
    }

    fn open_sensor(&self, name: &str) -> Result<Box<dyn Sensor>, SensorTrouble> {
        let Some(wish) = self.profile.sensors.get(name) else {
            let why = format!("board `{}` has no such sensor; add [sensors.{name}] to its profile", self.profile.name);
            return Err(SensorTrouble::Missing { sensor: name.to_string(), why });
        };
        Ok(sensor::open(Path::new(sensor::SYS), name, wish))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::units::Time;
    use std::time::Duration;

    struct Still;
    impl Clock for Still {
        fn now(&self) -> Time {
            Time::ZERO
        }
    }

    fn board_with(driver: &str, folder: &str) -> Arc<dyn Board> {
        let text = format!(
            "description = \"test\"\ndriver = \"{driver}\"\n{folder}\n[capture]\npcm = \"x\"\n[playback]\npcm = \"x\"\n\
             [lines.talk]\ndirection = \"input\"\nline = \"NO-SUCH-LINE\"\n[lines.lamp]\ndirection = \"output\"\nline = \"NONE\"\n"
        );
        open(board::parse(&text, "test.toml", "test").unwrap(), Arc::new(Still))
    }

    #[test]
    fn the_profiles_driver_opens_the_lines() {
        let folder = std::env::temp_dir().join(format!("mynah-open-{}", std::process::id()));
        let board = board_with("files", &format!("folder = \"{}\"", folder.display()));
        let mut talk = board.open_button("talk").unwrap();
        let mut lamp = board.open_output("lamp").unwrap();
        lamp.set(true).unwrap();
        assert_eq!(std::fs::read_to_string(folder.join("lamp")).unwrap(), "1\n");
        std::fs::write(folder.join("talk"), "1\n").unwrap();
        assert!(talk.wait(Duration::from_secs(5)).unwrap().unwrap().active);
        std::fs::remove_dir_all(&folder).unwrap();

        let missing = board_with("gpio", "").open_output("lamp").err().unwrap();
        assert!(matches!(missing, LineTrouble::Missing { .. } | LineTrouble::Denied { .. }), "{missing}");
        let simulated = board_with("sim", "").open_input("talk").err().unwrap();
        assert!(simulated.to_string().contains("simulated board"), "{simulated}");
    }

    #[test]
    fn the_light_is_the_line_led_unless_the_profile_names_another() {
        let folder = std::env::temp_dir().join(format!("mynah-open-light-{}", std::process::id()));
        let head = format!(
            "description = \"x\"\ndriver = \"files\"\nfolder = \"{}\"\n[capture]\npcm = \"x\"\n[playback]\npcm = \"x\"\n",
            folder.display()
        );
        let light_of = |rest: &str| {
            let profile = board::parse(&format!("{head}{rest}"), "test.toml", "test").unwrap();
            open(profile, Arc::new(Still)).open_light()
        };
        let mut light = light_of("[lines.led]\ndirection = \"output\"\n").unwrap();
        assert_eq!(light.lamps(), 1);
        let lit = |percent| crate::hw::Glow { percent, ..crate::hw::Glow::DARK };
        for (glows, level) in [(vec![], "0\n"), (vec![lit(50)], "1\n"), (vec![lit(49)], "0\n")] {
            light.show(&glows).unwrap();
            assert_eq!(std::fs::read_to_string(folder.join("led")).unwrap(), level);
        }
        std::fs::remove_dir_all(&folder).unwrap();

        let row = "[light]\nkind = \"ws2812\"\nspi_device = \"/dev/spidev-none\"\nleds = 3\n";
        assert!(light_of(row).err().unwrap().to_string().contains("/dev/spidev-none"));
        let lamp = "[light]\nkind = \"pwm\"\npwm_chip = \"no-such-chip\"\n";
        assert!(light_of(lamp).err().unwrap().to_string().contains("no-such-chip"));
        assert!(light_of("").err().unwrap().to_string().contains("add [lines.led]"));
    }

    #[test]
    fn a_line_of_the_wrong_direction_or_name_is_refused_with_a_sentence() {
        let board = board_with("gpio", "");
        let wrong = board.open_output("talk").err().unwrap().to_string();
        assert_eq!(wrong, "line talk: is an input of board `test` and was wanted as output");
        let unknown = board.open_button("bell").err().unwrap().to_string();
        assert_eq!(unknown, "line bell: board `test` has no such line; add [lines.bell] to its profile");
    }
}
