//! Small records and a small world for the tests of this crate.

use jiff::Timestamp;
use rust_decimal::Decimal;
use selvedge_model::{
    AnyRecord, Brand, ConnectionName, Currency, Customer, FlowName, Kind, Money, ObligationId, Order, Product,
    records::{Address, Charge, LineKind, Named, OrderLine, OrderStatus, ProductFields, TaxMode, Totals},
};

use crate::{
    Result, Store, Tx,
    obligations::{FlowSide, NewObligation},
    records::{NewRecord, Recorded},
};

pub(crate) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

pub(crate) fn now() -> Timestamp {
    at(100)
}

pub(crate) fn brand() -> Brand {
    "brand".into()
}

pub(crate) fn connection(name: &str) -> ConnectionName {
    name.into()
}

pub(crate) fn flow() -> FlowName {
    "orders".into()
}

pub(crate) async fn memory() -> Store {
    Store::open("sqlite::memory:").await.unwrap()
}

pub(crate) fn customer(key: &str) -> Customer {
    Customer {
        key: key.into(),
        id: "12".into(),
        email: Some("ada@example.com".into()),
        first_name: Some("Ada".into()),
        last_name: Some("Lovelace".into()),
        company: None,
        market: Named { id: "2".into(), name: "Sweden".into() },
        store: Named::default(),
        currency: Currency::from_code("EUR").unwrap(),
    }
}

pub(crate) fn product(sku: &str) -> Product {
    Product {
        sku: sku.into(),
        id: "7".into(),
        updated_at: at(1),
        name: "Coat".into(),
        style: Named::default(),
        variant: None,
        size: None,
        active: true,
        barcode: None,
        weight_grams: None,
        hs_code: None,
        origin: None,
        brand: None,
        collections: Vec::new(),
        prices: Vec::new(),
        recipe: Vec::new(),
        owned: ProductFields::ALL,
    }
}

/// An order of one line that costs so many cents.
pub(crate) fn order(number: &str, cents: i64) -> Order {
    let currency = Currency::from_code("EUR").unwrap();
    let amount = Money::from_minor(cents, currency);
    let zero = Money::zero(currency);
    Order {
        number: number.into(),
        id: number.into(),
        placed_at: at(1),
        updated_at: at(1),
        placed_on: jiff::civil::date(1970, 1, 1),
        status: OrderStatus::Confirmed,
        holds: Vec::new(),
        internal: false,
        currency,
        tax_mode: TaxMode::Included,
        store: Named::default(),
        market: Named { id: "2".into(), name: "Sweden".into() },
        customer: Some(customer("12-2")),
        billing: None,
        shipping: Some(Address {
            first_name: Some("Grace".into()),
            last_name: Some("Hopper".into()),
            country: Some("SE".into()),
            ..Address::default()
        }),
        lines: vec![OrderLine {
            id: "1".into(),
            kind: LineKind::Product,
            bundle: None,
            recipe: None,
            sku: "71053".into(),
            name: "White metal lantern".into(),
            quantity: 1,
            cancelled: 0,
            unit_net: Decimal::new(cents, 2),
            net: amount,
            tax: zero,
            taxes: Vec::new(),
        }],
        discounts: Vec::new(),
        shipping_method: None,
        shipping_charge: Charge::none(currency),
        handling_charge: Charge::none(currency),
        payment_method: None,
        payments: Vec::new(),
        totals: Totals { net: amount, tax: zero, gross: amount },
        comment: None,
        weight_grams: None,
        dispatch_by: None,
    }
}

pub(crate) fn new_record(record: impl Into<AnyRecord>, received: i64) -> NewRecord {
    NewRecord {
        brand: brand(),
        connection: connection("shop"),
        capture: None,
        record: record.into(),
        problems: Vec::new(),
        version: None,
        received_at: at(received),
    }
}

/// A store with one flow of orders out of `shop`.
pub(crate) struct World {
    pub(crate) store: Store,
}

impl World {
    pub(crate) async fn new() -> World {
        World { store: memory().await }
    }

    pub(crate) async fn tx<T: Send + 'static>(&self, work: impl FnOnce(&Tx<'_>) -> Result<T> + Send + 'static) -> T {
        self.store.write(work).await.unwrap()
    }

    /// A new revision of an order, captured and owed at second 100; worth its key in euro.
    pub(crate) async fn order(&self, key: &str) -> ObligationId {
        let key = key.to_owned();
        self.tx(move |tx| enter(tx, &key)).await
    }

    /// Owes once more what is owed already.
    pub(crate) async fn owe_again(&self, id: ObligationId) -> ObligationId {
        self.tx(move |tx| {
            let row = tx.obligation(id)?;
            let new = NewObligation {
                brand: brand(),
                flow: row.flow,
                kind: row.kind,
                key: row.key,
                record: row.record,
                revision: row.revision,
                captured_at: row.captured_at,
            };
            tx.owe(&new, at(500))
        })
        .await
    }

    pub(crate) fn side(&self) -> FlowSide {
        FlowSide { flow: flow(), from: connection("shop"), kind: Kind::Order, off: false }
    }

    /// The equation, which holds at every instant.
    pub(crate) async fn balanced(&self) {
        let side = self.side();
        let balance = self.store.read(move |view| view.balance(&brand(), &[side], None)).await.unwrap();
        assert_eq!(balance[0].difference(), 0, "{balance:?}");
    }
}

/// A new revision of an order, with its obligation.
pub(crate) fn enter(tx: &Tx<'_>, key: &str) -> Result<ObligationId> {
    let revisions = tx.revisions(&brand(), Kind::Order, &key.into())?.len();
    let mut order = order(key, 100 * key.parse::<i64>().unwrap());
    order.comment = Some(format!("revision {}", revisions + 1));
    let new = new_record(order, 100);
    let Recorded::Revision(record, revision) = tx.put_record(&new)? else { panic!("no news") };
    let new = NewObligation {
        brand: brand(),
        flow: flow(),
        kind: Kind::Order,
        key: key.into(),
        record,
        revision,
        captured_at: new.received_at,
    };
    tx.owe(&new, now())
}
