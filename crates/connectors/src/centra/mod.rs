//! Centra: orders, products and returns with what is paid back for them out of it, stock out of it and into it, shipments
//! and returns into it, over the GraphQL Integration API.
//!
//! Three ways in, all to the same document: the queue of events (which carries the orders), signed
//! webhooks (which only name them), and windows of changes for polls and sweeps. The operations in
//! `operations/` are checked at build time against `schema.graphql`, our subset of Centra's schema,
//! and at `selvedge check` against the live one. Customers are not read by themselves: an order
//! carries what is needed of its own.

mod decode;
mod feed;
mod graphql;
mod hooks;
mod operations;
mod orders;
mod probe;
mod products;
mod returns;
mod schema_check;
mod settings;
mod shipments;
mod statements;
mod stock;
mod values;
mod wire;

#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use selvedge_connector::{Connection, Connector, OpenContext, Session, SessionConfig, SettingProblem};

use feed::EventFeed;
use graphql::Api;
use hooks::WebhookReceiver;
use orders::OrderSource;
use probe::CentraProbe;
use settings::Settings;

/// The largest answer that is read: 200 orders with hundreds of lines each, or the whole live schema.
const BODY_BYTES_MAX: usize = 64 << 20;
/// Centra's longest window is an hour; nothing can ask for a longer pause.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(3600);

/// Centra.
#[derive(Debug)]
pub struct Centra;

impl Connector for Centra {
    fn name(&self) -> &'static str {
        "centra"
    }

    fn secret_settings(&self) -> &'static [&'static str] {
        settings::SECRETS
    }

    fn settings(&self) -> BTreeMap<&'static str, &'static str> {
        settings::explained()
    }

    fn open(&self, context: &OpenContext<'_>) -> Result<Connection, Vec<SettingProblem>> {
        let settings = Settings::read(context)?;
        let session = Session::new(
            SessionConfig {
                concurrency_max: settings.concurrency,
                timeout: settings.timeout,
                body_bytes_max: BODY_BYTES_MAX,
                retry_after_max: RETRY_AFTER_MAX,
                budget: graphql::default_budget(),
                read_only: context.read_only,
                reach: context.reach,
                ..SessionConfig::named(context.name.as_str())
            },
            Arc::clone(&context.clock),
        );
        let api =
            Arc::new(Api::new(Arc::clone(&session), Arc::clone(&context.clock), &settings.base_url, settings.token.clone()));
        if !settings.stock_fills_waiting {
            api.leave_out(&[settings::STOCK_WAITING].into());
        }
        if !settings.stock_details {
            api.leave_out(&settings::STOCK_DETAILS.into_iter().collect());
        }
        if !settings.product_prices {
            api.leave_out(&settings::PRODUCT_PRICES.into_iter().collect());
        }
        if !settings.returns.read {
            api.leave_out(&settings::ORDER_REFUNDS.into_iter().collect());
        }
        let form = Arc::new(returns::Form {
            connection: context.name.as_str().to_owned(),
            zones: settings.zones.clone(),
            quarantine_warehouses: settings.returns.quarantine_warehouses.clone(),
            store_credit_methods: settings.returns.store_credit_methods.clone(),
        });
        let memory = Arc::new(returns::Memory::default());
        let returns = settings
            .returns
            .read
            .then(|| Arc::new(returns::Returns::new(Arc::clone(&api), &settings, Arc::clone(&form), Arc::clone(&memory))));
        let shipments = Arc::new(shipments::Shipments::new(Arc::clone(&api), settings.shipments));
        let statements = statements::Statements::new(
            Arc::clone(&api),
            Arc::clone(&session),
            &settings,
            Arc::clone(&shipments),
            returns.is_some().then(|| Arc::clone(&form)),
        );
        Ok(Connection {
            shipment_source: Some(shipments.clone()),
            shipment_sink: Some(shipments),
            order_source: Some(Arc::new(OrderSource::new(Arc::clone(&api), &settings, returns.is_some().then_some(form)))),
            return_source: returns.clone().map(|returns| returns as _),
            return_sink: returns.map(|returns| returns as _),
            product_source: Some(Arc::new(products::ProductSource::new(Arc::clone(&api), &settings))),
            feed: settings.events.then(|| Arc::new(EventFeed::new(Arc::clone(&api), &settings, memory)) as _),
            hooks: Some(Arc::new(WebhookReceiver::new(&settings))),
            values: Some(Arc::new(values::OrderValues::new(Arc::clone(&api), &settings))),
            stock_source: Some(Arc::new(stock::Source::new(Arc::clone(&api), &settings))),
            stock_sink: Some(Arc::new(stock::Sink::new(Arc::clone(&api), &settings))),
            statements: Some(Arc::new(statements)),
            probe: Some(Arc::new(CentraProbe::new(api, settings))),
            ..Connection::empty("centra", session)
        })
    }
}
