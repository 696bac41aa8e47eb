//! What happens in the demo: scenes as lists of steps, each waiting for what it needs, none for a fixed time.

use std::time::Duration;

use crate::config::agent::ListenMode;
use crate::flow::What;

/// Something that must happen for the demo to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// `setupComplete`.
    LinkReady,
    /// A press arrived.
    Pressed,
    /// The gate opened.
    GateOpened,
    /// The user's turn was sent whole.
    WindowClosed,
    /// A reply is audible.
    ReplyHeard,
    /// A reply was heard to its end.
    ReplyDrained,
    /// The loudspeaker fell silent after a cut.
    ReplySilent,
    /// A tool answered.
    ToolAnswered,
    /// A picture was sent.
    StillSent,
    /// An output line became active.
    LampOn,
    /// The model's turn is over, or there was no answer.
    TurnOver,
}

impl Wanted {
    /// Whether `what` is it.
    pub fn is(self, what: &What) -> bool {
        matches!(
            (self, what),
            (Wanted::LinkReady, What::LinkReady { .. })
                | (Wanted::Pressed, What::Pressed)
                | (Wanted::GateOpened, What::GateOpened { .. })
                | (Wanted::WindowClosed, What::WindowClosed { .. })
                | (Wanted::ReplyHeard, What::ReplyHeard { .. })
                | (Wanted::ReplyDrained, What::ReplyDrained { .. })
                | (Wanted::ReplySilent, What::ReplySilent { .. })
                | (Wanted::ToolAnswered, What::ToolAnswered { result: Ok(_), .. })
                | (Wanted::StillSent, What::StillSent { .. })
                | (Wanted::LampOn, What::LineSet { active: true, .. })
                | (Wanted::TurnOver, What::TurnOver { .. } | What::NoAnswer { .. })
        )
    }

    /// In words, after "waiting for".
    pub fn words(self) -> &'static str {
        match self {
            Wanted::LinkReady => "the connection to be ready",
            Wanted::Pressed => "the button to be pressed",
            Wanted::GateOpened => "the gate to hear speech",
            Wanted::WindowClosed => "the question to be sent",
            Wanted::ReplyHeard => "a reply to be audible",
            Wanted::ReplyDrained => "the reply to be heard to its end",
            Wanted::ReplySilent => "silence after the interruption",
            Wanted::ToolAnswered => "the tool to answer",
            Wanted::StillSent => "a picture to be sent",
            Wanted::LampOn => "the lamp to be switched on",
            Wanted::TurnOver => "the model's turn to be over",
        }
    }
}

/// One step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Prints a sentence for the person.
    Tell(String),
    /// From here on events count for the [`Step::Await`]s that follow; earlier ones are forgotten.
    Listen,
    /// Presses the talk button.
    Press,
    /// Releases it.
    Release,
    /// Says a recording into the microphone, to its end.
    Say(&'static str),
    /// Does nothing for a while, as people do.
    Pause(Duration),
    /// Goes on when this has happened since [`Step::Listen`]. A miss ends the demo with a sentence.
    Await(Wanted, Duration),
    /// The same as a check of a part of the board (its name, and what to do): a miss is noted, and the demo goes on.
    Check(Wanted, Duration, &'static str, &'static str),
    /// A check without which nothing after it can be checked: a miss ends the scene.
    Need(Wanted, Duration, &'static str, &'static str),
}

/// A run of the daemon with a story.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scene {
    /// Its title.
    pub title: &'static str,
    /// What opens the gate in it.
    pub mode: ListenMode,
    /// Whether the model may look through the camera.
    pub sees: bool,
    /// The emulator's script.
    pub script: String,
    /// What happens.
    pub steps: Vec<Step>,
}

/// How long before and after speech the button is held: people press first and let go last.
const HOLD: Duration = Duration::from_millis(250);
/// How much of a reply is heard before it is interrupted.
const MID_REPLY: Duration = Duration::from_millis(2500);
/// Between turns.
const BREATH: Duration = Duration::from_millis(600);
/// For what a healthy daemon does in milliseconds; wide, because machines are busy.
const SOON: Duration = Duration::from_secs(10);
/// For a whole reply.
const REPLY: Duration = Duration::from_secs(30);
/// For a person who reads an instruction and acts.
const PERSON: Duration = Duration::from_secs(60);

const PUSH_TO_TALK: &str = include_str!("push_to_talk.txt");
const HANDS_FREE: &str = include_str!("hands_free.txt");
const LOOK: &str = include_str!("look.txt");
const CHECK: &str = include_str!("check.txt");

/// A scene on the simulated board, by the name a person gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum SceneName {
    /// Three questions with the button held; one answer is cut
    PushToTalk,
    /// The same without a button
    HandsFree,
    /// "What do you see?", with a drawn camera
    Look,
}

/// That scene on the simulated board; the first two where none is named.
pub fn simulated(name: Option<SceneName>) -> Vec<Scene> {
    match name {
        None => vec![push_to_talk(), hands_free()],
        Some(SceneName::PushToTalk) => vec![push_to_talk()],
        Some(SceneName::HandsFree) => vec![hands_free()],
        Some(SceneName::Look) => vec![look()],
    }
}

/// The emulator's script closes the connection unless the picture is seen in the turn that asks for it.
fn look() -> Scene {
    let seen = vec![
        Step::Await(Wanted::StillSent, SOON),
        Step::Await(Wanted::ToolAnswered, SOON),
        Step::Await(Wanted::ReplyDrained, REPLY),
        Step::Pause(2 * BREATH),
    ];
    let steps = [vec![Step::Await(Wanted::LinkReady, SOON)], ask_with_button("ask_see"), seen].concat();
    Scene { title: "Look", mode: ListenMode::PushToTalk, sees: true, script: LOOK.into(), steps }
}

fn ask_with_button(sound: &'static str) -> Vec<Step> {
    vec![
        Step::Listen,
        Step::Press,
        Step::Pause(HOLD),
        Step::Say(sound),
        Step::Await(Wanted::GateOpened, SOON),
        Step::Pause(HOLD),
        Step::Release,
        Step::Await(Wanted::WindowClosed, SOON),
    ]
}

fn push_to_talk() -> Scene {
    let heard_out = || vec![Step::Await(Wanted::ReplyDrained, REPLY), Step::Pause(BREATH)];
    let lamp = vec![Step::Await(Wanted::ToolAnswered, SOON), Step::Await(Wanted::LampOn, SOON)];
    let mid_reply = vec![Step::Await(Wanted::ReplyHeard, SOON), Step::Pause(MID_REPLY)];
    let cut = vec![Step::Await(Wanted::ReplySilent, SOON)];
    let steps = [
        vec![Step::Await(Wanted::LinkReady, SOON)],
        ask_with_button("ask_hello"),
        heard_out(),
        ask_with_button("ask_lamp"),
        lamp,
        heard_out(),
        ask_with_button("ask_bird"),
        mid_reply,
        ask_with_button("ask_stop"),
        cut,
        vec![Step::Await(Wanted::ReplyDrained, REPLY), Step::Pause(2 * BREATH)],
    ];
    Scene {
        title: "Push to talk",
        mode: ListenMode::PushToTalk,
        sees: false,
        script: PUSH_TO_TALK.into(),
        steps: steps.concat(),
    }
}

fn hands_free() -> Scene {
    let ask = |sound| {
        vec![
            Step::Listen,
            Step::Say(sound),
            Step::Await(Wanted::GateOpened, SOON),
            Step::Await(Wanted::WindowClosed, SOON),
        ]
    };
    let steps = [
        vec![Step::Await(Wanted::LinkReady, SOON), Step::Pause(BREATH)],
        ask("ask_bird"),
        vec![Step::Await(Wanted::ReplyHeard, SOON), Step::Pause(MID_REPLY)],
        ask("ask_stop"),
        vec![Step::Await(Wanted::ReplySilent, SOON), Step::Await(Wanted::ReplyDrained, REPLY), Step::Pause(2 * BREATH)],
    ];
    Scene {
        title: "Hands-free",
        mode: ListenMode::HandsFree,
        sees: false,
        script: HANDS_FREE.into(),
        steps: steps.concat(),
    }
}

/// The bundled questions with the button, against somebody's own emulator script.
pub fn scripted(script: String) -> Vec<Scene> {
    let turn = |sound| {
        let rest = vec![Step::Await(Wanted::TurnOver, PERSON), Step::Pause(BREATH)];
        [ask_with_button(sound), rest].concat()
    };
    let mut steps = vec![Step::Await(Wanted::LinkReady, SOON)];
    ["ask_hello", "ask_lamp", "ask_bird", "ask_stop"].into_iter().for_each(|sound| steps.extend(turn(sound)));
    vec![Scene { title: "Your script", mode: ListenMode::PushToTalk, sees: false, script, steps }]
}

const MIC_HINT: &str = "nothing loud enough arrived: check [capture] in the board profile (`mynah devices` lists the \
                        names) and the card's capture level (`alsamixer`); `mynah doctor` measures it";
const SPEAKER_HINT: &str =
    "no sound was played: check [playback] in the board profile (`mynah devices` lists the names) and `alsamixer`";
const BUTTON_HINT: &str = "no press arrived: check the wiring and the line `talk` in the board profile (`gpiomon` shows \
                           edges; with `gpioinfo` see who holds it)";
const LAMP_HINT: &str = "the line `lamp` was not switched: check it in the board profile";

/// The guided check of a real board: the emulated model repeats what it hears. `button` and `lamp` say whether the
/// profile has such lines.
pub fn check(script: Option<String>, button: bool, lamp: bool) -> Vec<Scene> {
    let how = if button { "hold the button, say something and let go" } else { "say something" };
    let mut steps = vec![
        Step::Await(Wanted::LinkReady, SOON),
        Step::Listen,
        Step::Tell(format!("Please {how}. You should hear a tone and then yourself.")),
    ];
    if button {
        steps.push(Step::Need(Wanted::Pressed, PERSON, "button", BUTTON_HINT));
    }
    steps.push(Step::Need(Wanted::WindowClosed, PERSON, "microphone", MIC_HINT));
    steps.push(Step::Check(Wanted::ReplyDrained, PERSON, "loudspeaker", SPEAKER_HINT));
    if lamp {
        steps.push(Step::Listen);
        steps.push(Step::Tell(format!("Once more: {how}. The lamp should blink.")));
        steps.push(Step::Check(Wanted::LampOn, PERSON, "lamp", LAMP_HINT));
        steps.push(Step::Check(Wanted::ReplyDrained, PERSON, "loudspeaker", SPEAKER_HINT));
    }
    let mode = if button { ListenMode::PushToTalk } else { ListenMode::HandsFree };
    vec![Scene {
        title: "Check of the board",
        mode,
        sees: false,
        script: script.unwrap_or_else(|| CHECK.into()),
        steps,
    }]
}
