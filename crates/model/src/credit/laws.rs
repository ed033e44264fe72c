//! What must hold of credits, whatever the amounts and however they are cut.

use std::time::Duration;

use jiff::Timestamp;
use proptest::prelude::*;

use super::{
    CreditAmounts,
    halves::{Deadlines, Halves, Missing, Verdict, judge},
    settle::{Misfit, settle, settle_component, taxes_of},
    whole::{Portion, sold},
};
use crate::{
    id::{ExternalId, RecordKey, Sku},
    money::Money,
    pick::{Good, Goods},
    records::{
        Charge, CreditNote, CreditReason, CreditStatus, Disposition, PaymentStatus, Refund, Return, ReturnStatus, TaxLine,
        Tender, Totals,
    },
    samples::{bundle, eur, line, order},
};

fn portion(units: u32, net: i64, tax: i64) -> Portion {
    Portion { units, net: eur(net), tax: eur(tax) }
}

proptest! {
    /// However a line is cut, with a source that rounds each part as it likes by a cent: the parts sum to the whole, none
    /// takes more than is left, and one unit more is refused.
    #[test]
    fn parts_sum_to_the_whole(
        units in 1_u32..30,
        net in 0_i64..100_000,
        tax in 0_i64..25_000,
        cuts in prop::collection::vec((1_u32..8, -1_i64..2, -1_i64..2, any::<bool>()), 0..30),
    ) {
        let whole = portion(units, net, tax);
        let mut taken = portion(0, 0, 0);
        let rest = std::iter::once((units, 0, 0, false));
        for (cut, net_off, tax_off, is_stated) in cuts.into_iter().chain(rest) {
            let now = cut.min(units - taken.units);
            if now == 0 {
                break;
            }
            let due = settle(whole, taken, now, None, CreditAmounts::AsSold).unwrap();
            let stated = is_stated.then(|| (eur(due.net.minor() + net_off), eur(due.tax.minor() + tax_off)));
            let part = settle(whole, taken, now, stated, CreditAmounts::AsSold).unwrap();
            prop_assert_eq!(part.units, now);
            prop_assert!((part.net.minor() - due.net.minor()).abs() <= 1 && (part.tax.minor() - due.tax.minor()).abs() <= 1);
            taken = taken.plus(part).unwrap();
            prop_assert!(taken.net.minor() <= net && taken.tax.minor() <= tax, "{:?}", taken);
        }
        prop_assert_eq!(taken, whole);
        let refused = matches!(settle(whole, taken, 1, None, CreditAmounts::AsSold), Err(Misfit::Units { left: 0, .. }));
        prop_assert!(refused);
    }

    /// However a bundle comes back, by components whose prices the source knows, does not know or rounds: together they are
    /// worth the bundle.
    #[test]
    fn components_are_worth_their_bundle(
        bundles in 1_u32..5,
        net in 0_i64..50_000,
        per in prop::collection::vec((1_u32..4, 0_i64..100), 1..4),
        cuts in prop::collection::vec((0_usize..4, 1_u32..5, any::<bool>()), 0..30),
    ) {
        let names = ["A", "B", "C"];
        let parts: Vec<(&str, u32)> = per.iter().enumerate().map(|(at, (units, _))| (names[at], *units)).collect();
        let order = order(bundle("4", bundles, net, &parts));
        let goods: Goods = per
            .iter()
            .enumerate()
            .map(|(at, (_, price))| (Sku::new(names[at]), Good { price: Some((*price).into()), ..Good::default() }))
            .collect();
        let sold = sold(&order, &goods).unwrap();
        prop_assert_eq!(sold.iter().map(|one| one.whole.net.minor()).sum::<i64>(), order.lines[0].net.minor());
        prop_assert_eq!(sold.iter().map(|one| one.whole.tax.minor()).sum::<i64>(), order.lines[0].tax.minor());
        let all: u32 = sold.iter().map(|one| one.whole.units).sum();
        let whole = Portion { units: all, net: order.lines[0].net, tax: order.lines[0].tax };
        let mut taken = portion(0, 0, 0);
        let mut each = vec![0; sold.len()];
        let rest = (0..sold.len()).map(|at| (at, u32::MAX, false));
        for (at, cut, is_stated) in cuts.into_iter().filter(|(at, ..)| *at < sold.len()).collect::<Vec<_>>().into_iter().chain(rest) {
            let now = cut.min(sold[at].whole.units - each[at]);
            if now == 0 {
                continue;
            }
            // A source that shares by units and knows nothing of prices.
            let upto = |amount: Money, units: u32| amount.minor() * i64::from(units) / i64::from(all);
            let is_last = taken.units + now == all;
            let stated = (is_stated && !is_last).then(|| {
                let net = (upto(whole.net, now)).min(whole.net.minor() - taken.net.minor());
                let tax = (upto(whole.tax, now)).min(whole.tax.minor() - taken.tax.minor());
                (eur(net), eur(tax))
            });
            let part = settle_component(sold[at].whole, each[at], whole, taken, now, stated, CreditAmounts::AsSold).unwrap();
            taken = taken.plus(part).unwrap();
            each[at] += now;
            prop_assert!(taken.net.minor() <= whole.net.minor() && taken.tax.minor() <= whole.tax.minor());
        }
        prop_assert_eq!(taken, whole);
        let over = settle_component(sold[0].whole, each[0], whole, taken, 1, None, CreditAmounts::AsSold);
        let refused = matches!(over, Err(Misfit::Units { .. }));
        prop_assert!(refused);
    }

    /// The tax of a part is shared over the rates of its sale, and the shares are the tax.
    #[test]
    fn taxes_of_a_part_are_its_tax(rates in prop::collection::vec((0_i64..30, 0_i64..5_000), 0..4), tax in 0_i64..5_000) {
        let mut one = line("1", "A", 3, 1000);
        one.taxes = rates.iter().map(|(rate, amount)| TaxLine { name: "t".into(), rate: (*rate).into(), amount: eur(*amount) }).collect();
        let sold = sold(&order(vec![one]), &Goods::new()).unwrap().remove(0);
        let shares = taxes_of(&sold, eur(tax)).unwrap();
        let sum: i64 = shares.iter().map(|share| share.amount.minor()).sum();
        prop_assert_eq!(sum, if rates.is_empty() { 0 } else { tax });
    }
}

fn at(hour: i64) -> Timestamp {
    Timestamp::from_second(hour * 3600).unwrap()
}

fn goods(status: ReturnStatus, hour: i64) -> Return {
    Return {
        key: RecordKey::new("1.shop.9"),
        id: ExternalId::new("9"),
        order: None,
        counterpart: None,
        shipment: None,
        status,
        created_at: at(0),
        received_at: None,
        updated_at: at(hour),
        warehouse: None,
        disposition: Disposition::Restock,
        reason: None,
        comment: None,
        lines: Vec::new(),
    }
}

fn credit(status: CreditStatus, hour: i64, gross: i64) -> CreditNote {
    let none = Charge::none(eur(0).currency());
    CreditNote {
        key: RecordKey::new("1.shop.9"),
        id: ExternalId::new("9"),
        number: "1-R9".into(),
        order: None,
        of_return: Some(RecordKey::new("1.shop.9")),
        goods: None,
        reason: CreditReason::Return,
        status,
        issued_at: at(hour),
        issued_on: jiff::civil::date(1970, 1, 1),
        updated_at: at(hour),
        buyer: None,
        currency: eur(0).currency(),
        lines: Vec::new(),
        discounts: Vec::new(),
        shipping: none.clone(),
        handling: none.clone(),
        fee: none.clone(),
        goodwill: none,
        totals: Totals { net: eur(gross), tax: eur(0), gross: eur(gross) },
        comment: None,
        sale: None,
    }
}

fn refund(amount: i64, status: PaymentStatus) -> Refund {
    Refund {
        key: RecordKey::new("1.shop.70"),
        id: ExternalId::new("70"),
        order: None,
        credit_note: RecordKey::new("1.shop.9"),
        status,
        tender: Tender::Payment,
        method: None,
        reference: None,
        amount: eur(amount),
        at: at(0),
        on: jiff::civil::date(1970, 1, 1),
        updated_at: at(0),
        market: None,
    }
}

#[test]
fn a_half_without_the_other_is_broken_at_its_deadline() {
    use CreditStatus::{Issued, Open, Void};
    use PaymentStatus::{Failed, Pending, Success};
    use ReturnStatus::{Announced, Cancelled, Received};
    let hours = |hours: u64| Duration::from_secs(hours * 3600);
    let deadlines = Deadlines { goods_within: hours(100), money_within: hours(10), refund_within: hours(20) };
    let waits = |hour| Verdict::Waits { until: at(hour) };
    let broken = |missing, money: i64| Verdict::Broken { missing, money: Some(eur(money)) };
    type Case<'a> = (Option<(ReturnStatus, i64)>, Option<(CreditStatus, i64)>, &'a [(i64, PaymentStatus)], i64, Verdict);
    let cases: &[Case<'_>] = &[
        (Some((Announced, 0)), Some((Open, 0)), &[], 999, Verdict::Whole),
        (Some((Received, 5)), Some((Open, 0)), &[], 14, waits(15)),
        (Some((Received, 5)), Some((Open, 0)), &[], 15, broken(Missing::Credit, 500)),
        (Some((Received, 5)), Some((Void, 0)), &[], 15, broken(Missing::Credit, 500)),
        (Some((Announced, 0)), Some((Issued, 2)), &[(500, Success)], 101, waits(102)),
        (Some((Announced, 0)), Some((Issued, 2)), &[(500, Success)], 102, broken(Missing::Goods, 500)),
        (Some((Cancelled, 0)), Some((Issued, 2)), &[(500, Success)], 2, broken(Missing::Goods, 500)),
        (None, Some((Issued, 2)), &[(500, Success)], 102, broken(Missing::Goods, 500)),
        (Some((Received, 0)), Some((Issued, 2)), &[(300, Success), (200, Pending)], 21, waits(22)),
        (Some((Received, 0)), Some((Issued, 2)), &[(300, Success), (200, Failed)], 22, broken(Missing::Refund, 200)),
        (Some((Received, 0)), Some((Issued, 2)), &[], 22, broken(Missing::Refund, 500)),
        (Some((Received, 0)), Some((Issued, 2)), &[(300, Success), (200, Success)], 999, Verdict::Whole),
        (Some((Cancelled, 0)), Some((Void, 2)), &[], 999, Verdict::Whole),
        (Some((Cancelled, 0)), Some((Void, 2)), &[(300, Success)], 2, broken(Missing::CreditOfRefund, 300)),
    ];
    for (row, (of_goods, of_credit, paid, hour, verdict)) in cases.iter().enumerate() {
        let goods = of_goods.map(|(status, hour)| goods(status, hour));
        let credit = of_credit.map(|(status, hour)| credit(status, hour, 500));
        let refunds: Vec<Refund> = paid.iter().map(|(amount, status)| refund(*amount, *status)).collect();
        let halves = Halves { goods: goods.as_ref(), credit: credit.as_ref(), refunds: &refunds, tells_refunds: true };
        assert_eq!(judge(halves, &deadlines, at(*hour)), *verdict, "row {row}");
    }
    let issued = credit(Issued, 2, 500);
    let arrived = goods(Received, 0);
    let halves = Halves { goods: Some(&arrived), credit: Some(&issued), refunds: &[], tells_refunds: false };
    assert_eq!(judge(halves, &deadlines, at(999)), Verdict::Whole, "who tells no transactions is missing none");
    let gift = CreditNote { of_return: None, ..issued };
    let halves = Halves { goods: None, credit: Some(&gift), refunds: &[], tells_refunds: false };
    assert_eq!(judge(halves, &deadlines, at(999)), Verdict::Whole, "goodwill has no goods");
}
