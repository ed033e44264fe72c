//! The pages: rendered here, readable without scripts, live with them. No logic: what they show
//! are the values of [`crate::view`].

mod account;
mod alerts;
mod approvals;
mod assets;
mod chart;
mod connections;
mod differences;
mod exception;
mod exceptions;
mod flows;
mod handbook;
mod ledgers;
pub(crate) mod live;
mod login;
mod loom;
mod mappings;
mod order;
mod orders;
mod parcels;
mod people;
mod preflight;
mod qr;
mod reconcile;
mod rehearse;
mod returns;
pub(crate) mod runbook;
#[cfg(test)]
pub(crate) mod sample;
mod settings;
mod setup;
mod sso;
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
use selvedge_flow::actions::Mapped;
use selvedge_model::{ApprovalId, people::Right};
use selvedge_store::StoreError;

pub(crate) use self::login::login_address;
use crate::{
    people::{guard, may},
    serve::App,
    view,
};

/// The routes.
pub(crate) fn router() -> Router<Arc<App>> {
    Router::new()
        .route("/", get(today::page))
        .route("/orders", get(orders::page))
        .route("/orders/{number}", get(order::page))
        .route("/returns", get(returns::page))
        .route("/returns/{key}", get(returns::one))
        .route("/exceptions", get(exceptions::page))
        .route("/exceptions/{id}", get(exception::one))
        .route("/exceptions/{id}/release", post(exception::release).get(exception::back))
        .route("/exceptions/{id}/dismiss", post(exception::dismiss).get(exception::back))
        .route("/exceptions/{id}/map", post(exception::map).get(exception::back))
        .route("/exceptions/{id}/assign", post(exception::assign).get(exception::back))
        .route("/exceptions/{id}/comment", post(exception::comment).get(exception::back))
        .route("/exceptions/{id}/snooze", post(exception::snooze).get(exception::back))
        .route("/exceptions/{id}/wake", post(exception::wake).get(exception::back))
        .route("/exceptions/{id}/look", post(exception::look).get(exception::back))
        .route("/exceptions/{id}/edit", post(exception::edit).get(exception::back))
        .route("/alerts", get(alerts::page))
        .route("/alerts/{id}/acknowledge", post(alerts::acknowledge).get(|| async { Redirect::to("/alerts") }))
        .route("/alerts/ack/{token}", get(alerts::ask).post(alerts::acknowledge_by_link))
        .route("/reconcile", get(reconcile::page))
        .route("/reconcile/differences", get(differences::list))
        .route("/reconcile/differences/{id}", get(differences::one))
        .route("/mappings", get(mappings::page).post(mappings::set))
        .route("/mappings.csv", get(mappings::export))
        .route("/mappings/history", get(mappings::history))
        .route("/mappings/import", get(mappings::import).post(mappings::look))
        .route("/mappings/import/apply", post(mappings::apply).get(|| async { Redirect::to("/mappings/import") }))
        .route("/mappings/remove", post(mappings::remove).get(|| async { Redirect::to("/mappings") }))
        .route("/stock", get(stock::page))
        .route("/stock/items/{sku}", get(stock::one))
        .route("/stock/rehearse", get(rehearse::page))
        .route("/flows", get(flows::page))
        .route("/flows/{flow}", get(flows::one))
        .route("/flows/{flow}/pause", post(flows::pause).get(flows::back))
        .route("/flows/{flow}/resume", post(flows::resume).get(flows::back))
        .route("/flows/{flow}/sweep", post(flows::sweep).get(flows::back))
        .route("/flows/{flow}/replay", get(flows::replay).post(flows::look))
        .route("/flows/{flow}/redeliver", post(flows::deliver).get(flows::back_to_replay))
        .route("/connections", get(connections::page))
        .route("/settings", get(settings::page))
        .route("/handbook", get(handbook::page))
        .route("/handbook.md", get(handbook::markdown))
        .route("/handbook/{list}/{period}", get(handbook::one))
        .route("/handbook/{list}/{period}/tick", post(handbook::tick).get(handbook::back))
        .route("/handbook/{list}/{period}/sign", post(handbook::sign).get(handbook::back))
        .route("/live", get(live::stream))
        .route("/login", get(login::page).post(login::enter))
        .route("/login/code", get(login::code_page).post(login::code))
        .route("/login/sso", get(sso::begin))
        .route("/login/sso/back", get(sso::back))
        .route("/logout", post(login::leave))
        .route("/setup/{token}", get(setup::page).post(setup::name_first))
        .route("/invitation/{token}", get(setup::invitation).post(setup::accept))
        .route("/demo/{token}", get(setup::demo))
        .route("/demo/{token}/", get(setup::demo))
        .route("/demo/{token}/{*path}", get(setup::demo))
        .route("/account", get(account::page))
        .route("/account/sso", post(account::connect).get(account::back))
        .route("/account/sso/disconnect", post(account::disconnect).get(account::back))
        .route("/account/password", post(account::password).get(account::back))
        .route("/account/totp", post(account::totp).get(account::back))
        .route("/account/totp/prove", post(account::prove).get(account::back))
        .route("/account/totp/remove", post(account::remove_totp).get(account::back))
        .route("/account/sessions/revoke", post(account::revoke_sessions).get(account::back))
        .route("/account/tokens", post(account::make_token).get(account::back))
        .route("/account/tokens/revoke", post(account::revoke_token).get(account::back))
        .route("/approvals", get(approvals::page))
        .route("/approvals/{id}/approve", post(approvals::approve).get(approvals::back))
        .route("/approvals/{id}/reject", post(approvals::reject).get(approvals::back))
        .route("/people", get(people::page).post(people::invite))
        .route("/people/four-eyes", post(people::four_eyes).get(people::back))
        .route("/people/{id}", get(people::one))
        .route("/people/{id}/roles", post(people::roles).get(people::back_to_one))
        .route("/people/{id}/disable", post(people::disable).get(people::back_to_one))
        .route("/people/{id}/enable", post(people::enable).get(people::back_to_one))
        .route("/people/{id}/reset", post(people::reset).get(people::back_to_one))
        .route("/people/{id}/sessions/revoke", post(people::revoke_sessions).get(people::back_to_one))
        .route("/people/{id}/tokens/revoke", post(people::revoke_token).get(people::back_to_one))
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
    Flows,
    Connections,
    Mappings,
    Handbook,
    Approvals,
    Settings,
    People,
    Account,
    Nowhere,
}

const PLACES: [(Place, &str, &str); 13] = [
    (Place::Today, "/", "Today"),
    (Place::Orders, "/orders", "Orders"),
    (Place::Returns, "/returns", "Returns"),
    (Place::Exceptions, "/exceptions", "Exceptions"),
    (Place::Alerts, "/alerts", "Alerts"),
    (Place::Reconcile, "/reconcile", "Reconciliation"),
    (Place::Stock, "/stock", "Stock"),
    (Place::Flows, "/flows", "Flows"),
    (Place::Connections, "/connections", "Connections"),
    (Place::Mappings, "/mappings", "Mappings"),
    (Place::Handbook, "/handbook", "Handbook"),
    (Place::Approvals, "/approvals", "Approvals"),
    (Place::Settings, "/settings", "Settings"),
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
        let open = view::open_count(&app.store, &app.brand).await?;
        Ok(Self { title: title.into(), place, brand: Some(app.brand.0.clone()), open: Some(open) })
    }

    fn around(self, main: Markup) -> Markup {
        let Self { title, place, brand, open } = self;
        let who = guard::current();
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
                    @if who.is_some() {
                        @for script in ["merge.js", "live.js", "pick.js"] { script src=(assets::url(script)) defer {} }
                    }
                }
                body {
                    a.skip href="#main" { "Skip to the content" }
                    div.edge aria-hidden="true" {}
                    header.top {
                        p.mark { a href="/" { "Selvedge" } @if let Some(brand) = &brand { span.brand { (brand) } } }
                        @if let Some(who) = &who {
                            form.who action="/logout" method="post" {
                                @if who.may(Right::People) { a href="/people" aria-current=[(place == Place::People).then_some("page")] { "People" } }
                                a href="/account" aria-current=[(place == Place::Account).then_some("page")] { span.aside { "Account of " } (who.person.name) }
                                button.small { "Sign out" }
                            }
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
    /// It takes a second person, and was asked for.
    Asked(ApprovalId),
    /// It is not done, and why.
    Refused {
        /// How it is answered.
        status: StatusCode,
        /// What happened.
        title: &'static str,
        /// What it affects, and what to do.
        text: String,
    },
    /// The store refused.
    Store(StoreError),
}

impl Failure {
    /// It is not done.
    pub(crate) fn refused(status: StatusCode, title: &'static str, text: impl Into<String>) -> Self {
        Self::Refused { status, title, text: text.into() }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Absent(what) => Self::Absent(format!("There is no {what}.")),
            StoreError::NeedsApproval(id) => Self::Asked(id),
            StoreError::Forbidden(why) => {
                Self::refused(StatusCode::FORBIDDEN, "You may not do this", format!("Nothing was done. {why}"))
            }
            StoreError::Changed(how) => {
                Self::refused(StatusCode::CONFLICT, "It has changed since", format!("Nothing was done. {how}"))
            }
            decided @ StoreError::Decided { .. } => {
                let text = format!("Nothing was done: {decided}. See what waits under Approvals.");
                Self::refused(StatusCode::CONFLICT, "Somebody was quicker", text)
            }
            taken @ StoreError::Taken(_) => {
                Self::refused(StatusCode::CONFLICT, "That is taken", format!("Nothing was changed: {taken}."))
            }
            conflict @ (StoreError::Signed(_) | StoreError::SignedMeanwhile(_) | StoreError::Move { .. }) => {
                let text = format!("Nothing was done: {conflict}. Load the page again and see how it stands.");
                Self::refused(StatusCode::CONFLICT, "Somebody was quicker", text)
            }
            other => Self::Store(other),
        }
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let lost = matches!(self, Self::Absent(_));
        let (status, title, text) = match self {
            Self::Asked(id) => return Redirect::to(&format!("/approvals?asked={id}")).into_response(),
            Self::Refused { status, title, text } => (status, title, text),
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
                    label for="search" { "Look for an order by number, name, e-mail, tracking number or SKU" }
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
    following: Option<u64>,
    removed: Option<u64>,
    imported: Option<u64>,
}

impl Done {
    fn message(&self) -> Option<String> {
        if self.imported == Some(0) {
            return Some("Everything in the file stood like that already, so nothing was set.".to_owned());
        }
        if let Some(count) = self.set {
            let entries = self.imported.map(|count| format!("{} set. ", words::plural(count, "entry", "entries")));
            if let Some(entries) = entries {
                let all = count.saturating_add(self.following.unwrap_or(0));
                if all == 0 {
                    return Some(entries.trim_end().to_owned());
                }
                let goes = if all == 1 { "goes" } else { "go" };
                return Some(format!(
                    "{entries}{} that waited {goes} back to the gate, one of each cause first.",
                    words::plural(all, "record", "records")
                ));
            }
            let went = words::plural(count, "record", "records");
            return Some(match self.following {
                Some(following @ 1..) => {
                    format!(
                        "Set. {went} went back to the gate first; when it is confirmed, {} by themselves.",
                        words::plural(following, "more follows", "more follow")
                    )
                }
                _ => format!("Set. {went} went back to the gate."),
            });
        }
        self.removed.map(|_| "Removed. What is already past the gate is not touched.".to_owned())
    }

    fn shown(&self) -> Markup {
        html! { @if let Some(message) = self.message() { (done(&message)) } }
    }
}

/// What a mapping that was set (or removed) has done, for the address that the act leads to.
fn mapped(word: &str, mapped: Mapped) -> String {
    match mapped.following {
        0 => format!("{word}={}", mapped.released),
        following => format!("{word}={}&following={following}", mapped.released),
    }
}

/// What an act has done.
fn done(message: &str) -> Markup {
    html! { p.done role="status" { (message) } }
}
