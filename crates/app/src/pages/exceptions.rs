//! `/exceptions`: what somebody has to decide; `/exceptions/{id}`: one of them, with what it holds
//! and the acts that settle it.

use std::sync::Arc;

use axum::{
    Form,
    extract::{Path, Query, State},
    http::StatusCode,
    response::{IntoResponse, Redirect, Response},
};
use jiff::Timestamp;
use maud::{Markup, html};
use selvedge_model::{ConnectionName, ExceptionId, Kind, people::Right, team::Team};
use serde::Deserialize;

use super::{
    Done, Failure, Frame, Place, differences, may, stock_rows,
    words::{amounts, grouped, money, order_address, part, plural, return_address, when},
};
use crate::{
    people::Who,
    serve::App,
    view::{
        self, ExceptionDetail, ExceptionGroup, ExceptionView, HalfView, HeldView, LateView, MappingAsked, MappingWanted,
        StockRows, document, reconcile::Filter,
    },
};

/// Differences that are shown of an exception; the list has all of them.
const DIFFERENCES_SHOWN: &str = "20";

/// Open ones, or all; of one team, or of all.
#[derive(Deserialize)]
pub(super) struct Which {
    #[serde(default)]
    all: String,
    #[serde(default)]
    team: String,
}

/// The list.
pub(super) async fn page(State(app): State<Arc<App>>, Query(which): Query<Which>) -> Result<Markup, Failure> {
    let all = !which.all.is_empty();
    let team = view::team(&which.team).map_err(Failure::Unclear)?;
    let exceptions = view::exceptions(&app.store, &app.brand, all).await?;
    let open = exceptions.iter().filter(|exception| exception.open).count();
    let groups = view::by_rule(view::of_team(exceptions, team));
    let address = |team: Option<Team>, all: bool| {
        let words = [all.then(|| "all=yes".to_owned()), team.map(|team| format!("team={team}"))];
        let words: Vec<String> = words.into_iter().flatten().collect();
        if words.is_empty() { "/exceptions".to_owned() } else { format!("/exceptions?{}", words.join("&")) }
    };
    let frame =
        Frame { title: "Exceptions".to_owned(), place: Place::Exceptions, brand: Some(app.brand.0.clone()), open: Some(open) };
    let now = app.clock.now();
    Ok(frame.around(html! {
        h1 { "Exceptions" }
        p.lead { "One for each root cause. Mend the cause, and everything that it holds goes on." }
        p.tabs {
            a href=(address(team, false)) aria-current=[(!all).then_some("true")] { "Open" } " "
            a href=(address(team, true)) aria-current=[all.then_some("true")] { "Open and closed" }
        }
        p.tabs aria-label="Team" {
            a href=(address(None, all)) aria-current=[team.is_none().then_some("true")] { "All teams" }
            @for one in Team::ALL { " " a href=(address(Some(one), all)) aria-current=[(team == Some(one)).then_some("true")] { (one.name()) } }
        }
        div #exceptions data-live {
            @if groups.is_empty() {
                p.empty { @match (team, all) { (None, true) => "There was never one.", (None, false) => "Nothing needs you.", (Some(_), _) => "Nothing of this team." } }
            }
            @for group in &groups { (group_of(group, now)) }
        }
    }))
}

fn group_of(group: &ExceptionGroup, now: Timestamp) -> Markup {
    html! {
        section.card {
            h2 { code { (group.rule) } }
            p.quiet {
                (group.team.name()) " · "
                @match group.exceptions.first().filter(|_| group.count > 0) {
                    Some(first) => { (Words::of(first).counted(group.count)) " held" },
                    None => "nothing held",
                }
                @if !group.money.is_empty() { " · " b { (amounts(&group.money)) } }
                " · first met " (when(group.first_seen_at, now)) " · last met " (when(group.last_seen_at, now))
            }
            table.cards {
                thead { tr { th scope="col" { "What is wrong" } th.num scope="col" { "Holds" } th.num scope="col" { "Money" } th scope="col" { "First met" } th scope="col" { "Last met" } } }
                tbody {
                    @for exception in &group.exceptions {
                        tr {
                            th scope="row" data-label="What is wrong" {
                                a href={ "/exceptions/" (exception.id) } { (exception.message) }
                                @if !exception.open { " " span.quiet { "closed" } }
                            }
                            td.num data-label="Holds" { (grouped(exception.count)) }
                            td.num data-label="Money" { @if exception.money.is_empty() { span.quiet { "–" } } @else { (amounts(&exception.money)) } }
                            td data-label="First met" { (when(exception.first_seen_at, now)) }
                            td data-label="Last met" { (when(exception.last_seen_at, now)) }
                        }
                    }
                }
            }
        }
    }
}

/// What was typed and did not pass, to be shown again.
#[derive(Default)]
struct Tried {
    mapping: Option<(String, String)>,
    reason: Option<(String, String)>,
}

/// One exception.
pub(super) async fn one(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    Query(done): Query<Done>,
) -> Result<Markup, Failure> {
    shown(&app, &id, &done, &Tried::default()).await
}

fn id_of(text: &str) -> Result<ExceptionId, Failure> {
    text.parse().map_err(|error| Failure::Absent(format!("{error}.")))
}

async fn shown(app: &App, id: &str, done: &Done, tried: &Tried) -> Result<Markup, Failure> {
    let id = id_of(id)?;
    let Some(detail) = view::exception(&app.store, &app.brand, &app.ends(), id).await? else {
        return Err(Failure::Absent(format!(
            "There is no exception {id}. It may belong to another store; the open ones are listed under Exceptions."
        )));
    };
    let frame = Frame::of(app, Place::Exceptions, format!("Exception {id}")).await?;
    let now = app.clock.now();
    let ExceptionDetail { exception, holds, late, returns, mapping } = &detail;
    let rows = view::stock_rows(&app.store, &app.brand, &app.engine.setup().stocks, exception).await?;
    let differing = match view::reconcile::grouped_by(exception) {
        None => None,
        Some(filter) => {
            let shown = Filter { limit: DIFFERENCES_SHOWN.to_owned(), ..filter.clone() };
            // A pair that is compared no more has nothing open.
            let found = match shown.wanted(app.pairs()) {
                Ok(wanted) => view::reconcile::differences(&app.store, &app.brand, &wanted).await?,
                Err(_) => Vec::new(),
            };
            Some((filter, found))
        }
    };
    let words = if returns.is_empty() { Words::of(exception) } else { Words::OF_RETURNS };
    Ok(frame.around(html! {
        p.crumb { a href="/exceptions" { "Exceptions" } }
        @if let Some(message) = words.done(done) { (super::done(&message)) } @else { (done.shown()) }
        div #exception data-live { (about(exception, &words, now)) }
        @if let Some(rows) = &rows {
            div #rows data-live { (stock_rows::shown(exception, rows, now)) }
            @let settled = settled(exception, rows);
            div #acts data-live[settled.is_some()] {
                @if exception.open {
                    @match settled { Some(why) => p.card #settled { (why) }, None => @if may(Right::Act) { (acts(exception, &words, tried)) } }
                }
            }
        } @else if let Some((filter, found)) = &differing {
            div #differing data-live {
                @if exception.open {
                    p.card #settled { "Nothing is held, so there is nothing to release or to dismiss. This closes by itself when both ends were read and agree." }
                }
                (differences::of_exception(filter, found, now))
            }
        } @else {
            @if exception.open {
                @if may(Right::Map) && let Some(asked) = mapping { (map_form(exception.id, asked, &app.targets(), tried)) }
                @if may(Right::Act) { (acts(exception, &words, tried)) }
            }
            div #holds data-live {
                @if !returns.is_empty() {
                    (halves(exception, returns))
                } @else if !late.is_empty() {
                    (late_orders(exception, late, now))
                } @else {
                    (held(exception, holds))
                }
            }
        }
    }))
}

/// What release and dismiss do to what an exception holds, in words.
pub(super) struct Words {
    /// One of what it holds, and several.
    one: &'static str,
    many: &'static str,
    /// What either does, said before.
    release: &'static str,
    dismiss: &'static str,
    /// What either did, said after the number.
    released: &'static str,
    dismissed: &'static str,
}

impl Words {
    /// Of returns of which one half is missing.
    const OF_RETURNS: Words = Words {
        one: "return",
        many: "returns",
        release: "Looks at the returns once more. What has come meanwhile goes from the list; this happens by itself, too.",
        dismiss: "Nobody waits for the missing half any more. Nothing is booked by it, neither goods nor money.",
        released: " looked at again.",
        dismissed: " let go: nobody waits for the missing half any more.",
    };

    pub(super) fn of(exception: &ExceptionView) -> Self {
        match exception.rule.as_str() {
            "stock.guard" => Self {
                one: "reading",
                many: "readings",
                release: "It is true: the readings take effect at once, and the shop follows. Of an item that was read again since, the newer reading stands.",
                dismiss: "It is not true: the readings are dropped, and what was known before stays in force. This stays open until a later \
                          reading of the whole place is believed; one that says the same is kept back again.",
                released: ", in force with the next turn; the shop follows.",
                dismissed: " dropped. What was known before stays in force.",
            },
            rule if rule.starts_with("stock.") => Self {
                one: "figure",
                many: "figures",
                release: "The figures are worked out anew from what is known now, written, and read back. What does not come out is held again.",
                dismiss: "What the shop shows now is left. Ours is worked out and written again when the item moves at the source, or when \
                          somebody changes the shop's figure once more.",
                released: ", to be worked out anew and written.",
                dismissed: ", left as the shop shows it.",
            },
            "shipment.overdue" | "shipment.short" => Self {
                one: "order",
                many: "orders",
                release: "Looks at the orders once more. What has left meanwhile goes from the list; this happens by itself, too.",
                dismiss: "Nobody waits for these orders any more. Nothing is cancelled by it, neither in the shop nor at the warehouse.",
                released: " looked at again.",
                dismissed: " let go: nobody waits for them any more.",
            },
            _ => Self {
                one: "record",
                many: "records",
                release: "Sends what it holds back to the gate. If the cause is still there, it is held again.",
                dismiss: "Lets go of what it holds: it will not be sent.",
                released: " went back to the gate.",
                dismissed: " let go.",
            },
        }
    }

    /// What an act has done, after it.
    fn done(&self, done: &Done) -> Option<String> {
        let released = done.released.map(|count| format!("Released: {}{}", self.counted(count), self.released));
        released.or_else(|| done.dismissed.map(|count| format!("Dismissed: {}{}", self.counted(count), self.dismissed)))
    }

    /// How many of what it holds.
    pub(super) fn counted(&self, count: u64) -> String {
        plural(count, self.one, self.many)
    }

    /// Where the reason of a dismissal is kept: a record has a story, a row of stock has none.
    fn reason_kept(&self) -> &'static str {
        if self.one == "record" { "The reason is kept with every record." } else { "The reason is kept in the audit trail." }
    }
}

/// Why there is nothing to decide about an exception of stock, if there is nothing.
fn settled(exception: &ExceptionView, rows: &StockRows) -> Option<&'static str> {
    if exception.count > 0 && exception.count == rows.moved.released {
        return Some("Released. The readings take effect with the next turn; then this closes by itself.");
    }
    if exception.count > 0 {
        return None;
    }
    Some(match exception.rule.as_str() {
        "stock.guard" => "Nothing is kept back now. This closes by itself when a later reading of the whole place is believed.",
        "stock.drift" => {
            "Nothing is held, so there is nothing to release or to dismiss. This closes by itself when both sides were read and are equal."
        }
        "stock.not_taken" => "Nothing is held now. This closes by itself when the figures were read back and are right.",
        _ => "Nothing is held, so there is nothing to release or to dismiss: mend what is named above.",
    })
}

fn about(exception: &ExceptionView, words: &Words, now: Timestamp) -> Markup {
    html! {
        h1.long { (exception.message) }
        p.lead { (exception.remedy) }
        dl.pairs {
            dt { "Holds" } dd {
                b { @if exception.count > 0 { (words.counted(exception.count)) } @else { "nothing now" } }
                @if !exception.money.is_empty() { ", " b { (amounts(&exception.money)) } }
            }
            dt { "Rule" } dd { code { (exception.rule) } }
            dt { "Team" } dd { (exception.team.name()) }
            @if !exception.flow.as_str().is_empty() { dt { "Flow" } dd { (exception.flow) } }
            @if !exception.path.is_empty() { dt { "Where" } dd { code { (exception.path) } } }
            @if let Some(value) = &exception.value { dt { "What stands there" } dd { code { (value) } } }
            dt { "First met" } dd { (when(exception.first_seen_at, now)) }
            dt { "Last met" } dd { (when(exception.last_seen_at, now)) }
            @if let Some(closed) = &exception.closed { dt { "Closed" } dd { (closed) } }
            dt { "Name" } dd { code { (exception.id) } }
        }
    }
}

fn map_form(id: ExceptionId, asked: &MappingAsked, targets: &[ConnectionName], tried: &Tried) -> Markup {
    let (typed, wrong) = tried.mapping.as_ref().map_or(("", None), |(typed, wrong)| (typed.as_str(), Some(wrong)));
    html! {
        section.card aria-labelledby="map" {
            h2 #map { "Set the mapping" }
            p { "What " code { (asked.key) } " is called in the table " code { (asked.table) } ". Everything that waits for it goes back to the gate." }
            form.act action={ "/exceptions/" (id) "/map" } method="post" {
                input type="hidden" name="table" value=(asked.table);
                input type="hidden" name="key" value=(asked.key);
                @match &asked.connection {
                    Some(connection) => input type="hidden" name="connection" value=(connection);,
                    None => {
                        label for="connection" { "At which connection" }
                        select #connection name="connection" { @for target in targets { option value=(target) { (target) } } }
                    }
                }
                label for="value" { "The target's id" @if let Some(connection) = &asked.connection { ", at " (connection) } }
                @if let Some(wrong) = wrong { p.wrong #wrong-value { (wrong) } }
                div {
                    input #value name="value" value=(typed) required maxlength="200" autocomplete="off"
                        aria-invalid=[wrong.map(|_| "true")] aria-describedby=[wrong.map(|_| "wrong-value")];
                    button.main { "Set and release" }
                }
            }
        }
    }
}

fn acts(exception: &ExceptionView, words: &Words, tried: &Tried) -> Markup {
    let id = exception.id;
    let (typed, wrong) = tried.reason.as_ref().map_or(("", None), |(typed, wrong)| (typed.as_str(), Some(wrong)));
    html! {
        div.deck {
            section.card aria-labelledby="release" {
                h2 #release { "Release" }
                p { (words.release) }
                form.act action={ "/exceptions/" (id) "/release" } method="post" { button { "Release " (words.counted(exception.count)) } }
            }
            section.card aria-labelledby="dismiss" {
                h2 #dismiss { "Dismiss" }
                p { (words.dismiss) " " (words.reason_kept()) }
                form.act action={ "/exceptions/" (id) "/dismiss" } method="post" {
                    label for="reason" { "Reason" }
                    @if let Some(wrong) = wrong { p.wrong #wrong-reason { (wrong) } }
                    div {
                        input #reason name="reason" value=(typed) required maxlength="500" autocomplete="off"
                            aria-invalid=[wrong.map(|_| "true")] aria-describedby=[wrong.map(|_| "wrong-reason")];
                        button { "Dismiss " (words.counted(exception.count)) }
                    }
                }
            }
        }
    }
}

/// Orders that have not left whole.
fn late_orders(exception: &ExceptionView, late: &[LateView], now: Timestamp) -> Markup {
    let shown = u64::try_from(late.len()).unwrap_or(u64::MAX);
    html! {
        section aria-labelledby="held" {
            h2 #held { "Which orders" }
            table.cards {
                thead { tr { th scope="col" { "Order" } th scope="col" { "Promised to leave by" } th.num scope="col" { "Units left" } } }
                tbody {
                    @for each in late {
                        tr {
                            th scope="row" data-label="Order" { a href=(order_address(each.order.as_str())) { (each.order) } }
                            td data-label="Promised to leave by" {
                                @match each.dispatch_by { Some(by) => (when(by, now)), None => span.quiet { "no day promised" } }
                            }
                            td.num data-label="Units left" { (grouped(each.shipped)) " of " (grouped(each.ordered)) }
                        }
                    }
                }
            }
            @if exception.count > shown { p.quiet { "The longest due " (shown) " of " (grouped(exception.count)) "." } }
        }
    }
}

/// Returns of which one half is missing.
fn halves(exception: &ExceptionView, returns: &[HalfView]) -> Markup {
    let shown = u64::try_from(returns.len()).unwrap_or(u64::MAX);
    html! {
        section aria-labelledby="held" {
            h2 #held { "Which returns" }
            table.cards {
                thead { tr { th scope="col" { "Return" } th scope="col" { "Told by" } th.num scope="col" { "Money" } } }
                tbody {
                    @for each in returns {
                        tr {
                            th scope="row" data-label="Return" { a href=(return_address(each.key.as_str())) { (each.key) } }
                            td data-label="Told by" { (each.connection) }
                            td.num data-label="Money" { @match each.money { Some(amount) => (money(amount)), None => span.quiet { "not known" } } }
                        }
                    }
                }
            }
            @if exception.count > shown { p.quiet { "The first " (shown) " of " (grouped(exception.count)) "." } }
        }
    }
}

fn held(exception: &ExceptionView, holds: &[HeldView]) -> Markup {
    let shown = u64::try_from(holds.len()).unwrap_or(u64::MAX);
    html! {
        section aria-labelledby="held" {
            h2 #held { "What it holds" }
            @if holds.is_empty() {
                p.empty { "Nothing now." }
            } @else {
                ul.held {
                    @for each in holds {
                        li {
                            @if each.kind == Kind::Order {
                                a href=(order_address(each.key.as_str())) { "Order " (each.key) }
                            } @else if matches!(each.kind, Kind::Return | Kind::CreditNote) {
                                a href=(return_address(each.key.as_str())) { (document(each.kind)) " " (each.key) }
                            } @else {
                                (each.kind) " " (each.key)
                            }
                        }
                    }
                }
                @if exception.count > shown { p.quiet { "The oldest " (shown) " of " (grouped(exception.count)) "." } }
            }
        }
    }
}

/// The address of an act, opened again after it: back to the exception.
pub(super) async fn back(Path(id): Path<String>) -> Redirect {
    Redirect::to(&format!("/exceptions/{}", part(&id)))
}

/// Releases it.
pub(super) async fn release(State(app): State<Arc<App>>, who: Who, Path(id): Path<String>) -> Result<Redirect, Failure> {
    let id = id_of(&id)?;
    let released = app.actions(&who).release(id).await?;
    Ok(Redirect::to(&format!("/exceptions/{id}?released={released}")))
}

/// Why.
#[derive(Deserialize)]
pub(super) struct Reason {
    #[serde(default)]
    reason: String,
}

/// Dismisses what it holds.
pub(super) async fn dismiss(
    State(app): State<Arc<App>>,
    who: Who,
    Path(id): Path<String>,
    Form(sent): Form<Reason>,
) -> Result<Response, Failure> {
    match view::reason(&sent.reason) {
        Ok(reason) => {
            let id = id_of(&id)?;
            let dismissed = app.actions(&who).dismiss(id, &reason).await?;
            Ok(Redirect::to(&format!("/exceptions/{id}?dismissed={dismissed}")).into_response())
        }
        Err(wrong) => {
            let tried = Tried { reason: Some((sent.reason, wrong)), ..Tried::default() };
            let page = shown(&app, &id, &Done::default(), &tried).await?;
            Ok((StatusCode::UNPROCESSABLE_ENTITY, page).into_response())
        }
    }
}

/// Sets the mapping that it asks for.
pub(super) async fn map(
    State(app): State<Arc<App>>,
    who: Who,
    Path(id): Path<String>,
    Form(wanted): Form<MappingWanted>,
) -> Result<Response, Failure> {
    let typed = wanted.value.clone().unwrap_or_default();
    match wanted.checked(&app.mapping_targets()) {
        Ok(MappingWanted { connection, table, key, value: Some(value) }) => {
            let id = id_of(&id)?;
            let set = app.actions(&who).map(&connection, &table, &key, Some(&value)).await?;
            Ok(Redirect::to(&format!("/exceptions/{id}?set={set}")).into_response())
        }
        wrong => {
            let wrong = wrong.err().unwrap_or_else(|| "Give the id that the target uses.".to_owned());
            let tried = Tried { mapping: Some((typed, wrong)), ..Tried::default() };
            let page = shown(&app, &id, &Done::default(), &tried).await?;
            Ok((StatusCode::UNPROCESSABLE_ENTITY, page).into_response())
        }
    }
}
