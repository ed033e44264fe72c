//! The config that `init` writes: commented, and right as soon as the blanks are filled in.

use std::fmt::Write;

use reqwest::Url;
use selvedge_connector::{Reach, Refusal};

/// What a person answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answers {
    /// The brand.
    pub brand: String,
    /// The shop.
    pub shop: Shop,
    /// The ERP.
    pub erp: Erp,
}

/// A Centra instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shop {
    /// Its address.
    pub base_url: String,
    /// Its own time zone.
    pub time_zone: String,
    /// Whether webhooks are configured there.
    pub webhooks: bool,
}

/// A NetSuite account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Erp {
    /// The account id.
    pub account: String,
    /// Where it answers, if not at the usual address.
    pub base_url: Option<String>,
    /// How we prove who we are.
    pub auth: Auth,
    /// Whether the account has subsidiaries.
    pub one_world: bool,
}

/// How we prove who we are to NetSuite.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Auth {
    OAuth2 { client_id: String, certificate_id: String, private_key_file: String },
    OAuth1 { consumer_key: String, token_id: String },
}

/// The environment variables of the secrets.
pub const CENTRA_TOKEN: &str = "CENTRA_TOKEN";
/// The endpoint secret of the shop's webhooks.
pub const CENTRA_WEBHOOK_SECRET: &str = "CENTRA_WEBHOOK_SECRET";
/// OAuth 1.0a.
pub const NETSUITE_CONSUMER_SECRET: &str = "NETSUITE_CONSUMER_SECRET";
/// OAuth 1.0a.
pub const NETSUITE_TOKEN_SECRET: &str = "NETSUITE_TOKEN_SECRET";

impl Default for Answers {
    /// Blanks that show what belongs there.
    fn default() -> Self {
        Self {
            brand: "mybrand".to_owned(),
            shop: Shop {
                base_url: "https://mybrand.centra.com".to_owned(),
                time_zone: "Europe/Stockholm".to_owned(),
                webhooks: false,
            },
            erp: Erp {
                account: "1234567_SB1".to_owned(),
                base_url: None,
                auth: Auth::OAuth2 {
                    client_id: "CLIENT-ID".to_owned(),
                    certificate_id: "CERTIFICATE-ID".to_owned(),
                    private_key_file: "netsuite.pem".to_owned(),
                },
                one_world: true,
            },
        }
    }
}

impl Answers {
    /// The environment variables that the config asks for.
    pub fn variables(&self) -> Vec<&'static str> {
        let mut names = vec![CENTRA_TOKEN];
        if self.shop.webhooks {
            names.push(CENTRA_WEBHOOK_SECRET);
        }
        if matches!(self.erp.auth, Auth::OAuth1 { .. }) {
            names.extend([NETSUITE_CONSUMER_SECRET, NETSUITE_TOKEN_SECRET]);
        }
        names
    }
}

/// A TOML text in quotes, whatever is in it.
fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

/// The config.
pub fn render(answers: &Answers) -> String {
    let Answers { brand, shop, erp } = answers;
    let mut text = String::new();
    let mut line = |piece: std::fmt::Arguments<'_>| {
        // Writing to a text does not fail.
        let _ = writeln!(text, "{piece}");
    };
    line(format_args!(
        "# Selvedge: one file a brand. Everything that can be set: selvedge config schema
# Secrets never stand here. Each is {{ env = \"NAME\" }} (the environment, or the file .env beside this one),
# {{ file = \"PATH\" }} (relative to this file) or {{ stored = \"NAME\" }} (selvedge secrets set NAME).
# Then: selvedge check, selvedge mappings import FILE, selvedge run.

# Every row in the store belongs to the brand; do not rename it later.
brand = {brand}

[store]
url = \"sqlite://selvedge.db\"       # beside this file
# key_file = \"selvedge.key\"        # seals stored secrets; make one with selvedge secrets new-key

[server]
listen = \"127.0.0.1:7700\"          # plain HTTP: beyond this machine, put a reverse proxy with TLS before it
# hosts = [\"selvedge.example.com\"] # names under which a reverse proxy asks for the page

# ---- the shop -------------------------------------------------------------------------------

[connections.shop]
system = \"centra\"
base_url = {base_url}               # calls go to /graphql below it{private}
token = {{ env = \"{CENTRA_TOKEN}\" }}       # AMS: System > API Tokens; permissions: see docs/systems/centra.md
time_zone = {time_zone}             # the instance's own; some of its times carry no offset",
        brand = quoted(brand),
        base_url = quoted(&shop.base_url),
        private = if reach_of(&shop.base_url).allow_private {
            "\nallow_private = true             # it is on this machine or in a private network"
        } else {
            ""
        },
        time_zone = quoted(&shop.time_zone),
    ));
    line(format_args!(
        "{}webhook_secret = {{ env = \"{CENTRA_WEBHOOK_SECRET}\" }}  # of the Webhook plugin that posts to /webhooks/shop
# events = true                    # read the queue of events; Centra has to enable it for the instance
# concurrency = 2                  # calls at once; the limits are shared with every other integration",
        if shop.webhooks { "" } else { "# " }
    ));
    line(format_args!(
        "
# ---- the ERP --------------------------------------------------------------------------------

[connections.erp]
system = \"netsuite\"
account = {account}",
        account = quoted(&erp.account)
    ));
    match &erp.base_url {
        Some(base_url) => {
            line(format_args!("base_url = {}", quoted(base_url)));
            if reach_of(base_url).allow_private {
                line(format_args!("allow_private = true             # it is on this machine or in a private network"));
            }
        }
        None => line(format_args!(
            "# base_url = \"https://1234567-sb1.suitetalk.api.netsuite.com\"  # the default follows from the account"
        )),
    }
    line(format_args!(
        "one_world = {one_world}                   # whether the account has subsidiaries
# concurrency = 2                  # calls at once; the account's limit is shared with every other integration
# document = \"sales_order\"         # or cash_sale
# customers = \"shopper\"            # one customer per shopper and market; or guest, one for all
# tax = \"suitetax\"                 # or legacy, or none; selvedge check says which one the account has

[connections.erp.auth]",
        one_world = erp.one_world
    ));
    match &erp.auth {
        Auth::OAuth2 { client_id, certificate_id, private_key_file } => line(format_args!(
            "method = \"oauth2\"                  # client credentials with a certificate
client_id = {}
certificate_id = {}
private_key = {{ file = {} }}",
            quoted(client_id),
            quoted(certificate_id),
            quoted(private_key_file)
        )),
        Auth::OAuth1 { consumer_key, token_id } => line(format_args!(
            "method = \"oauth1\"                  # token-based; the vendor takes no new integrations of this kind from 2027.1
consumer_key = {}
consumer_secret = {{ env = \"{NETSUITE_CONSUMER_SECRET}\" }}
token_id = {}
token_secret = {{ env = \"{NETSUITE_TOKEN_SECRET}\" }}",
            quoted(consumer_key),
            quoted(token_id)
        )),
    }
    line(format_args!("{WAREHOUSES}"));
    line(format_args!(
        "
# ---- what flows -----------------------------------------------------------------------------

[flows.orders]                     # customers follow their orders by themselves
kind = \"order\"
from = \"shop\"
to = \"erp\"
# mode = \"shadow\"                 # compare with what stands there and write nothing; or off. See docs/going-live.md

[flows.orders.policy]
unpaid = true                      # false: an order needs a successful authorisation or capture
pending = false                    # true: orders that the shop has not confirmed may pass
currencies = []                    # [\"SEK\", \"EUR\"]; empty: all
address_fields = [\"line1\", \"city\"] # besides the country
totals_tolerance_minor = 0         # in minor units, such as cents

[flows.orders.capture]
since = \"7d\"                       # nothing older is captured, counted from the first start
# feed = \"5s\"                      # how often the queue of news is read; \"off\": never
# poll = \"15m\"                     # how often changes are listed
# sweep = \"24h\"                    # how often everything of the last sweep_back is counted
# sweep_back = \"3d\""
    ));
    text
}

/// Samples of what may be added; each line begins with two marks, as a block is wanted whole or not at all.
const WAREHOUSES: &str = "
# ---- warehouses (take away the marks of a block that is wanted; more in docs/systems/) -------

## [connections.depot]
## system = \"linnworks\"
## application_id = { env = \"LINNWORKS_APPLICATION_ID\" }
## application_secret = { env = \"LINNWORKS_APPLICATION_SECRET\" }
## token = { env = \"LINNWORKS_TOKEN\" }
## location = \"Default\"             # orders are placed at this location

## [connections.depot]
## system = \"veeqo\"
## api_key = { env = \"VEEQO_API_KEY\" }
## channel_id = 501                 # the store of type direct; GET /channels lists it

## [connections.depot]
## system = \"threepl\"             # a warehouse that exchanges files over SFTP
## host = \"sftp.example.com\"       # a public address; allow_private = true where another is meant
## user = \"mybrand\"
## password = { env = \"DEPOT_PASSWORD\" } # or private_key = { file = \"depot.key\" }
## host_key = \"SHA256:...\"          # ssh-keyscan HOST | ssh-keygen -lf -; ask the partner whether it is theirs
## format = \"csv\"                 # or x12, with x12.sender and x12.receiver

## [flows.picks]                    # orders to be picked
## kind = \"order\"
## from = \"shop\"
## to = \"depot\"

## [flows.shipments]                # what left
## kind = \"shipment\"
## from = \"depot\"
## to = \"shop\"

# ---- returns (take away the marks; more in docs/returns.md) ----------------------------------

## [flows.returns]                  # goods that come back
## kind = \"return\"
## from = \"shop\"
## to = \"erp\"

## [flows.credits]                  # what is given back in money, line by line
## kind = \"credit_note\"
## from = \"shop\"
## to = \"erp\"

## [flows.credits.credits]
## link = \"never\"                  # oldest_first: a credit that names no sale is linked to what its buyer bought
## amounts = \"as_sold\"             # as_stated: at the prices and the tax of its source
## patience = \"15m\"                # how long it waits for a sale that nobody has told of yet

## [flows.refunds]                  # the transactions by which money went back
## kind = \"refund\"
## from = \"shop\"
## to = \"erp\"

## [returns]                        # how long one half may be without the other
## goods_within = \"21d\"
## money_within = \"5d\"
## refund_within = \"5d\"";

/// What `.env` begins with.
pub const DOTENV_HEAD: &str = "# Secrets for selvedge. Keep this file out of version control; only its owner may read it.\n";

/// Where calls to an address may go: into a private network only when it says so itself.
pub fn reach_of(address: &str) -> Reach {
    let private = Url::parse(address).is_ok_and(|url| matches!(Reach::PUBLIC.permits(&url), Err(Refusal::Private(_))));
    Reach { allow_private: private, allow_http: false }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn what_init_writes_reads_without_a_mistake() {
        let oauth1 = Answers {
            brand: "nordvik-2".to_owned(),
            shop: Shop { webhooks: true, ..Answers::default().shop },
            erp: Erp {
                base_url: Some("http://127.0.0.1:1".to_owned()),
                auth: Auth::OAuth1 { consumer_key: "a\"b\\c\n".to_owned(), token_id: "t".to_owned() },
                ..Answers::default().erp
            },
        };
        for answers in [Answers::default(), oauth1] {
            let text = render(&answers);
            let (config, problems) = crate::config::read_text(Path::new("selvedge.toml"), &text);
            assert!(problems.is_empty(), "{problems:#?}\n{text}");
            assert_eq!(config.brand.as_str(), answers.brand);
            assert_eq!(config.flows.len(), 1);
            let shop = &config.connections[&"shop".into()];
            assert_eq!(shop.references.contains_key("webhook_secret"), answers.shop.webhooks);
        }
    }

    #[test]
    fn each_warehouse_that_is_offered_reads_without_a_mistake() {
        let text = render(&Answers::default());
        let blocks: Vec<String> = text
            .split("\n\n")
            .filter(|block| block.starts_with("## ["))
            .map(|block| block.lines().map(|line| format!("{}\n", line.trim_start_matches("## "))).collect())
            .collect();
        let (warehouses, flows): (Vec<&String>, Vec<&String>) = blocks.iter().partition(|block| block.contains("system ="));
        assert_eq!((warehouses.len(), flows.len()), (3, 7));
        let (config, problems) = crate::config::read_text(
            Path::new("selvedge.toml"),
            &flows[2..].iter().fold(text.clone(), |text, one| text + "\n" + one),
        );
        assert!(problems.is_empty(), "{problems:#?}");
        assert_eq!(config.flows.len(), 4);
        assert_eq!(config.flows[&"credits".into()].credits, crate::config::credits::CreditSettings::default());
        assert_eq!(config.returns, crate::config::returns::ReturnSettings::default());
        for warehouse in warehouses {
            let text = format!("{text}\n{warehouse}\n{}\n{}", flows[0], flows[1]);
            let (config, problems) = crate::config::read_text(Path::new("selvedge.toml"), &text);
            assert!(problems.is_empty(), "{problems:#?}\n{text}");
            assert_eq!(config.flows.len(), 3);
            let depot = &config.connections[&"depot".into()];
            let known = depot.connector.settings();
            let settings = depot.settings.as_object().unwrap();
            assert!(settings.keys().all(|name| known.keys().any(|path| path.split('.').next() == Some(name))), "{settings:?}");
        }
    }

    #[test]
    fn what_is_commented_out_reads_too() {
        // Every commented setting, put in: a template that misleads is worse than none.
        let text: String = render(&Answers::default())
            .lines()
            .map(|line| match line.strip_prefix("# ") {
                Some(rest)
                    if rest
                        .split_once(" = ")
                        .is_some_and(|(name, _)| name.chars().all(|c| c.is_ascii_lowercase() || c == '_')) =>
                {
                    rest.to_owned() + "\n"
                }
                _ => line.to_owned() + "\n",
            })
            .collect();
        let (config, problems) = crate::config::read_text(Path::new("selvedge.toml"), &text);
        assert!(problems.is_empty(), "{problems:#?}\n{text}");
        assert!(config.key_file.is_some() && !config.hosts.is_empty());
        assert!(config.connections[&"shop".into()].settings.get("events").is_some());
    }
}
