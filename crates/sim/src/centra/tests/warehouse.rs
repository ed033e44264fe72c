//! Stock: what integrations read and write, what orders take, and that the ledger always adds up.

use super::super::stock::{BelowAllocated, Opening, Overselling, Refused, StockOptions, WrongRows};
use super::*;
use crate::mischief::mix;

const NOBODY: Source = Source::Generated { orders: 0 };

async fn shop(source: Source, stock: StockOptions) -> Shop {
    let shop = Shop::open(source, Profile::None, Options { stock, ..Options::default() }).await;
    shop.centra.listen().unwrap();
    shop
}

async fn stocked(units: i32) -> Shop {
    shop(NOBODY, StockOptions { opening: Opening::Each(units), ..StockOptions::default() }).await
}

impl Shop {
    /// (physical, allocated, free, demand) of a SKU in the warehouse of market 1.
    fn figures(&self, sku: &str) -> (i64, i64, i64, i64) {
        self.figures_in(sku, 1)
    }

    fn figures_in(&self, sku: &str, market: i32) -> (i64, i64, i64, i64) {
        let found = self.centra.stock_of(sku, market).unwrap();
        (found.physical, found.allocated, found.free, found.demand)
    }

    fn buy(&self, lines: &[(&str, i32)]) -> i32 {
        self.centra.try_buy(1, lines, Timestamp::UNIX_EPOCH).unwrap()
    }

    fn adds_up(&self) {
        assert_eq!(self.centra.0.read().ledger.broken(), None);
    }

    /// Runs one mutation field; returns (userErrors, userWarnings, the whole payload).
    async fn mutate(&self, mutation: &str, fields: &str) -> (Value, Value, Value) {
        let text =
            format!("mutation {{ m: {mutation} {{ {fields} userErrors {{ message path }} userWarnings {{ message path }} }} }}");
        let data = self.data(&text).await;
        (data["m"]["userErrors"].clone(), data["m"]["userWarnings"].clone(), data["m"].clone())
    }

    /// setStock in warehouse 1 by SKU; must go through.
    async fn set(&self, rows: &[(&str, i64)]) -> Value {
        let (errors, warnings, payload) = self
            .mutate(&set(rows), "stockChanges { id description lines { id deliveredQuantity freeToAllocateQuantity } }")
            .await;
        assert_eq!((errors, warnings), (json!([]), json!([])));
        payload["stockChanges"].clone()
    }

    async fn lines(&self, number: i32) -> Vec<Value> {
        let text = format!(
            "{{ order(number: {number}) {{ lines {{ id __typename quantity allocations {{ quantity warehouse {{ id }} }} }} }} }}"
        );
        self.data(&text).await["order"]["lines"].as_array().unwrap().clone()
    }
}

fn set(rows: &[(&str, i64)]) -> String {
    let rows: Vec<String> =
        rows.iter().map(|(sku, units)| format!("{{productSize: {{SKU: \"{sku}\"}}, quantity: {units}}}")).collect();
    format!(
        "setStock(input: {{warehouse: {{id: 1}}, description: \"sync\", stockQuantityType: PHYSICAL, productSizes: [{}]}})",
        rows.join(", ")
    )
}

#[tokio::test]
async fn each_market_has_its_warehouse_and_its_rule() {
    let shop = stocked(3).await;
    let data = shop
        .data("{ markets { id name allocationRule { id name } } warehouses { id name status stockMaster threshold country { code } allocationRules { id name } stock(limit: 2) { physicalQuantity productSize { SKU } warehouse { id } } } allocationRules { id name } second: warehouses(limit: 2, page: 2) { id } }")
        .await;
    let warehouses = data["warehouses"].as_array().unwrap();
    assert_eq!(warehouses.len(), 5);
    for ((market, warehouse), rule) in
        data["markets"].as_array().unwrap().iter().zip(warehouses).zip(data["allocationRules"].as_array().unwrap())
    {
        assert_eq!(warehouse["id"], market["id"]);
        assert_eq!(warehouse["name"], format!("{} Warehouse", market["name"].as_str().unwrap()));
        assert_eq!((&warehouse["status"], &warehouse["stockMaster"]), (&json!("ACTIVE"), &json!("EXTERNAL")));
        assert_eq!(warehouse["threshold"], Value::Null);
        assert_eq!((&warehouse["allocationRules"], &market["allocationRule"]), (&json!([rule]), rule));
        assert_eq!(warehouse["stock"].as_array().unwrap().len(), 2);
        assert_eq!(warehouse["stock"][1]["warehouse"]["id"], warehouse["id"]);
        assert_eq!(warehouse["stock"][1]["physicalQuantity"], 3);
    }
    assert_eq!(data["second"], json!([{"id": 3}, {"id": 4}]));
}

#[tokio::test]
async fn sizes_are_found_by_id_sku_and_ean_and_paged() {
    let shop = stocked(3).await;
    let tote = shop
        .data("{ productSizes(where: {SKU: {equals: \"TOTE\"}}) { id SKU EAN isActive updatedAt quantity size { name } productVariant { id name unitCost { value currency { code } } product { id name productNumber status folder { name } collection { name } } } stock(where: {warehouseId: [2]}) { warehouse { id } physicalQuantity allocatedQuantity freeToAllocateQuantity demandQuantity availableNowQuantity availableQuantity unshippedQuantity incomingQuantity } stockTotals(where: {warehouseId: [1, 2]}) { physicalQuantity freeToAllocateQuantity } } }")
        .await["productSizes"].clone();
    let tote = &tote.as_array().unwrap()[0];
    assert_eq!(tote["id"], 385);
    assert_eq!(tote["quantity"], 15);
    assert_eq!(
        tote["stock"],
        json!([{"warehouse": {"id": 2}, "physicalQuantity": 3, "allocatedQuantity": 0, "freeToAllocateQuantity": 3, "demandQuantity": 0, "availableNowQuantity": 3, "availableQuantity": 3, "unshippedQuantity": 0, "incomingQuantity": 0}])
    );
    assert_eq!(tote["stockTotals"], json!({"physicalQuantity": 6, "freeToAllocateQuantity": 6}));
    assert_eq!(tote["productVariant"]["product"]["productNumber"], "TOTE");
    assert!(tote["productVariant"]["product"]["folder"]["name"].is_string());
    assert_eq!(tote["productVariant"]["unitCost"]["currency"]["code"], "EUR");
    let ean = tote["EAN"].as_str().unwrap();

    let ids = async |arguments: &str| {
        let data = shop.data(&format!("{{ productSizes({arguments}) {{ id }} }}")).await;
        data["productSizes"].as_array().unwrap().iter().map(|size| size["id"].as_i64().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(ids("where: {id: [7, 3, 7, 99999, -1]}").await, [3, 7]);
    assert_eq!(ids("where: {id: 5}").await, [5]);
    assert_eq!(ids("where: {id: [7, 3]}, sort: id_DESC").await, [7, 3]);
    assert_eq!(ids("where: {id: [7, 3]}, sort: [updatedAt_ASC]").await, [3, 7]);
    assert_eq!(ids("where: {SKU: {equals: \"tote\"}}").await, [0_i64; 0], "byte for byte");
    assert_eq!(ids(&format!("where: {{EAN: {{equals: \"{ean}\"}}, SKU: {{equals: \"TOTE\"}}}}")).await, [385]);
    assert_eq!(ids("where: {UPC: {equals: \"1\"}}").await, [0_i64; 0]);
    assert_eq!(ids("where: {isActive: false}").await, [0_i64; 0]);
    assert_eq!(ids("where: {updatedAt: {from: \"2026-01-01T00:00:00Z\"}}").await, [0_i64; 0]);
    assert_eq!(ids("where: {updatedAt: {to: \"2026-01-01T00:00:00Z\"}, isActive: true, notNull: [\"EAN\"]}").await.len(), 20);
    let mut all = Vec::new();
    for page in 1.. {
        let some = ids(&format!("limit: 200, page: {page}")).await;
        if some.is_empty() {
            break;
        }
        all.extend(some);
    }
    assert_eq!(all, (1..=389).collect::<Vec<i64>>());
    for wrong in [
        "{ productSizes(limit: 201) { id } }",
        "{ productSizes(limit: 1) { stock(limit: 201) { physicalQuantity } } }",
        "{ warehouses { stock(limit: 0) { physicalQuantity } } }",
        "{ productSizes(where: {search: \"x\"}) { id } }",
        "{ productSizes(where: {SKU: {contains: \"x\"}}) { id } }",
        "{ productSizes(where: {SKU: {contains: \"x\", equals: \"y\"}}) { id } }",
    ] {
        let answer = shop.ask(wrong, json!({})).await;
        assert!(answer["errors"][0]["message"].is_string() && answer["data"].is_null(), "{wrong}: {answer}");
    }
}

#[tokio::test]
async fn the_stock_of_a_bundle_is_that_of_its_parts() {
    let shop = stocked(5).await;
    let read = "{ productSizes(where: {SKU: {equals: \"SETTEE3\"}}) { stock { physicalQuantity } stockTotals(where: {warehouseId: 1}) { freeToAllocateQuantity allocatedQuantity } } }";
    let data = shop.data(read).await;
    assert_eq!(data["productSizes"][0]["stock"], json!([]), "it has no row");
    assert_eq!(data["productSizes"][0]["stockTotals"]["freeToAllocateQuantity"], 2, "two of one part, one of the other");
    let number = shop.buy(&[("SETTEE3", 2)]);
    let lines = shop.lines(number).await;
    let kinds: Vec<&str> = lines.iter().map(|line| line["__typename"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["BundleOrderLine", "BundleItemOrderLine", "BundleItemOrderLine"]);
    assert_eq!(lines[0]["allocations"], json!([]));
    assert_eq!(lines[1]["allocations"], json!([{"quantity": 4, "warehouse": {"id": 1}}]));
    let (errors, _, _) = shop.mutate(&set(&[("SETTEE3", 9)]), "").await;
    assert!(errors[0]["message"].as_str().unwrap().contains("bundle"));
    assert_eq!(errors[0]["path"], json!(["input", "productSizes", "0", "productSize"]));
    // Cancelling a bundle cancels its parts.
    let cancel = format!(
        "updateDirectToConsumerOrder(order: {{number: {number}}}, input: {{cancelLines: {{line: {{id: {}}}, quantity: 1, stockAction: RELEASE_BACK_TO_WAREHOUSE}}}})",
        lines[0]["id"]
    );
    assert_eq!(shop.mutate(&cancel, "").await.0, json!([]));
    assert_eq!(shop.lines(number).await[1]["allocations"][0]["quantity"], 2);
    shop.adds_up();
}

#[tokio::test]
async fn an_order_takes_what_is_free_and_waits_for_the_rest() {
    let shop = stocked(0).await;
    shop.set(&[("TOTE", 5), ("BEANIE", 1)]).await;
    let first = shop.buy(&[("TOTE", 3), ("BEANIE", 2)]);
    let second = shop.buy(&[("TOTE", 3)]);
    let third = shop.buy(&[("TOTE", 1)]);
    assert_eq!(shop.figures("TOTE"), (5, 5, 0, 2));
    assert_eq!(shop.figures("BEANIE"), (1, 1, 0, 1));
    assert_eq!(shop.centra.oversold(), 3);
    assert_eq!(shop.figures_in("TOTE", 2), (0, 0, 0, 0), "another market has another warehouse");
    let row = shop
        .data("{ productSizes(where: {SKU: {equals: \"TOTE\"}}) { stock(where: {warehouseId: 1}) { availableNowQuantity unshippedQuantity } } }")
        .await;
    assert_eq!(row["productSizes"][0]["stock"], json!([{"availableNowQuantity": -2, "unshippedQuantity": 7}]));
    // What comes in goes to those who wait, oldest first; then it is free.
    let changes = shop.set(&[("TOTE", 6)]).await;
    assert_eq!(changes[0]["lines"][0]["deliveredQuantity"], 1);
    assert_eq!(changes[0]["lines"][0]["freeToAllocateQuantity"], 0);
    let allocated = async |number| shop.lines(number).await[0]["allocations"].clone();
    assert_eq!(allocated(second).await[0]["quantity"], 3);
    assert_eq!(allocated(third).await, json!([]));
    shop.set(&[("TOTE", 9)]).await;
    assert_eq!(allocated(third).await[0]["quantity"], 1);
    assert_eq!(shop.figures("TOTE"), (9, 7, 2, 0));
    assert_eq!(allocated(first).await, json!([{"quantity": 3, "warehouse": {"id": 1}}]));
    shop.adds_up();
    assert!(shop.centra.stock_csv().contains("\nTOTE,1,9,7,2,0\nTOTE,2,0,0,0,0\n"));
    assert_eq!(shop.centra.stock_csv().lines().count(), 1 + 387 * 5);
}

#[tokio::test]
async fn waiting_demand_is_left_alone_where_that_is_chosen() {
    let shop = shop(NOBODY, StockOptions { fill_waiting: false, ..StockOptions::default() }).await;
    shop.buy(&[("TOTE", 2)]);
    shop.set(&[("TOTE", 3)]).await;
    assert_eq!(shop.figures("TOTE"), (3, 0, 3, 2));
    shop.buy(&[("TOTE", 1)]);
    assert_eq!(shop.figures("TOTE"), (3, 1, 2, 2));
    shop.adds_up();
}

#[tokio::test]
async fn held_and_pending_orders_allocate_too() {
    let stock = StockOptions { opening: Opening::Each(9), ..StockOptions::default() };
    let options = Options { stock, autoconfirm: false, ..Options::default() };
    let shop = Shop::open(NOBODY, Profile::None, options).await;
    let number = shop.buy(&[("TOTE", 2)]);
    let data = shop.data(&format!("{{ order(number: {number}) {{ status }} }}")).await;
    assert_eq!(data["order"]["status"], "PENDING");
    assert_eq!(shop.figures("TOTE"), (9, 2, 7, 0));
    shop.mutate(&format!("updateDirectToConsumerOrder(order: {{number: {number}}}, input: {{isOnHold: true}})"), "").await;
    assert_eq!(shop.figures("TOTE"), (9, 2, 7, 0));
}

#[tokio::test]
async fn cancelling_gives_back_or_takes_away() {
    let shop = stocked(5).await;
    let cancel_line = async |number: i32, units: i32, action: &str| {
        let id = shop.lines(number).await[0]["id"].clone();
        let text = format!(
            "updateDirectToConsumerOrder(order: {{number: {number}}}, input: {{cancelLines: {{line: {{id: {id}}}, quantity: {units}, stockAction: {action}}}}})"
        );
        shop.mutate(&text, "").await.0
    };
    let number = shop.buy(&[("TOTE", 4)]);
    assert_eq!(cancel_line(number, 1, "RELEASE_BACK_TO_WAREHOUSE").await, json!([]));
    assert_eq!(shop.figures("TOTE"), (5, 3, 2, 0));
    assert_eq!(cancel_line(number, 1, "REMOVE_FROM_STOCK").await, json!([]));
    assert_eq!(shop.figures("TOTE"), (4, 2, 2, 0));
    // Who waits gives up waiting first; what is released goes to the next who waits.
    let big = shop.buy(&[("TOTE", 5)]);
    let next = shop.buy(&[("TOTE", 2)]);
    assert_eq!(shop.figures("TOTE"), (4, 4, 0, 5));
    cancel_line(big, 4, "RELEASE_BACK_TO_WAREHOUSE").await;
    assert_eq!(shop.figures("TOTE"), (4, 4, 0, 1), "three waited, one was released and taken");
    assert_eq!(shop.lines(next).await[0]["allocations"][0]["quantity"], 1);
    assert_ne!(cancel_line(big, 2, "REMOVE_FROM_STOCK").await, json!([]), "one is left");

    let cancel = async |number: i32, action: &str| {
        let id = shop.data(&format!("{{ order(number: {number}) {{ id }} }}")).await["order"]["id"].clone();
        let text = format!(
            "cancelDirectToConsumerOrder(id: {id}, input: {{emailOptions: {{sendEmail: false}}, stockAction: {action}}})"
        );
        shop.mutate(&text, "").await.0
    };
    for (sku, action, mine, theirs) in [
        ("BEANIE", "{releaseItemsBackToWarehouse: true}", (5, 0, 5, 0), (5, 0, 5, 0)),
        ("LOOKBOOK", "{removeItemsFromStock: true}", (3, 0, 3, 0), (5, 0, 5, 0)),
        ("1000BLKS", "{sendItemsToDifferentWarehouse: {id: 2}}", (3, 0, 3, 0), (7, 0, 7, 0)),
    ] {
        let number = shop.buy(&[(sku, 2)]);
        assert_eq!(cancel(number, action).await, json!([]));
        assert_eq!((shop.figures(sku), shop.figures_in(sku, 2)), (mine, theirs), "{action}");
        assert_ne!(cancel(number, action).await, json!([]), "cancelled already");
    }
    let number = shop.buy(&[("1000BLKM", 2)]);
    for wrong in
        ["{}", "{releaseItemsBackToWarehouse: true, removeItemsFromStock: true}", "{sendItemsToDifferentWarehouse: {id: 77}}"]
    {
        assert_ne!(cancel(number, wrong).await, json!([]), "{wrong}");
    }
    shop.adds_up();
}

#[tokio::test]
async fn set_stock_takes_every_form_and_says_what_it_refuses() {
    let shop = stocked(0).await;
    let changes = shop.set(&[("TOTE", 7), ("BEANIE", 0), ("LOOKBOOK", 3)]).await;
    assert_eq!(
        changes,
        json!([{"id": 1, "description": "sync", "lines": [
            {"id": 1, "deliveredQuantity": 7, "freeToAllocateQuantity": 7},
            {"id": 2, "deliveredQuantity": 3, "freeToAllocateQuantity": 3}]}]),
        "a row that changes nothing has no line"
    );
    assert_eq!(shop.set(&[("TOTE", 7)]).await, json!([]));
    assert_eq!(shop.set(&[("TOTE", 4)]).await[0]["lines"][0]["deliveredQuantity"], -3);

    let input = async |rest: &str| shop.mutate(&format!("setStock(input: {{{rest}}})"), "stockChanges { id }").await;
    let head = "warehouse: {id: 1}, description: \"x\", stockQuantityType: PHYSICAL";
    let ean = shop.data("{ productSizes(where: {SKU: {equals: \"TOTE\"}}) { EAN } }").await["productSizes"][0]["EAN"].clone();
    for (reference, units) in [
        ("{id: 385}".to_owned(), 11),
        (format!("{{EAN: {ean}}}"), 12),
        (format!("{{any: {ean}}}"), 13),
        ("{any: \"TOTE\"}".to_owned(), 14),
    ] {
        let rest = format!(
            "{head}, productSizes: {{productSize: {reference}, quantity: {units}, unitCost: {{value: 3.5, currencyIsoCode: \"EUR\"}}}}"
        );
        assert_eq!(input(&rest).await.0, json!([]), "{reference}");
        assert_eq!(shop.figures("TOTE").0, units);
    }
    // By variant: items 1 to 6 are the sizes of variant 1.
    let rest = format!(
        "{head}, productVariants: {{productVariant: {{id: 1}}, sizeStockLevels: [{{size: {{name: \"M\"}}, quantity: 8}}, {{size: {{id: 1}}, quantity: 9}}]}}"
    );
    assert_eq!(input(&rest).await.0, json!([]));
    assert_eq!((shop.figures("1000BLKM").0, shop.figures("1000BLKXS").0), (8, 9));
    // By the ids of the integration.
    shop.mutate("setIdConversions(input: [{externalId: \"LAGER\", internalId: 2, objectType: Warehouse}, {externalId: \"v\", internalId: 1, objectType: ProductVariant}])", "").await;
    let rest = "warehouse: {externalId: \"LAGER\"}, description: \"x\", stockQuantityType: PHYSICAL, productVariants: {productVariant: {externalId: \"v\"}, sizeStockLevels: {size: {name: \"S\"}, quantity: 6}}";
    assert_eq!(input(rest).await.0, json!([]));
    assert_eq!(shop.figures_in("1000BLKS", 2).0, 6);
    let data = shop.data("{ warehouses(limit: 2) { externalId } }").await;
    assert_eq!(data["warehouses"], json!([{"externalId": null}, {"externalId": "LAGER"}]));

    // The first of two counts, and that is a warning only.
    let (errors, warnings, _) = shop.mutate(&set(&[("BEANIE", 5), ("BEANIE", 9)]), "").await;
    assert_eq!(errors, json!([]));
    assert_eq!(warnings[0]["path"], json!(["input", "productSizes", "1", "productSize"]));
    assert_eq!(shop.figures("BEANIE").0, 5);

    let before = shop.centra.stock_csv();
    let one = "productSizes: {productSize: {SKU: \"TOTE\"}, quantity: 99}";
    for wrong in [
        format!("warehouse: {{id: 9}}, description: \"x\", stockQuantityType: PHYSICAL, {one}"),
        format!("warehouse: {{id: 1, externalId: \"LAGER\"}}, description: \"x\", stockQuantityType: PHYSICAL, {one}"),
        format!("warehouse: {{id: 1}}, description: \" \", stockQuantityType: PHYSICAL, {one}"),
        format!("warehouse: {{id: 1}}, description: \"x\", stockQuantityType: FREE_TO_ALLOCATE, {one}"),
        head.to_owned(),
        format!("{head}, productSizes: {{productSize: {{SKU: \"TOTE\"}}, quantity: -1}}"),
        format!("{head}, productSizes: {{productSize: {{SKU: \"TOTE\", id: 385}}, quantity: 1}}"),
        format!("{head}, productSizes: {{productSize: {{UPC: \"1\"}}, quantity: 1}}"),
        format!("{head}, productSizes: {{productSize: {{any: \"385\"}}, quantity: 1}}"),
        format!(
            "{head}, productVariants: {{productVariant: {{id: 9999}}, sizeStockLevels: {{size: {{name: \"M\"}}, quantity: 8}}}}"
        ),
        format!(
            "{head}, productVariants: {{productVariant: {{id: 1}}, sizeStockLevels: {{size: {{name: \"XXL\"}}, quantity: 8}}}}"
        ),
    ] {
        let (errors, _, payload) = input(&wrong).await;
        assert_ne!(errors, json!([]), "{wrong}");
        assert_eq!(payload["stockChanges"], json!([]));
    }
    let many: Vec<(&str, i64)> = (0..501).map(|_| ("TOTE", 1)).collect();
    let (errors, _, _) = shop.mutate(&set(&many), "").await;
    assert!(errors[0]["message"].as_str().unwrap().contains("500"), "{errors}");
    assert_eq!(shop.centra.stock_csv(), before);
    assert!(shop.centra.stock_counts().set_calls > 20);
    assert_eq!(shop.centra.stock_counts().set_rows, 3 + 1 + 1 + 4 + 2 + 1 + 1);
}

#[tokio::test]
async fn wrong_rows_are_left_out_or_refuse_the_call() {
    for (rule, applied) in [(WrongRows::ApplyRest, 7), (WrongRows::RefuseAll, 0)] {
        let shop = shop(NOBODY, StockOptions { wrong_rows: Some(rule), ..StockOptions::default() }).await;
        let (errors, _, payload) =
            shop.mutate(&set(&[("NOPE", 1), ("TOTE", 7), ("SETWINTER", 1)]), "stockChanges { lines { id } }").await;
        assert_eq!(errors.as_array().unwrap().len(), 2);
        assert_eq!(errors[0]["path"], json!(["input", "productSizes", "0", "productSize"]));
        assert_eq!(payload["stockChanges"].as_array().unwrap().len(), usize::from(applied > 0));
        assert_eq!(shop.figures("TOTE").0, applied);
        assert_eq!(shop.centra.stock_counts().set_rows, u64::from(applied > 0));
    }
    // Under mischief the seed decides, once for the instance; and some EANs are odd.
    let mischief = |seed| Mischief::new(seed, Profile::Rough, "centra");
    let refusing =
        (0..100).filter(|seed| stock::rules(&StockOptions::default(), &mischief(*seed)).wrong_rows == WrongRows::RefuseAll);
    assert!((20..80).contains(&refusing.count()));
    assert!(!stock::rules(&StockOptions::default(), &mischief(1)).odd_eans);
}

#[tokio::test]
async fn a_figure_below_what_is_allocated_is_lifted_or_refused() {
    let shop = stocked(5).await;
    shop.buy(&[("TOTE", 3)]);
    let changes = shop.set(&[("TOTE", 1)]).await;
    assert_eq!(changes[0]["lines"][0], json!({"id": 387 * 5 + 1, "deliveredQuantity": -2, "freeToAllocateQuantity": 0}));
    assert_eq!(shop.figures("TOTE"), (3, 3, 0, 0), "silently");

    let rules = StockOptions { below_allocated: BelowAllocated::Refuse, opening: Opening::Each(5), ..StockOptions::default() };
    let strict = self::shop(NOBODY, rules).await;
    strict.buy(&[("TOTE", 3)]);
    let (errors, _, _) = strict.mutate(&set(&[("TOTE", 1), ("BEANIE", 1)]), "").await;
    assert_eq!(errors[0]["path"], json!(["input", "productSizes", "0", "quantity"]));
    assert_eq!((strict.figures("TOTE").0, strict.figures("BEANIE").0), (5, 1));
}

#[tokio::test]
async fn change_stock_brings_takes_and_moves() {
    let shop = stocked(5).await;
    shop.buy(&[("TOTE", 4)]);
    let change = async |ends: &str, units: i32| {
        let text = format!(
            "changeStock(input: {{{ends} description: \"d\", productSizes: {{productSize: {{SKU: \"TOTE\"}}, deliveredQuantity: {units}}}}})"
        );
        let (errors, _, payload) = shop.mutate(&text, "stockChange { lines { deliveredQuantity } }").await;
        (errors == json!([])).then(|| payload["stockChange"]["lines"].clone())
    };
    let delivered = |units: &[i64]| Some(Value::from(units.iter().map(|u| json!({"deliveredQuantity": u})).collect::<Vec<_>>()));
    assert_eq!(change("intoWarehouse: {id: 1},", 3).await, delivered(&[3]));
    assert_eq!(shop.figures("TOTE"), (8, 4, 4, 0));
    assert_eq!(change("outFromWarehouse: {id: 1}, intoWarehouse: {id: 2},", 2).await, delivered(&[-2, 2]));
    assert_eq!((shop.figures("TOTE"), shop.figures_in("TOTE", 2)), ((6, 4, 2, 0), (7, 0, 7, 0)));
    assert_eq!(change("outFromWarehouse: {id: 1},", 2).await, delivered(&[-2]));
    assert_eq!(shop.figures("TOTE"), (4, 4, 0, 0));
    let before = shop.centra.stock_csv();
    for (ends, units) in [
        ("outFromWarehouse: {id: 1},", 1),
        ("outFromWarehouse: {id: 1}, intoWarehouse: {id: 2},", 1),
        ("outFromWarehouse: {id: 2}, intoWarehouse: {id: 2},", 1),
        ("", 1),
        ("intoWarehouse: {id: 9},", 1),
        ("intoWarehouse: {id: 1},", 0),
        ("intoWarehouse: {id: 1},", -3),
        ("intoWarehouse: {id: 1},", i32::MAX),
    ] {
        assert_eq!(change(ends, units).await, None, "{ends} {units}");
    }
    assert_eq!(shop.centra.stock_csv(), before);
    let by_variant = "changeStock(input: {intoWarehouse: {id: 3}, description: \"d\", productVariants: {productVariant: {id: 1}, sizeChanges: {size: {name: \"L\"}, deliveredQuantity: 2}}})";
    assert_eq!(shop.mutate(by_variant, "").await.0, json!([]));
    assert_eq!(shop.figures_in("1000BLKL", 3).0, 7);
    shop.adds_up();
}

#[tokio::test]
async fn a_call_of_many_rows_costs_one_mutation() {
    let shop = Shop::open(NOBODY, Profile::None, Options { plan: Plan::Growth, ..Options::default() }).await;
    let used = async || {
        let rows = shop.data("{ rateLimits { type intervalSeconds usedQuota } }").await["rateLimits"].clone();
        let hour = |row: &&Value| row["type"] == "MUTATION_COUNT" && row["intervalSeconds"] == "ONE_HOUR";
        rows.as_array().unwrap().iter().find(hour).unwrap()["usedQuota"].as_i64().unwrap()
    };
    let items: Vec<String> = shop.centra.0.read().catalogue.items().iter().take(300).map(|item| item.sku.clone()).collect();
    let rows: Vec<(&str, i64)> = items.iter().map(|sku| (sku.as_str(), 2)).collect();
    shop.set(&rows).await;
    assert_eq!(used().await, 1);
    assert_eq!(shop.centra.stock_counts().set_rows, 300);
    // What is free costs nothing, anything else is dear.
    let cost = async |fields: &str| {
        let answer = shop
            .ask(&format!("{{ productSizes(limit: 100) {{ id stock(limit: 1) {{ __typename {fields} }} }} }}"), json!({}))
            .await;
        answer["extensions"]["complexity"].as_u64().unwrap()
    };
    let free = cost("").await;
    assert_eq!(cost("freeToAllocateQuantity").await, free);
    assert_eq!(cost("freeToAllocateQuantity physicalQuantity").await, free + 1_000);
}

#[tokio::test]
async fn permissions_that_are_missing_are_refused() {
    for (permission, text) in [
        ("ProductSize:read", "{ productSizes { id } }"),
        ("ProductSize:read", "{ warehouses { stock { productSize { id } } } }"),
        ("ProductSize.stock:read", "{ productSizes { stock { physicalQuantity } } }"),
        ("ProductSize.stock:read", "{ productSizes { stockTotals { physicalQuantity } } }"),
        ("Warehouse:read", "{ warehouses { id } }"),
        ("Warehouse:read", "{ productSizes { stock { warehouse { id } } } }"),
        ("Warehouse.stock:read", "{ warehouses { stock { physicalQuantity } } }"),
        ("Allocation:read", "{ orders { lines { allocations { quantity } } } }"),
        ("StockChange:write", "mutation { changeStock(input: {description: \"\"}) { userErrors { message } } }"),
        (
            "StockChange:write",
            "mutation { setStock(input: {warehouse: {id: 1}, description: \"\", stockQuantityType: PHYSICAL}) { userErrors { message } } }",
        ),
    ] {
        let shop =
            Shop::open(NOBODY, Profile::None, Options { withheld_permissions: vec![permission.into()], ..Options::default() })
                .await;
        let answer = shop.ask(text, json!({})).await;
        assert_eq!(answer["errors"][0]["extensions"]["category"], "authorization", "{text}");
        assert!(answer["errors"][0]["message"].as_str().unwrap().contains(permission), "{answer}");
        assert!(answer["extensions"]["permissionsUsed"].as_array().unwrap().contains(&json!(permission)));
    }
}

#[tokio::test]
async fn stock_changes_are_told_to_those_who_listen_for_them() {
    let shop = stocked(0).await;
    shop.set(&[("TOTE", 1)]).await;
    let read = "{ events { id objectType changeType objectReference store { id } market { id } object { __typename ... on StockChange { description lines { deliveredQuantity } } } } }";
    assert_eq!(shop.data(read).await["events"], json!([]), "orders only");
    shop.data(
        "mutation { setEventListeners(input: {objectType: StockChange, changeTypes: [CREATED]}) { userErrors { message } } }",
    )
    .await;
    shop.set(&[("TOTE", 4)]).await;
    shop.set(&[("TOTE", 4)]).await;
    shop.buy(&[("TOTE", 1)]);
    let events = shop.data(read).await["events"].clone();
    let kinds: Vec<&str> = events.as_array().unwrap().iter().map(|event| event["objectType"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["StockChange", "Order"]);
    assert_eq!(events[0]["objectReference"], 2);
    assert_eq!((&events[0]["store"], &events[0]["market"]), (&Value::Null, &Value::Null));
    assert_eq!(
        events[0]["object"],
        json!({"__typename": "StockChange", "description": "sync", "lines": [{"deliveredQuantity": 3}]})
    );
    let only = |filter: &str| read.replace("events {", &format!("events(where: {{{filter}}}) {{"));
    assert_eq!(shop.data(&only("objectType: StockChange")).await["events"].as_array().unwrap().len(), 1);
    assert_eq!(shop.data(&only("storeId: 1")).await["events"].as_array().unwrap().len(), 1);
    shop.data(
        "mutation { unsetEventListeners(input: {objectType: StockChange, changeTypes: [CREATED]}) { userErrors { message } } }",
    )
    .await;
    assert_eq!(shop.data(read).await["events"].as_array().unwrap().len(), 1, "the order's stays");
}

#[tokio::test]
async fn a_shop_that_does_not_oversell_loses_the_sale() {
    let stock = StockOptions {
        overselling: Overselling::Standard,
        opening: Opening::Given(vec![
            ("TOTE".into(), 1, 3),
            ("BEANIE".into(), 1, 9),
            ("NOPE".into(), 1, 1),
            ("SETWINTER".into(), 1, 4),
        ]),
        ..StockOptions::default()
    };
    let shop = shop(NOBODY, stock).await;
    let now = Timestamp::UNIX_EPOCH;
    let first = shop.buy(&[("TOTE", 2)]);
    assert!(
        matches!(shop.centra.try_buy(1, &[("BEANIE", 1), ("TOTE", 1), ("TOTE", 1)], now), Err(Refused::Missing(skus)) if skus == ["TOTE"])
    );
    assert!(matches!(shop.centra.try_buy(2, &[("TOTE", 1)], now), Err(Refused::Missing(_))), "not there");
    let second = shop.buy(&[("TOTE", 1)]);
    assert_eq!(second, first + 1);
    for wrong in [(9, "TOTE", 1), (1, "NOPE", 1), (1, "TOTE", 0), (1, "TOTE", -1)] {
        assert!(matches!(shop.centra.try_buy(wrong.0, &[(wrong.1, wrong.2)], now), Err(Refused::Unknown(_))), "{wrong:?}");
    }
    assert!(matches!(shop.centra.try_buy(1, &[], now), Err(Refused::Unknown(_))));
    assert_eq!(shop.figures("TOTE"), (3, 3, 0, 0));
    assert_eq!(shop.figures("BEANIE"), (9, 0, 9, 0), "an order is refused whole");
    assert_eq!(shop.centra.oversold(), 0);
    let lost = shop.centra.lost_sales();
    assert_eq!((lost.orders, lost.units), (2, BTreeMap::from([("TOTE".to_owned(), 3)])));
    let progress = shop.centra.progress();
    assert_eq!((progress.orders_placed, progress.orders_lost, progress.orders_total, progress.placing_done), (2, 2, 0, true));
    // They are orders like any other.
    let data = shop
        .data("{ events { objectReference object { ... on DirectToConsumerOrder { number market { id } country { code } grandTotal { value } paymentHistory { value { value } } lines { quantity productSize { SKU } } } } } orders(sort: number_DESC) { number } }")
        .await;
    assert_eq!(data["orders"], json!([{"number": second}, {"number": first}]));
    let object = &data["events"][0]["object"];
    assert_eq!(
        (&object["number"], &object["market"]["id"], &object["country"]["code"]),
        (&json!(first), &json!(1), &json!("SE"))
    );
    assert_eq!(object["lines"], json!([{"quantity": 2, "productSize": {"SKU": "TOTE"}}]));
    assert_eq!(object["grandTotal"], object["paymentHistory"][0]["value"]);
}

#[tokio::test]
async fn orders_of_the_catalogue_are_skipped_where_stock_does_not_suffice() {
    let stock = StockOptions { overselling: Overselling::Standard, opening: Opening::Each(1), ..StockOptions::default() };
    let shop = shop(Source::Generated { orders: 2_500 }, stock).await;
    shop.step();
    let progress = shop.centra.progress();
    assert!(progress.placing_done && progress.orders_lost > 100, "{progress:?}");
    assert_eq!(progress.orders_placed + progress.orders_lost, 2_500);
    assert_eq!(progress.events_pending, progress.orders_placed);
    assert_eq!(shop.centra.oversold(), 0);
    shop.adds_up();
    let extra = shop.centra.try_buy(1, &[("1000BLKS", 1)], Timestamp::UNIX_EPOCH);
    assert!(extra.is_err() || extra.is_ok_and(|number| number == 12_501));
    // The list has no hole and no stranger.
    let (mut after, mut numbers) = (Value::Null, Vec::new());
    loop {
        let answer = shop
            .ask("query($c: String) { orderConnection(sort: number_ASC, first: 200, after: $c) { totalCount pageInfo { hasNextPage endCursor } edges { node { number lines { id } } } } }", json!({"c": after}))
            .await;
        let page = &answer["data"]["orderConnection"];
        numbers.extend(page["edges"].as_array().unwrap().iter().map(|edge| edge["node"]["number"].as_i64().unwrap()));
        after = page["pageInfo"]["endCursor"].clone();
        if page["pageInfo"]["hasNextPage"] == false {
            break;
        }
    }
    let placed = shop.centra.progress().orders_placed;
    assert_eq!(u64::try_from(numbers.len()).unwrap(), placed);
    assert!(numbers.windows(2).all(|pair| pair[0] < pair[1]));
}

#[tokio::test]
async fn shipments_and_edits_behind_our_back_move_the_shelf() {
    let shop = stocked(5).await;
    let number = shop.buy(&[("TOTE", 3)]);
    let line = i32::try_from(shop.lines(number).await[0]["id"].as_i64().unwrap()).unwrap();
    assert!(!shop.centra.complete_shipment(line, 4).unwrap());
    assert!(!shop.centra.complete_shipment(line, 0).unwrap());
    assert!(!shop.centra.complete_shipment(line + 1, 1).unwrap());
    assert!(shop.centra.complete_shipment(line, 2).unwrap());
    assert_eq!(shop.figures("TOTE"), (3, 1, 2, 0));
    let cancel = |units: i32| {
        format!(
            "updateDirectToConsumerOrder(order: {{number: {number}}}, input: {{cancelLines: {{line: {{id: {line}}}, quantity: {units}, stockAction: RELEASE_BACK_TO_WAREHOUSE}}}})"
        )
    };
    assert_ne!(shop.mutate(&cancel(2), "").await.0, json!([]), "two are sent");
    assert_eq!(shop.mutate(&cancel(1), "").await.0, json!([]));
    assert_eq!(shop.figures("TOTE"), (3, 0, 3, 0));
    shop.buy(&[("TOTE", 2)]);
    assert!(shop.centra.foreign_stock_edit("TOTE", 1, 0).unwrap());
    assert_eq!(shop.figures("TOTE"), (2, 2, 0, 0), "not below what is allocated");
    assert!(shop.centra.foreign_stock_edit("TOTE", 1, 40).unwrap());
    assert_eq!(shop.figures("TOTE"), (40, 2, 38, 0));
    for (sku, market) in [("NOPE", 1), ("TOTE", 9), ("SETWINTER", 1)] {
        assert!(!shop.centra.foreign_stock_edit(sku, market, 1).unwrap());
    }
    shop.adds_up();
}

#[tokio::test]
async fn in_a_hostile_world_somebody_counts_the_shelf_now_and_then() {
    let stock = StockOptions { opening: Opening::Each(50), ..StockOptions::default() };
    let shop = Shop::open(Source::Generated { orders: 2_000 }, Profile::Hostile, Options { stock, ..Options::default() }).await;
    shop.centra.listen().unwrap();
    shop.step();
    let counted = |centra: &Centra| {
        let edits = centra.0.edits();
        edits.values().filter(|planned| matches!(planned.deed, Deed::Stock { .. })).count()
    };
    let planned = counted(&shop.centra);
    assert!((1..20).contains(&planned), "{planned}");
    // Bring every edit forward, then make them.
    let early: BTreeMap<_, _> = std::mem::take(&mut *shop.centra.0.edits())
        .into_iter()
        .map(|((_, order, number), edit)| ((0, order, number), edit))
        .collect();
    let all = early.len();
    *shop.centra.0.edits() = early;
    shop.step();
    assert_eq!((counted(&shop.centra), shop.centra.progress().edits_done), (0, u64::try_from(all).unwrap()));
    let touched = shop.centra.stock_csv().lines().skip(1).filter(|row| row.split(',').nth(2) != Some("50")).count();
    assert!((1..=planned).contains(&touched), "{touched} of {planned}");
    shop.adds_up();
}

#[tokio::test]
async fn in_a_hostile_world_bought_orders_are_held_too_and_eans_are_odd() {
    let options = Options { events: false, ..Options::default() };
    let shop = Shop::open(NOBODY, Profile::Hostile, options).await;
    for _ in 0..400 {
        shop.buy(&[("TOTE", 1)]);
    }
    let state = shop.centra.0.read();
    let held: Vec<u32> = (0..400).filter(|order| state.life(*order).on_hold).collect();
    assert!(!held.is_empty());
    let edits = shop.centra.0.edits();
    for order in &held {
        assert!(edits.keys().any(|(_, known, number)| known == order && *number == 0), "order {order} stays on hold for ever");
    }
    drop((edits, state));
    let mut state = shop.centra.0.write();
    let ean = state.shelf.ean(88).unwrap();
    assert_eq!((state.shelf.ean(87), state.shelf.ean(96)), (Some(ean.clone()), None));
    let input = json!({"warehouse": {"id": 1}, "description": "x", "stockQuantityType": "PHYSICAL",
        "productSizes": [{"productSize": {"EAN": ean}, "quantity": 3}]});
    let outcome = stock::set_stock(&mut state, &input, "q", 1).unwrap();
    assert!(outcome.stock_changes.is_empty(), "two sizes have it");
}

/// Any acts in any order: the ledger adds up after each, and a restarted world is the same world.
#[tokio::test]
async fn the_ledger_adds_up_after_any_acts_and_after_a_restart() {
    const SKUS: [&str; 5] = ["TOTE", "BEANIE", "1000BLKS", "SETTEE3", "SETWINTER"];
    for seed in 0..12_u64 {
        let folder = std::env::temp_dir().join(format!("sim-stock-{}", uuid::Uuid::new_v4()));
        let stock = StockOptions {
            overselling: if seed % 3 == 0 { Overselling::Standard } else { Overselling::Off },
            fill_waiting: seed % 4 != 1,
            opening: if seed % 2 == 0 { Opening::Each(6) } else { Opening::Nothing },
            ..StockOptions::default()
        };
        let open = |fill_waiting: bool| {
            let catalogue = Arc::new(Catalogue::open(7, &Source::Generated { orders: 40 }).unwrap());
            let mischief = Mischief::new(seed, Profile::None, "centra");
            let options = Options { stock: StockOptions { fill_waiting, ..stock.clone() }, events: false, ..Options::default() };
            Centra::open(7, "test", catalogue, mischief, options, Some(&folder)).unwrap()
        };
        let mut centra = open(stock.fill_waiting);
        let mut dice = mix(seed);
        let mut roll = |below: u64| {
            dice = mix(dice);
            dice % below
        };
        let mut numbers = Vec::new();
        for act in 0..150 {
            let sku = SKUS[usize::try_from(roll(5)).unwrap()];
            let market = i32::try_from(roll(2)).unwrap() + 1;
            let units = i32::try_from(roll(4)).unwrap() + 1;
            let any_line = |centra: &Centra, dice: u64| {
                let state = centra.0.read();
                let order = u32::try_from(dice % u64::from(state.placed().max(1))).unwrap();
                let lines = if state.placed() == 0 { Vec::new() } else { state.order(order).0.lines };
                (order, lines.get(usize::try_from(dice % 3).unwrap()).cloned())
            };
            match roll(8) {
                0 | 1 => numbers.extend(centra.try_buy(market, &[(sku, units), ("TOTE", 1)], Timestamp::UNIX_EPOCH).ok()),
                2 => {
                    let next = centra.0.read().attempted();
                    if next < 40 {
                        centra.place(next, next + 1).unwrap();
                    }
                }
                3 => assert!(centra.foreign_stock_edit("TOTE", market, i64::from(units) * 3).unwrap()),
                4 => {
                    let rows: Vec<Value> = ["TOTE", "BEANIE", "1000BLKS"]
                        .iter()
                        .zip(1..)
                        .map(|(sku, n)| json!({"productSize": {"SKU": sku}, "quantity": roll(9) * n}))
                        .collect();
                    let input = json!({"warehouse": {"id": market}, "description": "x", "stockQuantityType": "PHYSICAL", "productSizes": rows});
                    stock::set_stock(&mut centra.0.write(), &input, "q", 1).unwrap();
                }
                5 => {
                    if let (_, Some(line)) = any_line(&centra, roll(1_000)) {
                        centra.complete_shipment(line.id, units).unwrap();
                    }
                }
                6 => {
                    let (order, line) = any_line(&centra, roll(1_000));
                    let mut change = state::Change::default();
                    let Some(line) = line.filter(|line| !matches!(line.kind, crate::data::LineKind::BundleItem(_))) else {
                        continue;
                    };
                    let list = if roll(2) == 0 { &mut change.cancel } else { &mut change.discard };
                    list.push((line.id, units));
                    let mut state = centra.0.write();
                    state.record(state::Entry::Changed { order, at: 1, change: Box::new(change), planned: None }).unwrap();
                }
                _ if roll(3) == 0 => {
                    let goods =
                        [stock::Goods::Release, stock::Goods::Remove, stock::Goods::Send(1)][usize::try_from(roll(3)).unwrap()];
                    if let (order, Some(_)) = any_line(&centra, roll(1_000)) {
                        let change = state::Change {
                            status: Some(state::Status::Cancelled),
                            goods: Some(goods),
                            ..state::Change::default()
                        };
                        let mut state = centra.0.write();
                        state.record(state::Entry::Changed { order, at: 1, change: Box::new(change), planned: None }).unwrap();
                    }
                }
                _ => {}
            }
            assert_eq!(centra.0.read().ledger.broken(), None, "seed {seed}, act {act}");
            if act % 50 == 49 {
                let seen = (centra.stock_csv(), centra.lost_sales(), centra.documents_csv(), centra.oversold());
                // The journal is let go of before it is opened again; now and then a rule changes over the restart.
                drop(centra);
                centra = open(stock.fill_waiting);
                assert_eq!(
                    (centra.stock_csv(), centra.lost_sales(), centra.documents_csv(), centra.oversold()),
                    seen,
                    "seed {seed}"
                );
                assert_eq!(centra.0.read().ledger.broken(), None);
            }
        }
        let waiting = centra.oversold();
        let csv = centra.stock_csv();
        drop(centra);
        let centra = open(!stock.fill_waiting);
        if stock.fill_waiting {
            assert_eq!((centra.stock_csv(), centra.oversold()), (csv, waiting), "who was served stays served");
        }
        assert_eq!(centra.0.read().ledger.broken(), None);
        drop(centra);
        std::fs::remove_dir_all(folder).unwrap();
    }
}
