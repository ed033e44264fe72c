//! A correct incumbent: the shop's orders as another integration would have carried them over, day by day, without a fault.
//!
//! It stands in for whoever moves the data of a brand today, so that what only looks on can be tried, and so that a large world is
//! there in seconds. Its documents carry the shop's number as `otherRefNum` and keys of its own form (`PW-10042`), or none; its lines
//! carry the tax of the shop, line by line. It goes by the same rule as the mapping of a world: subsidiary, location and customer by the
//! market's currency, methods in their order.

use serde::{Deserialize, Serialize};

use crate::centra::{Centra, Sold};
use crate::data::{Address, Catalogue, LineKind, Order, Taxed};
use crate::netsuite::{Credit, Document, Entry, NetSuite, Parcel, Part, Place, Receipt, Standing};
use crate::wrong::Dice;

fn yes() -> bool {
    true
}

fn thirty() -> u32 {
    30
}

/// What the incumbent has done: `{"orders": 2000}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Habits {
    /// So many of the world's orders are placed; all when not said.
    #[serde(default)]
    pub orders: Option<u32>,
    /// Made-up orders were placed over so many days until now; a folder's when it says.
    #[serde(default = "thirty")]
    pub days: u32,
    /// Whether what is older than three days has left.
    #[serde(default = "yes")]
    pub ships: bool,
    /// Whether some of that came back, was credited and paid back.
    #[serde(default = "yes")]
    pub takes_back: bool,
    /// Whether its documents carry external ids of its own.
    #[serde(default = "yes")]
    pub keys: bool,
}

impl Default for Habits {
    fn default() -> Habits {
        Habits { orders: None, days: thirty(), ships: true, takes_back: true, keys: true }
    }
}

/// What the incumbent came to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Carried {
    /// Sales that stand now and did not before.
    pub orders: u64,
    /// Parcels of them that left.
    pub shipments: u64,
    /// Returns of them, each with its credit.
    pub returns: u64,
}

/// The systems that it stands between.
pub(crate) struct Scene<'a> {
    pub(crate) centra: &'a Centra,
    pub(crate) netsuite: &'a NetSuite,
    pub(crate) catalogue: &'a Catalogue,
    /// NetSuite's location of each market.
    pub(crate) locations: &'a [String],
}

/// How many sales are entered at a time, so that others get their turn.
const STEP: usize = 500;

/// Carries everything over that does not stand yet. Errors when a journal cannot be written.
pub(crate) fn carry(scene: &Scene<'_>, habits: &Habits) -> anyhow::Result<Carried> {
    scene.centra.place_back(habits.orders.unwrap_or(u32::MAX), habits.days)?;
    let known = scene.netsuite.standing();
    let sold = scene.centra.carry_on(habits)?;
    let fresh: Vec<&Sold> = sold.iter().filter(|one| !known.contains(&one.order.number.to_string())).collect();
    let mut carried = Carried::default();
    let count = |length: usize| u64::try_from(length).unwrap_or(u64::MAX);
    for some in fresh.chunks(STEP) {
        let some: Vec<Standing> = some.iter().map(|one| standing(scene, one, habits)).collect();
        scene.netsuite.stand(&some)?;
        carried.orders += count(some.len());
        carried.shipments += count(some.iter().map(|one| one.parcels.len()).sum());
        carried.returns += count(some.iter().map(|one| one.credits.len()).sum());
    }
    show_stock(scene)?;
    Ok(carried)
}

/// The shop shows what is available at the source.
fn show_stock(scene: &Scene<'_>) -> anyhow::Result<()> {
    let mut free = Vec::new();
    {
        let netsuite = scene.netsuite.behind();
        for (warehouse, location) in (0..).zip(scene.locations) {
            // What is kept at one place is shown in the first market of that place.
            if scene.locations.iter().position(|one| one == location) != usize::try_from(warehouse).ok() {
                continue;
            }
            for (item, found) in (0..).zip(scene.catalogue.items()).filter(|(_, found)| found.components.is_empty()) {
                free.extend(netsuite.level(&found.sku, location).map(|level| (item, warehouse, level.available)));
            }
        }
    }
    scene.centra.show_free(&free)
}

fn key(habits: &Habits, kind: &str, number: &str) -> Option<String> {
    habits.keys.then(|| if kind.is_empty() { format!("PW-{number}") } else { format!("PW-{kind}-{number}") })
}

fn standing(scene: &Scene<'_>, sold: &Sold, habits: &Habits) -> Standing {
    let order = &sold.order;
    let zone = scene.centra.zone();
    let day = |at: jiff::Timestamp| at.to_zoned(zone.clone()).date();
    let number = order.number.to_string();
    let mut dice = Dice::new(u64::from(order.number.unsigned_abs()), "carried over");
    let created = sold.created.as_second().saturating_add(dice.between(60, 600)).min(scene.centra.now().as_second());
    let references: Vec<&str> =
        order.payments.iter().map(|paid| paid.reference.as_str()).filter(|reference| !reference.is_empty()).collect();
    let sale = Document {
        external: key(habits, "", &number),
        currency: order.currency.code,
        method: order.method,
        date: day(sold.created),
        created,
        entries: entries(scene.catalogue, order),
        shipping: side(order, order.shipping),
        rate: order.rate,
        ship_to: address(scene.catalogue, &order.shipping_address),
        bill_to: address(scene.catalogue, &order.billing_address),
        email: email(order),
        memo: references.first().map(|reference| format!("Payment {reference}")),
        number,
    };
    let parcel = |parcel: &crate::centra::SoldParcel| Parcel {
        external: key(habits, "IF", &parcel.number),
        lines: left(order, &parcel.lines),
        tracking: parcel.tracking.clone(),
        date: day(parcel.left),
        created: parcel.left.as_second().saturating_add(600),
    };
    let credit = |back: &crate::centra::SoldBack| Credit {
        receipt: Receipt { external: key(habits, "RA", &back.id.to_string()), number: back.id.to_string() },
        external: key(habits, "CM", &back.id.to_string()),
        number: format!("{}-R{}", order.number, back.id),
        entries: given_back(scene.catalogue, order, back),
        shipping: side(order, Taxed { quoted: back.shipping.0, tax: back.shipping.1 }),
        date: day(back.at),
        created: back.at.as_second(),
        paid: back.paid.iter().map(|(amount, reference)| (*amount, format!("Refund {reference}"))).collect(),
    };
    Standing { parcels: sold.parcels.iter().map(parcel).collect(), credits: sold.backs.iter().map(credit).collect(), sale }
}

/// Without tax, and the tax.
fn side(order: &Order, amount: Taxed) -> (i64, i64) {
    (order.with_tax(amount, false), amount.tax)
}

fn sku_and_name(catalogue: &Catalogue, item: Option<u32>) -> (String, String) {
    let found = item.and_then(|item| catalogue.items().get(item as usize));
    let gift = || (crate::data::GIFT_NUMBER.to_owned(), "Gift card".to_owned());
    found.map_or_else(gift, |item| (item.sku.clone(), item.full_name()))
}

fn entries(catalogue: &Catalogue, order: &Order) -> Vec<Entry> {
    let sold = order.lines.iter().filter(|line| !matches!(line.kind, LineKind::BundleItem(_)) && line.cancelled < line.ordered);
    let mut entries: Vec<Entry> = sold
        .map(|line| {
            let (sku, name) = sku_and_name(catalogue, line.item);
            Entry {
                part: Part::Goods,
                line: line.id,
                sku,
                name,
                units: i64::from(line.ordered - line.cancelled),
                amount: side(order, order.line_value(line)),
                rate: line.rate,
            }
        })
        .collect();
    let beside = |part, name: &str, amount: (i64, i64)| Entry {
        part,
        line: 0,
        sku: String::new(),
        name: name.to_owned(),
        units: 1,
        amount,
        rate: if amount.1 == 0 { 0 } else { order.rate },
    };
    if order.handling.quoted != 0 {
        entries.push(beside(Part::Handling, "Handling", side(order, order.handling)));
    }
    for discount in &order.discounts {
        let (net, tax) = side(order, discount.amount);
        entries.push(beside(Part::Discount, discount.voucher.map_or("Discount", |(_, name)| name), (-net, -tax)));
    }
    entries
}

/// Lines that left as the sale has them: a bundle where its parts left.
fn left(order: &Order, gone: &[(i32, i32)]) -> Vec<(i32, i64)> {
    let mut lines = Vec::new();
    for line in &order.lines {
        let units = match line.kind {
            LineKind::Product => gone.iter().filter(|(id, _)| *id == line.id).map(|(_, units)| *units).sum(),
            LineKind::Bundle => {
                let place = order.lines.iter().position(|one| one.id == line.id).unwrap_or(usize::MAX);
                let part = |(id, _): &&(i32, i32)| {
                    order.lines.iter().any(|one| one.id == *id && one.kind == LineKind::BundleItem(place))
                };
                if gone.iter().any(|one| part(&one)) { line.ordered - line.cancelled } else { 0 }
            }
            LineKind::BundleItem(_) | LineKind::GiftCertificate => 0,
        };
        if units > 0 {
            lines.push((line.id, i64::from(units)));
        }
    }
    lines
}

fn given_back(catalogue: &Catalogue, order: &Order, back: &crate::centra::SoldBack) -> Vec<Entry> {
    let mut entries: Vec<Entry> = back
        .lines
        .iter()
        .map(|(id, units, (quoted, tax))| {
            let line = order.lines.iter().find(|line| line.id == *id);
            let (sku, name) = sku_and_name(catalogue, line.and_then(|line| line.item));
            let amount = side(order, Taxed { quoted: *quoted, tax: *tax });
            Entry {
                part: Part::Goods,
                line: *id,
                sku,
                name,
                units: i64::from(*units),
                amount,
                rate: line.map_or(0, |line| line.rate),
            }
        })
        .collect();
    let (net, tax) = side(order, Taxed { quoted: back.voucher.0, tax: back.voucher.1 });
    if net != 0 || tax != 0 {
        entries.push(Entry {
            part: Part::Discount,
            line: 0,
            sku: String::new(),
            name: "Discount".to_owned(),
            units: 1,
            amount: (-net, -tax),
            rate: if tax == 0 { 0 } else { order.rate },
        });
    }
    entries
}

fn email(order: &Order) -> Option<String> {
    let of_customer = order.customer.as_ref().map(|customer| customer.email.clone());
    let of_address = || [&order.billing_address, &order.shipping_address].into_iter().find_map(|address| address.email.clone());
    of_customer.or_else(of_address).filter(|email| !email.trim().is_empty())
}

fn address(catalogue: &Catalogue, address: &Address) -> Place {
    let filled = |text: &Option<String>| text.as_deref().map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned);
    let names: Vec<String> = [filled(&address.first_name), filled(&address.last_name)].into_iter().flatten().collect();
    let person = Some(names.join(" ")).filter(|person| !person.is_empty());
    // A company is the addressee, the person is whom it is for.
    let (addressee, attention) = match filled(&address.company) {
        Some(company) => (Some(company), filled(&address.attention).or(person)),
        None => (person, filled(&address.attention)),
    };
    let country = address.country.and_then(|at| catalogue.countries().get(at as usize));
    let fields = [
        addressee,
        attention,
        filled(&address.address1),
        filled(&address.address2),
        None,
        filled(&address.city),
        filled(&address.state),
        filled(&address.zip),
        filled(&address.phone),
    ];
    Place {
        fields: fields.map(Option::unwrap_or_default),
        country: country.map(|country| country.code.clone()).unwrap_or_default(),
    }
}
