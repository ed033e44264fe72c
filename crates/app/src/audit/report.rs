//! What an audit found, as values: the same for the page, the printed report and JSON.

use std::collections::BTreeMap;

use jiff::Timestamp;
use selvedge_flow::reconcile::PairSetup;
use selvedge_model::{Brand, Interval, Money, reconcile::Why};
use selvedge_store::{Result, Store, differences::Wanted};
use serde::Serialize;

use crate::view::reconcile::{CauseView, DifferenceView, LookView, causes, differences};

/// Examples of each cause.
const EXAMPLES: usize = 5;

/// What a brand feels of a difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Category {
    /// It is not there.
    Missing,
    /// It is there more than once, or nobody owes it.
    Doubled,
    /// It is there with something wrong in it.
    Wrong,
    /// It came late, or stands in another period.
    Late,
    /// A value is mapped wrongly.
    Unmapped,
    /// Stock that is shown is not stock that is there.
    Drifting,
}

impl Category {
    /// All of them, the worst first.
    pub const ALL: [Category; 6] =
        [Category::Missing, Category::Doubled, Category::Wrong, Category::Unmapped, Category::Drifting, Category::Late];

    /// What people read.
    pub const fn title(self) -> &'static str {
        match self {
            Category::Missing => "Missing",
            Category::Doubled => "Doubled",
            Category::Wrong => "Wrong",
            Category::Late => "Late or in another period",
            Category::Unmapped => "Mapped wrongly",
            Category::Drifting => "Stock that drifts",
        }
    }

    /// Of a difference.
    pub const fn of(why: Why) -> Category {
        match why {
            Why::NeverArrived
            | Why::Deleted
            | Why::Held
            | Why::Stuck
            | Why::ShipmentMissing
            | Why::CreditWithoutGoods
            | Why::GoodsWithoutCredit
            | Why::RefundMissing
            | Why::ItemMissing => Category::Missing,
            Why::SentTwice | Why::Foreign | Why::ShippedTwice => Category::Doubled,
            Why::Late | Why::DayShifted | Why::OtherDay => Category::Late,
            Why::WrongEntity
            | Why::WrongMethod
            | Why::WrongPlace
            | Why::DefaultService
            | Why::MappingChanged
            | Why::WrongCurrency => Category::Unmapped,
            Why::OnHand | Why::ForeignStock => Category::Drifting,
            Why::Stale
            | Why::CancelledOnce
            | Why::Ahead
            | Why::CapturedOther
            | Why::SkuCase
            | Why::OtherSku
            | Why::Rounding
            | Why::OldRate
            | Why::WrongRate
            | Why::EditedTax
            | Why::DiscountSpread
            | Why::ShippingTaxed
            | Why::EditedAmount
            | Why::Misread
            | Why::OtherUnits
            | Why::WrongTracking
            | Why::OverCredit
            | Why::EditedHead
            | Why::Unexplained => Category::Wrong,
        }
    }
}

/// Differences of one cause, with some of them.
#[derive(Clone, Debug, Serialize)]
pub struct CauseReport {
    /// What a brand feels of it.
    pub category: Category,
    /// The cause in figures.
    #[serde(flatten)]
    pub cause: CauseView,
    /// Those with most at stake.
    pub examples: Vec<DifferenceView>,
}

/// One category in figures.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CategoryReport {
    /// Which.
    pub category: Category,
    /// Differences.
    pub count: u64,
    /// What is at stake, per currency.
    pub stake: Vec<String>,
}

/// What an audit found.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Whose.
    pub brand: Brand,
    /// The window: from.
    pub from: Timestamp,
    /// The window: to.
    pub to: Timestamp,
    /// When the reading began.
    pub began_at: Timestamp,
    /// When it ended.
    pub ended_at: Timestamp,
    /// That nothing was written anywhere.
    pub read_only: bool,
    /// Calls that were made, per connection.
    pub calls: BTreeMap<String, u64>,
    /// The sentence of completeness per pair and kind, and the ways of working that show.
    pub looks: Vec<LookView>,
    /// Pairs that could not be read whole, and why.
    pub not_read: Vec<(String, String)>,
    /// In figures.
    pub categories: Vec<CategoryReport>,
    /// By cause.
    pub causes: Vec<CauseReport>,
}

impl Report {
    /// Differences in all.
    pub fn count(&self) -> u64 {
        self.categories.iter().map(|one| one.count).sum()
    }

    /// Whether everything was accounted for and nothing differs.
    pub fn is_clean(&self) -> bool {
        self.not_read.is_empty() && self.count() == 0 && self.looks.iter().all(|look| look.balanced == Some(true))
    }
}

/// Puts the report together.
///
/// # Errors
/// The store's.
#[expect(clippy::too_many_arguments, reason = "one place puts it together")]
pub async fn gather(
    store: &Store,
    brand: &Brand,
    pairs: &[PairSetup],
    looks: Vec<LookView>,
    not_read: Vec<(String, String)>,
    calls: BTreeMap<String, u64>,
    window: &Interval,
    began_at: Timestamp,
    ended_at: Timestamp,
) -> Result<Report> {
    let mut found = Vec::new();
    for cause in causes(store, brand).await? {
        if !pairs.iter().any(|pair| pair.name == cause.pair) {
            continue;
        }
        let wanted = Wanted {
            pair: Some(cause.pair.clone()),
            kind: Some(cause.kind),
            cause: Some(cause.cause),
            why: Some(cause.why),
            most: EXAMPLES,
            ..Wanted::default()
        };
        let (examples, _) = differences(store, brand, &wanted).await?;
        found.push(CauseReport { category: Category::of(cause.why), cause, examples });
    }
    let mut categories: Vec<CategoryReport> = Vec::new();
    for category in Category::ALL {
        let of = || found.iter().filter(|one| one.category == category);
        let mut stake: BTreeMap<String, Money> = BTreeMap::new();
        for money in store_money(store, brand, of().map(|one| &one.cause)).await? {
            let code = money.currency().code().to_owned();
            let sum = stake.get(&code).map_or(Ok(money), |sum| sum.plus(money)).unwrap_or(money);
            stake.insert(code, sum);
        }
        categories.push(CategoryReport {
            category,
            count: of().map(|one| one.cause.count).sum(),
            stake: stake.values().map(ToString::to_string).collect(),
        });
    }
    found.sort_by_key(|one| (one.category, std::cmp::Reverse(one.cause.count)));
    Ok(Report {
        brand: brand.clone(),
        from: window.from,
        to: window.to,
        began_at,
        ended_at,
        read_only: true,
        calls,
        looks,
        not_read,
        categories,
        causes: found,
    })
}

/// The money of these causes, as amounts.
async fn store_money(store: &Store, brand: &Brand, of: impl Iterator<Item = &CauseView>) -> Result<Vec<Money>> {
    let wanted: Vec<_> = of.map(|cause| (cause.pair.clone(), cause.kind, cause.cause, cause.why)).collect();
    let brand = brand.clone();
    let rows = store.read(move |view| view.difference_causes(&brand)).await?;
    let same = |row: &selvedge_store::differences::CauseRow| {
        wanted
            .iter()
            .any(|(pair, kind, cause, why)| *pair == row.pair && *kind == row.kind && *cause == row.cause && *why == row.why)
    };
    Ok(rows.into_iter().filter(same).flat_map(|row| row.stake).collect())
}
