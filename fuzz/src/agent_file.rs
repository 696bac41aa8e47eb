//! Whatever stands in a configuration file: read or refused with lines that are in it, as agent file and as board.

use mynah::config::{Problem, agent, board, check, locate};

/// Tries one input.
pub fn run(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match agent::parse(text, "mynah.toml") {
        Err(problems) => look_at(&problems, text),
        Ok(agent) => {
            let sim = board::builtin("sim").map(|text| board::parse(text, "board/sim.toml", "sim"));
            let Some(Ok(sim)) = sim else { panic!("the simulated board is built in") };
            let mut problems = check(&agent, &sim);
            locate(&mut problems, text, "mynah.toml");
        }
    }
    if let Err(problems) = board::parse(text, "board/x.toml", "x") {
        look_at(&problems, text);
    }
}

fn look_at(problems: &[Problem], text: &str) {
    let lines = text.split('\n').count();
    assert!(!problems.is_empty());
    for problem in problems {
        assert!((1..=lines).contains(&problem.line) && !problem.message.is_empty(), "{problem}");
    }
}
