//! The simulated PWM outputs: what they were set to can be seen.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use super::lock;
use crate::config::board::pwm::PwmOutput;
use crate::hw::{LineTrouble, Pulse, Pwm};

/// Every output by name, with what it was last set to.
pub(super) struct Outputs(BTreeMap<String, (PwmOutput, Mutex<Option<Pulse>>)>);

impl Outputs {
    pub(super) fn new(outputs: &BTreeMap<String, PwmOutput>) -> Outputs {
        Outputs(outputs.iter().map(|(name, output)| (name.clone(), (output.clone(), Mutex::default()))).collect())
    }

    pub(super) fn pulse(&self, name: &str) -> Result<Option<Pulse>, LineTrouble> {
        self.0.get(name).map(|(_, pulse)| *lock(pulse)).ok_or_else(|| missing(name))
    }

    pub(super) fn open(this: &Arc<Outputs>, name: &str) -> Result<Box<dyn Pwm>, LineTrouble> {
        let (output, _) = this.0.get(name).ok_or_else(|| missing(name))?;
        Ok(Box::new(SimPwm { outputs: this.clone(), name: name.to_string(), output: output.clone() }))
    }
}

fn missing(name: &str) -> LineTrouble {
    LineTrouble::Pwm { what: name.to_string(), why: "the simulated board has no such output".to_string() }
}

struct SimPwm {
    outputs: Arc<Outputs>,
    name: String,
    output: PwmOutput,
}

impl Pwm for SimPwm {
    fn output(&self) -> &PwmOutput {
        &self.output
    }

    fn set(&mut self, pulse: Pulse) -> Result<(), LineTrouble> {
        let (_, last) = self.outputs.0.get(&self.name).ok_or_else(|| missing(&self.name))?;
        *lock(last) = Some(pulse);
        Ok(())
    }
}
