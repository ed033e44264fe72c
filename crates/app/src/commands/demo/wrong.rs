//! Detection, measured: wrongness is made behind the product's back, and what the product says of it is compared with what was done.
//!
//! Once with the ledger of the flows that carried the data, and once as an audit that knows nothing but both ends. With an
//! incumbent instead of flows there is only the audit: another integration has carried everything, correctly, and then some of it is
//! made wrong.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context;
use selvedge_flow::{clock::SystemClock, reconcile::Reconciler};
use selvedge_model::{Brand, Interval, reconcile::Why};
use selvedge_sim::wrong::{Injected, Kind, Report as Made};
use selvedge_store::{Store, differences::Wanted};
use serde::Serialize;

use super::{DemoArgs, said, world, world::Child};
use crate::{
    audit::Audit,
    config::{self, secrets::Environment},
    view::reconcile::{DifferenceView, differences},
};

/// How long something may be on its way in a demo.
const ALLOWANCE: Duration = Duration::from_secs(1);

/// What one way of looking found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Found {
    /// Of what was made wrong, so much was found.
    pub found: u64,
    /// And so much with the right cause.
    pub cause_right: u64,
    /// Differences that nobody made.
    pub false_alarms: u64,
    /// From the injection until everything was told.
    pub seconds: u64,
    /// Per kind: made, found, with the right cause.
    pub kinds: BTreeMap<String, [u64; 3]>,
    /// What was not found, or not by its cause: what was made, and what was said instead.
    pub missed: Vec<String>,
    /// The false alarms, the first of them.
    pub alarms: Vec<String>,
}

/// What was made wrong, and what was found of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Wrong {
    /// How much was made.
    pub injected: u64,
    /// Of which kinds less than wanted could be made.
    pub short: BTreeMap<String, u64>,
    /// What reconciliation found, with the ledger of the flows.
    #[serde(flatten)]
    pub reconcile: Found,
    /// What an audit found, which knows both ends and nothing else.
    pub audit: Found,
}

/// Which causes are right for what was made.
fn right(kind: Kind) -> &'static [Why] {
    match kind {
        Kind::Deleted => &[Why::Deleted, Why::NeverArrived],
        Kind::Doubled | Kind::RefundDoubled => &[Why::SentTwice],
        Kind::EditedHeader => &[Why::EditedHead, Why::WrongMethod],
        Kind::EditedLine => &[Why::OtherUnits, Why::EditedAmount],
        Kind::EditedTax => &[Why::EditedTax],
        Kind::SkuCase => &[Why::SkuCase],
        Kind::Subsidiary => &[Why::WrongEntity],
        Kind::Currency => &[Why::WrongCurrency],
        Kind::RoundUnit | Kind::RoundDocument | Kind::RoundHalfEven | Kind::RoundDown | Kind::RoundGross => &[Why::Rounding],
        Kind::OldRate => &[Why::OldRate, Why::WrongRate],
        Kind::MissingShipment => &[Why::ShipmentMissing],
        Kind::Tracking => &[Why::WrongTracking],
        Kind::ShippedTwice => &[Why::ShippedTwice],
        Kind::CreditWithoutGoods => &[Why::CreditWithoutGoods],
        Kind::GoodsWithoutCredit => &[Why::GoodsWithoutCredit],
        Kind::OverCredit => &[Why::OverCredit],
        Kind::OnHand => &[Why::OnHand],
        Kind::ForeignStock => &[Why::ForeignStock],
        Kind::Late => &[Why::Late],
        Kind::LostEvent => &[Why::NeverArrived],
        Kind::StaleEdit => &[Why::Stale],
        Kind::MappingMidway => &[Why::MappingChanged],
        // Where nothing was placed near midnight it is a day that no clock gives.
        Kind::DayShifted => &[Why::DayShifted, Why::OtherDay],
        Kind::RefundMissing => &[Why::RefundMissing],
    }
}

fn word(kind: Kind) -> String {
    serde_json::to_value(kind).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

/// Compares what was made with what was said.
fn judge(made: &[Injected], said: &[DifferenceView], held: &BTreeSet<String>, seconds: u64) -> Found {
    let mut result = Found { seconds, ..Found::default() };
    let mut of: BTreeMap<&str, Vec<&DifferenceView>> = BTreeMap::new();
    for one in said {
        of.entry(one.order.as_str()).or_default().push(one);
    }
    let mut explained: BTreeSet<selvedge_model::DifferenceId> = BTreeSet::new();
    for one in made {
        let mut members: Vec<&str> = one.orders.iter().map(String::as_str).collect();
        members.extend(one.order.as_deref().filter(|order| !one.orders.iter().any(|other| other == order)));
        let is_stock = one.record == "stock";
        if is_stock {
            members.extend(one.skus.iter().map(String::as_str).chain(one.sku.as_deref()));
            members.dedup();
        }
        let about = |member: &&str| -> Vec<&DifferenceView> {
            let of_item = |said: &&DifferenceView| {
                said.kind == selvedge_model::Kind::Stock && said.subject.split(" @ ").next() == Some(*member)
            };
            if is_stock { said.iter().filter(of_item).collect() } else { of.get(member).cloned().unwrap_or_default() }
        };
        let told: Vec<Vec<&DifferenceView>> = members.iter().map(about).collect();
        explained.extend(told.iter().flatten().map(|said| said.id));
        let row = result.kinds.entry(word(one.kind)).or_default();
        row[0] += 1;
        // Of several documents each has to be found, and by its cause.
        let right = |about: &Vec<&DifferenceView>| about.iter().any(|said| right(one.kind).contains(&said.why));
        let said = match (told.iter().all(|about| !about.is_empty()), told.iter().all(right)) {
            (false, _) => "not found".to_owned(),
            (true, true) => String::new(),
            (true, false) => {
                let whys: BTreeSet<&str> = told.iter().flatten().map(|said| said.why.word()).collect();
                format!("said to be {}", whys.into_iter().collect::<Vec<_>>().join(", "))
            }
        };
        if said != "not found" {
            result.found += 1;
            row[1] += 1;
        }
        if said.is_empty() {
            result.cause_right += 1;
            row[2] += 1;
        } else {
            result.missed.push(format!("{} {}: {said}. {}", word(one.kind), members.join(", "), one.detail));
        }
    }
    for one in said.iter().filter(|one| !explained.contains(&one.id) && one.why != Why::Held && !held.contains(&one.order)) {
        result.false_alarms += 1;
        if result.alarms.len() < 20 {
            result.alarms.push(format!("{} {} {}: {}", one.kind, one.subject, one.why, one.detail));
        }
    }
    result
}

/// Everything that is open, of every pair.
async fn open(store: &Store, brand: &Brand) -> anyhow::Result<Vec<DifferenceView>> {
    let wanted = Wanted { most: 1_000_000, ..Wanted::default() };
    Ok(differences(store, brand, &wanted).await?.0)
}

/// As far back as anything of a demo goes.
fn ever() -> anyhow::Result<Interval> {
    Ok(Interval { from: "2009-01-01T00:00:00Z".parse()?, to: selvedge_connector::Clock::now(&selvedge_flow::clock::SystemClock) })
}

/// Makes things wrong and says what was found.
///
/// # Errors
/// The world's, the store's, an end that could not be read.
pub async fn measure(
    args: &DemoArgs,
    seed: u64,
    world: &Child,
    reconciler: Option<&Reconciler>,
    file: &Path,
) -> anyhow::Result<Wrong> {
    let made: Made = world.make_wrong(seed, args.wrong_each).await?;
    let injected = Instant::now();
    // What was made a moment ago may be on its way, as far as anybody can tell.
    tokio::time::sleep(ALLOWANCE + Duration::from_millis(500)).await;
    let window = ever()?;
    let mut wrong = Wrong {
        injected: made.injected.len() as u64,
        short: made.short.iter().map(|(kind, count)| (word(*kind), *count)).collect(),
        ..Wrong::default()
    };
    let mut held: BTreeSet<String> = BTreeSet::new();
    if let Some(reconciler) = reconciler {
        for pair in &reconciler.pairs {
            reconciler.look(pair, "demand", &window).await?.map_err(|why| anyhow::anyhow!("{}: {why}", pair.name))?;
        }
        let said = open(reconciler.store(), reconciler.brand()).await?;
        // What the gate holds differs indeed, and nobody made it wrong.
        let by_order = |one: &&DifferenceView| one.why == Why::Held && !one.order.is_empty();
        held.extend(said.iter().filter(by_order).map(|one| one.order.clone()));
        wrong.reconcile = judge(&made.injected, &said, &held, injected.elapsed().as_secs());
    }
    let began = Instant::now();
    let (config, found) = config::read(file);
    let audit = Audit::open(&config, found, &Environment::of([]), None, Arc::new(SystemClock), "sqlite::memory:").await;
    let audit = audit.map_err(|problems| said(&problems))?;
    let report = audit.run(&window).await?;
    if let Some((pair, why)) = report.not_read.first() {
        anyhow::bail!("the audit could not read {pair} whole: {why}");
    }
    let told = open(audit.store(), &config.brand).await?;
    wrong.audit = judge(&made.injected, &told, &held, began.elapsed().as_secs());
    if reconciler.is_none() {
        wrong.reconcile = wrong.audit.clone();
    }
    if let Some(out) = &args.export {
        std::fs::write(out.join("audit.html"), report.page())?;
        std::fs::write(out.join("audit.json"), serde_json::to_vec_pretty(&report)?)?;
    }
    Ok(wrong)
}

/// A demo without flows: an incumbent has carried everything, and only the audit looks on.
///
/// # Errors
/// Whatever keeps it from starting; an end that could not be read.
pub async fn beside_an_incumbent(args: &DemoArgs, store: &Path, folder: &Path) -> anyhow::Result<()> {
    let mut words = world::child_args(args, folder)?;
    // Its orders are placed by the incumbent, over the days before.
    words.retain(|word| !word.starts_with("--pace"));
    words.push("--pace=0.000001".to_owned());
    let world = Child::start(&words).await?;
    let began = Instant::now();
    world.carry_over(args.orders).await?;
    let carried = began.elapsed();
    let file: PathBuf = world::write_audit_config(args, store, folder, &world.access)?;
    let wrong = match args.wrong {
        Some(seed) => Some(measure(args, seed, &world, None, &file).await?),
        None => None,
    };
    if let Some(report) = &args.report {
        let told = serde_json::json!({ "orders": args.orders, "carried_s": carried.as_secs(), "wrong": wrong });
        std::fs::write(report, serde_json::to_vec_pretty(&told)?)
            .with_context(|| format!("cannot write {}", report.display()))?;
    }
    if let Some(out) = &args.export {
        world.export(out).await?;
    }
    if !args.until_settled {
        super::announce_incumbent(&file);
        super::interrupted().await;
    }
    world.stop().await;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_its_causes() {
        for kind in Kind::ALL {
            assert!(!right(kind).is_empty(), "{}", word(kind));
            assert!(!word(kind).is_empty());
        }
    }
}
