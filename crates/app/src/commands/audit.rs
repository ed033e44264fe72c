//! `selvedge audit`: two ends that somebody else keeps in step, read whole and compared, with nothing written.

use std::path::{Path, PathBuf};

use selvedge_model::Interval;

use super::{
    About,
    out::{Done, EXIT_FAILED, Failure, Out, Paint, clean, failed},
    reconcile::tell,
};
use crate::{
    audit::{Audit, Report},
    config::words::{Moment, Span},
};

/// Read two ends that somebody else keeps in step, and report what is missing, doubled, wrong or late. Writes nothing
#[derive(Debug, clap::Args)]
#[command(
    after_help = "The config names the connections (credentials that only read will do) and what is compared:\n\n  [reconcile.pairs.books]\n  from = [\"shop\"]\n  to = \"erp\"\n  kinds = [\"order\", \"credit_note\", \"refund\"]\n\nExits with 1 when something differs or could not be read. (What people did with Selvedge itself is listed by selvedge audit-log.)\n\nExamples:\n  selvedge audit --config audit.toml --since 30d --out report\n  selvedge audit --config audit.toml --json\n  selvedge audit --config audit.toml --watch 15m --store audit.db --out report"
)]
pub struct Args {
    /// From when: so long ago (30d), or an instant with its offset.
    #[arg(long, value_name = "WHEN", default_value = "30d")]
    since: Moment,
    /// Until when. Default: now.
    #[arg(long, value_name = "WHEN", conflicts_with = "watch")]
    until: Option<Moment>,
    /// Write audit.html (it prints, or becomes a PDF, from the browser) and audit.json into this folder.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Keep what is found in this file, so that the next audit knows what is new and what is over.
    #[arg(long, value_name = "FILE")]
    store: Option<PathBuf>,
    /// Do it again each so often, until Ctrl-C.
    #[arg(long, value_name = "SPAN")]
    watch: Option<Span>,
}

/// Runs it.
///
/// # Errors
/// The config's; the store's; a folder that cannot be written.
pub async fn run(about: &About, args: Args) -> Done {
    let (config, found) = about.read();
    let environment = about.environment(&config);
    let store_url =
        args.store.as_ref().map_or_else(|| "sqlite::memory:".to_owned(), |file| format!("sqlite://{}", file.display()));
    let clock = std::sync::Arc::clone(&about.clock);
    let audit = Audit::open(&config, found, &environment, about.global.key_file.as_deref(), clock, &store_url).await;
    let audit = audit.map_err(Failure::Config)?;
    if let Some(folder) = &args.out {
        std::fs::create_dir_all(folder).map_err(|error| unwritten(folder, &error))?;
    }
    loop {
        let now = about.clock.now();
        let window = Interval { from: args.since.instant(now), to: args.until.map_or(now, |until| until.instant(now)) };
        if window.to <= window.from {
            return Err(super::out::unclear("the window ends before it begins", "Give a --since that lies before --until."));
        }
        let report = audit.run(&window).await?;
        if let Some(folder) = &args.out {
            write(folder, "audit.html", report.page().as_bytes())?;
            write(folder, "audit.json", &serde_json::to_vec_pretty(&report)?)?;
        }
        if about.out.json {
            about.out.json(&report)?
        } else {
            say(about.out, &report, args.out.as_deref())?
        }
        let Some(every) = args.watch else { return Ok(if report.is_clean() { 0 } else { EXIT_FAILED }) };
        tokio::select! {
            () = tokio::time::sleep(every.0) => {}
            _ = tokio::signal::ctrl_c() => return Ok(if report.is_clean() { 0 } else { EXIT_FAILED }),
        }
    }
}

fn unwritten(path: &Path, error: &std::io::Error) -> Failure {
    failed(
        format!("{} cannot be written: {error}", path.display()),
        "The report is not kept.",
        "Name another folder with --out, or see who may write there.",
    )
}

/// Written beside and moved into place, so that nobody reads half a report.
fn write(folder: &Path, name: &str, bytes: &[u8]) -> Result<(), Failure> {
    let (path, beside) = (folder.join(name), folder.join(format!(".{name}.part")));
    std::fs::write(&beside, bytes).and_then(|()| std::fs::rename(&beside, &path)).map_err(|error| unwritten(&path, &error))
}

fn say(out: Out, report: &Report, folder: Option<&Path>) -> Result<(), Failure> {
    for look in &report.looks {
        tell(out, look)?;
    }
    for (pair, why) in &report.not_read {
        out.line(out.paint(Paint::Bad, format!("{pair} could not be read whole: {}", clean(why))))?;
    }
    out.line("")?;
    for one in report.categories.iter().filter(|one| one.count > 0) {
        let stake = if one.stake.is_empty() { String::new() } else { format!(", {} at stake", one.stake.join(" + ")) };
        out.line(format!("{:<28} {}{stake}", one.category.title(), one.count))?;
        for cause in report.causes.iter().filter(|cause| cause.category == one.category) {
            let examples: Vec<&str> = cause.examples.iter().take(3).map(|example| example.subject.as_str()).collect();
            out.line(format!(
                "  {:>6} × {} {} ({})",
                cause.cause.count,
                cause.cause.kind,
                cause.cause.title,
                clean(&examples.join(", "))
            ))?;
        }
    }
    if report.is_clean() {
        out.line(out.paint(Paint::Good, "Both ends say the same, and every document is accounted for."))?;
    }
    if let Some(folder) = folder {
        out.say(format!("The report is in {}.", folder.join("audit.html").display()))?;
    }
    Ok(())
}
