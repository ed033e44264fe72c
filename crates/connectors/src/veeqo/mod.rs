//! Veeqo: pick orders and products into it, what its warehouses shipped out of it, and stock both ways.
//!
//! Facts and traps: `docs/systems/veeqo.md`. Reading order: settings, client, encode and decode (pure), the ports.

mod client;
mod decode;
mod encode;
mod lists;
mod orders;
mod probe;
mod products;
mod returns;
mod settings;
mod shipments;
mod stock;

#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use selvedge_connector::{
    Connection, Connector, MappingTable, OpenContext, Session, SessionConfig, SettingProblem, picking::SHIPPING_SERVICE,
};

use client::Client;
use settings::{SECRETS, SETTINGS, Settings};

/// The largest answer that is read: a hundred orders or products.
const BODY_BYTES_MAX: usize = 32 << 20;
/// A full bucket drains in twenty seconds; nothing can ask for a longer pause.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(60);

/// Veeqo.
#[derive(Debug)]
pub struct Veeqo;

impl Connector for Veeqo {
    fn name(&self) -> &'static str {
        "veeqo"
    }

    fn picks(&self) -> bool {
        true
    }

    fn secret_settings(&self) -> &'static [&'static str] {
        SECRETS
    }

    fn mapping_tables(&self) -> &'static [MappingTable] {
        &[MappingTable { name: "item", parts: &["sku"] }, SHIPPING_SERVICE]
    }

    fn settings(&self) -> BTreeMap<&'static str, &'static str> {
        SETTINGS.iter().copied().collect()
    }

    fn open(&self, context: &OpenContext<'_>) -> Result<Connection, Vec<SettingProblem>> {
        let settings = Settings::read(context)?;
        let session = Session::new(
            SessionConfig {
                concurrency_max: settings.concurrency,
                timeout: settings.timeout,
                body_bytes_max: BODY_BYTES_MAX,
                retry_after_max: RETRY_AFTER_MAX,
                throttle_pause_first: Duration::from_secs(2),
                budget: client::budget(),
                read_only: context.read_only,
                reach: context.reach,
                ..SessionConfig::named(context.name.as_str())
            },
            Arc::clone(&context.clock),
        );
        let client = Client::new(
            Arc::clone(&session),
            Arc::clone(&context.clock),
            &settings.base_url,
            settings.api_key,
            settings.page_size,
        );
        let form = Arc::new(settings.form);
        let orders = Arc::new(orders::Orders { client: client.clone(), form: Arc::clone(&form) });
        let products = Arc::new(products::Products { client: client.clone(), form: Arc::clone(&form) });
        let stock = Arc::new(stock::Stock { client: client.clone(), settings: settings.stock });
        Ok(Connection {
            order_source: Some(orders.clone()),
            order_sink: Some(orders),
            shipment_source: Some(Arc::new(shipments::Shipments { client: client.clone(), form: Arc::clone(&form) })),
            return_source: Some(Arc::new(returns::Returns { client: client.clone(), form: Arc::clone(&form) })),
            product_source: Some(products.clone()),
            product_sink: Some(products),
            stock_source: Some(stock.clone()),
            stock_sink: Some(stock),
            lists: Some(Arc::new(lists::ValueLists { client: client.clone() })),
            probe: Some(Arc::new(probe::AccountProbe { client, form })),
            ..Connection::empty(self.name(), session)
        })
    }
}
