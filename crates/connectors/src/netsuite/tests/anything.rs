//! What must hold for any order and any bytes.

use proptest::prelude::*;
use selvedge_model::{RecordKey, Sku};

use super::{super::settings::ShippingForm, *};

pub(super) fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::from),
        "-?[0-9]{1,40}(\\.[0-9]{1,40})?(e-?[0-9]{1,3})?".prop_map(|text| serde_json::from_str(&text).unwrap_or(Value::Null)),
        "\\PC{0,12}".prop_map(Value::String),
        prop::sample::select(vec!["so_1", "L1", "SHIPPING", "SEK", "4", "98", "500", "H", "2026-02-03", "T", "Discount"])
            .prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 5, |inner| {
        let names = vec![
            "id",
            "item",
            "items",
            "amount",
            "quantity",
            "rate",
            "taxDetails",
            "taxDetailsReference",
            "taxAmount",
            "taxRate",
            "currency",
            "refName",
            "externalId",
            "status",
            "tranDate",
            "total",
            "taxTotal",
            "shippingCost",
            "discountTotal",
            "handlingCost",
            "isClosed",
            "line",
            "shippingAddress",
            "country",
            "hasMore",
        ];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
            prop::collection::vec((prop::sample::select(names), inner), 0..8)
                .prop_map(|pairs| { Value::Object(pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),) }),
        ]
    })
}

/// Puts something else in the place of the n-th node.
pub(super) fn swap(value: &mut Value, n: &mut usize, other: &Value) {
    if *n == 0 {
        *value = other.clone();
    }
    *n = n.wrapping_sub(1);
    match value {
        Value::Object(map) => map.values_mut().for_each(|inner| swap(inner, n, other)),
        Value::Array(items) => items.iter_mut().for_each(|inner| swap(inner, n, other)),
        _ => {}
    }
}

const RATES: [&str; 4] = ["0", "6", "12.5", "25"];

fn any_order() -> impl Strategy<Value = Order> {
    let any_line = (1..9_u32, 0..200_000_i64, 0..RATES.len(), 0..40_000_i64, 0..4_u8);
    let charge = (0..9_000_i64, 0..2_000_i64, 0..RATES.len() + 2);
    let discount = (1..9_000_i64, 0..2_000_i64, any::<bool>());
    (prop::collection::vec(any_line, 1..6), charge.clone(), charge, prop::collection::vec(discount, 0..4)).prop_map(
        |(lines, shipping, handling, discounts)| {
            let mut order = bare("1", "SEK");
            let sek = |minor: i64| Money::from_minor(minor, order.currency);
            order.lines = lines
                .into_iter()
                .enumerate()
                .map(|(index, (quantity, net, rate, tax, taxes))| {
                    let taxes: Vec<TaxLine> = (0..taxes.min(2))
                        .map(|_| TaxLine {
                            name: "VAT".into(),
                            rate: RATES[rate].parse().unwrap(),
                            amount: sek(if rate == 0 { 0 } else { tax }),
                        })
                        .collect();
                    OrderLine {
                        id: ExternalId::new(format!("{index}")),
                        kind: LineKind::Product,
                        bundle: None,
                        recipe: None,
                        sku: Sku::new(format!("SKU {index}")),
                        name: String::new(),
                        quantity,
                        cancelled: 0,
                        unit_net: Decimal::ZERO,
                        net: sek(net),
                        tax: Money::sum(order.currency, taxes.iter().map(|t| t.amount)).unwrap(),
                        taxes,
                    }
                })
                .collect();
            let taxed = order.lines.iter().any(|l| l.net.minor() > 0 && l.taxes.iter().any(|t| !t.rate.is_zero()));
            let charge = |(net, tax, rate): (i64, i64, usize)| {
                let rate = RATES.get(rate).map(|r| r.parse().unwrap());
                let tax = if net > 0 && (taxed || rate.is_some()) { tax } else { 0 };
                Charge { net: sek(net), tax: sek(tax), rate }
            };
            order.shipping_charge = charge(shipping);
            order.handling_charge = charge(handling);
            order.discounts = discounts
                .into_iter()
                .map(|(net, tax, tender)| Discount {
                    name: "V".into(),
                    tender,
                    net: sek(net),
                    tax: sek(if taxed { tax } else { 0 }),
                    rate: None,
                })
                .collect();
            order.shipping_method = Some(named("7", "Express"));
            order.shipping = Some(address("A", "B", "C 1", "D", "1", "SE"));
            sum_up(order)
        },
    )
}

proptest! {
    #[test]
    fn decoding_and_changing_never_panic(value in any_json(), at in 0..120_usize) {
        let form = Form::default();
        let order = order_de();
        let values = words(&order, &form);
        let mut mutated: Value = serde_json::from_slice(&stored(&put(&order, &values, None, &form).body, "7").body).unwrap();
        swap(&mut mutated, &mut at.clone(), &value);
        for document in [value, mutated] {
            let raw = raw(&document, "7");
            let decoded = decode::order(&raw, &values, &form);
            prop_assert!(decoded.record.is_some() || !decoded.problems.is_empty());
            let _ = decode::customer(&raw, &values, &form);
            let _ = encode::order(&order, &values, Some(&raw), &form);
            let _ = encode::order(&Order { status: OrderStatus::Cancelled, ..order.clone() }, &values, Some(&raw), &form);
            let _ = encode::customer(&customer(), &customer_words(), Some(&raw), &form);
        }
    }

    #[test]
    fn any_order_reads_back_the_same_to_the_cent(order in any_order(), as_line in any::<bool>()) {
        let form = Form { shipping: if as_line { ShippingForm::Line } else { ShippingForm::Header }, ..Form::default() };
        let values = words(&order, &form);
        let request = put(&order, &values, None, &form);
        let body = &request.body;
        prop_assert_eq!(sum_of(wire::rows(body, "taxDetails"), "taxAmount"), order.totals.tax.decimal());
        let references: std::collections::BTreeSet<_> = wire::rows(body, "item").iter().map(|row| wire::text(row, "taxDetailsReference")).collect();
        prop_assert_eq!(references.len(), wire::rows(body, "item").len());
        let raw = stored(body, "7");
        prop_assert_eq!(differences(&order, &raw, &values, &form), vec![]);
        prop_assert_eq!(encode::order(&order, &values, Some(&raw), &form), Ok(Encoded::Nothing));
    }

    #[test]
    fn any_key_is_an_external_id_and_back(key in "\\PC{1,20}") {
        let id = wire::external_id("so_", &key);
        prop_assert!(id.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-'));
        let back = wire::key_of_external_id("so_", &id).map(RecordKey::new);
        prop_assert_eq!(back, Some(RecordKey::new(key)));
    }
}
