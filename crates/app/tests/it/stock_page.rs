//! Stock on the page, in a real browser: from the list to an item, to what holds it, and through the acts.

use std::time::Duration;

use selvedge_connector::Clock;
use selvedge_flow::clock::SystemClock;
use selvedge_model::{Kind, Problem, Sku, StockLevel};
use selvedge_store::{
    Store,
    stock::{FigureRow, FigureState, Of},
};

use crate::page::{Browser, demo};

fn of() -> Of {
    Of { brand: "demo".into(), flow: "stock".into() }
}

/// Orders that are placed while stock is watched, so that there is something to rehearse.
const ORDERS: usize = 30;

/// Agreed figures, once every order is there and nothing of stock has been under way for a while.
async fn at_rest(store: &Store) -> Vec<FigureRow> {
    let mut quiet = 0;
    for _ in 0..240 {
        let balance = store.read(|view| view.stock_balance(&of())).await.unwrap();
        let orders = store.read(|view| view.records(&of().brand, Kind::Order, "", ORDERS)).await.unwrap().len();
        let rests = orders == ORDERS && balance.iter().all(|one| one.agreed > 0 && one.in_flight == 0);
        quiet = if rests { quiet + 1 } else { 0 };
        if let Some(one) = balance.first().filter(|_| quiet > 12) {
            let place = one.place.as_str().into();
            return store
                .read(move |view| view.stock_figures(&of(), &place, Some(FigureState::Agreed), "", "", 10))
                .await
                .unwrap();
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    panic!("stock does not come to rest");
}

/// What the guard and a refusal would leave behind: a reading of one item that is kept back, a figure of another that is held.
async fn hold(store: &Store, reading_of: Sku, figure: FigureRow) {
    let work = move |tx: &selvedge_store::Tx<'_>| {
        let (of, now) = (of(), SystemClock.now());
        let known = tx.stock_levels_of(&of, &reading_of, now)?.remove(0).level;
        let guard =
            Problem::new("stock.guard", "places", "a reading is kept back", "See the rows below.").cause(known.location.as_str());
        let guard = tx.raise_standing(&of.brand, &of.flow, &guard, now)?;
        tx.stock_hold_level(&of, &StockLevel { on_hand: known.on_hand + 5, as_of: now, ..known }, guard)?;
        let refused = Problem::new("stock.not_taken", "places", "a figure does not come out", "Release it.").cause("a test");
        let refused = tx.raise(&of.brand, &of.flow, &refused, now)?;
        tx.stock_due_again(&of, &figure.place, &figure.sku, now)?;
        tx.stock_hold(&of, &figure.place, &figure.sku, refused)
    };
    store.write(work).await.unwrap();
}

#[tokio::test]
async fn from_the_list_to_what_holds_an_item_and_back() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("demo.db");
    let (_demo, address) = demo(&["--orders", &ORDERS.to_string(), "--pace", "3", "--store", file.to_str().unwrap()]);
    let store = Store::open(&format!("sqlite://{}", file.display())).await.unwrap();
    let mut rows = at_rest(&store).await.into_iter();
    let (reading, figure) = (rows.next().unwrap(), rows.next().unwrap());
    let (sku, held) = (reading.sku.clone(), figure.sku.clone());
    hold(&store, sku.clone(), figure).await;

    // The list, narrowed down to one item, and its equation.
    let browser = Browser::open(true, 1280).await;
    browser.client.goto(&format!("{address}/")).await.unwrap();
    browser.click("#warehouses h3 a").await;
    browser.see("#list tbody th a").await;
    browser.fill("#search", sku.as_str()).await;
    browser.click("form.search button").await;
    browser.wait_for("#list tbody th a", false, |text| text == sku.as_str()).await;
    browser.click("#list tbody th a").await;
    browser.wait_for("h1", false, |text| text == format!("Stock of {sku}")).await;
    let sum = browser.see("#item .equation").await;
    assert!(sum.contains("left at the source") && sum.contains("free to sell"), "{sum}");

    // What keeps its reading back, and that it takes effect once it is released.
    browser.click("#item .snags a").await;
    let moved = browser.see("#moved").await;
    assert!(moved.contains("1 item") && moved.contains("+5"), "{moved}");
    browser.click("section[aria-labelledby=release] button").await;
    let done = browser.see("p.done").await;
    assert!(done.starts_with("Released: 1 reading"), "{done}");
    browser.wait_for("#exception", false, |text| text.contains("a person let it through")).await;

    // What is held, by the filter; it is let go with a reason.
    browser.client.goto(&format!("{address}/stock")).await.unwrap();
    browser.click(".tabs a[href='/stock?state=held']").await;
    browser.wait_for("#list tbody th a", false, |text| text == held.as_str()).await;
    browser.click("#list tbody td a").await;
    let says = browser.see("section[aria-labelledby=rows-figures]").await;
    assert!(says.contains(held.as_str()), "{says}");
    browser.fill("#reason", "a bundle").await;
    browser.click("section[aria-labelledby=dismiss] button").await;
    let done = browser.see("p.done").await;
    assert!(done.starts_with("Dismissed: 1 figure"), "{done}");
    browser.wait_for("#exception", false, |text| text.contains("Closed")).await;

    // The days that were seen, played again.
    browser.client.goto(&format!("{address}/stock")).await.unwrap();
    browser.click("a[href='/stock/rehearse']").await;
    for (typed, selector) in [("soon", "p.wrong"), ("30s", "main table tbody th")] {
        browser.fill("#interval", typed).await;
        browser.click("form.search button").await;
        browser.see(selector).await;
    }
    // A program asks the same.
    let asked = "return fetch('/api/stock/rehearse?interval=30s').then(answer => answer.json())";
    // That of the page is over, and an open page does not begin another by itself: one more would be refused.
    let again = "return fetch(location.href, { headers: { 'x-selvedge-live': '1' } }).then(answer => answer.text())";
    let again = browser.run(again).await;
    assert!(again.as_str().is_some_and(|page| page.contains("<h1>Rehearse stock") && !page.contains("<tbody")), "{again}");
    let told = browser.run(asked).await;
    let scenarios = told["scenarios"].as_array().unwrap_or_else(|| panic!("{told}"));
    assert!(scenarios.len() > 1 && scenarios.iter().all(|one| one["outcome"]["wanted"].is_u64()), "{told}");
    browser.close().await;
}
