//! The simulated lines: a button is pressed by hand, a lamp is seen.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use super::{SimClock, lock};
use crate::hw::{Button, Clock, Edge, Input, LineTrouble, Output};

/// Edges kept for a reader, as many as the kernel keeps for a line by default.
const EDGES_MAX: usize = 16;

/// Every line by name.
pub(super) struct Lines {
    inputs: BTreeMap<String, Contact>,
    outputs: BTreeMap<String, Mutex<Lamp>>,
    clock: SimClock,
}

#[derive(Default)]
struct Contact {
    state: Mutex<ContactState>,
    moved: Condvar,
}

#[derive(Default)]
struct ContactState {
    active: bool,
    /// Whether somebody reads the edges.
    held: bool,
    edges: VecDeque<Edge>,
}

#[derive(Default)]
struct Lamp {
    active: bool,
    held: bool,
}

impl Lines {
    pub(super) fn new(inputs: &[String], outputs: &[String], clock: SimClock) -> Lines {
        Lines {
            inputs: inputs.iter().map(|name| (name.clone(), Contact::default())).collect(),
            outputs: outputs.iter().map(|name| (name.clone(), Mutex::default())).collect(),
            clock,
        }
    }

    pub(super) fn move_input(&self, name: &str, active: bool) -> Result<(), LineTrouble> {
        let contact = self.inputs.get(name).ok_or_else(|| missing(name))?;
        let mut state = lock(&contact.state);
        if state.active == active {
            return Ok(());
        }
        state.active = active;
        if state.held {
            if state.edges.len() >= EDGES_MAX {
                state.edges.pop_front();
            }
            state.edges.push_back(Edge { at: self.clock.now(), active });
        }
        contact.moved.notify_all();
        Ok(())
    }

    pub(super) fn level(&self, name: &str) -> Result<bool, LineTrouble> {
        match (self.inputs.get(name), self.outputs.get(name)) {
            (Some(contact), _) => Ok(lock(&contact.state).active),
            (None, Some(lamp)) => Ok(lock(lamp).active),
            (None, None) => Err(missing(name)),
        }
    }

    pub(super) fn open_button(this: &Arc<Lines>, name: &str) -> Result<Box<dyn Button>, LineTrouble> {
        let mut state = lock(&this.inputs.get(name).ok_or_else(|| missing(name))?.state);
        take(&mut state.held, name)?;
        state.edges.clear();
        Ok(Box::new(SimButton { lines: this.clone(), name: name.to_owned() }))
    }

    pub(super) fn open_output(this: &Arc<Lines>, name: &str) -> Result<Box<dyn Output>, LineTrouble> {
        let mut lamp = lock(this.outputs.get(name).ok_or_else(|| missing(name))?);
        take(&mut lamp.held, name)?;
        lamp.active = false;
        Ok(Box::new(SimOutput { lines: this.clone(), name: name.to_owned() }))
    }

    pub(super) fn open_input(this: &Arc<Lines>, name: &str) -> Result<Box<dyn Input>, LineTrouble> {
        this.level(name)?;
        Ok(Box::new(SimInput { lines: this.clone(), name: name.to_owned() }))
    }
}

fn missing(name: &str) -> LineTrouble {
    LineTrouble::Missing { line: name.to_owned() }
}

fn take(held: &mut bool, name: &str) -> Result<(), LineTrouble> {
    if std::mem::replace(held, true) {
        return Err(LineTrouble::Busy { line: name.to_owned(), holder: "this program".into() });
    }
    Ok(())
}

struct SimButton {
    lines: Arc<Lines>,
    name: String,
}

impl Button for SimButton {
    fn is_active(&mut self) -> Result<bool, LineTrouble> {
        self.lines.level(&self.name)
    }

    fn wait(&mut self, timeout: Duration) -> Result<Option<Edge>, LineTrouble> {
        let contact = self.lines.inputs.get(&self.name).ok_or_else(|| missing(&self.name))?;
        let mut state = lock(&contact.state);
        if state.edges.is_empty() && self.lines.clock.is_paced() {
            let waited = contact.moved.wait_timeout_while(state, timeout, |state| state.edges.is_empty());
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        Ok(state.edges.pop_front())
    }
}

impl Drop for SimButton {
    fn drop(&mut self) {
        if let Some(contact) = self.lines.inputs.get(&self.name) {
            lock(&contact.state).held = false;
        }
    }
}

struct SimOutput {
    lines: Arc<Lines>,
    name: String,
}

impl SimOutput {
    fn lamp(&self) -> Result<&Mutex<Lamp>, LineTrouble> {
        self.lines.outputs.get(&self.name).ok_or_else(|| missing(&self.name))
    }
}

impl Output for SimOutput {
    fn set(&mut self, active: bool) -> Result<(), LineTrouble> {
        lock(self.lamp()?).active = active;
        Ok(())
    }

    fn is_active(&mut self) -> Result<bool, LineTrouble> {
        Ok(lock(self.lamp()?).active)
    }
}

impl Drop for SimOutput {
    /// A line that nobody drives rests inactive.
    fn drop(&mut self) {
        if let Ok(lamp) = self.lamp() {
            *lock(lamp) = Lamp::default();
        }
    }
}

struct SimInput {
    lines: Arc<Lines>,
    name: String,
}

impl Input for SimInput {
    fn is_active(&mut self) -> Result<bool, LineTrouble> {
        self.lines.level(&self.name)
    }
}
