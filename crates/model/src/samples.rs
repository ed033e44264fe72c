//! Orders and products for the tests of this crate.

use rust_decimal::Decimal;

use crate::{
    CreditNote,
    id::{ExternalId, RecordKey, Sku},
    money::{Currency, Money},
    records::{
        Address, Charge, CreditReason, CreditStatus, LineKind, Named, Order, OrderLine, OrderStatus, Price, Product,
        ProductFields, TaxLine, TaxMode, Totals,
    },
};

pub fn eur(minor: i64) -> Money {
    Money::from_minor(minor, Currency::from_code("EUR").unwrap())
}

pub fn line(id: &str, sku: &str, quantity: u32, net: i64) -> OrderLine {
    let tax = eur(net / 4);
    OrderLine {
        id: ExternalId::new(id),
        kind: LineKind::Product,
        bundle: None,
        recipe: None,
        sku: Sku::new(sku),
        name: sku.to_owned(),
        quantity,
        cancelled: 0,
        unit_net: eur(net).decimal() / Decimal::from(quantity.max(1)),
        net: eur(net),
        tax,
        taxes: vec![TaxLine { name: "VAT".into(), rate: Decimal::from(25), amount: tax }],
    }
}

/// A bundle's line with the lines of its components, which carry no money of their own.
pub fn bundle(id: &str, bundles: u32, net: i64, parts: &[(&str, u32)]) -> Vec<OrderLine> {
    let whole = OrderLine { kind: LineKind::Bundle, ..line(id, &format!("SET-{id}"), bundles, net) };
    let item = |(nth, (sku, units)): (usize, &(&str, u32))| OrderLine {
        kind: LineKind::BundleItem,
        bundle: Some(ExternalId::new(id)),
        taxes: Vec::new(),
        tax: eur(0),
        ..line(&format!("{id}-{nth}"), sku, units * bundles, 0)
    };
    [whole].into_iter().chain(parts.iter().enumerate().map(item)).collect()
}

pub fn order(lines: Vec<OrderLine>) -> Order {
    let currency = Currency::from_code("EUR").unwrap();
    let at = "2026-02-03T09:00:00Z".parse().unwrap();
    let zero = eur(0);
    Order {
        number: RecordKey::new("1001"),
        id: ExternalId::new("1001"),
        placed_at: at,
        updated_at: at,
        placed_on: jiff::civil::date(2026, 2, 3),
        status: OrderStatus::Confirmed,
        holds: Vec::new(),
        internal: false,
        currency,
        tax_mode: TaxMode::Added,
        store: Named::default(),
        market: Named { id: "1".into(), name: "Sweden".into() },
        customer: None,
        billing: None,
        shipping: Some(Address { country: Some("SE".into()), ..Address::default() }),
        lines,
        discounts: Vec::new(),
        shipping_method: Some(Named { id: "9".into(), name: "Standard".into() }),
        shipping_charge: Charge::none(currency),
        handling_charge: Charge::none(currency),
        payment_method: None,
        payments: Vec::new(),
        totals: Totals { net: zero, tax: zero, gross: zero },
        comment: None,
        weight_grams: None,
        dispatch_by: None,
    }
}

/// A product with everything that a target may ask for.
/// What is credited for a sale: nothing yet.
pub fn credit(sale: Order) -> CreditNote {
    let (currency, at, day) = (sale.currency, sale.placed_at, sale.placed_on);
    CreditNote {
        key: RecordKey::new("1001:shop:r1"),
        id: ExternalId::new("r1"),
        number: "r1".to_owned(),
        order: Some(sale.number.clone()),
        of_return: None,
        goods: None,
        reason: CreditReason::Return,
        status: CreditStatus::Issued,
        issued_at: at,
        issued_on: day,
        updated_at: at,
        buyer: None,
        currency,
        lines: Vec::new(),
        discounts: Vec::new(),
        shipping: Charge::none(currency),
        handling: Charge::none(currency),
        fee: Charge::none(currency),
        goodwill: Charge::none(currency),
        totals: sale.totals,
        comment: None,
        sale: Some(Box::new(sale)),
    }
}

pub fn product(sku: &str) -> Product {
    Product {
        sku: Sku::new(sku),
        id: ExternalId::new("7"),
        updated_at: "2026-02-03T09:00:00Z".parse().unwrap(),
        name: "Coat Black M".into(),
        style: Named { id: "COAT".into(), name: "Coat".into() },
        variant: Some(Named { id: "BLK".into(), name: "Black".into() }),
        size: Some("M".into()),
        active: true,
        barcode: Some("4006381333931".into()),
        weight_grams: Some(900),
        hs_code: Some("6202.40".into()),
        origin: Some("PT".into()),
        brand: None,
        collections: Vec::new(),
        prices: vec![Price { list: Named { id: "1".into(), name: "Euro".into() }, market: None, amount: eur(19_900) }],
        recipe: Vec::new(),
        owned: ProductFields::ALL,
    }
}
