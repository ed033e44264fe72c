//! Hands in the account that no script, queue or page tells of: what a person, an import or another integration does.
//!
//! Whatever changes a document moves its date of change, a deletion leaves nothing. What a document asks of the shelves is made up for
//! by a count, told to nobody, so that one wrongness does not become a second one in the stock.

mod documents;
mod papers;
mod taxes;

use std::collections::{BTreeSet, HashMap};
use std::sync::MutexGuard;

use jiff::Timestamp;

use super::fixed::Fixed;
use super::fulfilments::plain;
use super::state::{Kind, Movement, State, Tran};
use super::stock::place;
use super::{Level, NetSuite, shelf};
use crate::wrong::Done;

pub(crate) use taxes::Policy;

/// What a sale's method goes by: subsidiary, currency, and the method itself.
pub(crate) type Way = (u32, u32, u32);

/// The account, held by whoever does something behind its back.
pub(crate) struct Behind<'a> {
    state: MutexGuard<'a, State>,
    now: Timestamp,
    /// Sales by the number of their order.
    sales: HashMap<String, Vec<u32>>,
    /// Return authorizations and credit memos by the number of the order.
    backs: HashMap<String, Vec<u32>>,
}

impl NetSuite {
    /// Takes hold of the account: nobody else is served until this is dropped.
    pub(crate) fn behind(&self) -> Behind<'_> {
        let state = self.account.settled();
        let (mut sales, mut backs) = (HashMap::<String, Vec<u32>>::new(), HashMap::<String, Vec<u32>>::new());
        for tran in state.trans.values() {
            let by_number = if tran.kind.is_sale() { &mut sales } else { &mut backs };
            if let Some(number) = number_of(&state, tran) {
                by_number.entry(number).or_default().push(tran.id);
            }
        }
        Behind { state, now: self.account.mischief.now(), sales, backs }
    }
}

/// The number of the order that a document is about.
fn number_of(state: &State, tran: &Tran) -> Option<String> {
    if tran.kind.is_sale() {
        return order_number(tran);
    }
    // A memo is made from an authorization, and that from a sale; both may stand alone.
    let mut from = state.trans.get(&tran.from());
    if let Some(authorization) = from.filter(|tran| tran.kind == Kind::Return && tran.from() != 0) {
        from = state.trans.get(&authorization.from());
    }
    if let Some(number) = from.filter(|tran| tran.kind.is_sale()).and_then(|tran| order_number(tran)) {
        return Some(number);
    }
    let key = |tran: &Tran| {
        let bare = tran.external.as_deref().and_then(|id| id.strip_prefix("ra_").or_else(|| id.strip_prefix("cm_"))).map(plain);
        bare.or_else(|| tran.other_ref.as_deref().map(str::to_owned))
    };
    let key = from.and_then(|tran| key(tran)).or_else(|| key(tran))?;
    Some(key.split(['.', '-']).next().unwrap_or_default().to_owned())
}

fn order_number(tran: &Tran) -> Option<String> {
    let bare = tran.external.as_deref().and_then(|id| id.strip_prefix("so_").or_else(|| id.strip_prefix("cs_"))).map(plain);
    bare.or_else(|| tran.other_ref.as_deref().map(str::to_owned))
}

impl Behind<'_> {
    /// The one sale that stands for an order; `None` where there is none or more than one.
    fn sale(&self, number: &str) -> Option<&Tran> {
        let [id] = self.sales.get(number)?.as_slice() else { return None };
        self.state.trans.get(id).map(|tran| &**tran).filter(|tran| !tran.is_closed())
    }

    /// Whether one sale stands for an order.
    pub(crate) fn stands(&self, number: &str) -> bool {
        self.sale(number).is_some()
    }

    /// Whether anything of an order was taken back or credited.
    pub(crate) fn gave_back(&self, number: &str) -> bool {
        self.backs.contains_key(number)
    }

    /// By which way a sale is sent; `None` where it has no method.
    pub(crate) fn way(&self, number: &str) -> Option<Way> {
        self.sale(number).map(|tran| (tran.subsidiary, tran.currency, tran.ship_method)).filter(|(.., method)| *method != 0)
    }

    /// The figures of an item at a place, if it was ever kept there.
    pub(crate) fn level(&self, sku: &str, location: &str) -> Option<Level> {
        let (item, place) = shelf(&self.state, sku, location).ok()?;
        self.state.stock.get(item, place).map(|shelf| Level {
            on_hand: shelf.on_hand.units(),
            committed: shelf.committed().units(),
            back_ordered: shelf.back_ordered().units(),
            available: shelf.available().units(),
        })
    }

    /// What the exports do not tell of each document, one row each.
    #[cfg(test)]
    pub(crate) fn heads(&self) -> Vec<String> {
        let row = |tran: &Tran| {
            let number = number_of(&self.state, tran).unwrap_or_default();
            let lines: Vec<String> =
                tran.lines.iter().map(|line| format!("{}x{}", self.sku(line.item), line.quantity.text(0))).collect();
            let extra: Vec<&str> = tran.extra.iter().map(|extra| &*extra.json).collect();
            format!(
                "{number} {} {} {:?} {:?} {} {} {} {} {} {} {:?} {lines:?} {extra:?} {:?} {}",
                tran.id,
                tran.tran_id(),
                tran.external,
                tran.other_ref,
                tran.subsidiary,
                tran.currency,
                tran.date,
                tran.created,
                tran.ship_method,
                tran.location,
                tran.ship_to,
                tran.back,
                tran.status().1,
            )
        };
        self.state.trans.values().map(|tran| row(tran)).collect()
    }

    fn millis(&self) -> i64 {
        self.now.as_millisecond()
    }

    /// The shelves that a document asks something of.
    fn shelves_of(&self, tran: &Tran) -> BTreeSet<(u32, u32)> {
        let lines = tran.lines.iter().map(|line| (line.item, place(tran, line)));
        let gone = tran.shipped.iter().map(|gone| (gone.item, gone.location));
        let parts = |(item, place): (u32, u32)| self.state.stock.parts(item).into_iter().map(move |(part, _)| (part, place));
        lines.chain(gone).flat_map(parts).collect()
    }

    /// Does something, and lets the shelves be counted so that what is left on them is as before.
    fn quietly(
        &mut self,
        shelves: BTreeSet<(u32, u32)>,
        act: impl FnOnce(&mut State, i64) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let net = |state: &State, (item, place): (u32, u32)| state.stock.get(item, place).map(|shelf| shelf.net());
        let before: Vec<_> = shelves.into_iter().map(|key| (key, net(&self.state, key))).collect();
        let at = self.millis();
        act(&mut self.state, at)?;
        let moved = |((item, place), was): ((u32, u32), Option<Fixed>)| {
            let less = was?.minus(net(&self.state, (item, place))?)?.units();
            (less != 0).then_some((item, place, less))
        };
        let moves: Vec<(u32, u32, i64)> = before.into_iter().filter_map(moved).collect();
        if !moves.is_empty() {
            self.state.play(&Movement { at, event: None, why: "counted".to_owned(), moves, import: true })?;
        }
        self.state.stock.take_touched();
        Ok(())
    }

    /// Keeps a document that somebody changed now.
    fn put(&mut self, mut tran: Tran) -> anyhow::Result<()> {
        tran.modified = tran.modified.max(self.now.as_second());
        self.keep(tran)
    }

    /// Keeps a document with its dates.
    fn keep(&mut self, tran: Tran) -> anyhow::Result<()> {
        let mut shelves = self.shelves_of(&tran);
        if let Some(old) = self.state.trans.get(&tran.id) {
            shelves.extend(self.shelves_of(old));
        }
        self.quietly(shelves, |state, at| state.put_tran(Box::new(tran), at))
    }

    fn sku(&self, item: u32) -> String {
        self.state.stock.items.get(item).map_or_else(String::new, |item| item.sku.to_string())
    }

    fn done(&self, tran: &Tran, detail: String) -> Option<Done> {
        let record = match tran.kind {
            Kind::SalesOrder | Kind::CashSale => "order",
            Kind::Return => "return",
            Kind::Credit => "credit_note",
        };
        let key = tran.external.as_deref().map(str::to_owned);
        let id = Some(tran.id.to_string());
        Some(Done { system: "netsuite", record, key, id, detail: format!("{}: {detail}", tran.tran_id()), ..Done::default() })
    }
}
