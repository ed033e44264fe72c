//! `[[routes]]`: which warehouse ships which line.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use selvedge_model::{
    FlowName,
    routing::{Route, RouteBy},
};
use serde::{Deserialize, Serialize};

use super::{Config, ConfigProblem, FlowKind, Level};

/// What a route decides about at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum By {
    /// The whole order goes to one warehouse, or the route does not fit.
    #[default]
    Order,
    /// Each line by itself.
    Line,
}

/// One route. Routes are tried in the order of the file; the first that fits decides. A condition that is left out always fits.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RouteSettings {
    /// What people call it: it stands in the story of each order.
    pub name: String,
    /// The flows of orders that may take it, the preferred first: ["to_berlin", "to_london"].
    pub to: Vec<String>,
    /// What it decides about at once: order (all of it to one warehouse) or line (each by itself). Default: order.
    pub by: By,
    /// Whether the warehouse must have the units free, as the stock flow from it knows. Default: false.
    pub in_stock: bool,
    /// Ids or names of markets.
    pub markets: Vec<String>,
    /// Destination countries, as ["SE", "NO"].
    pub countries: Vec<String>,
    /// Ids or names of shipping methods.
    pub methods: Vec<String>,
    /// SKUs; one that ends in * stands for all that begin so. All lines that are decided at once must fit.
    pub skus: Vec<String>,
    /// Collections, folders or categories. All lines that are decided at once must fit.
    pub collections: Vec<String>,
}

impl From<&RouteSettings> for Route {
    fn from(settings: &RouteSettings) -> Self {
        Self {
            name: settings.name.clone(),
            to: settings.to.iter().map(FlowName::new).collect(),
            by: match settings.by {
                By::Order => RouteBy::Order,
                By::Line => RouteBy::Line,
            },
            in_stock: settings.in_stock,
            markets: settings.markets.clone(),
            countries: settings.countries.clone(),
            methods: settings.methods.clone(),
            skus: settings.skus.clone(),
            collections: settings.collections.clone(),
        }
    }
}

impl Config {
    /// The routes as the engine takes them.
    pub fn routing(&self) -> Vec<Route> {
        self.routes.iter().map(Route::from).collect()
    }

    /// The flows that bring orders to warehouses.
    pub fn pick_flows(&self) -> impl Iterator<Item = &FlowName> {
        self.flows.iter().filter(|(_, flow)| self.is_pick(flow)).map(|(name, _)| name)
    }

    /// The stock flow that reads each warehouse's shelves, by the flow that brings it orders.
    pub fn shelves(&self) -> BTreeMap<FlowName, FlowName> {
        let stock_of = |to: &str| self.stocks.iter().find(|(_, stock)| stock.from == to).map(|(name, _)| name.clone());
        let flows = self.flows.iter().filter(|(_, flow)| self.is_pick(flow));
        flows.filter_map(|(name, flow)| Some((name.clone(), stock_of(&flow.to)?))).collect()
    }

    /// What is wrong with the routes.
    pub fn route_problems(&self) -> Vec<ConfigProblem> {
        let mut problems = Vec::new();
        let warehouses: Vec<&FlowName> = self.pick_flows().collect();
        for (index, route) in self.routes.iter().enumerate() {
            let path = |field: &str| format!("routes[{index}].{field}");
            if route.name.trim().is_empty() {
                problems.push(self.problem(Level::Bad, path("name"), "a route needs a name", "Say in a word what it is for."));
            }
            if route.to.is_empty() {
                let remedy = "Name the flow of orders to the warehouse: to = [\"to_berlin\"].";
                problems.push(self.problem(Level::Bad, path("to"), "the route leads nowhere", remedy));
            }
            for to in &route.to {
                match self.flows.get(&FlowName::new(to)) {
                    None => {
                        let remedy = "Name a flow of orders to a warehouse.";
                        problems.push(self.problem(Level::Bad, path("to"), format!("there is no flow {to}"), remedy));
                    }
                    Some(flow) if flow.kind != FlowKind::Order || !self.is_pick(flow) => {
                        let message = format!("{to} does not bring orders to a warehouse");
                        problems.push(self.problem(Level::Bad, path("to"), message, "Name a flow of orders to a warehouse."));
                    }
                    Some(flow) if route.in_stock && !self.stocks.values().any(|stock| stock.from == flow.to) => {
                        problems.push(self.problem(
                            Level::Bad,
                            path("in_stock"),
                            format!("no stock flow reads the shelves of {}, so nothing is ever known to be free there", flow.to),
                            "Add a stock flow from it, or leave in_stock out.",
                        ));
                    }
                    Some(_) => {}
                }
            }
        }
        if self.routes.is_empty() && warehouses.len() > 1 {
            let names: Vec<&str> = warehouses.iter().map(|name| name.as_str()).collect();
            problems.push(self.problem(
                Level::Bad,
                "routes",
                format!("{} would each get every order whole", names.join(", ")),
                "Say who ships what: [[routes]] with a name, to = [\"FLOW\"] and conditions.",
            ));
        }
        problems
    }
}
