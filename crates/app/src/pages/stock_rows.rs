//! The rows that an exception of stock is about, before the acts: what would move, what is held, what was changed.

use jiff::Timestamp;
use maud::{Markup, html};
use selvedge_store::stock::{DriftRow, FigureRow};

use super::{
    stock::stands,
    words::{amounts, change, grouped, item_address, money, part, plural, units, when},
};
use crate::view::{ExceptionView, LevelKept, Moved, StockRows};

/// Rows that are shown at once, so that the acts below are at hand; the others unfold.
const AT_ONCE: usize = 6;

/// A table of the first rows, and the others for whoever wants to see them.
fn folded<T>(rows: &[T], table: impl Fn(&[T]) -> Markup) -> Markup {
    let (first, rest) = rows.split_at(rows.len().min(AT_ONCE));
    html! {
        (table(first))
        @if !rest.is_empty() { details { summary { "The next " (rest.len()) } (table(rest)) } }
    }
}

/// All of them.
pub(super) fn shown(exception: &ExceptionView, rows: &StockRows, now: Timestamp) -> Markup {
    html! {
        @if !rows.levels.is_empty() { (levels(rows, now)) }
        @if !rows.figures.is_empty() { (figures(exception, &rows.figures, now)) }
        @if !rows.drifts.is_empty() { (drifts(rows, now)) }
    }
}

fn levels(rows: &StockRows, now: Timestamp) -> Markup {
    html! {
        section aria-labelledby="levels" {
            h2 #levels { "What is kept back" }
            (moved(&rows.moved))
            (folded(&rows.levels, |rows| level_table(rows, now)))
            @let more = rows.moved.rows.saturating_sub(u64::try_from(rows.levels.len()).unwrap_or(u64::MAX));
            @if more > 0 { p.quiet { "And " (grouped(more)) " more that move less." } }
        }
    }
}

fn level_table(rows: &[LevelKept], now: Timestamp) -> Markup {
    html! {
        table.cards {
            caption.aside { "What is in force of each item, and what the reading says" }
            thead {
                tr {
                    th scope="col" { "SKU" }
                    th scope="col" { "Place" }
                    th.num scope="col" { "In force" }
                    th.num scope="col" { "The reading says" }
                    th.num scope="col" { "Change" }
                    th.num scope="col" { "Worth" }
                    th.num scope="col" { "Free to buy now" }
                    th scope="col" { "Read" }
                }
            }
            tbody { @for row in rows { (level(row, now)) } }
        }
    }
}

/// What all of them would move together.
fn moved(moved: &Moved) -> Markup {
    html! {
        p.lead #moved {
            @if !moved.whole { "Of the first " }
            (plural(moved.rows, "item", "items")) ": "
            @if moved.sold_out > 0 { b { (plural(moved.sold_out, "is sold out", "are sold out")) } ", " }
            b { (change(moved.units_less.saturating_neg())) } " and " b { (change(moved.units_more)) } " units"
            @if !moved.value_less.is_empty() { ", " b { (amounts(&moved.value_less)) } " less to sell" }
            ", if this is released."
        }
        @if moved.released > 0 { p.quiet { (plural(moved.released, "reading was", "readings were")) " released and take effect with the next turn." } }
    }
}

fn level(row: &LevelKept, now: Timestamp) -> Markup {
    html! {
        tr {
            th.sku scope="row" data-label="SKU" { a href=(item_address(&row.sku)) { (row.sku) } }
            td data-label="Place" { (row.place) @if let Some(warehouse) = &row.warehouse { " " span.quiet { "warehouse " (warehouse) } } }
            td.num data-label="In force" { @match row.in_force { Some(left) => (units(left)), None => span.quiet { "unknown" } } }
            td.num data-label="The reading says" { (units(row.kept_back)) }
            td.num data-label="Change" { b { (change(row.change())) } }
            td.num data-label="Worth" { @match row.value { Some(value) => (money(value)), None => "–" } }
            td.num data-label="Free to buy now" { @match row.free { Some(free) => (units(free)), None => span.quiet { "not listed" } } }
            td data-label="Read" { (when(row.as_of, now)) }
        }
    }
}

fn figures(exception: &ExceptionView, rows: &[FigureRow], now: Timestamp) -> Markup {
    let left_alone = exception.rule == "stock.no_source";
    html! {
        section aria-labelledby="rows-figures" {
            h2 #rows-figures { @if left_alone { "What the shop shows and the source does not know" } @else { "The figures" } }
            (folded(rows, |rows| figure_table(rows, left_alone, now)))
            @if left_alone {
                p { a href={ "/stock?state=left&warehouse=" (part(rows.first().map_or("", |row| row.place.as_str()))) } { "All that are left alone" } }
            } @else {
                @let shown = u64::try_from(rows.len()).unwrap_or(u64::MAX);
                @if exception.count > shown { p.quiet { "The first " (shown) " of " (grouped(exception.count)) "." } }
            }
        }
    }
}

fn figure_table(rows: &[FigureRow], left_alone: bool, now: Timestamp) -> Markup {
    html! {
        table.cards {
            caption.aside { "What was to be kept of each item, and what the shop keeps" }
            thead {
                tr {
                    th scope="col" { "SKU" }
                    th scope="col" { "Warehouse" }
                    th scope="col" { "Stands" }
                    @if !left_alone { th.num scope="col" { "Last written" } }
                    th.num scope="col" { "Kept in the shop" }
                    th.num scope="col" { "Promised" }
                    th.num scope="col" { "Free to buy" }
                    @if !left_alone { th.num scope="col" { "Times tried" } }
                    th scope="col" { "Seen" }
                }
            }
            tbody {
                @for row in rows {
                    tr {
                        th.sku scope="row" data-label="SKU" { a href=(item_address(&row.sku)) { (row.sku) } }
                        td data-label="Warehouse" { (row.place) }
                        td data-label="Stands" { (stands(row)) }
                        @if !left_alone { td.num data-label="Last written" { @match row.sent { Some((sent, _)) => (units(sent)), None => "–" } } }
                        td.num data-label="Kept in the shop" { (units(row.shown.units)) }
                        td.num data-label="Promised" { (units(row.shown.promised)) }
                        td.num data-label="Free to buy" { b { (units(row.shown.free())) } }
                        @if !left_alone { td.num data-label="Times tried" { (grouped(u64::from(row.attempts))) } }
                        td data-label="Seen" { (when(row.shown.at, now)) }
                    }
                }
            }
        }
    }
}

fn drifts(rows: &StockRows, now: Timestamp) -> Markup {
    let (open, all) = rows.drift_counts;
    html! {
        section aria-labelledby="drifts" {
            h2 #drifts { "What was changed" }
            p.lead { (plural(all, "figure", "figures")) ", " b { (grouped(open)) } " of them not settled yet." }
            (folded(&rows.drifts, |rows| drift_table(rows, now)))
            @let shown = u64::try_from(rows.drifts.len()).unwrap_or(u64::MAX);
            @if all > shown { p.quiet { "The newest " (shown) " of " (grouped(all)) "." } }
        }
    }
}

pub(super) fn drift_table(rows: &[DriftRow], now: Timestamp) -> Markup {
    html! {
        table.cards {
            caption.aside { "What should have stood there, and what did" }
            thead {
                tr {
                    th scope="col" { "SKU" }
                    th scope="col" { "Warehouse" }
                    th.num scope="col" { "Expected" }
                    th.num scope="col" { "Found" }
                    th.num scope="col" { "Difference" }
                    th scope="col" { "Cause" }
                    th scope="col" { "Found at" }
                    th scope="col" { "Settled" }
                }
            }
            tbody { @for row in rows { (drift(row, now)) } }
        }
    }
}

fn drift(row: &DriftRow, now: Timestamp) -> Markup {
    html! {
        tr {
            th.sku scope="row" data-label="SKU" { a href=(item_address(&row.sku)) { (row.sku) } }
            td data-label="Warehouse" { (row.place) }
            td.num data-label="Expected" { (units(row.expected)) }
            td.num data-label="Found" { (units(row.shown)) }
            td.num data-label="Difference" { b { (change(row.shown.saturating_sub(row.expected))) } }
            td data-label="Cause" { (row.cause.replace('_', " ")) }
            td data-label="Found at" { (when(row.found_at, now)) }
            td data-label="Settled" { @match row.settled_at { Some(at) => (when(at, now)), None => b { "not yet" } } }
        }
    }
}
