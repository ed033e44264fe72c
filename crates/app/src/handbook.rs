//! The handbook as Markdown, who owns which exception, and the acts on its checklists; page, API and command line share them.

use std::fmt::Write as _;

use selvedge_model::{
    checklist::{Checklist, Seen},
    team::Team,
};
use selvedge_store::{
    StoreError,
    checks::{ChecksSigned, TickRow},
};

use crate::{
    serve::App,
    view::handbook::{self as view, Handbook},
};

/// An area of exceptions: what its runbook says first.
pub struct Area {
    /// Its name: rules begin with it.
    pub name: &'static str,
    /// The title of its runbook.
    pub title: &'static str,
    /// Who owns it.
    pub team: Team,
}

/// Every area, by name.
pub fn areas() -> impl Iterator<Item = Area> {
    crate::pages::runbook::PAGES.iter().map(|(name, text)| Area {
        name,
        title: text.lines().next().unwrap_or_default().trim_start_matches("# "),
        team: Team::of(name),
    })
}

/// Why an act was not done.
#[derive(Debug)]
pub enum Refusal {
    /// It does not make sense, in a sentence.
    Unclear(String),
    /// The store's.
    Store(StoreError),
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Signed(what) => Self::Unclear(format!("{what} was signed and does not change any more.")),
            other => Self::Store(other),
        }
    }
}

/// Ticks a check with what was found, or (without a note) takes the tick back. A check that is not as it should be is not
/// ticked without a word.
///
/// # Errors
/// [`Refusal`].
pub async fn tick(app: &App, actor: &str, list: Checklist, period: &str, item: &str, note: Option<&str>) -> Result<(), Refusal> {
    let now = app.clock.now();
    let shown = view::checklist(&app.store, &app.brand, &app.facts, list, Some(period.to_owned()), now).await?;
    let Some(check) = shown.checks.iter().find(|check| check.id == item) else {
        return Err(Refusal::Unclear("There is no such check on this list.".to_owned()));
    };
    let note = note.map(str::trim);
    if check.seen == Seen::Bad && note == Some("") {
        return Err(Refusal::Unclear(format!("“{}” is not as it should be: say what you found and did.", check.what)));
    }
    let (brand, actor, item, period, seen) = (app.brand.clone(), actor.to_owned(), check.id, period.to_owned(), check.seen);
    let tick = note.map(|note| TickRow { item: item.to_owned(), at: now, actor: actor.clone(), seen, note: note.to_owned() });
    app.store
        .write(move |tx| {
            match &tick {
                Some(tick) => tx.tick(&brand, list, &period, tick)?,
                None => tx.untick(&brand, list, &period, item)?,
            }
            let act = if tick.is_some() { "check.tick" } else { "check.untick" };
            tx.audit(
                &brand,
                &actor,
                act,
                &format!("{} {period} {item}", list.word()),
                tick.as_ref().map_or("", |tick| &tick.note),
                now,
            )
        })
        .await?;
    Ok(())
}

/// Signs a list of a period; a reason is wanted for what nobody has looked at.
///
/// # Errors
/// [`Refusal`].
pub async fn sign(app: &App, actor: &str, list: Checklist, period: &str, reason: &str) -> Result<ChecksSigned, Refusal> {
    let now = app.clock.now();
    let (brand, period, actor, reason) = (app.brand.clone(), period.to_owned(), actor.to_owned(), reason.trim().to_owned());
    let (of, day) = (brand.clone(), period.clone());
    let ticks = app.store.read(move |view| view.ticks(&of, list, &day)).await?;
    let left = list.checks().any(|check| ticks.iter().all(|tick| tick.item != check.id));
    if left && reason.is_empty() {
        return Err(Refusal::Unclear("Not everything is ticked: say why the rest stays as it is.".to_owned()));
    }
    Ok(app
        .store
        .write(move |tx| {
            let signed = tx.sign_checks(&brand, list, &period, &actor, &reason, now)?;
            let detail = format!("ticks {}; {} unticked {reason}", signed.digest, signed.unticked.len());
            tx.audit(&brand, &actor, "check.sign", &format!("{} {period}", list.word()), &detail, now)?;
            Ok(signed)
        })
        .await?)
}

/// Text in a cell of a table.
fn cell(text: impl ToString) -> String {
    let text = text.to_string();
    let safe = text.chars().flat_map(|c| match c {
        '|' | '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '&' | '#' => vec!['\\', c],
        c if c.is_control() => vec![' '],
        c => vec![c],
    });
    safe.collect()
}

fn table<const N: usize>(out: &mut String, header: [&str; N], rows: impl IntoIterator<Item = [String; N]>) {
    let _ = writeln!(out, "| {} |\n|{}", header.join(" | "), "---|".repeat(N));
    for row in rows {
        let _ = writeln!(out, "| {} |", row.map(cell).join(" | "));
    }
    out.push('\n');
}

/// The handbook as Markdown.
pub fn markdown(book: &Handbook) -> String {
    let mut out = format!(
        "# Handbook of {}\n\nTold from the configuration on {}.\n\n",
        cell(&book.brand),
        book.at.strftime("%Y-%m-%d %H:%M UTC")
    );
    for list in &book.lists {
        let _ = writeln!(out, "## {}, {}\n", list.list.name(), list.period);
        for check in &list.checks {
            let mark = if check.tick.is_some() { 'x' } else { ' ' };
            let seen = if check.sight.is_empty() { String::new() } else { format!(" Now: {}.", cell(&check.sight)) };
            let who = check.tick.as_ref().map(|tick| {
                format!(" Looked at by {} on {}. {}", cell(&tick.actor), tick.at.strftime("%Y-%m-%d %H:%M UTC"), cell(&tick.note))
            });
            let _ = writeln!(
                out,
                "- [{mark}] **{}** ({}).{seen} {}{}",
                check.what,
                check.team.name(),
                check.how,
                who.unwrap_or_default()
            );
        }
        match &list.signed {
            Some(signed) => {
                let at = signed.at.strftime("%Y-%m-%d %H:%M UTC");
                let _ = writeln!(out, "\nSigned by {} on {at}.\n", cell(&signed.actor));
            }
            None => out.push_str("\nSigned by: ____________________  on: ____________\n\n"),
        }
    }
    out.push_str("## Systems\n\n");
    table(&mut out, ["Connection", "System"], book.systems.iter().map(|(name, system)| [name.to_string(), system.clone()]));
    out.push_str("## Where each record lives\n\n");
    let copies = |home: &view::Home| {
        let one = |copy: &view::Copied| {
            let mode = if copy.mode == "live" { String::new() } else { format!(", {}", copy.mode) };
            let theirs =
                if copy.theirs.is_empty() { String::new() } else { format!("; its own there: {}", copy.theirs.join(", ")) };
            format!("{} (by {}{mode}{theirs})", copy.to, copy.flow)
        };
        home.copies.iter().map(one).collect::<Vec<_>>().join(", ")
    };
    table(
        &mut out,
        ["Record", "Master", "Copies"],
        book.homes.iter().map(|home| [home.what.clone(), home.master.to_string(), copies(home)]),
    );
    out.push_str("## What is compared\n\n");
    table(
        &mut out,
        ["Pair", "From", "To", "What"],
        book.pairs.iter().map(|(name, from, to, what)| [name.clone(), from.clone(), to.clone(), what.clone()]),
    );
    out.push_str("## Mapping tables\n\n");
    let changed = |table: &view::TableView| {
        table.changed.as_ref().map(|(who, at)| format!("{who}, {}", at.strftime("%Y-%m-%d"))).unwrap_or_default()
    };
    table(
        &mut out,
        ["Table", "Target", "Key", "Entries", "Else", "Last changed"],
        book.tables.iter().map(|table| {
            let default = table.default.clone().unwrap_or_else(|| "held".to_owned());
            [
                table.table.clone(),
                table.connection.to_string(),
                table.parts.join(", "),
                table.entries.to_string(),
                default,
                changed(table),
            ]
        }),
    );
    out.push_str("## Who owns which exception\n\n");
    table(
        &mut out,
        ["Area", "Team", "What it is"],
        areas().map(|area| [area.name.to_owned(), area.team.name().to_owned(), area.title.to_owned()]),
    );
    if !book.entities.is_empty() {
        out.push_str("## Whose months are closed\n\n");
        table(
            &mut out,
            ["Entity", "Currency", "Clock"],
            book.entities.iter().map(|(name, currency, zone)| [name.clone(), currency.clone(), zone.clone()]),
        );
    }
    if !book.kept.is_empty() {
        out.push_str("## For how long content is kept\n\n");
        table(&mut out, ["What", "How long"], book.kept.iter().map(|(what, long)| [(*what).to_owned(), long.clone()]));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_area_of_exceptions_has_an_owner_and_a_title() {
        let areas: Vec<Area> = areas().collect();
        assert!(areas.len() > 20);
        for area in areas {
            assert!(!area.title.is_empty() && !area.title.starts_with('#'), "{}", area.name);
        }
    }

    #[test]
    fn a_cell_stays_a_cell_whatever_stands_in_it() {
        let mut out = String::new();
        table(&mut out, ["A", "B"], [["x|y\nz".to_owned(), "<script>[a](b)*_`".to_owned()]]);
        assert_eq!(out, "| A | B |\n|---|---|\n| x\\|y z | \\<script\\>\\[a\\](b)\\*\\_\\` |\n\n");
    }
}
