//! Changes one key of a file that its owner writes, and leaves every other line and comment as it is. Pure.
//!
//! A file is changed as text, and read again: what it says then must be what it said before but for that key. Where it is
//! written in a way that this does not understand, the owner is told which line to write; nothing is guessed.

use toml::de::{DeTable, DeValue};
use toml::{Table, Value};

/// Writes `key = value` into `section` (empty for the top of the file, `lines.talk` for `[lines.talk]`); `value` is TOML.
///
/// # Errors
/// A sentence with the line to write by hand.
pub fn assign(text: &str, section: &str, key: &str, value: &str) -> Result<String, String> {
    let by_hand = || {
        let place = if section.is_empty() { "the top".to_string() } else { format!("[{section}]") };
        format!(
            "it is written in a way that this does not change by itself: write `{key} = {value}` into {place} by hand"
        )
    };
    let mut wanted: Table = text.parse().map_err(|_| by_hand())?;
    let meant: Table = format!("x = {value}").parse().map_err(|_| by_hand())?;
    let inner = table_in(&mut wanted, section).ok_or_else(by_hand)?;
    inner.insert(key.to_string(), meant["x"].clone());
    let new = match place_of(text, section, key) {
        Some((_, of_value)) => format!("{}{value}{}", &text[..of_value.start], &text[of_value.end..]),
        None => with_line(text, section, key, &format!("{key} = {value}\n")),
    };
    if new.parse::<Table>().is_ok_and(|new| new == wanted) { Ok(new) } else { Err(by_hand()) }
}

/// Takes `key` out of `section`, where it is there.
///
/// # Errors
/// As [`assign`].
pub fn take_out(text: &str, section: &str, key: &str) -> Result<String, String> {
    let by_hand = || format!("it is written in a way that this does not change by itself: take `{key}` out by hand");
    let mut wanted: Table = text.parse().map_err(|_| by_hand())?;
    let Some((of_key, of_value)) = place_of(text, section, key) else { return Ok(text.to_string()) };
    table_in(&mut wanted, section).ok_or_else(by_hand)?.remove(key);
    let start = text[..of_key.start].rfind('\n').map_or(0, |at| at + 1);
    let end = text[of_value.end..].find('\n').map_or(text.len(), |at| of_value.end + at + 1);
    let new = format!("{}{}", &text[..start], &text[end..]);
    if new.parse::<Table>().is_ok_and(|new| new == wanted) { Ok(new) } else { Err(by_hand()) }
}

/// Takes `[section]` out with the comment above it, where it is there.
///
/// # Errors
/// As [`assign`].
pub fn take_out_section(text: &str, section: &str) -> Result<String, String> {
    let by_hand =
        || format!("it is written in a way that this does not change by itself: take [{section}] out by hand");
    let mut wanted: Table = text.parse().map_err(|_| by_hand())?;
    let (outer, name) = section.rsplit_once('.').unwrap_or(("", section));
    let is_there = table_in(&mut wanted, outer).is_some_and(|outer| outer.remove(name).is_some());
    if !is_there {
        return Ok(text.to_string());
    }
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let head = lines.iter().position(|line| is_head_of(line, section)).ok_or_else(by_hand)?;
    let next = lines.iter().skip(head + 1).position(|line| is_head(line)).map_or(lines.len(), |at| head + 1 + at);
    let is_comment = |line: &&&str| line.trim_start().starts_with('#');
    let above = |at: usize| lines[..at].iter().rev().take_while(is_comment).count();
    // What stands above the next section is about that one.
    let (from, until) = (head - above(head), if next == lines.len() { next } else { next - above(next) });
    let mut new: String = [&lines[..from], &lines[until..]].concat().concat();
    // An empty `[lines]` is what is left where its last line went.
    prune(&mut wanted);
    if until == lines.len() {
        new = format!("{}\n", new.trim_end());
    }
    let mut got: Table = new.parse().map_err(|_| by_hand())?;
    prune(&mut got);
    if got == wanted { Ok(new) } else { Err(by_hand()) }
}

/// Makes the section `[[name]]` of this number, counted from 0, a comment, with all that belongs to it.
///
/// # Errors
/// As [`assign`].
pub fn comment_out(text: &str, name: &str, index: usize) -> Result<String, String> {
    let by_hand = || format!("it is written in a way that this does not change by itself: take [[{name}]] out by hand");
    let mut wanted: Table = text.parse().map_err(|_| by_hand())?;
    match wanted.get_mut(name).and_then(Value::as_array_mut) {
        Some(all) if index + 1 == all.len() && index == 0 => drop(wanted.remove(name)),
        Some(all) if index < all.len() => drop(all.remove(index)),
        _ => return Err(by_hand()),
    }
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let is_one = |line: &&str| line.split('#').next().is_some_and(|line| line.trim() == format!("[[{name}]]"));
    let heads = lines.iter().enumerate().filter(|(_, line)| is_one(line));
    let head = heads.map(|(at, _)| at).nth(index).ok_or_else(by_hand)?;
    let belongs = |line: &str| line.starts_with(&format!("[{name}."));
    let next = lines.iter().skip(head + 1).position(|line| is_head(line) && !belongs(line));
    let until = next.map_or(lines.len(), |at| head + 1 + at);
    let commented = |(at, line): (usize, &&str)| {
        let is_meant = (head..until).contains(&at) && !line.trim().is_empty() && !line.starts_with('#');
        format!("{}{line}", if is_meant { "# " } else { "" })
    };
    let new: String = lines.iter().enumerate().map(commented).collect();
    if new.parse::<Table>().is_ok_and(|new| new == wanted) { Ok(new) } else { Err(by_hand()) }
}

fn prune(table: &mut Table) {
    table.retain(|_, value| !value.as_table().is_some_and(Table::is_empty));
}

/// A text as TOML. What JSON escapes in a text TOML reads in the same way.
pub fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// The table of a section, made where it is missing; none where something else has its name.
fn table_in<'a>(table: &'a mut Table, section: &str) -> Option<&'a mut Table> {
    let parts = section.split('.').filter(|part| !part.is_empty());
    parts
        .into_iter()
        .try_fold(table, |table, part| table.entry(part).or_insert_with(|| Value::Table(Table::new())).as_table_mut())
}

type Place = (std::ops::Range<usize>, std::ops::Range<usize>);

/// Where key and value stand.
fn place_of(text: &str, section: &str, key: &str) -> Option<Place> {
    let (table, _) = DeTable::parse_recoverable(text);
    let mut table = table.get_ref();
    for part in section.split('.').filter(|part| !part.is_empty()) {
        table = match table.get(part)?.get_ref() {
            DeValue::Table(inner) => inner,
            _ => return None,
        };
    }
    let (name, value) = table.iter().find(|(name, _)| name.get_ref() == key)?;
    Some((name.span(), value.span()))
}

fn is_head(line: &str) -> bool {
    line.starts_with('[')
}

fn is_head_of(line: &str, section: &str) -> bool {
    line.split('#').next().is_some_and(|line| line.trim() == format!("[{section}]"))
}

/// The text with a new line in a section: below the comment that explains the key, else at the section's beginning.
fn with_line(text: &str, section: &str, key: &str, line: &str) -> String {
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let from = match section {
        "" => 0,
        _ => match lines.iter().position(|line| is_head_of(line, section)) {
            Some(head) => head + 1,
            None => return format!("{}\n\n[{section}]\n{line}", text.trim_end()),
        },
    };
    let until = lines.iter().skip(from).position(|line| is_head(line)).map_or(lines.len(), |at| from + at);
    let is_shown = |line: &&str| {
        let shown = line.strip_prefix("# ").and_then(|line| line.strip_prefix(key));
        shown.is_some_and(|rest| rest.trim_start().starts_with('='))
    };
    let at = lines[from..until].iter().position(is_shown).map_or(from, |at| from + at + 1);
    [lines[..at].concat(), line.to_string(), lines[at..].concat()].concat()
}

/// The value of a variable in a file of systemd's kind (`NAME=value`); the last one counts.
pub fn variable<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let value = text.lines().rev().find_map(|line| line.trim().strip_prefix(name)?.strip_prefix('='))?.trim();
    let bare = ['"', '\''].into_iter().find_map(|quote| value.strip_prefix(quote)?.strip_suffix(quote));
    Some(bare.unwrap_or(value))
}

/// The text with that variable, in its line where it has one.
pub fn with_variable(text: &str, name: &str, value: &str) -> String {
    let mut lines: Vec<&str> = text.lines().collect();
    let new = format!("{name}={value}");
    let is_it = |line: &&str| line.trim().strip_prefix(name).is_some_and(|rest| rest.starts_with('='));
    match lines.iter().rposition(is_it) {
        Some(at) => lines[at] = &new,
        None => lines.push(&new),
    }
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const FILE: &str =
        "# top\nname = \"a\" # kept\n\n# The mode.\n[listen]\n# how\n# mode = \"x\"\n\n# b\n[b]\nlist = [\n  1,\n]\n";

    #[test]
    fn a_key_is_written_where_its_owner_would_look_for_it() {
        for (section, key, value, was, is) in [
            ("", "name", "\"b\"", "\"a\" # kept", "\"b\" # kept"),
            ("", "voice", "\"v\"", "# top\n", "voice = \"v\"\n# top\n"),
            ("listen", "mode", "\"y\"", "# mode = \"x\"\n", "# mode = \"x\"\nmode = \"y\"\n"),
            ("listen", "tail", "3", "[listen]\n", "[listen]\ntail = 3\n"),
            ("b", "list", "[2]", "[\n  1,\n]", "[2]"),
            ("c.d", "e", "1", "  1,\n]\n", "  1,\n]\n\n[c.d]\ne = 1\n"),
        ] {
            assert_eq!(assign(FILE, section, key, value).unwrap(), FILE.replace(was, is), "{section}.{key}");
        }
        assert_eq!(assign("", "a", "b", "1").unwrap().trim(), "[a]\nb = 1");
    }

    #[test]
    fn what_is_taken_out_goes_with_its_comment_and_nothing_else_does() {
        assert_eq!(take_out(FILE, "", "name").unwrap(), FILE.replace("name = \"a\" # kept\n", ""));
        assert_eq!(take_out(FILE, "b", "list").unwrap(), FILE.replace("list = [\n  1,\n]\n", ""));
        assert_eq!(take_out(FILE, "b", "none").unwrap(), FILE);
        let without = "# top\nname = \"a\" # kept\n\n# b\n[b]\nlist = [\n  1,\n]\n";
        assert_eq!(take_out_section(FILE, "listen").unwrap(), without);
        assert_eq!(take_out_section(FILE, "none").unwrap(), FILE);
        let lines = "[a]\nx = 1\n\n# lamp\n[lines.lamp]\ny = 1\n";
        assert_eq!(take_out_section(lines, "lines.lamp").unwrap(), "[a]\nx = 1\n");
    }

    #[test]
    fn a_section_of_many_becomes_a_comment_with_what_belongs_to_it() {
        let text = "[[t]]\na = 1\n# why\n[t.x]\nb = 2\n\n[[t]]\na = 3\n[u]\nc = 4\n";
        let first = "# [[t]]\n# a = 1\n# why\n# [t.x]\n# b = 2\n\n[[t]]\na = 3\n[u]\nc = 4\n";
        assert_eq!(comment_out(text, "t", 0).unwrap(), first);
        assert_eq!(comment_out(text, "t", 1).unwrap(), text.replace("[[t]]\na = 3", "# [[t]]\n# a = 3"));
        assert_eq!(comment_out(first, "t", 0).unwrap(), first.replace("\n[[t]]\na = 3", "\n# [[t]]\n# a = 3"));
        assert!(comment_out(text, "t", 2).is_err() && comment_out("t = [{ a = 1 }]\n", "t", 0).is_err());
    }

    #[test]
    fn a_file_that_is_written_otherwise_is_left_alone_and_the_line_is_told() {
        for text in ["listen = { tail = 1 }\n", "listen = 3\n", "x = ["] {
            let why = assign(text, "listen", "mode", "\"y\"").unwrap_err();
            assert!(why.contains("`mode = \"y\"` into [listen] by hand"), "{why}");
        }
        assert!(take_out_section("a = { b = 1 }\n", "a").unwrap_err().contains("by hand"));
    }

    #[test]
    fn a_variable_is_changed_in_its_line() {
        let text = "# board\nMYNAH_BOARD=a\nOTHER=1\nMYNAH_BOARD='b'\n";
        assert_eq!(variable(text, "MYNAH_BOARD"), Some("b"));
        assert_eq!(variable("#MYNAH_BOARD=a\n", "MYNAH_BOARD"), None);
        assert_eq!(with_variable(text, "MYNAH_BOARD", "c"), text.replace("'b'", "c"));
        assert_eq!(with_variable("# x", "MYNAH_BOARD", "c"), "# x\nMYNAH_BOARD=c\n");
        assert_eq!(with_variable("", "MYNAH_BOARD", "c"), "MYNAH_BOARD=c\n");
    }
}
