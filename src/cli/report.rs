//! `mynah report`: the jobs that were recorded, a report of one, and the end of one.

use std::fs;
use std::io::{self, BufRead, IsTerminal as _, Write};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::ValueEnum;

use super::{load, state};
use crate::hw::clock;
use crate::hw::folder::{replace, replace_with};
use crate::hw::jobs::Jobs;
use crate::job::report::html::{Medium, page};
use crate::job::report::{Report, markdown};

/// Arguments of `mynah report`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The job, or the beginning of its name where no other begins so; `last` for the newest. None: lists all
    #[arg(value_name = "JOB")]
    job: Option<String>,
    /// What is made: a page with its pictures in it, the same for a program that makes a PDF, or Markdown
    #[arg(long, value_enum, default_value_t = Format::Html)]
    format: Format,
    /// Where to; standard output where it is left out. Beside Markdown the pictures are put into FILE.pictures
    #[arg(short, long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Deletes the job instead, with its pictures
    #[arg(long, requires = "job", conflicts_with_all = ["out", "format"])]
    delete: bool,
    /// Does not ask before
    #[arg(short, long, requires = "delete")]
    yes: bool,
    /// The folder of the jobs [default: that of `[job_log]` in the agent file, else `jobs` in this user's state directory,
    /// then in the service's, /var/lib/mynah]
    #[arg(long, value_name = "DIR")]
    jobs: Option<PathBuf>,
    /// The agent file [default: /etc/mynah/mynah.toml where there is one]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// What is made of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// One page for a browser.
    Html,
    /// Markdown.
    Md,
    /// The page with paper size, page numbers and lines to sign.
    PdfReady,
}

/// Does it.
///
/// # Errors
/// There is no such job, or this user has no right to it.
pub fn run(args: &Args, out: &mut dyn Write) -> anyhow::Result<()> {
    let jobs = find(args)?;
    let Some(wanted) = &args.job else { return list(&jobs, out) };
    let name = named(&jobs, wanted)?;
    if args.delete {
        return delete(&jobs, &name, args.yes, out);
    }
    let lines = jobs.read(&name).with_context(|| cannot(&jobs))?;
    let report = Report::new(&name, &lines);
    let text = match args.format {
        Format::Md => markdown_of(&report, &jobs, args.out.as_deref())?,
        Format::Html | Format::PdfReady => String::new(),
    };
    let write = |out: &mut dyn Write| match args.format {
        Format::Html => page_of(&report, Medium::Screen, &jobs, out),
        Format::PdfReady => page_of(&report, Medium::Paper, &jobs, out),
        Format::Md => out.write_all(text.as_bytes()),
    };
    match &args.out {
        None => write(out)?,
        Some(file) => {
            replace_with(file, 0o666, |file| write(file))
                .with_context(|| format!("{} cannot be written", file.display()))?;
            writeln!(out, "{} is the report of {name}: {}", file.display(), plain(report.heading()))?;
        }
    }
    Ok(())
}

fn page_of(report: &Report, medium: Medium, jobs: &Jobs, out: &mut dyn Write) -> io::Result<()> {
    page(report, medium, &clock::written(clock::unix_s()), &|file| jobs.picture(&report.job, file).ok(), out)
}

/// Markdown; its pictures beside the file, or where they are.
fn markdown_of(report: &Report, jobs: &Jobs, out: Option<&Path>) -> anyhow::Result<String> {
    let Some(out) = out else {
        let folder = jobs.path().join(&report.job);
        return Ok(markdown::text(report, &|file| Some(folder.join(file).display().to_string())));
    };
    let stem = out.file_name().unwrap_or_default().to_string_lossy();
    let beside = format!("{stem}.pictures");
    let folder = out.with_file_name(&beside);
    let kept = report.stills.iter().filter_map(|still| still.file.as_deref());
    let mut copied = Vec::new();
    for file in kept {
        let Ok(bytes) = jobs.picture(&report.job, file) else { continue };
        let cannot = || format!("{} cannot be written", folder.display());
        fs::create_dir_all(&folder).with_context(cannot)?;
        replace(&folder.join(file), &bytes, 0o666).with_context(cannot)?;
        copied.push(file.to_string());
    }
    let link = |file: &str| copied.iter().any(|copied| copied == file).then(|| format!("{beside}/{file}"));
    Ok(markdown::text(report, &link))
}

/// The folder of the jobs.
fn find(args: &Args) -> anyhow::Result<Jobs> {
    if let Some(folder) = &args.jobs {
        return Ok(Jobs::new(folder));
    }
    if let Some(config) = load::config_path(args.config.as_deref()) {
        // A configuration that is wrong is no reason to keep a report from its reader, unless it was named.
        match load::agent(Some(config)) {
            Ok(agent) if agent.job_log.folder.is_some() => {
                return Ok(Jobs::new(agent.job_log.folder.unwrap_or_default()));
            }
            Err(wrong) if args.config.is_some() => return Err(wrong),
            _ => {}
        }
    }
    let places: Vec<PathBuf> = state::usual_places().into_iter().map(|place| place.join("jobs")).collect();
    for place in &places {
        let jobs = Jobs::new(place);
        match jobs.list() {
            Ok(found) if found.is_empty() => {}
            Ok(_) => return Ok(jobs),
            Err(e) => return Err(anyhow::Error::new(e).context(cannot(&jobs))),
        }
    }
    let named: Vec<String> = places.iter().map(|place| place.display().to_string()).collect();
    anyhow::bail!(
        "no job was recorded yet: there is none in {} (--jobs names another folder; [job_log] enabled = true records)",
        named.join(" or ")
    )
}

fn cannot(jobs: &Jobs) -> String {
    format!("{} cannot be read: try `sudo mynah report`", jobs.path().display())
}

/// The job that is meant.
fn named(jobs: &Jobs, wanted: &str) -> anyhow::Result<String> {
    let names: Vec<String> = jobs.list().with_context(|| cannot(jobs))?.into_iter().map(|job| job.name).collect();
    if let Some(exact) = names.iter().find(|name| *name == wanted) {
        return Ok(exact.clone());
    }
    let found: Vec<&String> = match wanted {
        "last" => names.last().into_iter().collect(),
        wanted => names.iter().filter(|name| name.starts_with(wanted)).collect(),
    };
    match &found[..] {
        [one] => Ok((*one).clone()),
        [] => {
            anyhow::bail!("there is no job {} in {}; `mynah report` lists them", plain(wanted), jobs.path().display())
        }
        several => {
            let several: Vec<&str> = several.iter().map(|name| name.as_str()).collect();
            anyhow::bail!("several jobs begin with {}: {}", plain(wanted), several.join(", "))
        }
    }
}

/// All jobs, the newest last.
fn list(jobs: &Jobs, out: &mut dyn Write) -> anyhow::Result<()> {
    let all = jobs.list().with_context(|| cannot(jobs))?;
    if all.is_empty() {
        writeln!(out, "there is no job in {}", jobs.path().display())?;
    }
    for job in all {
        let lines = match jobs.read(&job.name) {
            Ok(lines) => lines,
            Err(e) => {
                writeln!(out, "{:<20} cannot be read ({e})", job.name)?;
                continue;
            }
        };
        let report = Report::new(&job.name, &lines);
        let began = report.began.at.get(..16).unwrap_or(&report.began.at);
        writeln!(
            out,
            "{:<20} {:<16} {:>12} {:>5} entries {:>7}  {} ({})",
            job.name,
            plain(began),
            report.length(),
            lines.records.len(),
            size(job.bytes),
            plain(report.heading()),
            report.state()
        )?;
    }
    Ok(())
}

fn delete(jobs: &Jobs, name: &str, is_sure: bool, out: &mut dyn Write) -> anyhow::Result<()> {
    let report = Report::new(name, &jobs.read(name).with_context(|| cannot(jobs))?);
    if report.ended.is_none()
        && let Some(holder) = jobs.holder().with_context(|| cannot(jobs))?
    {
        anyhow::bail!(
            "{name} may be written at this moment by mynah (process {holder}): end the job first, or stop the service"
        );
    }
    if !is_sure {
        anyhow::ensure!(io::stdin().is_terminal(), "nobody is there to say yes: --yes deletes {name} without asking");
        eprint!("delete {name} ({}) with its pictures? [y/N] ", plain(report.heading()));
        let mut answer = String::new();
        io::stdin().lock().read_line(&mut answer)?;
        if !matches!(answer.trim(), "y" | "Y" | "yes") {
            writeln!(out, "{name} is kept")?;
            return Ok(());
        }
    }
    jobs.delete(name).with_context(|| format!("not all of {name} could be deleted"))?;
    writeln!(out, "{name} is deleted")?;
    Ok(())
}

fn size(bytes: u64) -> String {
    if bytes < 1_000_000 { format!("{} kB", bytes.div_ceil(1000)) } else { format!("{} MB", bytes.div_ceil(1_000_000)) }
}

/// What a model or a person said must not move the terminal's cursor.
fn plain(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect()
}
