//! The two tools that are made from the allow list: `home_call` and `home_state`.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::super::super::read::{Reader, Section};
use super::super::action::Around;
use super::super::action::home::{HomeAction, HomeVerb};
use super::super::schema::Noted;
use super::super::template::Template;
use super::super::{Action, Behavior, Switch, Tool, policy};
use super::{Entity, HOME, HomeAssistant, Limits, TOOLS};

/// The names that the model sees.
const CALL: &str = "home_call";
const STATE: &str = "home_state";

/// The ready tools, where the owner wants them; `around` is that of all tools, without parameters.
pub(in super::super) fn ready(
    reader: &mut Reader<'_>,
    top: &Section<'_>,
    tools: &[Tool],
    around: &Around<'_>,
) -> Vec<Tool> {
    let Ok(Some(home)) = around.home else { return Vec::new() };
    if home.tools == Switch::Off {
        return Vec::new();
    }
    // Opened before, with its complaints.
    let section = Section {
        table: top.value(HOME.name).and_then(|value| value.get_ref().as_table()),
        path: HOME.name.into(),
        line: top.value(HOME.name).map_or(top.line, |value| reader.line_of(value)),
    };
    if let Some(taken) = tools.iter().find(|tool| tool.name == CALL || tool.name == STATE) {
        let message = format!(
            "adds a tool \"{}\", as one of [[tools]] is called already; rename that one, or choose tools = \"own\"",
            taken.name
        );
        reader.object(&section, TOOLS.name, message);
    }
    let mut ready = Vec::new();
    let able: Vec<&Entity> = home.entities.iter().filter(|entity| !entity.services.is_empty()).collect();
    if !able.is_empty() {
        let parameters = match call_parameters(&able) {
            Ok(parameters) => Ok(Some(parameters)),
            Err(why) => {
                reader.object(&section, "entities", why);
                Err(Noted)
            }
        };
        let action = action(home, HomeVerb::Ready);
        let own = Around { parameters: &parameters, ..*around };
        let policy = policy::policy(reader, &section, Behavior::Blocking, &action, &own);
        let parameters = parameters.ok().flatten();
        let description = call_description(&able);
        ready.push(Tool { description, parameters, policy, timeout_ms: around.timeout_ms, ..Tool::new(CALL, action) });
    }
    let action = action(home, HomeVerb::State);
    let parameters = Some(json!({
        "type": "OBJECT",
        "properties": {"entity": names(home.entities.iter())},
        "required": ["entity"],
    }));
    let description = state_description(&home.entities);
    ready.push(Tool { description, parameters, timeout_ms: around.timeout_ms, ..Tool::new(STATE, action) });
    ready
}

fn action(home: &HomeAssistant, verb: HomeVerb) -> Action {
    let entity = Template::parse("{entity}").unwrap_or_default();
    Action::Home(HomeAction { verb, entity, entities: home.entities.clone() })
}

fn names<'e>(entities: impl Iterator<Item = &'e Entity>) -> Value {
    let names: Vec<&str> = entities.map(|entity| entity.name.as_str()).collect();
    json!({"type": "STRING", "description": "its name", "enum": names})
}

/// Entity, service, and every field that any service takes.
fn call_parameters(able: &[&Entity]) -> Result<Value, String> {
    let mut services: Vec<String> = Vec::new();
    let mut fields: BTreeMap<&str, Limits> = BTreeMap::new();
    let mut users: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for service in able.iter().flat_map(|entity| &entity.services) {
        if !services.contains(&service.name()) {
            services.push(service.name());
        }
        for (field, limits) in &service.data {
            if matches!(field.as_str(), "entity" | "service") {
                return Err(format!("have a field `{field}`, which is taken; declare a tool of your own for it"));
            }
            let known = fields.get(field.as_str()).unwrap_or(limits);
            let both = known.with(limits).ok_or_else(|| {
                format!("have a field `{field}` of different kinds; give one a tool of your own, or tools = \"own\"")
            })?;
            fields.insert(field, both);
            let users = users.entry(field).or_default();
            if !users.contains(&service.name()) {
                users.push(service.name());
            }
        }
    }
    let mut properties = serde_json::Map::new();
    properties.insert("entity".into(), names(able.iter().copied()));
    let what = "what to do; one that the entity has";
    properties.insert("service".into(), json!({"type": "STRING", "description": what, "enum": services}));
    for (field, limits) in fields {
        let mut schema = limits.schema();
        let users = users.get(field).map(|users| users.join(", ")).unwrap_or_default();
        schema["description"] = json!(format!("only with {users}, where the entity takes it"));
        properties.insert(field.into(), schema);
    }
    Ok(json!({"type": "OBJECT", "properties": properties, "required": ["entity", "service"]}))
}

fn place(entity: &Entity) -> String {
    entity.area.as_ref().map(|area| format!(" ({area})")).unwrap_or_default()
}

fn call_description(able: &[&Entity]) -> String {
    let one = |entity: &&Entity| {
        let services: Vec<String> = entity
            .services
            .iter()
            .map(|service| {
                let data: Vec<String> =
                    service.data.iter().map(|(field, limits)| format!("{field} {}", limits.words())).collect();
                if data.is_empty() { service.name() } else { format!("{} [{}]", service.name(), data.join(", ")) }
            })
            .collect();
        format!("{}{}: {}", entity.name, place(entity), services.join(", "))
    };
    let list: Vec<String> = able.iter().map(one).collect();
    format!(
        "Operates a device of this home and tells its state afterwards. Call it only when the user asks for it. \
         Each device with its area and what it can do: {}.",
        list.join("; ")
    )
}

fn state_description(entities: &[Entity]) -> String {
    let list: Vec<String> = entities.iter().map(|entity| entity.name.clone() + &place(entity)).collect();
    format!(
        "Tells the present state of a device or sensor of this home. Call it when the user asks about one, rather than \
         guess. There are: {}.",
        list.join("; ")
    )
}
