//! `/orders`: the newest, or those that a search finds.

use std::sync::Arc;

use axum::extract::{Query, State};
use maud::{Markup, html};
use serde::Deserialize;

use super::{Failure, Frame, Place, today::order_table, words::further};
use crate::{serve::App, view};

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

/// The page.
pub(super) async fn page(State(app): State<Arc<App>>, Query(asked): Query<Search>) -> Result<Markup, Failure> {
    let search = asked.search.trim();
    let before = asked.before.parse().ok().filter(|_| !asked.before.is_empty());
    let (orders, next) = view::orders(&app.store, &app.brand, &app.ends(), search, before, LINES).await?;
    let title = if search.is_empty() { "Orders".to_owned() } else { format!("Orders with {search}") };
    let frame = Frame::of(&app, Place::Orders, title).await?;
    Ok(frame.around(html! {
        h1 { "Orders" }
        form.search action="/orders" method="get" role="search" {
            label for="search" { "Number, name, e-mail, tracking number or SKU" }
            div { input #search name="search" type="search" value=(search) autocomplete="off"; button { "Search" } }
        }
        div #orders data-live {
            @if !orders.is_empty() {
                (order_table(&orders, app.clock.now()))
            } @else if next.is_some() {
                p.empty { "None of the newest that were looked through." }
            } @else if before.is_some() {
                p.empty { "Nothing older." }
            } @else if search.is_empty() {
                p.empty { "No orders yet. The first one appears here as soon as it is captured." }
            } @else {
                p.empty { "No order has “" (search) "” in its number, name, e-mail, tracking number or SKU." }
                p { a href="/orders" { "Show the newest" } }
            }
            (further("/orders", search, before.is_some(), next, orders.len() < LINES))
        }
    }))
}
