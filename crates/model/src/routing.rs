//! Routing: which warehouse ships which line.
//!
//! Routes are data, tried in their order; the first whose conditions fit and whose warehouse can take
//! it decides. A line for which none does is a problem, never a default: the last route may be one
//! without conditions, if a person wants it so.

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
            "Add or mend a route in the config (try it first: selvedge routes), then release what waits.",
        )
        .value(format!("market {}, {country}", order.market.id))
        .cause(format!("market={},country={country}", order.market.id)),
    ])
}
