//! Writing answers: each planned field of each object, straight as JSON text.

use std::cell::RefCell;
use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::Value;

use crate::data::{self, Address, Currency, Customer, Discount, Line, LineKind, Market, Order, Taxed};
use crate::mischief::mix;

use super::dates;
use super::filter::{Filter, list};
use super::limits::Limits;
use super::plan::{Pick, Variables};
use super::state::{Event, Key, Life, Sort, State, Subject, moment};

/// The most rows of a page.
pub const MOST_ROWS: u64 = 200;

/// The one store of the instance.
const STORE: i32 = 1;

/// Why a root field could not be answered: becomes a top-level error.
pub type Refused = String;

/// Reads the state and writes what was asked.
pub struct Reader<'a> {
    /// The state.
    pub state: &'a State,
    /// The instance's time zone.
    pub zone: &'a TimeZone,
    /// The rate limits.
    pub limits: &'a Limits,
    /// The instance's clock.
    pub now: Timestamp,
    /// The integration's name.
    pub queue: &'a str,
    /// Whether the instance has events turned on.
    pub events: bool,
    /// The request's variables.
    pub variables: &'a Variables,
    /// What was wrong with a field deeper down: fails the root field that it is below of.
    pub trouble: RefCell<Option<Refused>>,
}

/// Appends a JSON string.
pub fn push_text(out: &mut String, text: &str) {
    out.push('"');
    let mut plain = 0;
    for (at, byte) in text.bytes().enumerate() {
        let escape = match byte {
            b'"' => "\\\"",
            b'\\' => "\\\\",
            b'\n' => "\\n",
            b'\r' => "\\r",
            b'\t' => "\\t",
            0..=0x1f => "",
            _ => continue,
        };
        out.push_str(text.get(plain..at).unwrap_or(""));
        if escape.is_empty() {
            let _ = write!(out, "\\u{byte:04x}");
        } else {
            out.push_str(escape);
        }
        plain = at + 1;
    }
    out.push_str(text.get(plain..).unwrap_or(""));
    out.push('"');
}

pub fn maybe_text(out: &mut String, text: Option<&str>) {
    match text {
        Some(text) => push_text(out, text),
        None => out.push_str("null"),
    }
}

pub fn number(out: &mut String, value: impl std::fmt::Display) {
    let _ = write!(out, "{value}");
}

pub fn flag(out: &mut String, value: bool) {
    out.push_str(if value { "true" } else { "false" });
}

/// Writes an object: each picked field, `__typename` by itself.
pub fn object(out: &mut String, type_name: &str, picks: &[Pick], mut field: impl FnMut(&mut String, &Pick)) {
    out.push('{');
    for (at, pick) in picks.iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        out.push_str(&pick.key);
        if pick.name == "__typename" {
            push_text(out, type_name);
        } else {
            field(out, pick);
        }
    }
    out.push('}');
}

/// Writes a list.
pub fn rows<T>(out: &mut String, items: impl IntoIterator<Item = T>, mut row: impl FnMut(&mut String, T)) {
    out.push('[');
    for (at, item) in items.into_iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        row(out, item);
    }
    out.push(']');
}

/// An object of an id and a name, and nothing else that is known.
pub fn named(out: &mut String, type_name: &str, pick: &Pick, id: i32, name: &str) {
    object(out, type_name, pick.shape(type_name), |out, pick| match pick.name.as_str() {
        "id" => number(out, id),
        "name" => push_text(out, name),
        "status" => push_text(out, "ACTIVE"),
        _ => out.push_str("null"),
    });
}

/// The id of an order: 32 hex digits, from which the number can be told again.
pub fn order_id(number: i32) -> String {
    let scrambled = number.cast_unsigned().wrapping_mul(0x9E37_79B1) ^ 0x5bd1_e995;
    let rest = mix(u64::from(number.cast_unsigned()));
    format!("{scrambled:08x}{rest:016x}{:08x}", mix(rest) & 0xffff_ffff)
}

/// The number of the order with this id.
pub fn number_of_id(id: &str) -> Option<i32> {
    let scrambled = u32::from_str_radix(id.get(..8)?, 16).ok()? ^ 0x5bd1_e995;
    // The inverse of the odd factor above, modulo 2^32.
    let number = scrambled.wrapping_mul(0x0E8B_2F51).cast_signed();
    (order_id(number) == id).then_some(number)
}

impl Reader<'_> {
    pub fn argument(&self, pick: &Pick, name: &str) -> Option<Value> {
        pick.argument(name, self.variables)
    }

    /// A page size from `limit`, `first` or `last`.
    pub fn page_size(&self, pick: &Pick, name: &str) -> Result<usize, Refused> {
        let Some(value) = self.argument(pick, name) else {
            return Ok(20);
        };
        match value.as_u64() {
            Some(rows @ 1..=MOST_ROWS) => Ok(usize::try_from(rows).unwrap_or(20)),
            _ => Err(format!("{name} must be between 1 and {MOST_ROWS}, got {value}")),
        }
    }

    pub fn page(&self, pick: &Pick) -> Result<(usize, usize), Refused> {
        let limit = self.page_size(pick, "limit")?;
        let page = self
            .argument(pick, "page")
            .map_or(Some(1), |page| page.as_u64())
            .filter(|page| *page >= 1)
            .ok_or("page starts at 1")?;
        let skip = usize::try_from(page - 1).unwrap_or(usize::MAX).saturating_mul(limit);
        Ok((skip, limit))
    }

    pub fn date(&self, out: &mut String, pick: &Pick, at: Timestamp) {
        out.push('"');
        match self.argument(pick, "format") {
            Some(Value::String(format)) => {
                let mut text = String::new();
                dates::push(&mut text, at, self.zone, &format);
                out.push_str(&text.replace('\\', "\\\\").replace('"', "\\\""));
            }
            _ => dates::push(out, at, self.zone, dates::ISO),
        }
        out.push('"');
    }

    /// Writes the answer to one root field of a query.
    pub fn root(&self, out: &mut String, pick: &Pick) -> Result<(), Refused> {
        let catalogue = &self.state.catalogue;
        match pick.name.as_str() {
            "rateLimits" => rows(out, self.limits.rows(self.now), |out, row| {
                object(out, "RateLimit", pick.shape("RateLimit"), |out, pick| match pick.name.as_str() {
                    "type" => push_text(out, row.kind),
                    "intervalSeconds" => push_text(out, row.interval),
                    "quota" => number(out, row.quota),
                    "usedQuota" => number(out, row.quota - row.left),
                    _ => number(out, row.left),
                });
            }),
            "stores" => rows(out, [()], |out, ()| self.store(out, pick)),
            "markets" => rows(out, catalogue.markets(), |out, market| self.market(out, pick, market)),
            "pricelists" => rows(out, catalogue.markets(), |out, market| self.pricelist(out, pick, market)),
            "currencies" => rows(out, catalogue.currencies(), |out, currency| {
                self.currency(out, pick, *currency);
            }),
            "countries" => rows(out, 0..catalogue.countries().len(), |out, at| {
                self.country(out, pick, u32::try_from(at).ok());
            }),
            "shippingOptions" => self.shipping_options(out, pick)?,
            "taxGroups" => self.tax_groups(out, pick)?,
            "warehouses" => {
                let (skip, limit) = self.page(pick)?;
                rows(out, (0..self.state.ledger.warehouses()).skip(skip).take(limit), |out, at| self.warehouse(out, pick, at));
            }
            "allocationRules" => rows(out, catalogue.markets(), |out, market| self.allocation_rule(out, pick, market)),
            "product" => {
                let wanted = self.argument(pick, "id").and_then(|id| i32::try_from(id.as_i64()?).ok());
                let found = wanted.and_then(|id| self.state.shelf.of_product(id).next());
                match found.and_then(|at| self.state.item(at)) {
                    Some(item) => self.product(out, pick, item),
                    None => out.push_str("null"),
                }
            }
            "products" => self.products(out, pick)?,
            "productVariants" => self.variants(out, pick)?,
            "productSizes" => self.product_sizes(out, pick)?,
            "order" => match self.find_order(pick)? {
                Some(index) => self.order(out, pick, index),
                None => out.push_str("null"),
            },
            "orders" => {
                let (skip, limit) = self.page(pick)?;
                let filter = self.filter(pick)?;
                let (sort, down) = self.sort(pick)?;
                let found = self.matching(&filter, sort, down, None).skip(skip).take(limit);
                rows(out, found, |out, index| self.order(out, pick, index));
            }
            "orderConnection" => self.connection(out, pick)?,
            "shipments" => self.shipments(out, pick)?,
            "returns" => self.returns(out, pick)?,
            "events" => self.events(out, pick)?,
            "eventListeners" => {
                let filter = self.argument(pick, "where").unwrap_or(Value::Null);
                let objects = list(&filter, "objectType");
                self.listeners(out, pick, objects.as_deref());
            }
            "idConversions" => self.id_conversions(out, pick)?,
            other => return Err(format!("{other} is not simulated")),
        }
        Ok(())
    }

    // ------------------------------------------------------------ orders

    fn find_order(&self, pick: &Pick) -> Result<Option<u32>, Refused> {
        match (self.argument(pick, "id"), self.argument(pick, "number")) {
            (Some(Value::String(id)), None) => Ok(number_of_id(&id).and_then(|n| self.state.find(i64::from(n)))),
            (None, Some(number)) => Ok(number.as_i64().and_then(|n| self.state.find(n))),
            _ => Err("give either id or number".to_owned()),
        }
    }

    fn filter(&self, pick: &Pick) -> Result<Filter, Refused> {
        Filter::read(&self.argument(pick, "where").unwrap_or(Value::Null), self.zone, STORE)
    }

    fn sort(&self, pick: &Pick) -> Result<(Sort, bool), Refused> {
        let given = match self.argument(pick, "sort") {
            None => return Ok((Sort::Placed, false)),
            Some(Value::Array(mut all)) if all.len() <= 1 => all.pop().unwrap_or(Value::Null),
            Some(Value::Array(_)) => {
                return Err("sorting by several fields is not simulated".to_owned());
            }
            Some(one) => one,
        };
        let name = given.as_str().unwrap_or("id_ASC");
        let (field, down) = match name.rsplit_once('_') {
            Some((field, "DESC")) => (field, true),
            Some((field, _)) => (field, false),
            None => (name, false),
        };
        let sort = match field {
            "number" => Sort::Number,
            "updatedAt" => Sort::Updated,
            _ => Sort::Placed,
        };
        Ok((sort, down))
    }

    /// The orders that match, in order, beyond `after`.
    fn matching<'s>(
        &'s self,
        filter: &'s Filter,
        sort: Sort,
        down: bool,
        after: Option<Key>,
    ) -> Box<dyn Iterator<Item = u32> + 's> {
        if let Some(numbers) = filter.only_numbers() {
            // A look-up by number must not walk through all orders.
            let mut found: Vec<u32> = numbers
                .iter()
                .filter_map(|number| self.state.find(*number))
                .filter(|index| self.matches(filter, *index))
                .collect();
            found.sort_by_key(|index| self.state.key(sort, *index));
            found.dedup();
            if down {
                found.reverse();
            }
            let beyond = move |index: &u32| {
                after.is_none_or(|after| {
                    let key = self.state.key(sort, *index);
                    if down { key < after } else { key > after }
                })
            };
            return Box::new(found.into_iter().filter(beyond));
        }
        // Windows of the field that is sorted by are sought, not scanned for.
        let seconds = match sort {
            Sort::Updated => filter.updated_window(),
            _ => None,
        };
        let start = match (seconds, down) {
            (Some((Some(from), _)), false) => Some((from - 1, u32::MAX)),
            (Some((_, Some(to))), true) => Some((to + 1, 0)),
            _ => None,
        };
        let after = match (start, after, down) {
            (Some(start), Some(after), false) => Some(start.max(after)),
            (Some(start), Some(after), true) => Some(start.min(after)),
            (start, after, _) => after.or(start),
        };
        let inside = move |index: &u32| match seconds {
            Some((from, to)) => {
                let (second, _) = self.state.key(Sort::Updated, *index);
                if down { from.is_none_or(|from| second >= from) } else { to.is_none_or(|to| second <= to) }
            }
            None => true,
        };
        Box::new(self.state.walk(sort, down, after).take_while(inside).filter(move |index| self.matches(filter, *index)))
    }

    fn matches(&self, filter: &Filter, index: u32) -> bool {
        filter.is_empty() || filter.matches(self.state, index, self.state.queues.get(self.queue))
    }

    fn connection(&self, out: &mut String, pick: &Pick) -> Result<(), Refused> {
        let filter = self.filter(pick)?;
        let (sort, down) = self.sort(pick)?;
        let backwards = self.argument(pick, "last").is_some();
        if backwards && self.argument(pick, "first").is_some() {
            return Err("give either first or last".to_owned());
        }
        let size = self.page_size(pick, if backwards { "last" } else { "first" })?;
        let cursor = |name: &str| -> Result<Option<Key>, Refused> {
            match self.argument(pick, name) {
                None => Ok(None),
                Some(cursor) => read_cursor(cursor.as_str().unwrap_or(""), sort)
                    .map(Some)
                    .ok_or_else(|| format!("{name} is no cursor of this sort")),
            }
        };
        let (after, before) = (cursor("after")?, cursor("before")?);
        let (start, stop) = if backwards { (before, after) } else { (after, before) };
        let downwards = down != backwards;
        let mut found: Vec<u32> = self
            .matching(&filter, sort, downwards, start)
            .take_while(|index| {
                stop.is_none_or(|stop| {
                    let key = self.state.key(sort, *index);
                    if downwards { key > stop } else { key < stop }
                })
            })
            .take(size + 1)
            .collect();
        let more = found.len() > size;
        found.truncate(size);
        if backwards {
            found.reverse();
        }
        let cursor_of = |index: u32| make_cursor(sort, self.state.key(sort, index));
        object(out, "OrderConnection", pick.shape("OrderConnection"), |out, pick| match pick.name.as_str() {
            "totalCount" => {
                let total = if filter.is_empty() {
                    usize::try_from(self.state.placed()).unwrap_or(usize::MAX)
                } else {
                    self.matching(&filter, sort, down, None).count()
                };
                number(out, total);
            }
            "pageInfo" => object(out, "PageInfo", pick.shape("PageInfo"), |out, pick| match pick.name.as_str() {
                "hasNextPage" => flag(out, if backwards { before.is_some() } else { more }),
                "hasPreviousPage" => flag(out, if backwards { more } else { after.is_some() }),
                "startCursor" => maybe_text(out, found.first().map(|index| cursor_of(*index)).as_deref()),
                _ => maybe_text(out, found.last().map(|index| cursor_of(*index)).as_deref()),
            }),
            _ => rows(out, &found, |out, index| {
                object(out, "OrderEdge", pick.shape("OrderEdge"), |out, pick| match pick.name.as_str() {
                    "cursor" => push_text(out, &cursor_of(*index)),
                    _ => self.order(out, pick, *index),
                });
            }),
        });
        Ok(())
    }

    /// Writes the order at `index`, wherever it was asked for.
    pub fn order(&self, out: &mut String, pick: &Pick, index: u32) {
        let (order, life) = self.state.order(index);
        self.order_fields(out, pick.shape("DirectToConsumerOrder"), index, &order, &life);
    }

    fn order_fields(&self, out: &mut String, picks: &[Pick], index: u32, order: &Order, life: &Life) {
        let totals = order.totals();
        let created = order.created.unwrap_or_else(|| moment(life.placed));
        let markets = self.state.catalogue.markets();
        let market = markets.get(order.market).or(markets.first());
        object(out, "DirectToConsumerOrder", picks, |out, pick| match pick.name.as_str() {
            "id" => push_text(out, &order_id(order.number)),
            "number" => number(out, order.number),
            "status" => push_text(out, life.status.name()),
            "grandTotal" => {
                let value = if pick.including_tax(self.variables) { totals.grand } else { totals.grand - totals.tax };
                self.money(out, pick, order.currency, value, created);
            }
            "createdAt" | "orderDate" => self.date(out, pick, created),
            "updatedAt" => self.date(out, pick, moment(life.updated)),
            "userIP" => push_text(out, "192.0.2.1"),
            "internalComment" => maybe_text(out, life.internal_comment.as_deref()),
            "otherComment" => push_text(out, &order.comment),
            "currencyBaseRate" => number(out, 1),
            "billingAddress" => self.address(out, pick, &order.billing_address),
            "shippingAddress" => self.address(out, pick, &order.shipping_address),
            "country" => self.country(out, pick, order.shipping_address.country),
            "discountsApplied" => rows(out, &order.discounts, |out, discount| {
                self.discount(out, pick, order, discount, created);
            }),
            "lines" => {
                let all = self.argument(pick, "includeFullyCancelled").and_then(|all| all.as_bool()).unwrap_or(false);
                let lines = order.lines.iter().filter(|line| all || line.cancelled < line.ordered);
                rows(out, lines, |out, line| self.line(out, pick, order, line, created));
            }
            "totals" => self.totals(out, pick, order, &totals, life, created),
            "shippingPriceGroup" => match market.and_then(|market| market.methods.get(order.method)) {
                Some(method) => object(out, "ShippingPriceGroup", pick.shape("ShippingPriceGroup"), |out, pick| {
                    self.shipping_option(out, pick, method);
                }),
                None => out.push_str("null"),
            },
            "paymentMethod" => {
                let (id, uri, plugin) = order.payment_method;
                object(out, "PaymentMethod", pick.shape("PaymentMethod"), |out, pick| match pick.name.as_str() {
                    "id" => number(out, id),
                    "uri" => push_text(out, uri),
                    _ => push_text(out, plugin),
                });
            }
            "paymentHistory" => {
                let filter = self.argument(pick, "where").unwrap_or(Value::Null);
                let kinds = list(&filter, "entryType");
                let wanted = |kind: &str| kinds.as_ref().is_none_or(|kinds| kinds.iter().any(|k| k == kind));
                let taken = order.payments.iter().cloned().chain(self.captures(index, order));
                let taken = taken.filter(|entry| wanted(entry.entry_type)).map(Ok);
                let given = self.state.returns.paid_of(index).filter(|paid| wanted(&paid.kind)).map(Err);
                rows(out, taken.chain(given), |out, entry| {
                    let entry = match entry {
                        Ok(entry) => entry,
                        Err(paid) => return self.paid(out, pick, paid),
                    };
                    object(out, "PaymentHistoryEntry", pick.shape("PaymentHistoryEntry"), |out, pick| match pick.name.as_str() {
                        "id" => number(out, entry.id),
                        "createdAt" => self.date(out, pick, created),
                        "status" => push_text(out, "SUCCESS"),
                        "entryType" => push_text(out, entry.entry_type),
                        "externalReference" => push_text(out, &entry.reference),
                        "paymentMethod" => push_text(out, order.payment_method.2),
                        "value" => self.money(out, pick, order.currency, entry.amount, created),
                        "paramsJSON" => push_text(out, "{}"),
                        "currencyBaseRate" => number(out, 1),
                        "order" => self.order(out, pick, index),
                        _ => out.push_str("null"),
                    });
                });
            }
            "market" => match market {
                Some(market) => self.market(out, pick, market),
                None => out.push_str("null"),
            },
            "pricelist" => match market {
                Some(market) => self.pricelist(out, pick, market),
                None => out.push_str("null"),
            },
            "store" => self.store(out, pick),
            "isOnHold" => flag(out, life.on_hold),
            "isLocked" => flag(out, life.locked),
            "isWaitingForPayment" => flag(out, life.waiting_for_payment),
            "isInternal" => flag(out, life.internal),
            "allocationRule" => match market {
                Some(market) => self.allocation_rule(out, pick, market),
                None => out.push_str("null"),
            },
            "shipments" => rows(out, self.state.shipments.of(index), |out, shipment| self.shipment(out, pick, shipment)),
            "attributes" => out.push_str("[]"),
            "returns" => rows(out, self.state.returns.of(index), |out, one| self.returned(out, pick, one)),
            "externalId" => {
                let queue = self.state.queues.get(self.queue);
                maybe_text(out, queue.and_then(|q| q.external("Order", i64::from(order.number))));
            }
            "customer" => self.customer(out, pick, order.customer.as_ref()),
            _ => out.push_str("null"),
        });
    }

    /// What was taken with shipments, as entries of the payment history.
    fn captures(&self, index: u32, order: &Order) -> Vec<data::Payment> {
        let reference = order.payments.first().map(|payment| payment.reference.clone()).unwrap_or_default();
        let captured =
            self.state.shipments.of(index).filter_map(|s| Some((s.id, s.captured?.1))).filter(|(_, amount)| *amount > 0);
        captured
            .map(|(id, amount)| data::Payment {
                id: 900_000_000_i32.saturating_add(id),
                entry_type: "CAPTURE",
                reference: reference.clone(),
                amount,
            })
            .collect()
    }

    pub fn money(&self, out: &mut String, pick: &Pick, currency: Currency, mills: i64, at: Timestamp) {
        object(out, "MonetaryValue", pick.shape("MonetaryValue"), |out, pick| match pick.name.as_str() {
            "value" => data::push_mills(out, mills),
            "currency" => self.currency(out, pick, currency),
            "formattedValue" => {
                let text = data::mills_fixed(currency.round(i128::from(mills), 1), currency.digits);
                push_text(out, &format!("{text} {}", currency.code));
            }
            "valueInCents" => number(out, currency.round(i128::from(mills), 1) / currency.step()),
            "valueInBaseCurrency" => self.money(out, pick, currency, mills, at),
            "conversionDate" => self.date(out, pick, at),
            _ => number(out, 1),
        });
    }

    pub fn currency(&self, out: &mut String, pick: &Pick, currency: Currency) {
        let base = self.state.catalogue.markets().first().map(|market| market.currency);
        object(out, "Currency", pick.shape("Currency"), |out, pick| match pick.name.as_str() {
            "id" => number(out, currency.id),
            "code" => push_text(out, currency.code),
            _ => flag(out, base == Some(currency)),
        });
    }

    pub fn country(&self, out: &mut String, pick: &Pick, at: Option<u32>) {
        let Some(country) = at.and_then(|at| self.state.catalogue.countries().get(at as usize)) else {
            out.push_str("null");
            return;
        };
        object(out, "Country", pick.shape("Country"), |out, pick| match pick.name.as_str() {
            "id" => number(out, country.id),
            "name" => push_text(out, &country.name),
            "code" => push_text(out, &country.code),
            "continent" => push_text(out, &country.continent),
            _ => flag(out, country.eu),
        });
    }

    fn address(&self, out: &mut String, pick: &Pick, address: &Address) {
        object(out, "Address", pick.shape("Address"), |out, pick| {
            let text = match pick.name.as_str() {
                "country" => return self.country(out, pick, address.country),
                "state" => {
                    let code = address.state.as_deref();
                    let Some((code, (id, name))) = code.and_then(|code| Some((code, data::state_name(code)?))) else {
                        return out.push_str("null");
                    };
                    return object(out, "CountryState", pick.shape("CountryState"), |out, pick| match pick.name.as_str() {
                        "id" => number(out, id),
                        "name" => push_text(out, name),
                        _ => push_text(out, code),
                    });
                }
                "firstName" => &address.first_name,
                "lastName" => &address.last_name,
                "companyName" => &address.company,
                "attention" => &address.attention,
                "address1" => &address.address1,
                "address2" => &address.address2,
                "city" => &address.city,
                "zipCode" => &address.zip,
                "stateOrProvince" => &address.state,
                "email" => &address.email,
                "phoneNumber" => &address.phone,
                "cellPhoneNumber" => &address.cell_phone,
                _ => &None,
            };
            maybe_text(out, text.as_deref());
        });
    }

    pub fn customer(&self, out: &mut String, pick: &Pick, customer: Option<&Customer>) {
        let Some(customer) = customer else {
            out.push_str("null");
            return;
        };
        object(out, "Customer", pick.shape("Customer"), |out, pick| match pick.name.as_str() {
            "id" => number(out, customer.id),
            "email" => push_text(out, &customer.email),
            "firstName" => push_text(out, &customer.first_name),
            _ => push_text(out, &customer.last_name),
        });
    }

    pub fn discount(&self, out: &mut String, pick: &Pick, order: &Order, discount: &Discount, at: Timestamp) {
        let type_name = match discount.voucher {
            Some(_) => "AppliedVoucher",
            None => "AdminDiscount",
        };
        object(out, type_name, pick.shape(type_name), |out, pick| match pick.name.as_str() {
            // Above zero here and zero or below in the totals: Centra's papers leave both signs open.
            "value" => self.money(out, pick, order.currency, discount.amount.quoted, at),
            "date" => self.date(out, pick, at),
            _ => match discount.voucher {
                Some((id, code)) => object(out, "Voucher", pick.shape("Voucher"), |out, pick| match pick.name.as_str() {
                    "id" => number(out, id),
                    "type" => push_text(out, "percentage"),
                    _ => push_text(out, code),
                }),
                None => out.push_str("null"),
            },
        });
    }

    /// The one rule that taxes an amount. Rules exist where there is a country; a gift certificate has none.
    pub fn tax_rules(&self, out: &mut String, pick: &Pick, order: &Order, rate: Option<i64>, tax: i64, at: Timestamp) {
        let countries = self.state.catalogue.countries();
        let country = order.shipping_address.country.and_then(|c| countries.get(c as usize));
        let rule = rate.zip(country);
        rows(out, rule, |out, (rate, country)| {
            object(out, "AppliedTaxRuleValue", pick.shape("AppliedTaxRuleValue"), |out, pick| {
                let (added, included) = if order.tax_included { (0, tax) } else { (tax, 0) };
                match pick.name.as_str() {
                    "rule" => object(out, "AppliedTaxRule", pick.shape("AppliedTaxRule"), |out, pick| match pick.name.as_str() {
                        "taxId" => push_text(out, &format!("{}-{}", country.code, data::mills_text(rate))),
                        "taxName" => push_text(out, &format!("{} {}%", country.code, data::mills_text(rate))),
                        _ => data::push_mills(out, rate),
                    }),
                    "taxAdded" => self.money(out, pick, order.currency, added, at),
                    "taxIncluded" => self.money(out, pick, order.currency, included, at),
                    _ => self.money(out, pick, order.currency, 0, at),
                }
            });
        });
    }

    pub fn line(&self, out: &mut String, pick: &Pick, order: &Order, line: &Line, at: Timestamp) {
        let type_name = match line.kind {
            LineKind::Product => "ProductOrderLine",
            LineKind::Bundle => "BundleOrderLine",
            LineKind::BundleItem(_) => "BundleItemOrderLine",
            LineKind::GiftCertificate => "GiftCertificateOrderLine",
        };
        let item = line.item.and_then(|at| self.state.item(at));
        let value = order.line_value(line);
        let unit = |mills: i64| Taxed { quoted: mills, tax: order.tax_of(mills, line.rate) };
        object(out, type_name, pick.shape(type_name), |out, pick| match pick.name.as_str() {
            "id" => number(out, line.id),
            "size" => push_text(out, item.map_or("", |item| &item.size_name)),
            "productNumber" => push_text(out, item.map_or(data::GIFT_NUMBER, |item| &item.product_number)),
            "hasAnyDiscount" => flag(out, line.unit != line.unit_original),
            "comment" => maybe_text(out, line.comment),
            "productName" => push_text(out, item.map_or("Gift card", |item| &item.product_name)),
            "productBrand" => push_text(out, "Selvage Studio"),
            "productVariantName" => maybe_text(out, item.map(|item| item.variant_name.as_str())),
            "quantity" => number(out, line.ordered - line.cancelled),
            "cancelledQuantity" => number(out, line.cancelled),
            "returnedQuantity" => {
                let order = self.state.find(i64::from(order.number));
                number(out, order.map_or(0, |order| self.state.returns.units_of_line(order, line.id)));
            }
            "unitOriginalPrice" => {
                let mills = order.with_tax(unit(line.unit_original), pick.including_tax(self.variables));
                self.money(out, pick, order.currency, mills, at);
            }
            "unitPrice" => {
                let mills = order.with_tax(unit(line.unit), pick.including_tax(self.variables));
                self.money(out, pick, order.currency, mills, at);
            }
            "lineValue" => {
                let mills = order.with_tax(value, pick.including_tax(self.variables));
                self.money(out, pick, order.currency, mills, at);
            }
            "discountPercent" => {
                let off = i128::from(line.unit_original - line.unit) * 100;
                let percent = order.currency.round(off * 1_000, i128::from(line.unit_original.max(1)));
                data::push_mills(out, percent);
            }
            "taxPercent" => data::push_mills(out, line.rate),
            "brand" => named(out, "Brand", pick, 1, "Selvage Studio"),
            "product" => match item {
                Some(item) => self.product(out, pick, item),
                None => out.push_str("null"),
            },
            "productVariant" => match item {
                Some(item) => self.variant(out, pick, item),
                None => out.push_str("null"),
            },
            "productSize" => match line.item {
                Some(at) => self.product_size(out, pick, at),
                None => out.push_str("null"),
            },
            "allocations" => self.allocations(out, pick, order, line, at),
            "appliedTaxRules" => {
                let rate = (line.kind != LineKind::GiftCertificate).then_some(line.rate);
                self.tax_rules(out, pick, order, rate, value.tax, at);
            }
            "bundleItems" => {
                let place = order.lines.iter().position(|other| other.id == line.id);
                let items =
                    order.lines.iter().filter(|other| place.is_some_and(|place| other.kind == LineKind::BundleItem(place)));
                rows(out, items, |out, item| self.line(out, pick, order, item, at));
            }
            "bundleLine" => match line.kind {
                LineKind::BundleItem(place) => match order.lines.get(place) {
                    Some(bundle) => self.line(out, pick, order, bundle, at),
                    None => out.push_str("null"),
                },
                _ => out.push_str("null"),
            },
            _ => out.push_str("null"),
        });
    }

    fn totals(&self, out: &mut String, pick: &Pick, order: &Order, totals: &data::Totals, life: &Life, at: Timestamp) {
        let charge_rate = |amount: i64| (amount != 0).then_some(order.rate);
        let tax_off: i64 = order.discounts.iter().map(|discount| discount.amount.tax).sum();
        let in_mode = |included: bool, tax: i64| {
            if order.tax_included == included { tax } else { 0 }
        };
        object(out, "OrderTotals", pick.shape("OrderTotals"), |out, pick| {
            let mills = match pick.name.as_str() {
                "quantity" => return number(out, totals.quantity),
                "originalQuantity" => return number(out, totals.quantity + totals.cancelled),
                "cancelledQuantity" => return number(out, totals.cancelled),
                "unexpeditedQuantity" => {
                    let gone = life.status == super::state::Status::Cancelled;
                    return number(out, if gone { 0 } else { totals.quantity });
                }
                "shippingTaxRules" => {
                    let (rate, tax) = (charge_rate(order.shipping.quoted), order.shipping.tax);
                    return self.tax_rules(out, pick, order, rate, tax, at);
                }
                "handlingTaxRules" => {
                    let (rate, tax) = (charge_rate(order.handling.quoted), order.handling.tax);
                    return self.tax_rules(out, pick, order, rate, tax, at);
                }
                "discountTaxRules" => {
                    return self.tax_rules(out, pick, order, charge_rate(totals.discounts), -tax_off, at);
                }
                "lineValues" => totals.lines,
                "handling" => totals.handling,
                "shipping" => totals.shipping,
                "discounts" => totals.discounts,
                "shippingTaxAdded" => in_mode(false, order.shipping.tax),
                "shippingTaxIncluded" => in_mode(true, order.shipping.tax),
                "taxAdded" => in_mode(false, totals.tax),
                "taxIncluded" => in_mode(true, totals.tax),
                "taxDeducted" | "shippingTaxDeducted" => 0,
                _ => return out.push_str("null"),
            };
            self.money(out, pick, order.currency, mills, at);
        });
    }

    // ------------------------------------------------------------ setup and catalogue

    pub fn store(&self, out: &mut String, pick: &Pick) {
        object(out, "Store", pick.shape("Store"), |out, pick| match pick.name.as_str() {
            "id" => number(out, STORE),
            "name" => push_text(out, "Online Store"),
            _ => push_text(out, "DIRECT_TO_CONSUMER"),
        });
    }

    fn market_countries(&self, out: &mut String, pick: &Pick, market: &Market) {
        let countries = self.state.catalogue.countries();
        let mine = (0..countries.len()).filter(|at| {
            market.countries.is_empty() || countries.get(*at).is_some_and(|c| market.countries.contains(&c.code.as_str()))
        });
        rows(out, mine, |out, at| self.country(out, pick, u32::try_from(at).ok()));
    }

    pub fn market(&self, out: &mut String, pick: &Pick, market: &Market) {
        object(out, "Market", pick.shape("Market"), |out, pick| match pick.name.as_str() {
            "id" => number(out, market.id),
            "name" => push_text(out, market.name),
            "store" => self.store(out, pick),
            "allocationRule" => self.allocation_rule(out, pick, market),
            "assignedToCountries" => self.market_countries(out, pick, market),
            _ => out.push_str("null"),
        });
    }

    pub fn pricelist(&self, out: &mut String, pick: &Pick, market: &Market) {
        object(out, "Pricelist", pick.shape("Pricelist"), |out, pick| match pick.name.as_str() {
            "id" => number(out, market.id),
            "name" => push_text(out, &format!("{} {}", market.name, market.currency.code)),
            "status" => push_text(out, "ACTIVE"),
            "currency" => self.currency(out, pick, market.currency),
            "store" => self.store(out, pick),
            "assignedToCountries" => self.market_countries(out, pick, market),
            "prices" => self.prices_in(out, pick, market),
            _ => out.push_str("null"),
        });
    }

    // ------------------------------------------------------------ events and ids

    fn events(&self, out: &mut String, pick: &Pick) -> Result<(), Refused> {
        let limit = self.page_size(pick, "limit")?;
        let filter = self.argument(pick, "where").unwrap_or(Value::Null);
        let (objects, changes) = (list(&filter, "objectType"), list(&filter, "changeType"));
        let (stores, markets) = (list(&filter, "storeId"), list(&filter, "marketId"));
        if list(&filter, "integrationName").is_some_and(|names| !names.contains(&Value::from(self.queue))) {
            return Err("another integration's events cannot be read".to_owned());
        }
        let holds = |wanted: &Option<Vec<Value>>, value: Value| wanted.as_ref().is_none_or(|wanted| wanted.contains(&value));
        let queue = self.state.queues.get(self.queue).filter(|_| self.events);
        let found = queue
            .into_iter()
            .flat_map(|queue| &queue.events)
            .filter(|(_, event)| {
                // Only orders are of a store and of a market.
                let market = |order: u32| self.market_of(order).map_or(0, |market| market.id);
                holds(&objects, Value::from(event.subject.name()))
                    && holds(&changes, Value::from(event.change))
                    && match event.subject {
                        Subject::Order(order) => {
                            holds(&stores, Value::from(STORE))
                                && (markets.is_none() || holds(&markets, Value::from(market(order))))
                        }
                        _ => stores.is_none() && markets.is_none(),
                    }
            })
            .take(limit);
        rows(out, found, |out, (id, event)| self.event(out, pick, *id, *event));
        Ok(())
    }

    fn market_of(&self, order: u32) -> Option<&Market> {
        self.state.catalogue.markets().get(self.state.base(order).market)
    }

    fn event(&self, out: &mut String, pick: &Pick, id: i32, event: Event) {
        object(out, "Event", pick.shape("Event"), |out, pick| match (pick.name.as_str(), event.subject) {
            ("id", _) => number(out, id),
            ("objectType", subject) => push_text(out, subject.name()),
            ("changeType", _) => push_text(out, event.change),
            ("objectReference", Subject::Order(order)) => number(out, self.state.number(order)),
            (
                "objectReference",
                Subject::StockChange(id)
                | Subject::Shipment(id)
                | Subject::Return(id)
                | Subject::Payment(id)
                | Subject::Product(id)
                | Subject::Variant(id)
                | Subject::Price(id),
            ) => number(out, id),
            ("objectReference", Subject::Size(at)) => number(out, at + 1),
            ("createdAt", _) => self.date(out, pick, moment(event.at)),
            ("store", Subject::Order(_)) => self.store(out, pick),
            ("market", Subject::Order(order)) => match self.market_of(order) {
                Some(market) => self.market(out, pick, market),
                None => out.push_str("null"),
            },
            // The state now, not as it was at the event.
            ("object", Subject::Order(order)) => self.order(out, pick, order),
            ("object", Subject::StockChange(id)) => self.stock_change(out, pick, id),
            ("object", Subject::Shipment(id)) => match self.state.shipments.get(id) {
                Some(shipment) => self.shipment(out, pick, shipment),
                None => out.push_str("null"),
            },
            // Null once it was deleted.
            ("object", Subject::Return(id)) => self.return_by_id(out, pick, id),
            ("object", Subject::Payment(id)) => self.paid_by_id(out, pick, id),
            ("object", Subject::Product(id)) => match self.state.shelf.of_product(id).next().and_then(|at| self.state.item(at)) {
                Some(item) => self.product(out, pick, item),
                None => out.push_str("null"),
            },
            ("object", Subject::Variant(id)) => match self.state.of_variant(id) {
                Some((_, item)) => self.variant(out, pick, item),
                None => out.push_str("null"),
            },
            ("object", Subject::Size(at)) => self.product_size(out, pick, at),
            ("object", Subject::Price(id)) => self.price_by_id(out, pick, id),
            _ => out.push_str("null"),
        });
    }

    /// Writes the integration's listeners, all or those of some object types.
    pub fn listeners(&self, out: &mut String, pick: &Pick, objects: Option<&[Value]>) {
        let queue = self.state.queues.get(self.queue);
        let found = queue
            .into_iter()
            .flat_map(|queue| &queue.listeners)
            .filter(|(object, _)| objects.is_none_or(|objects| objects.iter().any(|o| o == object.as_str())));
        rows(out, found, |out, (name, listener)| {
            object(out, "EventListener", pick.shape("EventListener"), |out, pick| match pick.name.as_str() {
                "integrationName" => push_text(out, self.queue),
                "objectType" => push_text(out, name),
                "changeTypes" => rows(out, &listener.changes, |out, change| push_text(out, change)),
                "createdAt" => self.date(out, pick, moment(listener.created)),
                _ => self.date(out, pick, moment(listener.updated)),
            });
        });
    }

    fn id_conversions(&self, out: &mut String, pick: &Pick) -> Result<(), Refused> {
        let (skip, limit) = self.page(pick)?;
        let filter = self.argument(pick, "where").unwrap_or(Value::Null);
        let kinds = list(&filter, "objectType");
        let internals = list(&filter, "internalId");
        let equals = filter.pointer("/externalId/equals").and_then(|text| text.as_str());
        let queue = self.state.queues.get(self.queue);
        let found = queue
            .into_iter()
            .flat_map(|queue| &queue.by_internal)
            .filter(|((kind, internal), (_, external))| {
                kinds.as_ref().is_none_or(|kinds| kinds.iter().any(|k| k == kind.as_str()))
                    && internals.as_ref().is_none_or(|ids| ids.contains(&Value::from(*internal)))
                    && equals.is_none_or(|equals| equals == external)
            })
            .skip(skip)
            .take(limit);
        rows(out, found, |out, ((kind, internal), (id, external))| {
            self.id_conversion(out, pick, *id, kind, *internal, external);
        });
        Ok(())
    }

    /// Writes one entry of the table of external ids.
    pub fn id_conversion(&self, out: &mut String, pick: &Pick, id: i64, kind: &str, internal: i64, external: &str) {
        object(out, "IdConversionEntry", pick.shape("IdConversionEntry"), |out, pick| match pick.name.as_str() {
            "id" => number(out, id),
            "externalId" => push_text(out, external),
            "internalId" => number(out, internal),
            "objectType" => push_text(out, kind),
            _ => push_text(out, self.queue),
        });
    }
}

fn make_cursor(sort: Sort, (value, order): Key) -> String {
    let text = match sort {
        Sort::Placed => format!("id:{order}"),
        Sort::Number => format!("number:{value}"),
        Sort::Updated => format!("updatedAt:{value},{order}"),
    };
    BASE64.encode(text)
}

fn read_cursor(cursor: &str, sort: Sort) -> Option<Key> {
    let bytes = BASE64.decode(cursor).ok()?;
    let text = String::from_utf8(bytes).ok()?;
    let (field, value) = text.split_once(':')?;
    match (sort, field) {
        (Sort::Placed, "id") => Some((0, value.parse().ok()?)),
        (Sort::Number, "number") => Some((value.parse().ok()?, u32::MAX)),
        (Sort::Updated, "updatedAt") => {
            let (second, order) = value.split_once(',')?;
            Some((second.parse().ok()?, order.parse().ok()?))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_id_tells_its_number() {
        for number in [0, 1, 10_001, 550_193, i32::MAX] {
            let id = order_id(number);
            assert_eq!(id.len(), 32);
            assert_eq!(number_of_id(&id), Some(number));
        }
        assert_eq!(number_of_id("zz"), None);
        assert_eq!(number_of_id(&"0".repeat(32)), None);
    }

    #[test]
    fn texts_are_valid_json_and_come_back() {
        for text in ["", "plain", "a\"b\\c\n\r\t\u{1}\u{7f}", "åäö 𠮷 👩‍👩‍👧", "\u{2028}"] {
            let mut out = String::new();
            push_text(&mut out, text);
            assert_eq!(serde_json::from_str::<String>(&out).unwrap(), text);
        }
    }
}
