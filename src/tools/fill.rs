//! Puts a call's arguments, and later the device's secrets, into the places of templates.
//!
//! Secrets stay places in everything that a plan holds; they are put in where it is carried out, so no plan that is
//! written into a log shows one.

use serde_json::{Map, Value};

use crate::config::agent::body::Body;
use crate::config::agent::template::{Piece, Template};

/// Whole numbers up to here are exact as floats.
const EXACT_MAX: f64 = 9_007_199_254_740_992.0;

/// The argument `name` as a text. A whole number has no fraction, however the service wrote it.
///
/// # Errors
/// A sentence for the model, where it is missing or no text, number, true or false.
pub fn text(args: &Map<String, Value>, name: &str) -> Result<String, String> {
    match args.get(name) {
        Some(Value::String(text)) => Ok(text.clone()),
        Some(Value::Bool(truth)) => Ok(truth.to_string()),
        Some(Value::Number(number)) => Ok(match number.as_f64() {
            Some(float) if number.is_f64() && float.fract() == 0.0 && float.abs() < EXACT_MAX => {
                (float as i64).to_string()
            }
            _ => number.to_string(),
        }),
        Some(_) => Err(format!("argument `{name}` must be a text, a number, true or false")),
        None => Err(format!("argument `{name}` is missing")),
    }
}

/// The template with the call's arguments in it; secrets keep their places.
///
/// # Errors
/// As [`text`].
pub fn bind(template: &Template, args: &Map<String, Value>) -> Result<Template, String> {
    template.bind(|name| text(args, name))
}

/// The body with the call's arguments in it; secrets keep their places.
///
/// # Errors
/// As [`text`].
pub fn bind_body(body: &Body, args: &Map<String, Value>) -> Result<Body, String> {
    Ok(match body {
        Body::Plain(value) => Body::Plain(value.clone()),
        Body::Text(template) => match template.pieces() {
            [Piece::Argument(name)] => {
                Body::Plain(args.get(name).cloned().ok_or_else(|| format!("argument `{name}` is missing"))?)
            }
            _ => Body::Text(bind(template, args)?),
        },
        Body::List(items) => Body::List(items.iter().map(|item| bind_body(item, args)).collect::<Result<_, _>>()?),
        Body::Table(members) => {
            let one = |(name, member): (&String, &Body)| Ok::<_, String>((name.clone(), bind_body(member, args)?));
            Body::Table(members.iter().map(one).collect::<Result<_, _>>()?)
        }
    })
}

/// A bound template with its secrets in it.
///
/// # Errors
/// Those of `secret`.
pub fn reveal<E>(template: &Template, secret: &mut impl FnMut(&str) -> Result<String, E>) -> Result<String, E> {
    template.fill(|piece| match piece {
        Piece::Secret(name) => secret(name),
        Piece::Text(text) | Piece::Argument(text) => Ok(text.clone()), // a bound template has no arguments' places
    })
}

/// A bound body with its secrets in it.
///
/// # Errors
/// Those of `secret`.
pub fn reveal_body<E>(body: &Body, secret: &mut impl FnMut(&str) -> Result<String, E>) -> Result<Value, E> {
    Ok(match body {
        Body::Plain(value) => value.clone(),
        Body::Text(template) => Value::String(reveal(template, secret)?),
        Body::List(items) => {
            Value::Array(items.iter().map(|item| reveal_body(item, secret)).collect::<Result<_, E>>()?)
        }
        Body::Table(members) => {
            let mut object = Map::new();
            for (name, member) in members {
                object.insert(name.clone(), reveal_body(member, secret)?);
            }
            Value::Object(object)
        }
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use serde_json::json;

    fn args() -> Map<String, Value> {
        json!({"x": 5.0, "y": "{secret.key}", "z": [1], "on": true, "half": 0.5}).as_object().unwrap().clone()
    }

    #[test]
    fn scalars_become_text_and_nothing_else_does() {
        let said = |name| text(&args(), name);
        assert_eq!(["x", "y", "on", "half"].map(|name| said(name).unwrap()), ["5", "{secret.key}", "true", "0.5"]);
        assert_eq!(said("z").unwrap_err(), "argument `z` must be a text, a number, true or false");
        assert_eq!(said("w").unwrap_err(), "argument `w` is missing");
    }

    #[test]
    fn a_body_keeps_the_types_of_its_arguments_and_reads_nothing_that_was_filled_in() {
        let body = json!({"n": "{x}", "t": "{x} of {y}", "l": ["{z}"], "k": "Bearer {secret.key}", "p": 1});
        let bound = bind_body(&Body::parse(body).unwrap(), &args()).unwrap();
        assert!(!format!("{bound:?}").contains("s3cret"));
        let sent = reveal_body(&bound, &mut |name: &str| match name {
            "key" => Ok("s3cret".to_string()),
            other => Err(format!("no {other}")),
        });
        let expected = json!({"n": 5.0, "t": "5 of {secret.key}", "l": [[1]], "k": "Bearer s3cret", "p": 1});
        assert_eq!(sent, Ok(expected), "a secret's place in an argument is only text");
    }
}
