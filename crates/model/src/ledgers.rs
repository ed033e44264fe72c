//! What each side says of one order: the money and the goods, row by row, and what explains a difference.
//!
//! The left column is what the sources tell. Beside it stands what was written at a target and read back there: a document that
//! is on its way, held or left out counts for nothing, and is named as the reason of the difference that it makes.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::Serialize;

use crate::{
    AnyRecord, ConnectionName, CreditNote, Currency, ExceptionId, Kind, Money, MoneyError, Order, RecordKey, Return,
    attribution::shippable,
    obligation::State,
    records::{
        Charge, CreditKind, CreditReason, CreditStatus, Disposition, OrderStatus, PaymentStatus, ReturnStatus, ShipmentStatus,
        Tender,
    },
};

/// One document, and where it stands at each target that is to have it.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    /// As its source tells it now.
    pub record: AnyRecord,
    /// Who tells it.
    pub from: ConnectionName,
    /// Target by target.
    pub at: Vec<Placed>,
}

/// A document at one target.
#[derive(Clone, Debug, PartialEq)]
pub struct Placed {
    /// The target.
    pub to: ConnectionName,
    /// What was last read back there and found equal to what was owed: the record as the gate made it ready.
    pub stands: Option<AnyRecord>,
    /// Where the newest revision is, while it is not what stands.
    pub open: Option<Open>,
}

/// Where a revision is that does not stand yet, or never will.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Open {
    /// Its state.
    pub state: State,
    /// The exception that holds it.
    pub exception: Option<ExceptionId>,
    /// Why it is left out or let go.
    pub note: Option<String>,
}

/// Who is on which side.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sides {
    /// Where the order comes from.
    pub shop: Option<ConnectionName>,
    /// The targets that keep amounts, and which kinds a flow brings there.
    pub books: BTreeMap<ConnectionName, BTreeSet<Kind>>,
    /// The others that tell of goods or are told of them, and the kinds.
    pub warehouses: BTreeMap<ConnectionName, BTreeSet<Kind>>,
    /// The kinds that the shop is told of.
    pub shop_takes: BTreeSet<Kind>,
}

/// A row of the money.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MoneyRow {
    /// What the order comes to with its tax, as it is wanted now; nothing once it is cancelled.
    Sold,
    /// Given back for units that were cancelled after their money had been taken. They are not in what is sold any more.
    Cancelled,
    /// Given back for goods and charges, before the fee and without what is given for no goods.
    Credited,
    /// Kept back for returns; zero or below.
    Fee,
    /// Given for no goods.
    Goodwill,
    /// Paid back by the payment provider; zero or below.
    RefundedPayment,
    /// Paid back onto gift cards; zero or below.
    RefundedGiftCard,
    /// Paid back as credit in the shop; zero or below.
    RefundedStoreCredit,
    /// What is given back and not paid back yet.
    Balance,
}

impl MoneyRow {
    /// All of them, in the order in which they are shown; the balance is the sum of all but the first.
    pub const ALL: [MoneyRow; 9] = [
        MoneyRow::Sold,
        MoneyRow::Cancelled,
        MoneyRow::Credited,
        MoneyRow::Fee,
        MoneyRow::Goodwill,
        MoneyRow::RefundedPayment,
        MoneyRow::RefundedGiftCard,
        MoneyRow::RefundedStoreCredit,
        MoneyRow::Balance,
    ];

    /// What people read.
    pub const fn title(self) -> &'static str {
        match self {
            MoneyRow::Sold => "Sold",
            MoneyRow::Cancelled => "Given back for cancelled units",
            MoneyRow::Credited => "Credited",
            MoneyRow::Fee => "Fee kept back",
            MoneyRow::Goodwill => "Goodwill",
            MoneyRow::RefundedPayment => "Paid back by the provider",
            MoneyRow::RefundedGiftCard => "Paid back onto gift cards",
            MoneyRow::RefundedStoreCredit => "Paid back as store credit",
            MoneyRow::Balance => "Still to be paid back",
        }
    }

    const fn of(tender: Tender) -> Self {
        match tender {
            Tender::Payment => MoneyRow::RefundedPayment,
            Tender::GiftCard => MoneyRow::RefundedGiftCard,
            Tender::StoreCredit => MoneyRow::RefundedStoreCredit,
        }
    }
}

/// A row of the goods. All are units.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum GoodsRow {
    /// Wanted now.
    Ordered,
    /// Left a warehouse.
    Shipped,
    /// On their way back, or expected. Not everyone is told of it: no difference is made of it.
    Announced,
    /// Came back.
    Received,
    /// Of these, back on the shelf.
    Restocked,
    /// Of these, kept apart.
    Quarantined,
    /// Of these, gone.
    WrittenOff,
}

impl GoodsRow {
    /// All of them, in the order in which they are shown.
    pub const ALL: [GoodsRow; 7] = [
        GoodsRow::Ordered,
        GoodsRow::Shipped,
        GoodsRow::Announced,
        GoodsRow::Received,
        GoodsRow::Restocked,
        GoodsRow::Quarantined,
        GoodsRow::WrittenOff,
    ];

    /// What people read.
    pub const fn title(self) -> &'static str {
        match self {
            GoodsRow::Ordered => "Ordered",
            GoodsRow::Shipped => "Shipped",
            GoodsRow::Announced => "On the way back",
            GoodsRow::Received => "Came back",
            GoodsRow::Restocked => "Restocked",
            GoodsRow::Quarantined => "In quarantine",
            GoodsRow::WrittenOff => "Written off",
        }
    }

    const fn kind(self) -> Kind {
        match self {
            GoodsRow::Ordered => Kind::Order,
            GoodsRow::Shipped => Kind::Shipment,
            _ => Kind::Return,
        }
    }

    const fn of(disposition: Disposition) -> Self {
        match disposition {
            Disposition::Restock => GoodsRow::Restocked,
            Disposition::Quarantine => GoodsRow::Quarantined,
            Disposition::WriteOff => GoodsRow::WrittenOff,
        }
    }
}

/// What became of a document that makes a difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Whereabout {
    /// It is on its way there.
    InFlight,
    /// An exception holds it.
    Held,
    /// A named rule keeps it out.
    LeftOut,
    /// A named person let it go.
    LetGo,
    /// It stands there with other figures.
    Differs,
    /// Nothing of it is there, and nothing is on its way.
    Missing,
    /// No flow brings such documents there.
    NoFlow,
}

/// A document that makes (a part of) a difference.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Reason {
    /// Of which kind.
    pub kind: Kind,
    /// Our key.
    pub key: RecordKey,
    /// At which target.
    pub at: ConnectionName,
    /// What became of it.
    pub is: Whereabout,
    /// The exception that holds it.
    pub exception: Option<ExceptionId>,
    /// Why it is left out or let go, or how far it is.
    pub note: Option<String>,
}

/// One row of money.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct MoneyLine {
    /// Which.
    pub row: MoneyRow,
    /// As the sources tell it.
    pub told: Money,
    /// As it stands at each of the books, in the order of [`Ledgers::books`].
    pub books: Vec<Money>,
    /// What each of the books lacks of what is told; below zero where it has more.
    pub differences: Vec<Money>,
    /// As much of each difference as a named rule keeps out.
    pub by_rule: Vec<Money>,
    /// The documents that make them.
    pub reasons: Vec<Reason>,
}

impl MoneyLine {
    /// Whether all sides say the same, but for what a named rule keeps out.
    pub fn agrees(&self) -> bool {
        self.differences == self.by_rule
    }
}

/// The money in one currency.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct MoneyLedger {
    /// The currency.
    pub currency: Currency,
    /// Its rows: what is sold and what is still to be paid back always, the others where somebody says something of it.
    pub lines: Vec<MoneyLine>,
}

/// One row of units.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct GoodsLine {
    /// Which.
    pub row: GoodsRow,
    /// At the shop; none where it has no part in it.
    pub shop: Option<u64>,
    /// At the warehouses, together.
    pub warehouses: Option<u64>,
    /// At each of the books, in the order of [`Ledgers::books`].
    pub books: Vec<Option<u64>>,
    /// By how many units the sides that have a part in it are apart, but for what a named rule keeps out.
    pub difference: u64,
    /// The documents that make it.
    pub reasons: Vec<Reason>,
}

/// Both ledgers of one order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Ledgers {
    /// The books, in the order of the columns.
    pub books: Vec<ConnectionName>,
    /// The money, currency by currency: that of the order first.
    pub money: Vec<MoneyLedger>,
    /// The goods.
    pub goods: Vec<GoodsLine>,
}

impl Ledgers {
    /// Whether all sides say the same of everything.
    pub fn agree(&self) -> bool {
        self.money.iter().flat_map(|ledger| &ledger.lines).all(MoneyLine::agrees)
            && self.goods.iter().all(|line| line.difference == 0)
    }

    /// Whether anything was given back, came back or is to.
    pub fn gives_back(&self) -> bool {
        let money = self.money.iter().flat_map(|ledger| &ledger.lines);
        let money = money.filter(|line| line.row != MoneyRow::Sold);
        money.flat_map(|line| line.books.iter().chain([&line.told])).any(|amount| !amount.is_zero())
            || self.goods.iter().any(|line| line.row.kind() == Kind::Return)
    }
}

/// Both ledgers of the order with this number. `documents` are the order, its shipments, returns, credit notes and refunds,
/// each once. Of a credit note over several orders only the part of this one counts.
///
/// # Errors
/// [`MoneyError::Overflow`] when a sum does not fit.
pub fn ledgers(number: &RecordKey, documents: &[Document], sides: &Sides) -> Result<Ledgers, MoneyError> {
    let books: Vec<ConnectionName> = sides.books.keys().cloned().collect();
    let mut currencies: Vec<Currency> = Vec::new();
    for document in documents {
        let told = [&document.record].into_iter().chain(document.at.iter().filter_map(|placed| placed.stands.as_ref()));
        for currency in told.filter_map(currency_of) {
            if !currencies.contains(&currency) {
                currencies.push(currency);
            }
        }
    }
    let money =
        currencies.into_iter().map(|currency| money_in(currency, number, documents, sides, &books)).collect::<Result<_, _>>()?;
    Ok(Ledgers { money, goods: goods(number, documents, sides, &books), books })
}

fn currency_of(record: &AnyRecord) -> Option<Currency> {
    match record {
        AnyRecord::Order(order) => Some(order.currency),
        AnyRecord::CreditNote(credit) => Some(credit.currency),
        AnyRecord::Refund(refund) => Some(refund.amount.currency()),
        _ => None,
    }
}

type Figures = BTreeMap<MoneyRow, Money>;

fn add(figures: &mut Figures, row: MoneyRow, amount: Money) -> Result<(), MoneyError> {
    let sum = figures.get(&row).copied().unwrap_or_else(|| Money::zero(amount.currency())).plus(amount)?;
    figures.insert(row, sum);
    Ok(())
}

/// What one document says of the order in this currency. Nothing while it is not final, and nothing once it is taken back.
fn money_of(record: &AnyRecord, number: &RecordKey, currency: Currency) -> Result<Figures, MoneyError> {
    let mut figures = Figures::new();
    match record {
        AnyRecord::Order(order) if order.currency == currency && order.status != OrderStatus::Cancelled => {
            add(&mut figures, MoneyRow::Sold, order.totals.gross)?;
        }
        AnyRecord::CreditNote(credit) if credit.currency == currency && credit.status == CreditStatus::Issued => {
            credited(credit, number, &mut figures)?;
        }
        AnyRecord::Refund(refund) if refund.amount.currency() == currency && refund.status == PaymentStatus::Success => {
            add(&mut figures, MoneyRow::of(refund.tender), refund.amount.negated()?)?;
        }
        _ => {}
    }
    let balance = figures.iter().filter(|(row, _)| **row != MoneyRow::Sold).map(|(_, amount)| *amount);
    let balance = Money::sum(currency, balance)?;
    add(&mut figures, MoneyRow::Balance, balance)?;
    Ok(figures)
}

fn credited(credit: &CreditNote, number: &RecordKey, figures: &mut Figures) -> Result<(), MoneyError> {
    let parts = || credit.lines.iter().flat_map(|line| &line.sold);
    let of_others = parts().any(|part| part.order != *number);
    let gross = |charge: &Charge| charge.net.plus(charge.tax);
    let (fee, goodwill) = (gross(&credit.fee)?, gross(&credit.goodwill)?);
    let mut given = if of_others {
        Money::sum(credit.currency, parts().filter(|part| part.order == *number).flat_map(|part| [part.net, part.tax]))?
    } else {
        credit.totals.gross.plus(fee)?.minus(goodwill)?
    };
    // What belongs to no line of an order is of the sale that the credit note is booked with: the first of them.
    let is_first = credit.sale.as_ref().is_none_or(|sale| sale.number == *number);
    if of_others && is_first {
        let elsewhere = parts().filter(|part| part.order != *number).flat_map(|part| [part.net, part.tax]);
        let elsewhere = Money::sum(credit.currency, elsewhere)?;
        given = credit.totals.gross.plus(fee)?.minus(goodwill)?.minus(elsewhere)?;
    }
    let row = if credit.reason == CreditReason::Cancellation { MoneyRow::Cancelled } else { MoneyRow::Credited };
    add(figures, row, given)?;
    if !of_others || is_first {
        add(figures, MoneyRow::Fee, fee.negated()?)?;
        add(figures, MoneyRow::Goodwill, goodwill)?;
    }
    Ok(())
}

fn money_in(
    currency: Currency,
    number: &RecordKey,
    documents: &[Document],
    sides: &Sides,
    books: &[ConnectionName],
) -> Result<MoneyLedger, MoneyError> {
    let zero = Money::zero(currency);
    let (mut told, mut there) = (Figures::new(), vec![Figures::new(); books.len()]);
    let mut left_out = there.clone();
    let mut reasons: BTreeMap<MoneyRow, Vec<Reason>> = BTreeMap::new();
    for document in documents {
        // A credit note that its source does not link is told in the form in which the gate linked it, where it did.
        let linked = document.at.iter().filter_map(|placed| placed.stands.as_ref()).find(|_| unlinked(&document.record));
        let says = money_of(linked.unwrap_or(&document.record), number, currency)?;
        for (row, amount) in &says {
            add(&mut told, *row, *amount)?;
        }
        for ((name, sum), left_out) in books.iter().zip(&mut there).zip(&mut left_out) {
            let placed = document.at.iter().find(|placed| placed.to == *name);
            let stands = placed.and_then(|placed| placed.stands.as_ref());
            let stands = stands.map_or(Ok(Figures::new()), |record| money_of(record, number, currency))?;
            for (row, amount) in &stands {
                add(sum, *row, *amount)?;
            }
            for row in MoneyRow::ALL {
                let of = |figures: &Figures| figures.get(&row).copied().unwrap_or(zero);
                if of(&says) == of(&stands) {
                    continue;
                }
                let one = reason(document, name, placed, sides.books.get(name));
                if one.is == Whereabout::LeftOut {
                    add(left_out, row, of(&says).minus(of(&stands))?)?;
                }
                if row != MoneyRow::Balance {
                    reasons.entry(row).or_default().push(one);
                }
            }
        }
    }
    let mut lines = Vec::new();
    for row in MoneyRow::ALL {
        let of = |figures: &Figures| figures.get(&row).copied().unwrap_or(zero);
        let (told, books) = (of(&told), there.iter().map(of).collect::<Vec<_>>());
        let said = !told.is_zero() || books.iter().any(|amount| !amount.is_zero());
        if said || matches!(row, MoneyRow::Sold | MoneyRow::Balance) {
            let differences = books.iter().map(|amount| told.minus(*amount)).collect::<Result<_, _>>()?;
            let by_rule = left_out.iter().map(of).collect();
            lines.push(MoneyLine { row, told, books, differences, by_rule, reasons: reasons.remove(&row).unwrap_or_default() });
        }
    }
    Ok(MoneyLedger { currency, lines })
}

fn unlinked(record: &AnyRecord) -> bool {
    match record {
        AnyRecord::CreditNote(credit) => {
            credit.lines.iter().any(|line| line.kind == CreditKind::Goods) && credit.lines.iter().all(|line| line.sold.is_empty())
        }
        _ => false,
    }
}

fn reason(document: &Document, at: &ConnectionName, placed: Option<&Placed>, takes: Option<&BTreeSet<Kind>>) -> Reason {
    let kind = document.record.kind();
    let open = placed.and_then(|placed| placed.open.as_ref());
    let stands = placed.is_some_and(|placed| placed.stands.is_some());
    let is = match open.map(|open| open.state) {
        Some(State::Held) => Whereabout::Held,
        Some(State::Excluded) => Whereabout::LeftOut,
        Some(State::Dismissed) => Whereabout::LetGo,
        Some(state) if state.in_flight() => Whereabout::InFlight,
        _ if stands => Whereabout::Differs,
        _ if takes.is_some_and(|kinds| kinds.contains(&kind)) => Whereabout::Missing,
        _ => Whereabout::NoFlow,
    };
    let note = open.and_then(|open| match is {
        Whereabout::InFlight => Some(open.state.word().to_owned()),
        _ => open.note.clone(),
    });
    Reason { kind, key: document.record.key(), at: at.clone(), is, exception: open.and_then(|open| open.exception), note }
}

type Units = BTreeMap<GoodsRow, u64>;

/// The goods' half that a document tells.
fn half(record: &AnyRecord) -> Option<&Return> {
    match record {
        AnyRecord::Return(returned) => Some(returned),
        AnyRecord::CreditNote(credit) if credit.status != CreditStatus::Void => credit.goods.as_deref(),
        _ => None,
    }
}

fn units_of(record: &AnyRecord, number: &RecordKey) -> Units {
    let mut units = Units::new();
    let mut count = |row: GoodsRow, more: u64| {
        let sum = units.entry(row).or_default();
        *sum = sum.saturating_add(more);
    };
    match record {
        AnyRecord::Order(order) => count(GoodsRow::Ordered, ordered(order)),
        AnyRecord::Shipment(shipment) if shipment.status == ShipmentStatus::Shipped => count(GoodsRow::Shipped, shipment.units()),
        _ => {}
    }
    if let Some(returned) = half(record) {
        // A line says its order where the return is of several.
        let ours = returned
            .lines
            .iter()
            .filter(|line| line.order.as_ref().or(returned.order.as_ref()).is_none_or(|order| order == number));
        let ours = ours.map(|line| u64::from(line.quantity)).sum();
        match returned.status {
            ReturnStatus::Announced => count(GoodsRow::Announced, ours),
            ReturnStatus::Received => {
                count(GoodsRow::Received, ours);
                count(GoodsRow::of(returned.disposition), ours);
            }
            ReturnStatus::Cancelled => {}
        }
    }
    units
}

fn ordered(order: &Order) -> u64 {
    if order.status == OrderStatus::Cancelled {
        return 0;
    }
    shippable(order).map(|line| u64::from(line.quantity)).sum()
}

/// Whether two documents are of the same goods: one was made from the other.
fn same_goods(one: &AnyRecord, other: &AnyRecord) -> bool {
    let (AnyRecord::Return(one), AnyRecord::Return(other)) = (one, other) else { return false };
    one.counterpart.as_ref() == Some(&other.key) || other.counterpart.as_ref() == Some(&one.key)
}

/// Documents of the same goods together: what a warehouse received and the shop announced is one thing.
fn groups(documents: &[Document]) -> Vec<Vec<&Document>> {
    let mut groups: Vec<Vec<&Document>> = Vec::new();
    for document in documents {
        let (same, others): (Vec<_>, Vec<_>) =
            groups.into_iter().partition(|group| group.iter().any(|known| same_goods(&known.record, &document.record)));
        groups = others;
        groups.push(same.into_iter().flatten().chain([document]).collect());
    }
    groups
}

/// One side of the goods.
struct Side<'a> {
    is: Box<dyn Fn(&ConnectionName) -> bool + 'a>,
    /// The kinds that it has a part in.
    kinds: BTreeSet<Kind>,
    /// Whether a flow brings all documents of its kinds there, whoever tells them.
    takes_all: bool,
}

impl Side<'_> {
    /// What it has of a group: what it tells itself, or else what was written there and read back.
    fn has(&self, group: &[&Document], number: &RecordKey) -> Units {
        let told: Vec<&AnyRecord> = group.iter().filter(|one| (self.is)(&one.from)).map(|one| &one.record).collect();
        let written = || group.iter().flat_map(|one| &one.at).filter(|placed| (self.is)(&placed.to));
        // What it tells itself of the same goods is nearer to it than what we wrote.
        let records = if told.is_empty() { written().filter_map(|placed| placed.stands.as_ref()).collect() } else { told };
        let mut sum = Units::new();
        for (row, units) in records.into_iter().flat_map(|record| units_of(record, number)) {
            let all = sum.entry(row).or_default();
            *all = all.saturating_add(units);
        }
        sum
    }

    /// Whether it is to know of a group.
    fn is_concerned(&self, row: GoodsRow, group: &[&Document]) -> bool {
        let knows = |one: &&Document| (self.is)(&one.from) || one.at.iter().any(|placed| (self.is)(&placed.to));
        self.kinds.contains(&row.kind()) && (self.takes_all || group.iter().any(knows))
    }
}

fn goods(number: &RecordKey, documents: &[Document], sides: &Sides, books: &[ConnectionName]) -> Vec<GoodsLine> {
    let is_shop = |name: &ConnectionName| sides.shop.as_ref() == Some(name);
    let is_warehouse = move |name: &ConnectionName| !is_shop(name) && !sides.books.contains_key(name);
    let told_by = |is: &dyn Fn(&ConnectionName) -> bool| -> BTreeSet<Kind> {
        documents.iter().filter(|document| is(&document.from)).flat_map(|document| kinds(&document.record)).collect()
    };
    let shop_kinds = sides.shop_takes.iter().copied().chain([Kind::Order]).chain(told_by(&is_shop)).collect();
    // A pick order holds what one warehouse is to pick, which is not the order: it makes no difference.
    let warehouse_kinds = sides.warehouses.values().flatten().copied().chain(told_by(&is_warehouse));
    let warehouse_kinds = warehouse_kinds.filter(|kind| *kind != Kind::Order).collect();
    let mut all = vec![
        Side { is: Box::new(is_shop), kinds: shop_kinds, takes_all: false },
        Side { is: Box::new(is_warehouse), kinds: warehouse_kinds, takes_all: false },
    ];
    for name in books {
        let there = documents.iter().filter(|document| document.at.iter().any(|placed| placed.to == *name));
        let taken = sides.books.get(name).into_iter().flatten().copied();
        let kinds = taken.chain(there.flat_map(|document| kinds(&document.record))).collect();
        all.push(Side { is: Box::new(move |one| one == name), kinds, takes_all: true });
    }
    let groups: Vec<(Vec<&Document>, Vec<Units>)> = groups(documents)
        .into_iter()
        .map(|group| {
            let has = all.iter().map(|side| side.has(&group, number)).collect();
            (group, has)
        })
        .collect();
    let mut lines = Vec::new();
    for row in GoodsRow::ALL {
        let of = |units: &Units| units.get(&row).copied().unwrap_or(0);
        let sum = |side: usize| groups.iter().filter_map(|(_, has)| has.get(side)).map(of).fold(0, u64::saturating_add);
        let columns: Vec<Option<u64>> =
            all.iter().enumerate().map(|(at, side)| side.kinds.contains(&row.kind()).then(|| sum(at))).collect();
        if row != GoodsRow::Ordered && columns.iter().flatten().all(|units| *units == 0) {
            continue;
        }
        let (mut difference, mut reasons) = (0_u64, Vec::new());
        for (group, has) in groups.iter().filter(|_| row != GoodsRow::Announced) {
            let concerned = || all.iter().zip(has).filter(|(side, _)| side.is_concerned(row, group)).map(|(_, units)| of(units));
            // What nobody who tells of it or takes it has is no part of this row.
            let apart = concerned().max().unwrap_or(0).saturating_sub(concerned().min().unwrap_or(0));
            if apart > 0 {
                let of_group = missing_goods(row, number, group, sides);
                // What a named rule keeps out is told, and is no difference.
                let by_rule = !of_group.is_empty() && of_group.iter().all(|reason| reason.is == Whereabout::LeftOut);
                difference = difference.saturating_add(if by_rule { 0 } else { apart });
                reasons.extend(of_group);
            }
        }
        let mut columns = columns.into_iter();
        let (shop, warehouses) = (columns.next().flatten(), columns.next().flatten());
        lines.push(GoodsLine { row, shop, warehouses, books: columns.collect(), difference, reasons });
    }
    lines
}

/// The kinds of goods' documents that a document is.
fn kinds(record: &AnyRecord) -> Vec<Kind> {
    let goods = half(record).map(|_| Kind::Return);
    goods.into_iter().chain([record.kind()]).collect()
}

fn missing_goods(row: GoodsRow, number: &RecordKey, documents: &[&Document], sides: &Sides) -> Vec<Reason> {
    let mut reasons = Vec::new();
    for document in documents {
        let says = units_of(&document.record, number).get(&row).copied().unwrap_or(0);
        for placed in &document.at {
            let counts = sides.books.contains_key(&placed.to) || row.kind() != Kind::Order;
            let stands = placed.stands.as_ref().map_or(0, |record| units_of(record, number).get(&row).copied().unwrap_or(0));
            if counts && stands != says {
                reasons.push(reason(document, &placed.to, Some(placed), sides.books.get(&placed.to)));
            }
        }
        for (name, takes) in &sides.books {
            let absent = document.from != *name && document.at.iter().all(|placed| placed.to != *name);
            if absent && says > 0 && takes.contains(&row.kind()) {
                reasons.push(reason(document, name, None, Some(takes)));
            }
        }
    }
    reasons
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        ExternalId, Refund, Sku,
        records::{CreditLine, ReturnLine, Shipment, SoldPart, Totals, return_key},
        samples::{eur, line, order},
    };

    fn at() -> jiff::Timestamp {
        "2026-02-10T09:00:00Z".parse().unwrap()
    }

    fn sold(gross: i64) -> Order {
        let mut order = order(vec![line("1", "COAT", 2, 8_000)]);
        order.totals = Totals { net: eur(8_000), tax: eur(gross - 8_000), gross: eur(gross) };
        order
    }

    fn credit(id: &str, units: u32, net: i64, of: &str) -> CreditNote {
        let currency = eur(0).currency();
        let part = SoldPart { order: of.into(), line: "1".into(), quantity: units, net: eur(net), tax: eur(net / 4) };
        CreditNote {
            key: return_key(Some("1001"), "shop", id),
            id: id.into(),
            number: id.to_owned(),
            order: Some("1001".into()),
            of_return: None,
            goods: None,
            reason: CreditReason::Return,
            status: CreditStatus::Issued,
            issued_at: at(),
            issued_on: jiff::civil::date(2026, 2, 10),
            updated_at: at(),
            buyer: None,
            currency,
            lines: vec![CreditLine {
                id: "1".into(),
                kind: CreditKind::Goods,
                sold: vec![part],
                sku: Sku::new("COAT"),
                name: "Coat".to_owned(),
                quantity: units,
                unit_net: eur(net).decimal(),
                net: eur(net),
                tax: eur(net / 4),
                taxes: Vec::new(),
            }],
            discounts: Vec::new(),
            shipping: Charge::none(currency),
            handling: Charge::none(currency),
            fee: Charge::none(currency),
            goodwill: Charge::none(currency),
            totals: Totals { net: eur(net), tax: eur(net / 4), gross: eur(net + net / 4) },
            comment: None,
            sale: None,
        }
    }

    fn refund(id: &str, tender: Tender, amount: i64) -> Refund {
        Refund {
            key: return_key(Some("1001"), "shop", id),
            id: id.into(),
            order: Some("1001".into()),
            credit_note: return_key(Some("1001"), "shop", "r1"),
            status: PaymentStatus::Success,
            tender,
            method: None,
            reference: Some("re_1".to_owned()),
            amount: eur(amount),
            at: at(),
            on: jiff::civil::date(2026, 2, 10),
            updated_at: at(),
            market: None,
        }
    }

    fn returned(from: &str, id: &str, status: ReturnStatus, disposition: Disposition, units: u32) -> Return {
        Return {
            key: return_key(Some("1001"), from, id),
            id: id.into(),
            order: Some("1001".into()),
            counterpart: None,
            shipment: None,
            status,
            created_at: at(),
            received_at: None,
            updated_at: at(),
            warehouse: None,
            disposition,
            reason: None,
            comment: None,
            lines: vec![ReturnLine {
                order: Some("1001".into()),
                order_line: Some(ExternalId::new("1")),
                sku: Sku::new("COAT"),
                quantity: units,
                condition: None,
                reason: None,
            }],
        }
    }

    fn stands(record: impl Into<AnyRecord>, to: &str) -> Placed {
        Placed { to: to.into(), stands: Some(record.into()), open: None }
    }

    fn open(to: &str, state: State, exception: Option<i64>) -> Placed {
        Placed { to: to.into(), stands: None, open: Some(Open { state, exception: exception.map(ExceptionId), note: None }) }
    }

    fn doc(record: impl Into<AnyRecord>, from: &str, at: Vec<Placed>) -> Document {
        Document { record: record.into(), from: from.into(), at }
    }

    fn sides() -> Sides {
        let all = [Kind::Order, Kind::Return, Kind::CreditNote, Kind::Refund, Kind::Shipment];
        Sides {
            shop: Some("shop".into()),
            books: BTreeMap::from([("books".into(), all.into())]),
            warehouses: BTreeMap::from([("shelf".into(), [Kind::Order, Kind::Return, Kind::Shipment].into())]),
            shop_takes: [Kind::Shipment, Kind::Return].into(),
        }
    }

    fn look(documents: &[Document]) -> Ledgers {
        ledgers(&"1001".into(), documents, &sides()).unwrap()
    }

    fn money(ledgers: &Ledgers, row: MoneyRow) -> (i64, i64, Vec<Whereabout>) {
        let line = ledgers.money[0].lines.iter().find(|line| line.row == row).unwrap_or_else(|| panic!("{row:?}: {ledgers:#?}"));
        (line.told.minor(), line.books[0].minor(), line.reasons.iter().map(|reason| reason.is).collect())
    }

    fn units(ledgers: &Ledgers, row: GoodsRow) -> (Option<u64>, Option<u64>, Option<u64>, u64) {
        let line = ledgers.goods.iter().find(|line| line.row == row).unwrap_or_else(|| panic!("{row:?}: {ledgers:#?}"));
        (line.shop, line.warehouses, line.books[0], line.difference)
    }

    #[test]
    fn a_return_that_is_whole_on_both_sides_agrees() {
        let (order, credit) = (sold(10_000), credit("r1", 1, 4_000, "1001"));
        let (card, gift) = (refund("p1", Tender::Payment, 3_000), refund("p2", Tender::GiftCard, 2_000));
        let goods = returned("shop", "r1", ReturnStatus::Received, Disposition::Restock, 1);
        let found = look(&[
            doc(order.clone(), "shop", vec![stands(order, "books")]),
            doc(credit.clone(), "shop", vec![stands(credit, "books")]),
            doc(card.clone(), "shop", vec![stands(card, "books")]),
            doc(gift.clone(), "shop", vec![stands(gift, "books")]),
            doc(goods.clone(), "shop", vec![stands(goods.clone(), "books"), stands(goods, "shelf")]),
        ]);
        assert!(found.agree() && found.gives_back(), "{found:#?}");
        assert_eq!(money(&found, MoneyRow::Sold), (10_000, 10_000, vec![]));
        assert_eq!(money(&found, MoneyRow::Credited), (5_000, 5_000, vec![]));
        assert_eq!(money(&found, MoneyRow::RefundedPayment), (-3_000, -3_000, vec![]));
        assert_eq!(money(&found, MoneyRow::RefundedGiftCard), (-2_000, -2_000, vec![]));
        assert_eq!(money(&found, MoneyRow::Balance), (0, 0, vec![]));
        assert_eq!(units(&found, GoodsRow::Ordered), (Some(2), None, Some(2), 0));
        assert_eq!(units(&found, GoodsRow::Restocked), (Some(1), Some(1), Some(1), 0));
    }

    #[test]
    fn each_difference_names_the_document_that_makes_it() {
        let order = sold(10_000);
        let mut fee = credit("r1", 1, 4_000, "1001");
        fee.fee.net = eur(500);
        fee.totals.gross = eur(4_500);
        for (placed, is, exception) in [
            (vec![open("books", State::Held, Some(7))], Whereabout::Held, Some(ExceptionId(7))),
            (vec![open("books", State::Cleared, None)], Whereabout::InFlight, None),
            (vec![open("books", State::Excluded, None)], Whereabout::LeftOut, None),
            (vec![open("books", State::Dismissed, None)], Whereabout::LetGo, None),
            (vec![stands(credit("r1", 1, 2_000, "1001"), "books")], Whereabout::Differs, None),
            (vec![], Whereabout::Missing, None),
        ] {
            let found =
                look(&[doc(order.clone(), "shop", vec![stands(order.clone(), "books")]), doc(fee.clone(), "shop", placed)]);
            assert_eq!(found.agree(), is == Whereabout::LeftOut, "what a rule keeps out is no difference: {is:?}");
            let line = found.money[0].lines.iter().find(|line| line.row == MoneyRow::Credited).unwrap();
            assert_eq!(line.told, eur(5_000));
            assert_eq!(line.reasons.len(), 1, "{is:?}: {line:#?}");
            assert_eq!((line.reasons[0].is, line.reasons[0].exception), (is, exception));
            assert_eq!(money(&found, MoneyRow::Fee).0, -500);
            assert_eq!(money(&found, MoneyRow::Balance).0, 4_500);
        }
        let mut none = sides();
        none.books.insert("books".into(), [Kind::Order].into());
        let found = ledgers(&"1001".into(), &[doc(fee, "shop", vec![])], &none).unwrap();
        assert_eq!(money(&found, MoneyRow::Credited).2, [Whereabout::NoFlow]);
    }

    #[test]
    fn what_is_not_final_or_taken_back_counts_for_nothing() {
        let mut cancelled = sold(10_000);
        cancelled.status = OrderStatus::Cancelled;
        let mut void = credit("r1", 1, 4_000, "1001");
        void.status = CreditStatus::Void;
        let mut later = credit("r2", 1, 4_000, "1001");
        later.status = CreditStatus::Open;
        let mut failed = refund("p1", Tender::Payment, 3_000);
        failed.status = PaymentStatus::Failed;
        let found = look(&[
            doc(cancelled, "shop", vec![open("books", State::Excluded, None)]),
            doc(void, "shop", vec![]),
            doc(later, "shop", vec![]),
            doc(failed, "shop", vec![]),
        ]);
        assert!(found.agree() && !found.gives_back(), "{found:#?}");
        assert_eq!(found.money[0].lines.len(), 2, "{found:#?}");
    }

    #[test]
    fn money_given_back_for_cancelled_units_is_no_part_of_the_sale() {
        let mut cancelled = credit("p9", 1, 4_000, "1001");
        cancelled.reason = CreditReason::Cancellation;
        let found = look(&[
            doc(sold(5_000), "shop", vec![]),
            doc(cancelled, "shop", vec![]),
            doc(refund("9", Tender::Payment, 5_000), "shop", vec![]),
        ]);
        assert_eq!(money(&found, MoneyRow::Sold).0, 5_000);
        assert_eq!(money(&found, MoneyRow::Cancelled).0, 5_000);
        assert_eq!(money(&found, MoneyRow::Balance).0, 0);
    }

    #[test]
    fn of_a_credit_over_two_orders_each_gets_its_part_and_the_first_what_has_no_line() {
        let mut both = credit("c1", 2, 4_000, "1001");
        let line = &mut both.lines[0];
        line.sold[0].quantity = 1;
        line.sold[0].net = eur(1_600);
        line.sold[0].tax = eur(400);
        line.sold.push(SoldPart { order: "1002".into(), line: "5".into(), quantity: 1, net: eur(2_400), tax: eur(600) });
        both.shipping = Charge { net: eur(300), tax: eur(0), rate: None };
        both.totals.gross = eur(5_300);
        both.sale = Some(Box::new(sold(0)));
        let of = |number: &str| {
            let found =
                ledgers(&number.into(), &[doc(both.clone(), "desk", vec![stands(both.clone(), "books")])], &sides()).unwrap();
            money(&found, MoneyRow::Credited).0
        };
        assert_eq!((of("1001"), of("1002")), (2_300, 3_000));
        // Before its source or the gate has linked it, the form that stands says what is whose.
        let mut raw = both.clone();
        raw.lines[0].sold.clear();
        let found = ledgers(&"1002".into(), &[doc(raw, "desk", vec![stands(both, "books")])], &sides()).unwrap();
        assert_eq!(money(&found, MoneyRow::Credited), (3_000, 3_000, vec![]));
    }

    #[test]
    fn goods_are_compared_between_those_who_have_a_part_in_them() {
        let shop = returned("shop", "r1", ReturnStatus::Announced, Disposition::Restock, 2);
        let mut there = returned("shelf", "x", ReturnStatus::Received, Disposition::Quarantine, 2);
        there.counterpart = Some(shop.key.clone());
        let found = look(&[
            doc(shop, "shop", vec![]),
            doc(there.clone(), "shelf", vec![stands(there, "books"), open("shop", State::Sending, None)]),
        ]);
        assert_eq!(units(&found, GoodsRow::Announced), (Some(2), Some(0), Some(0), 0));
        assert_eq!(units(&found, GoodsRow::Received), (Some(0), Some(2), Some(2), 2));
        assert_eq!(units(&found, GoodsRow::Quarantined), (Some(0), Some(2), Some(2), 2));
        let line = found.goods.iter().find(|line| line.row == GoodsRow::Received).unwrap();
        assert_eq!(
            line.reasons.iter().map(|reason| (reason.is, reason.at.as_str())).collect::<Vec<_>>(),
            [(Whereabout::InFlight, "shop")]
        );
    }

    #[test]
    fn what_left_is_compared_and_the_desk_brings_goods_with_its_credit() {
        let shipment = Shipment {
            key: "1001.shelf.7".into(),
            id: "7".into(),
            order: "1001".into(),
            status: ShipmentStatus::Shipped,
            shipped_at: Some(at()),
            updated_at: at(),
            warehouse: None,
            lines: vec![crate::records::ShipmentLine { order_line: None, sku: Sku::new("COAT"), quantity: 2 }],
            short: Vec::new(),
            parcels: Vec::new(),
            captured: None,
            bundles: Vec::new(),
        };
        let mut credit = credit("c1", 1, 4_000, "1001");
        credit.goods = Some(Box::new(returned("desk", "c1", ReturnStatus::Received, Disposition::Restock, 1)));
        // The shop tells of another return, and nobody is to bring it the desk's.
        let other = returned("shop", "r2", ReturnStatus::Received, Disposition::Restock, 1);
        let documents = [
            doc(other.clone(), "shop", vec![stands(other, "books")]),
            doc(shipment.clone(), "shelf", vec![stands(shipment, "shop"), open("books", State::Delivered, None)]),
            doc(credit.clone(), "desk", vec![stands(credit, "books")]),
        ];
        let found = look(&documents);
        assert_eq!(units(&found, GoodsRow::Shipped), (Some(2), Some(2), Some(0), 2));
        assert_eq!(units(&found, GoodsRow::Restocked), (Some(1), Some(1), Some(2), 0));
    }
}
