//! What orders can be made of.

use super::*;

#[tokio::test]
async fn what_can_be_sent_is_listed_and_is_what_orders_carry() {
    let shop = Shop::quiet(Source::Generated { orders: 40 }).await;
    let data = shop
        .data("{ shippingOptions(limit: 200) { id name status markets { id } } taxGroups { rules { rate countries { code } } } markets { id assignedToCountries { code } } }")
        .await;
    let listed = |path: &str| data[path].as_array().unwrap().clone();
    let mut rates = std::collections::BTreeSet::new();
    for rule in data["taxGroups"][0]["rules"].as_array().unwrap() {
        rates.insert((rule["countries"][0]["code"].to_string(), rule["rate"].to_string()));
    }
    let orders = shop
        .data("{ orders(limit: 200) { ... on DirectToConsumerOrder { market { id } shippingAddress { country { code } } shippingPriceGroup { shippingOption { id name } } lines { ... on ProductOrderLine { appliedTaxRules { rule { taxPercent } } } } } } }")
        .await;
    let orders = orders["orders"].as_array().unwrap();
    assert!(orders.len() > 20);
    for order in orders {
        let option = &order["shippingPriceGroup"]["shippingOption"];
        let known = listed("shippingOptions").into_iter().find(|known| known["id"] == option["id"]).unwrap();
        assert_eq!((&known["name"], &known["status"]), (&option["name"], &json!("ACTIVE")));
        let market = &order["market"];
        assert!(known["markets"].as_array().unwrap().contains(market), "{known} {market}");
        let country = &order["shippingAddress"]["country"]["code"];
        for line in order["lines"].as_array().unwrap() {
            for tax in line["appliedTaxRules"].as_array().into_iter().flatten() {
                let rate = (country.to_string(), tax["rule"]["taxPercent"].to_string());
                assert!(rates.contains(&rate), "{rate:?}");
            }
        }
    }
    let page = shop.data("{ shippingOptions(limit: 1, page: 2) { id } taxGroups(page: 2) { id } }").await;
    assert_eq!((page["shippingOptions"].as_array().unwrap().len(), page["taxGroups"].as_array().unwrap().len()), (1, 0));
}
