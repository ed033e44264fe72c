//! `/orders`: the newest, or those that a search finds.

use std::sync::Arc;

use axum::extract::{Query, State};
use maud::{Markup, html};
use serde::Deserialize;

use super::{Failure, Frame, Place, today::order_table, words::part};
use crate::{
    serve::App,
    view::{self, ORDERS_MAX},
};

/// Lines of a list at first.
const LINES: usize = 50;

/// What is looked for.
#[derive(Deserialize)]
pub(super) struct Search {
    #[serde(default)]
    search: String,
    /// As text, so that nonsense is a long list and not an error.
    #[serde(default)]
    limit: String,
}

/// The page.
pub(super) async fn page(State(app): State<Arc<App>>, Query(asked): Query<Search>) -> Result<Markup, Failure> {
    let search = asked.search.trim();
    let limit = asked.limit.parse().unwrap_or(LINES).clamp(1, ORDERS_MAX);
    let (orders, _) = view::orders(&app.store, &app.brand, &app.ends(), search, None, limit).await?;
    let title = if search.is_empty() { "Orders".to_owned() } else { format!("Orders with {search}") };
    let frame = Frame::of(&app, Place::Orders, title).await?;
    let full = orders.len() >= limit;
    Ok(frame.around(html! {
        h1 { "Orders" }
        form.search action="/orders" method="get" role="search" {
            label for="search" { "Number, name, e-mail, tracking number or SKU" }
            div { input #search name="search" type="search" value=(search) autocomplete="off"; button { "Search" } }
        }
        div #orders data-live {
            @if !orders.is_empty() {
                (order_table(&orders, app.clock.now()))
            } @else if search.is_empty() {
                p.empty { "No orders yet. The first one appears here as soon as it is captured." }
            } @else {
                p.empty { "No order has “" (search) "” in its number, name, e-mail, tracking number or SKU." }
                p { a href="/orders" { "Show the newest" } }
            }
            @if full && limit < ORDERS_MAX {
                p { a href={ "/orders?search=" (part(search)) "&limit=" ((limit * 2).min(ORDERS_MAX)) } { "Show more" } }
            } @else if full {
                p.quiet { "The newest " (ORDERS_MAX) " are shown. Search for older ones." }
            }
        }
    }))
}
