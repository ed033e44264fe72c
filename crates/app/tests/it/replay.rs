//! Replay in a real browser over a running demo: other mappings are tried, then set, then what went otherwise is delivered again.

use fantoccini::Locator;

use crate::{
    barriers::look_over,
    page::{Browser, demo},
};

/// Shipping items change places: both are in the books, so that nothing is refused.
const CSV: &str = "connection,table,key,value
erp,shipping_item,\"market=1,method=PostNord MyPack\",602
erp,shipping_item,\"market=2,method=DHL Express\",601
erp,shipping_item,\"market=2,method=DHL Paket\",602
erp,shipping_item,\"market=3,method=DPD Next Day\",601
erp,shipping_item,\"market=3,method=Royal Mail Tracked 48\",602
";

/// How many records are said to go otherwise.
async fn otherwise(browser: &Browser) -> u64 {
    let says = browser.see("#says").await;
    if says.contains("every one of them the same") {
        return 0;
    }
    let (before, _) = says.split_once(" would go otherwise").unwrap_or_else(|| panic!("{says}"));
    before.rsplit(' ').next().unwrap().parse().unwrap()
}

#[tokio::test]
async fn what_other_mappings_would_do_is_seen_first_and_then_delivered_a_few_first() {
    let (_demo, address) = demo(&["--orders", "30", "--pace", "30"]);
    let browser = Browser::open(true, 1280).await;
    browser.client.goto(&format!("{address}/flows/orders")).await.unwrap();
    browser.wait_for("b[data-n='orders = confirmed']", false, |text| text.parse::<u64>().is_ok_and(|n| n > 20)).await;
    browser.wait_for("b[data-n='orders = in flight']", false, |text| text == "0").await;

    // Tried from the import, before anything is set.
    let base = address.split("/demo/").next().unwrap();
    browser.client.goto(&format!("{base}/mappings/import")).await.unwrap();
    browser.fill("#csv", CSV).await;
    browser.click("section[aria-labelledby=file] button").await;
    browser.see("section[aria-labelledby=foreseen]").await;
    browser.click("form[action='/flows/orders/replay'] button").await;
    let foreseen = otherwise(&browser).await;
    assert!(foreseen > 5, "{foreseen}");
    let fields = browser.see("section[aria-labelledby=result] table").await;
    assert!(fields.contains("shipping_item"), "{fields}");
    look_over(&browser, "replay").await;
    assert!(
        browser.client.find(Locator::Css("form[action$='/redeliver']")).await.is_err(),
        "what is not in force is not delivered"
    );
    browser.client.goto(&format!("{base}/flows/orders/replay?since=7d")).await.unwrap();
    assert_eq!(otherwise(&browser).await, 0, "nothing was set");

    // Set, and delivered again: the few first, then the rest.
    browser.client.goto(&format!("{base}/mappings/import")).await.unwrap();
    browser.fill("#csv", CSV).await;
    browser.click("section[aria-labelledby=file] button").await;
    browser.click("form[action='/mappings/import/apply'] button").await;
    browser.see("p.done").await;
    browser.client.goto(&format!("{base}/flows/orders/replay")).await.unwrap();
    browser.click("section[aria-labelledby=delivered] button").await;
    assert_eq!(otherwise(&browser).await, foreseen);
    browser.click("form[action$='/redeliver'] button").await;
    let done = browser.wait_for("#run", true, |text| text.starts_with("Delivered again")).await;
    assert!(done.contains(&format!("{foreseen} of {foreseen} records read back and equal")), "{done}");
    browser.click("section[aria-labelledby=delivered] button").await;
    assert_eq!(otherwise(&browser).await, 0, "everything is as it was delivered");
    browser.close().await;
}
