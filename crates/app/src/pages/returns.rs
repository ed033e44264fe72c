//! `/returns`: the newest returns and credit notes with both halves of each; `/returns/{key}`: one of them.

use std::sync::Arc;

use axum::extract::{Path, Query, State};
use jiff::Timestamp;
use maud::{Markup, html};
use selvedge_model::{CreditNote, Money, RecordKey, records::Charge};
use serde::Deserialize;

use super::{
    Failure, Frame, Place,
    order::{held, obligation_card},
    words::{figure, further, grouped, money, order_address, payment_status, plural, price, return_address, standings, when},
};
use crate::{
    serve::App,
    view::{self, GoodsHalf, Halves, MoneyHalf, ReturnLine, ReturnStory},
};

/// Lines of a list.
const LINES: usize = 50;

/// What is looked for.
#[derive(Deserialize)]
pub(super) struct Search {
    #[serde(default)]
    search: String,
    /// Only what is older than this record. As text, so that nonsense is the newest and not an error.
    #[serde(default)]
    before: String,
}

/// The list.
pub(super) async fn page(State(app): State<Arc<App>>, Query(asked): Query<Search>) -> Result<Markup, Failure> {
    let search = asked.search.trim();
    let before = asked.before.parse().ok().filter(|_| !asked.before.is_empty());
    let (returns, next) = view::returns(&app.store, &app.brand, &app.ends(), search, before, LINES).await?;
    let title = if search.is_empty() { "Returns".to_owned() } else { format!("Returns with {search}") };
    let frame = Frame::of(&app, Place::Returns, title).await?;
    let now = app.clock.now();
    Ok(frame.around(html! {
        h1 { "Returns" }
        p.lead { "Each has two halves: goods that come back, and money that is paid back. One without the other is somebody's to mend." }
        form.search action="/returns" method="get" role="search" {
            label for="search" { "Order number, SKU, or transaction of the payment provider" }
            div { input #search name="search" type="search" value=(search) autocomplete="off"; button { "Search" } }
        }
        div #returns data-live {
            @if !returns.is_empty() {
                (table(&returns, now))
            } @else if next.is_some() {
                p.empty { "None of the newest that were looked through." }
            } @else if before.is_some() {
                p.empty { "Nothing older." }
            } @else if search.is_empty() {
                p.empty { "Nothing came back and nothing was credited yet." }
            } @else {
                p.empty { "No return has “" (search) "” in its order's number, its SKUs or its transactions." }
                p { a href="/returns" { "Show the newest" } }
            }
            (further("/returns", search, before.is_some(), next, returns.is_empty()))
        }
    }))
}

fn table(returns: &[ReturnLine], now: Timestamp) -> Markup {
    html! {
        table.cards {
            thead { tr {
                th scope="col" { "Return" } th scope="col" { "Order" } th scope="col" { "Goods" } th scope="col" { "Money" }
                th scope="col" { "Stands" } th scope="col" { "Arrived" }
            } }
            tbody {
                @for one in returns {
                    tr {
                        th scope="row" data-label="Return" { a href=(return_address(one.key.as_str())) { (one.key) } }
                        td data-label="Order" { (orders(&one.orders)) }
                        td data-label="Goods" { (goods(&one.goods)) }
                        td data-label="Money" { (amount(one.money.as_ref())) }
                        td data-label="Stands" {
                            (halves(one.halves))
                            @for exception in &one.exceptions { " " a href={ "/exceptions/" (exception) } { "held: " (exception) } }
                        }
                        td data-label="Arrived" { (when(one.received_at, now)) }
                    }
                }
            }
        }
    }
}

fn orders(orders: &[RecordKey]) -> Markup {
    html! {
        @for (place, order) in orders.iter().enumerate() {
            @if place > 0 { ", " }
            a href=(order_address(order.as_str())) { (order) }
        }
        @if orders.is_empty() { span.quiet { "not known" } }
    }
}

fn goods(goods: &[GoodsHalf]) -> Markup {
    html! {
        @for (place, half) in goods.iter().enumerate() {
            @if place > 0 { br; }
            @let units: u64 = half.units.iter().map(|(_, units)| u64::from(*units)).sum();
            (plural(units, "unit", "units")) " " (half.status.word()) ", " (half.connection)
        }
        @if goods.is_empty() { span.quiet { "none" } }
    }
}

fn amount(half: Option<&MoneyHalf>) -> Markup {
    html! {
        @match half {
            Some(half) => { (money(half.amount)) " " (half.status.word()) },
            None => span.quiet { "no credit note" },
        }
    }
}

fn halves(halves: Halves) -> Markup {
    let (mark, tone) = match halves {
        Halves::Both => ("✓", "good"),
        Halves::GoodsOnly | Halves::MoneyOnly => ("‖", "bad"),
        Halves::Neither => ("→", "busy"),
        Halves::Void => ("–", "quiet"),
    };
    html! { span class={ "state " (tone) } { span aria-hidden="true" { (mark) " " } (halves.words()) } }
}

/// One of them.
pub(super) async fn one(State(app): State<Arc<App>>, Path(key): Path<String>) -> Result<Markup, Failure> {
    let key = RecordKey(key);
    let Some(story) = view::return_story(&app.store, &app.brand, &app.ends(), &key).await? else {
        let shown: String = key.as_str().chars().take(100).collect();
        return Err(Failure::Absent(format!(
            "There is no return {shown}. Look for it by its order or by an item under Returns."
        )));
    };
    let frame = Frame::of(&app, Place::Returns, format!("Return {}", story.line.key)).await?;
    let now = app.clock.now();
    Ok(frame.around(html! { div #return data-live { (told(&story, now)) } }))
}

fn told(story: &ReturnStory, now: Timestamp) -> Markup {
    let line = &story.line;
    html! {
        p.crumb { a href="/returns" { "Returns" } }
        h1 { "Return " (line.key) }
        p.lead { (halves(line.halves)) " · order " (orders(&line.orders)) " · told by " (line.from) " · arrived " (when(line.received_at, now)) }
        @for exception in &story.held { (held(exception)) }
        div.deck {
            section.card aria-labelledby="goods" {
                h2 #goods { "Goods" }
                @if line.goods.is_empty() { p.empty { "Nothing is known to come back." } }
                @for half in &line.goods { (goods_card(half)) }
            }
            section.card aria-labelledby="money" {
                h2 #money { "Money" }
                @match &line.money { Some(half) => (money_card(half)), None => p.empty { "There is no credit note yet." } }
            }
        }
        @if let Some(credit) = &story.credit_note { (document(credit)) }
        section aria-labelledby="stands" {
            h2 #stands { "Where it stands" }
            @if story.obligations.is_empty() { p.empty { "No flow wants it." } }
            @for debt in story.obligations.iter().rev() { (obligation_card(debt, now)) }
        }
    }
}

fn goods_card(half: &GoodsHalf) -> Markup {
    html! {
        h3 { (half.status.word()) " " span.quiet { (half.key) ", told by " (half.connection) } }
        p { @for (place, (sku, units)) in half.units.iter().enumerate() { @if place > 0 { ", " } (grouped(u64::from(*units))) " × " code { (sku) } } }
        p.quiet { "What becomes of them: " (half.disposition.word()) }
        p { (standings(&half.told)) }
    }
}

fn money_card(half: &MoneyHalf) -> Markup {
    html! {
        h3 { (money(half.amount)) " " span.quiet { (half.status.word()) ", " (half.reason.word()) ", " (half.number) } }
        p { (standings(&half.told)) }
        @if half.refunds.is_empty() { p.empty { "No transaction paid it back so far." } }
        @for refund in &half.refunds {
            p {
                b { (money(refund.amount)) } " by " (refund.tender.word()) ", " (payment_status(refund.status)) " "
                @match &refund.reference { Some(reference) => code { (reference) }, None => span.quiet { "no reference" } }
                br;
                (standings(&refund.told))
            }
        }
    }
}

/// What is given back, line by line.
fn document(credit: &CreditNote) -> Markup {
    let charged = |charge: &Charge| !charge.net.is_zero() || !charge.tax.is_zero();
    let negative = |amount: Money| amount.negated().map_or_else(|_| figure(amount), figure);
    let charges = [
        ("Shipping", &credit.shipping, false),
        ("Handling", &credit.handling, false),
        ("Fee kept back", &credit.fee, true),
        ("Goodwill", &credit.goodwill, false),
    ];
    html! {
        section aria-labelledby="what" {
            h2 #what { "What is given back" }
            table.cards.lines {
                caption { "Lines, amounts in " (credit.currency.code()) }
                thead { tr {
                    th scope="col" { "SKU" } th scope="col" { "Name" } th.num scope="col" { "Units" } th.num scope="col" { "Each, net" }
                    th.num scope="col" { "Net" } th.num scope="col" { "Tax" }
                } }
                tbody {
                    @for line in &credit.lines {
                        tr {
                            th scope="row" data-label="SKU" { code { (line.sku) } }
                            td data-label="Name" { (line.name) }
                            td.num data-label="Units" { (line.quantity) }
                            td.num data-label="Each, net" { (price(line.unit_net, credit.currency)) }
                            td.num data-label="Net" { (figure(line.net)) }
                            td.num data-label="Tax" { (figure(line.tax)) }
                        }
                    }
                }
            }
            table.sums {
                caption { "How it adds up, in " (credit.currency.code()) }
                thead { tr { th scope="col" { span.aside { "What" } } th.num scope="col" { "Net" } th.num scope="col" { "Tax" } } }
                tbody {
                    @for discount in &credit.discounts {
                        tr { th scope="row" { (discount.name) } td.num { (negative(discount.net)) } td.num { (negative(discount.tax)) } }
                    }
                    @for (title, charge, off) in charges {
                        @if charged(charge) {
                            tr {
                                th scope="row" { (title) }
                                td.num { @if off { (negative(charge.net)) } @else { (figure(charge.net)) } }
                                td.num { @if off { (negative(charge.tax)) } @else { (figure(charge.tax)) } }
                            }
                        }
                    }
                    tr.total { th scope="row" { "Total" } td.num { (figure(credit.totals.net)) } td.num { (figure(credit.totals.tax)) } }
                    tr.total { th scope="row" { "The customer gets" } td.num colspan="2" { b { (money(credit.totals.gross)) } } }
                }
            }
        }
    }
}
