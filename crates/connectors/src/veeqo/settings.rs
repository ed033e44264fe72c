//! The settings of a Veeqo connection.

use std::time::Duration;

use selvedge_connector::{
    OpenContext, Secret, SettingProblem,
    settings::{Explained, Reader},
};
use selvedge_model::{Currency, records::Disposition};

/// Path and explanation of every setting.
pub(super) const SETTINGS: Explained = &[
    ("base_url", "The API's address. Default: \"https://api.veeqo.com\""),
    ("api_key", "Required, secret. The API key of the account's user"),
    ("channel_id", "Required. The id of the store (of type direct) that our orders are entered under"),
    (
        "payment_type",
        "What the payment of an order is entered as: an order without payment is never allocated. Default: \"credit_card\"",
    ),
    (
        "returned_goods",
        "What becomes of goods that came back, as Veeqo does not tell it: \"restock\", \"quarantine\" or \"write_off\". Default: \"quarantine\"",
    ),
    (
        "weight_bands",
        "Limits in grams that part shipping services, e.g. [500, 2000]: keys of the table shipping_service then name a band such as weight=0-500. Default: none, weight=any",
    ),
    (
        "price_list",
        "The id of the price list whose prices products are given there. Default: none; new products then cost nothing there, and prices are left alone",
    ),
    ("price_currency", "The currency of these prices, as EUR: the account keeps numbers only. Required with price_list"),
    (
        "stock_changes",
        "How changed stock is asked for: \"whole\" reads everything each time, as it is not documented whether stock moves a product's last change; \"products\" reads the products that changed, for accounts where it was seen to. Default: \"whole\"",
    ),
    (
        "commit_lag_seconds",
        "How long after it was entered an order's units may still be missing from the stock figures, in seconds, 0 to 3600. Default: 30",
    ),
    ("page_size", "Rows per page, 1 to 100. Default: 100"),
    ("concurrency", "Calls under way at once, 1 to 16. Default: 4"),
    ("timeout_seconds", "How long one call may take, in seconds, 1 to 300. Default: 30"),
];

/// Settings that must not stand in the config as plain text.
pub(super) const SECRETS: &[&str] = &["api_key"];

/// How orders are written and told apart.
#[derive(Clone, Debug)]
pub(super) struct Form {
    pub channel_id: u64,
    pub payment_type: String,
    pub weight_bands: Vec<u64>,
    /// The connection's name: part of the key of its shipments.
    pub connection: String,
    /// The price list whose prices products are given, and their currency.
    pub prices: Option<(String, Currency)>,
    /// What becomes of goods that came back.
    pub returned_goods: Disposition,
}

/// How stock is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct StockSettings {
    /// Whether only products that changed are asked for what changed.
    pub by_product: bool,
    pub commit_lag: Duration,
}

/// The settings of one connection.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub base_url: String,
    pub api_key: Secret,
    pub form: Form,
    pub stock: StockSettings,
    pub page_size: u64,
    pub concurrency: usize,
    pub timeout: Duration,
}

/// The payment types that the vendor knows.
const PAYMENT_TYPES: [&str; 9] =
    ["cash", "credit_card", "bank_transfer", "paypal", "paypal_express", "sagepay", "checkmo", "online_finance", "none"];

impl Settings {
    pub fn read(context: &OpenContext<'_>) -> Result<Settings, Vec<SettingProblem>> {
        let mut reader = Reader::new(context, SETTINGS);
        let base_url = reader.address("base_url", Some("https://api.veeqo.com"));
        let api_key = reader.secret("api_key");
        if reader.get("channel_id").is_none() {
            reader.wrong("channel_id", "is missing", "Write the id of the store: GET /channels?type_code=direct lists them.");
        }
        let channel_id = reader.number("channel_id", 0, 1..=u64::MAX);
        let payment_type = reader.text("payment_type").unwrap_or_else(|| "credit_card".to_owned());
        if !PAYMENT_TYPES.contains(&payment_type.as_str()) {
            reader.wrong(
                "payment_type",
                format!("{payment_type:?} is none of Veeqo's"),
                format!("Write one of {}.", PAYMENT_TYPES.join(", ")),
            );
        }
        let weight_bands = reader.rising("weight_bands");
        let prices = prices(&mut reader);
        let dispositions = [Disposition::Quarantine, Disposition::Restock, Disposition::WriteOff].map(|one| (one.word(), one));
        let returned_goods = reader.word("returned_goods", &dispositions).unwrap_or(Disposition::Quarantine);
        let by_product = reader.word("stock_changes", &[("whole", false), ("products", true)]).unwrap_or(false);
        let commit_lag = reader.number("commit_lag_seconds", 30, 0..=3_600);
        let page_size = reader.number("page_size", 100, 1..=100);
        let concurrency = reader.number("concurrency", 4, 1..=16);
        let timeout = reader.number("timeout_seconds", 30, 1..=300);
        let made = match (base_url, api_key) {
            (Some(base_url), Some(api_key)) => Some(Settings {
                base_url,
                api_key,
                form: Form {
                    channel_id,
                    payment_type,
                    weight_bands,
                    connection: context.name.to_string(),
                    prices,
                    returned_goods,
                },
                stock: StockSettings { by_product, commit_lag: Duration::from_secs(commit_lag) },
                page_size,
                concurrency: usize::try_from(concurrency).unwrap_or(4),
                timeout: Duration::from_secs(timeout),
            }),
            _ => None,
        };
        reader.finish(made)
    }
}

fn prices(reader: &mut Reader<'_>) -> Option<(String, Currency)> {
    let (list, code) = (reader.text("price_list"), reader.text("price_currency"));
    match (list, code.as_deref().map(Currency::from_code)) {
        (Some(list), Some(Some(currency))) => Some((list, currency)),
        (Some(_), None) => {
            reader.wrong("price_currency", "is missing", "Write the currency of the price list, as EUR.");
            None
        }
        (_, Some(None)) => {
            reader.wrong("price_currency", "is no currency", "Write its three letters, as EUR.");
            None
        }
        (None, Some(Some(_))) => {
            reader.wrong("price_list", "is missing", "Name the price list that price_currency is for, or remove that.");
            None
        }
        (None, None) => None,
    }
}
