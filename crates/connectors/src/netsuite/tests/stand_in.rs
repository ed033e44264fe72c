//! Against the stand-in, which was written from the vendor's papers a second time and shares no line with us.

use std::{collections::BTreeMap, sync::Arc};

use selvedge_connector::{
    Connection, Connector, Encoded, Fault, FindingLevel, OpenContext, Priority, Secret, Secrets, Standing, Wanted,
    clock::ManualClock,
};
use selvedge_model::ConnectionName;
use selvedge_sim::{
    data::ItemSeed,
    mischief::{Mischief, Profile},
    netsuite::{
        Goods, KitSeed, NetSuite, OpeningStock, Options, TaxRegime, build, guest_customer_id, seed_ids, tax_code_id, tax_type_id,
    },
    wire::{Server, serve},
};

use super::{
    super::{
        settings::{Document, Tax},
        statements::Pages,
    },
    *,
};

pub(super) struct Stand {
    pub connection: Connection,
    pub account: NetSuite,
    pub again: Again,
    _server: Server,
}

pub(super) fn seeds() -> Vec<ItemSeed> {
    let items = ["SHIRT-WHITE-M", "SOCK-BLK", "COAT", "BOOK", "SET", "STICKER", "CAP"];
    items.map(|sku| ItemSeed { sku: sku.into(), name: format!("Item {sku}") }).to_vec()
}

pub(super) async fn stand(options: Options, settings: Value) -> Stand {
    stand_with(options, settings, seeds()).await
}

pub(super) async fn stand_with(options: Options, settings: Value, goods: impl Into<Goods>) -> Stand {
    let mischief = Arc::new(Mischief::new(7, Profile::None, "netsuite"));
    let clock = Arc::new(ManualClock::at(mischief.now()));
    let account = build(options, goods, mischief, None).await.unwrap();
    let server = serve(account.router.clone()).await.unwrap();
    let access = &account.access;
    let mut all = json!({
        "account": access.account, "base_url": server.url(), "tax": "suitetax",
        "auth": {"client_id": access.client_id, "certificate_id": access.certificate_id}
    });
    for (name, value) in settings.as_object().unwrap() {
        all[name] = value.clone();
    }
    if all["auth"]["method"] == "oauth1" {
        all["auth"] = json!({"method": "oauth1", "consumer_key": access.consumer_key, "token_id": access.token_id});
    }
    let mut secrets = Secrets::default();
    secrets.set("auth.private_key", Secret::new(&*access.private_key_pem));
    secrets.set("auth.consumer_secret", Secret::new(&*access.consumer_secret));
    secrets.set("auth.token_secret", Secret::new(&*access.token_secret));
    let name = ConnectionName::new("erp");
    let context = OpenContext {
        name: &name,
        settings: &all,
        secrets: &secrets,
        clock: clock.clone(),
        read_only: false,
        reach: selvedge_connector::Reach::ANYWHERE,
    };
    let connection = super::super::NetSuite.open(&context).unwrap();
    let again = Again { settings: all, secrets: secrets.clone(), clock: clock.clone() };
    Stand { connection, account, again, _server: server }
}

/// What a further connection to the same account is opened with.
pub(super) struct Again {
    settings: Value,
    secrets: Secrets,
    clock: Arc<ManualClock>,
}

impl Again {
    /// One that only reads, in pages of this size.
    pub fn reading(&self, change: Value, pages: Pages) -> Connection {
        let mut settings = self.settings.clone();
        settings.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let name = ConnectionName::new("audit");
        let context = OpenContext {
            name: &name,
            settings: &settings,
            secrets: &self.secrets,
            clock: self.clock.clone(),
            read_only: true,
            reach: selvedge_connector::Reach::ANYWHERE,
        };
        super::super::open("netsuite", &context, pages).unwrap_or_else(|problems| panic!("{problems:?}"))
    }
}

impl Stand {
    /// Answers lookups as the gate would: items and currencies by the account's lists, the rest by a mapping.
    pub async fn words(&self, order: &Order) -> Values {
        let seed = seed_ids();
        let subsidiary = "2";
        let mut values = Values::default();
        for lookup in self.connection.order_sink.as_ref().unwrap().lookups(order) {
            let part = |name: &str| lookup.key.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str()).unwrap_or_default();
            let id = match lookup.table.as_str() {
                "item" | "currency" => {
                    let page = self.connection.lists.as_ref().unwrap().list(&lookup.table, None).await.unwrap();
                    let wanted = &lookup.key[0].1;
                    page.entries.into_iter().find(|e| e.name == *wanted).unwrap_or_else(|| panic!("no {wanted}")).id
                }
                "subsidiary" => subsidiary.to_owned(),
                "location" => seed.locations.iter().find(|(_, _, s)| s == subsidiary).unwrap().0.clone(),
                "shipping_item" => seed.ship_items[0].0.clone(),
                "payment_method" => seed.payment_methods[0].0.clone(),
                "tax_code" => format!("{}:{}", tax_type_id(part("country")), tax_code_id(part("country"), part("rate"))),
                "discount_item" if part("kind") == "discount" => seed.discount_item.clone(),
                "discount_item" => seed.gift_card_item.clone(),
                "charge_item" => seed.handling_item.clone(),
                "guest_customer" => guest_customer_id(subsidiary, part("currency")).unwrap(),
                other => panic!("an unknown table: {other}"),
            };
            values.set(&lookup.table, lookup.key_text(), id);
        }
        values
    }

    /// Puts an order and says what disagrees with what then stands there.
    pub async fn deliver(&self, order: &Order, values: &Values, existing: Option<&Raw>) -> (Raw, Vec<Difference>) {
        let sink = self.connection.order_sink.as_ref().unwrap();
        let id = match sink.encode(order, values, Standing { own: existing, needed: None }).unwrap() {
            Encoded::Put(request) => {
                sink.put(&request).await.unwrap_or_else(|fault| panic!("{fault:#?}\n{:#}", request.body)).id.unwrap()
            }
            Encoded::Nothing => existing.unwrap().id.clone(),
        };
        let raw = self.read(&id).await;
        let source = self.connection.order_source.as_ref().unwrap();
        let decoded = source.decode(&raw, values);
        assert_eq!(decoded.problems, []);
        for (table, key, value) in decoded.values.iter() {
            assert_eq!(values.by_key(table, key), Some(value), "{table} {key}");
        }
        let differences = compare(&order.clone().into(), &decoded.record.unwrap().into(), sink.carries());
        (raw, differences)
    }

    pub async fn read(&self, id: &ExternalId) -> Raw {
        let source = self.connection.order_source.as_ref().unwrap();
        source.fetch(std::slice::from_ref(id), Priority::Orders).await.unwrap().remove(0)
    }
}

pub(super) fn as_guest(mut order: Order) -> Order {
    order.customer = None;
    order
}

#[tokio::test]
async fn orders_of_every_shape_stand_to_the_cent_and_need_no_second_write() {
    for method in ["oauth2", "oauth1"] {
        let auth = if method == "oauth1" { json!({"auth": {"method": "oauth1"}}) } else { json!({}) };
        let stand = stand(Options::default(), auth).await;
        for order in [as_guest(order_se()), order_us(), order_de(), order_jp_bundle()] {
            let values = stand.words(&order).await;
            let (raw, differences) = stand.deliver(&order, &values, None).await;
            assert_eq!(differences, [], "order {}", order.number);
            let sink = stand.connection.order_sink.as_ref().unwrap();
            assert_eq!(
                sink.encode(&order, &values, Standing { own: Some(&raw), needed: None }),
                Ok(Encoded::Nothing),
                "order {}",
                order.number
            );
            assert_eq!(sink.find(&order).await.unwrap().map(|f| f.id), Some(raw.id));
        }
        assert_eq!(stand.account.document_count(), 4);
    }
}

#[tokio::test]
async fn a_second_creation_is_known_as_one() {
    let stand = stand(Options::default(), json!({})).await;
    let order = order_de();
    let values = stand.words(&order).await;
    let sink = stand.connection.order_sink.clone().unwrap();
    let Ok(Encoded::Put(request)) = sink.encode(&order, &values, Standing::default()) else { panic!() };
    sink.put(&request).await.unwrap();
    let again = sink.put(&request).await.unwrap_err();
    assert!(matches!(again, Fault::Exists { .. }), "{again:?}");
    assert_eq!(stand.account.document_count(), 1);
}

#[tokio::test]
async fn edits_and_a_cancellation_arrive() {
    let stand = stand(Options::default(), json!({})).await;
    let order = as_guest(order_se());
    let values = stand.words(&order).await;
    let (first, _) = stand.deliver(&order, &values, None).await;
    let mut after = order.clone();
    after.lines.remove(0);
    after.lines[0].quantity = 2;
    (after.lines[0].net, after.lines[0].tax) = (money("80.00", "SEK"), money("20.00", "SEK"));
    after.lines[0].taxes[0].amount = money("20.00", "SEK");
    after.lines.push(line("SEK", "9003", "CAP", "Cap", 1, "40.00", &[("25", "10.00")]));
    after.shipping.as_mut().unwrap().line2 = None;
    let after = sum_up(after);
    let values = stand.words(&after).await;
    let (second, differences) = stand.deliver(&after, &values, Some(&first)).await;
    assert_eq!(differences, []);
    assert_eq!(second.id, first.id);
    let numbers = |raw: &Raw| -> Vec<(Option<String>, Option<String>)> {
        let document: Value = serde_json::from_slice(&raw.body).unwrap();
        wire::rows(&document, "item")
            .iter()
            .map(|row| (wire::text(row, "line"), wire::text(row, "taxDetailsReference")))
            .collect()
    };
    let before = numbers(&first).into_iter().find(|(_, r)| r.as_deref() == Some("L9002")).unwrap();
    assert!(numbers(&second).contains(&before), "the line that stayed keeps its number");
    let mut cancelled = after.clone();
    cancelled.status = OrderStatus::Cancelled;
    let (third, differences) = stand.deliver(&cancelled, &values, Some(&second)).await;
    assert_eq!(differences, []);
    let sink = stand.connection.order_sink.as_ref().unwrap();
    assert_eq!(sink.encode(&cancelled, &values, Standing { own: Some(&third), needed: None }), Ok(Encoded::Nothing));
}

#[tokio::test]
async fn what_was_billed_there_is_not_changed_any_more() {
    let stand = stand(Options::default(), json!({})).await;
    let order = order_de();
    let values = stand.words(&order).await;
    let (raw, _) = stand.deliver(&order, &values, None).await;
    assert!(stand.account.bill("so_3001").unwrap());
    let raw = stand.read(&raw.id).await;
    let sink = stand.connection.order_sink.as_ref().unwrap();
    assert_eq!(sink.encode(&order, &values, Standing { own: Some(&raw), needed: None }), Ok(Encoded::Nothing));
    let cancelled = Order { status: OrderStatus::Cancelled, ..order };
    assert_eq!(
        sink.encode(&cancelled, &values, Standing { own: Some(&raw), needed: None }).unwrap_err()[0].rule,
        "target.not_cancellable"
    );
}

#[tokio::test]
async fn other_documents_and_regimes() {
    for (options, settings, form) in [
        (
            Options { tax: TaxRegime::LegacyLine, ..Options::default() },
            json!({"tax": "legacy"}),
            Form { tax: Tax::Legacy, ..Form::default() },
        ),
        (Options::default(), json!({"document": "cash_sale"}), Form { document: Document::CashSale, ..Form::default() }),
        (
            Options { one_world: false, ..Options::default() },
            json!({"one_world": false}),
            Form { one_world: false, ..Form::default() },
        ),
    ] {
        let stand = stand(options, settings).await;
        let order = as_guest(order_se());
        let values = stand.words(&order).await;
        let (raw, differences) = stand.deliver(&order, &values, None).await;
        assert_eq!(differences, [], "{form:?}");
        assert!(matches!(encode::order(&order, &values, Some(&raw), &form), Ok(Encoded::Nothing)), "{form:?}");
    }
}

#[tokio::test]
async fn a_customer_stands_and_takes_the_order() {
    let stand = stand(Options::default(), json!({})).await;
    let order = order_se();
    let mut values = stand.words(&order).await;
    let orders = stand.connection.order_sink.clone().unwrap();
    let need = orders.needs(&order).unwrap();
    let sink = stand.connection.customer_sink.clone().unwrap();
    let Ok(Encoded::Put(request)) = sink.encode(&customer(), &values, Standing::default()) else { panic!() };
    let id = sink.put(&request).await.unwrap().id.unwrap();
    assert_eq!(sink.find(&customer()).await.unwrap().map(|f| f.id), Some(id.clone()));
    let again = sink.put(&request).await.unwrap_err();
    assert!(matches!(again, Fault::Exists { .. }), "{again:?}");
    let source = stand.connection.customer_source.clone().unwrap();
    let raw = source.fetch(std::slice::from_ref(&id), Priority::Orders).await.unwrap().remove(0);
    let read = source.decode(&raw, &values).record.unwrap();
    assert_eq!(compare(&customer().into(), &read.into(), sink.carries()), []);
    let moved = Customer { email: Some("new@example.com".into()), ..customer() };
    let Ok(Encoded::Put(request)) = sink.encode(&moved, &values, Standing { own: Some(&raw), needed: None }) else { panic!() };
    sink.put(&request).await.unwrap();
    let raw = source.fetch(std::slice::from_ref(&id), Priority::Orders).await.unwrap().remove(0);
    assert_eq!(sink.encode(&moved, &values, Standing { own: Some(&raw), needed: None }), Ok(Encoded::Nothing));
    values.set(&need.table, need.key_text, id.as_str());
    let (_, differences) = stand.deliver(&order, &values, None).await;
    assert_eq!(differences, []);
}

#[tokio::test]
async fn a_refusal_names_the_line() {
    let stand = stand(Options::default(), json!({})).await;
    let order = order_de();
    let mut values = stand.words(&order).await;
    values.set("item", "sku=BOOK", "99999999");
    let sink = stand.connection.order_sink.clone().unwrap();
    let Ok(Encoded::Put(request)) = sink.encode(&order, &values, Standing::default()) else { panic!() };
    let Fault::Refused { problems, .. } = sink.put(&request).await.unwrap_err() else { panic!() };
    assert!(problems.iter().any(|p| p.path == "lines[1].sku" && p.value.as_deref() == Some("99999999")), "{problems:#?}");
    values.set("item", "sku=BOOK", seed_ids().inactive_item);
    let Ok(Encoded::Put(request)) = sink.encode(&order, &values, Standing::default()) else { panic!() };
    let Fault::Refused { problems, .. } = sink.put(&request).await.unwrap_err() else { panic!() };
    assert!(problems[0].message.contains("inactive") && problems[0].remedy.starts_with("Make it active"), "{problems:#?}");
    assert_eq!(stand.account.document_count(), 0);
}

#[tokio::test]
async fn check_is_content_with_a_fitting_account_and_names_another_regime() {
    for zone in ["America/Los_Angeles", "Asia/Tokyo"] {
        let options = Options { session_zone: zone.into(), ..Options::default() };
        let good = stand(options, json!({"query_time_zone": zone})).await;
        let values = good.words(&order_de()).await;
        good.deliver(&order_de(), &values, None).await;
        let findings = good.connection.probe.clone().unwrap().check().await;
        // A stand-in that keeps no stock shows none, which is a warning.
        let others = findings.iter().filter(|f| f.setting.as_deref() != Some("stock_table"));
        assert!(others.clone().all(|f| f.level == FindingLevel::Good), "{zone}: {findings:#?}");
    }
    let legacy =
        stand(Options { tax: TaxRegime::LegacyLine, session_zone: "Etc/UTC".into(), ..Options::default() }, json!({})).await;
    let order = as_guest(order_se());
    // What stands there tells the zone of its timestamps.
    let legacy_form = Form { tax: Tax::Legacy, ..Form::default() };
    let Ok(Encoded::Put(request)) = encode::order(&order, &legacy.words(&order).await, None, &legacy_form) else { panic!() };
    legacy.connection.order_sink.as_ref().unwrap().put(&request).await.unwrap();
    let findings = legacy.connection.probe.clone().unwrap().check().await;
    assert!(findings.iter().any(|f| f.level == FindingLevel::Bad && f.setting.as_deref() == Some("tax")), "{findings:#?}");
    assert!(
        findings.iter().any(|f| f.level == FindingLevel::Warning && f.setting.as_deref() == Some("query_time_zone")),
        "{findings:#?}"
    );
}

#[tokio::test]
async fn every_list_can_be_read() {
    let stand = stand(Options::default(), json!({})).await;
    let lists = stand.connection.lists.clone().unwrap();
    for table in lists.tables() {
        let page = lists.list(table, None).await.unwrap();
        if *table == "posting_day" {
            // No period is closed.
            assert!(page.entries.is_empty());
            continue;
        }
        assert!(!page.entries.is_empty(), "{table}");
        assert!(page.next.is_none() || page.entries.len() == 1000, "{table}");
    }
}

#[tokio::test]
async fn an_order_that_waits_for_approval_is_taken_off_with_the_parts_of_its_kits() {
    // Of a set five caps and a book; both are kept, the set is not.
    let (item, location) = (|sku: &str| seeds().iter().position(|seed| seed.sku == sku).unwrap(), 21);
    let opening = |sku: &str, quantity| OpeningStock { item: item(sku), location, quantity };
    let goods = Goods {
        items: seeds(),
        kits: vec![KitSeed { item: item("SET"), parts: vec![(item("CAP"), 5), (item("BOOK"), 1)] }],
        opening: vec![opening("CAP", 20), opening("BOOK", 9), opening("SHIRT-WHITE-M", 4), opening("COAT", 1)],
    };
    for (status, moment) in [("A", "waits"), ("B", "is approved")] {
        let stand = stand_with(Options::default(), json!({ "order_status": status }), goods.clone()).await;
        let source = stand.connection.stock_source.clone().unwrap();
        let before: jiff::Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let levels = async |wanted: Wanted<'_>| {
            let page = source.levels(wanted, &["21".into()], None, Priority::Stock).await.unwrap();
            page.levels.into_iter().map(|l| (l.sku.to_string(), (l.pending_approval, l.free()))).collect::<BTreeMap<_, _>>()
        };
        let at_first = levels(Wanted::Everything).await;
        assert_eq!(at_first.values().copied().collect::<Vec<_>>(), [(0, 9), (0, 20), (0, 1), (0, 4)]);
        let mut order = as_guest(order_se());
        order.lines.truncate(1);
        order.lines[0].sku = "SET".into();
        order.lines[0].quantity = 2;
        order.lines.push(line("SEK", "9003", "CAP", "Cap", 1, "40.00", &[("25", "10.00")]));
        let order = sum_up(order);
        let values = stand.words(&order).await;
        stand.deliver(&order, &values, None).await;
        let pending = |units| if status == "A" { units } else { 0 };
        for wanted in [Wanted::Everything, Wanted::Since(before)] {
            let levels = levels(wanted).await;
            let of = |sku: &str| levels[sku];
            assert_eq!((of("CAP"), of("BOOK")), ((pending(11), 9), (pending(2), 7)), "it {moment}");
        }
    }
}
