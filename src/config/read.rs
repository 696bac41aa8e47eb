//! Walks a TOML document by the key tables and gathers every problem on the way.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::key::{AnyKey, Key, Kind, Need, wrong_type};
use super::problem::{LineIndex, Problem, nearest, shown};

/// The longest file that is read; a configuration of this size is a mistake.
pub const FILE_BYTES_MAX: usize = 256 * 1024;

/// What a section may hold.
pub struct Sheet {
    /// Its name; empty for the top of the file.
    pub name: &'static str,
    /// Its keys.
    pub keys: &'static [&'static dyn AnyKey],
    /// Tables inside it that are read by their own sheets.
    pub tables: &'static [&'static str],
}

impl Sheet {
    fn names(&self) -> impl Iterator<Item = &'static str> {
        self.keys.iter().map(|key| key.name()).chain(self.tables.iter().copied())
    }
}

/// A table of the document together with its place and its sheet.
pub(super) struct Section<'a> {
    pub(super) table: Option<&'a DeTable<'a>>,
    pub(super) path: String,
    pub(super) line: usize,
}

impl<'a> Section<'a> {
    /// The full name of a key in this section.
    pub(super) fn key(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_string() } else { format!("{}.{name}", self.path) }
    }

    /// The value of a key, where it is there.
    pub(super) fn value(&self, name: &str) -> Option<&'a Spanned<DeValue<'a>>> {
        self.table?.get(name)
    }
}

/// Reads sections, notes problems.
pub(super) struct Reader<'a> {
    file: &'a str,
    lines: LineIndex,
    problems: Vec<Problem>,
    /// All sheets of the file, to tell in which section a misplaced key belongs.
    sheets: &'static [&'static Sheet],
    /// Whether the text has faults of syntax: then absent keys say nothing.
    broken: bool,
}

impl<'a> Reader<'a> {
    pub(super) fn new(text: &str, file: &'a str, sheets: &'static [&'static Sheet]) -> Reader<'a> {
        Reader { file, lines: LineIndex::new(text), problems: Vec::new(), sheets, broken: false }
    }

    /// Parses the text; what can be understood of it comes back even if parts cannot.
    pub(super) fn document<'t>(&mut self, text: &'t str) -> Option<DeTable<'t>> {
        if text.len() > FILE_BYTES_MAX {
            let message = format!("the file has {} bytes; at most {FILE_BYTES_MAX} are read", text.len());
            self.note(1, String::new(), message);
            return None;
        }
        let (table, errors) = DeTable::parse_recoverable(text);
        for error in &errors {
            let line = error.span().map_or(1, |span| self.lines.line_of(span.start.min(text.len())));
            let near = error.span().and_then(|span| text.get(span)).filter(|near| !near.trim().is_empty());
            let near = near.map(|near| format!(" (near `{}`)", shown(near))).unwrap_or_default();
            self.note(line, String::new(), format!("this is not TOML: {}{near}", error.message()));
        }
        self.broken = !errors.is_empty();
        Some(table.into_inner())
    }

    /// All problems in line order; of a line that is not even TOML only that is said.
    pub(super) fn finish(mut self) -> Vec<Problem> {
        let garbled: Vec<usize> = self.problems.iter().filter(|p| p.key.is_empty()).map(|p| p.line).collect();
        self.problems.retain(|problem| problem.key.is_empty() || !garbled.contains(&problem.line));
        self.problems.sort_by_key(|problem| problem.line);
        self.problems.dedup();
        self.problems
    }

    pub(super) fn note(&mut self, line: usize, key: String, message: String) {
        self.problems.push(Problem { file: self.file.to_string(), line, key, message });
    }

    /// Notes that `value`, written at `key`, is wrong.
    pub(super) fn note_at(&mut self, value: &Spanned<DeValue<'_>>, key: String, message: String) {
        let line = self.line_of(value);
        self.note(line, key, message);
    }

    pub(super) fn line_of<T>(&self, spanned: &Spanned<T>) -> usize {
        self.lines.line_of(spanned.span().start)
    }

    /// Opens a section and notes the keys that its sheet does not know.
    pub(super) fn open<'t>(&mut self, table: &'t DeTable<'t>, path: &str, line: usize, sheet: &Sheet) -> Section<'t> {
        for (key, _) in table.iter() {
            let name = key.get_ref().as_ref();
            if !sheet.names().any(|known| known == name) {
                let line = self.line_of(key);
                let section = Section { table: None, path: path.to_string(), line };
                self.note(line, section.key(name), self.unknown(name, sheet));
            }
        }
        Section { table: Some(table), path: path.to_string(), line }
    }

    /// What to say of a key that nobody knows.
    fn unknown(&self, name: &str, sheet: &Sheet) -> String {
        let home =
            self.sheets.iter().find(|other| other.name != sheet.name && other.names().any(|known| known == name));
        if let Some(home) = home {
            let place =
                if home.name.is_empty() { "at the top of the file".into() } else { format!("in [{}]", home.name) };
            return format!("is not a key of this section; it belongs {place}");
        }
        if let Some(guess) = nearest(name, sheet.names()) {
            return format!("is not a key of this section; did you mean `{guess}`?");
        }
        let known: Vec<&str> = sheet.names().collect();
        format!("is not a key of this section, which knows {}", known.join(", "))
    }

    /// The section `name` inside `outer`; an empty one where it is absent or not a table.
    pub(super) fn inner<'t>(&mut self, outer: &Section<'t>, name: &str, sheet: &Sheet) -> Section<'t> {
        let path = outer.key(name);
        match outer.value(name) {
            None => Section { table: None, path, line: outer.line },
            Some(value) => {
                let line = self.line_of(value);
                match value.get_ref().as_table() {
                    Some(table) => self.open(table, &path, line, sheet),
                    None => {
                        self.note(line, path.clone(), wrong_type(value.get_ref(), &format!("a section, `[{path}]`")));
                        Section { table: None, path, line }
                    }
                }
            }
        }
    }

    /// The value of `key`, or its default; a wrong or missing one is noted.
    pub(super) fn get<K: Kind>(&mut self, section: &Section<'_>, key: &Key<K>) -> K::Value {
        if section.value(key.name).is_none() && key.need == Need::Required {
            self.miss(section, key.name, &key.kind.rule());
        }
        self.find(section, key).unwrap_or_else(|| key.kind.fallback())
    }

    /// Notes that `key` is missing, and what it must be; of a text with faults of syntax that says nothing.
    pub(super) fn miss(&mut self, section: &Section<'_>, key: &str, rule: &str) {
        if !self.broken {
            self.note(section.line, section.key(key), format!("is missing; it must be {rule}"));
        }
    }

    /// The value of `key` where it is there and right; a wrong one is noted.
    pub(super) fn find<K: Kind>(&mut self, section: &Section<'_>, key: &Key<K>) -> Option<K::Value> {
        let value = section.value(key.name)?;
        match key.kind.read(value.get_ref()) {
            Ok(read) => Some(read),
            Err(message) => {
                self.note_at(value, section.key(key.name), message);
                None
            }
        }
    }

    /// Notes a problem with the value of `key` (its line), or with the section where the key is absent.
    pub(super) fn object(&mut self, section: &Section<'_>, key: &str, message: String) {
        let line = section.value(key).map_or(section.line, |value| self.line_of(value));
        self.note(line, section.key(key), message);
    }
}
