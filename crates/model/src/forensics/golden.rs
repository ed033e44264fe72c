//! Known disagreements of known data, each explained by name: the golden carts and invoices, Northwind's three totals, AdventureWorks'
//! purchases. The carried few, and all of them where they lie beside the project.

use std::{
    collections::BTreeMap,
    io::Read,
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use rust_decimal::{Decimal, prelude::ToPrimitive};
use serde_json::Value;

use super::{
    Base, Explanation, Of, Policy, PriceChange, Shares, explain,
    receipts::{CostGap, Purchase, Receipt, ReceiptGap, Usual, costs, receipt},
};
use crate::{
    Currency, ExternalId, Kind, Money, Rounding, Sku,
    compare::Cause,
    records::{TaxMode, Totals},
    statement::{Amounts, Entry, EntryLine},
    tax::{TaxPolicy, TaxRule, TaxSums, Taxed, rates::RateBook},
};

fn here() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The whole set, if it is there: beside the repository, or beside the folder of its worktrees.
fn whole(name: &str) -> Option<PathBuf> {
    ["../../../shared", "../../../../shared"]
        .map(|shared| here().join(shared).join("data").join(name))
        .into_iter()
        .find(|f| f.is_dir())
}

fn carried() -> PathBuf {
    here().join("src/forensics/samples")
}

/// The text of a table, plain or packed.
fn text_of(path: &Path) -> String {
    let packed = path.with_extension("csv.gz");
    if !packed.exists() {
        return std::fs::read_to_string(path).unwrap();
    }
    let mut text = String::new();
    flate2::read::GzDecoder::new(std::fs::File::open(packed).unwrap()).read_to_string(&mut text).unwrap();
    text
}

/// The rows of a table by column.
fn table(path: &Path) -> Vec<BTreeMap<String, String>> {
    let text = text_of(path);
    let mut lines = text.lines();
    let columns: Vec<&str> = lines.next().unwrap().split(',').collect();
    let row = |line: &str| columns.iter().map(ToString::to_string).zip(line.split(',').map(str::to_owned)).collect();
    lines.map(row).collect()
}

fn decimal(text: &str) -> Decimal {
    let text = if text.starts_with('.') { format!("0{text}") } else { text.to_owned() };
    Decimal::from_str_exact(&text).unwrap()
}

fn vectors(folder: &Path, file: &str) -> Vec<Value> {
    let mut whole: Value = serde_json::from_str(&std::fs::read_to_string(folder.join(file)).unwrap()).unwrap();
    let list = if whole.is_array() { whole } else { whole["vectors"].take() };
    serde_json::from_value(list).unwrap()
}

fn golden_folders() -> Vec<PathBuf> {
    let mut folders = vec![here().join("../app/tests/it/golden")];
    folders.extend(whole("golden"));
    folders
}

fn entry(currency: Currency, included: bool, lines: Vec<EntryLine>, sums: TaxSums) -> Entry {
    let money = |value| Money::exact(value, currency).unwrap();
    Entry {
        currency: Some(currency),
        tax_mode: Some(if included { TaxMode::Included } else { TaxMode::Added }),
        lines,
        totals: Some(Totals { net: money(sums.net), tax: money(sums.tax), gross: money(sums.gross) }),
        ..Entry::bare(Kind::Order, ExternalId::new("1"), Timestamp::UNIX_EPOCH)
    }
}

/// The cart as a rule makes it, by line and in total.
fn cart(currency: Currency, lines: &[Taxed], rule: TaxRule) -> Entry {
    let line = |(index, taxed): (usize, &Taxed)| {
        let own = rule.sums(std::slice::from_ref(taxed)).unwrap();
        EntryLine {
            sku: Sku::new(format!("S{index}")),
            quantity: i64::try_from(taxed.amounts.len()).unwrap(),
            unit: None,
            net: Some(Money::exact(own.net, currency).unwrap()),
            tax: Some(Money::exact(own.tax, currency).unwrap()),
            rate: Some(taxed.rate),
            component: false,
        }
    };
    entry(currency, rule.prices_include_tax, lines.iter().enumerate().map(line).collect(), rule.sums(lines).unwrap())
}

const SCOPES: [TaxPolicy; 5] =
    [TaxPolicy::Unit, TaxPolicy::Line, TaxPolicy::Document, TaxPolicy::NetRoundedFirst, TaxPolicy::Whole];
const ROUNDINGS: [Rounding; 5] = [Rounding::HalfUp, Rounding::HalfEven, Rounding::HalfDown, Rounding::Up, Rounding::Down];

/// Asks, for a golden answer and every other way to work the cart out, whether the way of the answer is named. Says how often it was.
fn named(currency: Currency, lines: &[Taxed], golden: TaxRule, sums: TaxSums) -> usize {
    let base = if golden.prices_include_tax { Base::Gross } else { Base::Net };
    let wanted = Policy { of: Of::Tax, scope: golden.policy, rounding: golden.rounding, base, shares: Shares::Alone };
    let mut asked = 0;
    for (scope, rounding) in SCOPES.into_iter().flat_map(|scope| ROUNDINGS.map(|rounding| (scope, rounding))) {
        if scope == TaxPolicy::NetRoundedFirst && !golden.prices_include_tax {
            continue;
        }
        let ours = cart(currency, lines, TaxRule { policy: scope, rounding, ..golden });
        // The answer tells totals; a document that tells its lines says them by the same rule.
        let told = cart(currency, lines, golden);
        let theirs = entry(currency, golden.prices_include_tax, Vec::new(), sums);
        for theirs in [theirs, Entry { totals: entry(currency, true, Vec::new(), sums).totals, ..told }] {
            if ours.totals == theirs.totals {
                continue;
            }
            let findings = explain(&ours, &theirs, &RateBook::default());
            assert_eq!(findings.len(), 1, "{scope:?} {rounding:?} against {wanted:?}: {findings:#?}");
            let Explanation::Rounding { fits, .. } = &findings[0].explanation else { panic!("{wanted:?}: {findings:#?}") };
            assert!(
                fits.contains(&wanted),
                "{} is not among {:#?}",
                wanted.name(),
                fits.iter().map(|fit| fit.name()).collect::<Vec<_>>()
            );
            asked += 1;
        }
    }
    asked
}

#[test]
fn golden_carts_name_their_policy() {
    for folder in golden_folders() {
        let mut asked = 0;
        for vector in vectors(&folder, "tax.json") {
            let text = |value: &Value| decimal(value.as_str().unwrap());
            let line = |line: &Value| Taxed {
                amounts: match line.get("units") {
                    Some(units) => units.as_array().unwrap().iter().map(text).collect(),
                    None => vec![text(&line["amount"])],
                },
                rate: text(&line["rate"]),
            };
            let lines: Vec<Taxed> = vector["lines"].as_array().unwrap().iter().map(line).collect();
            let included = vector["prices_include_tax"].as_bool().unwrap();
            let amount = lines.iter().flat_map(|line| &line.amounts).sum::<Decimal>();
            let answers = [&vector["expect"], &vector["also"]].into_iter().filter_map(Value::as_object).flatten();
            for (policy, answer) in answers {
                let golden = TaxRule {
                    policy: serde_json::from_value(Value::from(policy.as_str())).unwrap(),
                    rounding: serde_json::from_value(vector["mode"].clone()).unwrap(),
                    unit: text(&vector["unit"]),
                    prices_include_tax: included,
                };
                let stated = |name: &str| answer.get(name).map(text);
                let net = if included { stated("net").or(stated("tax").map(|tax| amount - tax)) } else { Some(amount) };
                let gross = if included { Some(amount) } else { stated("gross").or(stated("tax").map(|tax| amount + tax)) };
                let (net, gross) = (net.unwrap(), gross.unwrap());
                let currency = Currency::from_code(vector["currency"].as_str().unwrap()).unwrap();
                asked += named(currency, &lines, golden, TaxSums { net, tax: gross - net, gross });
            }
        }
        assert!(asked > 20, "{}: {asked} disagreements", folder.display());
    }
}

#[test]
fn golden_invoices_name_their_policy() {
    for folder in golden_folders() {
        let mut asked = 0;
        for vector in vectors(&folder, "invoices.json") {
            let text = |value: &Value| value.as_str().map_or(Decimal::ZERO, decimal);
            // Something on top, or off, is taxed as a line is.
            let own = vector["lines"].as_array().unwrap().iter().map(|line| (text(&line["net"]), text(&line["rate"])));
            let extras = vector["allowances"].as_array().cloned().unwrap_or_default();
            let extras = extras.iter().map(|extra| {
                let amount = text(&extra["amount"]);
                (if extra["charge"].as_bool().unwrap() { amount } else { -amount }, text(&extra["rate"]))
            });
            let lines: Vec<Taxed> = own.chain(extras).map(|(amount, rate)| Taxed { amounts: vec![amount], rate }).collect();
            let totals = &vector["totals"];
            let sums = TaxSums { net: text(&totals["net"]), tax: text(&vector["tax_total"]), gross: text(&totals["gross"]) };
            let golden = TaxRule {
                policy: TaxPolicy::Document,
                rounding: Rounding::HalfUp,
                unit: Decimal::new(1, 2),
                prices_include_tax: false,
            };
            let currency = Currency::from_code(vector["currency"].as_str().unwrap()).unwrap();
            asked += named(currency, &lines, golden, sums);
            // Taxed at no rate at all, it is the rate and never rounding.
            let ours = cart(currency, &lines, golden);
            let mut untaxed = ours.clone();
            let zero = Money::zero(currency);
            untaxed.lines.iter_mut().for_each(|line| (line.tax, line.rate) = (Some(zero), None));
            let net = ours.totals.unwrap().net;
            untaxed.totals = Some(Totals { net, tax: zero, gross: net });
            for finding in explain(&ours, &untaxed, &RateBook::default()) {
                assert_eq!(finding.cause, Cause::TaxRate, "{}: {finding:#?}", vector["id"]);
                assert!(matches!(finding.explanation, Explanation::Rate { theirs, .. } if theirs.is_zero()), "{finding:#?}");
            }
        }
        println!("{}: {asked} disagreements of invoices", folder.display());
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    ExactRoundedOnce,
    RoundedLines,
    RoundedUnits,
}

/// A northwind order as one of the three ways makes it. No tax in it; the freight is not discounted.
fn order(lines: &[(Decimal, i64)], freight: Decimal, way: Way) -> Entry {
    let usd = Currency::from_code("USD").unwrap();
    let cents = |value: Decimal| Money::rounded(value, usd, Rounding::HalfUp).unwrap();
    let mut entry = entry(usd, false, Vec::new(), TaxSums { net: Decimal::ZERO, tax: Decimal::ZERO, gross: Decimal::ZERO });
    for (index, (unit, quantity)) in lines.iter().enumerate() {
        let units = Decimal::from(*quantity);
        let net = if way == Way::RoundedUnits { cents(*unit).decimal() * units } else { *unit * units };
        entry.lines.push(EntryLine {
            sku: Sku::new(format!("S{index}")),
            quantity: *quantity,
            unit: Some(*unit),
            net: Some(cents(net)),
            tax: None,
            rate: None,
            component: false,
        });
    }
    let sum = match way {
        Way::ExactRoundedOnce => cents(lines.iter().map(|(unit, quantity)| *unit * Decimal::from(*quantity)).sum()),
        _ => Money::sum(usd, entry.lines.iter().filter_map(|line| line.net)).unwrap(),
    };
    let (freight, zero) = (cents(freight), Money::zero(usd));
    entry.shipping = Some(Amounts { net: freight, tax: zero, rate: None });
    let net = sum.plus(freight).unwrap();
    entry.totals = Some(Totals { net, tax: zero, gross: net });
    entry
}

#[test]
fn northwind_has_three_totals_and_each_is_named() {
    let sets = [
        Some((carried(), "northwind_lines.csv", "northwind_totals.csv")),
        whole("northwind").map(|at| (at, "lines.csv", "totals.csv")),
    ];
    for (folder, lines, totals) in sets.into_iter().flatten() {
        let mut orders: BTreeMap<String, Vec<(Decimal, i64)>> = BTreeMap::new();
        for row in table(&folder.join(lines)) {
            let unit = decimal(&row["unit_price"]) * (Decimal::ONE - decimal(&row["discount_fraction"]));
            orders.entry(row["order"].clone()).or_default().push((unit, row["qty"].parse().unwrap()));
        }
        let (mut by_line, mut by_unit) = (0, 0);
        for row in table(&folder.join(totals)) {
            let ways = [
                (Way::ExactRoundedOnce, "rounded_exact"),
                (Way::RoundedLines, "sum_of_rounded_lines"),
                (Way::RoundedUnits, "rounded_unit_times_qty"),
            ];
            let freight = decimal(&row["freight"]);
            let made = ways.map(|(way, column)| (way, order(&orders[&row["order"]], freight, way), column));
            for (_, entry, column) in &made {
                assert_eq!(
                    entry.totals.unwrap().net.decimal(),
                    decimal(&row[*column]) + freight,
                    "order {}: {column}",
                    row["order"]
                );
            }
            by_line += usize::from(made[0].1.totals != made[1].1.totals);
            by_unit += usize::from(made[1].1.totals != made[2].1.totals);
            for (from, ours, _) in &made {
                for (to, theirs, _) in &made {
                    let findings = explain(ours, theirs, &RateBook::default());
                    if ours.totals == theirs.totals && ours.lines == theirs.lines {
                        assert_eq!(findings, []);
                        continue;
                    }
                    assert_eq!(findings.len(), 1, "order {}, {from:?} and {to:?}: {findings:#?}", row["order"]);
                    let said = &findings[0].explanation;
                    let right = match to {
                        Way::ExactRoundedOnce => fits(said, TaxPolicy::Document),
                        Way::RoundedLines => fits(said, TaxPolicy::Line),
                        Way::RoundedUnits => {
                            let halves = |how: &PriceChange| matches!(how, PriceChange::PerUnitRounded { roundings } if roundings.contains(&Rounding::HalfUp));
                            fits(said, TaxPolicy::Unit) || matches!(said, Explanation::Price { how } if halves(how))
                        }
                    };
                    assert!(right, "order {}, {from:?} and {to:?}: {said:#?}", row["order"]);
                    assert_eq!(findings[0].cause, Cause::Price);
                }
            }
        }
        if folder != carried() {
            let expected: Value = serde_json::from_str(&std::fs::read_to_string(folder.join("expected.json")).unwrap()).unwrap();
            assert_eq!(expected["orders_where_line_and_order_rounding_differ"].as_u64(), by_line.to_u64());
            assert_eq!(expected["orders_where_unit_rounding_differs"].as_u64(), by_unit.to_u64());
        }
        assert!(by_line > 0 && by_unit > 0);
    }
}

fn fits(explanation: &Explanation, scope: TaxPolicy) -> bool {
    let wanted = |fit: &Policy| fit.of == Of::Price && fit.scope == scope && fit.rounding == Rounding::HalfUp;
    matches!(explanation, Explanation::Rounding { fits, .. } if fits.iter().any(wanted))
}

#[test]
fn adventureworks_receipts_and_costs_are_named() {
    for folder in [Some(carried()), whole("adventureworks")].into_iter().flatten() {
        let (mut short, mut rejected) = (0_u64, Decimal::ZERO);
        let mut lines: BTreeMap<String, Vec<Decimal>> = BTreeMap::new();
        for row in table(&folder.join("purchase_lines.csv")) {
            let of = |name: &str| decimal(&row[name]);
            let line =
                Receipt { ordered: of("ordered"), received: of("received"), rejected: of("rejected"), stocked: of("stocked") };
            let gaps = receipt(&line);
            let mut apart = Decimal::ZERO;
            for gap in &gaps {
                match gap {
                    ReceiptGap::ShortReceived(units) => (short, apart) = (short + 1, apart + units),
                    ReceiptGap::Rejected(units) => (rejected, apart) = (rejected + units, apart + units),
                    other => panic!("{row:?}: {other:?}"),
                }
            }
            assert_eq!(line.ordered - line.stocked, apart, "{row:?}: {gaps:?}");
            assert_eq!(of("line_total"), of("ordered") * of("unit_price"), "{row:?}");
            lines.entry(row["po"].clone()).or_default().push(of("line_total"));
        }
        let usual =
            Usual { tax: Decimal::from(8), freight: Decimal::new(25, 1), step: Decimal::new(1, 4), rounding: Rounding::HalfUp };
        let mut cheap = 0;
        for row in table(&folder.join("purchase_orders.csv")) {
            let of = |name: &str| decimal(&row[name]);
            let purchase = Purchase {
                lines: lines.remove(&row["po"]).unwrap(),
                subtotal: of("subtotal"),
                tax: of("tax"),
                freight: of("freight"),
                total: of("total"),
            };
            match costs(&purchase, &usual).as_slice() {
                [] => {}
                // A few were sent at two percent of the goods.
                [CostGap::Freight(Some(percent))] if *percent == Decimal::TWO => cheap += 1,
                other => panic!("{row:?}: {other:?}"),
            }
        }
        assert!(short > 0 && rejected > Decimal::ZERO && cheap > 0);
        if folder != carried() {
            let expected: Value = serde_json::from_str(&std::fs::read_to_string(folder.join("expected.json")).unwrap()).unwrap();
            assert_eq!(expected["short_received_lines"].as_u64(), Some(short));
            assert_eq!(decimal(expected["rejected"].as_str().unwrap()), rejected);
            assert_eq!(cheap, 12);
        }
    }
}

/// Of the web shop's documents every so manieth, so that the test stays quick.
const EVERY: usize = 150;

#[test]
fn a_web_shops_tax_by_five_policies() {
    let Some(folder) = whole("online-retail") else { return };
    let days: BTreeMap<String, String> =
        table(&folder.join("docs.csv")).into_iter().map(|row| (row["doc"].clone(), row["ts"][..10].to_owned())).collect();
    let documents: Vec<BTreeMap<String, String>> = table(&folder.join("docs_vat.csv")).into_iter().step_by(EVERY).collect();
    let mut lines: BTreeMap<String, Vec<Decimal>> = documents.iter().map(|row| (row["doc"].clone(), Vec::new())).collect();
    for row in text_of(&folder.join("lines.csv")).lines() {
        // doc, line, sku, line_type, qty, unit_price: too many rows to be taken apart by name.
        let (doc, rest) = row.split_once(',').unwrap();
        if let Some(lines) = lines.get_mut(doc) {
            let mut fields = rest.split(',').skip(3);
            lines.push(decimal(fields.next().unwrap()) * decimal(fields.next().unwrap()));
        }
    }
    let book = RateBook::default();
    let gbp = Currency::from_code("GBP").unwrap();
    let mut asked = 0;
    for row in &documents {
        let (rate, amounts) = (decimal(&row["rate"]), &lines[&row["doc"]]);
        let day = days[&row["doc"]].parse().unwrap();
        if !rate.is_zero() {
            assert_eq!(book.rate(&row["iso2"], day), Some(rate), "{row:?}");
        }
        // A price finer than a penny is no amount of a line.
        if amounts.len() > 60 || amounts.iter().any(|amount| amount.normalize().scale() > 2) {
            continue;
        }
        let taxed: Vec<Taxed> = amounts.iter().map(|amount| Taxed { amounts: vec![*amount], rate }).collect();
        let whole: Decimal = amounts.iter().sum();
        for (column, policy, rounding, included) in [
            ("excl_line", TaxPolicy::Line, Rounding::HalfUp, false),
            ("excl_doc", TaxPolicy::Document, Rounding::HalfUp, false),
            ("excl_line_even", TaxPolicy::Line, Rounding::HalfEven, false),
            ("incl_line", TaxPolicy::Line, Rounding::HalfUp, true),
            ("incl_doc", TaxPolicy::Document, Rounding::HalfUp, true),
        ] {
            let tax = decimal(&row[column]);
            let (net, gross) = if included { (whole - tax, whole) } else { (whole, whole + tax) };
            let theirs = entry(gbp, included, Vec::new(), TaxSums { net, tax, gross });
            for (scope, other) in
                [(TaxPolicy::Line, Rounding::HalfUp), (TaxPolicy::Document, Rounding::HalfUp), (TaxPolicy::Line, Rounding::Down)]
            {
                let rule = TaxRule { policy: scope, rounding: other, unit: Decimal::new(1, 2), prices_include_tax: included };
                let ours = cart(gbp, &taxed, rule);
                let findings = explain(&ours, &theirs, &book);
                if ours.totals == theirs.totals {
                    assert_eq!(findings, []);
                    continue;
                }
                let base = if included { Base::Gross } else { Base::Net };
                let wanted = Policy { of: Of::Tax, scope: policy, rounding, base, shares: Shares::Alone };
                let named = |explanation: &Explanation| matches!(explanation, Explanation::Rounding { fits, .. } if fits.contains(&wanted));
                assert!(
                    findings.len() == 1 && named(&findings[0].explanation),
                    "{row:?} {column} against {scope:?}: {findings:#?}"
                );
                asked += 1;
            }
        }
    }
    assert!(asked > 150, "{asked} disagreements");
    println!("{asked} disagreements of a web shop");
}
