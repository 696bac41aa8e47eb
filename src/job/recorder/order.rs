//! What a tool wants written: planned, written by whoever has the disk, and only then taken as done.

use serde_json::{Value, json};

use super::Recorder;
use crate::flow::JobOrder;
use crate::job::progress::Progress;
use crate::job::record::{End, Entry, bounded};
use crate::units::Time;

impl Recorder {
    /// The lines that an order makes; [`Recorder::done`] once they are on the disk. A job is begun for them first
    /// where there is none ([`Recorder::poll_output`] before they are written).
    ///
    /// # Errors
    /// A sentence for the model; nothing is to be written then.
    pub fn plan(&mut self, order: &JobOrder, now: Time) -> Result<Vec<Entry>, String> {
        self.handle_time(now);
        if matches!(order, JobOrder::End | JobOrder::Where) && self.job.is_none() {
            return Err("no job is recorded now; the next one begins when somebody speaks".into());
        }
        let lines = match order {
            JobOrder::Note { text } => vec![Entry::Note { text: bounded(text) }],
            JobOrder::Reading { name, value, unit, comment } => {
                let worth = self.progress(|progress| progress.worth(name, *value, unit.as_deref()))?;
                vec![Entry::Reading {
                    name: bounded(name),
                    value: *value,
                    unit: unit.as_deref().map(bounded),
                    comment: comment.as_deref().map(bounded),
                    wanted: worth.wanted,
                    is_out_of_range: worth.is_out_of_range,
                }]
            }
            JobOrder::Step { step, is_skipped, comment } => {
                self.progress(|progress| progress.may_tick(*step, *is_skipped, comment.as_deref()))?;
                let comment = comment.as_deref().map(bounded);
                vec![Entry::Step { step: *step, is_skipped: *is_skipped, comment }]
            }
            JobOrder::Start { title, procedure } => self.plan_start(title, procedure.as_deref(), now)?,
            JobOrder::End => vec![Entry::Ended { why: End::Asked }],
            JobOrder::Where => Vec::new(),
        };
        if !matches!(order, JobOrder::Where) {
            self.is_turn_past = false;
            self.begin(now);
        }
        self.flush(now);
        Ok(lines)
    }

    fn progress<T>(&self, look: impl FnOnce(&Progress) -> T) -> T {
        match &self.job {
            Some(job) => look(&job.progress),
            None => look(&Progress::default()),
        }
    }

    fn plan_start(&mut self, title: &str, procedure: Option<&str>, now: Time) -> Result<Vec<Entry>, String> {
        let title = bounded(title);
        let procedure = match procedure {
            None => None,
            Some(name) => {
                let known = self.settings.procedures.iter().find(|(known, _)| known == name);
                let names: Vec<&str> = self.settings.procedures.iter().map(|(name, _)| name.as_str()).collect();
                let names = if names.is_empty() { "none".to_string() } else { names.join(", ") };
                Some(known.ok_or_else(|| format!("there is no procedure of this name; there are: {names}"))?.1.clone())
            }
        };
        let (known, guide) = self.progress(|progress| (progress.title.clone(), progress.procedure.clone()));
        let adds_procedure = guide.is_none() && procedure.is_some();
        match known {
            Some(known) if known == title && (procedure.is_none() || procedure == guide) => return Ok(Vec::new()),
            Some(known) if known == title && adds_procedure => {}
            Some(_) => self.end(End::Another, now),
            None => {}
        }
        Ok(vec![Entry::Titled { title, procedure }])
    }

    /// The lines of an order are on the disk; answers what the model is told.
    pub fn done(&mut self, order: &JobOrder, lines: &[Entry]) -> Value {
        let Some(job) = &mut self.job else { return json!({ "written": true }) };
        lines.iter().for_each(|entry| job.progress.take(entry));
        let progress = &job.progress;
        let told = match order {
            JobOrder::Note { .. } => json!({ "written": true, "notes": progress.notes }),
            JobOrder::Reading { .. } => match lines {
                [Entry::Reading { wanted: Some(wanted), is_out_of_range, .. }, ..] => {
                    json!({ "written": true, "should_be": wanted, "in_range": !is_out_of_range })
                }
                _ => json!({ "written": true }),
            },
            JobOrder::Step { .. } => progress.told_next(),
            JobOrder::Start { .. } | JobOrder::Where => progress.told(),
            JobOrder::End => {
                let open: Vec<&str> = progress
                    .ticks
                    .iter()
                    .zip(progress.procedure.iter().flat_map(|procedure| &procedure.steps))
                    .filter(|(tick, _)| tick.is_none())
                    .map(|(_, step)| step.text.as_str())
                    .collect();
                json!({ "ended": progress.job, "steps_left_open": open })
            }
        };
        if matches!(order, JobOrder::End) {
            self.close();
            self.is_turn_past = true;
        }
        told
    }
}
