//! `selvedge close verify`: no store, no config, no network.

use std::path::PathBuf;

use crate::{
    commands::{
        About,
        out::{Done, EXIT_FAILED, Paint, clean, counted, failed},
    },
    pack::verify::{Finding, Report, packs},
};

/// Verifies packs.
pub(super) async fn run(about: &About, folders: Vec<PathBuf>, hash: Option<&str>) -> Done {
    if let Some(missing) = folders.iter().find(|folder| !folder.is_dir()) {
        return Err(failed(
            format!("there is no folder {}", missing.display()),
            "Nothing was verified.",
            "Name the folders that selvedge close sign made.",
        ));
    }
    let read = super::show::off_thread(move || Ok(packs(&folders))).await?;
    let mut reports = read.map_err(|error| {
        failed(
            format!("a pack cannot be read: {error}"),
            "Nothing was verified.",
            "Name the folders that selvedge close sign made.",
        )
    })?;
    if let (Some(wanted), Some(last)) = (hash, reports.last_mut()) {
        let found = last.hash.clone().unwrap_or_else(|| "none that holds".to_owned());
        if !found.eq_ignore_ascii_case(wanted.trim()) {
            last.findings.push(Finding {
                file: crate::pack::MANIFEST.to_owned(),
                from: None,
                to: None,
                line: None,
                key: None,
                message: format!("another pack: its hash is {found}, not {wanted}"),
            });
        }
    }
    let whole = reports.iter().all(Report::whole);
    let out = about.out;
    if out.json {
        out.json(&reports)?;
    } else {
        for report in &reports {
            let folder = clean(&report.folder.display().to_string());
            if report.whole() {
                let again = report.restatement.filter(|number| *number > 0).map(|number| format!(", restatement {number}"));
                out.line(format!(
                    "{} {folder}: {} {}{}, {}, counts and sums meet\n  hash {}",
                    out.paint(Paint::Good, "whole"),
                    report.entity.as_deref().unwrap_or_default(),
                    report.period.as_deref().unwrap_or_default(),
                    again.unwrap_or_default(),
                    counted(report.rows, "row"),
                    report.hash.as_deref().unwrap_or_default()
                ))?;
            } else {
                out.line(format!("{} {folder}: this is not what was signed", out.paint(Paint::Bad, "altered")))?;
                for finding in &report.findings {
                    out.line(format!("  {}", told(finding)))?;
                }
            }
            for note in &report.notes {
                out.say(format!("  {note}"))?;
            }
        }
    }
    Ok(if whole { 0 } else { EXIT_FAILED })
}

/// `rows.csv line 19 (SE-17), bytes 4521 to 4802: was changed after sealing`.
fn told(finding: &Finding) -> String {
    let mut place = finding.file.clone();
    if let Some(line) = finding.line {
        place.push_str(&format!(" line {line}"));
    }
    if let Some(key) = &finding.key {
        place.push_str(&format!(" ({key})"));
    }
    if let (Some(from), Some(to)) = (finding.from, finding.to) {
        place.push_str(&format!(", bytes {from} to {}", to.saturating_sub(1).max(from)));
    }
    clean(&format!("{place}: {}", finding.message))
}
