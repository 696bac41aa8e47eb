//! The figures themselves, one function each. Every one leaves the client idle, with the button released.

use anyhow::{Context, Result};
use serde_json::json;

use crate::beside::Company;
use crate::card::{Card, Slot};
use crate::client::{Client, Setting};
use crate::clock::{Uneven, ms, now_ns, sleep_ms, sleep_until};
use crate::server::{Kind, Server, audio_messages, end_messages};
use crate::table::Row;
use crate::voice;

/// Sound in a reply's message. The service's first pieces are of this order.
const PIECE_MS: usize = 40;

/// A reply's samples above this are the tone, below it fades or silence; for any volume down to 10 %.
const TONE_LEVEL: i16 = 1500;

/// What every figure needs.
pub struct Bench<'a> {
    /// Files and command.
    pub setting: &'a Setting,
    /// The server.
    pub server: &'a Server,
    /// The card.
    pub card: &'a Card,
    /// Repetitions of the short figures.
    pub repetitions: usize,
    /// Seconds of each measurement of processor time.
    pub cpu_s: f64,
    /// Whom the model calls beside all that, if anybody.
    pub company: Option<&'a Company>,
}

impl Bench<'_> {
    /// Before a turn of the user: lets the model call whom it is to call beside.
    pub fn keep_company(&self) -> Result<()> {
        self.company.map_or(Ok(()), |company| company.call(self.server))
    }

    /// Waits for the client's turn to be over and answers it with `reply`; answers when the first message was written.
    pub fn reply(&self, from: usize, reply: &[i16]) -> Result<i64> {
        self.server.expect(from, 5000, &Kind::ActivityEnd)?;
        let mut messages = audio_messages(reply, PIECE_MS);
        messages.extend(end_messages());
        self.server.send_all(&messages)
    }

    /// A short turn of the user, held for `hold_ms`; answers the place in the server's list where it began.
    pub fn ask(&self, client: &mut Client, hold_ms: f64) -> Result<usize> {
        self.keep_company()?;
        let from = self.server.mark();
        client.button.press()?;
        sleep_ms(hold_ms);
        client.button.release()?;
        Ok(from)
    }

    /// (d) Process start to setup received. Leaves no client.
    pub fn start(&self) -> Result<Row> {
        let mut values = Vec::new();
        for _ in 0..self.repetitions.min(20) {
            let (client, took_ns) = self.setting.start(self.server)?;
            values.push(ms(took_ns));
            sleep_ms(100.0);
            drop(client);
        }
        Ok(Row::new("process start -> setup received", "ms", Some(80.0), "41 ms", values))
    }

    /// (f) Button press to the first audio message, speech going on.
    pub fn press_to_audio(&self, client: &mut Client) -> Result<Row> {
        let mut uneven = Uneven::new(1);
        let mut values = Vec::new();
        for _ in 0..self.repetitions {
            // A window begins half a second after the last one at the soonest, which the service asks for: a
            // press before that waits, and would be measured as the wait.
            sleep_ms(800.0 + uneven.below(20.0));
            let from = self.server.mark();
            let pressed_ns = client.button.press()?;
            let first = self.server.wait(from, 5000, |arrival| matches!(arrival.kind, Kind::Audio(_)));
            values.push(ms(first.context("no audio after the press")?.at_ns - pressed_ns));
            sleep_ms(400.0);
            client.button.release()?;
            self.reply(from, &[])?;
        }
        Ok(Row::new("button press -> first audio message", "ms", Some(20.0), "", values))
    }

    /// (a) Microphone to WebSocket: the message that holds a marker's first frame.
    pub fn mic_to_server(&self, client: &mut Client) -> Result<Row> {
        let mut uneven = Uneven::new(2);
        let mut values = Vec::new();
        self.keep_company()?;
        let begin = self.server.mark();
        client.button.press()?;
        sleep_ms(600.0);
        for _ in 0..self.repetitions * 2 {
            let at_ns = now_ns() + 60_000_000 + (uneven.below(20.0) * 1e6) as i64;
            self.card.hear(Slot::Mark, &self.setting.folder.join("mark-48000.raw"), false, at_ns)?;
            sleep_until(at_ns);
            let holds = |kind: &Kind| matches!(kind, Kind::Audio(sound) if sound.iter().any(|x| x.saturating_abs() > voice::MARK_LEVEL));
            let found = self.server.wait(begin, 3000, |arrival| arrival.at_ns >= at_ns && holds(&arrival.kind));
            values.push(ms(found.context("a marker in the microphone never arrived")?.at_ns - at_ns));
            sleep_ms(120.0);
        }
        client.button.release()?;
        self.reply(begin, &[])?;
        Ok(Row::new("microphone -> WebSocket (marker)", "ms", Some(25.0), "8 ms", values))
    }

    /// (b) Reply message written to its first frame at the converter.
    pub fn reply_to_dac(&self, client: &mut Client) -> Result<Row> {
        let tone = voice::tone(24_000, 500);
        let mut uneven = Uneven::new(3);
        let mut values = Vec::new();
        for _ in 0..self.repetitions {
            let from = self.ask(client, 400.0)?;
            self.server.expect(from, 5000, &Kind::ActivityEnd)?;
            sleep_ms(100.0 + uneven.below(20.0));
            let sent_ns = self.reply(from, &tone)?;
            sleep_ms(900.0);
            let heard_ns = self.card.first_loud_ns(sent_ns, TONE_LEVEL)?.context("the reply was never heard")?;
            values.push(ms(heard_ns - sent_ns));
        }
        Ok(Row::new("reply message -> DAC", "ms", Some(25.0), "< 1 ms", values))
    }

    /// (c) `interrupted` written, or the button pressed, to silence at the converter.
    pub fn silence(&self, client: &mut Client, by_press: bool) -> Result<Row> {
        let tone = voice::tone(24_000, 4000);
        let mut uneven = Uneven::new(4);
        let mut values = Vec::new();
        for _ in 0..self.repetitions {
            let from = self.ask(client, 400.0)?;
            self.reply(from, &tone)?;
            sleep_ms(700.0 + uneven.below(20.0));
            let again = self.server.mark();
            let told_ns = if by_press {
                client.button.press()?
            } else {
                let told_ns = self.server.send(&json!({"serverContent": {"interrupted": true}}))?;
                self.server.send(&json!({"serverContent": {"turnComplete": true}}))?;
                told_ns
            };
            sleep_ms(400.0);
            self.card.first_loud_ns(told_ns - 100_000_000, TONE_LEVEL)?.context("no reply was playing")?;
            // Nothing after the order means that it was silent within a frame.
            values.push(ms(self.card.last_sound_ns(told_ns)?.unwrap_or(told_ns) - told_ns));
            if by_press {
                client.button.release()?;
                self.reply(again, &[])?;
            }
            sleep_ms(100.0);
        }
        let (name, bare) =
            if by_press { ("button press -> silence", "") } else { ("`interrupted` -> silence", "1 ms") };
        Ok(Row::new(name, "ms", Some(10.0), bare, values))
    }

    /// (e) Processor time while streaming and while playing, then memory.
    pub fn load(&self, client: &mut Client) -> Result<Vec<Row>> {
        let speech = voice::speech(24_000);
        let reply: Vec<i16> = speech.iter().copied().cycle().take((24_000.0 * (self.cpu_s + 4.0)) as usize).collect();
        let share = |client: &Client| -> Result<f64> {
            let (cpu_ns, at_ns) = (client.cpu_ns()?, now_ns());
            sleep_ms(self.cpu_s * 1000.0);
            Ok(100.0 * (client.cpu_ns()? - cpu_ns) as f64 / (now_ns() - at_ns) as f64)
        };
        let idle = share(client)?;
        let from = self.server.mark();
        client.button.press()?;
        sleep_ms(1000.0);
        let streaming = share(client)?;
        client.button.release()?;
        self.reply(from, &reply)?;
        sleep_ms(1000.0);
        let playing = share(client)?;
        let (now_mb, most_mb) = client.memory_mb()?;
        sleep_ms(4000.0);
        Ok(vec![
            Row::new("processor, idle and listening", "% of a core", None, "", vec![idle]),
            Row::new("processor, streaming", "% of a core", Some(1.5), "0.8 %", vec![streaming]),
            Row::new("processor, playing", "% of a core", Some(2.0), "1.4 %", vec![playing]),
            Row::new("memory, resident", "MB", Some(12.0), "7.6 MB", vec![now_mb]),
            Row::new("memory, resident, highest", "MB", None, "", vec![most_mb]),
        ])
    }

    /// (g) Size of the stripped binary.
    pub fn size(&self) -> Result<Option<Row>> {
        let Some(mynah) = &self.setting.mynah else { return Ok(None) };
        let size_mb = std::fs::metadata(mynah)?.len() as f64 / 1e6;
        Ok(Some(Row::new("stripped binary", "MB", Some(10.0), "", vec![size_mb])))
    }
}
