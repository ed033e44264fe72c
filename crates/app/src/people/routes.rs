//! What each route needs: the one table. A route that is not in it is refused, whoever asks.

use std::sync::LazyLock;

use axum::http::Method;
use selvedge_model::people::Right;

use crate::api;

/// What somebody needs to be let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    /// Nothing: whoever reaches it. What is behind it asks for a proof of its own, or tells nothing.
    Nothing,
    /// To be signed in, whatever one may do. Tokens do not open it: it is about the person at the browser.
    SignedIn,
    /// This right.
    Right(Right),
}

use Need::{Nothing, SignedIn};

const READ: Need = Need::Right(Right::Read);
const ACT: Need = Need::Right(Right::Act);
const MAP: Need = Need::Right(Right::Map);
const METRICS: Need = Need::Right(Right::Metrics);
const PEOPLE: Need = Need::Right(Right::People);

/// Method and path, as the routers know it, and what it needs. `GET` stands for `HEAD`, too.
const TABLE: &[(&str, &str, Need)] = &[
    // Proven by what they bring themselves, or telling nothing.
    ("POST", "/webhooks/{connection}", Nothing),
    ("GET", "/healthz", Nothing),
    ("GET", "/readyz", Nothing),
    ("GET", "/assets/{name}", Nothing),
    ("GET", "/favicon.ico", Nothing),
    ("GET", "/login", Nothing),
    ("POST", "/login", Nothing),
    ("GET", "/login/code", Nothing),
    ("POST", "/login/code", Nothing),
    ("GET", "/login/sso", Nothing),
    ("GET", "/login/sso/back", Nothing),
    ("GET", "/setup/{token}", Nothing),
    ("POST", "/setup/{token}", Nothing),
    ("GET", "/invitation/{token}", Nothing),
    ("POST", "/invitation/{token}", Nothing),
    ("GET", "/demo/{token}", Nothing),
    ("GET", "/demo/{token}/", Nothing),
    ("GET", "/demo/{token}/{*path}", Nothing),
    ("GET", "/alerts/ack/{token}", Nothing),
    ("POST", "/alerts/ack/{token}", Nothing),
    // One's own account.
    ("POST", "/logout", SignedIn),
    ("GET", "/account", SignedIn),
    ("POST", "/account/sso", SignedIn),
    ("GET", "/account/sso", SignedIn),
    ("POST", "/account/sso/disconnect", SignedIn),
    ("GET", "/account/sso/disconnect", SignedIn),
    ("POST", "/account/password", SignedIn),
    ("GET", "/account/password", SignedIn),
    ("POST", "/account/totp", SignedIn),
    ("GET", "/account/totp", SignedIn),
    ("POST", "/account/totp/prove", SignedIn),
    ("GET", "/account/totp/prove", SignedIn),
    ("POST", "/account/totp/remove", SignedIn),
    ("GET", "/account/totp/remove", SignedIn),
    ("POST", "/account/sessions/revoke", SignedIn),
    ("GET", "/account/sessions/revoke", SignedIn),
    ("POST", "/account/tokens", SignedIn),
    ("GET", "/account/tokens", SignedIn),
    ("POST", "/account/tokens/revoke", SignedIn),
    ("GET", "/account/tokens/revoke", SignedIn),
    // What waits for a second person. Deciding takes the right of the act itself, and never a token.
    ("GET", "/approvals", READ),
    ("POST", "/approvals/{id}/approve", SignedIn),
    ("GET", "/approvals/{id}/approve", SignedIn),
    ("POST", "/approvals/{id}/reject", SignedIn),
    ("GET", "/approvals/{id}/reject", SignedIn),
    // People.
    ("GET", "/people", PEOPLE),
    ("POST", "/people", PEOPLE),
    ("POST", "/people/four-eyes", PEOPLE),
    ("GET", "/people/four-eyes", PEOPLE),
    ("GET", "/people/{id}", PEOPLE),
    ("POST", "/people/{id}/roles", PEOPLE),
    ("GET", "/people/{id}/roles", PEOPLE),
    ("POST", "/people/{id}/disable", PEOPLE),
    ("GET", "/people/{id}/disable", PEOPLE),
    ("POST", "/people/{id}/enable", PEOPLE),
    ("GET", "/people/{id}/enable", PEOPLE),
    ("POST", "/people/{id}/reset", PEOPLE),
    ("GET", "/people/{id}/reset", PEOPLE),
    ("POST", "/people/{id}/sessions/revoke", PEOPLE),
    ("GET", "/people/{id}/sessions/revoke", PEOPLE),
    ("POST", "/people/{id}/tokens/revoke", PEOPLE),
    ("GET", "/people/{id}/tokens/revoke", PEOPLE),
    // The pages.
    ("GET", "/", READ),
    ("GET", "/orders", READ),
    ("GET", "/orders/{number}", READ),
    ("GET", "/returns", READ),
    ("GET", "/returns/{key}", READ),
    ("GET", "/exceptions", READ),
    ("GET", "/exceptions/{id}", READ),
    ("POST", "/exceptions/{id}/release", ACT),
    ("GET", "/exceptions/{id}/release", READ),
    ("POST", "/exceptions/{id}/dismiss", ACT),
    ("GET", "/exceptions/{id}/dismiss", READ),
    ("POST", "/exceptions/{id}/map", MAP),
    ("GET", "/exceptions/{id}/map", READ),
    ("POST", "/exceptions/{id}/assign", ACT),
    ("GET", "/exceptions/{id}/assign", READ),
    ("POST", "/exceptions/{id}/comment", ACT),
    ("GET", "/exceptions/{id}/comment", READ),
    ("POST", "/exceptions/{id}/snooze", ACT),
    ("GET", "/exceptions/{id}/snooze", READ),
    ("POST", "/exceptions/{id}/wake", ACT),
    ("GET", "/exceptions/{id}/wake", READ),
    ("POST", "/exceptions/{id}/look", ACT),
    ("GET", "/exceptions/{id}/look", READ),
    ("POST", "/exceptions/{id}/edit", ACT),
    ("GET", "/exceptions/{id}/edit", READ),
    ("GET", "/alerts", READ),
    ("POST", "/alerts/{id}/acknowledge", ACT),
    ("GET", "/alerts/{id}/acknowledge", READ),
    ("GET", "/reconcile", READ),
    ("GET", "/reconcile/differences", READ),
    ("GET", "/reconcile/differences/{id}", READ),
    ("GET", "/mappings", READ),
    ("POST", "/mappings", MAP),
    ("GET", "/mappings.csv", READ),
    ("GET", "/mappings/history", READ),
    ("GET", "/mappings/import", MAP),
    ("POST", "/mappings/import", MAP),
    ("POST", "/mappings/import/apply", MAP),
    ("GET", "/mappings/import/apply", MAP),
    ("POST", "/mappings/remove", MAP),
    ("GET", "/mappings/remove", READ),
    ("GET", "/stock", READ),
    ("GET", "/stock/items/{sku}", READ),
    ("GET", "/stock/rehearse", READ),
    ("GET", "/flows", READ),
    ("GET", "/flows/{flow}", READ),
    ("POST", "/flows/{flow}/pause", ACT),
    ("GET", "/flows/{flow}/pause", READ),
    ("POST", "/flows/{flow}/resume", ACT),
    ("GET", "/flows/{flow}/resume", READ),
    ("POST", "/flows/{flow}/sweep", ACT),
    ("GET", "/flows/{flow}/sweep", READ),
    ("GET", "/flows/{flow}/replay", READ),
    ("POST", "/flows/{flow}/replay", MAP),
    ("POST", "/flows/{flow}/redeliver", ACT),
    ("GET", "/flows/{flow}/redeliver", READ),
    ("GET", "/connections", READ),
    ("GET", "/settings", READ),
    ("GET", "/handbook", READ),
    ("GET", "/handbook.md", READ),
    ("GET", "/handbook/{list}/{period}", READ),
    ("POST", "/handbook/{list}/{period}/tick", ACT),
    ("GET", "/handbook/{list}/{period}/tick", READ),
    ("POST", "/handbook/{list}/{period}/sign", ACT),
    ("GET", "/handbook/{list}/{period}/sign", READ),
    ("GET", "/live", READ),
    // Monitoring.
    ("GET", "/metrics", METRICS),
];

/// The table with what the API's own says: a route, and what it needs.
pub(crate) static ALL: LazyLock<Vec<(&'static str, &'static str, Need)>> = LazyLock::new(|| {
    let api = api::operations().into_iter().map(|one| (one.method, &*format!("/api{}", one.path).leak(), one.need));
    TABLE.iter().copied().chain(api).collect()
});

/// What the table says of a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Said {
    /// It needs this.
    Needs(Need),
    /// The path is there, this method is not; what another method of it needs.
    OtherMethod(Need),
    /// Nothing: it must not be answered.
    Nothing,
}

/// What a route needs.
pub(crate) fn need(method: &Method, path: &str) -> Said {
    let method = if method == Method::HEAD { "GET" } else { method.as_str() };
    let mut other = Said::Nothing;
    for (of, at, need) in ALL.iter() {
        if *at == path {
            if *of == method {
                return Said::Needs(*need);
            }
            other = Said::OtherMethod(*need);
        }
    }
    other
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Every route that the routers' own lists name, read from their text: whoever adds one there and not here is told by this.
    pub(crate) fn routed() -> BTreeSet<(&'static str, String)> {
        let lists = [include_str!("../pages/mod.rs"), include_str!("../serve.rs")];
        let mut found = BTreeSet::new();
        for text in lists {
            let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
            for rest in text.split(".route(\"").skip(1) {
                let (path, handlers) = rest.split_once('"').unwrap();
                let handlers = handlers.lines().next().unwrap();
                for (word, method) in [
                    ("get(", "GET"),
                    ("post(", "POST"),
                    ("put(", "PUT"),
                    ("delete(", "DELETE"),
                    ("patch(", "PATCH"),
                    ("any(", "ANY"),
                ] {
                    let called = |place: usize| {
                        handlers
                            .get(..place)
                            .and_then(|before| before.chars().last())
                            .is_none_or(|c| !c.is_alphanumeric() && c != '_')
                    };
                    if handlers.match_indices(word).any(|(place, _)| called(place)) {
                        found.insert((method, path.to_owned()));
                    }
                }
            }
        }
        found
    }

    #[test]
    fn the_table_and_the_routers_name_the_same_routes() {
        let table: BTreeSet<(&str, String)> = TABLE.iter().map(|(method, path, _)| (*method, (*path).to_owned())).collect();
        assert_eq!(table.len(), TABLE.len(), "a route stands twice");
        let all: BTreeSet<_> = ALL.iter().map(|(method, path, _)| (*method, *path)).collect();
        assert_eq!(all.len(), ALL.len(), "an operation stands twice");
        let routed = routed();
        let missing: Vec<_> = routed.difference(&table).collect();
        let gone: Vec<_> = table.difference(&routed).collect();
        assert!(missing.is_empty() && gone.is_empty(), "not in the table: {missing:?}; not in a router: {gone:?}");
    }

    #[test]
    fn the_table_of_roles_in_the_guide_is_the_table_of_the_model() {
        use selvedge_model::people::Role;
        let guide = include_str!("../../../../docs/guide/people.md");
        let roles = Role::ALL.map(Role::word).join(" | ");
        assert!(guide.contains(&format!("| right | which is to | {roles} |")));
        for right in Right::ALL {
            let ticks = Role::ALL.map(|role| if role.rights().contains(&right) { " ✓ " } else { "  " }).join("|");
            let row = format!("| `{right}` | {} |{ticks}|", right.says());
            assert!(guide.contains(&row), "docs/guide/people.md has no row {row}");
        }
    }

    #[test]
    fn what_changes_something_never_needs_less_than_reading() {
        for (method, path, need) in ALL.iter() {
            let proves_itself =
                ["/webhooks/", "/login", "/setup/", "/invitation/", "/logout", "/account/", "/approvals/", "/alerts/ack/"];
            if *method != "GET" && !proves_itself.iter().any(|start| path.starts_with(start)) {
                assert!(matches!(need, Need::Right(right) if *right != Right::Read), "{method} {path}: {need:?}");
            }
        }
        assert_eq!(need(&Method::HEAD, "/orders"), Said::Needs(READ));
        assert_eq!(need(&Method::DELETE, "/api/mappings"), Said::OtherMethod(MAP));
        assert_eq!(need(&Method::GET, "/orders/1042"), Said::Nothing, "a path is no pattern");
    }
}
