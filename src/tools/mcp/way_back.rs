//! From the arguments as the model gives them to those that the server takes.

use serde_json::{Map, Number, Value};

use super::super::shown;
use crate::config::agent::mcp::WayBack;

/// `given` as the server takes it; `path` is its name, for the sentence.
///
/// # Errors
/// A sentence for the model where a text had to be JSON and is not.
pub(super) fn restore(way: &WayBack, given: Value, path: &str) -> Result<Value, String> {
    Ok(match given {
        Value::Object(members) => Value::Object(object(way, members, path)?),
        Value::Array(items) => {
            let nothing = WayBack::default();
            let inner = way.items.as_deref().unwrap_or(&nothing);
            let restored = items.into_iter().enumerate();
            Value::Array(
                restored.map(|(i, item)| restore(inner, item, &format!("{path}[{i}]"))).collect::<Result<_, _>>()?,
            )
        }
        Value::String(text) if way.is_json_text => serde_json::from_str(&text).map_err(|why| {
            format!("argument `{path}` must be JSON written as text, and is not ({why}): \"{}\"", shown(&text))
        })?,
        Value::Number(number) => Value::Number(whole(number)),
        other => other,
    })
}

fn object(way: &WayBack, members: Map<String, Value>, path: &str) -> Result<Map<String, Value>, String> {
    let nothing = WayBack::default();
    let mut restored = Map::new();
    for (name, value) in members {
        let place = if path.is_empty() { shown(&name) } else { format!("{path}.{}", shown(&name)) };
        match way.members.get(&name) {
            Some(member) => drop(restored.insert(member.name.clone(), restore(&member.way_back, value, &place)?)),
            None => drop(restored.insert(name, restore(&nothing, value, &place)?)),
        }
    }
    Ok(restored)
}

/// The Live service writes 5 as 5.0, which many a server does not take for a whole number.
fn whole(number: Number) -> Number {
    const EXACT: f64 = 9_007_199_254_740_992.0; // 2^53: beyond it a float is no exact whole number
    match number.as_f64() {
        Some(float) if !number.is_i64() && !number.is_u64() && float.fract() == 0.0 && float.abs() < EXACT => {
            Number::from(float as i64)
        }
        _ => number,
    }
}
