//! Kinds of configuration keys: what a value may be, what holds where it is absent, how it is described.
//!
//! A key is written down once, as a constant of [`Key`]. The reader, the messages, the list that `mynah config`
//! prints and the test of the shipped default file all look at that constant, so they cannot disagree.

use std::path::PathBuf;

use toml::de::DeValue;

use super::problem::{listed, nearest, shown};

/// Whether a key must be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// The kind's own default holds.
    Defaults,
    /// Absence has a meaning of its own.
    Optional,
    /// Absence is a problem.
    Required,
}

/// One key of a section.
pub struct Key<K> {
    /// The key.
    pub name: &'static str,
    /// What its value may be.
    pub kind: K,
    /// Whether it must be there.
    pub need: Need,
    /// One sentence for the owner.
    pub doc: &'static str,
}

/// How a person may give a value.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Entry {
    /// One of these words.
    Words(Vec<&'static str>),
    /// A whole number.
    Whole {
        /// Least value.
        min: u32,
        /// Greatest value.
        max: u32,
        /// Values are multiples of this.
        step: u32,
        /// Its unit; empty where there is none.
        unit: &'static str,
    },
    /// A text of so many characters at most.
    Text {
        /// Most characters.
        chars_max: usize,
    },
    /// Only in a file.
    Written,
}

/// A kind of value.
pub trait Kind {
    /// What the program gets.
    type Value;
    /// The checked value, or what is wrong with it, as the end of a sentence that begins with the key.
    fn read(&self, value: &DeValue<'_>) -> Result<Self::Value, String>;
    /// What would be right: "a whole number from 10 to 500 (ms)".
    fn rule(&self) -> String;
    /// The value where the key is absent.
    fn fallback(&self) -> Self::Value;
    /// [`Kind::fallback`] as TOML.
    fn fallback_toml(&self) -> String;
    /// How a person may give it elsewhere than in a file.
    fn entry(&self) -> Entry {
        Entry::Written
    }
}

/// A key of any kind, as the tables list it.
pub trait AnyKey: Sync {
    /// The key.
    fn name(&self) -> &'static str;
    /// What its value may be.
    fn rule(&self) -> String;
    /// Its default as TOML; none where it is optional or required.
    fn default_toml(&self) -> Option<String>;
    /// Whether it must be there.
    fn need(&self) -> Need;
    /// One sentence for the owner.
    fn doc(&self) -> &'static str;
    /// How a person may give a value elsewhere than in a file.
    fn entry(&self) -> Entry;
}

impl<K: Kind + Sync> AnyKey for Key<K> {
    fn name(&self) -> &'static str {
        self.name
    }
    fn rule(&self) -> String {
        self.kind.rule()
    }
    fn default_toml(&self) -> Option<String> {
        (self.need == Need::Defaults).then(|| self.kind.fallback_toml())
    }
    fn need(&self) -> Need {
        self.need
    }
    fn doc(&self) -> &'static str {
        self.doc
    }
    fn entry(&self) -> Entry {
        self.kind.entry()
    }
}

/// "is a string; it must be …"
pub(super) fn wrong_type(value: &DeValue<'_>, rule: &str) -> String {
    let found = match value {
        DeValue::String(_) => "text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    };
    format!("is {found}; it must be {rule}")
}

/// A TOML integer as a number, where it fits.
pub(super) fn integer(value: &DeValue<'_>) -> Option<i64> {
    let number = value.as_integer()?;
    i64::from_str_radix(number.as_str(), number.radix()).ok()
}

/// A whole number with a unit.
pub struct Whole {
    /// Unit, shown in messages; empty where there is none.
    pub unit: &'static str,
    /// Least value.
    pub min: u32,
    /// Greatest value.
    pub max: u32,
    /// Values are multiples of this; 1 for all.
    pub step: u32,
    /// Value where the key is absent.
    pub default: u32,
}

impl Kind for Whole {
    type Value = u32;

    fn read(&self, value: &DeValue<'_>) -> Result<u32, String> {
        if !value.is_integer() {
            return Err(wrong_type(value, &self.rule()));
        }
        let number = integer(value).and_then(|number| u32::try_from(number).ok());
        match number {
            Some(number) if number >= self.min && number <= self.max && number % self.step == 0 => Ok(number),
            _ => {
                let written = value.as_integer().map_or_else(String::new, ToString::to_string);
                Err(format!("is {}; it must be {}", shown(&written), self.rule()))
            }
        }
    }

    fn rule(&self) -> String {
        let unit = if self.unit.is_empty() { String::new() } else { format!(" {}", self.unit) };
        let step = if self.step == 1 { String::new() } else { format!(", a multiple of {}", self.step) };
        format!("a whole number from {} to {}{unit}{step}", self.min, self.max)
    }

    fn fallback(&self) -> u32 {
        self.default
    }

    fn fallback_toml(&self) -> String {
        self.default.to_string()
    }

    fn entry(&self) -> Entry {
        let Whole { min, max, step, unit, .. } = *self;
        Entry::Whole { min, max, step, unit }
    }
}

/// A number that may have a fraction.
pub struct Number {
    /// Unit, shown in messages.
    pub unit: &'static str,
    /// Least value.
    pub min: f32,
    /// Greatest value.
    pub max: f32,
    /// Value where the key is absent.
    pub default: f32,
}

impl Kind for Number {
    type Value = f32;

    fn read(&self, value: &DeValue<'_>) -> Result<f32, String> {
        let written = match value {
            DeValue::Integer(_) => integer(value).map(|number| number as f64),
            DeValue::Float(number) => number.as_str().parse().ok(),
            _ => return Err(wrong_type(value, &self.rule())),
        };
        match written {
            // Not a number fails both comparisons, as it should.
            Some(number) if number >= f64::from(self.min) && number <= f64::from(self.max) => Ok(number as f32),
            Some(number) => Err(format!("is {number}; it must be {}", self.rule())),
            None => Err(format!("is too large; it must be {}", self.rule())),
        }
    }

    fn rule(&self) -> String {
        format!("a number from {} to {} {}", self.min, self.max, self.unit)
    }

    fn fallback(&self) -> f32 {
        self.default
    }

    fn fallback_toml(&self) -> String {
        format!("{:?}", self.default)
    }
}

/// One of a few words.
pub struct Choice<T: 'static> {
    /// Words and what they mean.
    pub options: &'static [(&'static str, T)],
    /// Value where the key is absent.
    pub default: T,
}

impl<T: Copy + PartialEq> Kind for Choice<T> {
    type Value = T;

    fn read(&self, value: &DeValue<'_>) -> Result<T, String> {
        let Some(word) = value.as_str() else { return Err(wrong_type(value, &self.rule())) };
        if let Some((_, meaning)) = self.options.iter().find(|(name, _)| *name == word) {
            return Ok(*meaning);
        }
        let guess = nearest(word, self.options.iter().map(|(name, _)| *name));
        let guess = guess.map(|name| format!(" (did you mean `{name}`?)")).unwrap_or_default();
        Err(format!("is \"{}\"{guess}; it must be {}", shown(word), self.rule()))
    }

    fn rule(&self) -> String {
        listed(self.options.iter().map(|(name, _)| *name))
    }

    fn fallback(&self) -> T {
        self.default
    }

    fn fallback_toml(&self) -> String {
        let word = self.options.iter().find(|(_, meaning)| *meaning == self.default).map_or("", |(name, _)| *name);
        format!("\"{word}\"")
    }

    fn entry(&self) -> Entry {
        Entry::Words(self.options.iter().map(|(word, _)| *word).collect())
    }
}

/// Text.
pub struct Text {
    /// What it is, for messages: "the model's id".
    pub what: &'static str,
    /// Most characters.
    pub chars_max: usize,
    /// Further rules: the end of a sentence where they are broken.
    pub check: fn(&str) -> Result<(), String>,
    /// Value where the key is absent.
    pub default: &'static str,
}

impl Kind for Text {
    type Value = String;

    fn read(&self, value: &DeValue<'_>) -> Result<String, String> {
        let Some(text) = value.as_str() else { return Err(wrong_type(value, &self.rule())) };
        if text.trim().is_empty() {
            return Err(format!("is empty; it must be {}", self.rule()));
        }
        let chars = text.chars().count();
        if chars > self.chars_max {
            return Err(format!("has {chars} characters; it must be {}", self.rule()));
        }
        (self.check)(text)?;
        Ok(text.to_string())
    }

    fn rule(&self) -> String {
        format!("{} (1 to {} characters of text)", self.what, self.chars_max)
    }

    fn fallback(&self) -> String {
        self.default.to_string()
    }

    fn fallback_toml(&self) -> String {
        format!("{:?}", self.default)
    }

    fn entry(&self) -> Entry {
        Entry::Text { chars_max: self.chars_max }
    }
}

/// For [`Text`] that has no further rules.
pub(super) fn any_text(_: &str) -> Result<(), String> {
    Ok(())
}

/// For [`Text`] that must fit in one line of a log or a message.
pub(super) fn one_line(text: &str) -> Result<(), String> {
    if text.chars().any(char::is_control) {
        return Err("holds a line break or control character; write it in one line".to_string());
    }
    Ok(())
}

/// A path of a file or folder.
pub struct Path {
    /// What it is, for messages: "a PEM file".
    pub what: &'static str,
}

impl Kind for Path {
    type Value = PathBuf;

    fn read(&self, value: &DeValue<'_>) -> Result<PathBuf, String> {
        let Some(text) = value.as_str() else { return Err(wrong_type(value, &self.rule())) };
        if text.trim().is_empty() || text.contains('\0') {
            return Err(format!("is empty or not a path; it must be {}", self.rule()));
        }
        if text.starts_with('~') {
            return Err("begins with `~`, which only a shell understands; write the whole path".to_string());
        }
        Ok(PathBuf::from(text))
    }

    fn rule(&self) -> String {
        format!("the path of {}", self.what)
    }

    fn fallback(&self) -> PathBuf {
        PathBuf::new()
    }

    fn fallback_toml(&self) -> String {
        "\"\"".to_string()
    }
}

/// Something that is or is not.
pub struct Flag {
    /// Value where the key is absent.
    pub default: bool,
}

impl Kind for Flag {
    type Value = bool;

    fn read(&self, value: &DeValue<'_>) -> Result<bool, String> {
        value.as_bool().ok_or_else(|| wrong_type(value, &self.rule()))
    }

    fn rule(&self) -> String {
        "`true` or `false`".to_string()
    }

    fn fallback(&self) -> bool {
        self.default
    }

    fn fallback_toml(&self) -> String {
        self.default.to_string()
    }
}
