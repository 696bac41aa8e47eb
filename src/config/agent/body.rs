//! JSON with places in its texts: `{ level = "{level}", note = "for {room}", key = "{secret.lamp}" }`.
//!
//! A text that is one argument's place and nothing else takes the argument as it is, a number as a number; in any
//! other text what is filled in becomes part of the text.

use std::collections::BTreeMap;

use serde_json::Value;

use super::super::problem::shown;
use super::template::{Piece, Template};

/// A JSON value with places.
#[derive(Clone, Debug, PartialEq)]
pub enum Body {
    /// Without places.
    Plain(Value),
    /// A text with places.
    Text(Template),
    /// A list.
    List(Vec<Body>),
    /// A table.
    Table(BTreeMap<String, Body>),
}

impl Body {
    /// Reads every text of `value` as a template.
    ///
    /// # Errors
    /// The end of a sentence that begins with the key.
    pub fn parse(value: Value) -> Result<Body, String> {
        Ok(match value {
            Value::String(text) => {
                let template =
                    Template::parse(&text).map_err(|why| format!("holds \"{}\", which {why}", shown(&text)))?;
                match template.pieces() {
                    [] => Body::Plain(Value::String(String::new())),
                    [Piece::Text(plain)] => Body::Plain(Value::String(plain.clone())),
                    _ => Body::Text(template),
                }
            }
            Value::Array(items) => Body::List(items.into_iter().map(Body::parse).collect::<Result<_, _>>()?),
            Value::Object(members) => {
                let one = |(name, value)| Ok::<_, String>((name, Body::parse(value)?));
                Body::Table(members.into_iter().map(one).collect::<Result<_, _>>()?)
            }
            plain => Body::Plain(plain),
        })
    }

    /// All texts that have places.
    pub fn templates(&self) -> Vec<&Template> {
        match self {
            Body::Plain(_) => Vec::new(),
            Body::Text(template) => vec![template],
            Body::List(items) => items.iter().flat_map(Body::templates).collect(),
            Body::Table(members) => members.values().flat_map(Body::templates).collect(),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn places_are_found_at_every_depth_and_plain_braces_stay() {
        let body = Body::parse(json!({"a": ["{x}", {"b": "to {y}{secret.z}"}], "c": "{{plain}}", "d": 1})).unwrap();
        let written: Vec<String> = body.templates().iter().map(ToString::to_string).collect();
        assert_eq!(written, ["{x}", "to {y}{secret.z}"]);
        let Body::Table(members) = &body else { panic!("{body:?}") };
        assert_eq!(members["c"], Body::Plain(json!("{plain}")));
        assert_eq!(Body::parse(json!("")).unwrap(), Body::Plain(json!("")));
        assert!(Body::parse(json!(["{x"])).unwrap_err().contains("brace without its partner"));
    }
}
