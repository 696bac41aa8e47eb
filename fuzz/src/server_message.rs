//! Whatever the service sends, a line a message: the reader never panics, and what it returns keeps its limits.

use std::time::Duration;

use mynah::live::server::{
    BEGIN_MAX, CALLS_MAX, ERROR_MAX, HANDLE_MAX, ID_MAX, Message, NAME_CHARS_MAX, Reader, TEXT_MAX, UNKNOWN_MAX,
};

/// Tries one input.
pub fn run(bytes: &[u8]) {
    let mut reader = Reader::default();
    for line in bytes.split(|byte| *byte == b'\n') {
        let first = read(&mut reader, line);
        // What came before may add half a sample and nothing else.
        let (again, fresh) = (read(&mut reader, line), read(&mut Reader::default(), line));
        assert_eq!(first.is_some(), again.is_some());
        assert_eq!(without_sound(first), without_sound(fresh));
    }
}

fn read(reader: &mut Reader, bytes: &[u8]) -> Option<Message> {
    match reader.read(bytes) {
        Ok(message) => {
            check(&message, bytes.len());
            Some(message)
        }
        Err(garbage) => {
            // What is no UTF-8 is shown as a mark of three bytes.
            assert!(garbage.begin.len() <= 3 * BEGIN_MAX);
            None
        }
    }
}

fn check(message: &Message, bytes: usize) {
    let fits = |text: &Option<String>, max: usize| text.as_ref().is_none_or(|text| text.len() <= max);
    assert!(fits(&message.user_text, TEXT_MAX) && fits(&message.model_text, TEXT_MAX));
    assert!(fits(&message.turn_reason, ERROR_MAX) && fits(&message.error, ERROR_MAX));
    assert!(fits(&message.handle, HANDLE_MAX));
    assert!(message.calls.len() <= CALLS_MAX && message.cancelled.len() <= CALLS_MAX);
    for id in message.calls.iter().map(|call| &call.id).chain(&message.cancelled) {
        assert!(id.to_string().len() <= ID_MAX);
    }
    assert!(message.calls.iter().all(|call| call.name.chars().count() <= NAME_CHARS_MAX));
    assert!(message.unknown.len() <= UNKNOWN_MAX);
    assert!(message.go_away.is_none_or(|left| left <= Duration::from_secs(86_400)));
    assert!(message.usage.is_none_or(|usage| usage.total >= usage.input.sum().saturating_add(usage.output.sum())));
    // Base64 takes four bytes for three; half a sample may be left over from before.
    let frames: usize = message.audio.iter().map(|chunk| chunk.frames.len()).sum();
    assert!(2 * frames <= bytes + 1, "{frames} frames in {bytes} bytes");
    assert!(message.audio.iter().all(|chunk| !chunk.frames.is_empty() && (8_000..=96_000).contains(&chunk.rate.0)));
}

fn without_sound(message: Option<Message>) -> Option<Message> {
    message.map(|message| Message { audio: Vec::new(), ..message })
}
