//! Giving out records: documents, customers, lists, and the description of their fields.

use jiff::Timestamp;

use super::fields::{self, Field, Shape, Spec};
use super::fixed::Fixed;
use super::json::Json;
use super::records::{address_parts, country_of};
use super::seed::{self, Items};
use super::state::{Customer, Extra, Kind, Line, Symbols, TaxLine, Tran};
use super::stock::{self, Stock};
use super::{Options, TaxRegime};
use crate::mischief::mix;

/// How an answer is wanted.
pub(super) struct View<'a> {
    pub(super) options: &'a Options,
    pub(super) items: &'a Items,
    pub(super) symbols: &'a Symbols,
    pub(super) stock: &'a Stock,
    /// Scheme, host and path up to `/record/v1`.
    pub(super) base: &'a str,
    /// `expandSubResources=true`.
    pub(super) expand: bool,
    /// `simpleEnumFormat=true`.
    pub(super) simple: bool,
    /// `fields=`, lower case; empty for all.
    pub(super) fields: Vec<String>,
}

/// A UTC timestamp as the record service writes it.
pub(super) fn utc(seconds: i64) -> String {
    Timestamp::from_second(seconds).map_or_else(|_| String::new(), |at| at.to_string())
}

impl View<'_> {
    fn wants(&self, name: &str) -> bool {
        self.fields.is_empty() || self.fields.iter().any(|field| field.eq_ignore_ascii_case(name))
    }

    fn extras(&self, json: &mut Json, extra: &[Extra], line: u32) {
        for extra in extra.iter().filter(|extra| extra.line == line) {
            let name = self.symbols.text(extra.name);
            if line != 0 || self.wants(name) {
                json.raw(name, &extra.json);
            }
        }
    }

    fn references(&self, json: &mut Json, name: &str, record: &str, id: u32, shown: &str) {
        if id == 0 || !self.wants(name) {
            return;
        }
        json.key(name);
        json.open('{');
        json.link("self", &format!("{}/{record}/{id}", self.base));
        json.text("id", &id.to_string());
        json.text("refName", shown);
        json.close('}');
    }

    /// A sales order or cash sale.
    pub(super) fn transaction(&self, tran: &Tran, customer: &str) -> String {
        let mut json = Json::with_capacity(if self.expand { 1_500 + 520 * tran.lines.len() } else { 1_500 });
        let own = format!("{}/{}/{}", self.base, tran.kind.record(), tran.id);
        let totals = tran.totals();
        let suite = self.options.tax.is_suite_tax();
        json.open('{');
        json.link("self", &own);
        for (name, address) in [("billingAddress", &tran.bill_to), ("shippingAddress", &tran.ship_to)] {
            if self.wants(name) {
                json.key(name);
                match address {
                    Some(kept) if self.expand => self.address(&mut json, &format!("{own}/{name}"), kept),
                    _ => {
                        json.open('{');
                        json.link("self", &format!("{own}/{name}"));
                        json.close('}');
                    }
                }
            }
        }
        if self.wants("createdDate") {
            json.text("createdDate", &utc(tran.created));
        }
        let currency = seed::currency(tran.currency).map_or("", |c| c.name);
        self.references(&mut json, "currency", "currency", tran.currency, currency);
        if tran.discount_item != 0 {
            let shown = self.items.get(tran.discount_item).map_or("", |item| &item.sku);
            self.references(&mut json, "discountItem", "discountItem", tran.discount_item, shown);
            if self.wants("discountRate") {
                if tran.discount_percent {
                    json.text("discountRate", &format!("{}%", tran.discount_rate.text(1)));
                } else {
                    json.number("discountRate", tran.discount_rate);
                }
            }
        }
        self.references(&mut json, "entity", "customer", tran.entity, customer);
        let numbers = [
            ("discountTotal", totals.discount, true),
            ("exchangeRate", tran.exchange, true),
            ("handlingCost", tran.handling, !tran.handling.is_zero()),
            ("shippingCost", tran.shipping, tran.kind != Kind::Return),
            ("shippingTaxAmount", totals.shipping_tax, suite && tran.kind != Kind::Return),
            ("subtotal", totals.subtotal, true),
            ("taxTotal", totals.tax, true),
            ("total", totals.total, true),
            ("totalAfterTaxes", totals.total, suite),
        ];
        for (name, value, shown) in numbers {
            if shown && self.wants(name) {
                json.number(name, value);
            }
        }
        let texts = [
            ("externalId", tran.external.as_deref()),
            ("memo", tran.memo.as_deref()),
            ("otherRefNum", tran.other_ref.as_deref()),
        ];
        for (name, text) in texts {
            if let Some(text) = text
                && self.wants(name)
            {
                json.text(name, text);
            }
        }
        json.text("id", &tran.id.to_string());
        if self.wants("item") {
            json.key("item");
            json.open('{');
            json.link("self", &format!("{own}/item"));
            if self.expand {
                self.list(&mut json, tran.lines.iter(), |json, line| self.line(json, &own, tran, line));
            }
            json.close('}');
        }
        if self.wants("lastModifiedDate") {
            json.text("lastModifiedDate", &utc(tran.modified));
        }
        let location = seed::location(tran.location).map_or("", |l| l.name);
        self.references(&mut json, "location", "location", tran.location, location);
        let (letter, label) = tran.status();
        if tran.kind == Kind::SalesOrder && self.wants("orderStatus") {
            json.choice("orderStatus", letter, label, self.simple);
        }
        if tran.kind == Kind::Return && self.wants("orderStatus") {
            let (letter, label) = if tran.approved { ("B", "Pending Receipt") } else { ("A", "Pending Approval") };
            json.choice("orderStatus", letter, label, self.simple);
        }
        if tran.from() != 0 && self.wants("createdFrom") {
            json.key("createdFrom");
            json.open('{');
            json.raw("links", "[]");
            json.text("id", &tran.from().to_string());
            json.close('}');
        }
        if tran.kind == Kind::Credit {
            let applied = tran.back.as_ref().map(|back| back.applied).unwrap_or_default();
            let remaining = if letter == "V" { Fixed::ZERO } else { tran.remaining() };
            for (name, value) in [("applied", applied), ("amountPaid", applied), ("amountRemaining", remaining)] {
                if self.wants(name) {
                    json.number(name, value);
                }
            }
        }
        for (name, id) in [("paymentMethod", tran.payment_method), ("paymentOption", tran.payment_option)] {
            let shown = seed::named(seed::PAYMENT_METHODS, id).unwrap_or("");
            self.references(&mut json, name, "paymentMethod", id, shown);
        }
        let method = seed::named(seed::SHIP_ITEMS, tran.ship_method).unwrap_or("");
        self.references(&mut json, "shipMethod", "shipItem", tran.ship_method, method);
        if self.wants("source") {
            json.choice("source", "restWebServices", "REST Web Services", self.simple);
        }
        if self.wants("status") {
            json.choice("status", letter, label, self.simple);
        }
        if self.options.one_world {
            let name = seed::subsidiary(tran.subsidiary).map_or("", |s| s.name);
            self.references(&mut json, "subsidiary", "subsidiary", tran.subsidiary, name);
        }
        if suite {
            if self.wants("taxDetailsOverride") {
                json.flag("taxDetailsOverride", tran.tax_override);
            }
            if self.wants("taxDetails") {
                json.key("taxDetails");
                json.open('{');
                json.link("self", &format!("{own}/taxDetails"));
                if self.expand {
                    self.list(&mut json, tran.taxes.iter(), |json, tax| self.tax_detail(json, tran, tax));
                }
                json.close('}');
            }
        } else if tran.ship_tax_code != 0 {
            self.legacy_code(&mut json, "shippingTaxCode", tran.ship_tax_code);
        }
        if self.wants("tranDate") {
            json.text("tranDate", &tran.date.to_string());
        }
        if self.wants("tranId") {
            json.text("tranId", &tran.tran_id());
        }
        self.extras(&mut json, &tran.extra, 0);
        json.close('}');
        json.finish()
    }

    fn legacy_code(&self, json: &mut Json, name: &str, code: u32) {
        if let Some(known) = seed::tax_code(code) {
            self.references(json, name, "salesTaxItem", code, &known.name());
        }
    }

    /// Items, count and so on of a sublist, whose object is open.
    fn list<T>(&self, json: &mut Json, items: impl ExactSizeIterator<Item = T>, mut each: impl FnMut(&mut Json, T)) {
        let count = items.len().to_string();
        json.raw("count", &count);
        json.flag("hasMore", false);
        json.key("items");
        json.open('[');
        for item in items {
            each(json, item);
        }
        json.close(']');
        json.raw("offset", "0");
        json.raw("totalResults", &count);
    }

    fn line(&self, json: &mut Json, own: &str, tran: &Tran, line: &Line) {
        json.open('{');
        json.link("self", &format!("{own}/item/{}", line.number));
        json.number("amount", line.amount);
        if !line.description.is_none() {
            json.text("description", self.symbols.text(line.description));
        }
        let order = tran.kind == Kind::SalesOrder;
        if order {
            json.flag("isClosed", line.closed);
            json.flag("isOpen", !line.closed);
        }
        if let Some(item) = self.items.get(line.item) {
            json.reference("item", item.id, &item.sku);
            json.choice("itemType", item.kind.code(), item.kind.code(), self.simple);
        }
        json.raw("line", &line.number.to_string());
        json.text("lineUniqueKey", &unique_key(tran.id, line.number).to_string());
        if let Some(location) = seed::location(line.location) {
            json.reference("location", location.id, location.name);
        }
        if line.custom {
            json.raw("price", r#"{"links":[],"id":"-1","refName":"Custom"}"#);
        } else {
            json.raw("price", r#"{"links":[],"id":"1","refName":"Base Price"}"#);
        }
        // Some quantities come as texts.
        if mix(u64::from(tran.id) << 20 ^ u64::from(line.number)).is_multiple_of(4) {
            json.text("quantity", &line.quantity.text(0));
        } else {
            json.number("quantity", line.quantity);
        }
        if tran.kind == Kind::Return {
            json.flag("isClosed", line.closed);
            json.flag("isOpen", !line.closed);
            let back = tran.back.as_deref();
            json.number("quantityReceived", back.map(|back| back.received_of(line.number)).unwrap_or_default());
            json.number("quantityBilled", back.map(|back| back.credited_of(line.number)).unwrap_or_default());
        }
        if line.source != 0 {
            json.raw("orderLine", &line.source.to_string());
            json.key("orderDoc");
            json.open('{');
            json.raw("links", "[]");
            json.text("id", &tran.from().to_string());
            json.close('}');
        }
        if order {
            let (committed, back_ordered) = self.stock.line(tran, line);
            json.number("quantityBackOrdered", back_ordered);
            let billed = if tran.billed { line.quantity } else { Fixed::ZERO };
            json.number("quantityBilled", billed);
            json.number("quantityCommitted", committed);
            json.number("quantityFulfilled", stock::shipped(tran, line.number));
        }
        json.number("rate", line.rate);
        match self.options.tax {
            TaxRegime::SuiteTaxEngine | TaxRegime::SuiteTaxOverride => {
                if !line.reference.is_none() {
                    json.text("taxDetailsReference", self.symbols.text(line.reference));
                }
            }
            TaxRegime::LegacyLine | TaxRegime::LegacyTransaction => {
                if let Some(tax) = tran.taxes.iter().find(|tax| tax.line == line.number) {
                    json.number("grossAmt", line.amount.plus(tax.amount).unwrap_or_default());
                    json.number("tax1Amt", tax.amount);
                    if let Some(code) = seed::tax_code(tax.code) {
                        json.reference("taxCode", tax.code, &code.name());
                    }
                    json.number("taxRate1", tax.rate);
                }
            }
            TaxRegime::None => {}
        }
        self.extras(json, &tran.extra, line.number);
        json.close('}');
    }

    fn tax_detail(&self, json: &mut Json, tran: &Tran, tax: &TaxLine) {
        json.open('{');
        json.raw("links", "[]");
        let (kind, name) = match tran.lines.iter().find(|line| line.number == tax.line) {
            Some(line) => ("Item", self.items.get(line.item).map_or("", |item| &*item.sku)),
            None => ("Shipping", seed::named(seed::SHIP_ITEMS, tran.ship_method).unwrap_or("")),
        };
        json.text("lineName", name);
        json.text("lineType", kind);
        json.number("netAmount", tax.basis);
        json.number("taxAmount", tax.amount);
        json.number("taxBasis", tax.basis);
        if let Some(code) = seed::tax_code(tax.code) {
            json.reference("taxCode", tax.code, &code.name());
        }
        let reference = self.symbols.text(tax.reference);
        json.key("taxDetailsReference");
        json.open('{');
        json.text("id", reference);
        json.text("refName", reference);
        json.close('}');
        json.number("taxRate", tax.rate);
        if let Some(code) = seed::tax_code(tax.code) {
            let name = seed::tax_type(code.tax_type).unwrap_or_default();
            json.reference("taxType", code.tax_type, &name);
        }
        json.close('}');
    }

    fn address(&self, json: &mut Json, own: &str, kept: &str) {
        let (fields, country) = address_parts(kept);
        json.open('{');
        json.link("self", own);
        for (name, text) in fields {
            json.text(name, text);
        }
        if !country.is_empty() {
            json.choice("country", country, country, self.simple);
        }
        json.flag("override", false);
        json.close('}');
    }

    /// `item`, `item/{line}`, `taxDetails`, `billingAddress`, `shippingAddress` of a document.
    pub(super) fn part(&self, tran: &Tran, name: &str, line: Option<u32>) -> Option<String> {
        let own = format!("{}/{}/{}", self.base, tran.kind.record(), tran.id);
        let mut json = Json::with_capacity(512);
        match (name.to_ascii_lowercase().as_str(), line) {
            ("item", Some(number)) => {
                let line = tran.lines.iter().find(|line| line.number == number)?;
                self.line(&mut json, &own, tran, line);
            }
            ("item", None) => {
                json.open('{');
                json.link("self", &format!("{own}/item"));
                self.list(&mut json, tran.lines.iter(), |json, line| self.line(json, &own, tran, line));
                json.close('}');
            }
            ("taxdetails", None) if self.options.tax.is_suite_tax() => {
                json.open('{');
                json.link("self", &format!("{own}/taxDetails"));
                self.list(&mut json, tran.taxes.iter(), |json, tax| self.tax_detail(json, tran, tax));
                json.close('}');
            }
            ("shippingaddress", None) => {
                self.address(&mut json, &format!("{own}/shippingAddress"), tran.ship_to.as_deref()?);
            }
            ("billingaddress", None) => {
                self.address(&mut json, &format!("{own}/billingAddress"), tran.bill_to.as_deref()?);
            }
            _ => return None,
        }
        Some(json.finish())
    }

    /// A customer.
    pub(super) fn customer(&self, customer: &Customer) -> String {
        let mut json = Json::with_capacity(1_024);
        let own = format!("{}/customer/{}", self.base, customer.id);
        json.open('{');
        json.link("self", &own);
        if self.wants("addressBook") {
            json.key("addressBook");
            json.open('{');
            json.link("self", &format!("{own}/addressBook"));
            if self.expand {
                self.list(&mut json, customer.addresses.iter(), |json, entry| {
                    json.open('{');
                    json.raw("links", "[]");
                    json.key("addressBookAddress");
                    self.address(json, &format!("{own}/addressBook/{}/addressBookAddress", entry.id), &entry.address);
                    json.text("addressId", &entry.id.to_string());
                    json.flag("defaultBilling", entry.billing);
                    json.flag("defaultShipping", entry.shipping);
                    json.raw("id", &entry.id.to_string());
                    json.text("label", &entry.label);
                    json.close('}');
                });
            }
            json.close('}');
        }
        let texts = [
            ("comments", &customer.comments),
            ("companyName", &customer.company),
            ("email", &customer.email),
            ("entityId", &customer.entity_id),
            ("firstName", &customer.first),
            ("lastName", &customer.last),
            ("phone", &customer.phone),
        ];
        for (name, text) in texts {
            if !text.is_empty() && self.wants(name) {
                json.text(name, text);
            }
        }
        let currency = seed::currency(customer.currency).map_or("", |c| c.name);
        self.references(&mut json, "currency", "currency", customer.currency, currency);
        if self.wants("currencyList") {
            json.key("currencyList");
            json.open('{');
            json.link("self", &format!("{own}/currencyList"));
            if self.expand {
                let all: Vec<u32> = std::iter::once(customer.currency).chain(customer.currencies.iter().copied()).collect();
                self.list(&mut json, all.into_iter(), |json, id| {
                    json.open('{');
                    json.raw("links", "[]");
                    json.reference("currency", id, seed::currency(id).map_or("", |c| c.name));
                    json.close('}');
                });
            }
            json.close('}');
        }
        if self.wants("dateCreated") {
            json.text("dateCreated", &utc(customer.created));
        }
        if let Some(external) = &customer.external
            && self.wants("externalId")
        {
            json.text("externalId", external);
        }
        json.text("id", &customer.id.to_string());
        json.flag("isInactive", customer.inactive);
        json.flag("isPerson", customer.person);
        if self.wants("lastModifiedDate") {
            json.text("lastModifiedDate", &utc(customer.modified));
        }
        if self.options.one_world {
            let name = seed::subsidiary(customer.subsidiary).map_or("", |s| s.name);
            self.references(&mut json, "subsidiary", "subsidiary", customer.subsidiary, name);
        }
        self.extras(&mut json, &customer.extra, 0);
        json.close('}');
        json.finish()
    }

    /// A record of a list that does not change. `None` when there is none with this id.
    pub(super) fn listed(&self, list: List, id: u32) -> Option<String> {
        let mut json = Json::with_capacity(256);
        json.open('{');
        json.link("self", &format!("{}/{}/{id}", self.base, list.record()));
        json.text("id", &id.to_string());
        match list {
            List::Subsidiary => {
                let it = seed::subsidiary(id)?;
                json.text("name", it.name);
                json.choice("country", it.country, it.country, self.simple);
                let currency = seed::currency_by_symbol(it.currency)?;
                json.reference("currency", currency.id, currency.name);
                json.flag("isInactive", it.inactive);
            }
            List::Location => {
                let it = seed::location(id)?;
                json.text("name", it.name);
                json.flag("isInactive", it.inactive);
            }
            List::Currency => {
                let it = seed::currency(id)?;
                json.text("name", it.name);
                json.text("symbol", it.symbol);
                json.raw("currencyPrecision", &it.digits.to_string());
                json.flag("isInactive", false);
            }
            List::ShipItem => {
                json.text("itemId", seed::named(seed::SHIP_ITEMS, id)?);
                json.flag("isInactive", false);
            }
            List::PaymentMethod => {
                json.text("name", seed::named(seed::PAYMENT_METHODS, id)?);
                json.flag("isInactive", false);
            }
            List::TaxCode => {
                let code = seed::tax_code(id)?;
                json.text("itemId", &code.name());
                json.text("rate", &format!("{}%", code.rate.text(1)));
                json.reference("taxType", code.tax_type, &seed::tax_type(code.tax_type)?);
            }
            List::PriceLevel => {
                json.text("name", seed::named(seed::PRICE_LEVELS, id)?);
                json.flag("isInactive", false);
            }
            List::Item(kind) => {
                let item = self.items.get(id).filter(|item| item.kind == kind)?;
                json.text("itemId", &item.sku);
                json.text("displayName", &item.name);
                json.flag("isInactive", item.inactive);
                json.choice("itemType", kind.code(), kind.code(), self.simple);
            }
        }
        json.close('}');
        Some(json.finish())
    }
}

/// Key of a line that stays when its number does.
pub(super) fn unique_key(tran: u32, line: u32) -> u64 {
    u64::from(tran) * 10_000 + u64::from(line)
}

/// A list that does not change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum List {
    Subsidiary,
    Location,
    Currency,
    ShipItem,
    PaymentMethod,
    TaxCode,
    PriceLevel,
    Item(seed::ItemKind),
}

impl List {
    /// The list of a record type, in any case.
    pub(super) fn find(record: &str) -> Option<List> {
        use seed::ItemKind::{Charge, Discount};
        Some(match record.to_ascii_lowercase().as_str() {
            "subsidiary" => List::Subsidiary,
            "location" => List::Location,
            "currency" => List::Currency,
            "shipitem" => List::ShipItem,
            "paymentmethod" => List::PaymentMethod,
            "salestaxitem" => List::TaxCode,
            "pricelevel" => List::PriceLevel,
            "discountitem" => List::Item(Discount),
            "otherchargesaleitem" => List::Item(Charge),
            _ => return None,
        })
    }

    pub(super) fn record(self) -> &'static str {
        match self {
            List::Subsidiary => "subsidiary",
            List::Location => "location",
            List::Currency => "currency",
            List::ShipItem => "shipItem",
            List::PaymentMethod => "paymentMethod",
            List::TaxCode => "salesTaxItem",
            List::PriceLevel => "priceLevel",
            List::Item(kind) => kind.record(),
        }
    }

    /// The ids, rising. Tax codes exist for any rate; those of the standard rates are listed.
    pub(super) fn ids(self, items: &Items) -> Vec<u32> {
        match self {
            List::Subsidiary => seed::SUBSIDIARIES.iter().map(|s| s.id).collect(),
            List::Location => seed::LOCATIONS.iter().map(|l| l.id).collect(),
            List::Currency => seed::CURRENCIES.iter().map(|c| c.id).collect(),
            List::ShipItem => seed::SHIP_ITEMS.iter().map(|(id, _)| *id).collect(),
            List::PaymentMethod => seed::PAYMENT_METHODS.iter().map(|(id, _)| *id).collect(),
            List::TaxCode => seed::listed_tax_codes(),
            List::PriceLevel => seed::PRICE_LEVELS.iter().map(|(id, _)| *id).collect(),
            List::Item(kind) => items.all().filter(|item| item.kind == kind).map(|item| item.id).collect(),
        }
    }
}

/// A page of a collection: ids and links only.
pub(super) fn collection(base: &str, record: &str, ids: &[u32], limit: usize, offset: usize) -> String {
    let page: Vec<u32> = ids.iter().skip(offset).take(limit).copied().collect();
    let mut json = Json::with_capacity(128 + 128 * page.len());
    json.open('{');
    json.link("self", &format!("{base}/{record}?limit={limit}&offset={offset}"));
    json.raw("count", &page.len().to_string());
    json.flag("hasMore", offset + page.len() < ids.len());
    json.key("items");
    json.open('[');
    for id in &page {
        json.open('{');
        json.link("self", &format!("{base}/{record}/{id}"));
        json.text("id", &id.to_string());
        json.close('}');
    }
    json.close(']');
    json.raw("offset", &offset.to_string());
    json.raw("totalResults", &ids.len().to_string());
    json.close('}');
    json.finish()
}

/// The JSON schema of a record, or of a sublist's lines (`salesOrder-itemElement`). `None` when unknown.
pub(super) fn schema(options: &Options, base: &str, name: &str) -> Option<String> {
    let (specs, order, record): (&[Spec], bool, &str) = match name.to_ascii_lowercase().as_str() {
        "salesorder" => (fields::BODY, true, "salesOrder"),
        "cashsale" => (fields::BODY, false, "cashSale"),
        "returnauthorization" => (fields::RETURN, true, "returnAuthorization"),
        "creditmemo" => (fields::CREDIT, true, "creditMemo"),
        "itemreceipt" => (fields::RECEIPT, true, "itemReceipt"),
        "customerrefund" => (fields::REFUND, true, "customerRefund"),
        "inventoryadjustment" => (fields::ADJUSTMENT, true, "inventoryAdjustment"),
        "returnauthorization-itemelement" => (fields::RETURN_LINE, true, "returnAuthorization-itemElement"),
        "creditmemo-itemelement" => (fields::CREDIT_LINE, true, "creditMemo-itemElement"),
        "itemreceipt-itemelement" => (fields::RECEIPT_LINE, true, "itemReceipt-itemElement"),
        "customerrefund-applyelement" => (fields::APPLY, true, "customerRefund-applyElement"),
        "inventoryadjustment-inventoryelement" => (fields::ADJUSTMENT_LINE, true, "inventoryAdjustment-inventoryElement"),
        "customer" => (fields::CUSTOMER, true, "customer"),
        "inventoryitem" => (fields::ITEM, true, "inventoryItem"),
        "kititem" => (fields::ITEM, false, "kitItem"),
        "itemfulfillment" => (fields::FULFILMENT, true, "itemFulfillment"),
        "inventoryitem-priceelement" => (fields::PRICE, true, "inventoryItem-priceElement"),
        "kititem-priceelement" => (fields::PRICE, true, "kitItem-priceElement"),
        "kititem-memberelement" => (fields::MEMBER, false, "kitItem-memberElement"),
        "itemfulfillment-itemelement" => (fields::FULFILMENT_LINE, true, "itemFulfillment-itemElement"),
        "itemfulfillment-packageelement" => (fields::PACKAGE, true, "itemFulfillment-packageElement"),
        "salesorder-itemelement" => (fields::LINE, true, "salesOrder-itemElement"),
        "cashsale-itemelement" => (fields::LINE, false, "cashSale-itemElement"),
        "salesorder-taxdetailselement" if options.tax.is_suite_tax() => {
            (fields::TAX_DETAIL, true, "salesOrder-taxDetailsElement")
        }
        "cashsale-taxdetailselement" if options.tax.is_suite_tax() => (fields::TAX_DETAIL, false, "cashSale-taxDetailsElement"),
        _ => return None,
    };
    let mut json = Json::with_capacity(8_192);
    json.open('{');
    json.text("type", "object");
    json.key("properties");
    json.open('{');
    for spec in specs.iter().filter(|spec| spec.exists(options, order)) {
        json.key(spec.name);
        json.open('{');
        json.text("title", spec.name);
        match spec.shape {
            Shape::Text => json.text("type", "string"),
            Shape::Flag => json.text("type", "boolean"),
            Shape::Number => {
                json.text("type", "number");
                json.text("format", "double");
            }
            Shape::Date | Shape::Time => {
                json.text("type", "string");
                json.text("format", if spec.shape == Shape::Date { "date" } else { "date-time" });
            }
            Shape::Reference | Shape::Choice => json.raw(
                "type",
                r#""object","properties":{"id":{"title":"Internal identifier","type":"string"},"refName":{"title":"Reference Name","type":"string"}}"#,
            ),
            Shape::List if spec.name == "links" => json.text("type", "array"),
            Shape::List => {
                json.text("type", "object");
                json.key("properties");
                json.open('{');
                json.key("items");
                json.open('{');
                json.text("type", "array");
                json.key("items");
                json.open('{');
                json.text("$ref", &format!("{base}/metadata-catalog/{record}-{}Element", spec.name));
                json.close('}');
                json.close('}');
                json.close('}');
            }
            Shape::Record => json.text("type", "object"),
        }
        json.flag("nullable", spec.field != Field::ReadOnly);
        if spec.field == Field::ReadOnly {
            json.flag("readOnly", true);
        }
        if matches!(spec.shape, Shape::Text | Shape::Number | Shape::Flag | Shape::Date) {
            json.flag("x-ns-filterable", true);
        }
        json.close('}');
    }
    for custom in options.custom_fields.iter().filter(|field| belongs(field, record)) {
        json.raw(&custom.to_ascii_lowercase(), r#"{"type":"string","nullable":true,"x-ns-custom-field":true}"#);
    }
    json.close('}');
    json.text("$schema", "http://json-schema.org/draft-06/hyper-schema#");
    json.text("x-ns-record", record);
    json.close('}');
    Some(json.finish())
}

fn belongs(custom: &str, record: &str) -> bool {
    let prefix = match record {
        "customer" => "custentity",
        "inventoryItem" | "kitItem" => "custitem",
        line if line.ends_with("-itemElement") => "custcol",
        body if body.contains('-') => return false,
        _ => "custbody",
    };
    custom.to_ascii_lowercase().starts_with(prefix)
}

/// One row per document, for comparing with what was meant: `doc,net,tax,gross,currency,country,lines`. A credit memo has its
/// amounts below nought, and is called by its `otherRefNum`.
///
/// A sender's line that is of several lines of the authorization stands there in parts, under one reference up to a `#`: it is one line.
pub(super) fn document_row(tran: &Tran, items: &Items, symbols: &Symbols) -> [String; 7] {
    let digits = usize::try_from(tran.digits()).unwrap_or(2);
    let totals = tran.totals();
    let external = tran.external.as_deref().unwrap_or("");
    let credit = tran.kind == Kind::Credit;
    let of_key = external.strip_prefix("so_").or_else(|| external.strip_prefix("cs_"));
    let doc = of_key.or(tran.other_ref.as_deref()).unwrap_or(external);
    let signed = |amount: Fixed| if credit { amount.negated() } else { amount }.text(digits);
    let goods = tran.lines.iter().filter(|line| items.get(line.item).is_some_and(|i| i.kind.is_goods()));
    let mut seen = std::collections::HashSet::new();
    let lines = goods
        .filter(|line| match symbols.text(line.reference).split_once('#') {
            Some((whole, _)) => seen.insert(whole),
            None => true,
        })
        .count();
    [
        doc.to_owned(),
        signed(tran.net()),
        signed(totals.tax),
        signed(totals.total),
        seed::currency(tran.currency).map_or("", |c| c.symbol).to_owned(),
        country_of(tran.ship_to.as_deref()).to_owned(),
        lines.to_string(),
    ]
}
