//! What sales orders ask for that nobody has approved yet.
//!
//! NetSuite promises them nothing: committed is of approved orders only, and so *available* is blind to them (help on
//! inventory levels). They are summed before the levels are read. An order that is approved in between is then in
//! both, which shows too little for a moment, and never in neither.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use rust_decimal::Decimal;
use selvedge_connector::{Fault, Priority};

use super::{IN_MAX, Stock, decode, digits};
use crate::netsuite::suiteql::{PAGE, Rows, query_or_refusal};

/// Pages of sums before it is taken for a circle.
const PAGES_MAX: usize = 200;
/// For how long the sums are used for further pages of the same reading.
const GOOD_FOR: Duration = Duration::from_secs(60);

/// The sums.
#[derive(Debug)]
pub(crate) struct Pending {
    /// Before they were asked for: what is approved, or ordered, from here on may be missing.
    pub at: Timestamp,
    /// By item and location, in units.
    pub(super) units: BTreeMap<(String, String), i64>,
}

impl Pending {
    /// Units of an item at a location.
    pub fn of(&self, item: &str, location: &str) -> i64 {
        self.units.get(&(item.to_owned(), location.to_owned())).copied().unwrap_or(0)
    }
}

/// What is kept of the last sums.
#[derive(Debug, Default)]
pub(crate) struct Last {
    /// Which items and places they are of.
    scope: String,
    sums: Option<Arc<Pending>>,
    /// The account shows no parts of kits.
    no_kits: bool,
    /// Items that waited when everything that had changed was last read, or since.
    waited: BTreeSet<String>,
}

/// Sums by item and location after a key; an order for a kit asks for its parts.
pub(crate) fn sums_sql(kits: bool, scope: &str) -> String {
    let (item, units, parts) = match kits {
        true => (
            "NVL(m.item, l.item)",
            "l.quantity * NVL(m.quantity, 1)",
            "INNER JOIN item i ON i.id = l.item LEFT JOIN itemmember m ON m.parentitem = i.id AND i.itemtype = 'Kit' ",
        ),
        false => ("l.item", "l.quantity", ""),
    };
    // A line without a location of its own is taken from its order's.
    let location = "NVL(l.location, h.location)";
    let scope = scope.replace("{item}", item).replace("{location}", location);
    format!(
        "SELECT {item} AS item, {location} AS location, SUM({units}) AS quantity FROM transaction t \
         INNER JOIN transactionline h ON h.transaction = t.id INNER JOIN transactionline l ON l.transaction = t.id {parts}\
         WHERE t.type = 'SalesOrd' AND t.status = 'A' AND h.mainline = 'T' AND l.mainline = 'F' AND l.taxline = 'F' \
         AND l.isclosed = 'F' AND ({item} > ? OR ({item} = ? AND {location} > ?)){scope} \
         GROUP BY {item}, {location} ORDER BY {item}, {location}"
    )
}

impl Stock {
    /// The sums of these places, of these items or of all. `going_on`: for a further page of a reading, for which
    /// those that its first page had are good.
    ///
    /// # Errors
    /// Those of the call; that NetSuite refuses the query.
    pub(super) async fn pending(
        &self,
        what: &str,
        places: &str,
        items: Option<&str>,
        going_on: bool,
        priority: Priority,
    ) -> Result<Arc<Pending>, Fault> {
        let mut scope = format!(" AND {{location}} IN ({places})");
        if let Some(items) = items {
            scope.push_str(&format!(" AND {{item}} IN ({items})"));
        }
        let now = self.clock.now();
        if going_on {
            let last = self.last();
            let known =
                last.sums.as_ref().filter(|sums| last.scope == scope && now.duration_since(sums.at).unsigned_abs() < GOOD_FOR);
            if let Some(sums) = known {
                return Ok(Arc::clone(sums));
            }
        }
        let what = format!("{what}: what waits for approval");
        let no_kits = self.last().no_kits;
        let sums = match self.sum(&what, &sums_sql(!no_kits, &scope), priority).await? {
            Ok(sums) => sums,
            // Accounts without kits have no table of their parts (inferred).
            Err(fault) if no_kits => return Err(fault),
            Err(_) => {
                let sums = self.sum(&what, &sums_sql(false, &scope), priority).await??;
                self.last().no_kits = true;
                sums
            }
        };
        let sums = Arc::new(sums);
        let mut last = self.last();
        (last.scope, last.sums) = (scope, Some(Arc::clone(&sums)));
        Ok(sums)
    }

    /// A condition that holds for the items of orders that wait, or did when changes were last asked for: such an order
    /// moves no column that tells of changes, and neither does its rejection.
    pub(super) fn or_waiting(&self, pending: &Pending) -> String {
        let mut last = self.last();
        last.waited.extend(pending.units.keys().map(|(item, _)| item.clone()));
        let items: Vec<&str> = last.waited.iter().map(String::as_str).collect();
        items.chunks(IN_MAX).map(|items| format!(" OR l.item IN ({})", items.join(", "))).collect()
    }

    /// Everything that had changed was read: what waits no more need not be asked for again.
    pub(super) fn waiting_read(&self, pending: &Pending) {
        self.last().waited = pending.units.keys().map(|(item, _)| item.clone()).collect();
    }

    /// Parts of kits can be read: sums may ask for them, whatever was answered before.
    pub(super) fn kits_are_told(&self) {
        self.last().no_kits = false;
    }

    fn last(&self) -> std::sync::MutexGuard<'_, Last> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All pages; a refusal of the query stands inside.
    async fn sum(&self, what: &str, sql: &str, priority: Priority) -> Result<Result<Pending, Fault>, Fault> {
        let at = self.clock.now();
        let mut units = BTreeMap::new();
        let (mut item, mut location) = ("0".to_owned(), "0".to_owned());
        for _ in 0..PAGES_MAX {
            let rows = match query_or_refusal(&self.client, what, sql, &[&item, &item, &location], PAGE, priority).await? {
                Ok(rows) => rows,
                Err((answer, fault)) if matches!(answer.status, 400 | 404) => return Ok(Err(fault)),
                Err((_, fault)) => return Err(fault),
            };
            let Rows { rows, more } = rows;
            let full = more || rows.len() >= PAGE;
            for row in &rows {
                let unexpected = |detail: &str| Fault::Unexpected { what: what.to_owned(), detail: detail.to_owned() };
                let id = |column| row.get(column).filter(|id| digits(id)).cloned();
                let (Some(of), Some(at)) = (id("item"), id("location")) else {
                    return Err(unexpected("a sum does not tell its item and location"));
                };
                // Quantities of sales are below nought in this table; a part of a unit is a whole one that cannot be sold.
                let sum = row.get("quantity").map_or(Some(Decimal::ZERO), |text| decode::decimal(text.trim()));
                let sum = sum.and_then(|sum| i64::try_from(sum.abs().ceil()).ok());
                let sum = sum.ok_or_else(|| unexpected("a sum is no number"))?;
                (item, location) = (of.clone(), at.clone());
                if sum != 0 {
                    units.insert((of, at), sum);
                }
            }
            if !full || rows.is_empty() {
                return Ok(Ok(Pending { at, units }));
            }
        }
        Err(Fault::Unexpected { what: what.to_owned(), detail: format!("more than {PAGES_MAX} pages of sums") })
    }
}

/// Kept beside the port.
pub(crate) type Kept = Mutex<Last>;
