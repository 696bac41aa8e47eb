//! Kinds of configuration keys that hold more than one value: lists of texts, tables of texts, any JSON.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use toml::de::DeValue;

use super::key::{Kind, integer, wrong_type};
use super::problem::shown;

/// Tables inside tables, of which a request's body has a few.
const DEPTH_MAX: usize = 16;

/// A list of texts.
pub struct Texts {
    /// What each is, for messages: "a host's name".
    pub what: &'static str,
    /// Most characters of one.
    pub chars_max: usize,
    /// Most of them.
    pub count_max: usize,
    /// Further rules for one: the end of a sentence where they are broken.
    pub check: fn(&str) -> Result<(), String>,
}

impl Kind for Texts {
    type Value = Vec<String>;

    fn read(&self, value: &DeValue<'_>) -> Result<Vec<String>, String> {
        let Some(list) = value.as_array() else { return Err(wrong_type(value, &self.rule())) };
        if list.len() > self.count_max {
            return Err(format!("has {} entries; it must be {}", list.len(), self.rule()));
        }
        let one = |value: &DeValue<'_>| match value.as_str() {
            None => Err(format!("holds something that {}", wrong_type(value, self.what))),
            Some(text) => check_text(text, self.what, self.chars_max, self.check),
        };
        list.iter().map(|item| one(item.get_ref())).collect()
    }

    fn rule(&self) -> String {
        format!("a list of at most {}, each {}", self.count_max, self.what)
    }

    fn fallback(&self) -> Vec<String> {
        Vec::new()
    }

    fn fallback_toml(&self) -> String {
        "[]".to_string()
    }
}

/// A table from names to texts.
pub struct Pairs {
    /// What a name is: "a header's name".
    pub name_what: &'static str,
    /// What a text is: "a header's value".
    pub what: &'static str,
    /// Most characters of either.
    pub chars_max: usize,
    /// Most of them.
    pub count_max: usize,
    /// Further rules for a name: the end of a sentence where they are broken.
    pub check_name: fn(&str) -> Result<(), String>,
    /// Further rules for a text.
    pub check: fn(&str) -> Result<(), String>,
}

impl Kind for Pairs {
    type Value = BTreeMap<String, String>;

    fn read(&self, value: &DeValue<'_>) -> Result<Self::Value, String> {
        let Some(table) = value.as_table() else { return Err(wrong_type(value, &self.rule())) };
        if table.len() > self.count_max {
            return Err(format!("has {} entries; it must be {}", table.len(), self.rule()));
        }
        let one = |name: &str, value: &DeValue<'_>| {
            let name = check_text(name, self.name_what, self.chars_max, self.check_name)?;
            let Some(text) = value.as_str() else {
                return Err(format!("holds `{}`, which {}", shown(&name), wrong_type(value, self.what)));
            };
            Ok((name, check_text(text, self.what, self.chars_max, self.check)?))
        };
        table.iter().map(|(name, value)| one(name.get_ref(), value.get_ref())).collect()
    }

    fn rule(&self) -> String {
        format!("a table of at most {}: {} = {}", self.count_max, self.name_what, self.what)
    }

    fn fallback(&self) -> Self::Value {
        BTreeMap::new()
    }

    fn fallback_toml(&self) -> String {
        "{}".to_string()
    }
}

fn check_text(
    text: &str,
    what: &str,
    chars_max: usize,
    check: fn(&str) -> Result<(), String>,
) -> Result<String, String> {
    let chars = text.chars().count();
    if text.trim().is_empty() || chars > chars_max {
        let found = if text.trim().is_empty() { "an empty text".to_string() } else { format!("{chars} characters") };
        return Err(format!("holds {found}; each must be {what} (1 to {chars_max} characters)"));
    }
    check(text).map_err(|why| format!("holds \"{}\", which {why}", shown(text)))?;
    Ok(text.to_string())
}

/// Any value, written as TOML and taken as JSON.
pub struct Json {
    /// What it is, for messages: "the request's body".
    pub what: &'static str,
}

impl Kind for Json {
    type Value = Value;

    fn read(&self, value: &DeValue<'_>) -> Result<Value, String> {
        if depth(value) > DEPTH_MAX {
            return Err(format!("is nested deeper than {DEPTH_MAX} levels"));
        }
        Ok(json(value))
    }

    fn rule(&self) -> String {
        self.what.to_string()
    }

    fn fallback(&self) -> Value {
        Value::Null
    }

    fn fallback_toml(&self) -> String {
        "\"\"".to_string()
    }
}

fn depth(value: &DeValue<'_>) -> usize {
    match value {
        DeValue::Array(list) => 1 + list.iter().map(|item| depth(item.get_ref())).max().unwrap_or(0),
        DeValue::Table(table) => 1 + table.iter().map(|(_, item)| depth(item.get_ref())).max().unwrap_or(0),
        _ => 0,
    }
}

/// A TOML number as a float; none where it is no number.
pub(super) fn as_number(value: &DeValue<'_>) -> Option<f64> {
    match value {
        DeValue::Integer(_) => integer(value).map(|number| number as f64),
        DeValue::Float(number) => number.as_str().parse().ok(),
        _ => None,
    }
}

/// TOML as JSON; a date becomes its text.
pub(super) fn json(value: &DeValue<'_>) -> Value {
    match value {
        DeValue::String(text) => Value::String(text.to_string()),
        DeValue::Integer(_) => integer(value).map_or(Value::Null, Value::from),
        DeValue::Float(_) => as_number(value).map_or(Value::Null, Value::from),
        DeValue::Boolean(truth) => Value::Bool(*truth),
        DeValue::Datetime(date) => Value::String(date.to_string()),
        DeValue::Array(list) => Value::Array(list.iter().map(|item| json(item.get_ref())).collect()),
        DeValue::Table(table) => Value::Object(
            table.iter().map(|(key, item)| (key.get_ref().to_string(), json(item.get_ref()))).collect::<Map<_, _>>(),
        ),
    }
}
