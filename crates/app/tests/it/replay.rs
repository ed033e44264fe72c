//! Replay on the page of a flow, in a real browser over a running demo: other mappings tried, then set, then delivered again.

use fantoccini::Locator;

use crate::page::{Browser, demo};

/// Types into a field what it does not hold yet.
async fn fill(browser: &Browser, selector: &str, text: &str) {
    let field = browser.client.find(Locator::Css(selector)).await.unwrap();
    field.clear().await.unwrap();
    field.send_keys(text).await.unwrap();
}

/// The rows of the mappings that the demo has, as the export writes them.
async fn exported(browser: &Browser, address: &str) -> String {
    browser.client.goto(&format!("{address}/mappings")).await.unwrap();
    let script = "return fetch('/mappings.csv').then(answer => answer.text())";
    browser.client.execute(script, Vec::new()).await.unwrap().as_str().unwrap().to_owned()
}

#[tokio::test]
async fn what_other_mappings_would_do_is_seen_first_and_then_delivered_a_few_first() {
    let (_demo, address) = demo(&["--orders", "30", "--pace", "30"]);
    let browser = Browser::open(true, 1280).await;
    let confirmed = format!("{address}/flows/orders");
    browser.client.goto(&confirmed).await.unwrap();
    browser.wait_for("#stands", false, |text| text.contains("it balances") && !text.contains("30 in flight")).await;

    // Two SKUs change places: both items are in the books, so that nothing is refused.
    let csv = exported(&browser, &address).await;
    let items: Vec<Vec<&str>> =
        csv.lines().filter(|line| line.contains(",item,")).map(|line| line.split(',').collect()).collect();
    let (one, other) = (&items[0], &items[1]);
    let swapped = format!(
        "connection,table,key,value\n{},item,{},{}\n{},item,{},{}\n",
        one[0], one[2], other[3], other[0], other[2], one[3]
    );
    panic!("{swapped}");
}
