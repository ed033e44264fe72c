//! Products into Veeqo, and read back.
//!
//! A product of ours is a *sellable* of theirs: the variant of a product, or the kit that a variant was turned into. One
//! that we make is the only variant of a product of its own, which is the one way that the vendor documents in full:
//! it does not say how a variant is added to a product that stands, and what deletes one is nothing for a program. One
//! that stands already is adopted where it is, beside its siblings.
//!
//! Nothing guards against a second variant of one SKU, so a SKU is looked for before anything is made, and compared
//! byte for byte.

pub(super) mod decode;
mod encode;

use std::sync::Arc;

use async_trait::async_trait;
use selvedge_connector::{
    Cursor, Decoded, Encoded, Enumerated, EnumeratedPage, Fault, Found, Need, Page, Priority, Raw, Receipt, Request, Sink,
    Source, Standing,
};
use selvedge_model::{
    ExternalId, Interval, Kind, Problem, Product, RecordKey,
    compare::Carries,
    gate::{Lookup, Values},
    records::{ProductField, ProductFields},
};
use serde_json::{Value, json};

use super::{
    client::{Ask, Client},
    decode::{text, time},
    orders::{QUERY_LEAST, instant},
    settings::Form,
};

/// The port.
pub(super) struct Products {
    pub client: Client,
    pub form: Arc<Form>,
}

/// The id of a sellable with that of its product, which is how one is read: `8636420/14144703`.
pub(super) fn item_id(product: &str, sellable: &str) -> ExternalId {
    ExternalId::new(format!("{product}/{sellable}"))
}

/// The sellables of a product that were not deleted.
pub(super) fn standing(product: &Value) -> impl Iterator<Item = &Value> {
    product["sellables"].as_array().into_iter().flatten().filter(|sellable| sellable["deleted_at"].is_null())
}

/// Whether it is put together from others.
pub(super) fn is_kit(sellable: &Value) -> bool {
    sellable["type"] == "Kit"
}

/// The rows of a kit.
pub(super) async fn contents(client: &Client, kit: &str, priority: Priority) -> Result<Vec<Value>, Fault> {
    client.all(&format!("read what kit {kit} is made of"), &format!("/kits/{kit}/kit_contents"), &[], priority).await
}

/// One sellable with what is needed of its product. Stock is left out: it is no part of a product, and moves all the time.
fn raw(product: &Value, sellable: &Value, contents: Option<Vec<Value>>) -> Option<Raw> {
    let id = item_id(&text(&product["id"])?, &text(&sellable["id"])?);
    let version = [&product["updated_at"], &sellable["updated_at"]].into_iter().filter_map(time).max();
    let mut about = product.clone();
    let mut own = sellable.clone();
    about.as_object_mut()?.remove("sellables");
    for name in ["stock_entries", "product", "inventory"] {
        own.as_object_mut()?.remove(name);
    }
    let body = json!({ "product": about, "variants": standing(product).count(), "sellable": own, "contents": contents });
    Some(Raw { kind: Kind::Product, id, version, body: body.to_string().into_bytes().into() })
}

impl Products {
    /// A sellable of a product as it stands; deleted ones say so themselves.
    async fn read(&self, product: &Value, sellable: &Value, priority: Priority) -> Result<Option<Raw>, Fault> {
        let contents = match text(&sellable["id"]).filter(|_| is_kit(sellable)) {
            Some(kit) => Some(contents(&self.client, &kit, priority).await?),
            None => None,
        };
        Ok(raw(product, sellable, contents))
    }

    async fn product(&self, id: &str, priority: Priority) -> Result<Option<Value>, Fault> {
        self.client.json(&Ask::get(format!("read product {id}"), format!("/products/{id}"), priority)).await
    }

    /// The product that a sellable is in now, if it was put into another.
    async fn regrouped(&self, sellable: &str, priority: Priority) -> Result<Option<Value>, Fault> {
        let ask = Ask::get(format!("read sellable {sellable}"), format!("/sellables/{sellable}"), priority);
        match self.client.json(&ask).await?.and_then(|found| text(&found["product"]["id"])) {
            Some(product) => self.product(&product, priority).await,
            None => Ok(None),
        }
    }

    /// Everything that has exactly this SKU, by the ids of product and sellable.
    async fn of_sku(&self, sku: &str) -> Result<Vec<ExternalId>, Fault> {
        // A text that is too short to be searched for is looked for among all.
        let query: Vec<(&str, &str)> = if sku.chars().count() < QUERY_LEAST { Vec::new() } else { vec![("query", sku)] };
        let products = self.client.all(&format!("look for {sku}"), "/products", &query, Priority::Products).await?;
        let mut found: Vec<ExternalId> = Vec::new();
        for product in products.iter().filter(|product| product["deleted_at"].is_null()) {
            let own = standing(product).filter(|sellable| sellable["sku_code"] == sku);
            let ids = own.filter_map(|sellable| Some(item_id(&text(&product["id"])?, &text(&sellable["id"])?)));
            // Pages move while they are read: the same one may come twice.
            for id in ids {
                if !found.contains(&id) {
                    found.push(id);
                }
            }
        }
        Ok(found)
    }
}

#[async_trait]
impl Source<Product> for Products {
    fn decode(&self, raw: &Raw, _words: &Values) -> Decoded<Product> {
        decode::product(raw, &self.form)
    }

    async fn list(&self, interval: &Interval, page: Option<&Cursor>) -> Result<Page, Fault> {
        let from = instant(interval.from);
        let query = [("updated_at_min", from.as_str())];
        let rows = self.client.page("list changed products", "/products", &query, page, Priority::Products).await?;
        let mut raws = Vec::new();
        for product in &rows.rows {
            for sellable in standing(product) {
                raws.extend(self.read(product, sellable, Priority::Products).await?);
            }
        }
        Ok(Page { raws, next: rows.next })
    }

    async fn enumerate(&self, interval: &Interval, page: Option<&Cursor>) -> Result<EnumeratedPage, Fault> {
        let from = instant(interval.from);
        let query = [("updated_at_min", from.as_str())];
        let rows = self.client.page("list products", "/products", &query, page, Priority::Sweeps).await?;
        let of = |product: &Value| {
            let item = |sellable: &Value| {
                let raw = raw(product, sellable, None)?;
                let key = text(&sellable["sku_code"]).map(RecordKey::new);
                Some(Enumerated { id: raw.id, key, version: raw.version })
            };
            standing(product).filter_map(item).collect::<Vec<_>>()
        };
        Ok(EnumeratedPage { items: rows.rows.iter().flat_map(of).collect(), next: rows.next })
    }

    async fn fetch(&self, ids: &[ExternalId], priority: Priority) -> Result<Vec<Raw>, Fault> {
        let mut found = Vec::new();
        for id in ids {
            let Some((product, sellable)) = id.as_str().split_once('/') else { continue };
            let is = |one: &&Value| text(&one["id"]).as_deref() == Some(sellable);
            let mut document = self.product(product, priority).await?;
            if !document.as_ref().is_some_and(|product| product["sellables"].as_array().into_iter().flatten().any(|one| is(&one)))
            {
                document = self.regrouped(sellable, priority).await?;
            }
            let Some(product) = document else { continue };
            if let Some(sellable) = product["sellables"].as_array().into_iter().flatten().find(is) {
                found.extend(self.read(&product, sellable, priority).await?);
            }
        }
        Ok(found)
    }

    fn fetch_max(&self) -> usize {
        1
    }
}

#[async_trait]
impl Sink<Product> for Products {
    fn lookups(&self, product: &Product) -> Vec<Lookup> {
        encode::lookups(product)
    }

    fn needs(&self, _product: &Product) -> Option<Need> {
        None
    }

    fn encode(&self, product: &Product, values: &Values, there: Standing<'_>) -> Result<Encoded, Vec<Problem>> {
        let own = match there.own {
            Some(raw) => Some(decode::there(raw).ok_or_else(|| vec![decode::unreadable(raw)])?),
            None => None,
        };
        encode::product(product, values, own.as_ref(), &self.form)
    }

    async fn find(&self, record: &Product) -> Result<Option<Found>, Fault> {
        let sku = record.sku.as_str();
        let mut found = self.of_sku(sku).await?;
        if found.len() > 1 {
            let ids: Vec<&str> = found.iter().map(ExternalId::as_str).collect();
            let problem = Problem::new(
                "product.doubled",
                "sku",
                format!("{} items in Veeqo have the SKU {sku}: {}", found.len(), ids.join(", ")),
                "Give all but one of them another SKU in Veeqo, or delete them, then release.",
            );
            return Err(Fault::Refused { what: format!("look for {sku}"), problems: vec![problem.value(sku).cause(sku)] });
        }
        Ok(found.pop().map(|id| Found { id }))
    }

    async fn put(&self, request: &Request) -> Result<Receipt, Fault> {
        let answer = self.client.json(&Ask::of(request, Priority::Products)).await?.unwrap_or_default();
        // What was made, or what a variant was turned into, says its ids; anything else keeps those that it has.
        let made = match request.path.as_str() {
            "/products" => {
                let sellable = standing(&answer).next().and_then(|sellable| text(&sellable["id"]));
                text(&answer["id"]).zip(sellable).map(|(product, sellable)| item_id(&product, &sellable))
            }
            "/kits" => {
                let before = request.update.as_ref().and_then(|id| id.as_str().split_once('/')).map(|(product, _)| product);
                let product = text(&answer["product"]["id"]).or_else(|| before.map(str::to_owned));
                product.zip(text(&answer["id"])).map(|(product, kit)| item_id(&product, &kit))
            }
            _ => None,
        };
        Ok(Receipt { id: made.or_else(|| request.update.clone()), warnings: Vec::new() })
    }

    /// A weight takes effect on creation only, and the customs fields are read but nowhere documented to be written.
    fn carries(&self) -> Carries {
        const ALWAYS: [ProductField; 4] = [ProductField::Name, ProductField::Barcode, ProductField::Active, ProductField::Recipe];
        const PRICED: [ProductField; 5] =
            [ProductField::Name, ProductField::Barcode, ProductField::Active, ProductField::Recipe, ProductField::Price];
        let product = if self.form.prices.is_some() { ProductFields::of(&PRICED) } else { ProductFields::of(&ALWAYS) };
        Carries { product, ..Carries::default() }
    }

    fn finishes_in_one(&self) -> bool {
        false
    }

    fn looks_first(&self) -> bool {
        true
    }
}
