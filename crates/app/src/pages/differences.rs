//! `/reconcile/differences`: what differs; `/reconcile/differences/{id}`: one of them, with what both sides say.

use std::sync::Arc;

use axum::extract::{Path, Query, State};
use jiff::Timestamp;
use maud::{Markup, html};
use selvedge_flow::reconcile::PairSetup;
use selvedge_model::{DifferenceId, ExceptionId, Kind, Sku, compare::Cause, reconcile::Why};

use super::{
    Failure, Frame, Place,
    words::{amount, capital, difference_address, grouped, item_address, money, order_address, part, return_address, when},
};
use crate::{
    serve::App,
    view::{
        ExceptionView, by_cause, document,
        reconcile::{self as view, DIFFERENCES_MAX, DifferenceView, Filter, cause_word},
    },
};

/// What a list shows of a value; the page of a difference shows it whole.
const VALUE_CHARS_MAX: usize = 80;

/// What differs in one way.
pub(super) fn filter(pair: &str, kind: Kind, cause: Cause, why: Why) -> Filter {
    Filter {
        pair: pair.to_owned(),
        kind: kind.word().to_owned(),
        cause: cause_word(cause),
        why: why.word().to_owned(),
        ..Filter::default()
    }
}

/// What differs, by the word of the cause, where that says more than how it came about.
pub(super) fn differs(cause: &str) -> Option<String> {
    match cause {
        "missing" | "orphan" | "duplicate" => None,
        other => Some(other.replace('_', " ")),
    }
}

/// The address of a list.
pub(super) fn list_address(filter: &Filter) -> String {
    let words = [
        ("pair", &filter.pair),
        ("kind", &filter.kind),
        ("cause", &filter.cause),
        ("why", &filter.why),
        ("order", &filter.order),
        ("all", &filter.all),
        ("limit", &filter.limit),
    ];
    let words: Vec<String> =
        words.into_iter().filter(|(_, value)| !value.is_empty()).map(|(name, value)| format!("{name}={}", part(value))).collect();
    if words.is_empty() { "/reconcile/differences".to_owned() } else { format!("/reconcile/differences?{}", words.join("&")) }
}

/// The list.
pub(super) async fn list(State(app): State<Arc<App>>, Query(filter): Query<Filter>) -> Result<Markup, Failure> {
    let wanted = filter.wanted(app.pairs()).map_err(Failure::Unclear)?;
    let (found, _) = view::differences(&app.store, &app.brand, &wanted).await?;
    let frame = Frame::of(&app, Place::Reconcile, "Differences").await?;
    let now = app.clock.now();
    let with = |all: &str| list_address(&Filter { all: all.to_owned(), limit: String::new(), ..filter.clone() });
    let more = Filter { limit: (wanted.most * 2).min(DIFFERENCES_MAX).to_string(), ..filter.clone() };
    let full = found.len() >= wanted.most;
    Ok(frame.around(html! {
        p.crumb { a href="/reconcile" { "Reconciliation" } }
        h1 { "Differences" }
        p.lead { "The most at stake first. One closes only when both ends were read and agree; none is ever removed." }
        p.tabs {
            a href=(with("")) aria-current=[(!wanted.closed).then_some("true")] { "Open" } " "
            a href=(with("yes")) aria-current=[wanted.closed.then_some("true")] { "Open and closed" }
        }
        (form(&filter, app.pairs()))
        div #differences data-live {
            @if found.is_empty() {
                p.empty { @if narrow(&filter) { "No difference is like that." } @else { "Nothing that was looked at differs." } }
            } @else {
                (table(&found, now))
            }
            @if full && wanted.most < DIFFERENCES_MAX {
                p { a #more href=(list_address(&more)) { "Show more" } }
            } @else if full {
                p.quiet { "The first " (grouped(DIFFERENCES_MAX as u64)) " are shown. Narrow them down to see others." }
            }
        }
    }))
}

fn narrow(filter: &Filter) -> bool {
    [&filter.pair, &filter.kind, &filter.cause, &filter.why, &filter.order].iter().any(|word| !word.trim().is_empty())
}

fn form(filter: &Filter, pairs: &[PairSetup]) -> Markup {
    html! {
        form.search action="/reconcile/differences" method="get" role="search" {
            div.grid {
                div {
                    label for="pair" { "Between" }
                    select #pair name="pair" {
                        option value="" { "all pairs" }
                        @for pair in pairs { option value=(pair.name) selected[pair.name == filter.pair] { (pair.name) } }
                    }
                }
                div {
                    label for="kind" { "Kind" }
                    select #kind name="kind" {
                        option value="" { "all kinds" }
                        @for kind in Kind::ALL { option value=(kind.word()) selected[kind.word() == filter.kind] { (document(kind)) } }
                    }
                }
                div {
                    label for="why" { "How it came about" }
                    select #why name="why" {
                        option value="" { "in any way" }
                        @for why in Why::ALL { option value=(why.word()) selected[why.word() == filter.why] { (why.title()) } }
                    }
                }
                div {
                    label for="order" { "Order" }
                    input #order name="order" type="search" value=(filter.order) autocomplete="off";
                }
                div { button { "Show" } }
            }
            @if !filter.cause.is_empty() { input type="hidden" name="cause" value=(filter.cause); }
            @if !filter.all.is_empty() { input type="hidden" name="all" value=(filter.all); }
        }
    }
}

/// A table of differences; cards on a phone.
fn table(found: &[DifferenceView], now: Timestamp) -> Markup {
    html! {
        table.cards {
            thead { tr {
                th scope="col" { "Document" } th scope="col" { "What is wrong" } th scope="col" { "At the source" } th scope="col" { "At the target" }
                th.num scope="col" { "At stake" } th scope="col" { "Owner" } th scope="col" { "First seen" }
            } }
            tbody {
                @for one in found {
                    tr {
                        th scope="row" data-label="Document" {
                            a href=(difference_address(one.id)) { (named(one)) }
                            @if one.closed.is_some() { " " span.quiet { "closed" } }
                        }
                        td.words data-label="What is wrong" { (one.why.title()) @if !one.path.is_empty() { " " code.quiet { (one.path) } } }
                        td data-label="At the source" { (value(one.expected.as_deref())) }
                        td data-label="At the target" { (value(one.actual.as_deref())) }
                        td.num data-label="At stake" { @match one.stake { Some(stake) => (money(stake)), None => span.quiet { "–" } } }
                        td.words data-label="Owner" { (one.team.name()) }
                        td data-label="First seen" { (when(one.first_seen_at, now)) }
                    }
                }
            }
        }
    }
}

/// `Credit note 1001.r1`; what only the target has goes by its order, and by the target's id.
fn named(one: &DifferenceView) -> Markup {
    html! {
        (capital(document(one.kind))) " "
        @match one.subject.strip_prefix('~') {
            Some(id) if one.kind == Kind::Order && !one.order.is_empty() => { (one.order) " (" (id) " there)" },
            Some(id) => (id),
            None => (one.subject),
        }
    }
}

fn value(text: Option<&str>) -> Markup {
    html! {
        @match text.filter(|text| !text.is_empty()) {
            None => span.quiet { "nothing" },
            Some(text) if text.chars().count() > VALUE_CHARS_MAX => { (text.chars().take(VALUE_CHARS_MAX).collect::<String>()) "…" },
            Some(text) => span.words { (amount(text)) },
        }
    }
}

/// One of them.
pub(super) async fn one(State(app): State<Arc<App>>, Path(id): Path<String>) -> Result<Markup, Failure> {
    let id: DifferenceId = id.parse().map_err(|error| Failure::Absent(format!("{error}.")))?;
    let Some(one) = view::difference(&app.store, &app.brand, id).await? else {
        return Err(Failure::Absent(format!(
            "There is no difference {id}. All of them, closed ones too, are listed under Reconciliation."
        )));
    };
    // What was never captured has no page: beside somebody else's integration nothing is.
    let order = (!one.order.is_empty() && view::knows(&app.store, &app.brand, Kind::Order, &one.order).await?)
        .then(|| order_address(&one.order));
    let returned = matches!(one.kind, Kind::Return | Kind::CreditNote)
        && view::knows(&app.store, &app.brand, one.kind, &one.subject).await?;
    let item = one.subject.split_once(" @ ").map(|(sku, _)| sku).filter(|_| !app.engine.setup().stocks.is_empty());
    let others = filter(&one.pair, one.kind, one.cause, one.why);
    let exceptions = by_cause(&app.store, &app.brand, "reconcile:").await?;
    let groups = |exception: &&ExceptionView| view::grouped_by(exception).as_ref() == Some(&others);
    let links = Links {
        order,
        returned: returned.then(|| return_address(&one.subject)),
        item: item.map(|sku| item_address(&Sku::new(sku))),
        exception: one.exception.or_else(|| exceptions.iter().find(groups).map(|exception| exception.id)),
        others: list_address(&others),
    };
    let pair = app.pairs().iter().find(|pair| pair.name == one.pair);
    let frame = Frame::of(&app, Place::Reconcile, format!("Difference {id}")).await?;
    let now = app.clock.now();
    Ok(frame.around(html! {
        p.crumb { a href="/reconcile" { "Reconciliation" } " · " a href="/reconcile/differences" { "Differences" } }
        div #difference data-live { (told(&one, pair, &links, now)) }
    }))
}

/// Where its page leads: only to what there is.
struct Links {
    order: Option<String>,
    returned: Option<String>,
    item: Option<String>,
    exception: Option<ExceptionId>,
    others: String,
}

fn told(one: &DifferenceView, pair: Option<&PairSetup>, links: &Links, now: Timestamp) -> Markup {
    let source = one.source.as_ref().map(ToString::to_string).or_else(|| pair.map(PairSetup::named_sources));
    let target = pair.map(|pair| pair.target.to_string());
    html! {
        h1.long { (named(one)) ": " (one.why.title()) }
        @match &one.closed {
            None => p.lead { (one.detail) },
            Some((at, why)) => {
                p.lead { (one.detail) }
                p { span.state.good { span aria-hidden="true" { "✓ " } "closed" } " " (when(*at, now)) ": " (why) }
            },
        }
        p { b { "What to do: " } (one.fix) }
        table.cards {
            caption { "What both ends say" @if !one.path.is_empty() { " of " code { (one.path) } } }
            thead { tr { th scope="col" { "End" } th scope="col" { "The value" } th scope="col" { "Its documents" } } }
            tbody {
                tr {
                    th scope="row" data-label="End" { "At the source" @if let Some(source) = &source { ", " (source) } }
                    td.words data-label="The value" { (whole(one.expected.as_deref())) }
                    td data-label="Its documents" { (ids(one.source_id.as_deref())) }
                }
                tr {
                    th scope="row" data-label="End" { "At the target" @if let Some(target) = &target { ", " (target) } }
                    td.words data-label="The value" { (whole(one.actual.as_deref())) }
                    td data-label="Its documents" { (ids(one.target_id.as_deref())) }
                }
            }
        }
        @if let Some(suggestion) = &one.suggestion {
            aside.card aria-label="Perhaps" {
                p { (suggested(suggestion)) }
                p.quiet { "This is a suggestion and no match: nothing was tied together, and a person decides." }
            }
        }
        dl.pairs {
            dt { "Moves" } dd { @match one.money { Some(moved) => { b { (money(moved)) } " at the target against the source" }, None => span.quiet { "no money" } } }
            dt { "At stake" } dd { @match one.stake { Some(stake) => b { (money(stake)) }, None => span.quiet { "nothing" } } }
            @if let Some(differs) = differs(&cause_word(one.cause)) { dt { "Differs in" } dd { (differs) } }
            @if !one.order.is_empty() {
                dt { "Order" }
                dd { @match &links.order { Some(address) => a href=(address) { (one.order) }, None => code { (one.order) } } }
            }
            @if let Some(address) = &links.returned { dt { "Return" } dd { a href=(address) { (one.subject) } } }
            @if let Some(address) = &links.item { dt { "Item" } dd { a href=(address) { (one.subject) } } }
            dt { "Document of" } dd { (when(one.at, now)) }
            dt { "Owner" } dd { (one.team.name()) }
            @if let Some(exception) = links.exception { dt { "Exception" } dd { a href={ "/exceptions/" (exception) } { (exception) } } }
            dt { "Between" } dd { (one.pair) }
            dt { "First seen" } dd { (when(one.first_seen_at, now)) " by " code { (one.first_run) } }
            dt { "Last seen" } dd { (when(one.last_seen_at, now)) }
            dt { "Name" } dd { code { (one.id) } }
        }
        p { a href=(links.others) { "All that differ in the same way" } }
    }
}

fn whole(text: Option<&str>) -> Markup {
    html! { @match text.filter(|text| !text.is_empty()) { Some(text) => b { (amount(text)) }, None => span.quiet { "nothing" } } }
}

fn ids(text: Option<&str>) -> Markup {
    html! {
        @match text.filter(|text| !text.is_empty()) {
            None => span.quiet { "none" },
            Some(text) => { @for (place, id) in text.split(", ").enumerate() { @if place > 0 { ", " } code { (id) } } },
        }
    }
}

/// `perhaps 900 (80 %, the same amount): see dif_4`, with its end as a link.
fn suggested(text: &str) -> Markup {
    let other = text.rsplit_once("see ").and_then(|(before, id)| Some((before, id.trim().parse::<DifferenceId>().ok()?)));
    html! {
        @match other {
            Some((before, id)) => { (before) "see " a href=(difference_address(id)) { (id) } },
            None => (text),
        }
    }
}

/// What was ever found about an order; nothing where nothing was.
pub(super) fn of_order(found: &[DifferenceView], now: Timestamp) -> Markup {
    html! {
        @if !found.is_empty() {
            section aria-labelledby="differences" {
                h2 #differences { "Differences" }
                (table(found, now))
            }
        }
    }
}

/// The differences that an exception groups.
pub(super) fn of_exception(filter: &Filter, found: &[DifferenceView], now: Timestamp) -> Markup {
    html! {
        section aria-labelledby="differ" {
            h2 #differ { "Which differences" }
            @if found.is_empty() { p.empty { "None is open now." } } @else { (table(found, now)) }
            p { a href=(list_address(filter)) { "All of them" } }
        }
    }
}
