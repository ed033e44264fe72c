//! Documents that stand as if somebody had entered them rightly, day by day: a sale with what left, came back and was paid back.
//!
//! They are put straight into the account. Nobody calls, so nothing is checked but that everything that they name is there.

use std::collections::{HashMap, HashSet};

use anyhow::Context;
use jiff::civil::Date;

use super::NetSuite;
use super::fixed::Fixed;
use super::records::ADDRESS;
use super::seed;
use super::state::{
    Arrived, Back, Extra, Fulfilment, Gone, Kind, Line, Package, Paper, SHIPPING, ShipStatus, State, TaxLine, Tran, What,
};
use super::stock::place;

/// What separates the fields of a kept address; the country comes last.
const JOINT: &str = "\u{1f}";

/// An amount without tax, and its tax, in mills.
pub(crate) type Side = (i64, i64);

/// What a line is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Goods,
    Handling,
    Discount,
}

/// One line.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) part: Part,
    /// The shop's id of its line; 0 for what has none.
    pub(crate) line: i32,
    pub(crate) sku: String,
    pub(crate) name: String,
    pub(crate) units: i64,
    /// Below nought for what is taken off.
    pub(crate) amount: Side,
    /// In thousandths of a percent.
    pub(crate) rate: i64,
}

/// An address: the fields of [`ADDRESS`] in their order, and the country.
#[derive(Clone, Debug, Default)]
pub(crate) struct Place {
    pub(crate) fields: [String; ADDRESS.len()],
    pub(crate) country: String,
}

/// A sale.
#[derive(Clone, Debug)]
pub(crate) struct Document {
    pub(crate) number: String,
    pub(crate) external: Option<String>,
    pub(crate) currency: &'static str,
    /// Place in the list of methods.
    pub(crate) method: usize,
    pub(crate) date: Date,
    /// Seconds since 1970.
    pub(crate) created: i64,
    pub(crate) entries: Vec<Entry>,
    pub(crate) shipping: Side,
    /// Of shipping, in thousandths of a percent.
    pub(crate) rate: i64,
    pub(crate) ship_to: Place,
    pub(crate) bill_to: Place,
    pub(crate) email: Option<String>,
    pub(crate) memo: Option<String>,
}

/// What left with one parcel.
#[derive(Clone, Debug)]
pub(crate) struct Parcel {
    pub(crate) external: Option<String>,
    /// (the shop's id of its line, units).
    pub(crate) lines: Vec<(i32, i64)>,
    pub(crate) tracking: String,
    pub(crate) date: Date,
    pub(crate) created: i64,
}

/// What came back, as it is received.
#[derive(Clone, Debug)]
pub(crate) struct Receipt {
    pub(crate) external: Option<String>,
    /// The number of the return.
    pub(crate) number: String,
}

/// A return with its credit.
#[derive(Clone, Debug)]
pub(crate) struct Credit {
    pub(crate) receipt: Receipt,
    pub(crate) external: Option<String>,
    /// The number of the credit.
    pub(crate) number: String,
    pub(crate) entries: Vec<Entry>,
    pub(crate) shipping: Side,
    pub(crate) date: Date,
    pub(crate) created: i64,
    /// Money that went back: mills and words.
    pub(crate) paid: Vec<(i64, String)>,
}

/// A sale with all that belongs to it.
#[derive(Clone, Debug)]
pub(crate) struct Standing {
    pub(crate) sale: Document,
    pub(crate) parcels: Vec<Parcel>,
    pub(crate) credits: Vec<Credit>,
}

fn kept(place: &Place) -> Box<str> {
    let mut kept: Vec<String> = place.fields.iter().map(|field| field.replace(JOINT, " ")).collect();
    kept.push(place.country.clone());
    kept.join(JOINT).into()
}

fn id(text: &str) -> u32 {
    text.parse().unwrap_or(0)
}

fn tax_line(line: u32, reference: super::state::Sym, country: &str, rate: i64, (net, tax): Side) -> Option<TaxLine> {
    let code = id(&seed::tax_code_id(country, &crate::data::mills_text(rate)));
    let (basis, amount) = (Fixed::mills(net), Fixed::mills(tax));
    (rate != 0 && (net != 0 || tax != 0)).then(|| TaxLine { line, reference, code, basis, rate: Fixed::mills(rate), amount })
}

/// Fills lines and taxes.
fn fill(state: &mut State, tran: &mut Tran, entries: &[Entry], country: &str, shipping: Side, rate: i64) -> anyhow::Result<()> {
    let ids = seed::seed_ids();
    for entry in entries {
        let item = match entry.part {
            Part::Handling => id(&ids.handling_item),
            Part::Discount => id(&ids.discount_item),
            Part::Goods => {
                let found = state.stock.items.by_sku(&entry.sku).map(|item| item.id);
                found.with_context(|| {
                    format!("order {}: there is no item {}", tran.other_ref.as_deref().unwrap_or("?"), entry.sku)
                })?
            }
        };
        tran.last_line = match tran.last_line {
            0 => 1,
            last if tran.kind.is_sparse() => last + 3,
            last => last + 1,
        };
        let quantity = if entry.part == Part::Discount { Fixed::whole(1) } else { Fixed::whole(entry.units) };
        let amount = Fixed::mills(entry.amount.0);
        let reference = state.symbols.put(&tran.lines.len().saturating_add(1).to_string());
        let line = Line {
            number: tran.last_line,
            item,
            quantity,
            rate: amount.over(quantity).unwrap_or_default(),
            amount,
            reference,
            description: state.symbols.put(&entry.name),
            custom: true,
            ..Line::default()
        };
        tran.taxes.extend(tax_line(line.number, reference, country, entry.rate, entry.amount));
        tran.lines.push(line);
    }
    tran.shipping = Fixed::mills(shipping.0);
    let reference = state.symbols.put("SHIPPING");
    tran.taxes.extend(tax_line(SHIPPING, reference, country, rate, shipping));
    tran.tax_override = true;
    tran.approved = true;
    Ok(())
}

/// The subsidiary, location and customer that sales in a currency belong to.
fn belongs(currency: &str) -> (u32, u32, u32) {
    let ids = seed::seed_ids();
    let mut below = ids.subsidiaries.iter().skip(1);
    let subsidiary = below.clone().find(|(.., books)| books == currency).or_else(|| below.next()).map(|(id, ..)| id.clone());
    let subsidiary = subsidiary.unwrap_or_default();
    let location = ids.locations.iter().find(|(_, _, of)| *of == subsidiary).map_or(0, |(location, ..)| id(location));
    let guest = seed::guest_customer_id(&subsidiary, currency).map_or(0, |guest| id(&guest));
    (id(&subsidiary), location, guest)
}

impl NetSuite {
    /// The numbers of the orders that a sale stands for.
    pub(crate) fn standing(&self) -> HashSet<String> {
        let state = self.account.state();
        let sales = state.trans.values().filter(|tran| tran.kind.is_sale());
        let number = |tran: &super::state::Tran| {
            let key = tran.external.as_deref().and_then(|id| id.strip_prefix("so_")).map(super::fulfilments::plain);
            key.or_else(|| tran.other_ref.as_deref().map(str::to_owned))
        };
        sales.filter_map(|tran| number(tran)).collect()
    }

    /// Enters sales with what belongs to them. Errors when an item is not there, or the journal cannot be written.
    pub(crate) fn stand(&self, all: &[Standing]) -> anyhow::Result<()> {
        let mut state = self.account.settled();
        let now = self.account.mischief.now().as_millisecond();
        for one in all {
            enter(&mut state, one, now)?;
        }
        // Nobody wants to be told of past days.
        state.stock.take_touched();
        Ok(())
    }
}

fn enter(state: &mut State, one: &Standing, now: i64) -> anyhow::Result<()> {
    let Standing { sale, parcels, credits } = one;
    let mut tran = Tran::new(Kind::SalesOrder, sale.date, sale.created);
    tran.id = state.next_tran();
    tran.number = state.next_number(Kind::SalesOrder);
    tran.external = sale.external.as_deref().map(Into::into);
    tran.other_ref = Some(sale.number.as_str().into());
    (tran.subsidiary, tran.location, tran.entity) = belongs(sale.currency);
    tran.currency = seed::currency_by_symbol(sale.currency).map_or(0, |currency| currency.id);
    tran.ship_method = seed::SHIP_ITEMS.get(sale.method % seed::SHIP_ITEMS.len()).map_or(0, |(id, _)| *id);
    tran.ship_to = Some(kept(&sale.ship_to));
    tran.bill_to = Some(kept(&sale.bill_to));
    tran.memo = sale.memo.as_deref().map(Into::into);
    if let Some(email) = &sale.email {
        let json = serde_json::to_string(email)?.into();
        tran.extra.push(Extra { line: 0, name: state.symbols.put("email"), json });
    }
    fill(state, &mut tran, &sale.entries, &sale.ship_to.country, sale.shipping, sale.rate)?;
    // (line of the shop, line here, item), as the entries stand.
    let lines: HashMap<i32, (u32, u32)> = sale
        .entries
        .iter()
        .zip(&tran.lines)
        .filter(|(entry, _)| entry.line != 0)
        .map(|(e, l)| (e.line, (l.number, l.item)))
        .collect();
    let order = tran.clone();
    let last = parcels.iter().map(|parcel| parcel.created).max().unwrap_or(sale.created);
    tran.modified = last;
    state.put_tran(Box::new(tran), now)?;
    for parcel in parcels {
        leave(state, &order, parcel, &lines, now)?;
    }
    for credit in credits {
        come_back(state, &order, credit, &lines, sale.rate, &sale.ship_to.country, now)?;
    }
    Ok(())
}

fn leave(state: &mut State, order: &Tran, parcel: &Parcel, lines: &HashMap<i32, (u32, u32)>, now: i64) -> anyhow::Result<()> {
    let mut gone: Vec<Gone> = Vec::new();
    for (line, units) in &parcel.lines {
        let Some((order_line, item)) = lines.get(line).copied() else { continue };
        let number = u32::try_from(gone.len()).unwrap_or(0) + 1;
        let quantity = Fixed::whole(*units);
        let whole = Gone { number, order_line, item, quantity, location: order.location, member_of: 0 };
        gone.push(whole);
        let members = state.stock.items.members(item).iter().zip(number + 1..);
        gone.extend(members.map(|(member, at)| Gone {
            number: at,
            item: member.item,
            quantity: quantity.times(Fixed::whole(member.quantity), 8).unwrap_or_default(),
            member_of: number,
            ..whole
        }));
    }
    if gone.is_empty() {
        return Ok(());
    }
    let package = Package { tracking: parcel.tracking.as_str().into(), description: "".into(), weight: Fixed::whole(1) };
    let fulfilment = Fulfilment {
        id: state.next_tran(),
        number: state.next_fulfilment(),
        external: parcel.external.as_deref().map(Into::into),
        order: order.id,
        date: parcel.date,
        created: parcel.created,
        modified: parcel.created,
        status: ShipStatus::Shipped,
        memo: None,
        lines: gone,
        packages: vec![package],
    };
    state.put_fulfilment(Box::new(fulfilment), now)
}

fn come_back(
    state: &mut State,
    order: &Tran,
    credit: &Credit,
    lines: &HashMap<i32, (u32, u32)>,
    rate: i64,
    country: &str,
    now: i64,
) -> anyhow::Result<()> {
    let blank = |kind: Kind, created: i64| {
        let mut tran = Tran::new(kind, credit.date, created);
        (tran.entity, tran.subsidiary, tran.currency, tran.location) =
            (order.entity, order.subsidiary, order.currency, order.location);
        (tran.ship_to, tran.bill_to) = (order.ship_to.clone(), order.bill_to.clone());
        tran.approved = true;
        tran
    };
    let goods: Vec<&Entry> = credit.entries.iter().filter(|entry| entry.part == Part::Goods).collect();
    let mut authorization = blank(Kind::Return, credit.created);
    authorization.id = state.next_tran();
    authorization.number = state.next_number(Kind::Return);
    authorization.external = credit.receipt.external.as_deref().map(Into::into);
    authorization.other_ref = Some(credit.receipt.number.as_str().into());
    authorization.back = Some(Box::new(Back { from: order.id, ..Back::default() }));
    let mut arrived = Vec::new();
    for entry in &goods {
        let Some((source, item)) = lines.get(&entry.line).copied() else { continue };
        let Some(sold) = order.lines.iter().find(|line| line.number == source) else { continue };
        authorization.last_line = if authorization.last_line == 0 { 1 } else { authorization.last_line + 3 };
        let quantity = Fixed::whole(entry.units);
        let number = authorization.last_line;
        let amount = Fixed::mills(entry.amount.0);
        authorization.lines.push(Line { number, quantity, amount, source, closed: false, ..sold.clone() });
        arrived.push(Arrived {
            number: u32::try_from(arrived.len()).unwrap_or(0) + 1,
            order_line: number,
            item,
            quantity,
            location: place(order, sold),
            restock: true,
            parts: state.stock.parts(item),
        });
    }
    let (from, authorized) = (authorization.id, authorization.lines.clone());
    state.put_tran(Box::new(authorization), now)?;
    let paper = |state: &mut State, what: What, external: Option<Box<str>>, memo: Option<Box<str>>, created: i64| Paper {
        id: state.next_tran(),
        number: state.next_paper(),
        external,
        entity: order.entity,
        subsidiary: order.subsidiary,
        date: credit.date,
        created,
        modified: created,
        memo,
        what,
    };
    let receipt = paper(state, What::Receipt { from, lines: arrived }, None, None, credit.created + 60);
    state.put_paper(Box::new(receipt), now)?;
    let mut memo = blank(Kind::Credit, credit.created + 120);
    memo.id = state.next_tran();
    memo.number = state.next_number(Kind::Credit);
    memo.external = credit.external.as_deref().map(Into::into);
    memo.other_ref = Some(credit.number.as_str().into());
    memo.back = Some(Box::new(Back { from, ..Back::default() }));
    memo.ship_method = if credit.shipping == (0, 0) { 0 } else { order.ship_method };
    fill(state, &mut memo, &credit.entries, country, credit.shipping, rate)?;
    for (line, authorized) in memo.lines.iter_mut().zip(&authorized) {
        line.source = authorized.number;
    }
    let memo_id = memo.id;
    state.put_tran(Box::new(memo), now)?;
    for (amount, words) in &credit.paid {
        let account = id(&seed::seed_ids().refund_account);
        let applied = vec![(memo_id, Fixed::mills(*amount))];
        let what = What::Refund { currency: order.currency, account, option: 0, applied, voided: false };
        let refund = paper(state, what, None, Some(words.as_str().into()), credit.created + 180);
        state.put_paper(Box::new(refund), now)?;
    }
    Ok(())
}
