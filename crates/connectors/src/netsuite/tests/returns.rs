//! Returns, credit memos and refunds against the stand-in, and by themselves.

use std::{collections::BTreeSet, sync::Arc};

use proptest::prelude::*;
use selvedge_connector::{Connection, Fault, FindingLevel, Need, Needed, Priority, Sink, Source, Standing};
use selvedge_model::{
    AnyRecord, Interval, Problem, Record, RecordKey,
    gate::{Lookup, mapping},
};
use selvedge_sim::netsuite::{Goods, KitSeed, OpeningStock, Options, TaxRegime, seed_ids, tax_code_id, tax_type_id};

use super::{
    super::{
        returns::{adjustment, authorization, credit_memo, refund},
        settings::{Document, ReturnSettings},
    },
    stand_in::{Stand, as_guest, seeds, stand_with},
    *,
};

/// The ports of one kind.
pub(super) trait Ports: Record + Into<AnyRecord> + Clone {
    fn sink(connection: &Connection) -> Arc<dyn Sink<Self>>;
    fn source(connection: &Connection) -> Arc<dyn Source<Self>>;
    fn our_key(&self) -> &RecordKey;
}

macro_rules! ports {
    ($record:ty, $sink:ident, $source:ident) => {
        impl Ports for $record {
            fn sink(connection: &Connection) -> Arc<dyn Sink<Self>> {
                connection.$sink.clone().unwrap()
            }
            fn source(connection: &Connection) -> Arc<dyn Source<Self>> {
                connection.$source.clone().unwrap()
            }
            fn our_key(&self) -> &RecordKey {
                &self.key
            }
        }
    };
}
ports!(Return, return_sink, return_source);
ports!(CreditNote, credit_note_sink, credit_note_source);
ports!(Refund, refund_sink, refund_source);

fn stocked() -> Goods {
    let at = |sku: &str| seeds().iter().position(|seed| seed.sku == sku).unwrap();
    let opening = ["SHIRT-WHITE-M", "SOCK-BLK", "CAP", "BOOK", "COAT"];
    Goods {
        items: seeds(),
        kits: vec![KitSeed { item: at("SET"), parts: vec![(at("CAP"), 2), (at("BOOK"), 1)] }],
        opening: opening.map(|sku| OpeningStock { item: at(sku), location: 21, quantity: 10 }).to_vec(),
    }
}

pub(super) async fn fitted(options: Options, returns: Value) -> Stand {
    stand_with(options, json!({ "returns": returns }), stocked()).await
}

impl Stand {
    fn on_hand(&self, sku: &str, location: &str) -> i64 {
        self.account.level(sku, location).map_or(0, |level| level.on_hand)
    }

    /// An order that stands, and left as far as asked.
    pub(super) async fn sold(&self, order: &Order, left: bool) -> Raw {
        let values = self.words(order).await;
        let (raw, differences) = self.deliver(order, &values, None).await;
        assert_eq!(differences, []);
        if left {
            assert!(self.account.fulfil(&format!("so_{}", order.number)).unwrap());
        }
        self.read(&raw.id).await
    }

    /// Answers lookups as the gate would, with places for returned goods where `places` has them.
    async fn answers(&self, lookups: &[Lookup], places: &[(&str, &str)]) -> Values {
        let (seed, mut values) = (seed_ids(), Values::default());
        let lists = self.connection.lists.clone().unwrap();
        for lookup in lookups {
            let part = |name: &str| lookup.key.iter().find(|(n, _)| n == name).map_or("", |(_, v)| v.as_str());
            let id = match lookup.table.as_str() {
                "item" | "currency" | "posting_day" => {
                    let page = lists.list(&lookup.table, None).await.unwrap();
                    page.entries.into_iter().find(|entry| entry.name == lookup.key[0].1).map(|entry| entry.id)
                }
                "shipping_item" => Some(seed.ship_items[0].0.clone()),
                "tax_code" => Some(format!("{}:{}", tax_type_id(part("country")), tax_code_id(part("country"), part("rate")))),
                "discount_item" => Some(seed.discount_item.clone()),
                "charge_item" if part("kind") == "return_fee" => Some(seed.return_fee_item.clone()),
                "charge_item" if part("kind") == "goodwill" => Some(seed.goodwill_item.clone()),
                "charge_item" => Some(seed.handling_item.clone()),
                "refund_account" if part("method") == "gift_card" => Some(seed.store_credit_account.clone()),
                "refund_account" if part("method") == "store_credit" => Some("none".to_owned()),
                "refund_account" => Some(seed.refund_account.clone()),
                "payment_method" if part("method") == "adyen" => Some("9".to_owned()),
                "payment_method" => None,
                "return_location" => {
                    places.iter().find(|(word, _)| *word == part("disposition")).map(|(_, place)| (*place).to_owned())
                }
                other => panic!("an unknown table: {other}"),
            };
            match id {
                Some(id) => values.set(&lookup.table, lookup.key_text(), id),
                None => assert!(lookup.optional, "{lookup:?}"),
            }
        }
        values
    }

    pub(super) async fn document<R: Ports>(&self, id: &ExternalId) -> Raw {
        R::source(&self.connection).fetch(std::slice::from_ref(id), Priority::Orders).await.unwrap().remove(0)
    }

    /// Brings a record there as the flow does, step by step; what stands then agrees with it. Answers its document, or the rules
    /// that held it.
    pub(super) async fn bring<R: Ports>(
        &self,
        record: &R,
        needed: Option<&Raw>,
        own: Option<&Raw>,
    ) -> Result<Option<Raw>, Vec<Problem>> {
        self.bring_with(record, needed, own, &[]).await
    }

    async fn bring_with<R: Ports>(
        &self,
        record: &R,
        needed: Option<&Raw>,
        own: Option<&Raw>,
        places: &[(&str, &str)],
    ) -> Result<Option<Raw>, Vec<Problem>> {
        let (sink, source) = (R::sink(&self.connection), R::source(&self.connection));
        let mut values = self.answers(&sink.lookups(record), places).await;
        if let (Some(Need { table, key_text, .. }), Some(raw)) = (sink.needs(record), needed) {
            values.set(&table, key_text, raw.id.as_str());
        }
        let mut own = own.cloned();
        for _ in 0..4 {
            let there = Standing { own: own.as_ref(), needed };
            let request = match sink.encode(record, &values, there)? {
                Encoded::Nothing => break,
                Encoded::Put(request) => request,
            };
            let id = match sink.put(&request).await {
                Ok(receipt) => receipt.id.unwrap(),
                Err(Fault::Refused { problems, .. }) => return Err(problems),
                Err(other) => panic!("{other:#?}\n{:#}", request.body),
            };
            own = Some(self.document::<R>(&id).await);
            if !request.unfinished {
                break;
            }
        }
        if let Some(raw) = &own {
            assert_eq!(sink.find(record).await.unwrap().map(|found| found.id), Some(raw.id.clone()));
            let decoded = source.decode(raw, &values);
            assert_eq!(decoded.problems, []);
            for (table, key, value) in decoded.values.iter() {
                assert_eq!(values.by_key(table, key), Some(value), "{table} {key}");
            }
            let there: AnyRecord = decoded.record.unwrap().into();
            assert_eq!(compare(&record.clone().into(), &there, sink.carries()), [], "{}", record.our_key());
            let again = sink.encode(record, &values, Standing { own: own.as_ref(), needed });
            assert_eq!(again, Ok(Encoded::Nothing), "and needs no second write");
        }
        Ok(own)
    }
}

fn rules<T: std::fmt::Debug>(result: Result<T, Vec<Problem>>) -> Vec<String> {
    result.unwrap_err().into_iter().map(|problem| problem.rule).collect()
}

fn body(raw: &Raw) -> Value {
    serde_json::from_slice(&raw.body).unwrap()
}

fn status(raw: &Raw) -> String {
    body(raw)["status"]["id"].as_str().unwrap().to_owned()
}

/// (order, its line, sku, units).
pub(super) fn goods(order: &str, id: &str, status: ReturnStatus, lines: &[(&str, &str, &str, u32)]) -> Return {
    let at = "2026-02-10T10:00:00Z".parse().unwrap();
    let one = lines.iter().all(|(of, ..)| *of == order);
    let line = |(of, line, sku, quantity): &(&str, &str, &str, u32)| ReturnLine {
        order: Some((*of).into()),
        order_line: Some((*line).into()),
        sku: (*sku).into(),
        quantity: *quantity,
        condition: None,
        reason: None,
    };
    Return {
        key: return_key(Some(order), "shop", id),
        id: id.into(),
        order: one.then(|| order.into()),
        counterpart: None,
        shipment: None,
        status,
        created_at: at,
        received_at: Some(at).filter(|_| status == ReturnStatus::Received),
        updated_at: at,
        warehouse: Some(named("w1", "North")),
        disposition: Disposition::Restock,
        reason: Some("too small".into()),
        comment: None,
        lines: lines.iter().map(line).collect(),
    }
}

/// What is given back of an order's lines: (line, units, net, tax), the tax at the line's first rate.
pub(super) fn credit(order: &Order, id: &str, of_return: bool, lines: &[(&str, u32, &str, &str)]) -> CreditNote {
    let code = order.currency.code();
    let key = return_key(Some(order.number.as_str()), "shop", id);
    let line = |(line, quantity, net, tax): &(&str, u32, &str, &str)| {
        let sold = order.lines.iter().find(|known| known.id.as_str() == *line).unwrap();
        let (net, tax) = (money(net, code), money(tax, code));
        let part = SoldPart { order: order.number.clone(), line: sold.id.clone(), quantity: *quantity, net, tax };
        CreditLine {
            id: format!("c{line}").as_str().into(),
            kind: CreditKind::Goods,
            sold: vec![part],
            sku: sold.sku.clone(),
            name: sold.name.clone(),
            quantity: *quantity,
            unit_net: net.decimal() / Decimal::from(*quantity),
            net,
            tax,
            taxes: sold.taxes.first().map(|known| TaxLine { amount: tax, ..known.clone() }).into_iter().collect(),
        }
    };
    let nothing = Charge::none(order.currency);
    let note = CreditNote {
        id: id.into(),
        number: format!("{}-{id}", order.number),
        order: Some(order.number.clone()),
        of_return: of_return.then(|| key.clone()),
        key,
        goods: None,
        reason: if of_return { CreditReason::Return } else { CreditReason::Goodwill },
        status: CreditStatus::Issued,
        issued_at: "2026-02-10T10:00:00Z".parse().unwrap(),
        issued_on: "2026-02-10".parse().unwrap(),
        updated_at: "2026-02-10T10:00:00Z".parse().unwrap(),
        buyer: None,
        currency: order.currency,
        lines: lines.iter().map(line).collect(),
        discounts: vec![],
        shipping: nothing.clone(),
        handling: nothing.clone(),
        fee: nothing.clone(),
        goodwill: nothing,
        totals: order.totals,
        comment: None,
        sale: Some(Box::new(Order { lines: vec![], ..order.clone() })),
    };
    add_up(note)
}

pub(super) fn add_up(mut note: CreditNote) -> CreditNote {
    let (mut net, mut tax) = (Money::zero(note.currency), Money::zero(note.currency));
    for line in &note.lines {
        (net, tax) = (net.plus(line.net).unwrap(), tax.plus(line.tax).unwrap());
    }
    for charge in [&note.shipping, &note.handling, &note.goodwill] {
        (net, tax) = (net.plus(charge.net).unwrap(), tax.plus(charge.tax).unwrap());
    }
    net = net.minus(note.fee.net).unwrap();
    tax = tax.minus(note.fee.tax).unwrap();
    for discount in &note.discounts {
        (net, tax) = (net.minus(discount.net).unwrap(), tax.minus(discount.tax).unwrap());
    }
    note.totals = Totals { net, tax, gross: net.plus(tax).unwrap() };
    note
}

pub(super) fn charge(code: &str, net: &str, tax: &str, rate: &str) -> Charge {
    Charge { net: money(net, code), tax: money(tax, code), rate: Some(rate.parse().unwrap()) }
}

pub(super) fn paid(note: &CreditNote, id: &str, tender: Tender, amount: &str) -> Refund {
    Refund {
        key: return_key(note.order.as_ref().map(|order| order.as_str()), "shop", id),
        id: id.into(),
        order: note.order.clone(),
        credit_note: note.key.clone(),
        status: PaymentStatus::Success,
        tender,
        method: Some("adyen".into()),
        reference: Some(format!("PSP-{id}")),
        amount: money(amount, note.currency.code()),
        at: "2026-02-11T10:00:00Z".parse().unwrap(),
        on: "2026-02-11".parse().unwrap(),
        updated_at: "2026-02-11T10:00:00Z".parse().unwrap(),
        market: None,
    }
}

#[tokio::test]
async fn a_return_is_authorized_received_and_credited_in_parts_and_paid_in_two_tenders() {
    let stand = fitted(Options::default(), json!({})).await;
    let order = as_guest(order_se());
    let sold = stand.sold(&order, true).await;
    assert_eq!((stand.on_hand("SHIRT-WHITE-M", "21"), stand.on_hand("SOCK-BLK", "21")), (8, 7));
    let lines = [("1042", "9001", "SHIRT-WHITE-M", 2), ("1042", "9002", "SOCK-BLK", 1)];
    let announced = goods("1042", "r1", ReturnStatus::Announced, &lines);
    let ra = stand.bring(&announced, Some(&sold), None).await.unwrap().unwrap();
    assert_eq!((status(&ra).as_str(), body(&ra)["createdFrom"]["id"].as_str()), ("B", Some(sold.id.as_str())));
    assert_eq!(body(&ra)["item"]["items"].as_array().unwrap().len(), 2);
    let received = goods("1042", "r1", ReturnStatus::Received, &lines);
    let ra = stand.bring(&received, Some(&sold), Some(&ra)).await.unwrap().unwrap();
    assert_eq!(status(&ra), "F");
    assert_eq!((stand.on_hand("SHIRT-WHITE-M", "21"), stand.on_hand("SOCK-BLK", "21")), (10, 8));
    // The first part of the money, with shipping and what is kept back of it.
    let mut first = credit(&order, "r1", true, &[("9001", 1, "159.20", "39.80"), ("9002", 1, "39.99", "10.00")]);
    first.shipping = charge("SEK", "39.20", "9.80", "25");
    first.fee = charge("SEK", "20.00", "5.00", "25");
    let first = add_up(first);
    let cm = stand.bring(&first, Some(&ra), None).await.unwrap().unwrap();
    let document = body(&cm);
    assert_eq!((document["createdFrom"]["id"].as_str(), status(&cm).as_str()), (Some(ra.id.as_str()), "A"));
    assert_eq!((&document["otherRefNum"], document["total"].to_string()), (&json!("1042-r1"), "272.99".to_owned()));
    assert!(document["memo"].as_str().unwrap().contains("1042.shop.r1"), "{}", document["memo"]);
    // The rest of it, by a memo of its own; one unit more is refused before it is sent.
    let ra = stand.document::<Return>(&ra.id).await;
    let rest =
        CreditNote { of_return: first.of_return.clone(), ..credit(&order, "r1b", true, &[("9001", 1, "159.20", "39.80")]) };
    let over =
        CreditNote { of_return: first.of_return.clone(), ..credit(&order, "r1b", true, &[("9001", 2, "318.40", "79.60")]) };
    assert_eq!(rules(stand.bring(&over, Some(&ra), None).await), ["credit.over_authorization"]);
    stand.bring(&rest, Some(&ra), None).await.unwrap().unwrap();
    let ra = stand.document::<Return>(&ra.id).await;
    assert_eq!(status(&ra), "G");
    // Paid back by card and onto a gift card; the rest of it stays owed as store credit.
    let memo = async |raw: Raw| stand.document::<CreditNote>(&raw.id).await;
    let card = stand.bring(&paid(&first, "p1", Tender::Payment, "200.00"), Some(&cm), None).await.unwrap().unwrap();
    let document = body(&card);
    assert_eq!((document["account"]["id"].as_str(), document["paymentOption"]["id"].as_str()), (Some("301"), Some("9")));
    assert!(document["memo"].as_str().unwrap().contains("PSP-p1"), "{}", document["memo"]);
    let cm = memo(cm).await;
    assert_eq!(body(&cm)["amountRemaining"].to_string(), "72.99");
    assert_eq!(rules(stand.bring(&paid(&first, "p2", Tender::Payment, "73.00"), Some(&cm), None).await), ["refund.over_credit"]);
    let gift = stand.bring(&paid(&first, "p2", Tender::GiftCard, "50.00"), Some(&cm), None).await.unwrap().unwrap();
    assert_eq!(body(&gift)["account"]["id"], seed_ids().store_credit_account);
    let cm = memo(cm).await;
    assert_eq!(stand.bring(&paid(&first, "p3", Tender::StoreCredit, "22.99"), Some(&cm), None).await, Ok(None), "left open");
    assert_eq!(body(&memo(cm).await)["amountRemaining"].to_string(), "22.99");
    assert_eq!(
        stand.account.documents_csv(),
        "doc,net,tax,gross,currency,country,lines\n1042,477.59,119.40,596.99,SEK,SE,2\n1042-r1,-218.39,-54.60,-272.99,SEK,SE,2\n1042-r1b,-159.20,-39.80,-199.00,SEK,SE,1\n"
    );
    assert_eq!(
        stand.account.returns_csv(),
        "order,ra,sku,qty,received,restock\n1042,1042.shop.r1,SHIRT-WHITE-M,2,2,2\n1042,1042.shop.r1,SOCK-BLK,1,1,1\n"
    );
    let refunds = stand.account.refunds_csv();
    assert!(refunds.contains("1042-r1,1042.shop.p1,Adyen,") && refunds.contains(",200.00\n"), "{refunds}");
    // What is there is found by the sweep.
    let always = Interval { from: "2020-01-01T00:00:00Z".parse().unwrap(), to: "2099-01-01T00:00:00Z".parse().unwrap() };
    let source = CreditNote::source(&stand.connection);
    let keys: Vec<String> =
        source.enumerate(&always, None).await.unwrap().items.into_iter().map(|item| item.key.unwrap().to_string()).collect();
    assert_eq!(keys, ["1042.shop.r1", "1042.shop.r1b"]);
    assert_eq!(source.list(&always, None).await.unwrap().raws.len(), 2);
    assert_eq!(Return::source(&stand.connection).list(&always, None).await.unwrap().raws.len(), 1);
    assert_eq!(Refund::source(&stand.connection).enumerate(&always, None).await.unwrap().items.len(), 2);
    let findings = stand.connection.probe.clone().unwrap().check().await;
    assert!(findings.iter().all(|f| f.level != FindingLevel::Bad), "{findings:#?}");
    assert!(findings.iter().any(|f| f.message.contains("may read a customerRefund")), "{findings:#?}");
}

#[tokio::test]
async fn a_lost_answer_never_receives_or_credits_twice() {
    let stand = fitted(Options::default(), json!({})).await;
    let order = as_guest(order_se());
    let sold = stand.sold(&order, true).await;
    let ret = goods("1042", "r1", ReturnStatus::Received, &[("1042", "9002", "SOCK-BLK", 2)]);
    let sink = Return::sink(&stand.connection);
    let mut values = stand.answers(&sink.lookups(&ret), &[]).await;
    let Need { table, key_text, what } = sink.needs(&ret).unwrap();
    assert!(matches!(what, Needed::Document { .. }));
    values.set(&table, key_text, sold.id.as_str());
    let encode = |own: Option<&Raw>| sink.encode(&ret, &values, Standing { own, needed: Some(&sold) }).unwrap();
    let Encoded::Put(first) = encode(None) else { panic!() };
    assert!(first.unfinished && !sink.finishes_in_one());
    let id = sink.put(&first).await.unwrap().id.unwrap();
    // The answer was lost: a second one is refused as one, and the first is found and looked at.
    assert!(matches!(sink.put(&first).await.unwrap_err(), Fault::Exists { .. }));
    assert_eq!(sink.find(&ret).await.unwrap().map(|found| found.id), Some(id.clone()));
    let Encoded::Put(receipt) = encode(Some(&stand.document::<Return>(&id).await)) else { panic!() };
    assert_eq!(receipt.update.as_ref(), Some(&id), "the receipt is a step of the authorization");
    assert_eq!(sink.put(&receipt).await.unwrap().id, Some(id.clone()));
    assert_eq!(stand.on_hand("SOCK-BLK", "21"), 9);
    // Its answer was lost, too: there is nothing to receive any more, and were it sent all the same it is refused.
    assert_eq!(encode(Some(&stand.document::<Return>(&id).await)), Encoded::Nothing);
    assert!(matches!(sink.put(&receipt).await.unwrap_err(), Fault::Refused { .. } | Fault::Exists { .. }));
    assert_eq!(stand.on_hand("SOCK-BLK", "21"), 9);
    let ra = stand.document::<Return>(&id).await;
    let note = credit(&order, "r1", true, &[("9002", 2, "79.99", "20.00")]);
    let cm = stand.bring(&note, Some(&ra), None).await.unwrap().unwrap();
    let refund = paid(&note, "p1", Tender::Payment, "99.99");
    stand.bring(&refund, Some(&cm), None).await.unwrap().unwrap();
    let refunds = Refund::sink(&stand.connection);
    let mut values = stand.answers(&refunds.lookups(&refund), &[]).await;
    let need = refunds.needs(&refund).unwrap();
    values.set(&need.table, need.key_text, cm.id.as_str());
    let Ok(Encoded::Put(again)) = refunds.encode(&refund, &values, Standing { own: None, needed: Some(&cm) }) else { panic!() };
    assert!(matches!(refunds.put(&again).await.unwrap_err(), Fault::Refused { .. } | Fault::Exists { .. }));
    assert_eq!(stand.account.return_count(), 4, "an authorization, a receipt, a memo, a refund");
}

#[tokio::test]
async fn goods_of_several_orders_stand_alone_and_their_credit_takes_of_each_line() {
    let stand = fitted(Options::default(), json!({})).await;
    let one = as_guest(order_se());
    let mut two = as_guest(order_se());
    two.number = "1043".into();
    // Another order has a line with the same id.
    let sold = stand.sold(&one, true).await;
    stand.sold(&two, true).await;
    let lines = [("1042", "9001", "SHIRT-WHITE-M", 2), ("1043", "9001", "SHIRT-WHITE-M", 1)];
    let ret = goods("1042", "c1", ReturnStatus::Received, &lines);
    let mut note = credit(&one, "c1", true, &[("9001", 3, "477.60", "119.40")]);
    let of = |order: &str, quantity, net: &str, tax: &str| SoldPart {
        order: order.into(),
        line: "9001".into(),
        quantity,
        net: money(net, "SEK"),
        tax: money(tax, "SEK"),
    };
    note.lines[0].sold = vec![of("1042", 2, "318.40", "79.60"), of("1043", 1, "159.20", "39.80")];
    note.order = None;
    note.goods = Some(Box::new(ret.clone()));
    let need = CreditNote::sink(&stand.connection).needs(&note).unwrap();
    let Needed::Record(AnyRecord::Return(first)) = need.what else { panic!() };
    assert_eq!(*first, ret, "its goods come first");
    let ra = stand.bring(&ret, Some(&sold), None).await.unwrap().unwrap();
    assert!(body(&ra).get("createdFrom").is_none());
    assert_eq!(body(&ra)["entity"]["id"], body(&sold)["entity"]["id"]);
    assert_eq!((status(&ra).as_str(), stand.on_hand("SHIRT-WHITE-M", "21")), ("F", 9));
    let cm = stand.bring(&note, Some(&ra), None).await.unwrap().unwrap();
    let rows = body(&cm)["item"]["items"].as_array().unwrap().clone();
    let told: Vec<(String, String)> =
        rows.iter().map(|row| (row["taxDetailsReference"].as_str().unwrap().to_owned(), row["amount"].to_string())).collect();
    assert_eq!(told, [("Lc9001#1".to_owned(), "318.4".to_owned()), ("Lc9001#2".to_owned(), "159.2".to_owned())]);
    assert_eq!(status(&stand.document::<Return>(&ra.id).await), "G");
    assert_eq!(stand.on_hand("SHIRT-WHITE-M", "21"), 9, "a memo of an authorization moves nothing");
}

fn with_bundle() -> Order {
    let mut order = as_guest(order_se());
    let item = |id: &str, sku: &str, units| OrderLine {
        kind: LineKind::BundleItem,
        bundle: Some("9003".into()),
        ..line("SEK", id, sku, "Part", units, "0", &[])
    };
    order.lines.push(OrderLine { kind: LineKind::Bundle, ..line("SEK", "9003", "SET", "Set", 2, "80.00", &[("25", "20.00")]) });
    order.lines.extend([item("9004", "CAP", 4), item("9005", "BOOK", 2)]);
    sum_up(order)
}

#[tokio::test]
async fn a_kit_comes_back_whole_by_its_order_and_in_parts_by_itself() {
    let stand = fitted(Options::default(), json!({})).await;
    let order = with_bundle();
    let sold = stand.sold(&order, true).await;
    assert_eq!((stand.on_hand("CAP", "21"), stand.on_hand("BOOK", "21")), (6, 8));
    let whole = goods("1042", "r1", ReturnStatus::Received, &[("1042", "9003", "SET", 1)]);
    let ra = stand.bring(&whole, Some(&sold), None).await.unwrap().unwrap();
    assert_eq!((stand.on_hand("CAP", "21"), stand.on_hand("BOOK", "21")), (8, 9));
    assert!(body(&ra).get("createdFrom").is_some());
    stand.bring(&credit(&order, "r1", true, &[("9003", 1, "40.00", "10.00")]), Some(&ra), None).await.unwrap().unwrap();
    let parts = goods("1042", "r2", ReturnStatus::Received, &[("1042", "9004", "CAP", 1)]);
    let ra = stand.bring(&parts, Some(&sold), None).await.unwrap().unwrap();
    assert!(body(&ra).get("createdFrom").is_none());
    assert_eq!((stand.on_hand("CAP", "21"), stand.on_hand("BOOK", "21")), (9, 9));
    let mut note = credit(&order, "r2", true, &[("9004", 1, "12.50", "3.13")]);
    note.lines[0].taxes = vec![TaxLine { name: "VAT".into(), rate: "25".parse().unwrap(), amount: money("3.13", "SEK") }];
    stand.bring(&note, Some(&ra), None).await.unwrap().unwrap();
}

#[tokio::test]
async fn what_becomes_of_goods_decides_where_they_go() {
    for (disposition, places, restock_field, shelf, elsewhere) in [
        (Disposition::Restock, &[][..], true, 8, 0),
        (Disposition::Quarantine, &[("quarantine", "22")], true, 7, 1),
        (Disposition::WriteOff, &[], true, 7, 0),
        (Disposition::WriteOff, &[("write_off", "22")], false, 7, 1),
    ] {
        let stand = fitted(Options { restock_field, ..Options::default() }, json!({})).await;
        let order = as_guest(order_se());
        let sold = stand.sold(&order, true).await;
        let ret = Return { disposition, ..goods("1042", "r1", ReturnStatus::Received, &[("1042", "9002", "SOCK-BLK", 1)]) };
        let ra = stand.bring_with(&ret, Some(&sold), None, places).await.unwrap().unwrap();
        assert_eq!(status(&ra), "F", "{disposition:?}");
        assert_eq!((stand.on_hand("SOCK-BLK", "21"), stand.on_hand("SOCK-BLK", "22")), (shelf, elsewhere), "{disposition:?}");
    }
    // An account without the flag, and no place for such goods.
    let stand = fitted(Options { restock_field: false, ..Options::default() }, json!({})).await;
    let sold = stand.sold(&as_guest(order_se()), true).await;
    let ret = goods("1042", "r1", ReturnStatus::Received, &[("1042", "9002", "SOCK-BLK", 1)]);
    let ret = Return { disposition: Disposition::WriteOff, ..ret };
    let held = stand.bring(&ret, Some(&sold), None).await.unwrap_err();
    assert!(held[0].remedy.contains("return_location"), "{held:#?}");
    let findings = stand.connection.probe.clone().unwrap().check().await;
    assert!(findings.iter().any(|f| f.setting.as_deref() == Some("returns.restock_field")), "{findings:#?}");
}

#[tokio::test]
async fn a_return_that_others_touched_is_looked_at_and_not_guessed() {
    let stand = fitted(Options::default(), json!({})).await;
    let sold = stand.sold(&as_guest(order_se()), true).await;
    let lines = [("1042", "9002", "SOCK-BLK", 3)];
    let announced = goods("1042", "r1", ReturnStatus::Announced, &lines);
    let ra = stand.bring(&announced, Some(&sold), None).await.unwrap().unwrap();
    // One came by hand; the receipt takes the others.
    assert!(stand.account.receive_by_hand("ra_1042_u2e_shop_u2e_r1", "SOCK-BLK", 1).unwrap());
    let ra = stand.document::<Return>(&ra.id).await;
    assert_eq!(status(&ra), "D");
    let cancelled = Return { status: ReturnStatus::Cancelled, ..announced.clone() };
    assert_eq!(rules(stand.bring(&cancelled, Some(&sold), Some(&ra)).await), ["return.cancelled"]);
    let ra = stand.bring(&goods("1042", "r1", ReturnStatus::Received, &lines), Some(&sold), Some(&ra)).await.unwrap().unwrap();
    assert_eq!((status(&ra).as_str(), stand.on_hand("SOCK-BLK", "21")), ("F", 10));
    let fewer = goods("1042", "r1", ReturnStatus::Received, &[("1042", "9002", "SOCK-BLK", 2)]);
    assert_eq!(rules(stand.bring(&fewer, Some(&sold), Some(&ra)).await), ["return.differs"]);
    // One that never came is closed.
    let other = goods("1042", "r2", ReturnStatus::Announced, &[("1042", "9001", "SHIRT-WHITE-M", 1)]);
    let ra = stand.bring(&other, Some(&sold), None).await.unwrap().unwrap();
    let cancelled = Return { status: ReturnStatus::Cancelled, ..other.clone() };
    let ra = stand.bring(&cancelled, Some(&sold), Some(&ra)).await.unwrap().unwrap();
    assert_eq!(status(&ra), "H");
    let back = Return { status: ReturnStatus::Received, ..other.clone() };
    assert_eq!(rules(stand.bring(&back, Some(&sold), Some(&ra)).await), ["return.authorization_state"]);
    let note = credit(&as_guest(order_se()), "r2", true, &[("9001", 1, "159.20", "39.80")]);
    assert_eq!(rules(stand.bring(&note, Some(&ra), None).await), ["credit.authorization_state"]);
    // One that waits for approval.
    let waiting = fitted(Options::default(), json!({"status": "A"})).await;
    let sold = waiting.sold(&as_guest(order_se()), true).await;
    let ra = waiting.bring(&announced, Some(&sold), None).await.unwrap().unwrap();
    assert_eq!(status(&ra), "A");
    let received = goods("1042", "r1", ReturnStatus::Received, &lines);
    assert_eq!(rules(waiting.bring(&received, Some(&sold), Some(&ra)).await), ["return.authorization_state"]);
}

#[tokio::test]
async fn goodwill_stands_alone_and_units_without_a_return_are_asked_about() {
    let stand = fitted(Options::default(), json!({})).await;
    let order = as_guest(order_se());
    let sold = stand.sold(&order, true).await;
    let mut note = credit(&order, "p7", false, &[]);
    note.goodwill = charge("SEK", "80.00", "20.00", "25");
    let note = add_up(note);
    let need = CreditNote::sink(&stand.connection).needs(&note).unwrap();
    assert!(matches!(need.what, Needed::Document { kind: Kind::Order, .. }));
    let cm = stand.bring(&note, Some(&sold), None).await.unwrap().unwrap();
    assert_eq!(body(&cm)["entity"]["id"], body(&sold)["entity"]["id"]);
    assert_eq!(body(&cm)["item"]["items"][0]["item"]["id"], seed_ids().goodwill_item);
    // Goods without a return: nobody has tried what a memo does to the stock here.
    let units = credit(&order, "p8", false, &[("9002", 1, "40.00", "10.00")]);
    assert_eq!(rules(stand.bring(&units, Some(&sold), None).await), ["credit.moves_stock"]);
    let tried = fitted(Options { memo_moves_stock: false, ..Options::default() }, json!({"memo_moves_stock": false})).await;
    let sold = tried.sold(&order, true).await;
    tried.bring(&units, Some(&sold), None).await.unwrap().unwrap();
    assert_eq!(tried.on_hand("SOCK-BLK", "21"), 7);
    // Taken back after it stands: the service cannot void it, a person does.
    let void = CreditNote { status: CreditStatus::Void, ..note.clone() };
    assert_eq!(rules(stand.bring(&void, Some(&sold), Some(&cm)).await), ["credit.void"]);
    assert_eq!(stand.bring(&void, Some(&sold), None).await, Ok(None));
    assert!(stand.account.void("cm_1042_u2e_shop_u2e_p7").unwrap());
    let cm = stand.document::<CreditNote>(&cm.id).await;
    stand.bring(&void, Some(&sold), Some(&cm)).await.unwrap().unwrap();
    assert_eq!(rules(stand.bring(&paid(&note, "p1", Tender::Payment, "1"), Some(&cm), None).await), ["refund.credit_void"]);
    assert!(!stand.account.documents_csv().contains("1042-p7"));
    let more = add_up(CreditNote { goodwill: charge("SEK", "88.00", "22.00", "25"), ..note });
    let decoded = rules(stand.bring(&more, Some(&sold), Some(&cm)).await);
    assert_eq!(decoded, ["credit.differs"]);
}

#[tokio::test]
async fn goodwill_on_an_order_of_several_rates_is_shared_over_them() {
    let stand = fitted(Options::default(), json!({})).await;
    let order = as_guest(order_se());
    let sold = stand.sold(&order, true).await;
    let taxed = |id: &str, net: &str, tax: &str, rate: i64| OrderLine {
        net: money(net, "SEK"),
        tax: money(tax, "SEK"),
        taxes: vec![TaxLine { name: "Moms".into(), rate: Decimal::from(rate), amount: money(tax, "SEK") }],
        ..OrderLine::of_units(id.into(), "SOCK-BLK".into(), 1, order.currency)
    };
    let mut note = credit(&order, "p7", false, &[]);
    // Half of the goods at a quarter, half at twelve percent; the shop states one tax for both.
    note.goodwill = Charge { net: money("80.00", "SEK"), tax: money("14.80", "SEK"), rate: None };
    note.sale =
        Some(Box::new(Order { lines: vec![taxed("1", "100.00", "25.00", 25), taxed("2", "100.00", "12.00", 12)], ..order }));
    let cm = stand.bring(&add_up(note), Some(&sold), None).await.unwrap().unwrap();
    let document = body(&cm);
    let taxes: BTreeSet<String> = document["taxDetails"]["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| format!("{} {}", row["taxRate"], row["taxAmount"]))
        .collect();
    assert_eq!(taxes.len(), 2, "{document}");
    assert_eq!(document["total"].to_string().parse::<Decimal>().unwrap(), "94.80".parse().unwrap(), "{document}");
}

#[tokio::test]
async fn a_closed_period_holds_or_moves_and_the_memo_says_so() {
    for (policy, locked) in [("hold", false), ("next_open", false), ("next_open", true)] {
        let stand = fitted(Options::default(), json!({ "closed_period": policy })).await;
        let order = as_guest(order_se());
        let sold = stand.sold(&order, true).await;
        let ret = goods("1042", "r1", ReturnStatus::Received, &[("1042", "9002", "SOCK-BLK", 2)]);
        let note = credit(&order, "r1", true, &[("9002", 2, "79.99", "20.00")]);
        let refund = paid(&note, "p1", Tender::Payment, "99.99");
        let close = |closed| {
            if locked { stand.account.lock_receivables("2026-02", closed) } else { stand.account.close_period("2026-02", closed) }
        };
        close(true).unwrap();
        if policy == "hold" {
            assert_eq!(rules(stand.bring(&ret, Some(&sold), None).await), ["period.closed"]);
            close(false).unwrap();
            let id = Return::sink(&stand.connection).find(&ret).await.unwrap().unwrap().id;
            let ra = stand.document::<Return>(&id).await;
            let ra = stand.bring(&ret, Some(&sold), Some(&ra)).await.unwrap().unwrap();
            close(true).unwrap();
            let held = stand.bring(&note, Some(&ra), None).await.unwrap_err();
            assert_eq!((held[0].rule.as_str(), held[0].path.as_str()), ("period.closed", "issued_on"));
            assert!(held[0].remedy.contains("2026-03-01"), "{}", held[0].remedy);
            // The gate looked before finance closed it: NetSuite refuses, under the same rule.
            let sink = CreditNote::sink(&stand.connection);
            let mut values = stand.answers(&sink.lookups(&note), &[]).await;
            let mut open = Values::default();
            for (table, key, value) in values.iter().filter(|(table, ..)| *table != "posting_day") {
                open.set(table, key, value);
            }
            values = open;
            let Ok(Encoded::Put(late)) = sink.encode(&note, &values, Standing { own: None, needed: Some(&ra) }) else { panic!() };
            let Fault::Refused { problems, .. } = sink.put(&late).await.unwrap_err() else { panic!() };
            assert_eq!(problems[0].rule, "period.closed");
            assert!(problems[0].remedy.contains("next_open"), "{}", problems[0].remedy);
            close(false).unwrap();
            let cm = stand.bring(&note, Some(&ra), None).await.unwrap().unwrap();
            close(true).unwrap();
            assert_eq!(rules(stand.bring(&refund, Some(&cm), None).await), ["period.closed"]);
            continue;
        }
        let ra = stand.bring(&ret, Some(&sold), None).await.unwrap().unwrap();
        let cm = stand.bring(&note, Some(&ra), None).await.unwrap().unwrap();
        let document = body(&cm);
        assert_eq!(document["tranDate"], "2026-03-01");
        let memo = document["memo"].as_str().unwrap();
        assert!(memo.starts_with("credited on 2026-02-10, posted on 2026-03-01: period closed. "), "{memo}");
        let crf = stand.bring(&refund, Some(&cm), None).await.unwrap().unwrap();
        assert_eq!(body(&crf)["tranDate"], "2026-03-01");
    }
}

#[tokio::test]
async fn an_adjustment_instead_of_an_authorization() {
    let settings = json!({"goods": "adjustment", "memo_moves_stock": false, "account": seed_ids().adjustment_account});
    let stand = fitted(Options { memo_moves_stock: false, ..Options::default() }, settings).await;
    let order = with_bundle();
    let sold = stand.sold(&order, true).await;
    let lines = [("1042", "9002", "SOCK-BLK", 2)];
    assert_eq!(stand.bring(&goods("1042", "r1", ReturnStatus::Announced, &lines), Some(&sold), None).await, Ok(None));
    let received = goods("1042", "r1", ReturnStatus::Received, &lines);
    let gone = Return { disposition: Disposition::WriteOff, ..received.clone() };
    assert_eq!(stand.bring(&gone, Some(&sold), None).await, Ok(None));
    let ia = stand.bring(&received, Some(&sold), None).await.unwrap().unwrap();
    assert_eq!((stand.on_hand("SOCK-BLK", "21"), body(&ia)["account"]["id"].as_str()), (9, Some("304")));
    let note = credit(&order, "r1", true, &[("9002", 2, "79.99", "20.00")]);
    assert!(matches!(CreditNote::sink(&stand.connection).needs(&note).unwrap().what, Needed::Document { kind: Kind::Order, .. }));
    stand.bring(&note, Some(&sold), None).await.unwrap().unwrap();
    assert_eq!(stand.on_hand("SOCK-BLK", "21"), 9, "once, and not twice");
    let kit = goods("1042", "r2", ReturnStatus::Received, &[("1042", "9003", "SET", 1)]);
    assert_eq!(rules(stand.bring(&kit, Some(&sold), None).await), ["return.kit_adjustment"]);
    let fewer = goods("1042", "r1", ReturnStatus::Received, &[("1042", "9002", "SOCK-BLK", 1)]);
    assert_eq!(rules(stand.bring(&fewer, Some(&sold), Some(&ia)).await), ["return.differs"]);
    let with_goods =
        CreditNote { goods: Some(Box::new(received)), ..credit(&order, "r3", true, &[("9002", 1, "40.00", "10.00")]) };
    assert_eq!(rules(stand.bring(&with_goods, Some(&sold), None).await), ["credit.goods_with_it"]);
}

#[tokio::test]
async fn what_finance_has_to_see_to_is_told_from_what_the_document_lacks() {
    let stand = fitted(Options::default(), json!({})).await;
    let order = as_guest(order_se());
    let sold = stand.sold(&order, true).await;
    let ret = goods("1042", "r1", ReturnStatus::Received, &[("1042", "9002", "SOCK-BLK", 1)]);
    stand.account.edit_item("SOCK-BLK", "isInactive", &json!(true)).unwrap();
    // It was made from an order that has the item already; by itself it is refused.
    let several = [("1042", "9002", "SOCK-BLK", 1), ("1043", "9002", "SOCK-BLK", 1)];
    let held = stand.bring(&goods("1042", "r9", ReturnStatus::Announced, &several), Some(&sold), None).await.unwrap_err();
    assert_eq!(held[0].rule, "target.inactive_item");
    stand.account.edit_item("SOCK-BLK", "isInactive", &json!(false)).unwrap();
    let ra = stand.bring(&ret, Some(&sold), None).await.unwrap().unwrap();
    let note = credit(&order, "r1", true, &[("9002", 1, "40.00", "10.00")]);
    // Credited first only where the account lets it.
    let strict = fitted(Options { credit_in_advance: false, ..Options::default() }, json!({"credit_in_advance": false})).await;
    let sold_there = strict.sold(&order, true).await;
    let announced = Return { status: ReturnStatus::Announced, ..ret.clone() };
    let early = strict.bring(&announced, Some(&sold_there), None).await.unwrap().unwrap();
    assert_eq!(rules(strict.bring(&note, Some(&early), None).await), ["credit.before_receipt"]);
    let there = strict.bring(&ret, Some(&sold_there), Some(&early)).await.unwrap().unwrap();
    strict.bring(&note, Some(&there), None).await.unwrap().unwrap();
    // An account that does not let it, and a setting that says it does: NetSuite's refusal says what to do.
    let other = fitted(Options { credit_in_advance: false, ..Options::default() }, json!({})).await;
    let sold_there = other.sold(&order, true).await;
    let early = other.bring(&announced, Some(&sold_there), None).await.unwrap().unwrap();
    let refused = other.bring(&note, Some(&early), None).await.unwrap_err();
    assert!(refused[0].remedy.contains("less left than comes back"), "{refused:#?}");
    // A mapped account that is not there.
    let cm = stand.bring(&note, Some(&ra), None).await.unwrap().unwrap();
    let refund = paid(&note, "p1", Tender::Payment, "50.00");
    let sink = Refund::sink(&stand.connection);
    let mut values = stand.answers(&sink.lookups(&refund), &[]).await;
    values.set("refund_account", "method=adyen", "54");
    let Ok(Encoded::Put(request)) = sink.encode(&refund, &values, Standing { own: None, needed: Some(&cm) }) else { panic!() };
    let Fault::Refused { problems, .. } = sink.put(&request).await.unwrap_err() else { panic!() };
    assert_eq!((problems[0].path.as_str(), problems[0].value.as_deref()), ("tender", Some("54")));
    // A refund that finance voided has paid nothing.
    let crf = stand.bring(&refund, Some(&cm), None).await.unwrap().unwrap();
    assert!(stand.account.void("crf_1042_u2e_shop_u2e_p1").unwrap());
    let crf = stand.document::<Refund>(&crf.id).await;
    assert_eq!(rules(stand.bring(&refund, Some(&cm), Some(&crf)).await), ["refund.differs"]);
    assert_eq!(body(&stand.document::<CreditNote>(&cm.id).await)["amountRemaining"].to_string(), "50.0");
    // Where orders are cash sales nothing is written.
    let sales = stand_with(Options::default(), json!({"document": "cash_sale"}), stocked()).await;
    assert_eq!(rules(sales.bring(&ret, None, None).await), ["credit.cash_sale"]);
    assert_eq!(rules(sales.bring(&note, None, None).await), ["credit.cash_sale"]);
    assert_eq!(rules(sales.bring(&refund, None, None).await), ["credit.cash_sale"]);
}

#[tokio::test]
async fn other_regimes_of_tax() {
    for (regime, tax) in [(TaxRegime::LegacyLine, "legacy"), (TaxRegime::None, "none")] {
        let stand =
            stand_with(Options { tax: regime, ..Options::default() }, json!({ "tax": tax, "returns": {} }), stocked()).await;
        let mut order = as_guest(order_se());
        if tax == "none" {
            for line in &mut order.lines {
                (line.tax, line.taxes) = (money("0", "SEK"), vec![]);
            }
            order.shipping_charge.tax = money("0", "SEK");
            order = sum_up(order);
        }
        let sold = stand.sold(&order, true).await;
        let ret = goods("1042", "r1", ReturnStatus::Received, &[("1042", "9001", "SHIRT-WHITE-M", 1)]);
        let ra = stand.bring(&ret, Some(&sold), None).await.unwrap().unwrap();
        let tax = if tax == "none" { "0" } else { "39.80" };
        let note = credit(&order, "r1", true, &[("9001", 1, "159.20", tax)]);
        stand.bring(&note, Some(&ra), None).await.unwrap().unwrap();
    }
}

#[test]
fn settings_that_would_count_twice_are_refused() {
    let of = |returns: Value| {
        let mut all = super::super::settings::tests::oauth1_settings();
        all["returns"] = returns;
        super::super::settings::read(&all, &super::super::settings::tests::oauth1_secrets())
    };
    let paths = |returns: Value| of(returns).unwrap_err().into_iter().map(|p| p.path).collect::<Vec<_>>();
    assert_eq!(paths(json!({"goods": "adjustment"})), ["returns.memo_moves_stock", "returns.account"]);
    assert_eq!(paths(json!({"goods": "adjustment", "account": "3", "memo_moves_stock": true})), ["returns.memo_moves_stock"]);
    assert_eq!(paths(json!({"goods": "boxes"})), ["returns.goods"]);
    assert_eq!(paths(json!({"closed_period": "open", "time_zone": "Mars/Base"})), ["returns.time_zone", "returns.closed_period"]);
    let settings = of(json!({"goods": "adjustment", "account": 3, "memo_moves_stock": false})).unwrap().returns;
    assert_eq!((settings.account.as_deref(), settings.memo_moves_stock), (Some("3"), Some(false)));
    let settings = of(json!({})).unwrap().returns;
    assert_eq!((settings.memo_moves_stock, settings.credit_in_advance), (None, true));
}

/// Names that the service's browser shows beside those of the record reference (facts/netsuite.md).
const BESIDE: [&str; 9] = [
    "taxdetailsreference",
    "orderline",
    "itemreceive",
    "location",
    "restock",
    "adjustqtyby",
    "shippingaddress",
    "billingaddress",
    "amount",
];

#[tokio::test]
async fn every_field_sent_is_one_of_the_record() {
    let sheet = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/facts/netsuite_record_fields.csv");
    let Ok(sheet) = std::fs::read_to_string(sheet) else { return };
    let known = |record: &str, field: &str| {
        let field = field.to_lowercase();
        BESIDE.contains(&field.as_str())
            || sheet.lines().any(|line| {
                let mut cells = line.split(',');
                let (of, name) = (cells.next(), cells.nth(2));
                of == Some(record) && name == Some(field.as_str())
            })
    };
    let mut sent: Vec<(String, Value)> = Vec::new();
    for settings in [json!({}), json!({"goods": "adjustment", "memo_moves_stock": false, "account": "304"})] {
        let stand = fitted(Options::default(), settings).await;
        let order = as_guest(order_se());
        let sold = stand.sold(&order, true).await;
        let ret = goods("1042", "r1", ReturnStatus::Received, &[("1042", "9002", "SOCK-BLK", 1)]);
        let sink = Return::sink(&stand.connection);
        let values = stand.answers(&sink.lookups(&ret), &[]).await;
        let mut own = None;
        for _ in 0..2 {
            let there = Standing { own: own.as_ref(), needed: Some(&sold) };
            let Ok(Encoded::Put(request)) = sink.encode(&ret, &values, there) else { break };
            sent.push((request.path.clone(), request.body.clone()));
            let id = sink.put(&request).await.unwrap().id.unwrap();
            own = Some(stand.document::<Return>(&id).await);
        }
        let mut note = credit(&order, "r1", true, &[("9002", 1, "40.00", "10.00")]);
        note.shipping = charge("SEK", "39.20", "9.80", "25");
        let note = add_up(note);
        let sink = CreditNote::sink(&stand.connection);
        let values = stand.answers(&sink.lookups(&note), &[]).await;
        let needed = if sent.len() > 2 { Some(&sold) } else { own.as_ref() };
        let Ok(Encoded::Put(request)) = sink.encode(&note, &values, Standing { own: None, needed }) else { panic!() };
        sent.push((request.path.clone(), request.body.clone()));
        let id = sink.put(&request).await.unwrap().id.unwrap();
        let cm = stand.document::<CreditNote>(&id).await;
        let refund = paid(&note, "p1", Tender::Payment, "50.00");
        let sink = Refund::sink(&stand.connection);
        let values = stand.answers(&sink.lookups(&refund), &[]).await;
        let Ok(Encoded::Put(request)) = sink.encode(&refund, &values, Standing { own: None, needed: Some(&cm) }) else {
            panic!()
        };
        sent.push((request.path.clone(), request.body.clone()));
    }
    let mut records = std::collections::BTreeSet::new();
    for (path, body) in &sent {
        let record = path.split('?').next().unwrap().rsplit('/').next().unwrap().to_lowercase();
        for (name, value) in body.as_object().unwrap() {
            let sublist = value.get("items").and_then(Value::as_array);
            assert!(sublist.is_some() || known(&record, name), "{record}.{name}");
            for (field, _) in sublist.into_iter().flatten().flat_map(|row| row.as_object().unwrap()) {
                // Receipts and adjustments have no lines in the sheet.
                let lines = ["item", "quantity", "doc", "apply", "taxtype"].contains(&field.to_lowercase().as_str());
                assert!(lines || known(&record, field), "{record}.{name}.{field}");
            }
        }
        records.insert(record);
    }
    let all = ["creditmemo", "customerrefund", "inventoryadjustment", "itemreceipt", "returnauthorization"];
    assert_eq!(records.into_iter().collect::<Vec<_>>(), all);
}

fn any_document() -> impl Strategy<Value = Value> {
    let base = json!({
        "id": "7", "externalId": "ra_1042_u2e_shop_u2e_r1", "status": {"id": "B"}, "orderStatus": "B", "entity": {"id": "5205"},
        "currency": {"id": "5", "refName": "SEK"}, "subsidiary": {"id": "2"}, "location": {"id": "21"}, "tranDate": "2026-02-10",
        "total": 50, "amountRemaining": 50, "memo": "x, posted on 2026-02-10", "createdFrom": {"id": "3"}, "account": {"id": "301"},
        "item": {"items": [{"line": 1, "item": {"id": "1002", "refName": "SOCK-BLK"}, "itemType": {"id": "InvtPart"}, "quantity": 2,
            "quantityReceived": 1, "quantityBilled": 0, "quantityFulfilled": 2, "rate": 40, "amount": 80, "taxDetailsReference": "L9002"}]},
        "inventory": {"items": [{"item": {"id": "1002", "refName": "SOCK-BLK"}, "adjustQtyBy": 2}]},
        "apply": {"items": [{"doc": {"id": "9"}, "apply": true, "amount": 50}]},
        "taxDetails": {"items": []},
    });
    let prefix = prop::sample::select(vec!["ra_", "ia_", "cm_", "crf_", "so_"]);
    (super::anything::any_json(), 0..60_usize, prefix).prop_map(move |(other, at, prefix)| {
        let mut document = base.clone();
        document["externalId"] = json!(format!("{prefix}1042_u2e_shop_u2e_r1"));
        super::anything::swap(&mut document, &mut at.clone(), &other);
        document
    })
}

proptest! {
    #[test]
    fn any_document_is_read_or_a_problem(document in any_document(), cut in 0..900_usize, received in any::<bool>()) {
        let form = Form::default();
        let settings = ReturnSettings { account: Some("304".into()), ..ReturnSettings::default() };
        let order = as_guest(order_se());
        let status = if received { ReturnStatus::Received } else { ReturnStatus::Cancelled };
        let ret = goods("1042", "r1", status, &[("1042", "9002", "SOCK-BLK", 2)]);
        let note = credit(&order, "r1", true, &[("9002", 2, "79.99", "20.00")]);
        let refund_of = paid(&note, "p1", Tender::Payment, "50.00");
        let mut values = Values::default();
        for (table, key, value) in [
            ("item", "sku=SOCK-BLK", "1002"), ("currency", "code=SEK", "5"), ("tax_code", "country=SE,rate=25", "44"),
            ("refund_account", "method=adyen", "301"), ("posting_day", "month=2026-02", "2026-03-01 for 2026-02"),
            ("order", "order=1042", "3"), ("credit_note", "credit_note=1042.shop.r1", "9"),
        ] {
            values.set(table, key, value);
        }
        let text = document.to_string().into_bytes();
        for body in [text.clone(), text.into_iter().take(cut).collect::<Vec<u8>>()] {
            let raw = Raw { kind: Kind::Return, id: "7".into(), version: None, body: body.into() };
            let decoded = authorization::decode(&raw, &values);
            prop_assert!(decoded.record.is_some() || !decoded.problems.is_empty());
            let decoded = adjustment::decode(&raw, &values);
            prop_assert!(decoded.record.is_some() || !decoded.problems.is_empty());
            let decoded = credit_memo::decode(&raw, &values, &form);
            prop_assert!(decoded.record.is_some() || !decoded.problems.is_empty());
            let decoded = refund::decode(&raw, &values, &settings);
            prop_assert!(decoded.record.is_some() || !decoded.problems.is_empty());
            for there in [Standing { own: Some(&raw), needed: None }, Standing { own: None, needed: Some(&raw) }] {
                let _ = authorization::encode(&ret, &values, there, &form, &settings);
                let _ = adjustment::encode(&ret, &values, there, &form, &settings);
                let _ = credit_memo::encode(&note, &values, there, &form, &settings);
                let _ = refund::encode(&refund_of, &values, there, &form, &settings);
            }
        }
    }

    #[test]
    fn lookups_of_any_credit_are_asked_once(units in 1..9_u32, net in 1..90_000_i64) {
        let order = as_guest(order_se());
        let mut note = credit(&order, "r1", true, &[("9001", units, "1", "0.25")]);
        note.lines[0].net = Money::from_minor(net, note.currency);
        let lookups = credit_memo::lookups(&note, &Form { document: Document::SalesOrder, ..Form::default() });
        let mut keys: Vec<String> = lookups.iter().map(|l| format!("{} {}", l.table, l.key_text())).collect();
        keys.sort();
        let all = keys.len();
        keys.dedup();
        prop_assert_eq!(all, keys.len());
        prop_assert!(lookups.iter().any(|l| l.key_text() == mapping::key_text(&[("month".into(), "2026-02".into())])));
    }
}
