//! NetSuite: orders as sales orders or cash sales, shoppers as customers, products as items, shipments as item
//! fulfilments, returns as return authorizations with their receipts, credit notes as credit memos, refunds as customer refunds,
//! over the REST record service; look-ups and stock by SuiteQL.
//!
//! `settings` is what can be configured, `plan` what an order becomes, `encode` and `decode` the two
//! directions (pure), `errors` what an answer means, `auth` and `client` how calls leave, and `orders`,
//! `customers`, `items`, `shipments`, `returns`, `statements`, `lists`, `stock`, `hooks` and `probe` the ports.

mod auth;
mod change;
mod client;
mod customers;
mod decode;
mod encode;
mod errors;
mod hooks;
mod items;
mod lists;
mod orders;
mod plan;
mod probe;
mod returns;
mod settings;
mod shipments;
mod statements;
mod stock;
mod suiteql;
#[cfg(test)]
mod tests;
mod wire;

use std::{collections::BTreeMap, sync::Arc};

use self::statements::Pages;
use selvedge_connector::{Connection, Connector, Limit, MappingTable, OpenContext, Session, SessionConfig, SettingProblem};

/// The largest answer that is read: a page of a thousand rows or a very long order fits many times.
const BODY_BYTES_MAX: usize = 16 * 1024 * 1024;

/// NetSuite.
#[derive(Debug)]
pub struct NetSuite;

impl Connector for NetSuite {
    fn name(&self) -> &'static str {
        "netsuite"
    }

    fn secret_settings(&self) -> &'static [&'static str] {
        settings::SECRETS
    }

    fn mapping_tables(&self) -> &'static [MappingTable] {
        const fn table(name: &'static str, parts: &'static [&'static str]) -> MappingTable {
            MappingTable { name, parts }
        }
        const {
            &[
                table("subsidiary", &["market"]),
                table("location", &["market"]),
                table("currency", &["code"]),
                table("shipping_item", &["market", "method"]),
                table("payment_method", &["method"]),
                table("tax_code", &["country", "rate"]),
                table("item", &["sku"]),
                table("charge_item", &["kind"]),
                table("discount_item", &["kind"]),
                table("guest_customer", &["market", "currency"]),
                table("customer", &["customer"]),
                table("price_level", &["list"]),
                table("warehouse", &["warehouse"]),
                table("return_location", &["warehouse", "disposition"]),
                table("refund_account", &["method"]),
                table("posting_day", &["month"]),
            ]
        }
    }
    fn settings(&self) -> BTreeMap<&'static str, &'static str> {
        settings::SETTINGS.iter().copied().collect()
    }

    fn open(&self, context: &OpenContext<'_>) -> Result<Connection, Vec<SettingProblem>> {
        open(self.name(), context, Pages::default())
    }
}

fn open(name: &'static str, context: &OpenContext<'_>, pages: Pages) -> Result<Connection, Vec<SettingProblem>> {
    let settings = settings::read(context.settings, context.secrets)?;
    let session = Session::new(
        // No budget of calls per time: the platform counts calls at once.
        SessionConfig {
            concurrency_max: settings.concurrency,
            // Its 429 is CONCURRENCY_LIMIT_EXCEEDED.
            limit: Limit::Concurrency,
            timeout: settings.timeout,
            body_bytes_max: BODY_BYTES_MAX,
            read_only: context.read_only,
            reach: context.reach,
            ..SessionConfig::named(context.name.as_str())
        },
        Arc::clone(&context.clock),
    );
    let auth = auth::Auth::new(settings.credentials, &settings.base_url, Arc::clone(&context.clock));
    let client = client::Client::new(Arc::clone(&session), auth, &settings.base_url);
    let orders = Arc::new(orders::Orders { client: client.clone(), form: settings.form.clone() });
    let customers = Arc::new(customers::Customers { client: client.clone(), form: settings.form.clone() });
    let items = Arc::new(items::Items { client: client.clone(), form: settings.form.clone(), settings: settings.items.clone() });
    let shipments = Arc::new(shipments::Shipments {
        client: client.clone(),
        form: settings.form.clone(),
        settings: settings.shipments.clone(),
    });
    let returns =
        Arc::new(returns::Returns { client: client.clone(), form: settings.form.clone(), settings: settings.returns.clone() });
    let statements = statements::Statements::new(
        client.clone(),
        settings.form.clone(),
        settings.returns.clone(),
        settings.statements.clone(),
        pages,
    );
    Ok(Connection {
        return_source: Some(returns.clone()),
        return_sink: Some(returns.clone()),
        credit_note_source: Some(returns.clone()),
        credit_note_sink: Some(returns.clone()),
        refund_source: Some(returns.clone()),
        refund_sink: Some(returns),
        product_source: Some(items.clone()),
        product_sink: Some(items),
        shipment_source: Some(shipments.clone()),
        shipment_sink: Some(shipments),
        order_source: Some(orders.clone()),
        order_sink: Some(orders),
        customer_source: Some(customers.clone()),
        customer_sink: Some(customers),
        hooks: Some(Arc::new(hooks::ScriptReceiver { secret: settings.webhook_secret, tolerance: settings.webhook_tolerance })),
        lists: Some(Arc::new(lists::ValueLists { client: client.clone(), form: settings.form.clone() })),
        stock_source: Some(Arc::new(stock::Stock {
            client: client.clone(),
            settings: settings.stock.clone(),
            zone: settings.form.query_time_zone.clone(),
            clock: Arc::clone(&context.clock),
            pending: Default::default(),
        })),
        statements: Some(Arc::new(statements)),
        probe: Some(Arc::new(probe::AccountProbe {
            client,
            form: settings.form,
            stock: settings.stock,
            items: settings.items,
            shipments: settings.shipments,
            returns: settings.returns,
            clock: Arc::clone(&context.clock),
            concurrency: settings.concurrency,
        })),
        ..Connection::empty(name, session)
    })
}
