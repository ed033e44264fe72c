//! A third-party warehouse over SFTP: pick orders to it, and its shipments and stock from it, as delimited files or X12.
//!
//! Facts and traps: `docs/systems/threepl.md`. Reading order: settings, exchange (the way there), message, csv and x12
//! (bytes to rows and back), encode and decode (pure), the ports.

mod csv;
mod decode;
mod encode;
mod exchange;
mod message;
mod orders;
mod probe;
mod read;
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
        let exchange = Exchange::new(Sftp::new(settings.remote), settings.form, Arc::clone(&context.clock));
        let orders = Arc::new(orders::Orders { exchange: Arc::clone(&exchange) });
        let news = Arc::new(shipments::News { exchange: Arc::clone(&exchange) });
        Ok(Connection {
            order_source: Some(orders.clone()),
            order_sink: Some(orders),
            shipment_source: Some(news.clone()),
            feed: Some(news),
            stock_source: Some(Arc::new(stock::Snapshots { exchange: Arc::clone(&exchange), answered: Mutex::default() })),
            probe: Some(Arc::new(probe::ServerProbe { exchange: Arc::clone(&exchange) })),
            ..Connection::empty(self.name(), exchange)
        })
    }
}
