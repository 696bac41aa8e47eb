//! Why something happened, in this program's own words, from a sentence that may hold anybody's.
//!
//! Sentences about the network, the devices and the service's refusals carry addresses, names and pieces of what was
//! received. The flight recorder has no place for them: what it shows is the row that the sentence belongs to. The log
//! has the sentence itself.

/// What is shown where no row fits.
pub const OTHER: &str = "another cause; the log has it";

/// Pieces of sentences (lower case), in the order in which they are looked for, and what they mean.
const CAUSES: [(&str, &str); 86] = [
    // The light, before the service: what the system says of a file may sound like it ("Invalid argument").
    ("no such pwm chip", "it is not there"),
    ("no such channel", "it is not there"),
    ("no such device", "it is not there"),
    ("a driver of the kernel holds it", "a driver of the kernel has it"),
    ("is no spi bus", "it is no SPI bus"),
    ("takes too few bytes", "the SPI bus takes too few bytes at once"),
    ("the light ", "the light cannot be used"),
    // What the service says at the end of a connection (live-protocol.md 7.1).
    ("api key", "the service refused the key"),
    ("unregistered callers", "the service refused the key"),
    ("authentication credentials", "the service refused the key"),
    ("permission denied", "the service refused the key"),
    ("auth token", "the service refused the token"),
    ("auth_token", "the service refused the token"),
    ("token expired", "the token has expired"),
    ("token has expired", "the token has expired"),
    ("ephemeral token", "the service refused the token"),
    ("user location", "the service is not offered at this place"),
    ("not found for api version", "the service does not know the model"),
    ("bidigeneratecontent session not found", "the service does not have the conversation any more"),
    ("for bidigeneratecontent", "the service does not know the model"),
    ("requested entity", "the service did not find the model or the conversation"),
    ("session not found", "the service does not have the conversation any more"),
    ("quota", "the quota is used up"),
    ("resource_exhausted", "the quota is used up"),
    ("goaway", "the service had asked to leave"),
    ("session durat", "the connection had reached its age"),
    ("deadline", "the service was too slow for itself"),
    ("internal error", "the service failed"),
    ("currently unavailable", "the service failed"),
    ("precondition check", "the service failed"),
    ("keepalive ping timeout", "the service heard no sign of life"),
    ("speaker voice", "the model does not have the voice"),
    ("thinking level", "the service refused the setup"),
    ("invalid json payload", "the service refused the setup"),
    ("invalid argument", "the service refused the setup or a message"),
    ("not supported", "the service refused the setup"),
    // What the session says of a service that goes on too slowly, or not at all.
    ("not even a pong", "nothing came, not even a pong"),
    ("did not go on with the conversation", "the service did not go on with the conversation, twice"),
    ("did not answer the setup", "the setup was not answered in time"),
    ("did not answer the websocket", "the upgrade was not answered in time"),
    ("service did not answer", "no answer came"),
    ("did not end it", "the reply did not go on"),
    ("was to say more", "the reply did not go on"),
    ("did not say that the turn is over", "the end of the turn did not come"),
    ("changed for another", "another connection took its place"),
    ("lost the conversation in which", "the conversation in which it was asked is lost"),
    ("not be sent within", "it could not be sent in time"),
    ("are kept already", "as much is kept as can be"),
    ("are not kept", "as much is kept as can be"),
    ("too late to take it", "this machine was too slow"),
    ("tokens a day", "the day's tokens are used up"),
    ("dollars a day", "the day's money is used up"),
    ("fallback_model", "the fallback model is used"),
    ("no voice", "the service's own voice is used"),
    ("ahead of the loudspeaker", "the reply is longer than its queue"),
    ("queue is full", "the reply is longer than its queue"),
    // What keeps a connection from coming about.
    ("clock", "the clock of this machine is not set"),
    ("sign-in", "a sign-in page answers instead of the service"),
    ("portal", "a sign-in page answers instead of the service"),
    ("certificate", "the certificate is not accepted"),
    ("dns", "the name has no address, or DNS does not answer"),
    ("resolved", "the name has no address, or DNS does not answer"),
    ("no address", "the name has no address, or DNS does not answer"),
    ("refuses connections", "the address refuses connections"),
    ("connection refused", "the address refuses connections"),
    ("unreachable", "there is no way to the address"),
    ("no way to", "there is no way to the address"),
    ("no answer from", "the address does not answer"),
    ("does not answer on port", "the address does not answer"),
    ("tls", "TLS failed"),
    ("does not take what is sent", "the network does not take what is sent"),
    ("in time", "it took too long"),
    ("network up?", "the network is down"),
    ("without a word", "it ended without a word"),
    ("connection broke", "the connection broke"),
    ("with code", "the service closed it"),
    ("http status", "the service answered with an HTTP status"),
    // Devices and files here.
    ("gives only zeros", "the microphone gives only zeros"),
    ("gives a flat line", "the microphone gives a flat line"),
    ("gives no sound", "the microphone gives nothing"),
    ("mute line", "the mute line cannot be read"),
    ("is busy", "another program has it"),
    ("was not found", "it is not there"),
    ("no right", "this user has no right to it"),
    ("cannot be written", "it cannot be written"),
    ("put aside", "a file was put aside"),
];

/// The cause that `sentence` tells of.
pub fn cause(sentence: &str) -> &'static str {
    let sentence = sentence.to_lowercase();
    CAUSES.iter().find(|(piece, _)| sentence.contains(piece)).map_or(OTHER, |(_, cause)| cause)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    use crate::audio::trouble::PcmTrouble;
    use crate::config::board::{ColourOrder, PixelChip, PixelLight, Polarity, PwmLight};
    use crate::hw::folder::FolderTrouble;
    use crate::hw::{LineTrouble, pixels, pwm};
    use crate::live::close::Refusal;
    use crate::mic::dead::Silence;

    #[test]
    fn a_sentence_shows_its_row_and_none_of_its_own_words() {
        for (sentence, expected) in [
            (
                "example.org port 443 cannot be reached (Connection refused (os error 111))",
                "the address refuses connections",
            ),
            ("the server closed with code 1011: You exceeded your current quota", "the quota is used up"),
            (
                "the server closed with code 1008: BidiGenerateContent session not found",
                "the service does not have the conversation any more",
            ),
            ("the server closed with code 1000", "the service closed it"),
            ("Requested entity was not found.", "the service did not find the model or the conversation"),
            ("nobody has seen this yet", OTHER),
        ] {
            assert_eq!(cause(sentence), expected, "{sentence}");
        }
    }

    #[test]
    fn what_this_program_says_of_its_own_has_a_row() {
        let x = || "x".to_string();
        for sentence in [
            PcmTrouble::busy(x()).to_string(),
            PcmTrouble::missing(x()).to_string(),
            "the service did not say that the turn is over".into(),
            "nothing came from the service for 9 s, not even a pong".into(),
            "it could not be sent within 30 s".into(),
            LineTrouble::Missing { line: x() }.to_string(),
            LineTrouble::Busy { line: x(), holder: x() }.to_string(),
            LineTrouble::Denied { what: x(), remedy: x() }.to_string(),
            Silence::Nothing.sentence().into(),
            Silence::Zeros.sentence().into(),
            Silence::Flat.sentence().into(),
            FolderTrouble::Unwritable { folder: "x".into(), why: x() }.to_string(),
            Refusal::Key(x()).to_string(),
        ] {
            assert_ne!(cause(&sentence), OTHER, "{sentence}");
        }
    }

    #[test]
    fn a_light_that_cannot_be_had_has_a_row_of_its_own() {
        let wish =
            PwmLight { pwm_chip: "x".into(), pwm_channel: 1, polarity: Polarity::ActiveHigh, brightness_percent: 50 };
        let missing = pwm::open(Path::new("/no/such/class"), &wish).err().map(|trouble| trouble.to_string());
        assert_eq!(missing.as_deref().map(cause), Some("it is not there"));
        for (spi_device, expected) in [("/dev/spidev-none", "it is not there"), ("/dev/null", "it is no SPI bus")] {
            let (chip, order) = (PixelChip::Ws2812, ColourOrder::Grb);
            let wish = PixelLight { chip, spi_device: spi_device.into(), leds: 1, order, brightness_percent: 50 };
            let told = pixels::open(&wish).err().map(|trouble| trouble.to_string());
            assert_eq!(told.as_deref().map(cause), Some(expected), "{spi_device}");
        }
        for (why, expected) in [
            ("the chip has no such channel", "it is not there"),
            ("a driver of the kernel holds it; name another channel", "a driver of the kernel has it"),
            ("the bus takes too few bytes at once; set spidev.bufsiz=4096", "the SPI bus takes too few bytes at once"),
            ("/sys/class/pwm/pwmchip0/pwm1/period: Invalid argument (os error 22)", "the light cannot be used"),
        ] {
            let trouble = LineTrouble::Light { what: "pwmchip0 channel 1".into(), why: why.into() };
            assert_eq!(cause(&trouble.to_string()), expected, "{why}");
        }
        assert_eq!(cause("lights went out"), OTHER, "nobody else's words are taken for the light's");
    }

    #[test]
    fn every_piece_can_be_found() {
        for (at, (piece, _)) in CAUSES.iter().enumerate() {
            assert_eq!(*piece, piece.to_lowercase());
            let hidden = CAUSES[..at].iter().find(|(earlier, _)| piece.contains(earlier));
            assert_eq!(hidden, None, "{piece} is never reached");
        }
    }
}
