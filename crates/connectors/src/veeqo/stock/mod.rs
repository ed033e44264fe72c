//! Stock in Veeqo: what each warehouse has of each sellable, read and written.
//!
//! The list of products carries it all, a hundred products a call; there is no list of what changed. A kit has no stock of
//! its own and is told with its parts. What is written is the physical level, absolutely: what Veeqo has allocated it
//! takes off itself, so an allocation in between costs nothing, but a parcel that leaves in between does: it shows when
//! the figure is read back.

mod decode;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use async_trait::async_trait;
use selvedge_connector::{
    Cursor, Fault, Figure, Finding, FindingLevel, LevelPage, Priority, Receipt, Request, StockSink, StockSource, Wanted,
};
use selvedge_model::{ExternalId, Kit, LocationId, Problem};
use serde_json::{Value, json};

use super::{
    client::{Ask, Client},
    decode::text,
    orders::instant,
    products::{contents, is_kit, item_id, standing},
    settings::StockSettings,
};

/// Items that one look asks for: each may be a call, and two seconds' worth of them fit in what a look is good for.
const ITEMS_MAX: usize = 10;

/// The ports.
pub(super) struct Stock {
    pub client: Client,
    pub settings: StockSettings,
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.len() <= 18 && text.bytes().all(|b| b.is_ascii_digit())
}

fn place_problem(place: &str) -> Problem {
    Problem::new(
        "stock.place",
        "warehouse",
        format!("{place:?} is not the id of a warehouse"),
        "Write the number under which Veeqo keeps the warehouse (selvedge check names them) in the flow's config.",
    )
    .value(place)
    .cause(place)
}

#[async_trait]
impl StockSource for Stock {
    /// A page of products; of items that are asked for by id, a call for each of their products. What changed is asked
    /// for only where the setting says that a product's last change tells it, and everything is read otherwise.
    async fn levels(
        &self,
        wanted: Wanted<'_>,
        places: &[LocationId],
        page: Option<&Cursor>,
        priority: Priority,
    ) -> Result<LevelPage, Fault> {
        let odd: Vec<Problem> =
            places.iter().filter(|place| !is_number(place.as_str())).map(|place| place_problem(place.as_str())).collect();
        if !odd.is_empty() {
            return Err(Fault::Refused { what: "read stock".to_owned(), problems: odd });
        }
        let as_of = self.client.now();
        if let Wanted::Items(items) = wanted {
            return self.of_items(items, places, priority).await;
        }
        let since = match wanted {
            Wanted::Since(since) if self.settings.by_product => Some(instant(since)),
            _ => None,
        };
        let query: Vec<(&str, &str)> = since.iter().map(|since| ("updated_at_min", since.as_str())).collect();
        let rows = self.client.page("read stock", "/products", &query, page, priority).await?;
        let mut read = LevelPage { next: rows.next, ..LevelPage::default() };
        for product in &rows.rows {
            decode::levels(product, places, as_of, |_| true, &mut read);
        }
        Ok(read)
    }

    fn items_max(&self) -> usize {
        ITEMS_MAX
    }

    /// All products, and a call for each kit. A kit is read whole or not at all: one with a part that cannot be read is
    /// left out and logged, as half a kit would show more stock than there is.
    async fn kits(&self) -> Result<Vec<Kit>, Fault> {
        let mut kits = Vec::new();
        for product in self.client.all("read kits", "/products", &[], Priority::Stock).await? {
            for sellable in standing(&product).filter(|sellable| is_kit(sellable)) {
                let (Some(id), Some(of)) = (text(&sellable["id"]), text(&product["id"])) else { continue };
                let rows = contents(&self.client, &id, Priority::Stock).await?;
                match decode::kit(sellable, item_id(&of, &id), &rows) {
                    Some(kit) => kits.push(kit),
                    None => tracing::warn!(kit = id, "what a kit is made of cannot be read; it has no stock"),
                }
            }
        }
        Ok(kits)
    }

    fn commit_lag(&self) -> Duration {
        self.settings.commit_lag
    }
}

impl Stock {
    async fn of_items(&self, items: &[ExternalId], places: &[LocationId], priority: Priority) -> Result<LevelPage, Fault> {
        let mut read = LevelPage::default();
        let wanted = |id: &ExternalId| items.contains(id);
        let products: BTreeSet<&str> =
            items.iter().filter_map(|id| id.as_str().split_once('/')).map(|(product, _)| product).collect();
        for id in products.into_iter().filter(|id| is_number(id)) {
            // Each level is as of the instant before its own call.
            let as_of = self.client.now();
            let ask = Ask::get(format!("read the stock of product {id}"), format!("/products/{id}"), priority);
            if let Some(product) = self.client.json(&ask).await? {
                decode::levels(&product, places, as_of, wanted, &mut read);
            }
        }
        Ok(read)
    }
}

#[async_trait]
impl StockSink for Stock {
    /// There is no call for several.
    fn batch_max(&self) -> usize {
        1
    }

    fn encode(&self, place: &LocationId, figures: &[Figure]) -> Request {
        let (item, units) = figures.first().map_or(("", 0), |figure| (figure.item.as_str(), figure.units));
        let sellable = item.rsplit('/').next().unwrap_or_default();
        let sku = figures.first().map(|figure| figure.sku.to_string()).unwrap_or_default();
        Request {
            what: format!("set the stock of {sku} in warehouse {place}"),
            method: "PUT".to_owned(),
            path: format!("/sellables/{sellable}/warehouses/{place}/stock_entry"),
            body: json!({ "stock_entry": { "physical_stock_level": units, "infinite": false } }),
            update: Some(ExternalId::new(place.as_str())),
            unfinished: false,
        }
    }

    async fn put(&self, request: &Request) -> Result<Receipt, Fault> {
        let ids: Vec<&str> = request.path.split('/').collect();
        let [_, "sellables", sellable, "warehouses", place, "stock_entry"] = ids.as_slice() else {
            return Err(Fault::Unexpected { what: request.what.clone(), detail: "it is no write of a figure".to_owned() });
        };
        let problem = match (is_number(sellable), is_number(place)) {
            (true, true) => None,
            (_, false) => Some(place_problem(place)),
            (false, _) => Some(Problem::new(
                "stock.figure",
                "item",
                format!("{sellable:?} is not the id of a sellable"),
                "Read the warehouse back: the next look finds the item anew.",
            )),
        };
        if let Some(problem) = problem {
            return Err(Fault::Refused { what: request.what.clone(), problems: vec![problem] });
        }
        match self.client.json(&Ask::of(request, Priority::Stock)).await {
            Ok(_) => Ok(Receipt { id: request.update.clone(), warnings: Vec::new() }),
            Err(fault) if fault.is_read_only() => Err(fault),
            Err(Fault::Refused { what, problems }) => {
                let refused = |problem: Problem| {
                    let remedy = "See whether the item and the warehouse still stand in Veeqo, then release.";
                    Problem::new("stock.refused", "", problem.message, remedy).cause(problem.cause)
                };
                Err(Fault::Refused { what, problems: problems.into_iter().map(refused).collect() })
            }
            Err(fault) => Err(fault),
        }
    }

    /// The ranking by which a store draws from its warehouses is not in the interface, and stores are not markets: each
    /// market is taken to draw from any, which is on the safe side.
    async fn draws(&self) -> Result<BTreeMap<String, Vec<LocationId>>, Fault> {
        Ok(BTreeMap::new())
    }

    async fn inspect(&self, places: &[LocationId]) -> Vec<Finding> {
        match self.client.all("list warehouses", "/warehouses", &[], Priority::Control).await {
            Ok(rows) => inspected(places, &rows),
            Err(fault) => vec![Finding {
                level: FindingLevel::Bad,
                setting: None,
                message: fault.to_string(),
                remedy: "See the page of the system, docs/systems/veeqo.md.".to_owned(),
            }],
        }
    }
}

fn inspected(places: &[LocationId], rows: &[Value]) -> Vec<Finding> {
    let finding = |level: FindingLevel, message: String, remedy: String| Finding { level, setting: None, message, remedy };
    let name = |row: &Value| text(&row["name"]).unwrap_or_default();
    let of = |place: &LocationId| rows.iter().find(|row| text(&row["id"]).as_deref() == Some(place.as_str()));
    let mut seen = BTreeSet::new();
    let mut findings = Vec::new();
    for place in places {
        findings.push(match of(place) {
            _ if !seen.insert(place) => finding(
                FindingLevel::Bad,
                format!("warehouse {place} is named twice"),
                "Name each warehouse once: two figures of one item in one warehouse would overwrite each other.".to_owned(),
            ),
            None => {
                let live = rows.iter().filter(|row| row["deleted_at"].is_null());
                let all: Vec<String> = live.map(|row| format!("{} ({})", row["id"], name(row))).collect();
                let remedy = format!("There are: {}.", if all.is_empty() { "none".to_owned() } else { all.join(", ") });
                finding(FindingLevel::Bad, format!("there is no warehouse {place}"), remedy)
            }
            Some(row) if !row["deleted_at"].is_null() => finding(
                FindingLevel::Bad,
                format!("warehouse {place} ({}) was deleted", name(row)),
                "Take it out of the flow.".to_owned(),
            ),
            Some(row) => finding(
                FindingLevel::Warning,
                format!("warehouse {place} ({}) is there, and people can count in it, too", name(row)),
                "Nothing in Veeqo keeps a warehouse for one program: agree that nobody else counts there.".to_owned(),
            ),
        });
    }
    findings
}
