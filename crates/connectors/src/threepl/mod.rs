//! A third-party warehouse over SFTP: pick orders and announced returns to it, and its shipments, returns and stock from it, as
//! delimited files or X12; and the credit notes of a desk that hands them over as files.
//!
//! Facts and traps: `docs/systems/threepl.md`. Reading order: settings, exchange (the way there), message, csv and x12
//! (bytes to rows and back), encode and decode (pure), outbox and news (what goes and what comes), the ports.

mod credits;
mod csv;
mod decode;
mod encode;
mod exchange;
mod message;
mod news;
mod orders;
mod outbox;
mod probe;
mod read;
mod returns;
mod settings;
mod shipments;
mod stock;
mod x12;

#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use selvedge_connector::{Connection, Connector, MappingTable, OpenContext, SettingProblem, picking::SHIPPING_SERVICE};
use selvedge_sftp::Sftp;

use exchange::Exchange;
use settings::{SECRETS, SETTINGS, Settings};

/// A third-party warehouse.
#[derive(Debug)]
pub struct ThreePl;

impl Connector for ThreePl {
    fn name(&self) -> &'static str {
        "threepl"
    }

    fn picks(&self) -> bool {
        true
    }

    fn secret_settings(&self) -> &'static [&'static str] {
        SECRETS
    }

    fn mapping_tables(&self) -> &'static [MappingTable] {
        &[SHIPPING_SERVICE]
    }

    fn settings(&self) -> BTreeMap<&'static str, &'static str> {
        SETTINGS.iter().copied().collect()
    }

    fn open(&self, context: &OpenContext<'_>) -> Result<Connection, Vec<SettingProblem>> {
        let settings = Settings::read(context)?;
        let exchange = Exchange::new(Sftp::new(settings.remote), settings.form, context);
        let orders = Arc::new(orders::Orders::new(&exchange));
        let returns = Arc::new(returns::Returns::new(&exchange));
        Ok(Connection {
            order_source: Some(orders.clone()),
            order_sink: Some(orders),
            shipment_source: Some(Arc::new(shipments::Shipments { exchange: Arc::clone(&exchange) })),
            return_source: Some(returns.clone()),
            return_sink: Some(returns),
            credit_note_source: Some(Arc::new(credits::Credits { exchange: Arc::clone(&exchange) })),
            feed: Some(Arc::new(news::News { exchange: Arc::clone(&exchange) })),
            stock_source: Some(Arc::new(stock::Snapshots { exchange: Arc::clone(&exchange), answered: Mutex::default() })),
            probe: Some(Arc::new(probe::ServerProbe { exchange: Arc::clone(&exchange) })),
            ..Connection::empty(self.name(), exchange)
        })
    }
}
