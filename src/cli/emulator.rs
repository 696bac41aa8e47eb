//! `mynah emulator`: the stand-in Live server on a port, for anyone's client.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::mpsc::sync_channel;

use anyhow::Context as _;

use super::exit;
use super::house::LIVE_PATH;
use crate::emulator::run::{self, News, ServeOptions};
use crate::emulator::{Script, Sounds};

/// Lines that may wait for the terminal; more are lost rather than waited for.
const LINES_MAX: usize = 1024;

/// Arguments of `mynah emulator`.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Address to listen on.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9010")]
    pub listen: SocketAddr,
    /// Script of the conversation; without one every turn is answered with the user's own voice.
    #[arg(long, value_name = "FILE")]
    pub script: Option<PathBuf>,
    /// Certificate chain for TLS (PEM).
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,
    /// Private key for TLS (PEM).
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,
    /// Folder that gets every message (JSON lines) and every turn of the user (WAV).
    #[arg(long, value_name = "DIR")]
    pub record: Option<PathBuf>,
    /// End when the first client has left.
    #[arg(long)]
    pub once: bool,
}

/// Serves, and prints what clients do, until the process is ended (or with `--once` until the first client has left).
pub fn run(args: &Args, sounds: Sounds) -> anyhow::Result<()> {
    let script = match &args.script {
        Some(path) => run::load(path, sounds).map_err(|e| exit::config(e.to_string()))?,
        None => Script::echo(),
    };
    let (observer, news) = sync_channel(LINES_MAX);
    let mut options = ServeOptions::new(script);
    options.record = args.record.clone();
    options.observer = Some(observer);
    if let (Some(cert), Some(key)) = (&args.tls_cert, &args.tls_key) {
        options.tls = Some(run::tls(cert, key).map_err(|e| exit::config(e.to_string()))?);
    }
    let scheme = if options.tls.is_some() { "wss" } else { "ws" };
    let server = run::spawn(args.listen, options)
        .with_context(|| format!("cannot listen on {}: choose another address with --listen", args.listen))?;
    let mut out = std::io::stdout();
    writeln!(out, "listening on {scheme}://{} (any key will do; Ctrl-C ends)", server.addr)?;
    writeln!(out, "for mynah itself: mynah run --endpoint {scheme}://{}{LIVE_PATH}", server.addr)?;
    for observed in news {
        writeln!(out, "{observed}")?;
        if args.once && matches!(observed.news, News::Left(_)) {
            break;
        }
    }
    Ok(())
}
