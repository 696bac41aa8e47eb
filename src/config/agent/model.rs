//! The id of a model, as the configuration takes it.

/// Whether this may be one; otherwise the end of a sentence that begins with the key.
pub(super) fn id(text: &str) -> Result<(), String> {
    if let Some(bare) = text.strip_prefix("models/") {
        return Err(format!("is \"{text}\"; leave `models/` out: \"{bare}\""));
    }
    if text.chars().all(|letter| letter.is_ascii_alphanumeric() || "._-".contains(letter)) {
        return Ok(());
    }
    Err("holds characters that no model's id has; it must be one like \"gemini-3.8-live\"".to_string())
}
