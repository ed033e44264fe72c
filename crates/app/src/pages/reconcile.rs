//! `/reconcile`: whether both ends of each pair agree, and the sentence that proves it; `/reconcile/differences`: what differs;
//! `/reconcile/differences/{id}`: one of them, with what both sides say.

use std::sync::Arc;

use axum::extract::{Path, Query, State};
use jiff::Timestamp;
use maud::{Markup, html};
use selvedge_flow::reconcile::PairSetup;
use selvedge_model::{
    DifferenceId, ExceptionId, Kind, Sku,
    compare::Cause,
    reconcile::{Why, habits::Habit},
};

use super::{
    Failure, Frame, Place,
    words::{
        amount, amounts, difference_address, grouped, item_address, money, order_address, part, plural, return_address, when,
    },
};
use crate::{
    serve::App,
    view::{
        ExceptionView, document, exceptions,
        reconcile::{
            self as view, Agreement, CauseView, DIFFERENCES_MAX, DifferenceView, Filter, LookView, PairView, SumView, TallyView,
            cause_word,
        },
    },
};

/// Looks that found nothing are shown up to so many; those that found something always are.
const QUIET_LOOKS: usize = 5;
/// What a history shows of a value; the page of a difference shows it whole.
const VALUE_CHARS_MAX: usize = 80;

/// The pairs.
pub(super) async fn page(State(app): State<Arc<App>>) -> Result<Markup, Failure> {
    let pairs = view::pairs(&app.store, &app.brand, app.pairs()).await?;
    let causes = view::causes(&app.store, &app.brand).await?;
    let frame = Frame::of(&app, Place::Reconcile, "Reconciliation").await?;
    let now = app.clock.now();
    Ok(frame.around(html! {
        h1 { "Reconciliation" }
        p.lead { "Both ends are read whole, whoever moved the data, and every document is accounted for." }
        @if pairs.is_empty() {
            p.empty { "No two ends are compared. A flow brings its own pair; others are named under " code { "[reconcile.pairs]" } " in the configuration." }
        }
        @for (place, pair) in pairs.iter().enumerate() {
            section.card id={ "pair-" (place) } data-live { (pair_card(pair, now)) }
        }
        section aria-labelledby="differ" {
            h2 #differ { "What differs" }
            div #causes data-live { (by_cause(&causes, now)) }
            p { a href="/reconcile/differences" { "All open differences" } " · " a href="/reconcile/differences?all=yes" { "Open and closed" } }
        }
    }))
}

fn pair_card(pair: &PairView, now: Timestamp) -> Markup {
    html! {
        h2 { (pair.name) }
        p {
            b { @for (place, source) in pair.sources.iter().enumerate() { @if place > 0 { ", " } (source) } " → " (pair.target) }
            " · " @for (place, kind) in pair.kinds.iter().enumerate() { @if place > 0 { ", " } (document(*kind)) }
        }
        @match &pair.last {
            None => p.empty {
                @if pair.under_way { "Both ends are being read for the first time." }
                @else { "Both ends were not read yet. To read them now: " code { "selvedge reconcile now --pair " (pair.name) } }
            },
            Some(look) => {
                (last_look(pair, look, now))
                (sentence(look))
                (habits(&look.habits))
            },
        }
        (history(pair, now))
    }
}

fn last_look(pair: &PairView, look: &LookView, now: Timestamp) -> Markup {
    html! {
        p {
            @match look.balanced {
                Some(false) => { (verdict(look.balanced)) ": the window stays open. " },
                balanced => { (verdict(balanced)) ". " },
            }
            @if pair.open == 0 {
                "Nothing differs."
            } @else {
                a href={ "/reconcile/differences?pair=" (part(&pair.name)) } { (plural(pair.open, "difference is", "differences are")) " open" } "."
            }
        }
        p.quiet {
            "Last looked at " @match look.finished_at { Some(at) => (when(at, now)), None => "never" } ", " (via(&look.via)) ". What came to be between "
            (day(look.from)) " and " (day(look.to)) " UTC was compared."
            @if pair.under_way { " It is being read again now." }
        }
    }
}

/// Why a look was made.
fn via(word: &str) -> &str {
    match word {
        "timer" => "on the timer",
        "demand" => "on demand",
        "audit" => "for an audit",
        "" => "for no reason that was kept",
        period => period,
    }
}

/// Whether the sentence is true, as words and a mark.
fn verdict(balanced: Option<bool>) -> Markup {
    html! {
        @match balanced {
            Some(true) => span.state.good { span aria-hidden="true" { "✓ " } "meets" },
            Some(false) => span.state.bad { span aria-hidden="true" { "≠ " } "does not meet" },
            None => span.state.busy { span aria-hidden="true" { "→ " } "being read" },
        }
    }
}

/// What was told is agreed + open + excluded + in flight, kind by kind.
fn sentence(look: &LookView) -> Markup {
    html! {
        @if look.kinds.is_empty() {
            p.empty { "Nothing came to be in this window." }
        } @else {
            table.cards.sentence {
                caption { "Everything that the source told is accounted for, in documents and in money" }
                thead { tr {
                    th scope="col" { "Kind" } th.num scope="col" { "Told" } th.num scope="col" { "= Agreed" } th.num scope="col" { "+ Open" }
                    th.num scope="col" { "+ Excluded by rule" } th.num scope="col" { "+ In flight" } th scope="col" { "Accounted for" }
                } }
                tbody { @for kind in &look.kinds { (tally(kind)) } }
            }
            @for kind in &look.kinds { (remarks(kind)) }
        }
    }
}

fn tally(kind: &TallyView) -> Markup {
    html! {
        tr {
            th scope="row" data-label="Kind" { (capital(word(&kind.kind))) }
            td.num data-label="Told" { (sum(&kind.told)) }
            td.num data-label="Agreed" { (sum(&kind.agreed)) }
            td.num data-label="Open" { (sum(&kind.open)) }
            td.num data-label="Excluded by rule" {
                @if kind.excluded.is_empty() { span.quiet { "0" } }
                @for (place, (rule, excluded)) in kind.excluded.iter().enumerate() {
                    @if place > 0 { br; }
                    (sum(excluded)) " " span.quiet { "by " (rule) }
                }
            }
            td.num data-label="In flight" { (sum(&kind.in_flight)) }
            td data-label="Accounted for" { (verdict(Some(kind.meets))) }
        }
    }
}

/// Documents, and their money beneath.
fn sum(sum: &SumView) -> Markup {
    html! {
        @if sum.count == 0 { span.quiet { "0" } } @else { b { (grouped(sum.count)) } }
        @for amount in &sum.money { br; span.quiet { (amounts(std::slice::from_ref(amount))) } }
    }
}

/// A kind as people call it, by its word.
fn word(kind: &str) -> &str {
    match Kind::from_word(kind) {
        Some(kind) => document(kind),
        None => kind,
    }
}

/// `Credit note`.
fn capital(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

/// What the sentence leaves out, where there is any.
fn remarks(kind: &TallyView) -> Markup {
    let name = capital(word(&kind.kind));
    let said: Vec<(u64, &str, &str, bool)> = vec![
        (kind.unread, "document could not be read", "documents could not be read", true),
        (
            kind.uncaptured,
            "was never captured by a flow that should have",
            "were never captured by a flow that should have",
            true,
        ),
        (kind.alone_there.count, "stands at the target alone", "stand at the target alone", false),
        (kind.tolerated, "difference lies within the tolerance", "differences lie within the tolerance", false),
    ];
    html! {
        @for (count, one, many, bad) in said.into_iter().filter(|(count, ..)| *count > 0) {
            @if bad { div { p.snag { (name) ": " (plural(count, one, many)) "." } } } @else { p.quiet { (name) ": " (plural(count, one, many)) "." } }
        }
    }
}

fn habits(habits: &[Habit]) -> Markup {
    html! {
        @if !habits.is_empty() {
            h3 { "What probably lies behind it" }
            ul.snags {
                @for habit in habits {
                    li {
                        p { b { (habit.title) } " " span.quiet { "explains " (plural(habit.count, "document", "documents")) } }
                        p { (habit.evidence) }
                        p { (habit.fix) }
                        @if !habit.examples.is_empty() {
                            p.quiet { "For example " @for (place, example) in habit.examples.iter().enumerate() { @if place > 0 { ", " } code { (example) } } }
                        }
                    }
                }
            }
        }
    }
}

/// Earlier looks: those that found something stay, whatever came later.
fn history(pair: &PairView, now: Timestamp) -> Markup {
    let mut quiet = 0;
    let (shown, left): (Vec<&LookView>, Vec<&LookView>) = pair.looks.iter().partition(|look| {
        let red = look.red > 0 || look.balanced != Some(true);
        quiet += usize::from(!red);
        red || quiet <= QUIET_LOOKS
    });
    html! {
        @if !shown.is_empty() {
            details open[pair.last.as_ref().is_some_and(|look| look.red > 0)] {
                summary { (plural(pair.looks.len() as u64, "look", "looks")) ", the newest first" }
                table.cards {
                    thead { tr {
                        th scope="col" { "Looked at" } th scope="col" { "Why" } th scope="col" { "Window" } th.num scope="col" { "Differences found" }
                        th scope="col" { "Accounted for" }
                    } }
                    tbody {
                        @for look in shown {
                            tr {
                                th scope="row" data-label="Looked at" { (when(look.finished_at.unwrap_or(look.started_at), now)) }
                                td data-label="Why" { (via(&look.via)) }
                                td data-label="Window" { (day(look.from)) " to " (day(look.to)) }
                                td.num data-label="Differences found" {
                                    @if look.finished_at.is_none() { span.quiet { "–" } }
                                    @else if look.red > 0 { span.state.bad { (grouped(look.red)) } }
                                    @else { "0" }
                                }
                                td data-label="Accounted for" { (verdict(look.balanced)) }
                            }
                        }
                    }
                }
                @if !left.is_empty() { p.quiet { (plural(left.len() as u64, "older look", "older looks")) " found nothing." } }
            }
        }
    }
}

fn day(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M").to_string()
}

fn by_cause(causes: &[CauseView], now: Timestamp) -> Markup {
    html! {
        @if causes.is_empty() {
            p.empty { "Nothing that was looked at differs." }
        } @else {
            table.cards {
                thead { tr {
                    th scope="col" { "What" } th.num scope="col" { "Differences" } th.num scope="col" { "Documents" } th.num scope="col" { "At stake" }
                    th scope="col" { "Since" } th scope="col" { "What to do" }
                } }
                tbody {
                    @for cause in causes {
                        tr {
                            th scope="row" data-label="What" {
                                a href=(list_address(&filter(&cause.pair, cause.kind, cause.cause, cause.why))) { (capital(document(cause.kind))) ": " (cause.title) }
                                " " span.quiet { (cause.pair) @if let Some(differs) = differs(&cause_word(cause.cause)) { ", " (differs) } }
                            }
                            td.num data-label="Differences" { (grouped(cause.count)) }
                            td.num data-label="Documents" { (grouped(cause.documents)) }
                            td.num data-label="At stake" { @if cause.stake.is_empty() { span.quiet { "–" } } @else { (amounts(&cause.stake)) } }
                            td data-label="Since" { (when(cause.first_seen_at, now)) }
                            td.words data-label="What to do" { (cause.fix) }
                        }
                    }
                }
            }
        }
    }
}

fn filter(pair: &str, kind: Kind, cause: Cause, why: Why) -> Filter {
    Filter {
        pair: pair.to_owned(),
        kind: kind.word().to_owned(),
        cause: cause_word(cause),
        why: why.word().to_owned(),
        ..Filter::default()
    }
}

/// What differs, by the word of the cause, where that says more than how it came about.
fn differs(cause: &str) -> Option<String> {
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
    let found = view::differences(&app.store, &app.brand, &wanted).await?;
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

/// `Credit note 1001.r1`; what only the target has goes by the target's id.
fn named(one: &DifferenceView) -> Markup {
    html! { (capital(document(one.kind))) " " @match one.subject.strip_prefix('~') { Some(id) => { (id) }, None => (one.subject) } }
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
    let exceptions = exceptions(&app.store, &app.brand, false).await?;
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
            thead { tr { th scope="col" { "" } th scope="col" { "The value" } th scope="col" { "Its documents" } } }
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

/// One line: whether both ends agree; nothing where no two ends are compared.
pub(super) fn line(agreement: &Agreement, now: Timestamp) -> Markup {
    let names = |names: &[String]| names.join(", ");
    html! {
        @if agreement.pairs > 0 {
            p {
                @if agreement.open > 0 {
                    span.state.bad { span aria-hidden="true" { "≠ " } }
                    a href="/reconcile" { (plural(agreement.open, "difference", "differences")) }
                    @if !agreement.stake.is_empty() { ", " b { (amounts(&agreement.stake)) } " at stake" }
                    ". "
                } @else if agreement.agrees() {
                    span.state.good { span aria-hidden="true" { "✓ " } } a href="/reconcile" { "Both ends agree" } ". "
                } @else {
                    a href="/reconcile" { "Reconciliation" } ": "
                }
                @if !agreement.short.is_empty() { span.state.bad { "The last look does not meet" } ": " (names(&agreement.short)) ". " }
                @if !agreement.never.is_empty() { span.quiet { "Not looked at yet: " (names(&agreement.never)) ". " } }
                @if let Some(since) = agreement.since { span.quiet { "Read whole " (super::words::ago(since, now)) "." } }
            }
        }
    }
}
