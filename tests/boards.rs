//! Every board profile of `board/` is read, is built in, and carries the shipped agent file.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeSet;
use std::path::Path;

use mynah::config::agent::{self, Agent, Keep};
use mynah::config::board::{self, Board, ColourOrder, Direction, Light, LineDriver, PixelChip};
use mynah::config::check;
use mynah::config::key::Need;

fn file_of(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn profiles() -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("board");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    files
        .filter_map(|file| file.strip_suffix(".toml").map(|name| (name.to_string(), format!("board/{file}"))))
        .collect()
}

fn parsed(name: &str, file: &str) -> Board {
    board::parse(&file_of(file), file, name).unwrap_or_else(|problems| panic!("{problems:#?}"))
}

#[test]
fn every_profile_is_valid_built_in_and_described() {
    let readme = file_of("board/README.md");
    let mut names = BTreeSet::new();
    for (name, file) in profiles() {
        parsed(&name, &file);
        assert_eq!(board::builtin(&name), Some(file_of(&file).as_str()), "{file} is not built in as it stands");
        assert!(readme.contains(&format!("| `{name}` |")), "{file} has no row in board/README.md");
        names.insert(name);
    }
    assert_eq!(names, board::builtin_names().map(str::to_string).collect());
    assert!(names.len() >= 5);
}

#[test]
fn the_shipped_agent_file_runs_on_every_board() {
    let agent = agent::parse(&file_of("systemd/mynah.toml"), "systemd/mynah.toml").expect("valid");
    for (name, file) in profiles() {
        let problems = check(&agent, &parsed(&name, &file));
        if name == "generic" {
            // Nobody knows what its lines lead to, so it has no lamp until its owner names one.
            assert!(!problems.is_empty(), "the lamp's tool");
            assert!(problems.iter().all(|problem| problem.message.contains("`sudo mynah setup` asks")), "{problems:?}");
        } else {
            assert_eq!(problems, [], "{name}");
        }
    }
}

#[test]
fn no_line_clashes_with_the_sound_on_the_header() {
    for (name, file) in profiles() {
        let profile = parsed(&name, &file);
        if profile.driver != LineDriver::Gpio {
            continue;
        }
        let mut taken: Vec<&str> = vec!["GPIO18", "GPIO19", "GPIO20", "GPIO21"]; // I2S
        match name.as_str() {
            "zero2w-i2s" => taken.extend(["GPIO16", "GPIO26"]), // the overlay's shut-down line, new and old
            // Codec, RGB LEDs, and the select lines that the SPI bus drives for nobody.
            "pi4-two-mic-hat" => taken.extend(["GPIO2", "GPIO3", "GPIO7", "GPIO8", "GPIO9", "GPIO10", "GPIO11"]),
            _ => {}
        }
        for (role, line) in &profile.lines {
            assert!(!taken.contains(&line.line.as_str()), "{name}: {role} is on {}", line.line);
        }
        assert_eq!(profile.lines["talk"].direction, Direction::Input, "{name}");
    }
}

#[test]
fn every_board_with_a_free_lamp_has_a_light() {
    for (name, file) in profiles() {
        let light = parsed(&name, &file).light;
        match name.as_str() {
            "generic" => assert_eq!(light, None, "its lines are not known"),
            "pi4-two-mic-hat" => {
                let Some(Light::Pixels(row)) = light else { panic!("{name}: {light:?}") };
                assert_eq!((row.chip, row.leds, row.order), (PixelChip::Apa102, 3, ColourOrder::Bgr));
            }
            _ => assert_eq!(light, Some(Light::Line), "{name}"),
        }
    }
}

/// The examples of board/README.md work as they stand, those of lights as is said there.
#[test]
fn the_documents_examples_are_valid() {
    let readme = file_of("board/README.md");
    let examples: Vec<&str> = readme.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    let lights: Vec<Light> = examples
        .iter()
        .filter_map(|example| {
            let text = format!("description = \"x\"\n[capture]\npcm = \"x\"\n[playback]\npcm = \"x\"\n{example}");
            let board = board::parse(&text, "board/README.md", "x").unwrap_or_else(|problems| panic!("{problems:#?}"));
            let has_some =
                board.light.is_some() || !board.lines.is_empty() || !board.sensors.is_empty() || !board.pwm.is_empty();
            assert!(has_some, "an example of nothing: {example}");
            board.light
        })
        .collect();
    assert!(matches!(&lights[..], [Light::Pwm(_), Light::Pixels(_)]), "{lights:?}");
    // What is said of absent keys.
    let Light::Pixels(row) = &lights[1] else { unreachable!("matched above") };
    assert_eq!((row.order, row.brightness_percent), (ColourOrder::Grb, 40));
}

/// The shipped file explains each key of the table, at the table's default.
#[test]
fn the_shipped_agent_file_shows_every_key_at_its_default() {
    let text = file_of("systemd/mynah.toml");
    let agent = agent::parse(&text, "systemd/mynah.toml").expect("valid");
    assert_eq!(Agent { tools: Vec::new(), ..agent.clone() }, Agent::default());

    // With the comment signs before keys taken away it must say the same once more.
    let is_key = |line: &str| {
        let key = line.split(" = ").next().unwrap_or_default();
        line.contains(" = ") && key.chars().all(|letter| letter.is_ascii_lowercase() || letter == '_')
    };
    let open: String = text
        .lines()
        .map(|line| line.strip_prefix("# ").filter(|rest| is_key(rest)).unwrap_or(line))
        .fold(String::new(), |all, line| all + line + "\n");
    let end = open.find("# Two more kinds").expect("the examples at the end");
    let open = &open[..end];
    let mut all = agent::parse(open, "systemd/mynah.toml, opened").unwrap_or_else(|problems| panic!("{problems:#?}"));
    // The optional ones have no default: what is written is an example.
    (all.limits.day_tokens, all.limits.day_usd) = (None, None);
    (all.session.compress_at_tokens, all.session.compress_to_tokens) = (None, None);
    (all.speak.sounds, all.wake.word_file) = (None, None);
    // The example of `presence` makes it a kiosk, which keeps nothing.
    assert_eq!(std::mem::replace(&mut all.session.keep, Keep::Handle), Keep::Nothing);
    assert_eq!(all.audit, agent.audit);
    assert_eq!((all.gestures, all.echo, all.wake), (agent.gestures, agent.echo, agent.wake));
    assert_eq!((all.listen, all.speak, all.limits), (agent.listen, agent.speak, agent.limits));
    assert_eq!((all.session, all.prices), (agent.session, agent.prices));

    for (section, key) in agent::read::keys() {
        // Two sections may have a key of one name.
        let is_it = |line: &&str| line.starts_with(&format!("{} = ", key.name()));
        let written: Vec<&str> = open.lines().filter(is_it).collect();
        assert!(!written.is_empty(), "[{section}] {} is not shown", key.name());
        if let Some(value) = key.default_toml().filter(|_| key.need() == Need::Defaults) {
            let default = format!("{} = {value}", key.name());
            assert!(written.contains(&default.as_str()), "[{section}] {default} is not among {written:?}");
        }
    }
}

/// The examples after "Two more kinds" and "Servers and programs" work on the simulated board once their comment signs are taken away.
#[test]
fn the_shipped_examples_of_tools_are_valid() {
    let text = file_of("systemd/mynah.toml");
    let (_, examples) = text.split_once("# Two more kinds").expect("the examples at the end");
    let (lines, servers) = examples.split_once("# Servers and programs").expect("more examples at the end");
    let (servers, broker) = servers.split_once("# Over MQTT").expect("and more");
    let (broker, _) = broker.split_once(OF_HOME).expect("and those of Home Assistant");
    let sim = board::parse(board::builtin("sim").expect("built in"), "board/sim.toml", "sim").expect("valid");
    for (examples, tools) in [(lines, 8), (servers, 3), (broker, 3)] {
        let open: String = examples
            .lines()
            .skip_while(|line| !line.starts_with("# ["))
            .map(|line| line.trim_start_matches("# ").trim_start_matches('#'))
            .fold(String::new(), |all, line| all + line + "\n");
        let agent = agent::parse(&open, "examples").unwrap_or_else(|problems| panic!("{problems:#?}\n{open}"));
        assert_eq!(agent.tools.len(), tools);
        assert_eq!(check(&agent, &sim), []);
    }
}

const OF_HOME: &str = "# Entities of [home_assistant]";

/// The example of a section and those of tools fit together once their comment signs are taken away.
#[test]
fn the_shipped_examples_of_home_assistant_are_valid() {
    let text = file_of("systemd/mynah.toml");
    let (_, section) = text.split_once("# Home Assistant, through its").expect("the section");
    let (section, _) = section.split_once("\n\n").expect("an end");
    let section = section.lines().filter_map(|line| line.strip_prefix("#   "));
    let (_, tools) = text.split_once(OF_HOME).expect("the tools");
    let tools =
        tools.lines().skip_while(|line| !line.starts_with("# [")).map(|line| line.trim_start_matches(['#', ' ']));
    let secrets = ["[secrets]", "home_assistant = \"/etc/mynah/home\"", "alarm_code = \"/etc/mynah/alarm\""];
    let open = secrets.into_iter().chain(section).chain(tools).collect::<Vec<_>>().join("\n");
    let agent = agent::parse(&open, "examples").unwrap_or_else(|problems| panic!("{problems:#?}\n{open}"));
    let names: Vec<&str> = agent.tools.iter().map(|tool| tool.name.as_str()).collect();
    assert_eq!(names, ["heat_bathroom", "disarm_alarm", "home_call", "home_state"]);
}

/// The indented examples of servers work once their comment signs are taken away.
#[test]
fn the_shipped_examples_of_servers_are_valid() {
    let text = file_of("systemd/mynah.toml");
    let (_, servers) = text.split_once("# Servers of the Model Context Protocol").expect("the servers");
    let (servers, _) = servers.split_once("\n\n").expect("an end");
    let lines = servers.lines().filter_map(|line| line.strip_prefix("#   ")).collect::<Vec<_>>().join("\n");
    let text = format!("[secrets]\ncalendar = \"/etc/mynah/calendar\"\n{lines}\n");
    let agent = agent::parse(&text, "examples").unwrap_or_else(|problems| panic!("{problems:#?}\n{text}"));
    let names: Vec<&str> = agent.mcp.iter().flat_map(|server| &server.allow).map(|tool| tool.name.as_str()).collect();
    assert_eq!(names, ["files_read_text_file", "find_manual", "files_write_file", "calendar_list_events"]);
}

/// The three users' examples fit the simulated board, and there is nothing in them that makes models fail.
#[test]
fn the_examples_of_the_three_users_are_valid() {
    let sim = board::parse(board::builtin("sim").expect("built in"), "board/sim.toml", "sim").expect("valid");
    for name in ["headset", "home", "kiosk"] {
        let file = format!("board/examples/{name}.toml");
        let agent = agent::parse(&file_of(&file), &file).unwrap_or_else(|problems| panic!("{problems:#?}"));
        assert_eq!(check(&agent, &sim), [], "{file}");
        assert_eq!(mynah::tools::lint::lint(&agent.tools), [], "{file}");
    }
}

/// So do those of watches, on the simulated board.
#[test]
fn the_shipped_examples_of_watches_are_valid() {
    let text = file_of("systemd/mynah.toml");
    let (_, watches) = text.split_once("# What the model is told by itself").expect("the watches");
    let (watches, _) = watches.split_once("\n\n").expect("an end");
    let lines = watches.lines().filter_map(|line| line.strip_prefix("#   ")).collect::<Vec<_>>().join("\n");
    let agent = agent::parse(&lines, "examples").unwrap_or_else(|problems| panic!("{problems:#?}\n{lines}"));
    assert_eq!(agent.watches.len(), 2);
    let sim = board::parse(board::builtin("sim").expect("built in"), "board/sim.toml", "sim").expect("valid");
    assert_eq!(check(&agent, &sim), []);
}

/// A default outside its own range would be a trap for whoever writes it into a file.
#[test]
fn every_default_satisfies_its_own_rule() {
    let mut seen = 0;
    let sections = [("[listen]", "listen"), ("[speak]", "speak"), ("[limits]", "limits"), ("", "")];
    for (section, key) in agent::read::keys() {
        let (Some(value), Some((head, _))) = (key.default_toml(), sections.iter().find(|(_, name)| *name == section))
        else {
            continue;
        };
        let text = format!("{head}\n{} = {value}\n", key.name());
        assert_eq!(agent::parse(&text, "default").as_ref(), Ok(&Agent::default()), "{text}");
        assert!(!key.doc().is_empty() && !key.rule().is_empty());
        seen += 1;
    }
    assert!(seen >= 20, "only {seen} keys have defaults");
}
