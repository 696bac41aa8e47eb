//! Packets of MQTT 3.1.1 and 5, as one: only what a client needs that asks for nothing beyond quality of service 1.
//!
//! The packets themselves are rumqttc's; here they are taken apart and made, and cut out of the stream of bytes.

use bytes::{Buf, Bytes, BytesMut};
use rumqttc_v4::mqttbytes::{self as base4, v4};
use rumqttc_v5::mqttbytes::{self as base5, v5};

use super::Message;
use crate::config::agent::mqtt::Version;
use crate::live::credential::Secret;

/// The largest packet taken: longer ones are skipped, so that one kept message cannot shut the device out for ever.
pub const PACKET_BYTES_MAX: usize = 64 * 1024;
/// Messages that the broker may send before they are acknowledged.
const RECEIVE_MAX: u16 = 32;

/// Who knocks at the broker.
#[derive(Clone, Debug, PartialEq)]
pub struct Hello {
    /// Client identifier.
    pub client_id: String,
    /// User and password.
    pub user: Option<(String, Option<Secret>)>,
    /// Seconds of silence.
    pub keep_alive_s: u16,
    /// What the broker publishes where the device vanishes.
    pub will: Option<Message>,
}

/// What the device sends.
#[derive(Clone, Debug, PartialEq)]
pub enum Out<'a> {
    /// The first packet. The session begins anew with each: what was not confirmed is never sent again.
    Hello(&'a Hello),
    /// A message, with its number where it is to be confirmed.
    Publish(&'a Message, Option<u16>),
    /// Topics that are wanted.
    Subscribe(&'a [String], u16),
    /// A message was taken.
    Ack(u16),
    /// Are you there?
    Ping,
    /// Farewell: no will is published.
    Bye,
}

/// What the broker sends.
#[derive(Clone, Debug, PartialEq)]
pub enum In {
    /// The door is open.
    Welcome {
        /// Messages that may wait for their confirmation.
        receive_max: u16,
        /// Seconds of silence, where the broker wants others.
        keep_alive_s: Option<u16>,
    },
    /// It is not; a sentence's end.
    Refused(String),
    /// A message.
    Message {
        /// Its topic.
        topic: String,
        /// What it says.
        payload: Bytes,
        /// Whether the broker had kept it.
        is_old: bool,
        /// To be acknowledged.
        number: Option<u16>,
    },
    /// The broker has a message, or says why it has not.
    Confirmed(u16, Result<(), String>),
    /// For each topic that was wanted: why it cannot be had, or none.
    Subscribed(u16, Vec<Option<String>>),
    /// I am here.
    Pong,
    /// The broker closes the connection; why.
    Bye(String),
    /// Of no meaning here.
    Other,
}

/// Bytes of a packet.
///
/// # Errors
/// What cannot be said in a packet: a topic or a name that is too long.
pub fn encode(version: Version, out: &Out<'_>, bytes: &mut BytesMut) -> Result<(), String> {
    match version {
        Version::V311 => packet4(out).write(bytes, u32::MAX as usize).map(drop).map_err(|why| why.to_string()),
        Version::V5 => packet5(out).write(bytes, None).map(drop).map_err(|why| why.to_string()),
    }
}

fn packet4(out: &Out<'_>) -> v4::Packet {
    match out {
        Out::Hello(hello) => {
            let mut connect = v4::Connect::new(&hello.client_id);
            connect.keep_alive = hello.keep_alive_s;
            connect.clean_session = true;
            connect.last_will = hello.will.as_ref().map(|will| {
                v4::LastWill::new(&will.topic, will.payload.clone(), base4::QoS::AtLeastOnce, will.is_retained)
            });
            connect.auth = match &hello.user {
                None => v4::ConnectAuth::None,
                Some((username, None)) => v4::ConnectAuth::Username { username: username.clone() },
                Some((username, Some(password))) => v4::ConnectAuth::UsernamePassword {
                    username: username.clone(),
                    password: Bytes::copy_from_slice(password.reveal().as_bytes()),
                },
            };
            v4::Packet::Connect(connect)
        }
        Out::Publish(message, number) => {
            let qos = if number.is_some() { base4::QoS::AtLeastOnce } else { base4::QoS::AtMostOnce };
            let mut publish = v4::Publish::new(&message.topic, qos, message.payload.clone());
            (publish.pkid, publish.retain) = (number.unwrap_or_default(), message.is_retained);
            v4::Packet::Publish(publish)
        }
        Out::Subscribe(filters, number) => {
            let filters = filters.iter().map(|path| v4::SubscribeFilter::new(path.clone(), base4::QoS::AtLeastOnce));
            let mut subscribe = v4::Subscribe::new_many(filters);
            subscribe.pkid = *number;
            v4::Packet::Subscribe(subscribe)
        }
        Out::Ack(number) => v4::Packet::PubAck(v4::PubAck::new(*number)),
        Out::Ping => v4::Packet::PingReq,
        Out::Bye => v4::Packet::Disconnect,
    }
}

fn packet5(out: &Out<'_>) -> v5::Packet {
    match out {
        Out::Hello(hello) => {
            let properties = v5::ConnectProperties {
                receive_maximum: Some(RECEIVE_MAX),
                max_packet_size: Some(PACKET_BYTES_MAX as u32),
                ..v5::ConnectProperties::default()
            };
            let connect = v5::Connect {
                keep_alive: hello.keep_alive_s,
                client_id: hello.client_id.clone(),
                clean_start: true, // and the session ends with the connection: no expiry is asked for
                properties: Some(properties),
            };
            let will = hello.will.as_ref().map(|will| {
                v5::LastWill::new(&will.topic, will.payload.clone(), base5::QoS::AtLeastOnce, will.is_retained, None)
            });
            let auth = match &hello.user {
                None => v5::ConnectAuth::None,
                Some((username, None)) => v5::ConnectAuth::Username { username: username.clone() },
                Some((username, Some(password))) => v5::ConnectAuth::UsernamePassword {
                    username: username.clone(),
                    password: Bytes::copy_from_slice(password.reveal().as_bytes()),
                },
            };
            v5::Packet::Connect(connect, will, auth)
        }
        Out::Publish(message, number) => {
            let qos = if number.is_some() { base5::QoS::AtLeastOnce } else { base5::QoS::AtMostOnce };
            let properties = message.expire_s.map(|expire_s| v5::PublishProperties {
                message_expiry_interval: Some(expire_s),
                ..v5::PublishProperties::default()
            });
            let mut publish = v5::Publish::new(&message.topic, qos, message.payload.clone(), properties);
            (publish.pkid, publish.retain) = (number.unwrap_or_default(), message.is_retained);
            v5::Packet::Publish(publish)
        }
        Out::Subscribe(filters, number) => {
            let filters = filters.iter().map(|path| v5::SubscribeFilter::new(path.clone(), base5::QoS::AtLeastOnce));
            let mut subscribe = v5::Subscribe::new_many(filters, None);
            subscribe.pkid = *number;
            v5::Packet::Subscribe(subscribe)
        }
        Out::Ack(number) => v5::Packet::PubAck(v5::PubAck::new(*number, None)),
        Out::Ping => v5::Packet::PingReq,
        Out::Bye => v5::Packet::Disconnect(v5::Disconnect::new(v5::DisconnectReasonCode::NormalDisconnection)),
    }
}

/// Cuts packets out of the stream.
#[derive(Debug)]
pub struct Reader {
    version: Version,
    inbox: BytesMut,
    /// Bytes of a packet that is too long, still to come.
    skip_bytes: usize,
}

impl Reader {
    /// A reader at the beginning of a connection.
    pub fn new(version: Version) -> Reader {
        Reader { version, inbox: BytesMut::new(), skip_bytes: 0 }
    }

    /// Where what arrives is put.
    pub fn inbox(&mut self) -> &mut BytesMut {
        &mut self.inbox
    }

    /// The next packet; none where more bytes are needed.
    ///
    /// # Errors
    /// Bytes that are no MQTT: the connection is of no more use.
    pub fn next_packet(&mut self) -> Result<Option<In>, String> {
        let skipped = self.skip_bytes.min(self.inbox.len());
        self.inbox.advance(skipped);
        self.skip_bytes -= skipped;
        let Some(length) = frame_length(&self.inbox)? else { return Ok(None) };
        if self.skip_bytes > 0 {
            return Ok(None);
        }
        if length > PACKET_BYTES_MAX {
            self.skip_bytes = length;
            return Ok(Some(In::Other));
        }
        if self.inbox.len() < length {
            return Ok(None);
        }
        let mut frame = self.inbox.split_to(length);
        // Properties may be left out where there are none (MQTT 5, 3.14.2.2.1), which the codec does not know.
        if self.version == Version::V5 && matches!(frame[..], [0xe0, 1, _]) {
            frame[1] = 2;
            frame.extend_from_slice(&[0]);
        }
        let packet = match self.version {
            Version::V311 => v4::Packet::read(&mut frame, PACKET_BYTES_MAX).map(from4).map_err(|why| why.to_string()),
            Version::V5 => {
                v5::Packet::read(&mut frame, Some(PACKET_BYTES_MAX as u32)).map(from5).map_err(|why| why.to_string())
            }
        };
        packet.map(Some).map_err(|why| format!("it sent something that is no MQTT: {why}"))
    }
}

/// Bytes of the packet that begins here; none where that is not known yet.
fn frame_length(bytes: &[u8]) -> Result<Option<usize>, String> {
    let mut length = 0;
    // One byte of kind, then at most four of seven bits each (MQTT 5, 1.5.5).
    for (index, byte) in bytes.iter().skip(1).take(4).enumerate() {
        length |= usize::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return Ok(Some(2 + index + length));
        }
    }
    if bytes.len() >= 5 {
        return Err("it sent something that is no MQTT: a length of more than four bytes".to_string());
    }
    Ok(None)
}

fn from4(packet: v4::Packet) -> In {
    match packet {
        v4::Packet::ConnAck(ack) => match ack.code {
            v4::ConnectReturnCode::Success => In::Welcome { receive_max: u16::MAX, keep_alive_s: None },
            code => In::Refused(refusal(&format!("{code:?}"))),
        },
        v4::Packet::Publish(publish) => message(
            &publish.topic,
            publish.payload,
            publish.retain,
            publish.pkid,
            publish.qos == base4::QoS::AtMostOnce,
        ),
        v4::Packet::PubAck(ack) => In::Confirmed(ack.pkid, Ok(())),
        v4::Packet::SubAck(ack) => {
            let one = |code: &v4::SubscribeReasonCode| {
                (*code == v4::SubscribeReasonCode::Failure).then(|| "the broker refuses it".to_string())
            };
            In::Subscribed(ack.pkid, ack.return_codes.iter().map(one).collect())
        }
        v4::Packet::PingResp => In::Pong,
        _ => In::Other,
    }
}

fn from5(packet: v5::Packet) -> In {
    match packet {
        v5::Packet::ConnAck(ack) => match ack.code {
            v5::ConnectReturnCode::Success => {
                let properties = ack.properties.as_ref();
                In::Welcome {
                    receive_max: properties.and_then(|properties| properties.receive_max).unwrap_or(u16::MAX),
                    keep_alive_s: properties.and_then(|properties| properties.server_keep_alive),
                }
            }
            code => In::Refused(refusal(&format!("{code:?}"))),
        },
        v5::Packet::Publish(publish) => message(
            &publish.topic,
            publish.payload,
            publish.retain,
            publish.pkid,
            publish.qos == base5::QoS::AtMostOnce,
        ),
        v5::Packet::PubAck(ack) => {
            let is_taken = matches!(ack.reason, v5::PubAckReason::Success | v5::PubAckReason::NoMatchingSubscribers);
            In::Confirmed(ack.pkid, if is_taken { Ok(()) } else { Err(format!("{:?}", ack.reason)) })
        }
        v5::Packet::SubAck(ack) => {
            let one = |code: &v5::SubscribeReasonCode| match code {
                v5::SubscribeReasonCode::Success(_) => None,
                code => Some(format!("the broker refuses it: {code:?}")),
            };
            In::Subscribed(ack.pkid, ack.return_codes.iter().map(one).collect())
        }
        v5::Packet::PingResp => In::Pong,
        v5::Packet::Disconnect(bye) => In::Bye(match bye.reason_code {
            v5::DisconnectReasonCode::SessionTakenOver => {
                "another client has the same `client_id`: give each its own".to_string()
            }
            code => format!("the broker closed the connection: {code:?}"),
        }),
        _ => In::Other,
    }
}

fn message(topic: &[u8], payload: Bytes, is_old: bool, number: u16, is_unconfirmed: bool) -> In {
    let number = (!is_unconfirmed).then_some(number);
    match std::str::from_utf8(topic) {
        Ok(topic) => In::Message { topic: topic.to_string(), payload, is_old, number },
        Err(_) => In::Other,
    }
}

/// What to do about a refusal.
fn refusal(code: &str) -> String {
    match code {
        "BadUserNamePassword" | "NotAuthorized" | "Banned" => {
            format!("the broker refuses the device ({code}): mend `user`, `password_secret` or `client_cert` in [mqtt]")
        }
        "RefusedProtocolVersion" | "UnsupportedProtocolVersion" => {
            format!("the broker speaks another MQTT ({code}): change `version` in [mqtt]")
        }
        "BadClientId" | "ClientIdentifierNotValid" => {
            format!("the broker refuses the client's identifier ({code}): change `client_id` in [mqtt]")
        }
        code => format!("the broker refuses the connection ({code})"),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(version: Version, bytes: &[u8]) -> Result<Vec<In>, String> {
        let mut reader = Reader::new(version);
        reader.inbox().extend_from_slice(bytes);
        let mut packets = Vec::new();
        while let Some(packet) = reader.next_packet()? {
            packets.push(packet);
        }
        Ok(packets)
    }

    fn message_of(bytes: usize) -> Message {
        let payload = vec![b'x'; bytes];
        Message { topic: "a/b".into(), payload, is_confirmed: true, is_retained: false, expire_s: Some(9) }
    }

    #[test]
    fn a_message_goes_out_and_comes_back_in_both_versions() {
        for version in [Version::V311, Version::V5] {
            let mut bytes = BytesMut::new();
            encode(version, &Out::Publish(&message_of(3), Some(7)), &mut bytes).unwrap();
            encode(version, &Out::Ack(7), &mut bytes).unwrap();
            let back = In::Message { topic: "a/b".into(), payload: "xxx".into(), is_old: false, number: Some(7) };
            assert_eq!(read(version, &bytes).unwrap(), [back, In::Confirmed(7, Ok(()))], "{version:?}");
        }
    }

    #[test]
    fn every_connection_begins_a_session_of_its_own() {
        let hello = Hello { client_id: "m".into(), user: None, keep_alive_s: 30, will: Some(message_of(1)) };
        let v4::Packet::Connect(connect) = packet4(&Out::Hello(&hello)) else { panic!("no connect") };
        assert!(connect.clean_session && connect.last_will.is_some());
        let v5::Packet::Connect(connect, will, _) = packet5(&Out::Hello(&hello)) else { panic!("no connect") };
        assert!(connect.clean_start && will.is_some());
        assert_eq!(connect.properties.unwrap().session_expiry_interval, None);
    }

    #[test]
    fn a_packet_that_is_too_long_is_skipped_and_the_next_is_read() {
        for version in [Version::V311, Version::V5] {
            let mut bytes = BytesMut::new();
            encode(version, &Out::Publish(&message_of(PACKET_BYTES_MAX + 5), Some(1)), &mut bytes).unwrap();
            encode(version, &Out::Ack(2), &mut bytes).unwrap();
            let mut reader = Reader::new(version);
            let mut packets = Vec::new();
            for piece in bytes.chunks(1000) {
                reader.inbox().extend_from_slice(piece);
                while let Some(packet) = reader.next_packet().unwrap() {
                    packets.push(packet);
                }
                assert!(reader.inbox.len() <= 1000, "it is not gathered");
            }
            assert_eq!(packets, [In::Other, In::Confirmed(2, Ok(()))], "{version:?}");
        }
    }

    #[test]
    fn refusals_say_which_setting_to_mend() {
        let refused = |version, bytes: &[u8]| match read(version, bytes).unwrap().pop() {
            Some(In::Refused(why)) => why,
            other => panic!("{other:?}"),
        };
        assert!(refused(Version::V311, &[0x20, 2, 0, 5]).contains("`password_secret`"));
        assert!(refused(Version::V5, &[0x20, 3, 0, 0x87, 0]).contains("`user`"));
        assert!(refused(Version::V311, &[0x20, 2, 0, 1]).contains("`version`"));
        assert!(refused(Version::V5, &[0x20, 3, 0, 0x85, 0]).contains("`client_id`"));
        assert_eq!(read(Version::V5, &[0x40, 3, 0, 7, 0x10]).unwrap(), [In::Confirmed(7, Ok(()))], "nobody listens");
        assert_eq!(read(Version::V5, &[0x40, 3, 0, 7, 0x87]).unwrap(), [In::Confirmed(7, Err("NotAuthorized".into()))]);
        let taken = read(Version::V5, &[0xe0, 1, 0x8e]).unwrap();
        assert!(matches!(&taken[..], [In::Bye(why)] if why.contains("client_id")), "{taken:?}");
    }

    proptest! {
        /// What comes from the network may be anything; a panic would end the program.
        #[test]
        fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = (read(Version::V311, &bytes), read(Version::V5, &bytes));
        }

        #[test]
        fn no_packet_of_a_right_kind_with_a_wrong_body_makes_it_panic(
            kind in 1..16_u8, flags in 0..16_u8, body in proptest::collection::vec(any::<u8>(), 0..100),
        ) {
            let mut bytes = vec![kind << 4 | flags, u8::try_from(body.len()).unwrap()];
            bytes.extend(body);
            let _ = (read(Version::V311, &bytes), read(Version::V5, &bytes));
        }
    }
}
