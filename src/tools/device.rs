//! What the device does with itself: loudness, silence, time, its own state.

use serde_json::{Map, Value, json};

use crate::config::agent::device::DeviceAction;
use crate::flow::Control;

/// What is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeviceWork {
    /// The core is told this, and the model that it was done.
    Control(Control, Told),
    /// Date and time are told.
    Time,
    /// The device's state is told.
    Status,
}

/// What the model is told of a [`Control`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// The loudness.
    Volume(u8),
    /// A sentence.
    Sentence(&'static str),
}

impl Told {
    /// As JSON.
    pub fn json(self) -> Value {
        match self {
            Told::Volume(percent) => json!({ "volume_percent": percent }),
            Told::Sentence(sentence) => json!({ "done": sentence }),
        }
    }
}

/// What `action` does with `args`, which were checked against its schema.
///
/// # Errors
/// A sentence for the model where the schema let something else through.
pub fn work(action: DeviceAction, args: &Map<String, Value>) -> Result<DeviceWork, String> {
    let control = |control, sentence| Ok(DeviceWork::Control(control, Told::Sentence(sentence)));
    match action {
        DeviceAction::Time => Ok(DeviceWork::Time),
        DeviceAction::Status => Ok(DeviceWork::Status),
        DeviceAction::Volume => {
            let percent = args.get("percent").and_then(Value::as_f64).filter(|percent| (0.0..=100.0).contains(percent));
            let Some(percent) = percent else { return Err("argument `percent` must be from 0 to 100".into()) };
            let percent = percent.round() as u8;
            Ok(DeviceWork::Control(Control::Volume(percent), Told::Volume(percent)))
        }
        DeviceAction::Mute => {
            control(Control::Mute(true), "the microphone is closed until somebody presses the button")
        }
        DeviceAction::Stop => control(Control::Stop, "silent; say nothing more"),
        DeviceAction::Repeat => control(Control::Repeat, "the last reply is played once more; say nothing more"),
        DeviceAction::End => control(Control::End, "the conversation ends when this reply has been heard"),
    }
}

impl DeviceWork {
    /// What would be done, for a rehearsal.
    pub fn describe(&self) -> String {
        match self {
            DeviceWork::Control(Control::Volume(percent), _) => format!("set the loudness to {percent} %"),
            DeviceWork::Control(Control::Mute(_), _) => "close the microphone".into(),
            DeviceWork::Control(Control::Stop, _) => "fall silent".into(),
            DeviceWork::Control(Control::Repeat, _) => "say the last reply once more".into(),
            DeviceWork::Control(..) => "end the conversation".into(),
            DeviceWork::Time => "tell the time".into(),
            DeviceWork::Status => "tell the device's state".into(),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::config::agent::{self, Action};

    #[test]
    fn each_tool_of_the_device_does_what_its_name_says() {
        let all = r#"device_tools = ["time", "volume", "mute", "stop", "repeat", "end", "status"]"#;
        let tools = agent::parse(all, "test").unwrap().tools;
        let done: Vec<(String, DeviceWork)> = tools
            .iter()
            .map(|tool| {
                let Action::Device(action) = tool.action else { panic!("{tool:?}") };
                let args = json!({"percent": 30}).as_object().unwrap().clone();
                (tool.name.clone(), work(action, &args).unwrap())
            })
            .collect();
        assert_eq!(done.len(), 7);
        let control = |name: &str| match done.iter().find(|(known, _)| known == name).unwrap() {
            (_, DeviceWork::Control(control, _)) => control.clone(),
            other => panic!("{other:?}"),
        };
        assert_eq!(control("set_volume"), Control::Volume(30));
        assert_eq!(control("mute_microphone"), Control::Mute(true));
        assert_eq!(control("stop_talking"), Control::Stop);
        assert_eq!(control("repeat_reply"), Control::Repeat);
        assert_eq!(control("end_conversation"), Control::End);
        assert!(crate::tools::lint::lint(&tools).is_empty(), "{:?}", crate::tools::lint::lint(&tools));
    }

    #[test]
    fn a_loudness_that_is_none_is_refused() {
        for percent in [json!(101), json!(-1), json!("loud"), Value::Null] {
            let args = json!({ "percent": percent }).as_object().unwrap().clone();
            assert!(work(DeviceAction::Volume, &args).is_err(), "{percent}");
        }
    }
}
