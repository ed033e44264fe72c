//! `[reconcile]`: which two ends must agree, how often that is looked at, and what is tolerated.
//!
//! With flows nothing has to be written: what they move between two ends is what must agree. A pair of its own is for ends that
//! somebody else's integration keeps in step.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use schemars::JsonSchema;
use selvedge_flow::reconcile::PairSetup;
use selvedge_model::{ConnectionName, Currency, FlowName, Kind, LocationId, reconcile::Tolerance};
use serde::{Deserialize, Serialize};

use super::{Config, FlowKind, FlowMode, words::Pace, words::Span};

/// Which two ends must agree, how often that is looked at, and what is tolerated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ReconcileSettings {
    /// How often both ends are read whole: 24h, or "off". Default: 24h.
    pub every: Pace,
    /// How far back that looks. Default: 7d.
    pub back: Span,
    /// How often it is looked at far back: announced returns, preorders and credits for old sales are judged then, and what was red
    /// long ago and agrees now is closed. 7d, or "off". Default: 7d.
    pub far_every: Pace,
    /// How far back that reaches. Default: 90d.
    pub far_back: Span,
    /// How far before and after it partners are looked for. Default: 2d.
    pub around: Span,
    /// How long something may be on its way before it is missing. Default: 1h.
    pub allowance: Span,
    /// How long after the source's document the target's may come to be before it is late. Default: 6h.
    pub late_after: Span,
    /// What is no difference, in minor units per currency: { EUR = 1 }. Default: {}, every cent counts.
    #[schemars(with = "BTreeMap<String, i64>")]
    pub tolerance: BTreeMap<Currency, i64>,
    /// Markets (ids or names) that are nobody's business here. Default: [].
    pub exclude_markets: Vec<String>,
    /// Two ends that somebody else keeps in step, by a name of your choice: [reconcile.pairs.books]. What the flows move is compared without.
    #[schemars(extend("propertyNames" = { "pattern": "^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$" }))]
    pub pairs: BTreeMap<String, PairSettings>,
}

impl Default for ReconcileSettings {
    fn default() -> Self {
        const DAY: u64 = 86_400;
        Self {
            every: Pace(Some(Duration::from_secs(DAY))),
            back: Span::seconds(7 * DAY),
            far_every: Pace(Some(Duration::from_secs(7 * DAY))),
            far_back: Span::seconds(90 * DAY),
            around: Span::seconds(2 * DAY),
            allowance: Span::seconds(3_600),
            late_after: Span::seconds(6 * 3_600),
            tolerance: BTreeMap::new(),
            exclude_markets: Vec::new(),
            pairs: BTreeMap::new(),
        }
    }
}

/// What is compared between two ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PairKind {
    /// Orders against the documents that they became.
    Order,
    /// What left a warehouse.
    Shipment,
    /// Goods that come back.
    Return,
    /// What was given back in money.
    CreditNote,
    /// The transactions by which money went back.
    Refund,
    /// What can be sold.
    Stock,
    /// What is sold at all.
    Product,
}

impl PairKind {
    const fn kind(self) -> Kind {
        match self {
            PairKind::Order => Kind::Order,
            PairKind::Shipment => Kind::Shipment,
            PairKind::Return => Kind::Return,
            PairKind::CreditNote => Kind::CreditNote,
            PairKind::Refund => Kind::Refund,
            PairKind::Stock => Kind::Stock,
            PairKind::Product => Kind::Product,
        }
    }
}

/// Two ends that somebody else keeps in step.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PairSettings {
    /// The connections whose records they are: ["shop"], or every warehouse that ships for it.
    pub from: Vec<String>,
    /// The connection in which they have to stand.
    pub to: String,
    /// What is compared: ["order", "credit_note", "refund", "return", "shipment", "stock", "product"].
    pub kinds: Vec<PairKind>,
    /// Where stock is compared: which place of the source feeds which warehouse of the target, as { "1" = "10" }.
    pub places: BTreeMap<String, String>,
    /// Whether a buffer is kept back, so that less may be shown than there is. Default: false.
    pub buffered: bool,
}

impl ReconcileSettings {
    /// What is wrong: the setting, what, and what to do.
    pub fn faults(&self, declared: &[String]) -> Vec<(String, String, String)> {
        let mut faults = Vec::new();
        for (name, pair) in &self.pairs {
            let mut wrong = |setting: &str, message: String, remedy: &str| {
                faults.push((format!("pairs.{name}.{setting}"), message, remedy.to_owned()));
            };
            if pair.from.is_empty() {
                wrong(
                    "from",
                    "names no connection".to_owned(),
                    "Name the connections whose records they are: from = [\"shop\"].",
                );
            }
            if pair.kinds.is_empty() {
                wrong("kinds", "names nothing to compare".to_owned(), "Write what is compared: kinds = [\"order\"].");
            }
            for one in pair.from.iter().chain([&pair.to]).filter(|one| !declared.contains(one)) {
                let setting = if *one == pair.to { "to" } else { "from" };
                wrong(setting, format!("there is no connection {one:?}"), "Add it as [connections.NAME].");
            }
            if pair.from.contains(&pair.to) {
                wrong("to", "a pair has two different ends".to_owned(), "Name two different connections.");
            }
            if pair.kinds.contains(&PairKind::Stock) && pair.places.is_empty() {
                wrong(
                    "places",
                    "stock is compared place by place".to_owned(),
                    "Write which place feeds which: places = { \"1\" = \"10\" }.",
                );
            }
        }
        if let Some((currency, minor)) = self.tolerance.iter().find(|(_, minor)| !(0..=1_000).contains(*minor)) {
            faults.push((
                format!("tolerance.{currency}"),
                format!("{minor} minor units are no tolerance"),
                "Write a whole number from 0 to 1000.".to_owned(),
            ));
        }
        faults
    }
}

/// Where records of one kind come from that stand at one target, and the flows that bring them.
#[derive(Default)]
struct Ends<'a> {
    sources: BTreeSet<&'a str>,
    flows: Vec<FlowName>,
}

impl Config {
    /// Everything that must agree: what the flows move, and the pairs that are named.
    pub fn pairs(&self) -> Vec<PairSetup> {
        let mut pairs: Vec<PairSetup> = Vec::new();
        let mut ends: BTreeMap<(Kind, &str), Ends<'_>> = BTreeMap::new();
        for (name, flow) in &self.flows {
            let picks = |end: &str| self.connections.get(&ConnectionName::new(end)).is_some_and(|c| c.connector.picks());
            // A warehouse holds its part of an order, taken apart; its shipments tell what became of it.
            if picks(&flow.to) && flow.kind != FlowKind::Product || flow.mode == FlowMode::Off {
                continue;
            }
            let Ends { sources, flows } = ends.entry((flow.kind.kind(), &flow.to)).or_default();
            sources.insert(&flow.from);
            // Beside somebody else's integration the ledger knows nothing of what stands there.
            if flow.mode == FlowMode::Live {
                flows.push(name.clone());
            }
        }
        for ((kind, to), Ends { sources, flows }) in ends {
            let sources: Vec<ConnectionName> = sources.into_iter().map(ConnectionName::new).collect();
            let to = ConnectionName::new(to);
            let own = self.flows.values().any(|flow| flow.kind.kind() == kind && flow.from == to.as_str());
            let known = pairs.iter().position(|pair| pair.sources == sources && pair.target == to);
            let at = known.unwrap_or_else(|| {
                pairs.push(self.pair(name_of(&sources, &to), sources, to));
                pairs.len() - 1
            });
            if let Some(pair) = pairs.get_mut(at) {
                pair.kinds.push(kind);
                pair.flows.extend(flows.into_iter().map(|flow| (kind, flow)));
                if own {
                    pair.shared.push(kind);
                }
            }
        }
        for (name, stock) in &self.stocks {
            let (sources, to) = (vec![ConnectionName::new(&stock.from)], ConnectionName::new(&stock.to));
            let pair = PairSetup {
                kinds: vec![Kind::Stock],
                places: stock.setup(name).places,
                // Without a word of it a buffer is kept by how quickly an item sells.
                buffered: true,
                stock_flow: Some(name.clone()),
                ..self.pair(format!("stock-{name}"), sources, to)
            };
            pairs.push(pair);
        }
        for (name, named) in &self.reconcile.pairs {
            let sources = named.from.iter().map(ConnectionName::new).collect();
            let place = |(from, to): (&String, &String)| (LocationId::new(from.trim()), LocationId::new(to.trim()));
            pairs.push(PairSetup {
                kinds: named.kinds.iter().map(|kind| kind.kind()).collect(),
                places: named.places.iter().map(place).collect(),
                buffered: named.buffered,
                ..self.pair(name.clone(), sources, ConnectionName::new(&named.to))
            });
        }
        pairs
    }

    fn pair(&self, name: String, sources: Vec<ConnectionName>, target: ConnectionName) -> PairSetup {
        let settings = &self.reconcile;
        let parts_only = self.connections.get(&target).is_some_and(|to| to.connector.picks());
        PairSetup {
            name,
            sources,
            target,
            kinds: Vec::new(),
            places: BTreeMap::new(),
            shared: Vec::new(),
            stock_flow: None,
            parts_only,
            buffered: false,
            every: settings.every.0,
            back: settings.back.0,
            far_every: settings.far_every.0,
            far_back: settings.far_back.0,
            around: settings.around.0,
            tolerance: Tolerance(settings.tolerance.clone()),
            allowance: settings.allowance.0,
            late_after: settings.late_after.0,
            exclude_markets: settings.exclude_markets.clone(),
            flows: Vec::new(),
        }
    }
}

fn name_of(sources: &[ConnectionName], to: &ConnectionName) -> String {
    let sources: Vec<&str> = sources.iter().map(ConnectionName::as_str).collect();
    format!("{}-{to}", sources.join("-"))
}
