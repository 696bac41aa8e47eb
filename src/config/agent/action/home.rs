//! `action = { home_assistant = "call", … }`: a listed service of a listed entity of `[home_assistant]`, or its state.

use std::collections::BTreeMap;

use super::super::super::key::{Choice, Key, Need, Text, any_text};
use super::super::super::read::{Reader, Section, Sheet};
use super::super::super::several::Json;
use super::super::Action;
use super::super::body::Body;
use super::super::home::{Entities, Entity, check_field, find};
use super::super::template::{Piece, Places, Template};
use super::{Around, open};

/// What is done with an entity.
#[derive(Clone, Debug, PartialEq)]
pub struct HomeAction {
    /// What.
    pub verb: HomeVerb,
    /// Which: its name or id, or a place for it.
    pub entity: Template,
    /// The only ones that there are.
    pub entities: Entities,
}

/// What a Home Assistant action does.
#[derive(Clone, Debug, PartialEq)]
pub enum HomeVerb {
    /// Tells the state.
    State,
    /// Calls a service.
    Call {
        /// `light.turn_on` or `turn_on`.
        service: Template,
        /// What goes with it.
        data: BTreeMap<String, Body>,
    },
    /// Calls `turn_on` or `turn_off`, as a BOOLEAN argument says.
    Switch {
        /// The parameter's name.
        argument: String,
    },
    /// Calls what the argument `service` says, with all other arguments as data.
    Ready,
}

#[derive(Clone, Copy, PartialEq)]
enum Word {
    Call,
    State,
    Switch,
}

const VERB: Key<Choice<Word>> = Key {
    name: "home_assistant",
    kind: Choice {
        options: &[("call", Word::Call), ("switch", Word::Switch), ("state", Word::State)],
        default: Word::State,
    },
    need: Need::Required,
    doc: "What happens to the entity.",
};
const ENTITY: Key<Places> = Key {
    name: "entity",
    kind: Places { what: "an entity's name or id in [home_assistant]", chars_max: 255 },
    need: Need::Required,
    doc: "Which entity.",
};
const SERVICE: Key<Places> = Key {
    name: "service",
    kind: Places { what: "a service such as \"light.turn_on\"", chars_max: 128 },
    need: Need::Required,
    doc: "Call: one of the entity's services.",
};
const DATA: Key<Json> = Key {
    name: "data",
    kind: Json { what: "a table of what goes with the service" },
    need: Need::Optional,
    doc: "Call: what goes with it; `{argument}` and `{secret.name}` may stand in its texts.",
};
const ARGUMENT: Key<Text> = Key {
    name: "argument",
    kind: Text { what: "the name of a BOOLEAN parameter", chars_max: 64, check: any_text, default: "" },
    need: Need::Required,
    doc: "Switch: the BOOLEAN parameter that says on or off.",
};

/// `action = { home_assistant = "call", … }`.
pub const CALL: Sheet = Sheet { name: "tools.action", keys: &[&VERB, &ENTITY, &SERVICE, &DATA], tables: &[] };
/// `action = { home_assistant = "state", … }`.
pub const STATE: Sheet = Sheet { name: "tools.action", keys: &[&VERB, &ENTITY], tables: &[] };
/// `action = { home_assistant = "switch", … }`.
pub const SWITCH: Sheet = Sheet { name: "tools.action", keys: &[&VERB, &ENTITY, &ARGUMENT], tables: &[] };

pub(super) fn read(reader: &mut Reader<'_>, place: &Section<'_>, around: &Around<'_>) -> Option<Action> {
    let word = reader.find(place, &VERB)?;
    let sheet = match word {
        Word::Call => &CALL,
        Word::State => &STATE,
        Word::Switch => &SWITCH,
    };
    let at = open(reader, place, sheet);
    let entity = reader.get(&at, &ENTITY);
    check_text(reader, &at, around, ENTITY.name, &entity);
    let verb = match word {
        Word::State => HomeVerb::State,
        Word::Switch => HomeVerb::Switch { argument: switch_argument(reader, &at, around) },
        Word::Call => {
            let service = reader.get(&at, &SERVICE);
            check_text(reader, &at, around, SERVICE.name, &service);
            HomeVerb::Call { service, data: data(reader, &at, around) }
        }
    };
    let home = match around.home {
        Ok(Some(home)) => home,
        Ok(None) => {
            let message = "needs the section [home_assistant], with the entities that may be used".to_string();
            reader.object(&at, VERB.name, message);
            return None;
        }
        Err(_) => return None,
    };
    check_list(reader, &at, around, (&home.entities, &entity, &verb));
    Some(Action::Home(HomeAction { verb, entity, entities: home.entities.clone() }))
}

fn check_text(reader: &mut Reader<'_>, at: &Section<'_>, around: &Around<'_>, key: &str, text: &Template) {
    around.check_places(reader, at, key, text);
    around.check_scalars(reader, at, key, text);
    if text.secrets().next().is_some() {
        reader.object(at, key, "has a secret in it; secrets go into `data`".into());
    }
}

fn data(reader: &mut Reader<'_>, at: &Section<'_>, around: &Around<'_>) -> BTreeMap<String, Body> {
    let Some(value) = reader.find(at, &DATA) else { return BTreeMap::new() };
    let complaint = match value.as_object() {
        None => Some(format!("must be {}", DATA.kind.what)),
        Some(fields) => {
            fields.keys().find_map(|name| check_field(name).err().map(|why| format!("has `{name}`, which {why}")))
        }
    };
    let body = match complaint {
        None => Body::parse(value),
        Some(why) => Err(why),
    };
    match body {
        Ok(Body::Table(data)) => {
            for template in data.values().flat_map(Body::templates) {
                around.check_places(reader, at, DATA.name, template);
            }
            data
        }
        Ok(_) => BTreeMap::new(),
        Err(why) => {
            reader.object(at, DATA.name, why);
            BTreeMap::new()
        }
    }
}

fn switch_argument(reader: &mut Reader<'_>, at: &Section<'_>, around: &Around<'_>) -> String {
    let argument = reader.get(at, &ARGUMENT);
    if around.parameters.is_ok() && !argument.is_empty() {
        let kind = around.parameter(&argument).map(|(schema, is_required)| (schema["type"].as_str(), is_required));
        if kind != Some((Some("BOOLEAN"), true)) {
            let message = format!("names \"{argument}\", which must be a required BOOLEAN parameter of the tool");
            reader.object(at, ARGUMENT.name, message);
        }
    }
    argument
}

/// Notes entities and services that are certain to be asked for and are not listed.
fn check_list(
    reader: &mut Reader<'_>,
    at: &Section<'_>,
    around: &Around<'_>,
    (entities, entity, verb): (&[Entity], &Template, &HomeVerb),
) {
    let wanted = match entity.pieces() {
        [Piece::Text(text)] => vec![text.clone()],
        [Piece::Argument(name)] => {
            let words = around.parameter(name).and_then(|(schema, _)| schema["enum"].as_array());
            words.into_iter().flatten().filter_map(|word| word.as_str().map(String::from)).collect()
        }
        _ => Vec::new(),
    };
    let services: Vec<&str> = match verb {
        HomeVerb::Switch { .. } => vec!["turn_on", "turn_off"],
        HomeVerb::Call { service, .. } => match service.pieces() {
            [Piece::Text(text)] => vec![text],
            _ => Vec::new(),
        },
        HomeVerb::State | HomeVerb::Ready => Vec::new(),
    };
    for text in wanted {
        let Some(entity) = find(entities, &text) else {
            let known: Vec<&str> = entities.iter().map(|entity| entity.name.as_str()).collect();
            let message =
                format!("may be \"{text}\", which is not in [home_assistant], which has {}", known.join(", "));
            reader.object(at, ENTITY.name, message);
            continue;
        };
        if let Some(lacking) = services.iter().find(|service| entity.service(service).is_none()) {
            let message = format!("may be \"{text}\", whose `services` in [home_assistant] have no `{lacking}`");
            reader.object(at, ENTITY.name, message);
        }
    }
}
