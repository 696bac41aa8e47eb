//! Where a job stands: a fold over its lines, the same while it is recorded, after a restart and in the report.

use serde_json::{Value, json};

use super::record::Entry;
use crate::config::procedure::{Procedure, Step};

/// What became of a step.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tick {
    /// Left out.
    pub is_skipped: bool,
    /// What was said about it.
    pub comment: Option<String>,
}

/// A measured value.
#[derive(Clone, Debug, PartialEq)]
pub struct Measured {
    /// What was measured.
    pub name: String,
    /// The value.
    pub value: f64,
    /// Its unit.
    pub unit: Option<String>,
    /// Whether it is not what the procedure wants.
    pub is_out_of_range: bool,
    /// Whether a step was ticked off with it.
    is_used: bool,
}

/// What a reading is worth.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Worth {
    /// What would be right, where the procedure says.
    pub wanted: Option<String>,
    /// Whether it is not.
    pub is_out_of_range: bool,
}

/// Where a job stands.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Progress {
    /// Its name.
    pub job: String,
    /// What it is, where somebody said so.
    pub title: Option<String>,
    /// By which procedure.
    pub procedure: Option<Procedure>,
    /// What became of its steps.
    pub ticks: Vec<Option<Tick>>,
    /// What was measured.
    pub readings: Vec<Measured>,
    /// Notes so far.
    pub notes: u32,
    /// Pictures so far, kept or not.
    pub stills: u32,
    /// What the kept ones take, bytes.
    pub still_bytes: u64,
    /// The last turn.
    pub turn: u32,
    /// Pictures since the last step.
    stills_since_step: u32,
}

impl Progress {
    /// Takes a line.
    pub fn take(&mut self, entry: &Entry) {
        match entry {
            Entry::Began { job } => self.job.clone_from(job),
            Entry::Titled { title, procedure } => {
                self.title = Some(title.clone());
                self.ticks = vec![None; procedure.as_ref().map_or(0, |procedure| procedure.steps.len())];
                self.procedure.clone_from(procedure);
            }
            Entry::Said { turn, .. } => self.turn = self.turn.max(*turn),
            Entry::Still { bytes, file, .. } => {
                self.stills += 1;
                self.stills_since_step += 1;
                self.still_bytes += if file.is_some() { *bytes } else { 0 };
            }
            Entry::Note { .. } => self.notes += 1,
            Entry::Reading { name, value, unit, is_out_of_range, .. } => self.readings.push(Measured {
                name: name.clone(),
                value: *value,
                unit: unit.clone(),
                is_out_of_range: *is_out_of_range,
                is_used: false,
            }),
            Entry::Step { step, is_skipped, comment } => self.tick(*step, *is_skipped, comment.clone()),
            _ => {}
        }
    }

    fn tick(&mut self, number: u32, is_skipped: bool, comment: Option<String>) {
        let wanted = self.step(number).and_then(|step| step.reading.as_ref()).map(|wanted| wanted.name.clone());
        if let Some(tick) = index(number).and_then(|index| self.ticks.get_mut(index)) {
            *tick = Some(Tick { is_skipped, comment });
            self.stills_since_step = 0;
        }
        for reading in
            self.readings.iter_mut().filter(|reading| wanted.as_ref().is_some_and(|w| same(w, &reading.name)))
        {
            reading.is_used = true;
        }
    }

    /// A step by its number.
    pub fn step(&self, number: u32) -> Option<&Step> {
        self.procedure.as_ref()?.steps.get(index(number)?)
    }

    /// The step that is to be done now, and its number.
    pub fn next(&self) -> Option<(u32, &Step)> {
        let index = self.ticks.iter().position(Option::is_none)?;
        let number = u32::try_from(index).ok()? + 1;
        Some((number, self.step(number)?))
    }

    /// What a reading is worth by the first open step that wants it.
    ///
    /// # Errors
    /// A sentence for the model where the unit is another one.
    pub fn worth(&self, name: &str, value: f64, unit: Option<&str>) -> Result<Worth, String> {
        let open = self.ticks.iter().zip(self.procedure.iter().flat_map(|procedure| &procedure.steps));
        let open = open.filter(|(tick, _)| tick.is_none()).filter_map(|(_, step)| step.reading.as_ref());
        let Some(wanted) = open.into_iter().find(|wanted| same(&wanted.name, name)) else {
            return Ok(Worth::default());
        };
        if let (Some(unit), Some(right)) = (unit, &wanted.unit)
            && !same(unit, right)
        {
            let why = format!(
                "not written: the procedure wants {} in {right}, not in {unit}; ask the technician for it in {right}",
                wanted.name
            );
            return Err(why);
        }
        let range = Some(wanted.range()).filter(|range| !range.is_empty());
        Ok(Worth { wanted: range, is_out_of_range: !wanted.is_met_by(value) })
    }

    /// Whether a step may be ticked off now.
    ///
    /// # Errors
    /// A sentence for the model that says what is missing.
    pub fn may_tick(&self, number: u32, is_skipped: bool, comment: Option<&str>) -> Result<(), String> {
        let Some(procedure) = &self.procedure else {
            return Err("this job has no procedure, so there are no steps: write a note instead".into());
        };
        let count = procedure.steps.len();
        let Some(step) = self.step(number) else {
            return Err(format!("there is no step {number}: the procedure has {count}"));
        };
        if index(number).is_some_and(|index| self.ticks.get(index).is_some_and(Option::is_some)) {
            return Err(format!("step {number} is ticked off already; {}", self.what_is_next()));
        }
        if self.next().is_some_and(|(next, _)| next != number) {
            return Err(format!("step {number} is not its turn yet: {}", self.what_is_next()));
        }
        let reason = "with outcome skipped and the technician's reason as comment";
        if is_skipped {
            let missing = format!("a step is left out only {reason}: ask for the reason");
            return comment.map(|_| ()).ok_or(missing);
        }
        if step.photo && self.stills_since_step == 0 {
            return Err(format!(
                "step {number} wants a picture, and none was taken since the step before: have the technician hold the \
                 camera there and look, then tick it off; or leave it out {reason}"
            ));
        }
        self.may_tick_by_reading(number, step, comment)
    }

    fn may_tick_by_reading(&self, number: u32, step: &Step, comment: Option<&str>) -> Result<(), String> {
        let Some(wanted) = &step.reading else { return Ok(()) };
        let (name, range) = (&wanted.name, wanted.range());
        let mut measured = self.readings.iter().rev().filter(|reading| same(name, &reading.name) && !reading.is_used);
        let Some(measured) = measured.next() else {
            let right = if range.is_empty() { String::new() } else { format!(" ({range})") };
            return Err(format!(
                "step {number} wants a reading of {name}{right}: ask for it and write it with `reading` first"
            ));
        };
        if !wanted.is_met_by(measured.value) && comment.is_none() {
            return Err(format!(
                "{name} is {}, but should be {range}: have it put right and read anew, or tick the step off with the \
                 technician's comment on it",
                measured.value
            ));
        }
        Ok(())
    }

    fn what_is_next(&self) -> String {
        match self.next() {
            Some((number, step)) => format!("next is step {number}: {}", step.text),
            None => "all steps are ticked off".into(),
        }
    }

    /// What the model is told after a step: how many are left, and the next one.
    pub fn told_next(&self) -> Value {
        let open = self.ticks.iter().filter(|tick| tick.is_none()).count();
        match self.next() {
            Some((number, step)) => json!({ "open_steps": open, "next": told_step(number, step) }),
            None if self.procedure.is_some() => json!({ "open_steps": 0, "next": "all steps are ticked off" }),
            None => json!({ "next": "this job has no procedure" }),
        }
    }

    /// What the model is told of the whole job.
    pub fn told(&self) -> Value {
        const READINGS_TOLD_MAX: usize = 20; // the last ones; all are in the report
        let steps = self.procedure.iter().flat_map(|procedure| &procedure.steps).zip(&self.ticks).zip(1..);
        let next = self.next().map(|(number, _)| number);
        let steps: Vec<Value> = steps
            .map(|((step, tick), number)| {
                let state = match tick {
                    Some(tick) if tick.is_skipped => "skipped",
                    Some(_) => "done",
                    None if next == Some(number) => "next",
                    None => "open",
                };
                let mut told = told_step(number, step);
                told["state"] = state.into();
                told
            })
            .collect();
        let readings = self.readings.iter().rev().take(READINGS_TOLD_MAX).rev();
        let readings: Vec<Value> = readings
            .map(|r| json!({ "name": r.name, "value": r.value, "unit": r.unit, "out_of_range": r.is_out_of_range }))
            .collect();
        json!({
            "job": self.job, "title": self.title, "steps": steps, "notes": self.notes, "readings": readings,
            "pictures": self.stills,
        })
    }
}

fn told_step(number: u32, step: &Step) -> Value {
    let mut told = json!({ "step": number, "do": step.text });
    if let Some(check) = &step.check {
        told["check"] = check.as_str().into();
    }
    if step.photo {
        told["wants_picture"] = true.into();
    }
    if let Some(wanted) = &step.reading {
        told["wants_reading"] = match wanted.range() {
            range if range.is_empty() => wanted.name.clone(),
            range => format!("{}, {range}", wanted.name),
        }
        .into();
    }
    told
}

fn index(number: u32) -> Option<usize> {
    usize::try_from(number.checked_sub(1)?).ok()
}

/// Whether two names mean the same thing: capitals, blanks and underlines are nothing that one says.
pub fn same(a: &str, b: &str) -> bool {
    let plain = |text: &str| -> String {
        text.chars()
            .filter(|letter| !letter.is_whitespace() && !"_-".contains(*letter))
            .flat_map(char::to_lowercase)
            .collect()
    };
    plain(a) == plain(b)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::config::procedure;
    use crate::job::record::Why;

    const PUMP: &str = r#"
title = "Service"
[[steps]]
text = "Close the valve"
photo = true
[[steps]]
text = "Read the flow pressure"
reading = "flow pressure"
unit = "bar"
min = 1
max = 2.5
[[steps]]
text = "Sign"
"#;

    fn job(entries: &[Entry]) -> Progress {
        let procedure = procedure::parse(PUMP, "pump").unwrap();
        let mut progress = Progress::default();
        progress.take(&Entry::Titled { title: "Mill Lane 4".into(), procedure: Some(procedure) });
        entries.iter().for_each(|entry| progress.take(entry));
        progress
    }
    fn still() -> Entry {
        Entry::Still { file: Some("x".into()), width: 1, height: 1, bytes: 7, why: Why::Looked }
    }
    fn reading(value: f64) -> Entry {
        let name = "Flow_Pressure".into();
        Entry::Reading { name, value, unit: None, comment: None, wanted: None, is_out_of_range: false }
    }
    fn step(step: u32) -> Entry {
        Entry::Step { step, is_skipped: false, comment: None }
    }

    #[test]
    fn a_step_is_ticked_off_in_its_turn_with_what_belongs_to_it() {
        let refused = |entries: &[Entry], number: u32, skipped: bool, comment: Option<&str>| {
            job(entries).may_tick(number, skipped, comment).unwrap_err()
        };
        assert!(refused(&[], 2, false, None).contains("next is step 1: Close the valve"));
        assert!(refused(&[], 9, false, None).contains("there is no step 9: the procedure has 3"));
        assert!(refused(&[], 0, false, None).contains("there is no step 0"));
        assert!(refused(&[], 1, false, None).contains("wants a picture"));
        assert!(refused(&[], 1, true, None).contains("ask for the reason"));
        assert_eq!(job(&[]).may_tick(1, true, Some("no light")), Ok(()));
        assert_eq!(job(&[still()]).may_tick(1, false, None), Ok(()));
        let second = [still(), step(1)];
        assert!(refused(&second, 1, false, None).contains("ticked off already; next is step 2"));
        assert!(refused(&second, 2, false, None).contains("wants a reading of flow pressure (1 to 2.5 bar)"));
        assert!(
            refused(&[still(), step(1), reading(3.0)], 2, false, None).contains("is 3, but should be 1 to 2.5 bar")
        );
        assert_eq!(job(&[still(), step(1), reading(3.0)]).may_tick(2, false, Some("valve worn")), Ok(()));
        assert_eq!(job(&[still(), step(1), reading(3.0), reading(2.5)]).may_tick(2, false, None), Ok(()));
        let all = [still(), step(1), reading(2.0), step(2), step(3)];
        assert!(refused(&all, 3, false, None).contains("all steps are ticked off"));
        assert!(Progress::default().may_tick(1, false, None).unwrap_err().contains("no procedure"));
    }

    #[test]
    fn a_picture_and_a_reading_count_for_one_step_only() {
        let mut twice = procedure::parse(PUMP, "pump").unwrap();
        twice.steps =
            vec![twice.steps[0].clone(), twice.steps[0].clone(), twice.steps[1].clone(), twice.steps[1].clone()];
        let mut progress = Progress::default();
        progress.take(&Entry::Titled { title: "x".into(), procedure: Some(twice) });
        progress.take(&still());
        progress.take(&step(1));
        assert!(progress.may_tick(2, false, None).is_err());
        progress.take(&still());
        progress.take(&step(2));
        progress.take(&reading(2.0));
        assert_eq!(progress.may_tick(3, false, None), Ok(()));
        progress.take(&step(3));
        assert!(progress.may_tick(4, false, None).is_err());
    }

    #[test]
    fn a_reading_is_judged_by_the_step_that_wants_it() {
        let worth = |value, unit| job(&[]).worth("flow pressure", value, unit);
        let wanted = || Some("1 to 2.5 bar".to_string());
        assert_eq!(worth(1.5, Some("Bar")), Ok(Worth { wanted: wanted(), is_out_of_range: false }));
        assert_eq!(worth(2.6, None), Ok(Worth { wanted: wanted(), is_out_of_range: true }));
        assert!(worth(30.0, Some("psi")).unwrap_err().contains("in bar, not in psi"));
        assert_eq!(job(&[]).worth("humidity", 30.0, Some("%")), Ok(Worth::default()));
    }

    #[test]
    fn what_is_told_says_where_it_stands() {
        let job = job(&[still(), step(1), reading(2.0)]);
        let told = job.told();
        let states: Vec<&str> =
            told["steps"].as_array().unwrap().iter().map(|s| s["state"].as_str().unwrap()).collect();
        assert_eq!(states, ["done", "next", "open"]);
        assert_eq!(job.told_next()["next"]["wants_reading"], "flow pressure, 1 to 2.5 bar");
        assert_eq!((job.told_next()["open_steps"].clone(), job.still_bytes), (json!(2), 7));
    }
}
