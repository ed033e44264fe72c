//! Returns and entries of the payment history, as they are shown.

use serde_json::{Value, json};

use crate::data::{Customer, Discount, Order, Taxed};

use super::super::answer::{Reader, Refused, flag, maybe_text, number, object, push_text, rows};
use super::super::filter::{inside, list, window};
use super::super::plan::Pick;
use super::super::state::moment;
use super::super::stock::Goods;
use super::{Back, Paid, Returned};

fn taxed((quoted, tax): super::Amount) -> Taxed {
    Taxed { quoted, tax }
}

impl Reader<'_> {
    /// Writes the returns that a filter asks for.
    pub fn returns(&self, out: &mut String, pick: &Pick) -> Result<(), Refused> {
        let (skip, limit) = self.page(pick)?;
        let filter = self.argument(pick, "where").unwrap_or(Value::Null);
        let wanted = |key: &str| list(&filter, key);
        let (ids, customers) = (wanted("id"), wanted("customerId"));
        let (externals, statuses) = (wanted("externalId"), wanted("returnStatus"));
        let created = filter.get("createdAt").filter(|v| !v.is_null()).map(|range| window(range, self.zone)).transpose()?;
        let retail = filter.get("storeType").and_then(Value::as_str).is_none_or(|kind| kind == "DIRECT_TO_CONSUMER");
        let holds = |wanted: &Option<Vec<Value>>, value: Value| wanted.as_ref().is_none_or(|wanted| wanted.contains(&value));
        let fits = |one: &&Returned| {
            retail
                && holds(&ids, json!(one.id))
                && holds(&statuses, json!(status(one)))
                && (externals.is_none() || holds(&externals, json!(self.external_return(one.id))))
                && created.is_none_or(|created| inside(created, one.made.created.div_euclid(1_000)))
                && (customers.is_none() || {
                    let customer = self.state.base(one.made.order).customer;
                    customer.is_some_and(|customer| holds(&customers, json!(customer.id)))
                })
        };
        let mut found: Vec<&Returned> = match &ids {
            Some(ids) => {
                let ids = ids.iter().filter_map(|id| i32::try_from(id.as_i64()?).ok());
                let mut known: Vec<&Returned> = ids.filter_map(|id| self.state.returns.get(id)).filter(fits).collect();
                known.sort_by_key(|one| one.id);
                known.dedup_by_key(|one| one.id);
                known
            }
            None => self.state.returns.ever().filter(|one| !one.deleted).filter(fits).collect(),
        };
        let sort = self.argument(pick, "sort").map(|sort| match sort {
            Value::Array(mut all) => all.pop().unwrap_or(Value::Null),
            one => one,
        });
        match sort.as_ref().and_then(Value::as_str) {
            None | Some("id_ASC") => {}
            Some("id_DESC") => found.reverse(),
            Some("createdAt_ASC") => found.sort_by_key(|one| (one.made.created, one.id)),
            Some(_) => found.sort_by_key(|one| std::cmp::Reverse((one.made.created, one.id))),
        }
        rows(out, found.into_iter().skip(skip).take(limit), |out, one| self.returned(out, pick, one));
        Ok(())
    }

    fn external_return(&self, id: i32) -> Option<&str> {
        self.state.queues.get(self.queue)?.external("Return", i64::from(id))
    }

    /// Writes the return with this id; null where it is gone.
    pub fn return_by_id(&self, out: &mut String, pick: &Pick, id: i32) {
        match self.state.returns.get(id) {
            Some(one) => self.returned(out, pick, one),
            None => out.push_str("null"),
        }
    }

    /// Writes one return.
    pub fn returned(&self, out: &mut String, pick: &Pick, one: &Returned) {
        let made = &one.made;
        let order = self.state.order(made.order).0;
        let at = moment(made.created);
        object(out, "DirectToConsumerReturn", pick.shape("DirectToConsumerReturn"), |out, pick| match pick.name.as_str() {
            "id" => number(out, one.id),
            "returnStatus" => push_text(out, status(one)),
            "createdAt" => self.date(out, pick, at),
            "totalQuantity" => number(out, made.lines.iter().map(|back| back.units).sum::<i32>()),
            "grandTotal" => {
                let tax = if pick.including_tax(self.variables) { 0 } else { made.tax() };
                self.money(out, pick, order.currency, made.grand(order.tax_included) - tax, at);
            }
            "returnedToStock" => flag(out, made.goods != Goods::Remove),
            "comment" => maybe_text(out, made.comment.as_deref()),
            "createdFrom" => push_text(out, &made.by),
            "currencyBaseRate" => number(out, 1),
            "discountsApplied" => {
                let share = order.discounts.first().filter(|_| made.voucher.0 != 0);
                rows(out, share, |out, discount| {
                    let share = Discount { amount: taxed(made.voucher), ..discount.clone() };
                    self.discount(out, pick, &order, &share, at);
                });
            }
            "lines" => rows(out, &made.lines, |out, back| self.return_line(out, pick, one, &order, back)),
            "returnWarehouse" => match self.goes_to(one) {
                Some(warehouse) => self.warehouse(out, pick, warehouse),
                None => out.push_str("null"),
            },
            "store" => self.store(out, pick),
            "totals" => self.return_totals(out, pick, one, &order),
            "refundPaymentHistory" => {
                rows(out, self.state.returns.paid_for(one), |out, paid| self.paid(out, pick, paid));
            }
            "usedFallbackTax" => flag(out, false),
            "externalId" => maybe_text(out, self.external_return(one.id)),
            "shipment" => match self.state.shipments.get(made.shipment) {
                Some(shipment) => self.shipment(out, pick, shipment),
                None => out.push_str("null"),
            },
            "customer" => {
                let address = &order.billing_address;
                // Every shopper is a customer there, a guest too.
                let guest = || Customer {
                    id: 9_000_000 + i32::try_from(made.order).unwrap_or(0),
                    email: address.email.clone().unwrap_or_default(),
                    first_name: address.first_name.clone().unwrap_or_default(),
                    last_name: address.last_name.clone().unwrap_or_default(),
                };
                self.customer(out, pick, Some(&order.customer.clone().unwrap_or_else(guest)));
            }
            "order" => self.order(out, pick, made.order),
            _ => out.push_str("null"),
        });
    }

    /// The warehouse that the goods go to.
    fn goes_to(&self, one: &Returned) -> Option<u32> {
        match one.made.goods {
            Goods::Remove => None,
            Goods::Send(warehouse) => Some(warehouse),
            Goods::Release => u32::try_from(self.state.base(one.made.order).market).ok(),
        }
    }

    fn return_line(&self, out: &mut String, pick: &Pick, one: &Returned, order: &Order, back: &Back) {
        let at = moment(one.made.created);
        let sold = order.lines.iter().find(|line| line.id == back.line);
        object(out, "ReturnLine", pick.shape("ReturnLine"), |out, pick| match pick.name.as_str() {
            "id" => number(out, back.id),
            "quantity" => number(out, back.units),
            "lineValue" => {
                let mills = order.with_tax(taxed(back.worth), pick.including_tax(self.variables));
                self.money(out, pick, order.currency, mills, at);
            }
            "unitPrice" => {
                let whole = order.with_tax(taxed(back.worth), pick.including_tax(self.variables));
                self.money(out, pick, order.currency, order.currency.round(whole.into(), back.units.max(1).into()), at);
            }
            "orderLine" => match sold {
                Some(line) => self.line(out, pick, order, line, at),
                None => out.push_str("null"),
            },
            "shipmentLine" => match self.state.shipments.get(one.made.shipment) {
                Some(shipment) => {
                    let place = shipment.lines.iter().enumerate().position(|(place, _)| {
                        super::super::state::State::shipment_line_id(shipment, place) == back.shipment_line
                    });
                    self.shipment_line(out, pick, shipment, order, place.unwrap_or(0));
                }
                None => out.push_str("null"),
            },
            "appliedTaxRules" => self.tax_rules(out, pick, order, sold.map(|line| line.rate), back.worth.1, at),
            _ => out.push_str("null"),
        });
    }

    fn return_totals(&self, out: &mut String, pick: &Pick, one: &Returned, order: &Order) {
        let (made, at) = (&one.made, moment(one.made.created));
        let in_mode = |included: bool| if order.tax_included == included { made.tax() } else { 0 };
        object(out, "ReturnTotals", pick.shape("ReturnTotals"), |out, pick| {
            let rules = |(quoted, tax): super::Amount| ((quoted != 0).then_some(order.rate), tax);
            let (rate, tax) = match pick.name.as_str() {
                "shippingTaxRules" => rules(made.shipping),
                "handlingTaxRules" => rules(made.handling),
                "discountTaxRules" => rules((made.voucher.0, -made.voucher.1)),
                "returnCostTaxRules" => rules(made.cost),
                other => {
                    let mills = match other {
                        "quantity" => return number(out, made.lines.iter().map(|back| back.units).sum::<i32>()),
                        "lineValues" => made.goods_worth().quoted,
                        "shipping" => made.shipping.0,
                        "handling" => made.handling.0,
                        // Zero or below, as in the totals of an order; the cost above: Centra's papers leave both open.
                        "discounts" => -made.voucher.0,
                        "returnCost" => made.cost.0,
                        "taxAdded" => in_mode(false),
                        "taxIncluded" => in_mode(true),
                        "taxDeducted" => 0,
                        _ => return out.push_str("null"),
                    };
                    return self.money(out, pick, order.currency, mills, at);
                }
            };
            self.tax_rules(out, pick, order, rate, tax, at);
        });
    }

    /// Writes one entry of the payment history by which money goes back.
    pub fn paid(&self, out: &mut String, pick: &Pick, paid: &Paid) {
        let currency = self.state.base(paid.order).currency;
        object(out, "PaymentHistoryEntry", pick.shape("PaymentHistoryEntry"), |out, pick| match pick.name.as_str() {
            "id" => number(out, paid.id),
            "createdAt" => self.date(out, pick, moment(paid.at)),
            "status" => push_text(out, &paid.status),
            "entryType" => push_text(out, &paid.kind),
            "externalReference" => maybe_text(out, Some(paid.reference.as_str()).filter(|text| !text.is_empty())),
            "paymentMethod" => push_text(out, &paid.method),
            "value" => self.money(out, pick, currency, paid.amount, moment(paid.at)),
            "paramsJSON" => push_text(out, "{}"),
            "currencyBaseRate" => number(out, 1),
            "order" => self.order(out, pick, paid.order),
            "return" => match paid.returned {
                Some(id) => self.return_by_id(out, pick, id),
                None => out.push_str("null"),
            },
            _ => out.push_str("null"),
        });
    }

    /// Writes the entry with this id.
    pub fn paid_by_id(&self, out: &mut String, pick: &Pick, id: i32) {
        match self.state.returns.entry(id) {
            Some(paid) => self.paid(out, pick, paid),
            None => out.push_str("null"),
        }
    }
}

fn status(one: &Returned) -> &'static str {
    if one.completed { "COMPLETED" } else { "PENDING" }
}
