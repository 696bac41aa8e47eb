//! Lines, PWM outputs and sensors: each is there, may be used, and nobody else has it.

use super::report::Check;
use crate::config::board::{self, Direction, Light, LineDriver};
use crate::hw::{Board, LineTrouble, SensorTrouble};

/// A check for each line, PWM output and sensor of the profile, and for a light that is no line. An output is made inactive for a moment, its
/// state of rest.
pub fn lines(board: &dyn Board, profile: &board::Board) -> Vec<Check> {
    let lines = profile.lines.iter().map(|(name, line)| line_check(board, profile, name, line));
    let outputs = profile.pwm.keys().map(|name| pwm_check(board, name));
    let sensors = profile.sensors.keys().map(|name| sensor_check(board, name));
    lines.chain(light(board, profile)).chain(outputs).chain(sensors).collect()
}

fn pwm_check(board: &dyn Board, name: &str) -> Check {
    let title = format!("output {name}");
    match board.open_pwm(name) {
        Ok(_) => Check::ok(title, "PWM, can be driven"),
        Err(trouble) => Check::bad(title, figure(&trouble), format!("{trouble} ([pwm.{name}])")),
    }
}

fn sensor_check(board: &dyn Board, name: &str) -> Check {
    let title = format!("sensor {name}");
    match board.open_sensor(name).and_then(|mut sensor| sensor.read()) {
        Ok(reading) => Check::ok(title, format!("{} {}", reading.value, reading.unit).trim().to_string()),
        Err(trouble) => {
            let figure = if matches!(trouble, SensorTrouble::Missing { .. }) { "not there" } else { "does not work" };
            Check::bad(title, figure, format!("{trouble} ([sensors.{name}])"))
        }
    }
}

fn light(board: &dyn Board, profile: &board::Board) -> Option<Check> {
    let kind = match profile.light.as_ref()? {
        Light::Line => return None, // its line is looked at with the others
        Light::Pwm(_) => "an LED on a PWM channel",
        Light::Pixels(_) => "LEDs on an SPI bus",
    };
    Some(match board.open_light() {
        Ok(_) => Check::ok("light", kind),
        Err(trouble) => Check::bad("light", figure(&trouble), format!("{trouble} ([light])")),
    })
}

fn line_check(board: &dyn Board, profile: &board::Board, name: &str, line: &board::Line) -> Check {
    let level = match line.direction {
        Direction::Input => board.open_input(name).and_then(|mut input| input.is_active()).map(Some),
        Direction::Output => board.open_output(name).map(|_| None),
    };
    let (title, own) = (format!("line {name}"), &line.line);
    let place = if profile.driver == LineDriver::Gpio { format!("{own}, ") } else { String::new() };
    match level {
        Ok(Some(true)) if name == board::MUTE => Check::warn(
            title,
            format!("{place}input, active"),
            "the microphone is closed by the mute line: move the switch, or look at `polarity` and `bias` of [lines.mute]",
        ),
        Ok(Some(true)) if name == board::TALK => Check::warn(
            title,
            format!("{place}input, active"),
            "the button is held, or `polarity` or `bias` of [lines.talk] is wrong: untouched it must be inactive",
        ),
        Ok(Some(is_active)) => {
            Check::ok(title, format!("{place}input, {}", if is_active { "active" } else { "inactive" }))
        }
        Ok(None) => Check::ok(title, format!("{place}output, can be driven")),
        Err(trouble) => Check::bad(title, figure(&trouble), advice(&trouble, name)),
    }
}

fn figure(trouble: &LineTrouble) -> &'static str {
    match trouble {
        LineTrouble::Missing { .. } => "not there",
        LineTrouble::Busy { .. } => "busy",
        LineTrouble::Denied { .. } => "no right",
        LineTrouble::Light { .. } | LineTrouble::Pwm { .. } | LineTrouble::Other { .. } => "does not work",
    }
}

fn advice(trouble: &LineTrouble, name: &str) -> String {
    match trouble {
        LineTrouble::Busy { holder, .. } if holder.contains("mynah") => {
            format!(
                "{trouble}. That is mynah itself: stop it first (`sudo systemctl stop mynah` where it is the service)"
            )
        }
        _ => format!("{trouble} ([lines.{name}])"),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::cli::doctor::report::Verdict;
    use crate::hw::sim::{SimBoard, SimClock, SimSetup};

    fn profile(rest: &str) -> board::Board {
        let text = board::builtin("sim").unwrap().to_string() + rest;
        board::parse(&text, "sim.toml", "sim").unwrap()
    }

    #[test]
    fn free_lines_are_ok_and_held_ones_name_their_holder() {
        let profile = profile("");
        let board = SimBoard::new(SimSetup::from_profile(&profile).unwrap(), SimClock::stepped());
        let held = board.open_output("lamp").unwrap();
        board.handle().press("mute").unwrap();
        let checks = lines(&board, &profile);
        let verdict = |name: &str| checks.iter().find(|check| check.name == format!("line {name}")).unwrap();
        assert_eq!(verdict("lamp").verdict, Verdict::Bad);
        assert!(verdict("lamp").advice.as_ref().unwrap().contains("this program holds it"), "{checks:#?}");
        assert_eq!(verdict("mute").verdict, Verdict::Warn);
        assert_eq!(verdict("door").figure, "output, can be driven");
        assert_eq!(verdict("talk").figure, "input, inactive");
        drop(held);
        assert_eq!(lines(&board, &profile).iter().filter(|check| check.verdict == Verdict::Bad).count(), 0);
    }

    #[test]
    fn sensors_and_pwm_outputs_are_looked_at_too() {
        let profile = profile("");
        let board = SimBoard::new(SimSetup::from_profile(&profile).unwrap(), SimClock::stepped());
        board.handle().set_sensor("freezer", 900.0).unwrap();
        let checks = lines(&board, &profile);
        let found = |name: &str| checks.iter().find(|check| check.name == name).unwrap();
        assert_eq!((found("output horn").verdict, found("sensor room").figure.as_str()), (Verdict::Ok, "20 °C"));
        assert_eq!(found("sensor freezer").verdict, Verdict::Bad);
        assert!(found("sensor freezer").advice.as_ref().unwrap().contains("[sensors.freezer]"));
    }

    #[test]
    fn a_line_that_mynah_holds_says_to_stop_it() {
        let busy = LineTrouble::Busy { line: "GPIO17".into(), holder: "`mynah`".into() };
        assert!(advice(&busy, "talk").contains("systemctl stop mynah"));
        let missing = LineTrouble::Missing { line: "GPIO17".into() };
        assert!(advice(&missing, "talk").contains("[lines.talk]"));
    }
}
