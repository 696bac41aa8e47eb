//! The actions `pwm`: how bright, where a servo is on its way, how long a buzzer hums; and the pulses for it.

use std::time::Duration;

use serde_json::{Map, Value};

use crate::config::agent::action::pwm::{FREQUENCY_HZ, Pitch, PwmAction, PwmDeed};
use crate::config::board::pwm::{PwmKind, PwmOutput, Servo};
use crate::hw::Pulse;

/// A servo on its way gets a new place so often: it takes a pulse every 20 ms.
pub const STEP: Duration = Duration::from_millis(20);

/// What the sums of many steps are off by, degrees: no reason for a step more.
const HAIR: f64 = 1e-6;

/// All that a call does with its output.
#[derive(Clone, Debug, PartialEq)]
pub struct PwmPlan {
    /// The output.
    pub output: String,
    /// What is done.
    pub motion: Motion,
}

/// What is done with an output.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Motion {
    /// So bright, percent, 0–100.
    Dim(f64),
    /// Turn there.
    Turn {
        /// Degrees.
        to: f64,
        /// Degrees a second at most.
        slew: f64,
    },
    /// Hum.
    Buzz {
        /// How high, Hz.
        frequency_hz: u32,
        /// How long.
        duration: Duration,
    },
    /// Let go of it: a servo gets no more pulses.
    Release,
}

impl PwmPlan {
    /// Whether its output is as it leaves it until something else is done with it.
    pub fn stays(&self) -> bool {
        !matches!(self.motion, Motion::Buzz { .. })
    }

    /// What it does, in words.
    pub fn describe(&self) -> String {
        let output = &self.output;
        match self.motion {
            Motion::Dim(percent) => format!("dim `{output}` to {percent} percent"),
            Motion::Release => format!("let go of `{output}`"),
            Motion::Turn { to, .. } => format!("turn `{output}` to {to} degrees"),
            Motion::Buzz { frequency_hz, duration } => {
                format!("have `{output}` hum at {frequency_hz} Hz for {} ms", duration.as_millis())
            }
        }
    }
}

/// Lets go of what `action` holds.
pub fn release(action: &PwmAction) -> PwmPlan {
    PwmPlan { output: action.output.clone(), motion: Motion::Release }
}

/// What `action` does with `args`.
///
/// # Errors
/// A sentence for the model where the schema let something else through.
pub fn plan(action: &PwmAction, args: &Map<String, Value>) -> Result<PwmPlan, String> {
    let number = |name: &str| {
        let number = args.get(name).and_then(Value::as_f64).filter(|number| number.is_finite());
        number.ok_or_else(|| format!("argument `{name}` must be a number"))
    };
    let motion = match &action.deed {
        PwmDeed::Dim { argument } => Motion::Dim(number(argument)?.clamp(0.0, 100.0)),
        PwmDeed::Turn { argument, slew_deg_per_s } => Motion::Turn { to: number(argument)?, slew: *slew_deg_per_s },
        PwmDeed::Buzz { pitch, duration_ms } => {
            let [least, most] = FREQUENCY_HZ;
            let frequency_hz = match pitch {
                Pitch::Fixed(frequency_hz) => *frequency_hz,
                Pitch::Argument(name) => number(name)?.clamp(least.into(), most.into()) as u32,
            };
            Motion::Buzz { frequency_hz, duration: Duration::from_millis((*duration_ms).into()) }
        }
    };
    Ok(PwmPlan { output: action.output.clone(), motion })
}

/// The pulse of an output that nobody looks after.
pub fn safe(output: &PwmOutput) -> Pulse {
    match &output.kind {
        PwmKind::Dimmer { frequency_hz, safe_percent } => dimmed(*frequency_hz, (*safe_percent).into()),
        PwmKind::Servo(servo) => Pulse { period_ns: period_ns(servo.frequency_hz), on_ns: 0 },
        PwmKind::Buzzer => Pulse { period_ns: period_ns(FREQUENCY_HZ[1]), on_ns: 0 },
    }
}

/// The pulse of a dimmer, of the share of its power with which it looks so bright: about the square, as eyes go.
pub fn dimmed(frequency_hz: u32, percent: f64) -> Pulse {
    let seen = percent.clamp(0.0, 100.0) / 100.0;
    let period_ns = period_ns(frequency_hz);
    Pulse { period_ns, on_ns: (period_ns as f64 * seen * seen) as u64 }
}

/// The pulse of a buzzer: half on is loudest.
pub fn humming(frequency_hz: u32) -> Pulse {
    let period_ns = period_ns(frequency_hz);
    Pulse { period_ns, on_ns: period_ns / 2 }
}

/// The pulse with which a servo stands at `degrees`, or at its limit where that is nearer.
pub fn turned(servo: &Servo, degrees: f64) -> Pulse {
    let share = (within(servo, degrees) - servo.min_degrees) / (servo.max_degrees - servo.min_degrees);
    let us = f64::from(servo.min_us) + share * f64::from(servo.max_us - servo.min_us);
    let on_ns = (us * 1000.0).round() as u64;
    let (least, most) = (u64::from(servo.min_us) * 1000, u64::from(servo.max_us) * 1000);
    Pulse { period_ns: period_ns(servo.frequency_hz), on_ns: on_ns.clamp(least, most) }
}

/// Where a servo is next on its way from `at` to `to`. Where it is not known where it stands, it goes there at once: a
/// servo does not say.
pub fn next_place(servo: &Servo, at: Option<f64>, to: f64, slew: f64) -> f64 {
    let to = within(servo, to);
    let Some(at) = at else { return to };
    let step = slew * STEP.as_secs_f64();
    if (to - at).abs() <= step + HAIR { to } else { within(servo, at + step.copysign(to - at)) }
}

/// The nearest place that a servo may take.
pub fn within(servo: &Servo, degrees: f64) -> f64 {
    degrees.max(servo.min_degrees).min(servo.max_degrees)
}

fn period_ns(frequency_hz: u32) -> u64 {
    1_000_000_000 / u64::from(frequency_hz.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERVO: Servo = Servo { frequency_hz: 50, min_us: 1000, max_us: 2000, min_degrees: -30.0, max_degrees: 60.0 };

    #[test]
    fn a_servo_goes_in_steps_no_faster_than_it_may_and_arrives() {
        let mut at = next_place(&SERVO, None, -30.0, 90.0);
        assert_eq!(at, -30.0, "where it stands is not known");
        let mut steps = 0;
        while at != 60.0 {
            let next = next_place(&SERVO, Some(at), 60.0, 90.0);
            assert!(next > at && next - at <= 1.8 + 2e-6, "{at} {next}");
            (at, steps) = (next, steps + 1);
        }
        assert_eq!(steps, 50, "90 degrees at 90 degrees a second");
        assert_eq!(turned(&SERVO, 60.0), Pulse { period_ns: 20_000_000, on_ns: 2_000_000 });
        assert_eq!(turned(&SERVO, 15.0).on_ns, 1_500_000);
    }

    /// Wherever it is sent from wherever, no step and no pulse is outside the limits.
    #[test]
    fn a_servo_never_leaves_its_limits() {
        let wild = [f64::MIN, -1e9, -31.0, -30.0, 0.0, 59.9, 60.1, 1e9, f64::MAX, f64::NAN, f64::INFINITY];
        for from in wild {
            for to in wild {
                for slew in [1.0, 90.0, 1000.0] {
                    let mut at = Some(within(&SERVO, from));
                    for _ in 0..200 {
                        let next = next_place(&SERVO, at, to, slew);
                        assert!((-30.0..=60.0).contains(&next), "{from} {to} {slew}: {next}");
                        assert!((1_000_000..=2_000_000).contains(&turned(&SERVO, next).on_ns));
                        at = Some(next);
                    }
                }
                assert!((1_000_000..=2_000_000).contains(&turned(&SERVO, to).on_ns), "{to}");
            }
        }
    }

    #[test]
    fn brightness_goes_by_the_eye_and_safe_is_what_the_profile_says() {
        assert_eq!(dimmed(1000, 50.0), Pulse { period_ns: 1_000_000, on_ns: 250_000 });
        assert_eq!(
            (dimmed(1000, 0.0).on_ns, dimmed(1000, 100.0).on_ns, dimmed(1000, 1e9).on_ns),
            (0, 1_000_000, 1_000_000)
        );
        assert_eq!(humming(2000), Pulse { period_ns: 500_000, on_ns: 250_000 });
        let of = |kind| {
            let polarity = crate::config::board::Polarity::ActiveHigh;
            safe(&PwmOutput { pwm_chip: String::new(), pwm_channel: 0, polarity, kind }).on_ns
        };
        assert_eq!(of(PwmKind::Dimmer { frequency_hz: 1000, safe_percent: 100 }), 1_000_000);
        assert_eq!((of(PwmKind::Servo(SERVO)), of(PwmKind::Buzzer)), (0, 0));
    }
}
