//! A configuration as it is sent: for whom, its number, its text, and the owner's signature over all three.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::signature::{ED25519, Ed25519KeyPair, UnparsedPublicKey};
use serde::{Deserialize, Serialize};

use crate::config::agent::fleet::{ALL, PUBLIC_KEY_BYTES, name as check_name};

/// Bytes of an envelope: with its topic it must fit a packet that the broker's connection takes (64 KiB).
pub const ENVELOPE_BYTES_MAX: usize = 60 * 1024;
/// The greatest number: what programs that read JSON numbers as floating point still tell apart (2⁵³ − 1).
pub const SERIAL_MAX: u64 = (1 << 53) - 1;
/// What every signed text begins with: a signature for something else is none for this.
const DOMAIN: &str = "mynah-fleet-config-v1";

/// A configuration, signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Envelope {
    /// Greater than that of every one before, 1–[`SERIAL_MAX`].
    pub serial: u64,
    /// The device's name, or `all`.
    pub name: String,
    /// An agent file's text; empty for the device's own file.
    pub agent: String,
    /// Ed25519 over [`signed_bytes`], base64.
    pub signature: String,
}

/// What is signed. The name is one line and the serial a number, so that the text cannot pass for either.
pub fn signed_bytes(name: &str, serial: u64, agent: &str) -> Vec<u8> {
    format!("{DOMAIN}\n{name}\n{serial}\n{agent}").into_bytes()
}

impl Envelope {
    /// Whether it says that the device goes by its own file.
    pub fn is_own(&self) -> bool {
        self.agent.trim().is_empty()
    }

    /// Reads what was sent; nothing of it is trusted yet.
    ///
    /// # Errors
    /// A sentence.
    pub fn parse(bytes: &[u8]) -> Result<Envelope, String> {
        if bytes.len() > ENVELOPE_BYTES_MAX {
            return Err(format!("it has {} bytes; at most {ENVELOPE_BYTES_MAX} are taken", bytes.len()));
        }
        // Not the parser's own words: they may quote what somebody sent.
        let envelope: Envelope =
            serde_json::from_slice(bytes).map_err(|_| "it is not what `mynah fleet sign` prints".to_string())?;
        envelope.check()?;
        Ok(envelope)
    }

    fn check(&self) -> Result<(), String> {
        if !(1..=SERIAL_MAX).contains(&self.serial) {
            return Err(format!("its serial is {}; serials are 1 to {SERIAL_MAX}", self.serial));
        }
        if self.name != ALL && check_name(&self.name).is_err() {
            return Err("its name is none that a device can have".to_string());
        }
        Ok(())
    }

    /// Whether the owner of `key` signed it for the device of this name.
    ///
    /// # Errors
    /// A sentence.
    pub fn verify(&self, key: &[u8; PUBLIC_KEY_BYTES], device: &str) -> Result<(), String> {
        let wrong = || "it was not signed with the key that `public_key` in [fleet] belongs to".to_string();
        let signature = STANDARD.decode(&self.signature).map_err(|_| wrong())?;
        let signed = signed_bytes(&self.name, self.serial, &self.agent);
        UnparsedPublicKey::new(&ED25519, key).verify(&signed, &signature).map_err(|_| wrong())?;
        if self.name == ALL || self.name == device {
            return Ok(());
        }
        Err(format!("it was signed for `{}`, and this device is `{device}`", self.name))
    }

    /// Signs a configuration.
    ///
    /// # Errors
    /// A sentence: a serial, a name or a text that no device takes.
    pub fn sign(pair: &Ed25519KeyPair, name: &str, serial: u64, agent: &str) -> Result<Envelope, String> {
        let signature = STANDARD.encode(pair.sign(&signed_bytes(name, serial, agent)));
        let envelope = Envelope { serial, name: name.into(), agent: agent.into(), signature };
        envelope.check()?;
        let bytes = envelope.to_json().len();
        if bytes > ENVELOPE_BYTES_MAX {
            return Err(format!("it has {bytes} bytes; devices take {ENVELOPE_BYTES_MAX}: shorten the agent file"));
        }
        Ok(envelope)
    }

    /// As it is sent.
    pub fn to_json(&self) -> String {
        // Numbers and texts: there is nothing in it that JSON cannot say.
        serde_json::to_string(self).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;
    use ring::signature::KeyPair as _;

    use super::*;

    fn pair(seed: u8) -> Ed25519KeyPair {
        Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap()
    }

    fn public(seed: u8) -> [u8; PUBLIC_KEY_BYTES] {
        pair(seed).public_key().as_ref().try_into().unwrap()
    }

    #[test]
    fn what_was_signed_for_a_device_or_for_all_is_known_again() {
        for name in ["hall", ALL] {
            let sent = Envelope::sign(&pair(1), name, 7, "voice = \"Kore\"\n").unwrap().to_json();
            let envelope = Envelope::parse(sent.as_bytes()).unwrap();
            assert_eq!(envelope.verify(&public(1), "hall"), Ok(()));
            assert!(envelope.verify(&public(2), "hall").unwrap_err().contains("public_key"), "another's key");
        }
        let foreign = Envelope::sign(&pair(1), "attic", 7, "").unwrap();
        assert_eq!(
            foreign.verify(&public(1), "hall").unwrap_err(),
            "it was signed for `attic`, and this device is `hall`"
        );
    }

    #[test]
    fn nothing_of_it_can_be_changed() {
        let envelope = Envelope::sign(&pair(1), "hall", 7, "voice = \"Kore\"\n").unwrap();
        let changed = [
            Envelope { serial: 8, ..envelope.clone() },
            Envelope { name: ALL.into(), ..envelope.clone() },
            Envelope { agent: "voice = \"Puck\"\n".into(), ..envelope.clone() },
            Envelope { signature: String::new(), ..envelope.clone() },
            Envelope { signature: "!".into(), ..envelope.clone() },
            Envelope { signature: STANDARD.encode([0; 64]), ..envelope.clone() },
            // The same bytes in other places.
            Envelope { name: "hall\n7".into(), ..envelope },
        ];
        for envelope in changed {
            assert!(envelope.verify(&public(1), "hall").is_err(), "{envelope:?}");
        }
        // The same text signed for another purpose.
        let signature = STANDARD.encode(pair(1).sign(b"hall\n7\n"));
        let other = Envelope { serial: 7, name: "hall".into(), agent: String::new(), signature };
        assert!(other.verify(&public(1), "hall").is_err());
    }

    #[test]
    fn rubbish_is_refused_with_a_sentence() {
        let whole = r#"{"serial":1,"name":"hall","agent":"","signature":""}"#;
        assert!(Envelope::parse(whole.as_bytes()).is_ok());
        for (change, to) in [
            ("}", ""),
            ("1", "0"),
            ("1", "-1"),
            ("1", "1.5"),
            ("1", "\"1\""),
            ("1", "9007199254740992"),
            ("1", "99999999999999999999999"),
            ("hall", "a/b"),
            ("hall", "a\\nb"),
            ("\"agent\":\"\",", ""),
            ("\"agent\":\"\"", "\"agent\":[]"),
            ("{", "{\"more\":1,"),
            ("{", "{\"serial\":2,"),
        ] {
            let text = whole.replacen(change, to, 1);
            assert!(Envelope::parse(text.as_bytes()).is_err(), "{text}");
        }
        let long = Envelope::sign(&pair(1), "hall", 1, &"#".repeat(ENVELOPE_BYTES_MAX)).unwrap_err();
        assert!(long.contains("shorten the agent file"), "{long}");
        let long = vec![b' '; ENVELOPE_BYTES_MAX + 1];
        assert!(Envelope::parse(&long).unwrap_err().contains("at most 61440"));
        for (name, serial) in [("a b", 1), ("hall", 0), ("hall", SERIAL_MAX + 1)] {
            assert!(Envelope::sign(&pair(1), name, serial, "").is_err());
        }
    }

    proptest! {
        #[test]
        fn whatever_is_sent_is_answered_and_never_verified(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            prop_assert!(Envelope::parse(&bytes).is_err());
        }

        #[test]
        fn no_change_of_a_byte_passes(at in any::<prop::sample::Index>(), to in any::<u8>()) {
            let mut sent = Envelope::sign(&pair(1), "hall", 7, "voice = \"Kore\"\n").unwrap().to_json().into_bytes();
            let at = at.index(sent.len());
            prop_assume!(sent[at] != to);
            sent[at] = to;
            let passed = Envelope::parse(&sent).and_then(|envelope| envelope.verify(&public(1), "hall"));
            prop_assert!(passed.is_err());
        }
    }
}
