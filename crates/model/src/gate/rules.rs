//! The declared checks on a record by itself.

use serde::{Deserialize, Serialize};

use rust_decimal::Decimal;

use crate::{
    money::{Currency, Money, MoneyError},
    problem::Problem,
    records::{HoldReason, LineKind, Order, OrderLine, OrderStatus, PaymentKind, PaymentStatus},
};

/// What a brand demands of an order before it may pass.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OrderPolicy {
    /// Whether an order that the shop has not confirmed may pass. Default: no, it waits.
    pub pending: bool,
    /// Whether an order without a successful authorisation, capture or tender for its total may pass. Default: yes.
    pub unpaid: bool,
    /// Currencies that may pass; empty means all.
    pub currencies: Vec<Currency>,
    /// Whether internal orders (samples, staff) pass too. Default: no, they are excluded.
    pub internal: bool,
    /// Address fields that must be there, besides the country, which always must:
    /// `first_name last_name line1 postcode city`. Default: `line1 city`.
    pub address_fields: Vec<String>,
    /// By how many minor units lines + tax + shipping - discounts may differ from the stated total. Default: 0.
    pub totals_tolerance_minor: i64,
}

impl Default for OrderPolicy {
    fn default() -> Self {
        Self {
            pending: false,
            unpaid: true,
            currencies: Vec::new(),
            internal: false,
            address_fields: vec!["line1".to_owned(), "city".to_owned()],
            totals_tolerance_minor: 0,
        }
    }
}

/// What the rules alone say about an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It may pass, as far as the record alone tells.
    Fit,
    /// It may not.
    Unfit(Vec<Problem>),
    /// It does not belong in the flow. (Cancelled before anything was handed over, internal.)
    Excluded {
        /// The rule.
        rule: &'static str,
        /// Its version.
        version: u32,
        /// Why.
        reason: String,
    },
    /// Not yet: on hold, waiting for payment, not confirmed. The source will tell when that changes;
    /// until then it is in flight and not an exception.
    NotYet(String),
}

/// Checks an order by itself. `handed_over`: whether a document may already stand at the target.
/// All problems are named at once.
pub fn check_order(order: &Order, policy: &OrderPolicy, handed_over: bool) -> Standing {
    if order.status == OrderStatus::Cancelled {
        return if handed_over {
            Standing::Fit
        } else {
            Standing::Excluded { rule: "status.cancelled", version: 1, reason: "cancelled before it was handed over".to_owned() }
        };
    }
    if order.internal && !policy.internal {
        return Standing::Excluded { rule: "order.internal", version: 1, reason: "an internal order is not a sale".to_owned() };
    }
    if let Some(why) = not_yet(order, policy) {
        return if handed_over { Standing::Unfit(vec![stopped(&why)]) } else { Standing::NotYet(why) };
    }
    if handed_over && order.lines.is_empty() {
        return Standing::Unfit(vec![emptied(order)]);
    }
    let mut problems = Vec::new();
    check_currency(order, policy, &mut problems);
    check_address(order, policy, &mut problems);
    check_lines(order, &mut problems);
    check_totals(order, policy, &mut problems);
    check_payment(order, policy, &mut problems);
    if problems.is_empty() { Standing::Fit } else { Standing::Unfit(problems) }
}

fn not_yet(order: &Order, policy: &OrderPolicy) -> Option<String> {
    match order.holds.first() {
        Some(HoldReason::OnHold) => return Some("the shop has it on hold".to_owned()),
        Some(HoldReason::WaitingForPayment) => return Some("the shop waits for its payment".to_owned()),
        None => {}
    }
    (order.status == OrderStatus::Pending && !policy.pending).then(|| "the shop has not confirmed it yet".to_owned())
}

/// What the shop stops after the hand-over somebody has to stop at the target, too.
fn stopped(why: &str) -> Problem {
    Problem::new(
        "status.stopped",
        "status",
        format!("{why}, but its document may stand at the target already and be worked on there"),
        "Stop the document at the target until the shop lets the order go on; the next revision of the order takes the place of \
         this one by itself.",
    )
    .cause(why)
}

fn emptied(order: &Order) -> Problem {
    Problem::new(
        "lines.all_cancelled",
        "lines",
        format!("every line of order {} was cancelled, and its document may still stand open at the target", order.number),
        "Cancel the order in the shop, then its document is closed; or close the document by hand and dismiss this with a reason.",
    )
    .cause(order.number.as_str())
}

fn check_currency(order: &Order, policy: &OrderPolicy, problems: &mut Vec<Problem>) {
    if !policy.currencies.is_empty() && !policy.currencies.contains(&order.currency) {
        problems.push(
            Problem::new(
                "currency.not_allowed",
                "currency",
                format!("{} is not among the currencies that may pass", order.currency),
                "Add it to policy.currencies of the flow, or dismiss with a reason.",
            )
            .value(order.currency.code())
            .cause(order.currency.code()),
        );
    }
}

fn check_address(order: &Order, policy: &OrderPolicy, problems: &mut Vec<Problem>) {
    const REMEDY: &str = "Complete the delivery address in the shop; the edited order takes the place of this one.";
    let Some(address) = &order.shipping else {
        problems.push(Problem::new("address.missing", "shipping", "there is no delivery address", REMEDY));
        return;
    };
    match address.country.as_deref() {
        Some(code) if code.len() == 2 && code.bytes().all(|b| b.is_ascii_uppercase()) => {}
        Some(other) => problems.push(
            Problem::new(
                "address.country",
                "shipping.country",
                format!("{other:?} is not an ISO 3166-1 alpha-2 country code"),
                REMEDY,
            )
            .value(other)
            .cause(other.chars().take(40).collect::<String>()),
        ),
        None => problems.push(Problem::new("address.country", "shipping.country", "the delivery address has no country", REMEDY)),
    }
    for field in &policy.address_fields {
        let value = match field.as_str() {
            "first_name" => &address.first_name,
            "last_name" => &address.last_name,
            "company" => &address.company,
            "line1" => &address.line1,
            "postcode" => &address.postcode,
            "city" => &address.city,
            "state" => &address.state,
            "phone" => &address.phone,
            "email" => &address.email,
            _ => continue,
        };
        if value.as_deref().is_none_or(|text| text.trim().is_empty()) {
            problems.push(Problem::new(
                &format!("address.{field}"),
                format!("shipping.{field}"),
                format!("the delivery address has no {}", field.replace('_', " ")),
                REMEDY,
            ));
        }
    }
}

fn check_lines(order: &Order, problems: &mut Vec<Problem>) {
    const REMEDY: &str = "Mend the order in the shop; the edited order takes the place of this one.";
    if order.lines.is_empty() {
        problems.push(Problem::new(
            "lines.none",
            "lines",
            "the order has no lines",
            "Cancel it in the shop if nothing is to be delivered, or mend it there.",
        ));
    }
    for (index, line) in order.lines.iter().enumerate() {
        let path = |field: &str| format!("lines[{index}].{field}");
        if line.quantity == 0 {
            problems.push(
                Problem::new("lines.quantity", path("quantity"), format!("the line for {} has no units", line.sku), REMEDY)
                    .value("0"),
            );
        }
        if line.sku.as_str().is_empty() {
            problems.push(Problem::new(
                "lines.sku",
                path("sku"),
                format!("the line {} has no SKU", line.id),
                "Give the product a SKU in the shop; the order is then read again.",
            ));
        }
        match (line.kind, &line.bundle) {
            (LineKind::BundleItem, Some(bundle)) if order.lines.iter().any(|l| l.kind == LineKind::Bundle && l.id == *bundle) => {
            }
            (LineKind::BundleItem, bundle) => problems.push(
                Problem::new(
                    "lines.bundle",
                    path("bundle"),
                    format!("{} is part of a bundle that is not in the order", line.sku),
                    REMEDY,
                )
                .value(bundle.as_ref().map_or("none", |b| b.as_str())),
            ),
            _ => {
                if !price_explains(line) {
                    problems.push(
                        Problem::new(
                            "lines.price",
                            path("net"),
                            format!("{} units at {} do not make {}", line.quantity, line.unit_net, line.net),
                            REMEDY,
                        )
                        .value(line.net.to_string()),
                    );
                }
            }
        }
    }
}

/// Whether units × price is the line's amount, as far as a price that was rounded to a cent can tell.
fn price_explains(line: &OrderLine) -> bool {
    let units = Decimal::from(line.quantity);
    let step = Money::from_minor(1, line.net.currency()).decimal();
    let (Some(product), Some(slack)) = (units.checked_mul(line.unit_net), units.checked_mul(step)) else { return false };
    // Half a minor unit per unit for the price, half a one for the line.
    let slack = slack.checked_add(step).and_then(|s| s.checked_div(Decimal::TWO)).unwrap_or(step);
    product.checked_sub(line.net.decimal()).is_some_and(|off| off.abs() <= slack)
}

fn check_totals(order: &Order, policy: &OrderPolicy, problems: &mut Vec<Problem>) {
    const REMEDY: &str =
        "Compare it with the order in the shop and mend it there, or allow a tolerance in policy.totals_tolerance_minor.";
    let parts = match parts(order) {
        Ok(parts) => parts,
        Err(error) => {
            problems.push(Problem::new("totals.currency", "totals", format!("the amounts cannot be added up: {error}"), REMEDY));
            return;
        }
    };
    let off = |found: Money, stated: Money| {
        found.minor().saturating_sub(stated.minor()).saturating_abs() > policy.totals_tolerance_minor
    };
    let stated = order.totals;
    // A source may state totals before or after gift cards and store credit, which are tenders and
    // no price reduction; either reading that closes is the right one.
    let closes = |with_tenders: bool| {
        let (net, tax) = if with_tenders { parts.after_tenders } else { parts.before_tenders };
        !off(net, stated.net) && !off(tax, stated.tax) && net.plus(tax).is_ok_and(|gross| !off(gross, stated.gross))
    };
    if closes(false) || closes(true) {
        return;
    }
    let (net, tax) = parts.before_tenders;
    let gross = net.plus(tax).map_or_else(|_| "too much to add".to_owned(), |gross| gross.to_string());
    problems.push(
        Problem::new(
            "totals.sum",
            "totals",
            format!(
                "lines, charges and discounts make {net} + {tax} tax = {gross}, the order states {} + {} tax = {}",
                stated.net, stated.tax, stated.gross
            ),
            REMEDY,
        )
        .value(stated.gross.to_string()),
    );
}

struct Parts {
    before_tenders: (Money, Money),
    after_tenders: (Money, Money),
}

fn parts(order: &Order) -> Result<Parts, MoneyError> {
    let (mut net, mut tax) = (Money::zero(order.currency), Money::zero(order.currency));
    for line in order.priced_lines() {
        net = net.plus(line.net)?;
        tax = tax.plus(line.tax)?;
    }
    for charge in [&order.shipping_charge, &order.handling_charge] {
        net = net.plus(charge.net)?;
        tax = tax.plus(charge.tax)?;
    }
    for discount in order.discounts.iter().filter(|d| !d.tender) {
        net = net.minus(discount.net)?;
        tax = tax.minus(discount.tax)?;
    }
    let before_tenders = (net, tax);
    for tender in order.discounts.iter().filter(|d| d.tender) {
        net = net.minus(tender.net)?;
        tax = tax.minus(tender.tax)?;
    }
    Ok(Parts { before_tenders, after_tenders: (net, tax) })
}

fn check_payment(order: &Order, policy: &OrderPolicy, problems: &mut Vec<Problem>) {
    if policy.unpaid || order.totals.gross.is_zero() {
        return;
    }
    let secured = order.payments.iter().any(|p| {
        p.status == PaymentStatus::Success
            && matches!(p.kind, PaymentKind::Authorisation | PaymentKind::Capture)
            && p.amount.minor() >= order.totals.gross.minor()
    });
    let tenders = Money::sum(order.currency, order.discounts.iter().filter(|d| d.tender).map(|d| d.net))
        .unwrap_or(Money::zero(order.currency));
    if !secured && tenders.minor() < order.totals.gross.minor() {
        problems.push(
            Problem::new(
                "payment.missing",
                "payments",
                format!("no successful authorisation or capture covers {}", order.totals.gross),
                "See the payment in the shop; when it arrives, the order passes by itself.",
            )
            .value(order.totals.gross.to_string()),
        );
    }
}
