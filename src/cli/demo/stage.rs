//! The stage that a board is: orders go to its button and microphone, the daemon's events come back.

use std::io::Write;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};

use anyhow::{Context as _, anyhow, bail};

use super::TALK;
use super::director::Stage;
use super::ticker::Ticker;
use crate::cli::sounds;
use crate::flow::Event;
use crate::hw::Clock;
use crate::hw::sim::SimHandle;
use crate::units::Time;

/// Events kept for the artefacts: an hour of speech in 20 ms messages.
const EVENTS_MAX: usize = 200_000;

pub(super) struct BoardStage<'a> {
    pub(super) clock: Arc<dyn Clock>,
    /// The person's hands, on a simulated board.
    pub(super) hand: Option<SimHandle>,
    pub(super) receiver: Receiver<Event>,
    pub(super) ticker: &'a mut Ticker,
    pub(super) out: &'a mut dyn Write,
    pub(super) events: &'a mut Vec<Event>,
}

impl BoardStage<'_> {
    fn hand(&self) -> anyhow::Result<&SimHandle> {
        self.hand.as_ref().context("a real board has no simulated hand: a person presses and speaks")
    }

    fn print(&mut self, text: &str) -> anyhow::Result<()> {
        self.out.write_all(text.as_bytes())?;
        Ok(self.out.flush()?)
    }

    fn take(&mut self, event: &Event) -> anyhow::Result<()> {
        let lines = self.ticker.handle_event(event);
        if self.events.len() < EVENTS_MAX {
            self.events.push(event.clone());
        }
        if lines.is_empty() { Ok(()) } else { self.print(&lines) }
    }

    /// Takes what the daemon told while it stopped.
    pub(super) fn take_rest(&mut self) -> anyhow::Result<()> {
        while let Ok(event) = self.receiver.try_recv() {
            self.take(&event)?;
        }
        Ok(())
    }
}

impl Stage for BoardStage<'_> {
    fn now(&self) -> Time {
        self.clock.now()
    }

    fn press(&mut self) -> anyhow::Result<()> {
        Ok(self.hand()?.press(TALK)?)
    }

    fn release(&mut self) -> anyhow::Result<()> {
        Ok(self.hand()?.release(TALK)?)
    }

    fn say(&mut self, sound: &'static str) -> anyhow::Result<Time> {
        let recording = sounds::named(sound).ok_or_else(|| anyhow!("there is no recording {sound}"))?;
        let (frames, rate) = recording.frames()?;
        let until = self.hand()?.say(&frames, rate)?;
        let line = self.ticker.line(self.clock.now(), "voice", &format!("says \"{}\"", recording.text));
        self.print(&line)?;
        Ok(until)
    }

    fn tell(&mut self, text: &str) {
        // A closed terminal is noticed at the next line of the timeline.
        let _ = self.print(&format!("\n   >>> {text}\n\n"));
    }

    fn next_event(&mut self, until: Time) -> anyhow::Result<Option<Event>> {
        match self.receiver.recv_timeout(until.since(self.clock.now())) {
            Ok(event) => {
                self.take(&event)?;
                Ok(Some(event))
            }
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => bail!("the daemon ended in the middle of the scene"),
        }
    }
}
