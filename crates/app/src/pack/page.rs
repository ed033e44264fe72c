//! `pack.html`: the pack to print and to sign. It needs nothing but itself.

use maud::{DOCTYPE, Markup, PreEscaped, html};
use selvedge_model::{Money, MoneyError};

use super::{
    manifest::{self, FlowSums},
    seal::Told,
};

/// So many open items are printed; the file beside the page has all.
const ITEMS_MAX: usize = 500;

const STYLE: &str = "
@page { size: A4; margin: 16mm 14mm 18mm; }
* { box-sizing: border-box; }
html { color-scheme: light; background: #fff; color: #1c1b19; font: 10pt/1.4 system-ui, sans-serif; }
body { max-width: 182mm; margin: 8mm auto; }
h1 { font-size: 20pt; line-height: 1.15; margin: 0 0 1mm; }
h2 { font-size: 12pt; margin: 8mm 0 2mm; break-after: avoid; }
p { margin: 0 0 2mm; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 1mm 5mm; margin: 4mm 0; }
dt { color: #5b5750; } dd { margin: 0; overflow-wrap: anywhere; }
table { width: 100%; border-collapse: collapse; font-size: 8.5pt; }
caption { text-align: left; color: #5b5750; padding-bottom: 1mm; }
thead { display: table-header-group; }
th { text-align: left; font-weight: 600; border-bottom: .4mm solid #1c1b19; padding: 1mm 1.5mm 1mm 0; vertical-align: bottom; }
td { border-bottom: .2mm solid #d8d4cb; padding: 1mm 1.5mm 1mm 0; vertical-align: top; overflow-wrap: anywhere; }
tr { break-inside: avoid; }
.num { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; overflow-wrap: normal; }
.quiet { color: #5b5750; }
code { font: 8pt/1.3 ui-monospace, monospace; overflow-wrap: anywhere; }
.sign { display: grid; grid-template-columns: 1fr 1fr; gap: 10mm; margin-top: 14mm; break-inside: avoid; }
.sign div { border-top: .3mm solid #1c1b19; padding-top: 1.5mm; min-height: 12mm; }
";

/// The page.
///
/// # Errors
/// [`MoneyError::Overflow`].
pub fn shown(told: &Told<'_>) -> Result<String, MoneyError> {
    let heading = told.heading;
    let sums = manifest::sums(told.standing)?;
    let (year, number) = heading.entity.fiscal(heading.period);
    let zone = heading.entity.zone.iana_name().unwrap_or("its own zone");
    let local = |at: jiff::Timestamp| heading.entity.zone.to_datetime(at).strftime("%Y-%m-%d %H:%M").to_string();
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { "Close of " (heading.entity.name) ", " (heading.period) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                h1 { "Close of " (heading.entity.name) ", " (heading.period) }
                p.quiet { @if heading.restatement > 0 { "Restatement " (heading.restatement) ". " } "Brand " (heading.brand) ", fiscal year " (year) ", period " (number) "." }
                dl {
                    dt { "Covers" } dd { (local(heading.bounds.from)) " to " (local(heading.bounds.to)) " (excluded), clock of " (zone) br; span.quiet { (heading.bounds.from) " to " (heading.bounds.to) } }
                    dt { "Books in" } dd { (heading.entity.currency.code()) }
                    dt { "Signed" } dd { (heading.signed_by) ", " (local(heading.signed_at)) }
                    @if let Some(restates) = &heading.restates {
                        dt { "Restates" } dd { code { (restates.hash) } br; (restates.reason) }
                    }
                    dt { "Pack before" } dd { @match &heading.previous {
                        Some(previous) => { (previous.period) @if previous.restatement > 0 { ", restatement " (previous.restatement) } br; code { (previous.hash) } },
                        None => "none: this is the first of the entity",
                    } }
                    dt { "Rows" } dd { (told.standing.rows) ", last hash " code { (told.last_row) } }
                }
                (counts(told))
                (sums_table(&sums))
                (balance(told)?)
                (open_items(told))
                (adjustments(told))
                (evidence(told))
                p { "Every record of the period is agreed, open with an owner, excluded by a rule or in flight. Counts and sums of both sides meet; no difference is unexplained." }
                div.sign {
                    div { "Signature, " (heading.signed_by) } div { "Place and date" }
                    div { "Reviewed by" } div { "Place and date" }
                }
            }
        }
    };
    Ok(page.into_string())
}

fn counts(told: &Told<'_>) -> Markup {
    html! {
        h2 { "Every document" }
        table {
            caption { "Source documents = agreed + open + excluded + in flight" }
            thead { tr { th { "Flow" } th { "Kind" } @for name in ["Source", "Agreed", "Open", "Excluded", "In flight", "Target"] { th.num { (name) } } } }
            tbody { @for (flow, kind, counts) in told.standing.balance.counts() {
                tr {
                    td { (flow) } td { (kind) }
                    td.num { (counts.sources.total()) } td.num { (counts.sources.agreed) } td.num { (counts.sources.open) }
                    td.num { (counts.sources.excluded) } td.num { (counts.sources.in_flight) } td.num { (counts.targets.total()) }
                }
            } }
        }
    }
}

fn figure(money: Money) -> String {
    money.decimal().to_string()
}

fn sums_table(sums: &[FlowSums]) -> Markup {
    html! {
        h2 { "Every amount" }
        table {
            caption { "With tax. Difference = open + adjusted + excluded + in flight" }
            thead { tr { th { "Flow" } th { "Kind" } th { "" } @for name in ["Ours", "Theirs", "Difference", "Open", "Adjusted", "Excluded", "In flight"] { th.num { (name) } } } }
            tbody { @for sum in sums {
                tr {
                    td { (sum.flow) } td { (sum.kind) } td { (sum.ours.currency()) }
                    @for money in [sum.ours, sum.theirs, sum.difference, sum.open, sum.adjusted, sum.excluded, sum.in_flight] { td.num { (figure(money)) } }
                }
            } }
        }
    }
}

fn balance(told: &Told<'_>) -> Result<Markup, MoneyError> {
    let mut lines = Vec::new();
    for (key, line) in told.standing.balance.lines() {
        lines.push((key, line, line.difference()?));
    }
    Ok(html! {
        h2 { "Trial balance" }
        table {
            thead { tr { th { "Flow" } th { "Kind" } th { "Market" } th { "" } th.num { "Rate" } @for name in ["Our net", "Our tax", "Their net", "Their tax", "Diff. net", "Diff. tax"] { th.num { (name) } } } }
            tbody { @for (key, line, difference) in &lines {
                tr {
                    td { (key.flow) } td { (key.kind) } td { (key.market) } td { (key.currency) } td.num { (key.rate) }
                    @for money in [line.ours.net, line.ours.tax, line.theirs.net, line.theirs.tax, difference.net, difference.tax] { td.num { (figure(money)) } }
                }
            } }
        }
    })
}

fn open_items(told: &Told<'_>) -> Markup {
    html! {
        h2 { "Open items (" (told.standing.open) ")" }
        @if told.open_items.is_empty() { p.quiet { "None." } } @else {
            table {
                thead { tr { th { "Owner" } th { "Cause" } th { "Document" } th { "Since" } th.num { "Ours" } th.num { "Theirs" } th.num { "Difference" } th { "Note" } } }
                tbody { @for [owner, cause, exception, seen, _, kind, key, _, _, _, _, _, ours, theirs, explains, note] in told.open_items.iter().take(ITEMS_MAX) {
                    tr {
                        td { (owner) } td { (cause) @if !exception.is_empty() { " " span.quiet { (exception) } } } td { (kind) " " (key) }
                        td { (seen.get(..10).unwrap_or(seen)) } td.num { (ours) } td.num { (theirs) } td.num { (explains) } td { (note) }
                    }
                } }
            }
            (rest(told.open_items.len(), told.standing.open, super::OPEN_ITEMS))
        }
    }
}

fn adjustments(told: &Told<'_>) -> Markup {
    html! {
        h2 { "Adjustments (" (told.standing.adjusted) ")" }
        @if told.adjustments.is_empty() { p.quiet { "None." } } @else {
            table {
                thead { tr { th { "Rule" } th { "Document" } th.num { "Ours" } th.num { "Theirs" } th.num { "Accepted" } } }
                tbody { @for [rule, _, kind, key, _, _, _, ours, theirs, adjustment, _] in told.adjustments.iter().take(ITEMS_MAX) {
                    tr { td { (rule) } td { (kind) " " (key) } td.num { (ours) } td.num { (theirs) } td.num { (adjustment) } }
                } }
            }
            (rest(told.adjustments.len(), told.standing.adjusted, super::ADJUSTMENTS))
        }
    }
}

fn rest(kept: usize, all: u64, file: &str) -> Markup {
    let printed = kept.min(ITEMS_MAX);
    html! { @if printed as u64 != all { p.quiet { (printed) " of " (all) " are printed; " (file) " has all." } } }
}

fn evidence(told: &Told<'_>) -> Markup {
    html! {
        h2 { "Evidence" }
        table {
            caption { "Statements that were read whole" }
            thead { tr { th { "Connection" } th { "Kind" } th { "From, to" } th.num { "Calls" } th.num { "Documents" } th { "Digest" } } }
            tbody { @for one in told.evidence {
                tr { td { (one.connection) } td { (one.kind) } td { (one.window.from) br; (one.window.to) } td.num { (one.calls) } td.num { (one.entries) } td { code { (one.digest) } } }
            } }
        }
    }
}
