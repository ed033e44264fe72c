//! Routing: which warehouse ships which line.
//!
//! Routes are data, tried in their order; the first whose conditions fit and whose warehouse can take
//! it decides. A line for which none does is a problem, never a default: the last route may be one
//! without conditions, if a person wants it so.

pub mod dry_run;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    id::{ExternalId, FlowName, Sku},
    pick::Goods,
    problem::Problem,
    records::Order,
};

/// What a route decides about at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RouteBy {
    /// The whole order goes to one warehouse, or the route does not fit.
    #[default]
    Order,
    /// Each line by itself.
    Line,
}

/// One route. A condition that is empty always fits.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// What people call it.
    pub name: String,
    /// The flows of the warehouses that may take it, the preferred first.
    pub to: Vec<FlowName>,
    /// Whole orders or single lines.
    pub by: RouteBy,
    /// Whether the warehouse must have the units free.
    pub in_stock: bool,
    /// Ids or names of markets.
    pub markets: Vec<String>,
    /// Destination countries, ISO 3166-1 alpha-2.
    pub countries: Vec<String>,
    /// Ids or names of shipping methods.
    pub methods: Vec<String>,
    /// SKUs; one that ends in `*` stands for all that begin so. All lines of an order must fit.
    pub skus: Vec<String>,
    /// Collections, folders or categories. All lines of an order must fit.
    pub collections: Vec<String>,
}

/// Where one line goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Routed {
    /// The line.
    pub line: ExternalId,
    /// Who ships it.
    pub flow: FlowName,
    /// By which route.
    pub route: String,
}

/// Units of an item that a warehouse has free; none where nobody knows.
pub type Free<'a> = dyn Fn(&FlowName, &Sku) -> Option<i64> + 'a;

fn one_of(values: &[String], candidates: &[&str]) -> bool {
    values.is_empty() || values.iter().any(|value| candidates.iter().any(|c| c.eq_ignore_ascii_case(value)))
}

fn sku_fits(patterns: &[String], sku: &Sku) -> bool {
    let fits = |pattern: &String| match pattern.strip_suffix('*') {
        Some(prefix) => sku.as_str().starts_with(prefix),
        None => sku.as_str() == pattern,
    };
    patterns.is_empty() || patterns.iter().any(fits)
}

impl Route {
    fn fits_order(&self, order: &Order) -> bool {
        let country = order.shipping.as_ref().and_then(|address| address.country.as_deref()).unwrap_or_default();
        let method = order.shipping_method.as_ref().map(|method| [method.id.as_str(), method.name.as_str()]);
        one_of(&self.markets, &[&order.market.id, &order.market.name])
            && one_of(&self.countries, &[country])
            && one_of(&self.methods, method.as_ref().map(|names| names.as_slice()).unwrap_or_default())
    }

    fn fits_line(&self, sku: &Sku, goods: &Goods) -> bool {
        let collections = goods.get(sku).map(|good| good.collections.iter().map(String::as_str).collect::<Vec<_>>());
        sku_fits(&self.skus, sku) && one_of(&self.collections, collections.as_deref().unwrap_or_default())
    }
}

/// Whether a line, or an order of which no line is known yet, could be given to a flow by these routes, whatever the shelves hold.
pub fn may_go(order: &Order, sku: Option<&Sku>, routes: &[Route], flow: &FlowName, goods: &Goods) -> bool {
    if routes.is_empty() {
        return true;
    }
    for route in routes.iter().filter(|route| route.fits_order(order)) {
        match sku {
            Some(sku) if !route.fits_line(sku, goods) => continue,
            _ => {}
        }
        // Without a look at the shelves the first warehouse gets it.
        let takes = if route.in_stock { route.to.contains(flow) } else { route.to.first() == Some(flow) };
        if takes {
            return true;
        }
        let narrow = !route.skus.is_empty() || !route.collections.is_empty();
        if !route.in_stock && !(narrow && (sku.is_none() || route.by == RouteBy::Order)) {
            return false;
        }
    }
    false
}

/// Routes the lines of a pick order that nobody has been given yet. `taken` are those that somebody
/// has: they stay where they are, and what they need is not free for others.
///
/// # Errors
/// The lines for which no route fits.
pub fn route(
    order: &Order,
    routes: &[Route],
    taken: &BTreeMap<ExternalId, FlowName>,
    goods: &Goods,
    free: &Free<'_>,
) -> Result<Vec<Routed>, Vec<Problem>> {
    let mut left: BTreeMap<(FlowName, Sku), i64> = BTreeMap::new();
    let mut open: Vec<&crate::records::OrderLine> = order.lines.iter().filter(|line| !taken.contains_key(&line.id)).collect();
    let mut routed = Vec::new();
    let enough = |left: &BTreeMap<(FlowName, Sku), i64>, flow: &FlowName, lines: &[&crate::records::OrderLine]| {
        let mut need: BTreeMap<&Sku, i64> = BTreeMap::new();
        for line in lines {
            *need.entry(&line.sku).or_default() += i64::from(line.quantity);
        }
        need.into_iter().all(|(sku, units)| {
            let there = left.get(&(flow.clone(), sku.clone())).copied().or_else(|| free(flow, sku)).unwrap_or(0);
            there >= units
        })
    };
    for route in routes {
        if open.is_empty() || !route.fits_order(order) {
            continue;
        }
        let groups: Vec<Vec<&crate::records::OrderLine>> = match route.by {
            RouteBy::Order if open.iter().all(|line| route.fits_line(&line.sku, goods)) => vec![open.clone()],
            RouteBy::Order => Vec::new(),
            RouteBy::Line => open.iter().filter(|line| route.fits_line(&line.sku, goods)).map(|line| vec![*line]).collect(),
        };
        for group in groups {
            let Some(flow) = route.to.iter().find(|flow| !route.in_stock || enough(&left, flow, &group)) else { continue };
            for line in group {
                if route.in_stock {
                    let key = (flow.clone(), line.sku.clone());
                    let there = left.get(&key).copied().or_else(|| free(flow, &line.sku)).unwrap_or(0);
                    left.insert(key, there.saturating_sub(i64::from(line.quantity)));
                }
                open.retain(|other| other.id != line.id);
                routed.push(Routed { line: line.id.clone(), flow: flow.clone(), route: route.name.clone() });
            }
        }
    }
    if open.is_empty() {
        return Ok(routed);
    }
    let country = order.shipping.as_ref().and_then(|address| address.country.as_deref()).unwrap_or("no country");
    let skus: Vec<&str> = open.iter().map(|line| line.sku.as_str()).take(5).collect();
    Err(vec![
        Problem::new(
            "route.none",
            "lines",
            format!(
                "no route says who ships {} of order {} (market {}, to {country}){}",
                skus.join(", "),
                order.number,
                order.market.name,
                if routes.iter().any(|route| route.in_stock) { ", or those that do have too few units free" } else { "" }
            ),
            "Add or mend a route in the config (try it first: selvedge routes dry-run), then release what waits.",
        )
        .value(format!("market {}, {country}", order.market.id))
        .cause(format!("market={},country={country}", order.market.id)),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        pick::Good,
        samples::{line, order},
    };

    fn flow(name: &str) -> FlowName {
        FlowName::new(name)
    }

    fn to(name: &str, flows: &[&str]) -> Route {
        Route { name: name.into(), to: flows.iter().map(|name| flow(name)).collect(), ..Route::default() }
    }

    fn routed(routes: &[Route], taken: &[(&str, &str)], free: &[(&str, &str, i64)]) -> Result<Vec<(String, String)>, String> {
        let pick = order(vec![line("1", "TEE-1", 2, 100), line("2", "BAG", 1, 100)]);
        let taken = taken.iter().map(|(line, name)| (ExternalId::new(*line), flow(name))).collect();
        let goods = Goods::from([(Sku::new("BAG"), Good { collections: vec!["Accessories".into()], ..Good::default() })]);
        let units = |name: &FlowName, sku: &Sku| {
            free.iter().find(|(known, item, _)| name.as_str() == *known && sku.as_str() == *item).map(|(.., units)| *units)
        };
        match route(&pick, routes, &taken, &goods, &units) {
            Ok(routed) => Ok(routed.into_iter().map(|one| (one.line.to_string(), one.flow.to_string())).collect()),
            Err(problems) => Err(problems[0].cause.clone()),
        }
    }

    fn all(name: &str) -> Vec<(String, String)> {
        vec![("1".into(), name.into()), ("2".into(), name.into())]
    }

    #[test]
    fn the_first_route_that_fits_decides_and_none_is_a_problem() {
        let north = Route { countries: vec!["SE".into(), "NO".into()], ..to("north", &["a"]) };
        let rest = to("rest", &["b"]);
        assert_eq!(routed(&[north.clone(), rest.clone()], &[], &[]), Ok(all("a")));
        let south = Route { countries: vec!["ES".into()], ..to("south", &["c"]) };
        assert_eq!(routed(&[south.clone(), rest], &[], &[]), Ok(all("b")));
        assert_eq!(routed(&[south], &[], &[]), Err("route.none:market=1,country=SE".into()));
        let named = Route { markets: vec!["sweden".into()], methods: vec!["Standard".into()], ..to("named", &["d"]) };
        assert_eq!(routed(&[named], &[], &[]), Ok(all("d")));
    }

    #[test]
    fn an_order_goes_whole_or_line_by_line() {
        let bags = Route { collections: vec!["accessories".into()], by: RouteBy::Line, ..to("bags", &["b"]) };
        let tees = Route { skus: vec!["TEE*".into()], ..to("tees", &["a"]) };
        // What is left after the bags are gone is nothing but tees.
        let both = vec![("2".to_owned(), "b".to_owned()), ("1".to_owned(), "a".to_owned())];
        assert_eq!(routed(&[bags, tees.clone()], &[], &[]), Ok(both));
        assert!(routed(&[tees], &[], &[]).is_err(), "the bag keeps the order from going whole");
    }

    #[test]
    fn what_is_not_there_goes_elsewhere_and_what_nobody_knows_is_not_there() {
        let stocked = Route { in_stock: true, ..to("stocked", &["a", "b"]) };
        let free = [("a", "TEE-1", 1), ("a", "BAG", 9), ("b", "TEE-1", 2), ("b", "BAG", 1)];
        assert_eq!(routed(std::slice::from_ref(&stocked), &[], &free), Ok(all("b")));
        assert!(routed(std::slice::from_ref(&stocked), &[], &free[..2]).is_err());
        let by_line = Route { by: RouteBy::Line, ..stocked };
        let split = vec![("1".to_owned(), "b".to_owned()), ("2".to_owned(), "a".to_owned())];
        assert_eq!(routed(&[by_line], &[], &free), Ok(split));
    }

    #[test]
    fn what_may_come_to_a_warehouse_is_told_without_its_shelves() {
        let pick = order(vec![line("1", "TEE-1", 2, 100), line("2", "BAG", 1, 100)]);
        let may = |routes: &[Route], sku: Option<&str>, name: &str| {
            may_go(&pick, sku.map(Sku::new).as_ref(), routes, &flow(name), &Goods::new())
        };
        assert!(may(&[], Some("BAG"), "a"), "one warehouse gets everything");
        let stocked = Route { in_stock: true, ..to("stocked", &["a", "b"]) };
        let rest = to("rest", &["c", "a"]);
        let both = [stocked, rest];
        for (name, takes) in [("a", true), ("b", true), ("c", true), ("d", false)] {
            assert_eq!(may(&both, Some("BAG"), name), takes, "{name}");
        }
        assert!(!may(&both[1..], Some("BAG"), "a"), "the first warehouse of a route gets it");
        let bags = Route { skus: vec!["BAG".into()], by: RouteBy::Line, ..to("bags", &["b"]) };
        let routes = [bags.clone(), to("rest", &["c"])];
        assert!(may(&routes, Some("BAG"), "b") && !may(&routes, Some("BAG"), "c"));
        assert!(may(&routes, Some("TEE-1"), "c") && !may(&routes, Some("TEE-1"), "b"));
        assert!(may(&routes, None, "b") && may(&routes, None, "c"));
        // By order, a bag beside a shirt goes on to the next route.
        let routes = [Route { by: RouteBy::Order, ..bags }, to("rest", &["c"])];
        assert!(may(&routes, Some("BAG"), "b") && may(&routes, Some("BAG"), "c"));
        let abroad = [Route { countries: vec!["DE".into()], ..to("abroad", &["d"]) }];
        assert!(!may(&abroad, None, "d"));
    }

    #[test]
    fn what_was_decided_stays() {
        assert_eq!(routed(&[to("rest", &["b"])], &[("1", "a")], &[]), Ok(vec![("2".into(), "b".into())]));
        assert_eq!(routed(&[], &[("1", "a"), ("2", "a")], &[]), Ok(vec![]));
    }
}
