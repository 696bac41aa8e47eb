//! Reads Rust text well enough to judge it: code apart from comments and strings, test code left out,
//! paths and functions found.

/// A file's text, apart.
pub struct Source {
    /// Where it is, from the package's root, with `/`.
    pub file: String,
    /// The text as it is.
    pub text: String,
    /// The text with comments and the inside of strings blanked; same length.
    pub all_code: String,
    /// The same with test code blanked too.
    pub code: String,
    /// How many lines are test code.
    pub test_lines: usize,
    /// The text with everything but comments blanked; same length.
    pub comments: String,
}

/// A function: its name and its lines, both ends included.
pub struct Function {
    pub name: String,
    pub first: usize,
    pub last: usize,
}

impl Source {
    pub fn new(file: &str, text: &str) -> Source {
        let (all_code, comments) = split(text);
        let is_test = file.ends_with("tests.rs") || !file.starts_with("src/");
        let (code, test_lines) =
            if is_test { (blank_all(&all_code), text.lines().count()) } else { without_tests(&all_code) };
        Source { file: file.into(), text: text.into(), all_code, code, test_lines, comments }
    }

    /// Every path in `code` that begins with `root::`, as segments, with its line; groups are unfolded.
    pub fn paths(&self, root: &str) -> Vec<(usize, Vec<String>)> {
        let mut found = Vec::new();
        for at in words(&self.code, root) {
            let rest = &self.code[at + root.len()..];
            if rest.starts_with("::") && !self.code[..at].ends_with("::") {
                let mut reader = Reader { text: rest, at: 2 };
                let mut paths = Vec::new();
                reader.tree(&mut vec![root.to_string()], &mut paths);
                found.extend(
                    paths.into_iter().map(|(offset, path)| (line_of(&self.code, at + root.len() + offset), path)),
                );
            }
        }
        found
    }

    /// The functions of `code` that have a body.
    pub fn functions(&self) -> Vec<Function> {
        let mut found = Vec::new();
        for at in words(&self.code, "fn") {
            let after = self.code[at + 2..].trim_start();
            let name: String = after.chars().take_while(|&c| is_word(c)).collect();
            let Some(stop) = self.code[at..].find(['{', ';']).map(|stop| at + stop) else { continue };
            if name.is_empty() || self.code[stop..].starts_with(';') {
                continue; // a type or a declaration
            }
            let first = line_of(&self.code, at);
            found.push(Function { name, first, last: line_of(&self.code, closing(&self.code, stop)) });
        }
        found
    }
}

/// The line that holds the byte `at`, from 1.
pub fn line_of(text: &str, at: usize) -> usize {
    text.as_bytes()[..at.min(text.len())].iter().filter(|&&byte| byte == b'\n').count() + 1
}

/// Where `word` stands as a whole word.
pub fn words<'a>(text: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    text.match_indices(word)
        .map(|(at, _)| at)
        .filter(move |&at| !text[..at].ends_with(is_word) && !text[at + word.len()..].starts_with(is_word))
}

pub fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Reads a use tree: segments joined by `::`, groups in braces.
struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl Reader<'_> {
    fn tree(&mut self, so_far: &mut Vec<String>, found: &mut Vec<(usize, Vec<String>)>) {
        self.skip_space();
        let begun = self.at;
        if self.eat("{") {
            loop {
                self.skip_space();
                if self.eat("}") || self.at >= self.text.len() {
                    return;
                }
                if !self.eat(",") {
                    let before = self.at;
                    self.tree(&mut so_far.clone(), found);
                    if self.at == before {
                        return; // not a use tree after all
                    }
                }
            }
        }
        let name: String = self.text[self.at..].chars().take_while(|&c| is_word(c) || c == '*').collect();
        self.at += name.len();
        so_far.push(name);
        if self.eat("::") {
            return self.tree(so_far, found);
        }
        self.skip_space();
        if self.text[self.at..].starts_with("as ") {
            self.at += self.text[self.at..].find([',', '}', ';']).unwrap_or(0);
        }
        found.push((begun, so_far.clone()));
    }

    fn eat(&mut self, token: &str) -> bool {
        let ate = self.text[self.at..].starts_with(token);
        self.at += if ate { token.len() } else { 0 };
        ate
    }

    fn skip_space(&mut self) {
        self.at += self.text[self.at..].len() - self.text[self.at..].trim_start().len();
    }
}

/// Code and comments of `text`, each with the other blanked.
fn split(text: &str) -> (String, String) {
    let (mut code, mut comments) = (String::new(), String::new());
    let mut at = 0;
    while at < text.len() {
        let rest = &text[at..];
        let (taken, kind) = token(rest, text[..at].chars().next_back());
        let piece = &rest[..taken];
        let (for_code, for_comments) = match kind {
            Kind::Code => (piece.to_string(), blank_all(piece)),
            Kind::Comment => (blank_all(piece), piece.to_string()),
            Kind::Text => (hollow(piece), blank_all(piece)),
        };
        code.push_str(&for_code);
        comments.push_str(&for_comments);
        at += taken;
    }
    (code, comments)
}

enum Kind {
    Code,
    Comment,
    Text,
}

/// The length of the token that `rest` begins with, and its kind.
fn token(rest: &str, before: Option<char>) -> (usize, Kind) {
    if rest.starts_with("//") {
        return (rest.find('\n').unwrap_or(rest.len()), Kind::Comment);
    }
    if rest.starts_with("/*") {
        return (block_comment(rest), Kind::Comment);
    }
    let hashes = rest.trim_start_matches('r').bytes().take_while(|&b| b == b'#').count();
    if rest.starts_with('r') && !before.is_some_and(|c| is_word(c) && c != 'b') && rest[1 + hashes..].starts_with('"') {
        let end = format!("\"{}", "#".repeat(hashes));
        let body = 2 + hashes;
        return (rest[body..].find(&end).map_or(rest.len(), |at| body + at + end.len()), Kind::Text);
    }
    if rest.starts_with('"') {
        return (quoted(rest, '"'), Kind::Text);
    }
    if let Some(after) = rest.strip_prefix('\'') {
        let mut letters = after.chars();
        // A letter and a quote, or an escape; otherwise it is a lifetime.
        let is_escape = letters.next() == Some('\\');
        if is_escape || letters.next() == Some('\'') {
            return (quoted(rest, '\''), Kind::Text);
        }
    }
    (rest.chars().next().map_or(1, char::len_utf8), Kind::Code)
}

fn quoted(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        if c == quote && !escaped {
            return at + 1;
        }
        escaped = c == '\\' && !escaped;
    }
    rest.len()
}

fn block_comment(rest: &str) -> usize {
    let (mut depth, mut at) = (0usize, 0);
    while at < rest.len() {
        if rest[at..].starts_with("/*") {
            (depth, at) = (depth + 1, at + 2);
        } else if rest[at..].starts_with("*/") {
            (depth, at) = (depth - 1, at + 2);
            if depth == 0 {
                return at;
            }
        } else {
            at += rest[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    rest.len()
}

/// Blanks all but line ends; as many bytes as before.
fn blank_all(text: &str) -> String {
    text.bytes().map(|byte| if byte == b'\n' { '\n' } else { ' ' }).collect()
}

/// Blanks a string's inside and keeps its quotes.
fn hollow(piece: &str) -> String {
    let open = piece.find(['"', '\'']).unwrap_or(0);
    let close = piece.rfind(['"', '\'']).unwrap_or(0);
    let inside = if close > open { blank_all(&piece[open + 1..close]) } else { String::new() };
    format!("{}{inside}{}", &piece[..=open], &piece[(open + 1 + inside.len()).min(piece.len())..])
}

/// Blanks each item under `#[cfg(test)]`; answers how many lines these have, too.
fn without_tests(code: &str) -> (String, usize) {
    let mut lines = 0;
    let mut left = code.to_string();
    while let Some(at) = left.find("#[cfg(test)]") {
        let item = left[at..].find(']').map_or(left.len(), |end| at + end + 1);
        let is_use = left[item..].trim_start().starts_with("use ");
        let stop = left[item..].find(|c| c == ';' || (c == '{' && !is_use)).map_or(left.len() - 1, |end| item + end);
        let end = if left[stop..].starts_with('{') { closing(&left, stop) } else { stop };
        lines += line_of(&left, end) - line_of(&left, at) + 1;
        left.replace_range(at..=end, &blank_all(&left[at..=end]));
    }
    (left, lines)
}

/// Where the brace that opens at `open` is closed; the end of the text where it is not.
fn closing(code: &str, open: usize) -> usize {
    let mut depth = 0usize;
    for (at, byte) in code.bytes().enumerate().skip(open) {
        match byte {
            b'{' => depth += 1,
            b'}' if depth == 1 => return at,
            b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    code.len() - 1
}
