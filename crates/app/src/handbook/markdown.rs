//! The handbook as Markdown.

use std::fmt::Write as _;

use crate::view::handbook::{self as view, EntryView, Handbook, TableView, owners::OwnerRow};

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

/// A table of texts.
fn table<const N: usize>(out: &mut String, header: [&str; N], rows: impl IntoIterator<Item = [String; N]>) {
    written(out, header, rows.into_iter().map(|row| row.map(cell)));
}

/// A table of what is Markdown already.
fn written<const N: usize>(out: &mut String, header: [&str; N], rows: impl IntoIterator<Item = [String; N]>) {
    let _ = writeln!(out, "| {} |\n|{}", header.join(" | "), "---|".repeat(N));
    for row in rows {
        let _ = writeln!(out, "| {} |", row.join(" | "));
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
    owners(&mut out, &book.owners);
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
    entries(&mut out, &book.tables);
    out.push_str("## What to do\n\n");
    for runbook in &book.runbooks {
        let _ = writeln!(out, "### {}\n\n**{}**\n\n{}\n", runbook.area, runbook.title, runbook.steps);
    }
    out
}

/// Who owns which exception, each row with a link to what is to be done.
fn owners(out: &mut String, rows: &[OwnerRow]) {
    out.push_str("## Who owns which exception\n\nThe first row that fits decides. What was handed over by hand stays with whom it was given to.\n\n");
    written(
        out,
        ["Rule", "Only", "Whose", "What it is", "What to do"],
        rows.iter().map(|row| {
            let rules: Vec<String> = row.rules.iter().map(cell).collect();
            let rules = if rules.is_empty() { "any other".to_owned() } else { rules.join(", ") };
            let whose = cell(row.whose());
            let whose = if row.configured { format!("{whose}, by \\[\\[desk.owners\\]\\]") } else { whose };
            let links: Vec<String> = row.runbooks.iter().map(|area| format!("[{area}](#{area})")).collect();
            [rules, cell(row.only()), whose, cell(row.what), links.join(", ")]
        }),
    );
}

/// The entries of the mapping tables.
fn entries(out: &mut String, tables: &[TableView]) {
    let filled: Vec<&TableView> = tables.iter().filter(|table| !table.printed.is_empty()).collect();
    if filled.is_empty() {
        return;
    }
    out.push_str("## Entries of the mapping tables\n\n");
    for of in filled {
        let _ = writeln!(out, "### {} at {}\n", cell(&of.table), cell(&of.connection));
        let row = |entry: &EntryView| [entry.key.clone(), entry.value.clone()];
        table(out, ["Key", "Id at the target"], of.printed.iter().map(row));
        if of.left() > 0 {
            let _ = writeln!(out, "And {} more: [all of them](/mappings).\n", of.left());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_stays_a_cell_whatever_stands_in_it() {
        let mut out = String::new();
        table(&mut out, ["A", "B"], [["x|y\nz".to_owned(), "<script>[a](b)*_`".to_owned()]]);
        assert_eq!(out, "| A | B |\n|---|---|\n| x\\|y z | \\<script\\>\\[a\\](b)\\*\\_\\` |\n\n");
    }
}
