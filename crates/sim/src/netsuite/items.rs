//! Items made, changed and given out by the record service: inventory items and kits.
//!
//! What the vendor's papers say: the fields (REST API Browser), the pricing sublist with a row per currency, price level and
//! quantity (help topic "Working with the Pricing Sublist on Item Records"), that a name is unique within a type only.
//! Choices where they are silent (inferred):
//! * A new item needs its name, its tax schedule (where tax is on), its subsidiary (OneWorld), and the accounts that post,
//!   unless the accounting preferences name them ([`Options::default_accounts`]).
//! * Names have at most 60 characters.
//! * Rows of the price matrix are keyed by currency, level and quantity: what is not named stays. Parts of a kit are keyed
//!   by item; with `replace=member` those that are not named go.
//! * A kit cannot be a part of itself, directly or not.

use std::collections::HashSet;

use axum::http::Method;
use serde_json::{Map, Value, json};

use super::fields::{Field, ITEM_TABLE, MEMBER_TABLE, PRICE_TABLE, Shape};
use super::fixed::Fixed;
use super::read::utc;
use super::records::{Desk, number, sublist};
use super::seed::{self, Item, ItemKind, Items, PriceCell};
use super::state::State;
use super::{Account, Answer, Call, Key, Options, Refusal, SINGULAR, TaxRegime, broken, key_fits, not_allowed};

/// Most characters of a name.
const NAME_MOST: usize = 60;

/// A number as JSON, written as the vendor does.
pub(super) fn decimal(value: Fixed) -> Value {
    serde_json::from_str(&value.text(1)).unwrap_or(Value::Null)
}

fn named(id: u32, name: &str) -> Value {
    json!({"links": [], "id": id.to_string(), "refName": name})
}

/// The name of a unit of weight.
fn weight_unit(id: &str) -> Option<&'static str> {
    match id {
        "1" => Some("lb"),
        "2" => Some("oz"),
        "3" => Some("kg"),
        "4" => Some("g"),
        _ => None,
    }
}

/// The id of an enumeration, bare or in an object.
pub(super) fn choice(value: &Value) -> Option<String> {
    match value {
        Value::Object(object) => object.get("id").and_then(choice),
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

impl Desk<'_> {
    /// Takes a body into an item, which is new when `create`. Answers the parts of a kit, where they were given.
    pub(super) fn item(
        &mut self,
        item: &mut Item,
        body: &Map<String, Value>,
        replace: &HashSet<String>,
        create: bool,
    ) -> Option<Vec<(u32, i64)>> {
        let stocked = item.kind == ItemKind::Inventory;
        let mut members = None;
        for (name, value) in body {
            let Some(spec) = self.field(&ITEM_TABLE, stocked, "", name) else { continue };
            let path = if spec.name.is_empty() { name.as_str() } else { spec.name };
            match spec.field {
                Field::ReadOnly => {}
                Field::ExternalId => {
                    if let Some(external) = self.external_id(value) {
                        item.external = external;
                    }
                }
                Field::ItemId => {
                    if let Some(text) = self.short_text(path, value) {
                        item.sku = text.into();
                    }
                }
                Field::DisplayName => {
                    if let Some(text) = self.short_text(path, value) {
                        item.name = text.into();
                    }
                }
                Field::IsInactive => {
                    if let Some(flag) = self.flag(path, value) {
                        item.inactive = flag;
                    }
                }
                Field::IncludeChildren => {
                    if let Some(flag) = self.flag(path, value) {
                        item.children = flag;
                    }
                }
                Field::Subsidiaries => self.item_subsidiaries(item, value),
                Field::Prices => self.prices(item, value, replace.contains("price")),
                Field::Members => members = self.members(item, value, replace.contains("member")),
                _ if value.is_null() => {
                    item.fields.remove(path);
                }
                Field::Weight => {
                    if let Some(weight) = self.amount(path, value) {
                        if weight.is_negative() {
                            self.content(path);
                        } else {
                            item.fields.insert(path.to_owned(), decimal(weight));
                        }
                    }
                }
                Field::WeightUnit => self.item_choice(item, path, value, weight_unit),
                Field::Country => {
                    let known = choice(value).filter(|code| seed::is_country(code));
                    match known {
                        Some(code) => {
                            item.fields.insert(path.to_owned(), json!({"id": code, "refName": code}));
                        }
                        None => self.content(path),
                    }
                }
                Field::Account(kind) => {
                    let of_kind = |id: u32| seed::ACCOUNTS.iter().find(|(known, of, _)| *known == id && *of == kind);
                    if let Some(id) = self.reference(path, value, |id| of_kind(id).is_some()) {
                        let shown = of_kind(id).map_or("", |(_, _, name)| name);
                        item.fields.insert(path.to_owned(), named(id, shown));
                    }
                }
                Field::TaxSchedule => self.item_reference(item, path, value, seed::TAX_SCHEDULES),
                Field::UnitsType => self.item_reference(item, path, value, seed::UNITS_TYPES),
                _ => {
                    let shape = if spec.name.is_empty() { Shape::Choice } else { spec.shape };
                    if let Some(Some(kept)) = self.plain(path, shape, value) {
                        item.fields.insert(path.to_owned(), serde_json::from_str(&kept).unwrap_or(Value::Null));
                    }
                }
            }
        }
        if item.sku.is_empty() {
            self.missing("Item Name/Number");
        }
        if create {
            self.needed_for_new(item, members.as_deref());
        }
        members
    }

    fn needed_for_new(&mut self, item: &Item, members: Option<&[(u32, i64)]>) {
        if self.options.tax != TaxRegime::None && !item.fields.contains_key("taxSchedule") {
            self.missing("Tax Schedule");
        }
        if self.options.one_world && item.subsidiaries.is_empty() {
            self.missing("Subsidiary");
        }
        if !self.options.default_accounts {
            let stocked =
                [("incomeAccount", "Income Account"), ("cogsAccount", "COGS Account"), ("assetAccount", "Asset Account")];
            let of_kind = if item.kind == ItemKind::Inventory { &stocked[..] } else { &stocked[..1] };
            for (name, label) in of_kind {
                if !item.fields.contains_key(*name) {
                    self.missing(label);
                }
            }
        }
        if item.kind == ItemKind::Kit && members.is_none_or(<[_]>::is_empty) {
            self.missing("Member Item");
        }
    }

    fn short_text(&mut self, path: &str, value: &Value) -> Option<String> {
        let text = self.text(path, value)?;
        if text.chars().count() > NAME_MOST {
            let name = path.to_ascii_lowercase();
            self.business(format!(
                "The field {name} contained more than the maximum number ( {NAME_MOST} ) of characters allowed."
            ));
            return None;
        }
        Some(text)
    }

    fn item_choice(&mut self, item: &mut Item, path: &str, value: &Value, name: fn(&str) -> Option<&'static str>) {
        match choice(value).and_then(|id| name(&id).map(|name| (id, name))) {
            Some((id, name)) => {
                item.fields.insert(path.to_owned(), json!({"id": id, "refName": name}));
            }
            None => self.content(path),
        }
    }

    fn item_reference(&mut self, item: &mut Item, path: &str, value: &Value, list: &'static [(u32, &'static str)]) {
        if let Some(id) = self.reference(path, value, |id| seed::named(list, id).is_some()) {
            item.fields.insert(path.to_owned(), named(id, seed::named(list, id).unwrap_or("")));
        }
    }

    fn item_subsidiaries(&mut self, item: &mut Item, value: &Value) {
        let Ok(rows) = sublist(value) else { return self.content("subsidiary") };
        let mut found = Vec::new();
        for (at, row) in rows.unwrap_or_default().iter().enumerate() {
            let path = format!("subsidiary.items[{at}]");
            let known = |id| seed::subsidiary(id).is_some_and(|s| !s.inactive);
            found.extend(self.reference(&path, row, known).filter(|id| *id != 0));
        }
        item.subsidiaries = found;
    }

    /// Rows of the price matrix.
    fn prices(&mut self, item: &mut Item, value: &Value, replace: bool) {
        let Ok(rows) = sublist(value) else { return self.content("price") };
        if replace || rows.is_none() {
            item.prices.clear();
        }
        for (at, row) in rows.unwrap_or_default().iter().enumerate() {
            let path = format!("price.items[{at}]");
            let Value::Object(body) = row else {
                self.content(&path);
                continue;
            };
            let (mut currency, mut level, mut price, mut quantity) = (None, None, None, Some(0));
            for (name, value) in body {
                let Some(spec) = self.field(&PRICE_TABLE, true, &format!("{path}."), name) else { continue };
                let at = format!("{path}.{}", spec.name);
                match spec.field {
                    Field::Currency => currency = self.reference(&at, value, |id| seed::currency(id).is_some()),
                    Field::Price => level = self.reference(&at, value, |id| seed::named(seed::PRICE_LEVELS, id).is_some()),
                    Field::Amount => price = self.amount(&at, value).filter(|price| !price.is_negative()),
                    Field::Quantity => {
                        let value = value.get("value").unwrap_or(value);
                        quantity = number(value).map(Fixed::units).filter(|units| *units >= 0);
                        if quantity.is_none() {
                            self.content(&at);
                        }
                    }
                    _ => {}
                }
            }
            match (currency, level, price, quantity) {
                (Some(currency), Some(level), Some(price), Some(quantity)) if currency != 0 && level != 0 => {
                    let digits = seed::currency(currency).map_or(2, |c| c.digits);
                    let cell = PriceCell { currency, level, quantity, price: price.round(digits) };
                    item.prices.retain(|c| (c.currency, c.level, c.quantity) != (currency, level, quantity));
                    item.prices.push(cell);
                    item.prices.sort_by_key(|c| (c.currency, c.level, c.quantity));
                }
                _ => self.content(&path),
            }
        }
    }

    /// Parts of a kit.
    fn members(&mut self, item: &Item, value: &Value, replace: bool) -> Option<Vec<(u32, i64)>> {
        let Ok(rows) = sublist(value) else {
            self.content("member");
            return None;
        };
        let mut parts: Vec<(u32, i64)> = Vec::new();
        if !replace && rows.is_some() {
            parts.extend(self.items.members(item.id).iter().map(|member| (member.item, member.quantity)));
        }
        for (at, row) in rows.unwrap_or_default().iter().enumerate() {
            let path = format!("member.items[{at}]");
            let Value::Object(body) = row else {
                self.content(&path);
                continue;
            };
            let (mut part, mut quantity) = (None, Some(1));
            for (name, value) in body {
                let Some(spec) = self.field(&MEMBER_TABLE, true, &format!("{path}."), name) else { continue };
                let at = format!("{path}.{}", spec.name);
                match spec.field {
                    Field::Item => part = self.find_item(&at, value),
                    Field::Quantity => {
                        quantity = number(value).map(Fixed::units).filter(|units| *units > 0);
                        if quantity.is_none() {
                            self.content(&at);
                        }
                    }
                    _ => {}
                }
            }
            let (Some(part), Some(quantity)) = (part, quantity) else { continue };
            if part == item.id || self.contains(part, item.id, 8) {
                self.business("A kit cannot be a member of itself.");
            } else if !self.items.get(part).is_some_and(|found| found.kind.is_goods()) {
                self.content(&format!("{path}.item.id"));
            } else {
                parts.retain(|(known, _)| *known != part);
                parts.push((part, quantity));
            }
        }
        if parts.is_empty() {
            self.missing("Member Item");
        }
        Some(parts)
    }

    fn contains(&self, kit: u32, item: u32, depth: u32) -> bool {
        depth > 0
            && item != 0
            && self.items.members(kit).iter().any(|member| member.item == item || self.contains(member.item, item, depth - 1))
    }
}

/// An item as the record service shows it.
pub(super) fn shown(item: &Item, items: &Items, options: &Options, base: &str, expand: bool, simple: bool) -> Value {
    let own = format!("{base}/{}/{}", item.kind.record(), item.id);
    let list = |name: &str, rows: Vec<Value>| {
        let links = json!([{"rel": "self", "href": format!("{own}/{name}")}]);
        if expand {
            json!({"links": links, "count": rows.len(), "hasMore": false, "items": rows, "offset": 0, "totalResults": rows.len()})
        } else {
            json!({ "links": links })
        }
    };
    let mut map = item.fields.clone();
    let mut put = |name: &str, value: Value| drop(map.insert(name.to_owned(), value));
    put("links", json!([{"rel": "self", "href": own}]));
    put("id", json!(item.id.to_string()));
    put("internalId", json!(item.id));
    put("itemId", json!(*item.sku));
    if !item.name.is_empty() {
        put("displayName", json!(*item.name));
    }
    put("isInactive", json!(item.inactive));
    put("itemType", json!({"id": item.kind.code(), "refName": item.kind.code()}));
    if let Some(external) = &item.external {
        put("externalId", json!(**external));
    }
    put("createdDate", json!(utc(item.created)));
    put("lastModifiedDate", json!(utc(item.modified)));
    if options.one_world {
        put("includeChildren", json!(item.children));
        let of = |id: &u32| named(*id, seed::subsidiary(*id).map_or("", |s| s.name));
        put("subsidiary", list("subsidiary", item.subsidiaries.iter().map(of).collect()));
    }
    let price = |cell: &PriceCell| {
        let level = seed::named(seed::PRICE_LEVELS, cell.level).unwrap_or("");
        json!({
            "links": [], "currencyPage": named(cell.currency, seed::currency(cell.currency).map_or("", |c| c.name)),
            "priceLevel": named(cell.level, level), "priceLevelName": level, "price": decimal(cell.price),
            "quantity": {"value": cell.quantity.to_string()},
        })
    };
    put("price", list("price", item.prices.iter().map(price).collect()));
    if item.kind == ItemKind::Kit {
        let member = |(at, member): (usize, &seed::Member)| {
            json!({
                "links": [], "lineNumber": at + 1, "item": named(member.item, items.get(member.item).map_or("", |i| &i.sku)),
                "quantity": decimal(Fixed::whole(member.quantity)),
            })
        };
        put("member", list("member", items.members(item.id).iter().enumerate().map(member).collect()));
    }
    if simple {
        for name in ["itemType", "weightUnit", "countryOfManufacture"] {
            if let Some(id) = map.get(name).and_then(choice) {
                map.insert(name.to_owned(), Value::String(id));
            }
        }
    }
    Value::Object(map)
}

/// The type of item that a record type is of.
pub(super) fn kind_of(record: &str) -> Option<ItemKind> {
    match record.to_ascii_lowercase().as_str() {
        "inventoryitem" => Some(ItemKind::Inventory),
        "kititem" => Some(ItemKind::Kit),
        _ => None,
    }
}

impl Account {
    pub(super) fn item(
        &self,
        call: &Call<'_>,
        base: &str,
        kind: ItemKind,
        key: Option<Key>,
        inner: &[&str],
    ) -> Result<Answer, Refusal> {
        let mut state = self.settled();
        let items = &state.stock.items;
        let found = match &key {
            None => None,
            Some(Key::Id(id)) => items.get(*id),
            Some(Key::External(external)) => items.by_external(external),
        };
        let known = found.filter(|item| item.kind == kind);
        let missing = || Refusal::missing(call.path);
        match (call.method, &key) {
            (&Method::GET, None) => {
                let ids: Vec<u32> = items.all().filter(|item| item.kind == kind).map(|item| item.id).collect();
                self.collection(call, base, kind.record(), &ids)
            }
            (&Method::GET, Some(_)) => {
                let item = known.ok_or_else(missing)?;
                let (expand, simple) = (call.flag("expandSubResources"), call.flag("simpleEnumFormat"));
                let mut shown = match inner {
                    [] => shown(item, items, &self.options, base, expand, simple),
                    [part] if ["price", "member", "subsidiary"].contains(part) => {
                        shown(item, items, &self.options, base, true, simple).get(*part).cloned().ok_or_else(missing)?
                    }
                    _ => return Err(missing()),
                };
                let wanted = call.list("fields");
                if let (false, [], Value::Object(map)) = (wanted.is_empty(), inner, &mut shown) {
                    map.retain(|name, _| name == "links" || name == "id" || wanted.contains(&name.to_ascii_lowercase()));
                }
                Ok(Answer::Json(shown.to_string(), SINGULAR))
            }
            (&Method::POST, None) => self.save_item(call, base, &mut state, kind, None, None),
            (&Method::PATCH, Some(_)) if inner.is_empty() => {
                let item = known.ok_or_else(missing)?.clone();
                self.save_item(call, base, &mut state, kind, Some(item), None)
            }
            (&Method::PUT, Some(Key::External(external))) if inner.is_empty() => {
                let item = known.cloned();
                self.save_item(call, base, &mut state, kind, item, Some(external))
            }
            (&Method::DELETE, Some(_)) if inner.is_empty() => {
                known.ok_or_else(missing)?;
                Err(Refusal::user("This record cannot be deleted because it has dependent records."))
            }
            _ => Err(not_allowed()),
        }
    }

    fn save_item(
        &self,
        call: &Call<'_>,
        base: &str,
        state: &mut State,
        kind: ItemKind,
        old: Option<Item>,
        external: Option<&str>,
    ) -> Result<Answer, Refusal> {
        let body = call.object()?;
        let now = self.mischief.now();
        let create = old.is_none();
        let was = old.as_ref().and_then(|item| item.external.clone());
        let fresh = || {
            let at = now.as_second();
            Item { created: at, modified: at, ..Item::plain(0, "", "", kind, false) }
        };
        let mut item = old.unwrap_or_else(fresh);
        let replace: HashSet<String> = call.list("replace").into_iter().collect();
        let mut desk = self.desk(call, state)?;
        let members = desk.item(&mut item, &body, &replace, create);
        let mut findings = desk.findings;
        if let Some(refusal) = findings.refusal() {
            return Err(refusal);
        }
        if let Some(external) = external {
            key_fits(item.external.as_deref(), was.as_deref(), external)?;
            item.external = Some(external.into());
        }
        let items = &state.stock.items;
        if items.named(&item.sku).any(|other| other.kind == kind && (create || other.id != item.id)) {
            return Err(Refusal::user("There is already an item with that name."));
        }
        if let Some(external) = &item.external
            && items.by_external(external).is_some_and(|other| create || other.id != item.id)
        {
            return Err(Refusal::user(format!("An item with the external ID {external} already exists.")));
        }
        if create {
            item.id = items.next_id();
        }
        item.modified = now.as_second();
        let id = item.id;
        state.put_item(item, members.as_deref(), now.as_millisecond()).map_err(|fault| broken(&fault))?;
        self.tell(state);
        let place = (create || external.is_some()).then(|| format!("{base}/{}/{id}", kind.record()));
        Ok(Answer::Done(place, findings.warnings))
    }
}
