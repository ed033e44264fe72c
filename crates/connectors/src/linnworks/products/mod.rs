//! Products into Linnworks as items and composites, and read back.
//!
//! An item is looked up by its SKU before it is entered, and one that stands already is adopted. It is entered under an id
//! that follows from the SKU; whether the account keeps that id is not relied on. What changes goes a field a call, and
//! what was answered is looked at before the next step, as Linnworks answers some changes that it did not make.

mod decode;
mod encode;

#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use selvedge_connector::{
    Cursor, Decoded, Effect, Encoded, Enumerated, EnumeratedPage, Fault, Found, Need, Page, Priority, Raw, Receipt, Request,
    Sink, Source, Standing,
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
    inventory::{self, Known},
    settings::Form,
};

/// Enters an item.
const ENTER: &str = "Inventory/AddInventoryItem";
/// Puts parts into a composite.
const PUT_PARTS: &str = "Inventory/CreateInventoryItemCompositions";
/// Every method that changes an item.
const METHODS: &[&str] = &[
    ENTER,
    PUT_PARTS,
    "Inventory/UpdateInventoryItemField",
    "Inventory/ArchiveInventoryItems",
    "Inventory/UnarchiveInventoryItems",
    "Inventory/UpdateInventoryItemCompositions",
    "Inventory/DeleteInventoryItemCompositions",
    "Inventory/CreateInventoryItemExtendedProperties",
    "Inventory/UpdateInventoryItemExtendedProperties",
    "Inventory/DeleteInventoryItemExtendedProperties",
];

/// The port.
pub(super) struct Products {
    pub client: Client,
    pub form: Arc<Form>,
}

fn refused(what: &str, problem: Problem) -> Fault {
    Fault::Refused { what: what.to_owned(), problems: vec![problem] }
}

/// The one item that a SKU means, byte for byte.
fn meant(known: &[Known], sku: &str) -> Result<Option<Known>, Box<Problem>> {
    let exact: Vec<&Known> = known.iter().filter(|known| known.sku == sku).collect();
    let problem = |rule: &str, message: String, remedy: &str| Box::new(Problem::new(rule, "sku", message, remedy).cause(sku));
    match exact.as_slice() {
        [only] if only.group => Err(problem(
            "product.group",
            format!("{sku} is a group of variations in Linnworks, and no item"),
            "Give the group another SKU in Linnworks, then release.",
        )),
        [only] => Ok(Some((*only).clone())),
        [] => match known.iter().find(|known| known.sku.eq_ignore_ascii_case(sku)) {
            Some(similar) => Err(problem(
                "product.similar_sku",
                format!("Linnworks has {} and no {sku}, and does not tell upper from lower case", similar.sku),
                "Write the SKU alike on both sides, or map it: selvedge mappings set item 'sku=OURS' THEIRS. Then release.",
            )),
            None => Ok(None),
        },
        _ => Err(problem(
            "product.doubled",
            format!("{sku} stands in Linnworks {} times", exact.len()),
            "Give all but one of them another SKU, or delete them in Linnworks, then release.",
        )),
    }
}

impl Products {
    /// Items as documents: with what they are made of, and whether they are archived.
    async fn raws(&self, rows: Vec<Value>, priority: Priority) -> Result<Vec<Raw>, Fault> {
        let skus: Vec<String> = rows.iter().filter_map(|row| row["ItemNumber"].as_str()).map(str::to_owned).collect();
        let known = inventory::known(&self.client, &skus, priority).await?;
        let known: BTreeMap<&str, &Known> = known.iter().map(|known| (known.id.as_str(), known)).collect();
        let ids: Vec<String> = rows.iter().filter_map(|row| inventory::id_of(&row["StockItemId"])).collect();
        let is_composite = |id: &&String| known.get(id.as_str()).is_some_and(|known| known.composite);
        let composites: Vec<String> = ids.iter().filter(is_composite).cloned().collect();
        let parts = inventory::compositions(&self.client, &composites, priority).await?;
        let raw = |row: Value| {
            let id = inventory::id_of(&row["StockItemId"])?;
            let archived = known.get(id.as_str()).map(|known| known.archived);
            let parts = parts.get(&id).map(Vec::as_slice).unwrap_or_default();
            let body = json!({ "item": row, "parts": parts, "archived": archived }).to_string().into_bytes().into();
            Some(Raw { kind: Kind::Product, id: ExternalId::new(id), version: None, body })
        };
        Ok(rows.into_iter().filter_map(raw).collect())
    }

    /// The item that a SKU means.
    async fn look(&self, what: &str, sku: &str) -> Result<Option<Known>, Fault> {
        let known = inventory::known(&self.client, &[sku.to_owned()], Priority::Products).await?;
        meant(&known, sku).map_err(|problem| refused(what, *problem))
    }

    /// Enters an item, unless it stands already. Its id is looked up and never taken for granted.
    async fn enter(&self, request: &Request) -> Result<Receipt, Fault> {
        let sku = request.body["inventoryItem"]["ItemNumber"].as_str().unwrap_or_default();
        if let Some(known) = self.look(&request.what, sku).await? {
            let warnings = vec![format!("{sku} stood there already and is adopted")];
            return Ok(Receipt { id: Some(ExternalId::new(known.id)), warnings });
        }
        self.send(request, ENTER, &request.body).await?;
        match self.look(&request.what, sku).await {
            Ok(Some(known)) => Ok(Receipt { id: Some(ExternalId::new(known.id)), warnings: Vec::new() }),
            Ok(None) => Err(Fault::Unanswered {
                what: request.what.clone(),
                source: Some("it was answered, and the item does not show yet".into()),
            }),
            // It has been entered; only the look did not come through.
            Err(Fault::Transient { what, source }) => Err(Fault::Unanswered { what, source }),
            Err(Fault::Throttled { what, .. }) => {
                Err(Fault::Unanswered { what, source: Some("the look after it was throttled".into()) })
            }
            Err(fault) => Err(fault),
        }
    }

    /// The ids of the parts that a composite is to have.
    async fn with_ids(&self, request: &Request) -> Result<Value, Fault> {
        let mut body = request.body.clone();
        let rows = body["inventoryItemCompositions"].as_array_mut();
        let rows = rows.map(Vec::as_mut_slice).unwrap_or_default();
        let skus: Vec<String> = rows.iter().filter_map(|row| row["SKU"].as_str()).map(str::to_owned).collect();
        let known = inventory::known(&self.client, &skus, Priority::Products).await?;
        let mut problems = Vec::new();
        for (row, sku) in rows.iter_mut().zip(&skus) {
            match meant(&known, sku) {
                Ok(Some(part)) if !part.composite => row["LinkedStockItemId"] = json!(part.id),
                Ok(part) => problems.push(no_part(sku, part.is_some())),
                Err(problem) => problems.push(*problem),
            }
        }
        if problems.is_empty() { Ok(body) } else { Err(Fault::Refused { what: request.what.clone(), problems }) }
    }

    async fn send(&self, request: &Request, method: &'static str, body: &Value) -> Result<(), Fault> {
        let ask = Ask::post(&request.what, method, body, Effect::Write, Priority::Products);
        self.client.json(&ask).await.map(|_| ())
    }
}

fn no_part(sku: &str, composite: bool) -> Problem {
    let message = if composite {
        format!("{sku} is a composite in Linnworks, and a composite takes no other as its part")
    } else {
        format!("{sku} is part of a bundle and stands in Linnworks no more")
    };
    Problem::new("product.part", "recipe", message, "Mend the part in Linnworks or the recipe in the shop, then release.")
        .cause(sku)
}

#[async_trait]
impl Source<Product> for Products {
    fn decode(&self, raw: &Raw, words: &Values) -> Decoded<Product> {
        decode::product(raw, words, &self.form)
    }

    /// A page of all items, whatever the interval: the vendor does not tell when one changed.
    async fn list(&self, _interval: &Interval, page: Option<&Cursor>) -> Result<Page, Fault> {
        let items = inventory::page(&self.client, page, &["ExtendedProperties"], Priority::Products).await?;
        Ok(Page { raws: self.raws(items.rows, Priority::Products).await?, next: items.next })
    }

    async fn enumerate(&self, _interval: &Interval, page: Option<&Cursor>) -> Result<EnumeratedPage, Fault> {
        let items = inventory::page(&self.client, page, &[], Priority::Sweeps).await?;
        let item = |row: &Value| {
            let id = ExternalId::new(inventory::id_of(&row["StockItemId"])?);
            Some(Enumerated { id, key: row["ItemNumber"].as_str().map(|sku| RecordKey::new(sku.trim())), version: None })
        };
        Ok(EnumeratedPage { items: items.rows.iter().filter_map(item).collect(), next: items.next })
    }

    async fn fetch(&self, ids: &[ExternalId], priority: Priority) -> Result<Vec<Raw>, Fault> {
        let priority = priority.max(Priority::Products);
        let ids: Vec<String> = ids.iter().map(|id| id.as_str().to_ascii_lowercase()).filter(|id| inventory::is_id(id)).collect();
        let rows = inventory::by_ids(&self.client, &ids, &["ExtendedProperties"], priority).await?;
        self.raws(rows, priority).await
    }

    fn fetch_max(&self) -> usize {
        inventory::IDS_MAX
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
        let item = match there.own {
            None => None,
            Some(raw) => {
                let document: Value = serde_json::from_slice(&raw.body).unwrap_or_default();
                match decode::item(&document) {
                    Some(item) => Some(item),
                    // Nothing is written over what is not understood.
                    None => return Err(decode::product(raw, values, &self.form).problems),
                }
            }
        };
        encode::product(product, values, item.as_ref(), &self.form)
    }

    async fn find(&self, product: &Product) -> Result<Option<Found>, Fault> {
        let known = self.look(&format!("look for item {}", product.sku), product.sku.as_str()).await?;
        Ok(known.map(|known| Found { id: ExternalId::new(known.id) }))
    }

    async fn put(&self, request: &Request) -> Result<Receipt, Fault> {
        let what = &request.what;
        let Some(method) = METHODS.iter().copied().find(|method| *method == request.path) else {
            let detail = format!("{} is no call that changes an item", request.path);
            return Err(Fault::Unexpected { what: what.clone(), detail });
        };
        if method == ENTER {
            return self.enter(request).await;
        }
        let with_ids = if method == PUT_PARTS { Some(self.with_ids(request).await?) } else { None };
        self.send(request, method, with_ids.as_ref().unwrap_or(&request.body)).await?;
        // The last step is read back when it is confirmed. A step before it that does not show would be sent for ever.
        if let Some(id) = request.update.as_ref().filter(|_| request.unfinished)
            && let Ok(raws) = self.fetch(std::slice::from_ref(id), Priority::Products).await
            && let Some(raw) = raws.first()
        {
            let document: Value = serde_json::from_slice(&raw.body).unwrap_or_default();
            if decode::item(&document).is_some_and(|item| !decode::shows(&item, request)) {
                return Err(refused(what, not_taken(what)));
            }
        }
        Ok(Receipt { id: request.update.clone(), warnings: Vec::new() })
    }

    fn carries(&self) -> Carries {
        const CARRIED: ProductFields = ProductFields::ALL.without(ProductFields::of(&[ProductField::Price]));
        Carries { product: CARRIED, ..Carries::default() }
    }

    fn finishes_in_one(&self) -> bool {
        false
    }
}

fn not_taken(what: &str) -> Problem {
    Problem::new(
        "product.not_taken",
        "",
        format!("{what}: Linnworks answered that it did so, and the item shows something else"),
        "Look at the item in Linnworks: the value may be too long, or something there may change it back. Then release.",
    )
    .cause(what)
}
