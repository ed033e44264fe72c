//! Linnworks: pick orders into one location of it, and what it shipped out of it and what came back; products as its items; stock both ways.
//!
//! Facts and traps: `docs/systems/linnworks.md`. Reading order: settings, client (sessions, limits), encode and decode
//! (pure), the ports of orders, shipments and returns; inventory (items as they are listed), products, stock.

mod client;
mod decode;
mod encode;
mod inventory;
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

/// The largest answer that is read: 200 items with their levels, or 100 orders.
const BODY_BYTES_MAX: usize = 32 << 20;
/// Its longest window is a minute.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(120);

/// Linnworks.
#[derive(Debug)]
pub struct Linnworks;

impl Connector for Linnworks {
    fn name(&self) -> &'static str {
        "linnworks"
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
            &settings.login_url,
            settings.v2_url.as_deref(),
            settings.credentials,
        );
        let form = Arc::new(settings.form);
        let orders = Arc::new(orders::Orders { client: client.clone(), form: Arc::clone(&form) });
        let products = Arc::new(products::Products { client: client.clone(), form: Arc::clone(&form) });
        let returns = Arc::new(returns::Returns { client: client.clone(), form: Arc::clone(&form) });
        Ok(Connection {
            order_source: Some(orders.clone()),
            order_sink: Some(orders),
            shipment_source: Some(Arc::new(shipments::Shipments {
                client: client.clone(),
                form: Arc::clone(&form),
                parcels: settings.parcels,
            })),
            return_source: Some(returns.clone()),
            return_sink: Some(returns),
            product_source: Some(products.clone()),
            product_sink: Some(products),
            stock_source: Some(Arc::new(stock::Levels { client: client.clone(), commit_lag: settings.commit_lag })),
            stock_sink: Some(Arc::new(stock::Sink { client: client.clone() })),
            lists: Some(Arc::new(lists::ValueLists { client: client.clone() })),
            probe: Some(Arc::new(probe::AccountProbe { client, form })),
            ..Connection::empty(self.name(), session)
        })
    }
}
