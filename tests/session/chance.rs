//! Random conversations: any order of inputs that the world could give, against the rules of `rules.rs`.
//!
//! A run is a list of lines in the scripts' notation, so a failure is a script: paste it into a file.

use mynah::config::agent::see::SeeMode;
use proptest::prelude::*;

use crate::play::Game;

/// Any line, whether or not it makes sense now; [`Game::turn`] passes over what the world would not do.
fn line() -> impl Strategy<Value = String> {
    let length = prop_oneof![
        40 => Just("10ms"), 40 => Just("20ms"), 40 => Just("70ms"), 10 => Just("400ms"), 1 => Just("16s")
    ];
    let gate = prop_oneof![
        3 => Just("gate pressed".to_string()),
        2 => Just("gate released".to_string()),
        6 => Just("gate opened button".to_string()),
        8 => length.prop_map(|l| format!("gate speech {l}")),
        5 => Just("gate closed released".to_string()),
        1 => Just("gate closed mistake".to_string()),
        1 => Just("gate dropped only_silence".to_string()),
        1 => Just("gate lost 30ms".to_string()),
        1 => Just("gate gesture repeat".to_string()),
        1 => Just("gate gesture look".to_string()),
        1 => Just("gate gesture mute".to_string()),
        1 => Just("gate gesture reset".to_string()),
        1 => Just("gate suspect".to_string()),
    ];
    let person = prop_oneof![
        2 => Just("person mute".to_string()),
        3 => Just("person unmute".to_string()),
        1 => Just("mic muted".to_string()),
        2 => Just("mic unmuted".to_string()),
        1 => Just("person stop".to_string()),
        1 => Just("person repeat".to_string()),
        1 => Just("person reset".to_string()),
        1 => Just("person end".to_string()),
        1 => Just("person listen".to_string()),
        2 => Just("person tell The freezer is warm.".to_string()),
        1 => Just("person louder 10".to_string()),
        2 => Just("person ring".to_string()),
        1 => Just("person ring no more".to_string()),
    ];
    let wait = prop_oneof![
        8 => (0u32..700).prop_map(|ms| format!("wait {ms}ms")),
        2 => (1u32..40).prop_map(|s| format!("wait {s}s")),
    ];
    let link = prop_oneof![
        8 => Just("link connected".to_string()),
        6 => Just("server setup".to_string()),
        1 => Just("link down network gone".to_string()),
        1 => Just("link down close 1007 Request contains an invalid argument.".to_string()),
        1 => Just("link down close 1011 You exceeded your current quota".to_string()),
        1 => Just("server <nonsense>".to_string()),
    ];
    let speaker = (0u32..3, 1u32..5).prop_map(|(kind, epoch)| match kind {
        0 => format!("speaker started {epoch}"),
        1 => format!("speaker drained {epoch} 1s"),
        _ => format!("speaker flushed {epoch} 1s"),
    });
    let eyes = (0u32..700).prop_map(|ms| format!("eyes speaking {ms}ms"));
    let tool = (0u32..4).prop_map(|id| format!("tool c{id} lamp ok 1"));
    let tools = prop::sample::select(vec!["tools", "tools clock", "tools clock radio"]).prop_map(String::from);
    prop_oneof![20 => gate, 16 => wait, 12 => link, 32 => event(), 8 => speaker, 8 => tool, 8 => eyes, 2 => person, 1 => tools]
}

/// A server event: any mix of fields.
fn event() -> impl Strategy<Value = String> {
    let field = prop_oneof![
        80 => (1u32..40).prop_map(|ms| format!("audio {ms}ms")),
        10 => Just("audio 3bytes".to_string()),
        1 => Just("audio 31s@8000".to_string()),
        20 => Just("said hello".to_string()),
        20 => Just("heard hello".to_string()),
        30 => (0u32..4).prop_map(|id| format!("call c{id} lamp {{}}")),
        20 => (0u32..4).prop_map(|id| format!("cancel c{id}")),
        30 => Just("interrupted".to_string()),
        40 => Just("generated".to_string()),
        50 => Just("complete".to_string()),
        10 => Just("in_progress".to_string()),
        10 => Just("idle".to_string()),
        10 => Just("empty".to_string()),
        10 => Just("go_away 50s".to_string()),
    ];
    proptest::collection::vec(field, 1..4).prop_map(|fields| format!("server {}", fields.join(" + ")))
}

fn plays(model: &str, see: SeeMode, lines: &[String]) -> Result<(), String> {
    let mut game = Game::new(model, see);
    for line in lines {
        game.turn(line)?;
    }
    game.settle()
}

/// Enough to find most faults within seconds; `PROPTEST_CASES` asks for more.
fn cases() -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(1500)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_order_of_inputs_breaks_a_rule(
        is_ready in proptest::bool::weighted(0.8),
        is_extended in proptest::bool::weighted(0.2),
        see in prop::sample::select(vec![SeeMode::Off, SeeMode::OnRequest, SeeMode::WhileSpeaking]),
        lines in proptest::collection::vec(line(), 0..120),
    ) {
        let model = if is_extended { "gemini-3.8-live-extended-thinking" } else { "gemini-3.8-live" };
        let begin: &[&str] = if is_ready { &["start", "link connected", "server setup"] } else { &["start"] };
        let lines: Vec<String> = begin.iter().map(|l| l.to_string()).chain(lines).collect();
        if let Err(why) = plays(model, see, &lines) {
            prop_assert!(false, "{why}\nwith {model}, see {see:?}:\n{}", lines.join("\n"));
        }
    }
}
