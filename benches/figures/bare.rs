//! A bare client: microphone, button, WebSocket, speaker, nothing else. It shows what the rig itself costs.

use std::collections::VecDeque;
use std::ffi::CString;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use alsa::pcm::{Access, Format, HwParams, PCM};
use alsa::{Direction, ValueOr};
use anyhow::{Context, Result};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_util::{SinkExt, StreamExt};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use serde_json::{Value, json};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio_tungstenite::tungstenite::Message;

const PERIOD: usize = 480; // 10 ms at 48 kHz

enum Uplink {
    Start,
    Sound(Vec<i16>),
    End,
}

enum Heard {
    Play(Vec<i16>),
    Drop,
}

/// Runs until the server goes away.
pub fn run(port: u16, folder: &Path) -> Result<()> {
    let talking = Arc::new(AtomicBool::new(false));
    let (up, uplink) = unbounded_channel();
    let (speaker, heard) = channel();
    let fifo = folder.join("lines/talk");
    let (flag, stop) = (talking.clone(), speaker.clone());
    std::thread::spawn(move || end_with("button", watch_button(&fifo, &flag, &stop)));
    std::thread::spawn(move || end_with("mic", listen(&talking, &up)));
    std::thread::spawn(move || end_with("speaker", speak(&heard)));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(converse(port, folder, uplink, speaker))
}

fn end_with(who: &str, result: Result<()>) {
    if let Err(error) = result {
        eprintln!("bare client: {who}: {error:#}");
        std::process::exit(1);
    }
}

fn open(name: &str, direction: Direction, start_threshold: usize) -> Result<PCM> {
    let pcm = PCM::open(&CString::new(name)?, direction, false)?;
    {
        let hw = HwParams::any(&pcm)?;
        hw.set_access(Access::RWInterleaved)?;
        hw.set_format(Format::S16LE)?;
        hw.set_channels(1)?;
        hw.set_rate(48_000, ValueOr::Nearest)?;
        hw.set_period_size_near(PERIOD as _, ValueOr::Nearest)?;
        hw.set_buffer_size_near(4 * PERIOD as alsa::pcm::Frames)?;
        pcm.hw_params(&hw)?;
        let sw = pcm.sw_params_current()?;
        sw.set_avail_min(PERIOD as _)?;
        sw.set_start_threshold(start_threshold as _)?;
        pcm.sw_params(&sw)?;
    }
    Ok(pcm)
}

fn watch_button(fifo: &Path, talking: &AtomicBool, speaker: &Sender<Heard>) -> Result<()> {
    let file = std::fs::File::options().read(true).write(true).open(fifo)?;
    for line in BufReader::new(file).lines() {
        let pressed = line? == "1";
        if pressed {
            speaker.send(Heard::Drop)?;
        }
        talking.store(pressed, Ordering::Relaxed);
    }
    Ok(())
}

fn listen(talking: &AtomicBool, up: &UnboundedSender<Uplink>) -> Result<()> {
    let pcm = open("vmic", Direction::Capture, 1)?;
    let io = pcm.io_i16()?;
    pcm.start()?;
    let mut period = [0; PERIOD];
    let mut piece = Vec::new();
    let mut open = false;
    loop {
        let frames = match io.readi(&mut period) {
            Ok(frames) => frames,
            Err(error) => {
                pcm.try_recover(error, true)?;
                pcm.start()?;
                continue;
            }
        };
        let wanted = talking.load(Ordering::Relaxed);
        if wanted {
            // Every third frame's mean: enough for a sound that ends below 4 kHz.
            piece.extend(
                period[..frames].chunks_exact(3).map(|f| (f.iter().map(|x| i32::from(*x)).sum::<i32>() / 3) as i16),
            );
        }
        if wanted && !open {
            up.send(Uplink::Start)?;
            open = true;
        }
        if piece.len() >= 320 {
            up.send(Uplink::Sound(std::mem::take(&mut piece)))?;
        }
        if !wanted && open {
            piece.clear();
            up.send(Uplink::End)?;
            open = false;
        }
    }
}

fn speak(heard: &Receiver<Heard>) -> Result<()> {
    let pcm = open("vspk", Direction::Playback, PERIOD)?;
    let io = pcm.io_i16()?;
    let mut queue: VecDeque<i16> = VecDeque::new();
    loop {
        let message = if queue.is_empty() {
            heard.recv().map_err(|_| RecvTimeoutError::Disconnected)
        } else {
            heard.recv_timeout(Duration::from_millis(5))
        };
        match message {
            Ok(Heard::Play(sound)) => queue.extend(sound.iter().flat_map(|x| [*x, *x])),
            Ok(Heard::Drop) => {
                queue.clear();
                pcm.drop()?;
                pcm.prepare()?;
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return Ok(()),
        }
        let room = match pcm.avail_update() {
            Ok(room) => room as usize,
            Err(error) => {
                pcm.try_recover(error, true)?;
                continue;
            }
        };
        let piece: Vec<i16> = queue.drain(..room.min(queue.len())).collect();
        if !piece.is_empty()
            && let Err(error) = io.writei(&piece)
        {
            pcm.try_recover(error, true)?;
            io.writei(&piece)?;
        }
    }
}

async fn converse(
    port: u16,
    folder: &Path,
    mut uplink: UnboundedReceiver<Uplink>,
    speaker: Sender<Heard>,
) -> Result<()> {
    let mut roots = rustls::RootCertStore::empty();
    for ca in CertificateDer::pem_file_iter(folder.join("ca.pem"))? {
        roots.add(ca?)?;
    }
    let tls = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = tokio::net::TcpStream::connect(("127.0.0.1", port)).await?;
    stream.set_nodelay(true)?;
    let connector = tokio_rustls::TlsConnector::from(Arc::new(tls));
    let stream = connector.connect(ServerName::try_from("127.0.0.1")?, stream).await?;
    let (socket, _) = tokio_tungstenite::client_async(format!("wss://127.0.0.1:{port}/"), stream).await?;
    let (mut sink, mut source) = socket.split();
    sink.send(Message::text(json!({"setup": {"model": "models/gemini-3.8-live"}}).to_string())).await?;
    loop {
        tokio::select! {
            piece = uplink.recv() => {
                let input = match piece.context("the microphone stopped")? {
                    Uplink::Start => json!({"activityStart": {}}),
                    Uplink::End => json!({"activityEnd": {}}),
                    Uplink::Sound(sound) => {
                        let bytes: Vec<u8> = sound.iter().flat_map(|x| x.to_le_bytes()).collect();
                        json!({"audio": {"mimeType": "audio/pcm;rate=16000", "data": STANDARD.encode(bytes)}})
                    }
                };
                sink.send(Message::text(json!({"realtimeInput": input}).to_string())).await?;
            }
            message = source.next() => {
                let Some(message) = message else { return Ok(()) };
                let message: Value = serde_json::from_slice(&message?.into_data()).unwrap_or_default();
                let content = &message["serverContent"];
                if content["interrupted"] == true {
                    speaker.send(Heard::Drop)?;
                }
                for part in content["modelTurn"]["parts"].as_array().into_iter().flatten() {
                    let bytes = STANDARD.decode(part["inlineData"]["data"].as_str().unwrap_or_default())?;
                    speaker.send(Heard::Play(bytes.chunks_exact(2).map(|b| i16::from_le_bytes([b[0], b[1]])).collect()))?;
                }
            }
        }
    }
}
