//! Home Assistant: which service of which entity a call means, and whether the owner allows it.
//!
//! Pure. A [`HomeWork`] is made here and nowhere else, and only for a listed entity, a listed service of it and data
//! inside its limits; `message.rs` has the words of the protocol, `states.rs` what is known of the entities, `talk.rs`
//! one connection's course.

pub mod message;
pub mod states;
pub mod talk;

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Map, Value};

use super::{fill, shown};
use crate::config::agent::action::home::{HomeAction, HomeVerb};
use crate::config::agent::body::Body;
use crate::config::agent::home::{Entity, Service, check_field, find};

/// Who is asked, for sentences and for the breaker.
pub const PEER: &str = "Home Assistant";
/// What goes with a service; speech has no more to say.
const DATA_BYTES_MAX: usize = 8 * 1024;

/// What is asked of Home Assistant.
#[derive(Clone, Debug, PartialEq)]
pub struct HomeWork {
    /// The entity's id.
    pub id: String,
    /// What the model calls it.
    pub name: String,
    /// Where it is.
    pub area: Option<String>,
    /// What is called; only the state is wanted where absent.
    pub call: Option<ServiceCall>,
    /// When Home Assistant is given up: a little before the call is stopped, so that it counts for the breaker.
    pub patience: Duration,
}

/// A service and what goes with it.
#[derive(Clone, Debug, PartialEq)]
pub struct ServiceCall {
    /// `light` of `light.turn_on`.
    pub domain: String,
    /// `turn_on` of `light.turn_on`.
    pub service: String,
    /// What goes with it; only secrets are still places.
    pub data: BTreeMap<String, Body>,
}

impl HomeWork {
    /// What would be done.
    pub fn describe(&self) -> String {
        match &self.call {
            None => format!("read the state of {}", self.name),
            Some(call) => {
                let with: Vec<&str> = call.data.keys().map(String::as_str).collect();
                let with = if with.is_empty() { String::new() } else { format!(" with {}", with.join(", ")) };
                format!("call {}.{} for {}{with}", call.domain, call.service, self.name)
            }
        }
    }
}

/// What `action` asks with `args`.
///
/// # Errors
/// A sentence for the model, where the entity, the service or its data are not the owner's list's.
pub fn work(action: &HomeAction, args: &Map<String, Value>, timeout: Duration) -> Result<HomeWork, String> {
    let entity = entity(action, args)?;
    let call = match &action.verb {
        HomeVerb::State => None,
        HomeVerb::Switch { argument } => match args.get(argument) {
            Some(Value::Bool(on)) => Some(call(entity, if *on { "turn_on" } else { "turn_off" }, BTreeMap::new())?),
            _ => return Err(format!("argument `{argument}` must be true or false")),
        },
        HomeVerb::Call { service, data } => {
            let service = plain(fill::bind(service, args)?);
            let one = |(name, body): (&String, &Body)| Ok::<_, String>((name.clone(), fill::bind_body(body, args)?));
            Some(call(entity, &service, data.iter().map(one).collect::<Result<_, _>>()?)?)
        }
        HomeVerb::Ready => {
            let service = fill::text(args, "service")?;
            let given =
                args.iter().filter(|(name, value)| !matches!(name.as_str(), "entity" | "service") && !value.is_null());
            let data: BTreeMap<String, Body> =
                given.map(|(name, value)| (name.clone(), Body::Plain(value.clone()))).collect();
            let listed = allowed(entity, &service)?;
            if let Some(unknown) = data.keys().find(|name| !listed.data.contains_key(*name)) {
                return Err(unwanted(entity, listed, unknown));
            }
            Some(call(entity, &service, data)?)
        }
    };
    Ok(HomeWork {
        id: entity.id.clone(),
        name: entity.name.clone(),
        area: entity.area.clone(),
        call,
        patience: timeout - timeout / 20,
    })
}

/// The listed entity that a call means.
fn entity<'a>(action: &'a HomeAction, args: &Map<String, Value>) -> Result<&'a Entity, String> {
    let text = plain(fill::bind(&action.entity, args)?);
    find(&action.entities, &text).ok_or_else(|| {
        let known: Vec<&str> = action.entities.iter().map(|entity| entity.name.as_str()).collect();
        format!("there is no `{}` that this device may use; there are {}", shown(&text), known.join(", "))
    })
}

/// A bound template as text: the configuration let no secrets into this one.
fn plain(bound: crate::config::agent::template::Template) -> String {
    use crate::config::agent::template::Piece;
    let text = |piece: &Piece| match piece {
        Piece::Text(text) => text.clone(),
        Piece::Argument(_) | Piece::Secret(_) => String::new(),
    };
    bound.pieces().iter().map(text).collect()
}

/// The listed service of this name.
fn allowed<'a>(entity: &'a Entity, service: &str) -> Result<&'a Service, String> {
    entity.service(service).ok_or_else(|| {
        let known: Vec<String> = entity.services.iter().map(Service::name).collect();
        let service = shown(service);
        match known.as_slice() {
            [] => format!("`{service}` is not allowed for {}; it can only be read", entity.name),
            known => format!("`{service}` is not allowed for {}; allowed is {}", entity.name, known.join(", ")),
        }
    })
}

fn unwanted(entity: &Entity, service: &Service, field: &str) -> String {
    let known: Vec<&str> = service.data.keys().map(String::as_str).collect();
    let known = if known.is_empty() { "nothing".to_string() } else { known.join(", ") };
    format!("`{}` is not taken by {} of {}; it takes {known}", shown(field), service.name(), entity.name)
}

fn call(entity: &Entity, service: &str, data: BTreeMap<String, Body>) -> Result<ServiceCall, String> {
    let service = allowed(entity, service)?;
    let mut bytes = 0;
    for (field, body) in &data {
        check_field(field).map_err(|why| format!("argument `{}` {why}", shown(field)))?;
        let Body::Plain(value) = body else { continue };
        if let Some(limits) = service.data.get(field).filter(|limits| !limits.admits(value)) {
            let (name, words) = (service.name(), limits.words());
            return Err(format!(
                "`{field}` must be {words} with {name} of {}, not {}",
                entity.name,
                shown(&value.to_string())
            ));
        }
        bytes += value.to_string().len();
    }
    for text in data.values().flat_map(texts) {
        // Some services read a text as a template, and a template may ask for any state in the house.
        if ["{{", "{%", "{#"].iter().any(|mark| text.contains(mark)) {
            return Err("a text may not have `{{`, `{%` or `{#` in it".into());
        }
        bytes += text.len();
    }
    if bytes > DATA_BYTES_MAX {
        return Err(format!("the arguments are too long: {bytes} bytes, and at most {DATA_BYTES_MAX} are taken"));
    }
    let data = data.into_iter().map(|(field, body)| (field, whole(body))).collect();
    Ok(ServiceCall { domain: service.domain.clone(), service: service.service.clone(), data })
}

/// A whole number without a fraction: some services take no 5.0 for 5.
fn whole(body: Body) -> Body {
    match &body {
        Body::Plain(Value::Number(number)) if number.is_f64() => match number.as_f64() {
            Some(float) if float.fract() == 0.0 && float.abs() < 1e15 => Body::Plain(Value::from(float as i64)),
            _ => body,
        },
        _ => body,
    }
}

/// All texts of a bound body, names inside it too.
fn texts(body: &Body) -> Vec<&str> {
    use crate::config::agent::template::Piece;
    fn of_value(value: &Value) -> Vec<&str> {
        match value {
            Value::String(text) => vec![text],
            Value::Array(items) => items.iter().flat_map(of_value).collect(),
            Value::Object(members) => {
                members.iter().flat_map(|(name, value)| [vec![name.as_str()], of_value(value)].concat()).collect()
            }
            _ => Vec::new(),
        }
    }
    match body {
        Body::Plain(value) => of_value(value),
        Body::Text(template) => {
            let text = |piece: &'_ Piece| matches!(piece, Piece::Text(_));
            let pieces = template.pieces().iter().filter(|piece| text(piece));
            pieces
                .map(|piece| match piece {
                    Piece::Text(text) | Piece::Argument(text) | Piece::Secret(text) => text.as_str(),
                })
                .collect()
        }
        Body::List(items) => items.iter().flat_map(texts).collect(),
        Body::Table(members) => {
            members.iter().flat_map(|(name, body)| [vec![name.as_str()], texts(body)].concat()).collect()
        }
    }
}

#[cfg(test)]
mod tests;
