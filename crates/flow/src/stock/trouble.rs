//! A flow that stands still because one of its calls is refused, or fails for long: one exception for each such call,
//! closed by the first that comes through.

use std::time::Duration;

use jiff::Timestamp;
use selvedge_connector::Fault;
use selvedge_model::{ConnectionName, Problem};
use selvedge_store::Result;

use super::Stock;
use crate::{backoff::after, engine::Engine};

/// How long a call may fail by itself before a person is told.
const PATIENCE: Duration = Duration::from_secs(600);

/// How a call of the flow fares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Well,
    Failing { since: Timestamp, told: bool },
}

fn cause(stock: &Stock, way: &str) -> String {
    format!("{}:{way}", stock.setup.name)
}

fn stands_still(stock: &Stock, way: &'static str, connection: &ConnectionName, fault: &Fault) -> Problem {
    Problem::new(
        "stock.stands_still",
        format!("stock.{}", stock.setup.name),
        format!("{connection} does not serve what stock.{} needs ({way}): {fault}. The shop shows what it was last told.", stock.setup.name),
        "Run selvedge check: it names the permission or the setting that is missing. It is tried again by itself, and this closes when it comes through.",
    )
    .cause(cause(stock, way))
}

impl Engine {
    /// A call of the flow came through.
    pub(crate) async fn stock_goes_well(&self, stock: &Stock, way: &'static str) -> Result<()> {
        // The first time in this process, too: an earlier one may have told of trouble.
        if stock.memory().ways.insert(way, Way::Well) == Some(Way::Well) {
            return Ok(());
        }
        let (brand, now) = (self.brand().clone(), self.now());
        let cause = format!("stock.stands_still:{}", cause(stock, way));
        self.store().write(move |tx| tx.settle_standing(&brand, &cause, "it comes through again", now)).await
    }

    /// A call of the flow failed. Whoever refuses it will refuse it again; everything else gets some time.
    pub(crate) async fn stock_goes_badly(
        &self,
        stock: &Stock,
        way: &'static str,
        connection: &ConnectionName,
        fault: &Fault,
    ) -> Result<()> {
        self.note_trouble(connection, fault).await?;
        let now = self.now();
        let refused = matches!(fault, Fault::Refused { .. } | Fault::Unexpected { .. });
        let tell = {
            let mut memory = stock.memory();
            let since = match memory.ways.get(way) {
                Some(Way::Failing { told: true, .. }) => return Ok(()),
                Some(Way::Failing { since, .. }) => *since,
                Some(Way::Well) | None => now,
            };
            let told = refused || after(since, PATIENCE) <= now;
            memory.ways.insert(way, Way::Failing { since, told });
            told
        };
        if !tell {
            return Ok(());
        }
        let (brand, flow, problem) =
            (self.brand().clone(), stock.setup.name.clone(), stands_still(stock, way, connection, fault));
        self.store().write(move |tx| tx.raise_standing(&brand, &flow, &problem, now).map(|_| ())).await
    }
}
