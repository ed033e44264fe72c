//! The JSON API: the same views as the pages, and the same acts.
//!
//! An error is `application/problem+json` (RFC 9457): `title`, `status` and, where there is more
//! to say, `detail`. Times are RFC 3339 in UTC, amounts are text.
//!
//! Whoever asks is signed in on the page, or sends a token: `Authorization: Bearer slv_…`. An act that takes a second person is
//! answered 202 and done once somebody approves it.
//!
//! [`operations`] is the one table: the router, what each operation needs and the OpenAPI document are made from it.

mod alerts;
mod approvals;
mod calls;
pub(crate) mod document;
mod exceptions;
mod flows;
mod handbook;
mod mappings;
mod once;
mod operation;
mod orders;
mod page;
mod people;
mod problem;
mod reconcile;
mod replay;
mod returns;
mod settings;
mod stock;
#[cfg(test)]
mod tests;
mod webhooks;

use std::sync::Arc;

use axum::{Router, middleware};
use selvedge_model::people::Right;

pub(crate) use self::{operation::Operation, problem::Problem};
use crate::{people::routes::Need, serve::App};

const READ: Need = Need::Right(Right::Read);
const ACT: Need = Need::Right(Right::Act);
const MAP: Need = Need::Right(Right::Map);
const PEOPLE: Need = Need::Right(Right::People);

/// Everything that the API does.
pub(crate) fn operations() -> Vec<Operation> {
    vec![
        Operation::get("/flows", READ, "The flows, how fresh they are and where their records stand.", flows::list),
        Operation::get(
            "/flows/{flow}",
            READ,
            "One flow: where it stands, its hours, how it is set up, what of its source is proven.",
            flows::show,
        ),
        Operation::post(
            "/flows/{flow}/pause",
            ACT,
            "Pauses it for a reason: nothing is delivered until it is resumed.",
            flows::pause,
        ),
        Operation::post("/flows/{flow}/resume", ACT, "Resumes it: what waits goes on.", flows::resume),
        Operation::get("/flows/{flow}/sweep", READ, "What a sweep of its source would cover. Nothing is begun.", flows::foresee),
        Operation::post("/flows/{flow}/sweep", ACT, "Has its source enumerated once more since a moment.", flows::sweep),
        Operation::get(
            "/flows/{flow}/replay",
            READ,
            "What its rules would make of recorded documents now, against what was delivered. Nothing is written.",
            replay::delivered,
        ),
        Operation::post(
            "/flows/{flow}/replay",
            MAP,
            "What its rules would make of recorded documents under other mappings. Nothing is written.",
            replay::mapped,
        ),
        Operation::get("/flows/{flow}/redeliver", READ, "How far delivering again is, or how it ended.", replay::how_far),
        Operation::post(
            "/flows/{flow}/redeliver",
            ACT,
            "Delivers again what goes otherwise now than it was delivered, a few records first.",
            replay::redeliver,
        ),
        Operation::get(
            "/balance",
            READ,
            "The equation of each flow: what was captured against where it stands, for a window of time or for ever.",
            flows::balance,
        ),
        Operation::get("/orders", READ, "Orders, the newest first, or those with words that begin like these.", orders::list),
        Operation::get(
            "/orders/{number}",
            READ,
            "The story of one order: what was said of it, where it stands, what holds it.",
            orders::show,
        ),
        Operation::get(
            "/returns",
            READ,
            "Returns and credits, the newest first, or those with words that begin like these.",
            returns::list,
        ),
        Operation::get("/returns/{key}", READ, "Both halves of one return: the goods and the money.", returns::show),
        Operation::get(
            "/exceptions",
            READ,
            "Exceptions as a person finds them on the desk, the most pressing first.",
            exceptions::list,
        ),
        Operation::get(
            "/exceptions/{id}",
            READ,
            "One exception: cause, evidence, what it holds, what might be done, its history.",
            exceptions::show,
        ),
        Operation::get("/exceptions/{id}/preview", READ, "What a release would do now. Nothing is written.", exceptions::preview),
        Operation::post(
            "/exceptions/{id}/release",
            ACT,
            "Sends what it holds back to the gate, all of it or one record first.",
            exceptions::release,
        ),
        Operation::post("/exceptions/{id}/dismiss", ACT, "Lets go of what it holds, with the reason.", exceptions::dismiss),
        Operation::post("/exceptions/{id}/assign", ACT, "Hands it to a team or a person.", exceptions::assign),
        Operation::post("/exceptions/{id}/comment", ACT, "Says something about it.", exceptions::comment),
        Operation::post("/exceptions/{id}/snooze", ACT, "Puts it aside until an instant, with the reason.", exceptions::snooze),
        Operation::post("/exceptions/{id}/wake", ACT, "Takes it back before that.", exceptions::wake),
        Operation::post(
            "/exceptions/{id}/edit",
            ACT,
            "Edits one held order and tries it again; both versions are kept.",
            exceptions::edit,
        ),
        Operation::post(
            "/exceptions/{id}/look",
            ACT,
            "Has both ends read again that it says disagree; it closes when they agree.",
            exceptions::look,
        ),
        Operation::get("/alerts", READ, "Who was told of which exceptions.", alerts::list),
        Operation::post("/alerts/{id}/acknowledge", ACT, "Says that somebody looks after it.", alerts::acknowledge),
        Operation::get("/mappings", READ, "The entries of the mapping tables.", mappings::list),
        Operation::get("/mappings/preflight", READ, "What the last pre-flight of each flow found.", mappings::preflight),
        Operation::put("/mappings", MAP, "Sets an entry, or removes it, and releases what waited for it.", mappings::set),
        Operation::post(
            "/mappings/entries/preview",
            MAP,
            "What setting many entries would change. Nothing is set.",
            mappings::foreseen,
        ),
        Operation::put("/mappings/entries", MAP, "Sets many entries, all or none, and releases what waited.", mappings::import),
        Operation::get("/mappings/coverage", READ, "How far each table reaches, and what has no answer.", mappings::coverage),
        Operation::get("/mappings/history", READ, "Who changed which entry and when, the newest first.", mappings::history),
        Operation::get("/connections", READ, "Whether calls come through, limits, credentials' ends.", settings::connections),
        Operation::get("/settings", READ, "What the configuration came to, without its secrets.", settings::show),
        Operation::get("/reconcile", READ, "Whether both ends agree, pair by pair.", reconcile::pairs),
        Operation::get("/reconcile/causes", READ, "What differs, by cause.", reconcile::causes),
        Operation::get(
            "/reconcile/differences",
            READ,
            "What differs, row by row, what is most at stake first.",
            reconcile::differences,
        ),
        Operation::get(
            "/reconcile/differences/{id}",
            READ,
            "One difference with both values and both documents.",
            reconcile::difference,
        ),
        Operation::get("/today", READ, "What needs somebody now, and how the flows do.", settings::today),
        Operation::get("/lanes", READ, "Each flow as a line between two systems, those of stock, too.", flows::lanes),
        Operation::get("/heartbeat", READ, "Whether the outside monitor takes the signs of life.", alerts::heartbeat),
        Operation::get("/stock", READ, "How fresh the figures of each warehouse are.", stock::status),
        Operation::get("/stock/figures", READ, "Figures by SKU.", stock::figures),
        Operation::get("/stock/drifts", READ, "Figures that somebody else changed, the newest first.", stock::drifts),
        Operation::get("/stock/items/{sku}", READ, "Why the figure of an item is what it is.", stock::item),
        Operation::get(
            "/stock/rehearse",
            READ,
            "The days that were seen, played again: what other polls and buffers would have oversold or lost.",
            stock::rehearse,
        ),
        Operation::get("/calls", READ, "What is spent of the platforms' budgets.", calls::show),
        Operation::get("/approvals", READ, "Acts that wait for a second person, and what was decided.", approvals::list),
        Operation::get(
            "/handbook",
            READ,
            "How this brand is set up: where records live, the mapping tables, the present checklists.",
            handbook::show,
        ),
        Operation::get("/handbook/{list}/{period}", READ, "The `daily` or `monthly` checks of one period.", handbook::list),
        Operation::post("/handbook/{list}/{period}/tick", ACT, "Ticks a check, or takes the tick back.", handbook::tick),
        Operation::post("/handbook/{list}/{period}/sign", ACT, "Signs the checks; they do not change any more.", handbook::sign),
        Operation::get("/people", PEOPLE, "Who may do what here.", people::list),
        Operation::post("/people", PEOPLE, "Invites somebody: the answer has the link to give them.", people::invite),
        Operation::get("/people/{id}", PEOPLE, "One person, with their tokens.", people::show),
        Operation::put("/people/{id}/roles", PEOPLE, "Sets what somebody is to the brand.", people::roles),
        Operation::post("/people/{id}/disable", PEOPLE, "Takes an account out of use.", people::disable),
        Operation::post("/people/{id}/enable", PEOPLE, "Puts an account in use again.", people::enable),
        Operation::post("/people/{id}/reset", PEOPLE, "Makes a link to a new password.", people::reset),
        Operation::post(
            "/people/{id}/sessions/revoke",
            PEOPLE,
            "Ends all sessions and tokens of somebody.",
            people::revoke_sessions,
        ),
        Operation::post("/people/{id}/tokens/{token}/revoke", PEOPLE, "Ends a token of somebody.", people::revoke_token),
        Operation::get("/four-eyes", PEOPLE, "Which acts take a second person.", people::marked),
        Operation::put("/four-eyes", PEOPLE, "Says which acts take a second person. To lift one takes two itself.", people::mark),
        Operation::get(
            "/events",
            READ,
            "What happened, in order, from any place on, told in full; the stream `acts` takes the right `people`, too.",
            webhooks::events,
        ),
        Operation::get("/webhooks", READ, "Whether other programs take the events that they are told.", webhooks::list),
        Operation::get("/openapi.json", READ, "This document.", document::show),
    ]
}

/// The routes.
pub(crate) fn router(app: Arc<App>) -> Router<Arc<App>> {
    let add = |router: Router<Arc<App>>, operation: Operation| router.route(operation.path, operation.route);
    operations()
        .into_iter()
        .fold(Router::new(), add)
        .fallback(problem::nowhere)
        .method_not_allowed_fallback(problem::not_so)
        .layer(middleware::from_fn_with_state(app, once::once))
}
