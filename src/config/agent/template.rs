//! Texts with places in them: `{room}` for an argument of the call, `{secret.weather}` for a secret of the device.
//!
//! Only names stand in the configuration; what is put there at a call is made fit for its place by whoever fills it
//! (percent signs in an address, nothing at all in a program's argument).

use std::collections::BTreeMap;
use std::fmt;

use toml::de::DeValue;

use super::super::key::{Kind, wrong_type};
use super::super::problem::shown;

/// What a place begins with where a secret belongs there.
const SECRET: &str = "secret.";

/// One piece of a [`Template`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// As it stands.
    Text(String),
    /// The call's argument of this name.
    Argument(String),
    /// The secret of this name.
    Secret(String),
}

/// A text with places.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Template(Vec<Piece>);

impl Template {
    /// Reads `Bearer {secret.weather}`; `{{` and `}}` are plain braces.
    ///
    /// # Errors
    /// The end of a sentence that begins with the key.
    pub fn parse(text: &str) -> Result<Template, String> {
        let mut pieces = Vec::new();
        let mut plain = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            plain.push_str(&rest[..at]);
            let brace = &rest[at..=at];
            rest = &rest[at + 1..];
            if let Some(after) = rest.strip_prefix(brace) {
                plain.push_str(brace);
                rest = after;
                continue;
            }
            let Some((name, after)) = rest.split_once('}').filter(|_| brace == "{") else {
                return Err("has a brace without its partner; a plain brace is written twice: `{{` or `}}`".into());
            };
            if !plain.is_empty() {
                pieces.push(Piece::Text(std::mem::take(&mut plain)));
            }
            pieces.push(place(name)?);
            rest = after;
        }
        plain.push_str(rest);
        if !plain.is_empty() {
            pieces.push(Piece::Text(plain));
        }
        Ok(Template(pieces))
    }

    /// The pieces, in order.
    pub fn pieces(&self) -> &[Piece] {
        &self.0
    }

    /// Names of the arguments that it needs.
    pub fn arguments(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|piece| match piece {
            Piece::Argument(name) => Some(name.as_str()),
            _ => None,
        })
    }

    /// Names of the secrets that it needs.
    pub fn secrets(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|piece| match piece {
            Piece::Secret(name) => Some(name.as_str()),
            _ => None,
        })
    }

    /// The template with every argument's place filled by `argument`; secrets keep theirs.
    ///
    /// # Errors
    /// Those of `argument`.
    pub fn bind<E>(&self, mut argument: impl FnMut(&str) -> Result<String, E>) -> Result<Template, E> {
        let piece = |piece: &Piece| match piece {
            Piece::Argument(name) => argument(name).map(Piece::Text),
            other => Ok(other.clone()),
        };
        self.0.iter().map(piece).collect::<Result<_, E>>().map(Template)
    }

    /// The text with every place filled by `fill`, which sees only places.
    ///
    /// # Errors
    /// Those of `fill`.
    pub fn fill<E>(&self, mut fill: impl FnMut(&Piece) -> Result<String, E>) -> Result<String, E> {
        let mut text = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Text(plain) => text.push_str(plain),
                place => text.push_str(&fill(place)?),
            }
        }
        Ok(text)
    }
}

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Template({self})")
    }
}

impl fmt::Display for Template {
    /// As it is written.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|piece| match piece {
            Piece::Text(text) => f.write_str(&text.replace('{', "{{").replace('}', "}}")),
            Piece::Argument(name) => write!(f, "{{{name}}}"),
            Piece::Secret(name) => write!(f, "{{{SECRET}{name}}}"),
        })
    }
}

fn place(name: &str) -> Result<Piece, String> {
    let (name, is_secret) = name.strip_prefix(SECRET).map_or((name, false), |name| (name, true));
    if name.is_empty() || name.len() > 64 || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
        return Err(format!(
            "has the place `{{{}}}`; a place is an argument's name, `{{room}}`, or a secret's, `{{secret.name}}`; a plain brace is written twice",
            shown(name)
        ));
    }
    Ok(if is_secret { Piece::Secret(name.to_string()) } else { Piece::Argument(name.to_string()) })
}

/// A key that holds a [`Template`].
pub struct Places {
    /// What it is, for messages: "an address".
    pub what: &'static str,
    /// Most characters.
    pub chars_max: usize,
}

impl Kind for Places {
    type Value = Template;

    fn read(&self, value: &DeValue<'_>) -> Result<Template, String> {
        let Some(text) = value.as_str() else { return Err(wrong_type(value, &self.rule())) };
        let chars = text.chars().count();
        if chars > self.chars_max {
            return Err(format!("has {chars} characters; it must be {}", self.rule()));
        }
        Template::parse(text)
    }

    fn rule(&self) -> String {
        format!("{} (at most {} characters), with `{{argument}}` where an argument belongs", self.what, self.chars_max)
    }

    fn fallback(&self) -> Template {
        Template::default()
    }

    fn fallback_toml(&self) -> String {
        "\"\"".to_string()
    }
}

/// Reads every text of a table as a template.
///
/// # Errors
/// The end of a sentence that begins with the key.
pub fn templates(texts: BTreeMap<String, String>) -> Result<BTreeMap<String, Template>, String> {
    let one = |(name, text): (String, String)| {
        let template = Template::parse(&text).map_err(|why| format!("holds `{}`, which {why}", shown(&name)))?;
        Ok((name, template))
    };
    texts.into_iter().map(one).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn places_are_found_filled_and_written_again() {
        let text = "Bearer {secret.key} of {room}, {{plain}}";
        let template = Template::parse(text).unwrap();
        assert_eq!(template.arguments().collect::<Vec<_>>(), ["room"]);
        assert_eq!(template.secrets().collect::<Vec<_>>(), ["key"]);
        assert_eq!(template.to_string(), text);
        let filled = template.fill(|piece| match piece {
            Piece::Argument(name) => Ok(name.to_uppercase()),
            _ => Err("no secrets here"),
        });
        assert_eq!(filled, Err("no secrets here"));
        let filled = Template::parse("a{x}b{x}{{}}").unwrap().fill(|_| Ok::<_, ()>("{y}".into()));
        assert_eq!(filled.unwrap(), "a{y}b{y}{}", "what is filled in is not read again");
    }

    #[test]
    fn lonely_braces_and_odd_names_are_refused() {
        for text in ["{", "a}b", "{a", "{}", "{a b}", "{secret.}", "{secret.a.b}", "}{"] {
            assert!(Template::parse(text).is_err(), "{text}");
        }
    }
}
