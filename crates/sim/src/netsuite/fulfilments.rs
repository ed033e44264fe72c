//! Item fulfilments: a sales order transformed, what leaves with it, and in which packages.
//!
//! What the vendor's papers say: the transform and its selector `orderLine`, `itemReceive` and `location` of a line (help
//! topics on fulfilling a sales order), the letters of `shipStatus`, the fields (REST API Browser), and that without Advanced
//! Shipping a fulfilment bills as well. Choices where they are silent (inferred):
//! * An order that is not approved, closed, or has nothing left is no order to start from: `invalid reference`.
//! * A line that the body does not name is taken with all that is open of it.
//! * A line needs a place: its own, that of the order's line, or that of the order.
//! * A package needs its weight. Rows without a key are added: packages that are sent again stand twice, unless
//!   `replace=package`.
//! * Units leave the shelf with the status Shipped; until then they are taken off what is open all the same.
//! * A kit is a line, followed by one for each of its parts with `kitMemberOf`.
//! * The lines of a fulfilment cannot be changed, and it does not go back to an earlier status.
//! * Deleting it opens the order again.

use std::collections::{BTreeMap, HashMap, HashSet};

use axum::http::Method;
use serde_json::{Map, Value, json};

use super::errors::At;
use super::fields::{FULFILMENT_LINE_TABLE, FULFILMENT_TABLE, Field, PACKAGE_TABLE};
use super::fixed::Fixed;
use super::items::{choice, decimal};
use super::read::utc;
use super::records::{Desk, number, some_text, sublist};
use super::seed;
use super::state::{Fulfilment, Gone, Kind, Package, ShipStatus, State, Tran};
use super::stock::place;
use super::{Account, Answer, Call, Key, Refusal, SINGULAR, broken, not_allowed};

/// What is open of a line of an order.
struct Open {
    line: u32,
    item: u32,
    remaining: Fixed,
    committed: Fixed,
    location: u32,
}

/// What a body says of a line.
#[derive(Default)]
struct Ask {
    left_out: bool,
    quantity: Option<Fixed>,
    location: Option<u32>,
}

impl Desk<'_> {
    /// Takes the head and the packages of a body into a fulfilment. Answers the lines, where they were given.
    fn fulfilment<'v>(
        &mut self,
        fulfilment: &mut Fulfilment,
        body: &'v Map<String, Value>,
        replace: &HashSet<String>,
    ) -> Option<&'v Value> {
        let mut lines = None;
        for (name, value) in body {
            let Some(spec) = self.field(&FULFILMENT_TABLE, true, "", name) else { continue };
            let path = spec.name;
            match spec.field {
                Field::ExternalId => {
                    if let Some(external) = self.external_id(value) {
                        fulfilment.external = external;
                    }
                }
                Field::TranDate => {
                    if let Some(date) = self.date(path, value) {
                        fulfilment.date = date;
                    }
                }
                Field::Memo => {
                    if let Some(text) = self.text(path, value) {
                        fulfilment.memo = some_text(text);
                    }
                }
                Field::ShipStatus => match choice(value).as_deref().and_then(ShipStatus::of) {
                    Some(status) if status < fulfilment.status => {
                        self.business("The status of a fulfillment cannot be set back.");
                    }
                    Some(status) => fulfilment.status = status,
                    None => self.content(path),
                },
                Field::Items => lines = Some(value),
                Field::Packages => self.packages(fulfilment, value, replace.contains("package")),
                _ => {}
            }
        }
        self.period_open(fulfilment.date);
        lines
    }

    fn packages(&mut self, fulfilment: &mut Fulfilment, value: &Value, replace: bool) {
        let Ok(rows) = sublist(value) else { return self.content("package") };
        if replace || rows.is_none() {
            fulfilment.packages.clear();
        }
        for (at, row) in rows.unwrap_or_default().iter().enumerate() {
            let path = format!("package.items[{at}]");
            let Value::Object(body) = row else {
                self.content(&path);
                continue;
            };
            let (mut package, mut weight) = (Package::default(), None);
            for (name, value) in body {
                let Some(spec) = self.field(&PACKAGE_TABLE, true, &format!("{path}."), name) else { continue };
                let at = format!("{path}.{}", spec.name);
                match spec.field {
                    Field::Tracking => package.tracking = self.text(&at, value).unwrap_or_default().into(),
                    Field::PackageDescription => package.description = self.text(&at, value).unwrap_or_default().into(),
                    Field::PackageWeight => weight = self.amount(&at, value).filter(|weight| *weight > Fixed::ZERO),
                    _ => {}
                }
            }
            match weight {
                Some(weight) => fulfilment.packages.push(Package { weight, ..package }),
                None => self.missing("Weight"),
            }
        }
    }

    /// What a body says of the lines of the order, by line.
    fn asked(&mut self, value: Option<&Value>, open: &[Open]) -> HashMap<u32, Ask> {
        let mut asked = HashMap::new();
        let Some(value) = value else { return asked };
        let Ok(rows) = sublist(value) else {
            self.content("item");
            return asked;
        };
        for (at, row) in rows.unwrap_or_default().iter().enumerate() {
            let path = format!("item.items[{at}]");
            let Value::Object(body) = row else {
                self.content(&path);
                continue;
            };
            let (mut line, mut ask) = (None, Ask::default());
            for (name, value) in body {
                let Some(spec) = self.field(&FULFILMENT_LINE_TABLE, true, &format!("{path}."), name) else { continue };
                let at = format!("{path}.{}", spec.name);
                match spec.field {
                    Field::OrderLine => {
                        let wanted = number(value).and_then(|number| number.text(0).parse::<u32>().ok());
                        line = wanted.filter(|wanted| open.iter().any(|open| open.line == *wanted));
                        if line.is_none() {
                            self.content(&at);
                        }
                    }
                    Field::ItemReceive => ask.left_out = self.flag(&at, value) == Some(false),
                    Field::Quantity => {
                        ask.quantity = self.amount(&at, value);
                        if ask.quantity.is_some_and(Fixed::is_negative) {
                            self.content(&at);
                        }
                    }
                    Field::Location => ask.location = self.reference(&at, value, |id| seed::location(id).is_some()),
                    _ => {}
                }
            }
            match line {
                Some(line) => drop(asked.insert(line, ask)),
                None if body.keys().any(|name| name.eq_ignore_ascii_case("orderLine")) => {}
                None => self.missing("Order Line"),
            }
        }
        asked
    }

    /// The lines of a new fulfilment.
    fn gone(&mut self, order: &Tran, open: &[Open], asked: &HashMap<u32, Ask>) -> Vec<Gone> {
        let mut lines: Vec<Gone> = Vec::new();
        for open in open {
            let ask = asked.get(&open.line);
            let quantity = ask.and_then(|ask| ask.quantity).unwrap_or(open.remaining);
            if ask.is_some_and(|ask| ask.left_out) || quantity.is_zero() {
                continue;
            }
            let sku = self.items.get(open.item).map_or_else(String::new, |item| item.sku.to_string());
            if quantity > open.remaining {
                self.business(format!(
                    "The quantity {} of {sku} is greater than the quantity remaining {} of order line {}.",
                    quantity.text(0),
                    open.remaining.text(0),
                    open.line
                ));
                continue;
            }
            let location = ask.and_then(|ask| ask.location).filter(|id| *id != 0).unwrap_or(open.location);
            if location == 0 {
                self.missing("Items list: Location");
                continue;
            }
            self.location_fits(location, order.subsidiary);
            if self.options.limit_to_committed && quantity > open.committed {
                self.business(format!(
                    "You only have {} committed of {sku} in location {}. There is not enough inventory to fulfill {}.",
                    open.committed.text(0),
                    seed::location(location).map_or("?", |l| l.name),
                    quantity.text(0)
                ));
                continue;
            }
            let number = u32::try_from(lines.len()).unwrap_or(0) + 1;
            let line = Gone { number, order_line: open.line, item: open.item, quantity, location, member_of: 0 };
            lines.push(line);
            let members = self.items.members(open.item).iter().zip(number + 1..);
            lines.extend(members.map(|(member, at)| Gone {
                number: at,
                item: member.item,
                quantity: quantity.times(Fixed::whole(member.quantity), 8).unwrap_or_default(),
                member_of: number,
                ..line
            }));
        }
        if lines.is_empty() {
            self.business("You must have at least one valid line item for this transaction.");
        }
        lines
    }
}

impl Account {
    /// `POST .../{source}/{id}/!transform/{target}`.
    pub(super) fn transform(&self, call: &Call<'_>, base: &str, source: &str, id: &str, target: &str) -> Result<Answer, Refusal> {
        let here = || At::Url(call.path.to_owned());
        if call.method != Method::POST {
            return Err(not_allowed());
        }
        let number: u32 = id.parse().map_err(|_| Refusal::request("The record identifier is not valid.", here()))?;
        match (source.to_ascii_lowercase().as_str(), target.to_ascii_lowercase().as_str()) {
            ("salesorder", "itemfulfillment") => self.fulfil_order(call, base, number),
            ("salesorder", "returnauthorization") => self.make_back(call, base, Kind::SalesOrder, number, Kind::Return),
            ("cashsale", "returnauthorization") => self.make_back(call, base, Kind::CashSale, number, Kind::Return),
            ("returnauthorization", "creditmemo") => self.make_back(call, base, Kind::Return, number, Kind::Credit),
            ("returnauthorization", "itemreceipt") => self.receive(call, base, number),
            _ => Err(Refusal::request(format!("Transforming {source} to {target} is not available in this account."), here())),
        }
    }

    fn fulfil_order(&self, call: &Call<'_>, base: &str, id: u32) -> Result<Answer, Refusal> {
        let mut state = self.settled();
        let state = &mut *state;
        let invalid = || Refusal::user(format!("You can not initialize itemfulfillment: invalid reference {id}."));
        let order = state.trans.get(&id).filter(|tran| tran.kind == Kind::SalesOrder).cloned().ok_or_else(invalid)?;
        let open = self.open_lines(state, &order);
        if !order.approved || order.billed || open.is_empty() {
            return Err(invalid());
        }
        let body = call.object()?;
        let now = self.mischief.now();
        let mut fulfilment = Fulfilment {
            id: 0,
            number: 0,
            external: None,
            order: id,
            date: self.zone.to_datetime(now).date(),
            created: now.as_second(),
            modified: now.as_second(),
            status: ShipStatus::Picked,
            memo: None,
            lines: Vec::new(),
            packages: Vec::new(),
        };
        let replace: HashSet<String> = call.list("replace").into_iter().collect();
        let mut desk = self.desk(call, state)?;
        let lines = desk.fulfilment(&mut fulfilment, &body, &replace);
        let asked = desk.asked(lines, &open);
        fulfilment.lines = desk.gone(&order, &open, &asked);
        let mut findings = desk.findings;
        if let Some(refusal) = findings.refusal() {
            return Err(refusal);
        }
        if let Some(external) = &fulfilment.external
            && state.by_external.contains_key(external)
        {
            return Err(Refusal::user(format!("A transaction with the external ID {external} already exists.")));
        }
        fulfilment.id = state.next_tran();
        fulfilment.number = state.next_fulfilment();
        let id = fulfilment.id;
        state.put_fulfilment(Box::new(fulfilment), now.as_millisecond()).map_err(|fault| broken(&fault))?;
        self.tell(state);
        Ok(Answer::Done(Some(format!("{base}/itemFulfillment/{id}")), findings.warnings))
    }

    fn open_lines(&self, state: &State, order: &Tran) -> Vec<Open> {
        let goods = order.lines.iter().filter(|line| !line.closed);
        let goods = goods.filter(|line| state.stock.items.get(line.item).is_some_and(|item| item.kind.is_goods()));
        goods
            .map(|line| Open {
                line: line.number,
                item: line.item,
                remaining: line.quantity.minus(state.in_fulfilments(order, line.number)).unwrap_or_default(),
                committed: state.stock.line(order, line).0,
                location: place(order, line),
            })
            .filter(|open| open.remaining > Fixed::ZERO)
            .collect()
    }

    /// `.../itemFulfillment`.
    pub(super) fn fulfilment(&self, call: &Call<'_>, base: &str, key: Option<Key>) -> Result<Answer, Refusal> {
        let mut state = self.settled();
        let found = match &key {
            None => None,
            Some(Key::Id(id)) => state.fulfilments.get(id),
            Some(Key::External(external)) => state.by_external.get(external.as_str()).and_then(|id| state.fulfilments.get(id)),
        };
        let unknown = || match key {
            Some(Key::Id(_)) => Refusal::user("Transaction type specified is incorrect."),
            _ => Refusal::missing(call.path),
        };
        match (call.method, &key) {
            (&Method::GET, None) => {
                let ids: Vec<u32> = state.fulfilments.keys().copied().collect();
                self.collection(call, base, "itemFulfillment", &ids)
            }
            (&Method::GET, Some(_)) => {
                let found = found.ok_or_else(unknown)?;
                let shown = shown(found, &state, self.options.one_world, base, call.flag("expandSubResources"));
                Ok(Answer::Json(shown.to_string(), SINGULAR))
            }
            (&Method::POST, None) => Err(Refusal::user("An item fulfillment can only be made by transforming an order.")),
            (&Method::PATCH, Some(_)) => {
                let mut fulfilment = found.ok_or_else(unknown)?.clone();
                let body = call.object()?;
                let now = self.mischief.now();
                let was = fulfilment.external.clone();
                let replace: HashSet<String> = call.list("replace").into_iter().collect();
                let mut desk = self.desk(call, &mut state)?;
                if desk.fulfilment(&mut fulfilment, &body, &replace).is_some() {
                    desk.business("You cannot change the items of a fulfillment.");
                }
                let mut findings = desk.findings;
                if let Some(refusal) = findings.refusal() {
                    return Err(refusal);
                }
                if let Some(external) = fulfilment.external.as_ref().filter(|external| was.as_ref() != Some(external))
                    && state.by_external.contains_key(external)
                {
                    return Err(Refusal::user(format!("A transaction with the external ID {external} already exists.")));
                }
                fulfilment.modified = now.as_second();
                state.put_fulfilment(fulfilment, now.as_millisecond()).map_err(|fault| broken(&fault))?;
                self.tell(&mut state);
                Ok(Answer::Done(None, findings.warnings))
            }
            (&Method::DELETE, Some(_)) => {
                let id = found.ok_or_else(unknown)?.id;
                state.delete_fulfilment(id, self.mischief.now().as_millisecond()).map_err(|fault| broken(&fault))?;
                self.tell(&mut state);
                Ok(Answer::Done(None, Vec::new()))
            }
            _ => Err(not_allowed()),
        }
    }
}

fn shown(it: &Fulfilment, state: &State, one_world: bool, base: &str, expand: bool) -> Value {
    let own = format!("{base}/itemFulfillment/{}", it.id);
    let named = |id: u32, name: &str| json!({"links": [], "id": id.to_string(), "refName": name});
    let list = |name: &str, rows: Vec<Value>| {
        let links = json!([{"rel": "self", "href": format!("{own}/{name}")}]);
        if expand {
            json!({"links": links, "count": rows.len(), "hasMore": false, "items": rows, "offset": 0, "totalResults": rows.len()})
        } else {
            json!({ "links": links })
        }
    };
    let (letter, label) = it.status.words();
    let status = json!({"id": letter, "refName": label});
    let order = state.trans.get(&it.order);
    let line = |gone: &Gone| {
        let item = state.stock.items.get(gone.item);
        let kind = item.map_or("", |item| item.kind.code());
        let mut row = json!({
            "links": [], "line": gone.number, "orderLine": gone.order_line, "item": named(gone.item, item.map_or("", |i| &i.sku)),
            "itemReceive": true, "itemType": kind, "quantity": decimal(gone.quantity),
            "location": named(gone.location, seed::location(gone.location).map_or("", |l| l.name)),
        });
        if gone.member_of != 0
            && let Some(row) = row.as_object_mut()
        {
            row.insert("kitMemberOf".to_owned(), json!(gone.member_of));
        }
        row
    };
    let package = |package: &Package| {
        json!({
            "links": [], "packageTrackingNumber": *package.tracking, "packageDescr": *package.description,
            "packageWeight": decimal(package.weight),
        })
    };
    let mut map = Map::new();
    let mut put = |name: &str, value: Value| drop(map.insert(name.to_owned(), value));
    put("links", json!([{"rel": "self", "href": own}]));
    put("id", json!(it.id.to_string()));
    if let Some(external) = &it.external {
        put("externalId", json!(**external));
    }
    if let Some(order) = order {
        put("createdFrom", named(order.id, &format!("Sales Order #{}", order.tran_id())));
        put("entity", named(order.entity, &state.customers.get(&order.entity).map(|c| c.name()).unwrap_or_default()));
        if one_world {
            put("subsidiary", named(order.subsidiary, seed::subsidiary(order.subsidiary).map_or("", |s| s.name)));
        }
    }
    put("tranDate", json!(it.date.to_string()));
    put("tranId", json!(it.tran_id()));
    if let Some(memo) = &it.memo {
        put("memo", json!(**memo));
    }
    put("shipStatus", status.clone());
    put("status", status);
    put("createdDate", json!(utc(it.created)));
    put("lastModifiedDate", json!(utc(it.modified)));
    put("item", list("item", it.lines.iter().map(line).collect()));
    put("package", list("package", it.packages.iter().map(package).collect()));
    Value::Object(map)
}

/// What an external id was made of, if its odd characters were written `_u<hex>_`.
pub(super) fn plain(external: &str) -> String {
    let mut out = String::new();
    let mut rest = external;
    while let Some((before, after)) = rest.split_once("_u") {
        let letter =
            after.split_once('_').and_then(|(hex, tail)| Some((char::from_u32(u32::from_str_radix(hex, 16).ok()?)?, tail)));
        out.push_str(before);
        match letter {
            Some((letter, tail)) => {
                out.push(letter);
                rest = tail;
            }
            None => {
                out.push_str("_u");
                rest = after;
            }
        }
    }
    out.push_str(rest);
    out
}

/// One row per line of what has left, kits as kits: `doc,shipment,sku,qty,tracking`, sorted.
pub(super) fn rows(state: &State) -> Vec<[String; 5]> {
    let mut rows = Vec::new();
    for it in state.fulfilments.values().filter(|it| it.status == ShipStatus::Shipped) {
        let doc = state.trans.get(&it.order).and_then(|order| order.external.clone().or_else(|| order.other_ref.clone()));
        let doc = doc.map(|doc| plain(doc.strip_prefix("so_").unwrap_or(&doc))).unwrap_or_default();
        let shipment = it.external.as_deref().map(|id| plain(id.strip_prefix("if_").unwrap_or(id))).unwrap_or_default();
        let tracking: Vec<&str> = it.packages.iter().map(|p| &*p.tracking).filter(|number| !number.is_empty()).collect();
        let mut units: BTreeMap<&str, Fixed> = BTreeMap::new();
        for gone in it.lines.iter().filter(|gone| gone.member_of == 0) {
            let sku = state.stock.items.get(gone.item).map_or("", |item| &item.sku);
            let sum = units.entry(sku).or_default();
            *sum = sum.plus(gone.quantity).unwrap_or(*sum);
        }
        for (sku, quantity) in units {
            rows.push([doc.clone(), shipment.clone(), sku.to_owned(), quantity.text(0), tracking.join(";")]);
        }
    }
    rows.sort();
    rows
}
