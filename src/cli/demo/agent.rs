//! The agent of the demo: the owner's, or the defaults, with the listening of the scene, and the tool that its script calls.

use serde_json::json;

use crate::config::agent::see::SeeMode;
use crate::config::agent::{Action, Agent, ButtonStyle, ListenMode, Tool, VoiceBargeIn, device};

/// Silence that ends a turn in the demo, ms: longer than the pause after "Hello!", shorter than one gets impatient.
const HANGOVER_MS: u32 = 700;

/// `base` as the demo wants it. `needs_lamp`: the scene's script calls `set_lamp`, and the board has a line for it; `has_echo`:
/// loudspeaker and microphone share a room, so that a voice must not cut a reply; `sees`: the model may look through the camera.
pub fn tuned(base: Agent, mode: ListenMode, needs_lamp: bool, has_echo: bool, sees: bool) -> Agent {
    let mut agent = base;
    agent.listen.mode = mode;
    agent.listen.button = ButtonStyle::Hold;
    agent.listen.hangover_ms = HANGOVER_MS;
    agent.listen.voice_barge_in = if has_echo { VoiceBargeIn::Off } else { VoiceBargeIn::On };
    // Beside the owner's own tools, which a script of ours does not know.
    let lamp = set_lamp();
    if needs_lamp && agent.tools.iter().all(|tool| tool.name != lamp.name) {
        agent.tools.push(lamp);
    }
    if sees && !agent.see.is_on() {
        agent.see.mode = SeeMode::OnRequest;
        agent.tools.push(device::look());
    }
    agent
}

fn set_lamp() -> Tool {
    Tool {
        description: "Switches the lamp on or off.".into(),
        parameters: Some(json!({
            "type": "OBJECT",
            "properties": {"on": {"type": "BOOLEAN", "description": "true switches it on"}},
            "required": ["on"]
        })),
        timeout_ms: 2000,
        ..Tool::new("set_lamp", Action::GpioSet { line: "lamp".into(), argument: "on".into() })
    }
}
