//! What orders out of an instance can carry: its markets, shipping options, currencies, tax rules and sizes.
//!
//! Payment methods are told by no list that is documented: an order names one by its uri, and whether the uri of a payment
//! plugin is the same word is written nowhere.

use std::sync::Arc;

use async_trait::async_trait;
use rust_decimal::Decimal;
use selvedge_connector::{Cursor, Fault, Priority, SourceValues, ValuesPage};
use selvedge_model::{
    Currency, Sku,
    gate::preflight::{SourceValue, ValueList},
    records::Named,
};
use serde_json::{Value, json};

use super::{
    graphql::Api,
    operations::{self, Operation},
    settings::Settings,
    wire::id_text,
};

/// The most rows that Centra gives of a list.
const PAGE: usize = 200;
/// The lists that it tells.
const LISTS: [ValueList; 5] =
    [ValueList::Markets, ValueList::ShippingMethods, ValueList::Currencies, ValueList::Taxes, ValueList::Skus];
/// Up to this, a rate can be a share or a percentage, and nothing says which.
const DOUBTFUL_RATE: Decimal = Decimal::ONE;

/// The port.
#[derive(Debug)]
pub struct OrderValues {
    api: Arc<Api>,
    /// The markets whose orders are read; all if none is named.
    markets: Vec<u32>,
}

impl OrderValues {
    /// For one instance.
    pub fn new(api: Arc<Api>, settings: &Settings) -> Self {
        Self { api, markets: settings.markets.clone() }
    }

    fn reads(&self, market: &str) -> bool {
        self.markets.is_empty() || self.markets.iter().any(|known| known.to_string() == market)
    }
}

/// The operation that asks for a list, the field of its answer, and whether it comes in pages.
fn asked(list: ValueList) -> Option<(&'static Operation, &'static str, bool)> {
    Some(match list {
        ValueList::Markets => (&operations::MARKET_VALUES, "markets", false),
        ValueList::ShippingMethods => (&operations::SHIPPING_VALUES, "shippingOptions", true),
        ValueList::Currencies => (&operations::CURRENCY_VALUES, "pricelists", false),
        ValueList::Taxes => (&operations::TAX_VALUES, "taxGroups", true),
        ValueList::Skus => (&operations::SIZE_VALUES, "productSizes", true),
        ValueList::PaymentMethods => return None,
    })
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned)
}

fn rows(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn countries(row: &Value, field: &str) -> Vec<String> {
    rows(&row[field]).filter_map(|country| text(&country["code"])).map(|code| code.to_ascii_uppercase()).collect()
}

/// Whether something may be used; what does not say so may.
fn active(row: &Value) -> bool {
    row["status"].as_str().is_none_or(|status| status == "ACTIVE")
}

/// The values of one row. A row without what makes it a value is left out: orders that carry it all the same are looked at anyway.
fn values(list: ValueList, row: &Value, reads: &dyn Fn(&str) -> bool) -> Result<Vec<SourceValue>, String> {
    let one = |value: Option<SourceValue>| Ok(value.into_iter().collect());
    if !active(row) {
        return Ok(Vec::new());
    }
    match list {
        ValueList::Markets => one(id_text(&row["id"]).filter(|id| reads(id)).map(|id| SourceValue::Market {
            market: Named { id, name: text(&row["name"]).unwrap_or_default() },
            countries: countries(row, "assignedToCountries"),
        })),
        ValueList::ShippingMethods => {
            let markets: Vec<String> =
                rows(&row["markets"]).filter_map(|market| id_text(&market["id"])).filter(|id| reads(id)).collect();
            // Offered in no market that is read: no order of ours has it.
            one(id_text(&row["id"]).filter(|_| !markets.is_empty()).map(|id| SourceValue::ShippingMethod {
                method: Named { id, name: text(&row["name"]).unwrap_or_default() },
                markets,
            }))
        }
        ValueList::Currencies => {
            let code = text(&row["currency"]["code"]);
            one(code
                .and_then(|code| Currency::from_code(&code))
                .map(|currency| SourceValue::Currency { currency, countries: countries(row, "assignedToCountries") }))
        }
        ValueList::Taxes => {
            let mut taxes = Vec::new();
            for rule in rows(&row["rules"]) {
                // The text of the number, so that no binary fraction comes between.
                let rate = Some(&rule["rate"]).filter(|rate| rate.is_number()).map(ToString::to_string);
                let rate = rate.and_then(|rate| rate.parse::<Decimal>().or_else(|_| Decimal::from_scientific(&rate)).ok());
                let Some(rate) = rate else { continue };
                if rate > Decimal::ZERO && rate <= DOUBTFUL_RATE {
                    return Err(format!(
                        "the tax rate {rate} may be a share or a percentage, and Centra does not document which"
                    ));
                }
                taxes.extend(countries(rule, "countries").into_iter().map(|country| SourceValue::Tax { country, rate }));
            }
            Ok(taxes)
        }
        ValueList::Skus => {
            let sold = row["isActive"].as_bool().unwrap_or(true);
            one(text(&row["SKU"]).filter(|_| sold).map(|sku| SourceValue::Sku(Sku::new(sku))))
        }
        ValueList::PaymentMethods => Ok(Vec::new()),
    }
}

#[async_trait]
impl SourceValues for OrderValues {
    fn lists(&self) -> &'static [ValueList] {
        &LISTS
    }

    async fn values(&self, list: ValueList, page: Option<&Cursor>) -> Result<ValuesPage, Fault> {
        let what = format!("list the {} that orders can carry", list.words());
        let unexpected = |detail: String| Fault::Unexpected { what: what.clone(), detail };
        let (operation, field, paged) = asked(list).ok_or_else(|| unexpected("Centra has no such list".to_owned()))?;
        let number = match page {
            None => 1,
            Some(Cursor(text)) => text.parse::<usize>().map_err(|_| unexpected("the cursor is not one of ours".to_owned()))?,
        };
        let variables = if paged { json!({ "limit": PAGE, "page": number }) } else { json!({}) };
        let answer: Value = self.api.ask(operation, variables, &what, Priority::Sweeps).await?.read()?;
        let Some(found) = answer[field].as_array() else {
            return Err(unexpected(format!("{field} is no list")));
        };
        let mut read = Vec::new();
        for row in found {
            read.extend(values(list, row, &|market| self.reads(market)).map_err(&unexpected)?);
        }
        let full = paged && found.len() >= PAGE;
        Ok(ValuesPage { values: read, next: full.then(|| Cursor(number.saturating_add(1).to_string())) })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(list: ValueList, row: Value) -> Result<Vec<SourceValue>, String> {
        values(list, &row, &|market| market != "9")
    }

    #[test]
    fn rows_become_values() {
        let named = |id: &str, name: &str| Named { id: id.into(), name: name.into() };
        let market = json!({"id": 2, "name": "Europe", "assignedToCountries": [{"code": "de"}, {"code": "FR"}, {"code": null}]});
        let expected = SourceValue::Market { market: named("2", "Europe"), countries: vec!["DE".into(), "FR".into()] };
        assert_eq!(of(ValueList::Markets, market), Ok(vec![expected]));
        assert_eq!(of(ValueList::Markets, json!({"id": 9, "name": "Not read", "assignedToCountries": []})), Ok(vec![]));
        let option = json!({"id": 7, "name": "Express", "status": "ACTIVE", "markets": [{"id": 1}, {"id": 9}]});
        let expected = SourceValue::ShippingMethod { method: named("7", "Express"), markets: vec!["1".into()] };
        assert_eq!(of(ValueList::ShippingMethods, option.clone()), Ok(vec![expected]));
        for (field, value) in [("status", json!("INACTIVE")), ("markets", json!([{"id": 9}])), ("markets", json!([]))] {
            let mut option = option.clone();
            option[field] = value;
            assert_eq!(of(ValueList::ShippingMethods, option), Ok(vec![]), "{field}");
        }
        let list = json!({"id": 1, "status": "ACTIVE", "currency": {"code": "SEK"}, "assignedToCountries": [{"code": "SE"}]});
        let sek = Currency::from_code("SEK").unwrap();
        assert_eq!(
            of(ValueList::Currencies, list),
            Ok(vec![SourceValue::Currency { currency: sek, countries: vec!["SE".into()] }])
        );
        let size = |sku: Value, active: bool| of(ValueList::Skus, json!({"id": 1, "SKU": sku, "isActive": active}));
        assert_eq!(size(json!(" A-1 "), true), Ok(vec![SourceValue::Sku(Sku::new("A-1"))]));
        for (sku, active) in [(json!("A"), false), (json!(null), true), (json!(""), true)] {
            assert_eq!(size(sku, active), Ok(vec![]));
        }
    }

    #[test]
    fn a_rate_is_exact_and_one_that_may_mean_two_things_is_refused() {
        let group = |rates: &str| {
            let rules: Value = serde_json::from_str(rates).unwrap();
            of(ValueList::Taxes, json!({"id": 1, "status": "ACTIVE", "rules": rules}))
        };
        let tax = |country: &str, rate: &str| SourceValue::Tax { country: country.into(), rate: rate.parse().unwrap() };
        let found = group(
            r#"[{"rate": 25, "countries": [{"code": "SE"}]}, {"rate": 8.875, "countries": [{"code": "US"}]}, {"rate": 0, "countries": [{"code": "NO"}]}]"#,
        );
        assert_eq!(found, Ok(vec![tax("SE", "25"), tax("US", "8.875"), tax("NO", "0")]));
        assert!(group(r#"[{"rate": 0.25, "countries": [{"code": "SE"}]}]"#).unwrap_err().contains("0.25"));
        assert_eq!(group(r#"[{"rate": "25", "countries": [{"code": "SE"}]}, {"countries": []}]"#), Ok(vec![]));
    }

    /// Everything that a stand-in's instance tells, by list.
    async fn told(withheld: &[&str]) -> (Arc<selvedge_sim::data::Catalogue>, Vec<(ValueList, Result<Vec<SourceValue>, Fault>)>) {
        use selvedge_connector::{Connector, OpenContext, Secret, Secrets, clock::ManualClock};
        use selvedge_sim::{
            centra::{Centra as StandIn, Options},
            data::{Catalogue, Source},
            mischief::{Mischief, Profile},
            wire,
        };
        let catalogue = Arc::new(Catalogue::open(7, &Source::Generated { orders: 0 }).unwrap());
        let options =
            Options { withheld_permissions: withheld.iter().map(|name| (*name).to_owned()).collect(), ..Options::default() };
        let instance =
            StandIn::open(7, "test", Arc::clone(&catalogue), Mischief::new(7, Profile::None, "centra"), options, None).unwrap();
        let server = wire::serve(instance.router()).await.unwrap();
        let mut secrets = Secrets::default();
        secrets.set("token", Secret::new(instance.token()));
        let settings = json!({ "base_url": server.url(), "time_zone": "Europe/Stockholm" });
        let name = selvedge_model::ConnectionName::new("shop");
        let clock = Arc::new(ManualClock::at("2026-02-03T09:00:00Z".parse().unwrap()));
        let context = OpenContext {
            name: &name,
            settings: &settings,
            secrets: &secrets,
            clock,
            read_only: false,
            reach: selvedge_connector::Reach::ANYWHERE,
        };
        let shop = super::super::Centra.open(&context).unwrap_or_else(|wrong| panic!("{wrong:?}"));
        let port = shop.values.unwrap();
        let mut all = Vec::new();
        for list in port.lists() {
            let (mut values, mut cursor) = (Vec::new(), None);
            let read = loop {
                match port.values(*list, cursor.as_ref()).await {
                    Err(fault) => break Err(fault),
                    Ok(page) => {
                        values.extend(page.values);
                        cursor = page.next;
                    }
                }
                if cursor.is_none() {
                    break Ok(values);
                }
            };
            all.push((*list, read));
        }
        (catalogue, all)
    }

    #[tokio::test]
    async fn an_instance_tells_all_that_its_orders_can_carry() {
        let (catalogue, all) = told(&[]).await;
        let mut sendable = selvedge_model::gate::preflight::Sendable::default();
        for (list, read) in all {
            read.unwrap_or_else(|fault| panic!("{list:?}: {fault}")).into_iter().for_each(|value| sendable.add(value));
        }
        assert_eq!(sendable.markets.len(), catalogue.markets().len());
        assert_eq!(
            sendable.skus.len(),
            catalogue.items().iter().map(|item| &item.sku).collect::<std::collections::BTreeSet<_>>().len()
        );
        for market in catalogue.markets() {
            let id = market.id.to_string();
            assert_eq!(sendable.markets[&id].name, market.name);
            assert!(market.countries.iter().all(|country| sendable.markets[&id].countries.contains(*country)));
            assert!(sendable.currencies.contains_key(market.currency.code));
            for method in &market.methods {
                assert!(sendable.methods[&(method.id.to_string(), method.name.to_owned())].contains(&id));
            }
        }
        let taxes = catalogue.reference("UTC").taxes;
        assert_eq!(sendable.taxes.len(), taxes.len());
        for (country, rate) in taxes {
            assert!(sendable.taxes.contains(&(country.clone(), rate.parse().unwrap())), "{country} {rate}");
        }
        assert!(sendable.probes("2026-02-03T09:00:00Z".parse().unwrap()).len() > catalogue.markets().len());
    }

    #[tokio::test]
    async fn a_list_that_the_token_may_not_see_costs_no_other() {
        let (_, all) = told(&["ShippingOption:read", "TaxRule:read"]).await;
        for (list, read) in all {
            match list {
                ValueList::ShippingMethods | ValueList::Taxes => {
                    assert!(matches!(read, Err(Fault::Unauthorized { .. })), "{list:?}: {read:?}");
                }
                _ => assert!(read.is_ok_and(|values| !values.is_empty()), "{list:?}"),
            }
        }
    }

    proptest! {
        #[test]
        fn nothing_odd_panics(text in ".{0,40}", number in any::<f64>(), list in 0..6_usize) {
            let odd = [json!(text), json!(number), json!(null), json!([[text]]), json!({"id": text, "rules": [{"rate": number, "countries": text}], "markets": {"id": 1}})];
            for row in odd {
                let _ = of(ValueList::ALL[list], row);
            }
        }
    }
}
