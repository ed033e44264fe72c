//! Whether other programs take the events that they are told.

use schemars::JsonSchema;
use selvedge_flow::WebhookSetup;
use selvedge_model::Brand;
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
    let known: Vec<(String, Vec<String>)> =
        setups.iter().map(|one| (one.name.clone(), one.events.iter().map(ToString::to_string).collect())).collect();
    store
        .read(move |view| {
            let one = |(webhook, events): (String, Vec<String>)| {
                let standing = view.webhook(&brand, &webhook)?;
                let places = standing.iter().flat_map(|row| &row.places);
                let waiting = places.map(|(stream, place)| view.feed_waiting(&brand, *stream, *place)).sum::<Result<u64>>()?;
                Ok(WebhookView { webhook, events, standing, waiting })
            };
            known.into_iter().map(one).collect()
        })
        .await
}
