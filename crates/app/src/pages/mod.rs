//! The pages: rendered here, readable without scripts, live with them. No logic: what they show
//! are the values of [`crate::view`].

mod alerts;
mod assets;
mod differences;
mod exceptions;
mod ledgers;
pub(crate) mod live;
mod mappings;
mod order;
mod orders;
mod parcels;
mod preflight;
mod reconcile;
mod rehearse;
mod returns;
#[cfg(test)]
pub(crate) mod sample;
mod stock;
mod stock_rows;
#[cfg(test)]
mod tests;
mod today;
mod words;

use std::sync::Arc;

use axum::{
    Router,
    extract::{Request, State},
    http::StatusCode,
    response::{IntoResponse, Redirect, Response},
    routing::{get, post},
};
use maud::{DOCTYPE, Markup, html};
use selvedge_store::StoreError;

use crate::{serve::App, view};

/// Who acts, in the audit trail.
const ACTOR: &str = "operator (page)";

/// The routes.
pub(crate) fn router() -> Router<Arc<App>> {
    Router::new()
        .route("/", get(today::page))
        .route("/orders", get(orders::page))
        .route("/orders/{number}", get(order::page))
        .route("/returns", get(returns::page))
        .route("/returns/{key}", get(returns::one))
        .route("/exceptions", get(exceptions::page))
        .route("/exceptions/{id}", get(exceptions::one))
        .route("/exceptions/{id}/release", post(exceptions::release).get(exceptions::back))
        .route("/exceptions/{id}/dismiss", post(exceptions::dismiss).get(exceptions::back))
        .route("/exceptions/{id}/map", post(exceptions::map).get(exceptions::back))
        .route("/alerts", get(alerts::page))
        .route("/alerts/{id}/acknowledge", post(alerts::acknowledge).get(|| async { Redirect::to("/alerts") }))
        .route("/alerts/ack/{token}", get(alerts::ask).post(alerts::acknowledge_by_link))
        .route("/reconcile", get(reconcile::page))
        .route("/reconcile/differences", get(differences::list))
        .route("/reconcile/differences/{id}", get(differences::one))
        .route("/mappings", get(mappings::page).post(mappings::set))
        .route("/mappings/remove", post(mappings::remove).get(|| async { Redirect::to("/mappings") }))
        .route("/stock", get(stock::page))
        .route("/stock/items/{sku}", get(stock::one))
        .route("/stock/rehearse", get(rehearse::page))
        .route("/live", get(live::stream))
        .route("/assets/{name}", get(assets::asset))
        .route("/favicon.ico", get(|| async { Redirect::permanent("/assets/selvedge.svg") }))
}

/// Where in the navigation a page stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Today,
    Orders,
    Returns,
    Exceptions,
    Alerts,
    Reconcile,
    Stock,
    Mappings,
    Nowhere,
}

const PLACES: [(Place, &str, &str); 8] = [
    (Place::Today, "/", "Today"),
    (Place::Orders, "/orders", "Orders"),
    (Place::Returns, "/returns", "Returns"),
    (Place::Exceptions, "/exceptions", "Exceptions"),
    (Place::Alerts, "/alerts", "Alerts"),
    (Place::Reconcile, "/reconcile", "Reconciliation"),
    (Place::Stock, "/stock", "Stock"),
    (Place::Mappings, "/mappings", "Mappings"),
];

/// What surrounds a page.
struct Frame {
    title: String,
    place: Place,
    brand: Option<String>,
    /// Open exceptions, where known.
    open: Option<usize>,
}

impl Frame {
    /// The frame of a page, with what the navigation shows.
    async fn of(app: &App, place: Place, title: impl Into<String>) -> Result<Self, Failure> {
        let open = view::exceptions(&app.store, &app.brand, false).await?.len();
        Ok(Self { title: title.into(), place, brand: Some(app.brand.0.clone()), open: Some(open) })
    }

    fn around(self, main: Markup) -> Markup {
        let Self { title, place, brand, open } = self;
        html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="color-scheme" content="light dark";
                    title { (title) " · Selvedge" }
                    link rel="icon" type="image/svg+xml" href=(assets::url("selvedge.svg"));
                    link rel="stylesheet" href=(assets::url("selvedge.css"));
                    script src=(assets::url("live.js")) defer {}
                }
                body {
                    a.skip href="#main" { "Skip to the content" }
                    div.edge aria-hidden="true" {}
                    header.top {
                        p.mark { a href="/" { "Selvedge" } @if let Some(brand) = &brand { span.brand { (brand) } } }
                        nav #nav data-live aria-label="Pages" {
                            ul {
                                @for (each, address, name) in PLACES {
                                    li {
                                        a href=(address) aria-current=[(each == place).then_some("page")] {
                                            (name)
                                            @if each == Place::Exceptions && let Some(open @ 1..) = open {
                                                " " span.badge data-n="nav.exceptions" { (open) } span.aside { " open" }
                                            }
                                        }
                                    }
                                }
                            }
                        }
                    }
                    main #main tabindex="-1" { (main) }
                    footer.foot {
                        p { "What was captured is confirmed, in flight, or has a name here." }
                        p #news.aside role="status" aria-live="polite" {}
                        p #live.live hidden {}
                    }
                }
            }
        }
    }
}

/// Why there is no page to show.
pub(crate) enum Failure {
    /// There is nothing here, and this is what to do.
    Absent(String),
    /// The address asks for what cannot be, and this is what can.
    Unclear(String),
    /// The store refused.
    Store(StoreError),
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Absent(what) => Self::Absent(format!("There is no {what}.")),
            other => Self::Store(other),
        }
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let lost = matches!(self, Self::Absent(_));
        let (status, title, text) = match self {
            Self::Absent(text) => (StatusCode::NOT_FOUND, "Not here", text),
            Self::Unclear(text) => (StatusCode::UNPROCESSABLE_ENTITY, "The address does not read", text),
            Self::Store(error) => {
                tracing::error!(%error, "the store refused a page");
                let text = "The store does not answer. Nothing was changed; load the page again shortly. The log says why.";
                (StatusCode::SERVICE_UNAVAILABLE, "The store does not answer", text.to_owned())
            }
        };
        let frame = Frame { title: title.to_owned(), place: Place::Nowhere, brand: None, open: None };
        let main = html! {
            h1 { (title) }
            p.lead { (text) }
            @if lost {
                form.search action="/orders" method="get" role="search" {
                    label for="search" { "Look for an order by number, name, e-mail or SKU" }
                    div { input #search name="search" type="search" autocomplete="off"; button { "Search" } }
                }
            }
            p { a href="/" { "Back to today" } }
        };
        (status, frame.around(main)).into_response()
    }
}

/// There is nothing at this address.
pub(crate) async fn nowhere(State(_): State<Arc<App>>, request: Request) -> Failure {
    let path: String = request.uri().path().chars().take(200).collect();
    Failure::Absent(format!("There is no page at {path}. Check the address, or go on from one of the pages above."))
}

/// The message that follows an act, out of the address to which it led.
#[derive(Default, serde::Deserialize)]
struct Done {
    released: Option<u64>,
    dismissed: Option<u64>,
    set: Option<u64>,
    removed: Option<u64>,
}

impl Done {
    fn message(&self) -> Option<String> {
        if let Some(count) = self.set {
            return Some(format!("Set. {} went back to the gate.", words::plural(count, "record", "records")));
        }
        self.removed.map(|_| "Removed. What is already past the gate is not touched.".to_owned())
    }

    fn shown(&self) -> Markup {
        html! { @if let Some(message) = self.message() { (done(&message)) } }
    }
}

/// What an act has done.
fn done(message: &str) -> Markup {
    html! { p.done role="status" { (message) } }
}
