//! `mynah fleet`: makes the key of a fleet's owner, and signs configurations with it. For the owner's machine, not the devices'.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::rand::SystemRandom;
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use rustls_pki_types::PrivatePkcs8KeyDer;
use rustls_pki_types::pem::PemObject as _;

use super::exit;
use crate::config::agent;
use crate::config::read::FILE_BYTES_MAX;
use crate::fleet::Envelope;
use crate::fleet::compose::KEPT;

/// A key file is a few hundred bytes.
const KEY_BYTES_MAX: u64 = 16 * 1024;
/// Letters in a line of a PEM file (RFC 7468).
const PEM_LINE: usize = 64;

const AFTER_HELP: &str = "\
What is printed goes to the broker as it is, and stays there for devices that are away:

  mynah fleet sign --key fleet.pem --name hall --serial 7 hall.toml |
      mosquitto_pub -h broker.local -r -q 1 -t mynah/fleet/hall/config -s

Whoever has the key file has the devices: it belongs on no device.";

/// Arguments of `mynah fleet`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, clap::Subcommand)]
enum Task {
    /// Makes a key pair: the private key into a file for its owner only, the public one to standard output
    Key(KeyArgs),
    /// Signs an agent file for a device or for all, and prints what is to be sent
    #[command(after_help = AFTER_HELP)]
    Sign(SignArgs),
}

/// Arguments of `mynah fleet key`.
#[derive(Debug, clap::Args)]
struct KeyArgs {
    /// The new file (PKCS#8, PEM); an existing one is never replaced
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

/// Arguments of `mynah fleet sign`.
#[derive(Debug, clap::Args)]
struct SignArgs {
    /// The private key, as `mynah fleet key` or `openssl genpkey -algorithm ed25519` makes it
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// The device's name, or `all`
    #[arg(long, value_name = "NAME")]
    name: String,
    /// Greater than that of every one before; the seconds since 1970 (`date +%s`) are
    #[arg(long, value_name = "N")]
    serial: u64,
    /// The agent file; without one devices go back to their own
    #[arg(value_name = "FILE")]
    config: Option<PathBuf>,
}

/// Does it.
///
/// # Errors
/// A sentence; 78 where the agent file is wrong.
pub fn run(args: &Args, out: &mut dyn Write) -> anyhow::Result<()> {
    match &args.task {
        Task::Key(args) => make_key(&args.out, out),
        Task::Sign(args) => sign(args, out),
    }
}

fn make_key(file: &Path, out: &mut dyn Write) -> anyhow::Result<()> {
    let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new())
        .map_err(|_| anyhow::anyhow!("the system gives no random numbers"))?;
    let pair = Ed25519KeyPair::from_pkcs8(document.as_ref()).map_err(|_| anyhow::anyhow!("the key cannot be used"))?;
    let mut options = OpenOptions::new();
    let made = options.write(true).create_new(true).mode(0o600).open(file);
    let mut made = made.map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => anyhow::anyhow!("{} is there already, and is not replaced", file.display()),
        _ => anyhow::anyhow!("{} cannot be written: {error}", file.display()),
    })?;
    let written = made.write_all(pem(document.as_ref()).as_bytes()).and_then(|()| made.sync_all());
    if let Err(error) = written {
        let _ = fs::remove_file(file);
        anyhow::bail!("{} cannot be written: {error}", file.display());
    }
    writeln!(out, "{}", STANDARD.encode(pair.public_key().as_ref()))?;
    Ok(())
}

fn pem(der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines = text.as_bytes().chunks(PEM_LINE).map(|line| String::from_utf8_lossy(line).into_owned() + "\n");
    format!("-----BEGIN PRIVATE KEY-----\n{}-----END PRIVATE KEY-----\n", lines.collect::<String>())
}

fn sign(args: &SignArgs, out: &mut dyn Write) -> anyhow::Result<()> {
    let text = match &args.config {
        Some(file) => checked(file)?,
        None => String::new(),
    };
    let pair = key_pair(&args.key)?;
    let envelope = Envelope::sign(&pair, &args.name, args.serial, &text)
        .map_err(|why| exit::config(format!("nothing is signed: {why}")))?;
    writeln!(out, "{}", envelope.to_json())?;
    Ok(())
}

/// The agent file's text, which is right by itself: whether it fits a board the device says.
fn checked(file: &Path) -> anyhow::Result<String> {
    let mut text = String::new();
    let opened = File::open(file).and_then(|opened| opened.take(FILE_BYTES_MAX as u64 + 1).read_to_string(&mut text));
    opened.map_err(|error| exit::config(format!("{} cannot be read: {error}", file.display())))?;
    agent::parse(&text, &file.display().to_string()).map_err(|problems| {
        let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
        exit::config(lines.join("\n  "))
    })?;
    let table: toml::Table = text.parse().unwrap_or_default();
    let stays: Vec<&str> = KEPT.into_iter().filter(|key| table.contains_key(*key)).collect();
    if !stays.is_empty() {
        tracing::warn!("devices keep their own of this: {}", stays.join(", "));
    }
    Ok(text)
}

fn key_pair(file: &Path) -> anyhow::Result<Ed25519KeyPair> {
    let mut bytes = Vec::new();
    let opened = File::open(file).and_then(|opened| opened.take(KEY_BYTES_MAX).read_to_end(&mut bytes));
    opened.with_context(|| format!("{} cannot be read", file.display()))?;
    let der = PrivatePkcs8KeyDer::from_pem_slice(&bytes).map(|key| key.secret_pkcs8_der().to_vec()).unwrap_or(bytes);
    // Other programs leave the public key out of the file.
    Ed25519KeyPair::from_pkcs8_maybe_unchecked(&der)
        .map_err(|_| anyhow::anyhow!("{} holds no Ed25519 key: `mynah fleet key --out FILE` makes one", file.display()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::config::agent::fleet::key_bytes;

    /// The example of RFC 8410 (10.3), as `openssl genpkey -algorithm ed25519` writes keys, too; it opens nothing.
    const ANOTHERS: &str = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n-----END PRIVATE KEY-----\n";

    fn said(task: Task) -> anyhow::Result<String> {
        let mut out = Vec::new();
        run(&Args { task }, &mut out)?;
        Ok(String::from_utf8(out).unwrap())
    }

    #[test]
    fn what_is_signed_with_a_new_key_is_known_by_its_public_one() {
        let folder = std::env::temp_dir().join(format!("mynah-fleet-key-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        let (key, config) = (folder.join("fleet.pem"), folder.join("hall.toml"));
        fs::write(&config, "voice = \"Puck\"\n").unwrap();
        let public = key_bytes(&said(Task::Key(KeyArgs { out: key.clone() })).unwrap()).unwrap();
        assert_eq!(fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
        let again = said(Task::Key(KeyArgs { out: key.clone() })).unwrap_err();
        assert!(again.to_string().contains("not replaced"), "{again}");
        let sign = |key: &Path, config: Option<&PathBuf>| {
            said(Task::Sign(SignArgs { key: key.into(), name: "hall".into(), serial: 7, config: config.cloned() }))
        };
        let envelope = Envelope::parse(sign(&key, Some(&config)).unwrap().as_bytes()).unwrap();
        assert_eq!((envelope.verify(&public, "hall"), envelope.agent.as_str()), (Ok(()), "voice = \"Puck\"\n"));
        assert_eq!(Envelope::parse(sign(&key, None).unwrap().as_bytes()).unwrap().agent, "");
        fs::write(&config, "vioce = \"Puck\"\n").unwrap();
        let wrong = sign(&key, Some(&config)).unwrap_err().to_string();
        assert!(wrong.contains("hall.toml:1") && wrong.contains("did you mean"), "{wrong}");
        let other = folder.join("openssl.pem");
        fs::write(&other, ANOTHERS).unwrap();
        assert!(sign(&other, None).is_ok(), "another program's key");
        assert!(sign(&config, None).unwrap_err().to_string().contains("holds no Ed25519 key"));
        fs::remove_dir_all(&folder).unwrap();
    }
}
