//! Whether other programs take the events that they are told.

use schemars::JsonSchema;
use selvedge_flow::WebhookSetup;
use selvedge_model::{Brand, feed::Stream};
use selvedge_store::{Result, Store, webhooks::WebhookRow};
use serde::Serialize;

/// One webhook.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct WebhookView {
    /// By its name in the config.
    pub webhook: String,
    /// Which events it is told.
    pub events: Vec<String>,
    /// Where it stands; none until it was begun.
    pub standing: Option<WebhookRow>,
    /// Events behind its place, of all types of its streams; counted up to 10,000 each.
    pub waiting: u64,
}

/// All that are configured, by name.
///
/// # Errors
/// The store's.
pub async fn webhooks(store: &Store, brand: &Brand, setups: &[WebhookSetup]) -> Result<Vec<WebhookView>> {
    let brand = brand.clone();
    let told = |one: &WebhookSetup| (one.name.clone(), one.events.iter().map(ToString::to_string).collect(), one.streams());
    let known: Vec<(String, Vec<String>, Vec<Stream>)> = setups.iter().map(told).collect();
    store
        .read(move |view| {
            let one = |(webhook, events, streams): (String, Vec<String>, Vec<Stream>)| {
                let standing = view.webhook(&brand, &webhook)?;
                let places = standing.iter().flat_map(|row| row.places.values()).filter(|place| streams.contains(&place.stream));
                let waiting = places.map(|place| view.feed_waiting(&brand, *place)).sum::<Result<u64>>()?;
                Ok(WebhookView { webhook, events, standing, waiting })
            };
            known.into_iter().map(one).collect()
        })
        .await
}
