//! What a server answered to a call, as the model hears it.

use serde_json::{Map, Value, json};

use super::clean;
use crate::tools::Failure;

/// Characters of a server's own words about a failure: a few sentences.
const WORDS_CHARS: usize = 600;
/// Parts of an answer that are looked at.
const PARTS_MAX: usize = 256;

/// The result of `tools/call`, as the protocol has it.
///
/// # Errors
/// [`Failure::Refused`] where the tool says that it failed, or asks for what this device has not.
pub fn outcome(answer: &Value) -> Result<Value, Failure> {
    let Some(answer) = answer.as_object() else {
        return Err(Failure::Refused("the tool answered with something that is no result".into()));
    };
    if answer.get("resultType").is_some_and(|kind| kind != "complete") {
        return Err(Failure::Refused(
            "the tool wants to ask something back, which this device cannot do for it".into(),
        ));
    }
    let parts = answer.get("content").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let texts: Vec<&str> = parts.iter().take(PARTS_MAX).filter_map(text).collect();
    if answer.get("isError") == Some(&Value::Bool(true)) {
        let why = clean(&texts.join(" "), WORDS_CHARS);
        let why = if why.is_empty() {
            "the tool failed, and does not say why".to_string()
        } else {
            format!("the tool failed: {why}")
        };
        return Err(Failure::Refused(why));
    }
    let mut said = Map::new();
    match answer.get("structuredContent") {
        Some(structured) if !structured.is_null() => drop(said.insert("result".into(), unwrapped(structured).clone())),
        _ if texts.iter().any(|text| !text.trim().is_empty()) => {
            drop(said.insert("result".into(), words(&texts.join("\n"))))
        }
        _ => {}
    }
    if let Some(left_out) = left_out(parts) {
        said.insert("left_out".into(), json!(left_out));
    }
    if said.is_empty() {
        said.insert("result".into(), json!("done, nothing was returned"));
    }
    Ok(Value::Object(said))
}

/// A server's own words about what it did not do.
pub fn refused(why: &str) -> Failure {
    Failure::Refused(format!("the tool could not be called: {}", clean(why, WORDS_CHARS)))
}

/// The text of a part: its own, or that of a resource in it.
fn text(part: &Value) -> Option<&str> {
    match part["type"].as_str()? {
        "text" => part["text"].as_str(),
        "resource" => part["resource"]["text"].as_str(),
        _ => None,
    }
}

/// The Python SDK puts what is no object into one with the only member `result`.
fn unwrapped(structured: &Value) -> &Value {
    let only = structured.as_object().filter(|members| members.len() == 1);
    only.and_then(|members| members.get("result")).unwrap_or(structured)
}

/// A text as JSON where it is an object or a list: the model reads it better without the quotes.
fn words(text: &str) -> Value {
    match serde_json::from_str(text) {
        Ok(value @ (Value::Object(_) | Value::Array(_))) => value,
        _ => json!(text),
    }
}

/// What cannot be carried: "2 pictures, 1 link".
fn left_out(parts: &[Value]) -> Option<String> {
    let kind = |part: &Value| match part["type"].as_str() {
        Some("image") => Some("picture"),
        Some("audio") => Some("sound"),
        Some("resource_link") => Some("link"),
        Some("text") => None,
        Some("resource") if part["resource"]["text"].is_string() => None,
        Some("resource") => Some("file"),
        _ => Some("part of an unknown kind"),
    };
    let mut counts: Vec<(&str, usize)> = Vec::new();
    for kind in parts.iter().filter_map(kind) {
        match counts.iter_mut().find(|(known, _)| *known == kind) {
            Some((_, count)) => *count += 1,
            None => counts.push((kind, 1)),
        }
    }
    let plural = |(kind, count): &(&str, usize)| {
        if *count == 1 {
            format!("1 {kind}")
        } else {
            format!(
                "{count} {}",
                kind.replace("picture", "pictures")
                    .replace("sound", "sounds")
                    .replace("link", "links")
                    .replace("file", "files")
                    .replace("part", "parts")
            )
        }
    };
    (!counts.is_empty()).then(|| counts.iter().map(plural).collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn answers_become_short_json_and_are_never_empty() {
        let text = |text: &str| json!({"type": "text", "text": text});
        for (answer, heard) in [
            (json!({"content": [text("21 C"), text("dry")]}), json!({"result": "21 C\ndry"})),
            (json!({"content": [text("{\"a\": 1}")]}), json!({"result": {"a": 1}})),
            (json!({"content": [text("7")]}), json!({"result": "7"})),
            (json!({"content": [text("{\"t\":1}")], "structuredContent": {"t": 2}}), json!({"result": {"t": 2}})),
            (json!({"content": [text("42")], "structuredContent": {"result": 42}}), json!({"result": 42})),
            (json!({"content": [], "structuredContent": null}), json!({"result": "done, nothing was returned"})),
            (json!({"content": [text("  ")]}), json!({"result": "done, nothing was returned"})),
            (json!({}), json!({"result": "done, nothing was returned"})),
            (
                json!({"content": [text("see"), {"type": "image", "data": "aaaa"}, {"type": "image"}, {"type": "audio"},
                    {"type": "resource_link", "uri": "x"}, {"type": "resource", "resource": {"blob": "aa"}},
                    {"type": "resource", "resource": {"text": "inside"}}, {"type": "hologram"}]}),
                json!({"result": "see\ninside",
                    "left_out": "2 pictures, 1 sound, 1 link, 1 file, 1 part of an unknown kind"}),
            ),
        ] {
            assert_eq!(outcome(&answer).unwrap(), heard);
        }
    }

    #[test]
    fn failures_are_short_sentences() {
        let failed =
            json!({"isError": true, "content": [{"type": "text", "text": "no such\n\u{7} room".repeat(1000)}]});
        let why = outcome(&failed).unwrap_err().to_string();
        assert!(why.starts_with("the tool failed: no such room") && why.len() < 700, "{why}");
        assert_eq!(
            outcome(&json!({"isError": true})).unwrap_err().to_string(),
            "the tool failed, and does not say why"
        );
        for strange in [json!(null), json!([]), json!({"resultType": "input_required"}), json!({"resultType": "task"})]
        {
            assert!(matches!(outcome(&strange), Err(Failure::Refused(_))), "{strange}");
        }
    }
}
