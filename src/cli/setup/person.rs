//! Who is asked: a terminal, line by line. A key is typed without being shown.

use std::io::{BufRead, Read as _, Write};

use anyhow::Context as _;

/// Longest line that is taken, bytes.
const LINE_BYTES_MAX: u64 = 4096;

/// Somebody who reads and answers.
pub trait Person {
    /// Shows a text; the line does not end by itself.
    ///
    /// # Errors
    /// Nothing can be shown.
    fn say(&mut self, text: &str) -> anyhow::Result<()>;

    /// Waits for a line.
    ///
    /// # Errors
    /// The input ended.
    fn line(&mut self) -> anyhow::Result<String>;

    /// Asks for a line that is shown nowhere, from before the question is.
    ///
    /// # Errors
    /// The input ended.
    fn secret(&mut self, question: &str) -> anyhow::Result<String>;
}

/// A choice: the value, and what it is.
pub type Choice = (String, String);

fn ended() -> anyhow::Error {
    anyhow::anyhow!("the input ended: nothing was changed")
}

/// Asks until there is an answer; `?` shows `help`.
///
/// # Errors
/// The input ended.
pub fn ask(person: &mut dyn Person, question: &str, default: &str, help: &str) -> anyhow::Result<String> {
    loop {
        person.say(&format!("{question} [{default}]: "))?;
        match person.line()?.trim() {
            "" => return Ok(default.to_string()),
            "?" => person.say(&format!("  {help}\n"))?,
            answer => return Ok(answer.to_string()),
        }
    }
}

/// Asks for yes or no.
///
/// # Errors
/// The input ended.
pub fn agrees(person: &mut dyn Person, question: &str, default: bool, help: &str) -> anyhow::Result<bool> {
    loop {
        let answer = ask(person, question, if default { "Y/n" } else { "y/N" }, help)?;
        match answer.to_ascii_lowercase().as_str() {
            "y/n" => return Ok(default),
            "y" | "yes" => return Ok(true),
            "n" | "no" => return Ok(false),
            _ => person.say("  y or n, please.\n")?,
        }
    }
}

/// Asks for one of `choices` by number or value; what is none of them is judged by `other`, which answers the value or why
/// it is none.
///
/// # Errors
/// The input ended.
pub fn choose(
    person: &mut dyn Person,
    question: &str,
    choices: &[Choice],
    default: &str,
    help: &str,
    other: impl Fn(&str) -> Result<String, String>,
) -> anyhow::Result<String> {
    person.say(&format!("\n{question}\n"))?;
    for (place, (value, what)) in choices.iter().enumerate() {
        person.say(&format!("  {}. {value}{}{what}\n", place + 1, if what.is_empty() { "" } else { ": " }))?;
    }
    let number = choices.iter().position(|(value, _)| value == default).map_or(1, |place| place + 1);
    loop {
        let answer = ask(person, "Which", &number.to_string(), help)?;
        let by_number = answer.parse::<usize>().ok().and_then(|number| choices.get(number.checked_sub(1)?));
        let found = by_number.or_else(|| choices.iter().find(|(value, _)| *value == answer));
        match found.map_or_else(|| other(&answer), |(value, _)| Ok(value.clone())) {
            Ok(value) => return Ok(value),
            Err(why) => person.say(&format!("  {why}\n"))?,
        }
    }
}

/// Standard input, and where the program prints.
pub struct Terminal<'a> {
    /// Where it prints.
    pub out: &'a mut dyn Write,
}

impl Person for Terminal<'_> {
    fn say(&mut self, text: &str) -> anyhow::Result<()> {
        self.out.write_all(text.as_bytes()).and_then(|()| self.out.flush()).context("nothing can be printed")
    }

    fn line(&mut self) -> anyhow::Result<String> {
        let mut line = Vec::new();
        std::io::stdin().lock().take(LINE_BYTES_MAX).read_until(b'\n', &mut line)?;
        if line.is_empty() {
            return Err(ended());
        }
        Ok(String::from_utf8_lossy(&line).into_owned())
    }

    fn secret(&mut self, question: &str) -> anyhow::Result<String> {
        let hidden = Hidden::begin()?;
        self.say(question)?;
        let line = typed(std::io::stdin().lock().take(LINE_BYTES_MAX));
        drop(hidden);
        self.say("\n")?;
        line
    }
}

/// What is typed while the terminal neither shows nor interprets it.
fn typed(input: impl BufRead) -> anyhow::Result<String> {
    let mut line = Vec::new();
    for byte in input.bytes() {
        match byte? {
            b'\n' | b'\r' => return Ok(String::from_utf8_lossy(&line).into_owned()),
            // Ctrl-C and Ctrl-D.
            3 | 4 => return Err(ended()),
            // Backspace, Ctrl-U.
            8 | 127 => drop(line.pop()),
            21 => line.clear(),
            byte => line.push(byte),
        }
    }
    Err(ended())
}

/// A terminal that shows nothing of what is typed; as before when dropped. Ctrl-C is a key meanwhile: it would leave the
/// terminal so.
struct Hidden(libc::termios);

impl Hidden {
    fn begin() -> anyhow::Result<Hidden> {
        // SAFETY: all fields of the struct are plain numbers, and zero is a value of each.
        let mut before: libc::termios = unsafe { std::mem::zeroed() };
        // SAFETY: `before` is a live termios.
        anyhow::ensure!(
            unsafe { libc::tcgetattr(libc::STDIN_FILENO, &raw mut before) } == 0,
            "a key is typed on a terminal only: --key-file names a file that holds it"
        );
        let mut hidden = before;
        hidden.c_lflag &= !(libc::ECHO | libc::ECHONL | libc::ICANON | libc::ISIG);
        // SAFETY: `hidden` is a live termios.
        let set = unsafe { libc::tcsetattr(libc::STDIN_FILENO, libc::TCSADRAIN, &raw const hidden) };
        anyhow::ensure!(set == 0, "the terminal would show the key: --key-file names a file that holds it");
        Ok(Hidden(before))
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        // SAFETY: the termios is a live one.
        unsafe { libc::tcsetattr(libc::STDIN_FILENO, libc::TCSADRAIN, &raw const self.0) };
    }
}

#[cfg(test)]
pub(super) mod tests {
    #![allow(clippy::unwrap_used)]

    use std::collections::VecDeque;

    use super::*;

    /// Answers in order; what is shown is kept.
    pub(in super::super) struct Script(VecDeque<&'static str>, pub String);

    impl Person for Script {
        fn say(&mut self, text: &str) -> anyhow::Result<()> {
            self.1 += text;
            Ok(())
        }
        fn line(&mut self) -> anyhow::Result<String> {
            self.0.pop_front().map(str::to_string).ok_or_else(ended)
        }
        fn secret(&mut self, question: &str) -> anyhow::Result<String> {
            self.say(question)?;
            self.line()
        }
    }

    pub(in super::super) fn script(answers: &[&'static str]) -> Script {
        Script(answers.iter().copied().collect(), String::new())
    }

    #[test]
    fn an_answer_is_a_number_a_value_or_nothing_and_help_is_there() {
        let choices = [("a".to_string(), "first".to_string()), ("b".to_string(), String::new())];
        for (answers, chosen) in
            [(&[""][..], "b"), (&["1"], "a"), (&["a"], "a"), (&["?", "3", "0", "2"], "b"), (&["other"], "OTHER")]
        {
            let mut person = script(answers);
            let other = |text: &str| if text == "other" { Ok("OTHER".into()) } else { Err(format!("no {text}")) };
            assert_eq!(choose(&mut person, "What", &choices, "b", "This is help.", other).unwrap(), chosen);
            assert!(person.1.contains("1. a: first\n  2. b\nWhich [2]: "), "{}", person.1);
            assert_eq!(person.1.contains("This is help."), answers.contains(&"?"));
            assert_eq!(person.1.contains("no 3") && person.1.contains("no 0"), answers.contains(&"3"));
        }
        assert!(agrees(&mut script(&["perhaps", "YES"]), "Sure?", false, "").unwrap());
        assert!(!agrees(&mut script(&[""]), "Sure?", false, "").unwrap());
        assert!(agrees(&mut script(&[]), "Sure?", true, "").unwrap_err().to_string().contains("nothing was changed"));
    }

    #[test]
    fn a_key_is_typed_with_corrections_and_an_end() {
        for (keys, line) in
            [("abc\n", Some("abc")), ("ax\x7fb\r", Some("ab")), ("x\x15ab\n", Some("ab")), ("\n", Some(""))]
        {
            assert_eq!(typed(keys.as_bytes()).ok().as_deref(), line);
        }
        for keys in ["ab\x03", "ab\x04", "ab"] {
            assert!(typed(keys.as_bytes()).is_err(), "{keys:?}");
        }
    }
}
