//! Entries of a payment history → transactions by which money went back, and what an order's document tells of them.
//!
//! A provider that answers later gives two entries for one transaction: the request, and then its outcome under the same
//! reference. The reference alone does not make a transaction, since some providers use that of the authorisation for all
//! of an order's refunds: an outcome answers the oldest request that is still open.

use jiff::Timestamp;
use rust_decimal::Decimal;
use selvedge_model::{
    AnyRecord, CreditNote, Currency, ExternalId, Money, Order, RecordKey, Refund, Rounding,
    records::{
        Charge, CreditKind, CreditLine, CreditReason, CreditStatus, Named, OrderStatus, Payment, PaymentKind, PaymentStatus,
        SoldPart, TaxLine, Tender, Totals,
    },
};

use super::{
    super::{
        decode::{At, Notes, line_kind, name, payment, sku},
        wire::id_text,
    },
    Form,
};

/// One transaction by which money went back, or was to.
#[derive(Clone, Debug)]
pub struct Transaction {
    /// The id of its first entry.
    pub id: ExternalId,
    /// How it ended, or that it has not.
    pub status: PaymentStatus,
    /// In what.
    pub tender: Tender,
    /// The method, as the shop names it.
    pub method: Option<String>,
    /// The provider's id of it.
    pub reference: Option<String>,
    /// How much.
    pub amount: Money,
    /// When it was asked for.
    pub asked_at: Timestamp,
    /// When it ended; when it was asked for, while it has not.
    pub at: Timestamp,
    /// Whether an outcome is to come as an entry of its own.
    open: bool,
}

/// The entries of a list by which money goes back, each with its word and the return that it pays for (`None` where the
/// document does not tell).
fn entries(at: &At<'_>, currency: Currency, form: &Form, notes: &mut Notes) -> Vec<(Payment, String, Option<Option<String>>)> {
    let read = |at: &At<'_>, notes: &mut Notes| {
        let word = at.get("entryType").value.as_str()?.to_owned();
        let mut entry = payment(at, currency, &form.zones, notes).filter(|entry| entry.kind == PaymentKind::Refund)?;
        // The sign of what goes back is nowhere documented.
        entry.amount = entry.amount.abs().ok().filter(|amount| !amount.is_zero())?;
        let returned = at.value.get("return").map(|one| id_text(&one["id"]));
        Some((entry, word, returned))
    };
    let mut found: Vec<_> = notes.list(at).iter().filter_map(|at| read(at, notes)).collect();
    let number = |id: &ExternalId| id.as_str().parse::<i64>().unwrap_or(i64::MAX);
    found.sort_by_key(|(entry, _, _)| (entry.at, number(&entry.id)));
    found
}

fn transactions(entries: impl IntoIterator<Item = (Payment, String)>, form: &Form) -> Vec<Transaction> {
    let mut found: Vec<Transaction> = Vec::new();
    for (entry, word) in entries {
        let is_request = word.ends_with("_REQUEST") || word.ends_with("_PENDING");
        let same = |one: &&mut Transaction| match (&one.reference, &entry.reference) {
            (Some(ours), Some(theirs)) => ours == theirs,
            _ => one.amount == entry.amount,
        };
        if !is_request && let Some(asked) = found.iter_mut().filter(|one| one.open).find(same) {
            asked.open = entry.status == PaymentStatus::Pending;
            asked.status = entry.status;
            asked.at = entry.at;
            asked.amount = entry.amount;
            asked.reference = entry.reference.or_else(|| asked.reference.take());
            asked.method = entry.method.or_else(|| asked.method.take());
            continue;
        }
        let by_credit = entry.method.as_ref().is_some_and(|method| form.store_credit_methods.contains(&method.to_lowercase()));
        let tender = match () {
            () if word.contains("GIFT_CARD") => Tender::GiftCard,
            () if by_credit => Tender::StoreCredit,
            () => Tender::Payment,
        };
        found.push(Transaction {
            id: entry.id,
            status: entry.status,
            tender,
            method: entry.method,
            reference: entry.reference,
            amount: entry.amount,
            asked_at: entry.at,
            at: entry.at,
            open: entry.status == PaymentStatus::Pending,
        });
    }
    found
}

/// The transactions of a return.
pub fn of_return(at: &At<'_>, currency: Currency, form: &Form, notes: &mut Notes) -> Vec<Transaction> {
    let entries = entries(at, currency, form, notes);
    transactions(entries.into_iter().map(|(entry, word, _)| (entry, word)), form)
}

/// As of when a credit note is issued: the first transaction for it that went through. One that is pending may still fail, and
/// what is booked is not unbooked.
pub fn issued_at(transactions: &[Transaction]) -> Option<Timestamp> {
    transactions.iter().filter(|one| one.status == PaymentStatus::Success).map(|one| one.asked_at).min()
}

/// What refunds and their credit note are of.
pub struct Of<'a> {
    /// The order.
    pub order: &'a str,
    /// Its market, where it is told.
    pub market: Option<&'a Named>,
    /// The key of the credit note.
    pub credit_note: &'a RecordKey,
}

/// A transaction as a record.
pub fn refund(one: &Transaction, of: &Of<'_>, form: &Form) -> Refund {
    let market = of.market.map_or("", |market| market.id.as_str());
    Refund {
        key: form.key(of.order, one.id.as_str()),
        id: one.id.clone(),
        order: Some(RecordKey::new(of.order)),
        credit_note: of.credit_note.clone(),
        status: one.status,
        tender: one.tender,
        method: one.method.clone(),
        reference: one.reference.clone(),
        amount: one.amount,
        at: one.at,
        on: one.at.to_zoned(form.zones.books_of(market).clone()).date(),
        updated_at: one.at,
        market: of.market.cloned(),
    }
}

/// Credit notes and refunds for money that went back for no return. Only what has gone back counts: an order's document
/// tells what failed or is open, too, and nothing is owed for that.
///
/// Nothing is told where the document does not say which entries belong to returns: a guess would credit twice.
pub fn of_order(at: &At<'_>, order: &Order, form: &Form) -> Vec<AnyRecord> {
    // What is wrong with an entry was found when the order was read.
    let mut unheard = Notes::of("order");
    let entries = entries(&at.get("paymentHistory"), order.currency, form, &mut unheard);
    if entries.iter().any(|(_, _, returned)| returned.is_none()) {
        return Vec::new();
    }
    let free = entries.into_iter().filter(|(_, _, returned)| *returned == Some(None)).map(|(entry, word, _)| (entry, word));
    let paid: Vec<Transaction> =
        transactions(free, form).into_iter().filter(|one| one.status == PaymentStatus::Success).collect();
    if paid.is_empty() {
        return Vec::new();
    }
    let cancelled = cancelled(at, order, &mut unheard);
    let mut records = Vec::new();
    for Group { paid, lines } in groups(paid, cancelled, over(order)) {
        let Some(first) = paid.first() else { continue };
        let key = form.key(order.number.as_str(), &format!("p{}", first.id));
        let Ok(amount) = Money::sum(order.currency, paid.iter().map(|one| one.amount)) else { continue };
        let credit = match lines {
            Some(lines) => for_units(first, &key, order, lines, form),
            None => goodwill(first, &key, amount, order, form),
        };
        records.extend(credit.map(AnyRecord::from));
        let of = Of { order: order.number.as_str(), market: Some(&order.market), credit_note: &key };
        records.extend(paid.iter().map(|one| AnyRecord::from(refund(one, &of, form))));
    }
    records
}

/// Units of one line that were cancelled, and what one of them had cost.
#[derive(Clone, Debug)]
struct Cancelled {
    line: CreditLine,
    unit_net: Money,
    unit_gross: Money,
    units: u32,
}

/// What was cancelled of an order, line by line. Empty where the document does not tell it, or not to the cent.
fn cancelled(at: &At<'_>, order: &Order, notes: &mut Notes) -> Vec<Cancelled> {
    let zero = Money::zero(order.currency);
    let mut read = |at: &At<'_>| {
        let units = u32::try_from(at.get("cancelledQuantity").value.as_u64()?).ok().filter(|units| *units > 0)?;
        let kind = at.get("__typename").value.as_str()?;
        if kind == "BundleItemOrderLine" {
            return None;
        }
        let kind = line_kind(&at.get("__typename"), notes);
        let unit_gross = notes.exact(&at.get("unitGross"), order.currency)?;
        let exact = notes.value(&at.get("unitNet"))?;
        let unit_net = Money::rounded(exact, order.currency, Rounding::HalfUp).ok()?;
        let percent = notes.decimal(&at.get("taxPercent")).unwrap_or_default().normalize();
        let line = CreditLine {
            id: ExternalId::new(id_text(at.get("id").value)?),
            kind: CreditKind::Goods,
            sold: Vec::new(),
            sku: sku(at, kind, notes),
            name: name(at, notes),
            quantity: 0,
            unit_net: exact.normalize(),
            net: zero,
            tax: zero,
            taxes: vec![TaxLine { name: "tax".to_owned(), rate: percent, amount: zero }],
        };
        Some(Cancelled { line, unit_net, unit_gross, units })
    };
    at.get("cancelledLines").value.as_array().into_iter().flatten().filter_map(|value| read(&At::top(value))).collect()
}

/// How much more was taken than the order is worth now: what can have been paid back for cancelled units. `None` where the
/// history shows nothing of what was taken, so that nothing can be said.
fn over(order: &Order) -> Option<Money> {
    let taken: Vec<Money> = order
        .payments
        .iter()
        .filter(|one| one.kind == PaymentKind::Capture && one.status == PaymentStatus::Success)
        .map(|one| one.amount)
        .collect();
    if taken.is_empty() {
        return None;
    }
    let worth = if order.status == OrderStatus::Cancelled { Money::zero(order.currency) } else { order.totals.gross };
    Money::sum(order.currency, taken).and_then(|taken| taken.minus(worth)).ok()
}

/// Transactions that one credit note is for, and the cancelled units that they paid back, if any: (place among the lines,
/// units).
struct Group {
    paid: Vec<Transaction>,
    lines: Option<Vec<(Cancelled, u32)>>,
}

/// Which transactions paid for which cancelled units. Each in the order of time takes units that are worth it exactly, and
/// what is left of both sides is matched as a whole; everything else is a gesture.
fn groups(paid: Vec<Transaction>, cancelled: Vec<Cancelled>, over: Option<Money>) -> Vec<Group> {
    let mut left = cancelled;
    let mut room = over;
    let mut groups = Vec::new();
    let mut unmatched: Vec<Transaction> = Vec::new();
    for one in paid {
        let fits = room.is_none_or(|room| one.amount.minor() <= room.minor());
        match if fits { worth_of(&left, one.amount) } else { None } {
            Some(units) => {
                room = room.and_then(|room| room.minus(one.amount).ok());
                groups.push(Group { lines: Some(take(&mut left, &units)), paid: vec![one] });
            }
            None => unmatched.push(one),
        }
    }
    let worth = total(left.iter().map(|line| line.unit_gross.minor().saturating_mul(line.units.into())));
    let given = total(unmatched.iter().map(|one| one.amount.minor()));
    let fits = room.is_none_or(|room| given.is_some_and(|given| given <= room.minor()));
    if unmatched.len() > 1 && fits && worth == given && worth.is_some_and(|worth| worth > 0) {
        let units: Vec<u32> = left.iter().map(|line| line.units).collect();
        let lines = take(&mut left, &units);
        groups.push(Group { paid: unmatched, lines: Some(lines) });
    } else {
        groups.extend(unmatched.into_iter().map(|one| Group { paid: vec![one], lines: None }));
    }
    groups
}

fn total(mut amounts: impl Iterator<Item = i64>) -> Option<i64> {
    amounts.try_fold(0, i64::checked_add)
}

fn take(left: &mut [Cancelled], units: &[u32]) -> Vec<(Cancelled, u32)> {
    let mut taken = Vec::new();
    for (line, units) in left.iter_mut().zip(units).filter(|(_, units)| **units > 0) {
        line.units = line.units.saturating_sub(*units);
        taken.push((line.clone(), *units));
    }
    taken
}

/// How many ways to put units together are tried.
const TRIES_MAX: u32 = 20_000;

/// Units of each line that are worth an amount exactly, if there are some: all that is left if that fits, else the fewest
/// lines from the first on.
fn worth_of(left: &[Cancelled], amount: Money) -> Option<Vec<u32>> {
    let rows: Vec<(i64, u32)> = left.iter().map(|line| (line.unit_gross.minor(), line.units)).collect();
    let all = rows.iter().try_fold(0_i64, |sum, (unit, units)| sum.checked_add(unit.checked_mul(i64::from(*units))?))?;
    if amount.minor() == all && all > 0 {
        return Some(rows.iter().map(|(_, units)| *units).collect());
    }
    let mut tries = TRIES_MAX;
    let mut chosen = vec![0; rows.len()];
    search(&rows, amount.minor(), &mut chosen, 0, &mut tries).then_some(chosen)
}

fn search(rows: &[(i64, u32)], rest: i64, chosen: &mut [u32], place: usize, tries: &mut u32) -> bool {
    if rest == 0 {
        return chosen.iter().any(|units| *units > 0);
    }
    let (Some((unit, units)), Some(left)) = (rows.get(place).copied(), tries.checked_sub(1)) else { return false };
    *tries = left;
    if unit <= 0 {
        return search(rows, rest, chosen, place + 1, tries);
    }
    let most = u32::try_from(rest.checked_div(unit).unwrap_or(0)).unwrap_or(u32::MAX).min(units);
    for taken in (0..=most).rev() {
        if let Some(slot) = chosen.get_mut(place) {
            *slot = taken;
        }
        let worth = unit.saturating_mul(taken.into());
        if search(rows, rest.saturating_sub(worth), chosen, place + 1, tries) {
            return true;
        }
    }
    if let Some(slot) = chosen.get_mut(place) {
        *slot = 0;
    }
    false
}

fn credit(first: &Transaction, key: &RecordKey, reason: CreditReason, totals: Totals, order: &Order, form: &Form) -> CreditNote {
    let none = || Charge::none(order.currency);
    CreditNote {
        key: key.clone(),
        id: ExternalId::new(format!("p{}", first.id)),
        number: format!("{}-P{}", order.number, first.id),
        order: Some(order.number.clone()),
        of_return: None,
        goods: None,
        reason,
        status: CreditStatus::Issued,
        issued_at: first.asked_at,
        issued_on: first.asked_at.to_zoned(form.zones.books_of(&order.market.id).clone()).date(),
        updated_at: first.at,
        buyer: order.customer.as_ref().map(|customer| customer.id.to_string()),
        currency: order.currency,
        lines: Vec::new(),
        discounts: Vec::new(),
        shipping: none(),
        handling: none(),
        fee: none(),
        goodwill: none(),
        totals,
        comment: None,
        sale: None,
    }
}

/// Money for no goods: its tax is the order's share of tax, so that net and tax make the amount to the cent.
fn goodwill(first: &Transaction, key: &RecordKey, amount: Money, order: &Order, form: &Form) -> Option<CreditNote> {
    let (whole, tax) = (order.totals.gross.decimal(), order.totals.tax.decimal());
    let share = amount.decimal().checked_mul(tax).and_then(|product| product.checked_div(whole)).unwrap_or_default();
    let tax = Money::rounded(share, order.currency, Rounding::HalfUp).ok()?;
    let net = amount.minus(tax).ok()?;
    let totals = Totals { net, tax, gross: amount };
    let mut note = credit(first, key, CreditReason::Goodwill, totals, order, form);
    note.goodwill = Charge { net, tax, rate: only_rate(order) };
    Some(note)
}

/// The rate of the order, where all of its lines have one.
fn only_rate(order: &Order) -> Option<Decimal> {
    let mut rates = order.priced_lines().filter(|line| !line.net.is_zero()).map(|line| match line.taxes.as_slice() {
        [] => Some(Decimal::ZERO),
        [only] => Some(only.rate),
        _ => None,
    });
    let first = rates.next()??;
    rates.all(|rate| rate == Some(first)).then_some(first)
}

fn for_units(
    first: &Transaction,
    key: &RecordKey,
    order: &Order,
    lines: Vec<(Cancelled, u32)>,
    form: &Form,
) -> Option<CreditNote> {
    let times = |unit: Money, units: u32| {
        let minor = unit.minor().checked_mul(units.into())?;
        Some(Money::from_minor(minor, order.currency))
    };
    let made: Option<Vec<CreditLine>> = lines
        .into_iter()
        .map(|(of, units)| {
            let gross = times(of.unit_gross, units)?;
            // A net price may be finer than a cent: the line's is rounded, not the unit's.
            let exact = of.line.unit_net.checked_mul(Decimal::from(units));
            let net = exact.and_then(|exact| Money::rounded(exact, order.currency, Rounding::HalfUp).ok());
            let net = net.or_else(|| times(of.unit_net, units))?;
            let tax = gross.minus(net).ok()?;
            let mut line = CreditLine { quantity: units, net, tax, ..of.line };
            let is_taxed = !tax.is_zero() || line.taxes.iter().any(|one| !one.rate.is_zero());
            line.taxes = line.taxes.into_iter().filter(|_| is_taxed).map(|one| TaxLine { amount: tax, ..one }).collect();
            line.sold = vec![SoldPart { order: order.number.clone(), line: line.id.clone(), quantity: units, net, tax }];
            Some(line)
        })
        .collect();
    let made = made?;
    let net = Money::sum(order.currency, made.iter().map(|line| line.net)).ok()?;
    let tax = Money::sum(order.currency, made.iter().map(|line| line.tax)).ok()?;
    let totals = Totals { net, tax, gross: net.plus(tax).ok()? };
    let mut note = credit(first, key, CreditReason::Cancellation, totals, order, form);
    note.lines = made;
    Some(note)
}
