//! Two records → typed differences.

mod returns;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    money::Money,
    records::{
        Address, AnyRecord, Customer, LineKind, Order, OrderLine, OrderStatus, Product, ProductField, ProductFields, Shipment,
        ShipmentLine,
    },
};

/// What kind of disagreement it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// The target has nothing.
    Missing,
    /// The target has something that nobody owes it.
    Orphan,
    /// The target has it more than once.
    Duplicate,
    /// Another item.
    Sku,
    /// Another number of units.
    Quantity,
    /// Another amount without tax.
    Price,
    /// Another reduction.
    Discount,
    /// Another rate of tax.
    TaxRate,
    /// Same rate, another cent.
    TaxRounding,
    /// Another shipping charge or method.
    Shipping,
    /// Another currency.
    Currency,
    /// Another mapped value (subsidiary, location, payment method).
    Mapping,
    /// Another day.
    Timing,
    /// Another address, name or reference.
    Party,
    /// Open here and closed there, or the other way round.
    Status,
}

/// Two sides disagree on one field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Difference {
    /// What kind of disagreement.
    pub cause: Cause,
    /// Where: `lines[2].tax`, `shipping.country`.
    pub path: String,
    /// What we say.
    pub expected: Option<String>,
    /// What the target says.
    pub actual: Option<String>,
    /// How much money it moves (actual minus expected), where it moves any.
    pub money: Option<Money>,
}

/// The fields of a record that a system carries. What it does not carry is not compared. The
/// default carries nothing but the key, the items and their units.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Carries {
    /// Amounts: net per line, discounts, totals.
    pub amounts: bool,
    /// Tax per line, and not only in total.
    pub line_tax: bool,
    /// The delivery address.
    pub shipping_address: bool,
    /// The invoice address.
    pub billing_address: bool,
    /// The shopper's account.
    pub customer: bool,
    /// Whether the order is open or cancelled.
    pub status: bool,
    /// The shipping charge apart from the lines.
    pub shipping_charge: bool,
    /// The day of the order.
    pub placed_on: bool,
    /// Tracking numbers.
    pub tracking: bool,
    /// Whether a shipment's money was taken.
    pub captured: bool,
    /// Bundles as one line of a shipment, counted whole with the last of their components.
    pub bundles: bool,
    /// What becomes of returned goods.
    pub disposition: bool,
    /// The payment provider's transaction id of a refund.
    pub reference: bool,
    /// Fields of a product.
    pub product: ProductFields,
}

/// What disagrees between what we owe and what the target holds. An empty answer is what
/// "confirmed" means. Lines are aligned by content, not by position: systems reorder and renumber.
pub fn compare(expected: &AnyRecord, actual: &AnyRecord, carries: Carries) -> Vec<Difference> {
    let mut found = Found(Vec::new());
    match (expected, actual) {
        (AnyRecord::Order(expected), AnyRecord::Order(actual)) => compare_orders(expected, actual, carries, &mut found),
        (AnyRecord::Customer(expected), AnyRecord::Customer(actual)) => compare_customers(expected, actual, &mut found),
        (AnyRecord::Product(expected), AnyRecord::Product(actual)) => {
            compare_products(expected, actual, carries.product, &mut found);
        }
        (AnyRecord::Shipment(expected), AnyRecord::Shipment(actual)) => {
            compare_shipments(expected, actual, carries, &mut found);
        }
        (AnyRecord::Return(expected), AnyRecord::Return(actual)) => returns::goods(expected, actual, carries, &mut found),
        (AnyRecord::CreditNote(expected), AnyRecord::CreditNote(actual)) => {
            returns::credit(expected, actual, carries, &mut found);
        }
        (AnyRecord::Refund(expected), AnyRecord::Refund(actual)) => returns::refund(expected, actual, carries, &mut found),
        _ => found.text(Cause::Missing, "kind", expected.kind().word(), actual.kind().word()),
    }
    found.0
}

struct Found(Vec<Difference>);

impl Found {
    fn add(
        &mut self,
        cause: Cause,
        path: impl Into<String>,
        expected: Option<String>,
        actual: Option<String>,
        money: Option<Money>,
    ) {
        self.0.push(Difference { cause, path: path.into(), expected, actual, money });
    }

    fn text(&mut self, cause: Cause, path: impl Into<String>, expected: &str, actual: &str) {
        if expected.trim() != actual.trim() {
            self.add(cause, path, Some(expected.trim().to_owned()), Some(actual.trim().to_owned()), None);
        }
    }

    /// A field that our side does not have says nothing about theirs.
    fn optional(&mut self, path: &str, expected: Option<&String>, actual: Option<&String>) {
        let expected = expected.map(|text| text.trim()).filter(|text| !text.is_empty());
        let actual = actual.map(|text| text.trim()).filter(|text| !text.is_empty());
        if let Some(expected) = expected
            && actual != Some(expected)
        {
            self.add(Cause::Party, path, Some(expected.to_owned()), actual.map(str::to_owned), None);
        }
    }

    /// A value that our side must have, and theirs alike.
    fn value<T: PartialEq + ToString>(&mut self, cause: Cause, path: &str, expected: Option<T>, actual: Option<T>) {
        if expected != actual {
            self.add(cause, path, expected.map(|v| v.to_string()), actual.map(|v| v.to_string()), None);
        }
    }

    fn money(&mut self, cause: Cause, path: impl Into<String>, expected: Money, actual: Money) {
        if expected != actual {
            self.add(cause, path, Some(expected.to_string()), Some(actual.to_string()), actual.minus(expected).ok());
        }
    }
}

fn compare_orders(expected: &Order, actual: &Order, carries: Carries, found: &mut Found) {
    found.text(Cause::Party, "number", expected.number.as_str(), actual.number.as_str());
    let (cancelled, there) = (expected.status == OrderStatus::Cancelled, actual.status == OrderStatus::Cancelled);
    if carries.status && cancelled != there {
        let word = |cancelled: bool| Some(if cancelled { "cancelled" } else { "open" }.to_owned());
        found.add(Cause::Status, "status", word(cancelled), word(there), None);
    }
    if cancelled && there {
        // What a closed document says about its lines moves no money any more.
        return;
    }
    if carries.amounts && expected.currency != actual.currency {
        found.text(Cause::Currency, "currency", expected.currency.code(), actual.currency.code());
        return;
    }
    if carries.amounts {
        compare_lines(expected, actual, carries, found);
        compare_sums(expected, actual, carries, found);
    } else {
        compare_units(expected, actual, found);
    }
    if carries.placed_on {
        found.text(Cause::Timing, "placed_on", &expected.placed_on.to_string(), &actual.placed_on.to_string());
    }
    if carries.shipping_address {
        compare_addresses("shipping", expected.shipping.as_ref(), actual.shipping.as_ref(), found);
    }
    if carries.billing_address {
        compare_addresses("billing", expected.billing.as_ref(), actual.billing.as_ref(), found);
    }
    if carries.customer
        && let (Some(expected), Some(actual)) = (&expected.customer, &actual.customer)
    {
        found.text(Cause::Party, "customer", expected.key.as_str(), actual.key.as_str());
    }
}

/// Pairs the lines up: first those that agree on everything that counts, then by SKU, the rest in order.
fn compare_lines(expected: &Order, actual: &Order, carries: Carries, found: &mut Found) {
    let mut theirs: Vec<&OrderLine> = actual.priced_lines().collect();
    let mut take = |fits: &dyn Fn(&OrderLine) -> bool| theirs.iter().position(|line| fits(line)).map(|at| theirs.remove(at));
    let ours: Vec<(usize, &OrderLine)> =
        expected.lines.iter().enumerate().filter(|(_, line)| line.kind != LineKind::BundleItem).collect();
    let mut pairs: Vec<Option<&OrderLine>> = vec![None; ours.len()];
    let rounds: [fn(&OrderLine, &OrderLine, bool) -> bool; 4] = [
        |a, b, tax| a.sku == b.sku && a.quantity == b.quantity && a.net == b.net && (!tax || a.tax == b.tax),
        |a, b, _| a.sku == b.sku && a.quantity == b.quantity && a.net == b.net,
        |a, b, _| a.sku == b.sku,
        |_, _, _| true,
    ];
    for fits in rounds {
        for (pair, (_, line)) in pairs.iter_mut().zip(&ours).filter(|(pair, _)| pair.is_none()) {
            *pair = take(&|other| fits(line, other, carries.line_tax));
        }
    }
    for (pair, (index, line)) in pairs.iter().zip(&ours) {
        let path = |field: &str| format!("lines[{index}].{field}");
        match pair {
            None => found.add(Cause::Missing, format!("lines[{index}]"), Some(describe(line)), None, line.net.negated().ok()),
            Some(other) => {
                found.text(Cause::Sku, path("sku"), line.sku.as_str(), other.sku.as_str());
                found.text(Cause::Quantity, path("quantity"), &line.quantity.to_string(), &other.quantity.to_string());
                found.money(Cause::Price, path("net"), line.net, other.net);
                if carries.line_tax && line.tax != other.tax {
                    found.money(tax_cause(line, other), path("tax"), line.tax, other.tax);
                }
            }
        }
    }
    for other in theirs {
        found.add(Cause::Orphan, "lines", None, Some(describe(other)), Some(other.net));
    }
}

/// Units per item: a system that keeps no amounts may take lines apart and put them together as it picks them.
fn compare_units(expected: &Order, actual: &Order, found: &mut Found) {
    let units = |order: &Order| {
        let mut units: BTreeMap<String, u64> = BTreeMap::new();
        for line in order.priced_lines() {
            *units.entry(line.sku.to_string()).or_default() += u64::from(line.quantity);
        }
        units
    };
    let (ours, theirs) = (units(expected), units(actual));
    for sku in ours.keys().chain(theirs.keys().filter(|sku| !ours.contains_key(*sku))) {
        let of = |side: &BTreeMap<String, u64>| side.get(sku).copied();
        found.value(Cause::Quantity, &format!("lines {sku}"), of(&ours), of(&theirs));
    }
}

fn describe(line: &OrderLine) -> String {
    format!("{} × {} = {}", line.quantity, line.sku, line.net)
}

/// Another cent at the same rate is rounding; more than a cent, or another rate, is the rate.
fn tax_cause(ours: &OrderLine, theirs: &OrderLine) -> Cause {
    let rates =
        |line: &OrderLine| line.taxes.iter().map(|t| t.rate.normalize()).filter(|rate| !rate.is_zero()).collect::<Vec<_>>();
    let cents = ours.tax.minor().saturating_sub(theirs.tax.minor()).saturating_abs();
    if rates(ours) != rates(theirs) && !theirs.taxes.is_empty() || cents > 1 { Cause::TaxRate } else { Cause::TaxRounding }
}

fn compare_sums(expected: &Order, actual: &Order, carries: Carries, found: &mut Found) {
    let discounts = |order: &Order| Money::sum(order.currency, order.discounts.iter().map(|d| d.net));
    if let (Ok(ours), Ok(theirs)) = (discounts(expected), discounts(actual)) {
        found.money(Cause::Discount, "discounts", ours, theirs);
    }
    if carries.shipping_charge {
        found.money(Cause::Shipping, "shipping_charge.net", expected.shipping_charge.net, actual.shipping_charge.net);
        found.money(Cause::Shipping, "handling_charge.net", expected.handling_charge.net, actual.handling_charge.net);
    }
    // The sums follow from the parts; they are compared for what no part explains.
    if found.0.iter().all(|d| d.money.is_none()) {
        found.money(Cause::TaxRounding, "totals.tax", expected.totals.tax, actual.totals.tax);
        found.money(Cause::Price, "totals.gross", expected.totals.gross, actual.totals.gross);
    }
}

fn compare_addresses(name: &str, expected: Option<&Address>, actual: Option<&Address>, found: &mut Found) {
    let Some(ours) = expected else { return };
    let nothing = Address::default();
    let theirs = actual.unwrap_or(&nothing);
    for (field, ours, theirs) in [
        ("line1", &ours.line1, &theirs.line1),
        ("line2", &ours.line2, &theirs.line2),
        ("postcode", &ours.postcode, &theirs.postcode),
        ("city", &ours.city, &theirs.city),
        ("country", &ours.country, &theirs.country),
    ] {
        found.optional(&format!("{name}.{field}"), ours.as_ref(), theirs.as_ref());
    }
}

fn compare_products(expected: &Product, actual: &Product, fields: ProductFields, found: &mut Found) {
    found.text(Cause::Sku, "sku", expected.sku.as_str(), actual.sku.as_str());
    let trimmed = |text: &Option<String>| text.as_deref().map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned);
    for field in ProductField::ALL.into_iter().filter(|field| fields.and(expected.owned).has(*field)) {
        let path = field.word();
        match field {
            ProductField::Name => found.text(Cause::Party, path, &expected.name, &actual.name),
            ProductField::Barcode => {
                found.value(Cause::Party, path, trimmed(&expected.barcode), trimmed(&actual.barcode));
            }
            ProductField::Weight => found.value(Cause::Party, path, expected.weight_grams, actual.weight_grams),
            ProductField::HsCode => found.value(Cause::Party, path, trimmed(&expected.hs_code), trimmed(&actual.hs_code)),
            ProductField::Origin => found.value(Cause::Party, path, trimmed(&expected.origin), trimmed(&actual.origin)),
            ProductField::Active => found.value(Cause::Status, path, Some(expected.active), Some(actual.active)),
            ProductField::Price => {
                for price in &expected.prices {
                    let same = |other: &&crate::records::Price| {
                        other.list.id == price.list.id && other.amount.currency() == price.amount.currency()
                    };
                    if let Some(theirs) = actual.prices.iter().find(same) {
                        found.money(Cause::Price, format!("price {}", price.list.name), price.amount, theirs.amount);
                    }
                }
            }
            ProductField::Recipe => {
                let told = |product: &Product| {
                    let mut parts: Vec<String> =
                        product.recipe.iter().map(|part| format!("{} × {}", part.units, part.sku)).collect();
                    parts.sort();
                    (!parts.is_empty()).then(|| parts.join(", "))
                };
                found.value(Cause::Quantity, path, told(expected), told(actual));
            }
        }
    }
}

/// Units are compared per line of the order where both sides name lines, else per item.
fn compare_shipments(expected: &Shipment, actual: &Shipment, carries: Carries, found: &mut Found) {
    found.text(Cause::Party, "order", expected.order.as_str(), actual.order.as_str());
    if carries.status && expected.status != actual.status {
        found.text(Cause::Status, "status", expected.status.word(), actual.status.word());
    }
    let whole = carries.bundles.then(|| with_whole_bundles(expected));
    let expected = whole.as_ref().unwrap_or(expected);
    let by_line = [expected, actual].iter().all(|one| one.lines.iter().all(|line| line.order_line.is_some()));
    let units = |shipment: &Shipment| {
        let mut units: BTreeMap<String, u64> = BTreeMap::new();
        for line in &shipment.lines {
            let key = match &line.order_line {
                Some(id) if by_line => format!("line {id}"),
                _ => line.sku.to_string(),
            };
            *units.entry(key).or_default() += u64::from(line.quantity);
        }
        units
    };
    let (ours, theirs) = (units(expected), units(actual));
    for key in ours.keys().chain(theirs.keys().filter(|key| !ours.contains_key(*key))) {
        let of = |side: &BTreeMap<String, u64>| side.get(key).copied();
        found.value(Cause::Quantity, &format!("lines {key}"), of(&ours), of(&theirs));
    }
    if carries.tracking {
        let told = |shipment: &Shipment| {
            let mut numbers = shipment.tracking();
            numbers.sort_unstable();
            (!numbers.is_empty()).then(|| numbers.join(", "))
        };
        found.value(Cause::Shipping, "tracking", told(expected), told(actual));
    }
    if carries.captured && expected.captured.is_some() {
        found.value(Cause::Status, "captured", expected.captured, actual.captured);
    }
}

/// The shipment with the bundles that it completes in the place of their components.
fn with_whole_bundles(shipment: &Shipment) -> Shipment {
    let mut whole = shipment.clone();
    whole.lines.retain(|line| shipment.bundle_of(line).is_none());
    let complete = shipment.bundles.iter().filter(|bundle| bundle.quantity > 0);
    whole.lines.extend(complete.map(|bundle| ShipmentLine {
        order_line: Some(bundle.line.clone()),
        sku: bundle.sku.clone(),
        quantity: bundle.quantity,
    }));
    whole
}

fn compare_customers(expected: &Customer, actual: &Customer, found: &mut Found) {
    found.text(Cause::Party, "key", expected.key.as_str(), actual.key.as_str());
    found.optional("email", expected.email.as_ref(), actual.email.as_ref());
    found.optional("first_name", expected.first_name.as_ref(), actual.first_name.as_ref());
    found.optional("last_name", expected.last_name.as_ref(), actual.last_name.as_ref());
    found.optional("company", expected.company.as_ref(), actual.company.as_ref());
}

#[cfg(test)]
mod tests {
    use rust_decimal::Decimal;

    use super::*;
    use crate::{
        Currency, ExternalId, RecordKey, Sku,
        records::{Charge, Discount, Named, TaxLine, TaxMode, Totals},
    };

    const EVERYTHING: Carries = Carries {
        amounts: true,
        line_tax: true,
        shipping_address: true,
        billing_address: true,
        customer: true,
        status: true,
        shipping_charge: true,
        placed_on: true,
        tracking: true,
        captured: true,
        bundles: true,
        disposition: true,
        reference: true,
        product: ProductFields::ALL,
    };

    fn eur(minor: i64) -> Money {
        Money::from_minor(minor, Currency::from_code("EUR").unwrap())
    }

    fn line(sku: &str, quantity: u32, net: i64, tax: i64) -> OrderLine {
        OrderLine {
            id: ExternalId::new(sku),
            kind: LineKind::Product,
            bundle: None,
            recipe: None,
            sku: Sku::new(sku),
            name: "Coat".into(),
            quantity,
            cancelled: 0,
            unit_net: eur(net).decimal() / Decimal::from(quantity),
            net: eur(net),
            tax: eur(tax),
            taxes: vec![TaxLine { name: "VAT".into(), rate: Decimal::from(25), amount: eur(tax) }],
        }
    }

    fn order() -> Order {
        let address = Address { line1: Some("Gatan 1".into()), city: Some("Lund".into()), ..Address::default() };
        Order {
            number: RecordKey::new("1001"),
            id: ExternalId::new("1001"),
            placed_at: "2026-02-03T09:00:00Z".parse().unwrap(),
            updated_at: "2026-02-03T09:00:00Z".parse().unwrap(),
            placed_on: jiff::civil::date(2026, 2, 3),
            status: OrderStatus::Confirmed,
            holds: Vec::new(),
            internal: false,
            currency: Currency::from_code("EUR").unwrap(),
            tax_mode: TaxMode::Added,
            store: Named { id: "1".into(), name: "Web".into() },
            market: Named { id: "1".into(), name: "Sweden".into() },
            customer: None,
            billing: Some(address.clone()),
            shipping: Some(address),
            lines: vec![line("A", 2, 20_000, 5_000), line("B", 1, 10_000, 2_500), line("A", 1, 10_000, 2_500)],
            discounts: vec![Discount { name: "SALE".into(), tender: false, net: eur(1_000), tax: eur(250), rate: None }],
            shipping_method: None,
            shipping_charge: Charge { net: eur(400), ..Charge::none(Currency::from_code("EUR").unwrap()) },
            handling_charge: Charge::none(Currency::from_code("EUR").unwrap()),
            payment_method: None,
            payments: Vec::new(),
            totals: Totals { net: eur(39_400), tax: eur(9_850), gross: eur(49_250) },
            comment: None,
            weight_grams: None,
            dispatch_by: None,
        }
    }

    fn causes(expected: &Order, actual: &Order) -> Vec<Cause> {
        let record = |order: &Order| AnyRecord::Order(Box::new(order.clone()));
        compare(&record(expected), &record(actual), EVERYTHING).into_iter().map(|difference| difference.cause).collect()
    }

    #[test]
    fn the_same_in_another_order_is_equal() {
        let ours = order();
        let mut theirs = order();
        theirs.lines.reverse();
        assert_eq!(causes(&ours, &theirs), []);
    }

    #[test]
    fn every_change_is_noticed_and_named() {
        type Case = (fn(&mut Order), Cause);
        let ours = order();
        let cases: [Case; 16] = [
            (|o| o.number = RecordKey::new("1002"), Cause::Party),
            (|o| o.status = OrderStatus::Cancelled, Cause::Status),
            (|o| o.currency = Currency::from_code("SEK").unwrap(), Cause::Currency),
            (|o| o.placed_on = jiff::civil::date(2026, 2, 4), Cause::Timing),
            (|o| o.lines[1].sku = Sku::new("C"), Cause::Sku),
            (|o| o.lines[1].quantity = 2, Cause::Quantity),
            (|o| o.lines[1].net = eur(10_001), Cause::Price),
            (|o| o.lines[1].tax = eur(2_501), Cause::TaxRounding),
            (|o| o.lines[1].taxes[0].rate = Decimal::from(12), Cause::TaxRate),
            (|o| drop(o.lines.pop()), Cause::Missing),
            (|o| o.lines.push(line("A", 1, 10_000, 2_500)), Cause::Orphan),
            (|o| o.discounts.clear(), Cause::Discount),
            (|o| o.shipping_charge.net = eur(0), Cause::Shipping),
            (|o| o.totals.tax = eur(9_851), Cause::TaxRounding),
            (|o| o.totals.gross = eur(49_251), Cause::Price),
            (|o| o.shipping.as_mut().unwrap().city = Some("Malmö".into()), Cause::Party),
        ];
        for (number, (change, cause)) in cases.into_iter().enumerate() {
            let mut theirs = order();
            change(&mut theirs);
            if cause == Cause::TaxRate {
                theirs.lines[1].tax = eur(1_200);
            }
            assert!(causes(&ours, &theirs).contains(&cause), "case {number}: {:?} is not {cause:?}", causes(&ours, &theirs));
        }
    }

    #[test]
    fn without_amounts_only_units_per_item_count() {
        let (ours, mut theirs) = (order(), order());
        theirs.lines = vec![line("A", 1, 1, 0), line("B", 1, 2, 0), line("A", 2, 0, 0)];
        let record = |order: &Order| AnyRecord::Order(Box::new(order.clone()));
        let carries = Carries { status: true, ..Carries::default() };
        assert_eq!(compare(&record(&ours), &record(&theirs), carries), []);
        theirs.lines.pop();
        let found = compare(&record(&ours), &record(&theirs), carries);
        assert_eq!((found.len(), found[0].cause, found[0].path.as_str()), (1, Cause::Quantity, "lines A"));
    }

    #[test]
    fn what_a_system_does_not_carry_is_not_held_against_it() {
        let (ours, mut theirs) = (order(), order());
        theirs.shipping = None;
        theirs.lines[0].tax = eur(0);
        let record = |order: &Order| AnyRecord::Order(Box::new(order.clone()));
        let carries = Carries { line_tax: false, shipping_address: false, ..EVERYTHING };
        assert_eq!(compare(&record(&ours), &record(&theirs), carries), []);
    }
}
