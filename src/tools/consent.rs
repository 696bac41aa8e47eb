//! Whether a person said yes: to a question that the device had asked, in words that the service understood.
//!
//! The model's word that somebody agreed is not enough where a door opens. What counts is the transcript of what was
//! said after the question, and in it a yes without a no.

use serde_json::{Value, json};

/// Words and phrases of consent, in the languages that people have asked for so far.
const YES: [&str; 34] = [
    "yes",
    "yeah",
    "yep",
    "yup",
    "sure",
    "okay",
    "ok",
    "confirm",
    "confirmed",
    "correct",
    "go ahead",
    "do it",
    "please do", // English
    "ja",
    "jawohl",
    "genau",
    "bestätigt",
    "bestätige",
    "mach das", // German
    "oui",
    "d'accord",
    "confirmé",
    "vas-y", // French
    "sí",
    "si",
    "claro",
    "confirmado",
    "adelante", // Spanish
    "sì",
    "certo",
    "confermo", // Italian
    "sim",
    "はい",
    "да",
];
/// One of these is a no, whatever else is said.
const NO: [&str; 30] = [
    "no",
    "nope",
    "not",
    "don't",
    "do not",
    "never",
    "stop",
    "cancel",
    "wait",
    "later", // English
    "nein",
    "nicht",
    "nie",
    "halt",
    "stopp",
    "abbrechen",
    "warte",
    "nee", // German
    "non",
    "pas",
    "annule",
    "jamais",
    "arrête", // French
    "nunca",
    "cancela",
    "para", // Spanish
    "annulla",
    "não",
    "いいえ",
    "нет",
];

/// What somebody said to a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Said {
    /// Yes, and no no.
    Yes,
    /// No, whatever else.
    No,
    /// Neither.
    Neither,
}

/// What `text`, all that was said in one turn, says to a question.
pub fn said(text: &str) -> Said {
    let plain = plain(text);
    let has = |phrase: &&str| plain.contains(&format!(" {phrase} "));
    if NO.iter().any(has) {
        Said::No
    } else if YES.iter().any(has) {
        Said::Yes
    } else {
        Said::Neither
    }
}

/// What the model is told where a yes was waited for in vain.
pub fn no_yes_heard() -> Value {
    json!({ "status": "not done: no yes was heard", "ask_the_user_to": "say yes clearly; then call this function again" })
}

/// Small letters with one blank before and behind each word, so that a phrase is found as whole words.
fn plain(text: &str) -> String {
    let mut plain = String::from(" ");
    for letter in text.chars().flat_map(char::to_lowercase) {
        let letter = if letter == '\u{2019}' { '\'' } else { letter };
        if letter.is_alphanumeric() || letter == '\'' || letter == '-' {
            plain.push(letter);
        } else if !plain.ends_with(' ') {
            plain.push(' ');
        }
    }
    if !plain.ends_with(' ') {
        plain.push(' ');
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_yes_is_a_whole_word_and_a_no_beats_it() {
        for text in [
            "Yes.",
            "oh yes please",
            "Ja, mach das!",
            "D\u{2019}accord",
            "Sí, claro",
            "OK",
            "please, go ahead now",
            "はい",
        ] {
            assert_eq!(said(text), Said::Yes, "{text}");
        }
        for text in ["No!", "yes, no, wait", "Ja nein, doch nicht", "don\u{2019}t do it", "Nein.", "yes but not now"] {
            assert_eq!(said(text), Said::No, "{text}");
        }
        for text in ["", "yesterday", "jacket", "what did you say", "sit down", "notice", "know", "..."] {
            assert_eq!(said(text), Said::Neither, "{text}");
        }
    }
}
