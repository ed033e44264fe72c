//! What people and the world do to orders in Veeqo, and what must come of it.

use selvedge_connector::{Connection, Encoded, Fault, Priority, Standing};
use selvedge_model::{
    Order, Problem, Shipment,
    gate::Values,
    records::{Address, OrderLine, OrderStatus, ShipmentStatus},
};
use selvedge_sim::veeqo::{Tracking, Veeqo as Simulated};

use super::stand_in::{account, enter, ever, order, words};

fn of_units(number: &str, quantity: u32) -> Order {
    let order = order(number);
    Order { lines: vec![OrderLine { quantity, ..order.lines[0].clone() }], ..order }
}

/// Every shipment that a poll tells, over all pages, with what is wrong with it.
async fn told(connection: &Connection) -> Vec<(Shipment, Vec<Problem>)> {
    let source = connection.shipment_source.clone().unwrap();
    let (mut found, mut page) = (Vec::new(), None);
    loop {
        let read = source.list(&ever(), page.as_ref()).await.unwrap();
        for raw in &read.raws {
            let again = source.fetch(std::slice::from_ref(&raw.id), Priority::Shipments).await.unwrap();
            assert_eq!(again.first(), Some(raw), "what is fetched is what is listed");
            let decoded = source.decode(raw, &Values::default());
            found.push((decoded.record.unwrap(), decoded.problems));
        }
        match read.next {
            Some(next) => page = Some(next),
            None => return found,
        }
    }
}

async fn of_order(connection: &Connection, number: &str) -> Vec<(Shipment, Vec<Problem>)> {
    told(connection).await.into_iter().filter(|(shipment, _)| shipment.order.as_str() == number).collect()
}

fn ship(veeqo: &Simulated) {
    while !veeqo.is_done() {
        veeqo.step().unwrap();
    }
}

#[tokio::test]
async fn what_had_left_before_an_order_was_cancelled_has_left() {
    let (veeqo, connection) = account().await;
    enter(&connection, &order("1042")).await;
    // Nothing leaves in the millisecond in which it was entered.
    while veeqo.step().unwrap() == 0 {}
    veeqo.meddle_cancel("1042").unwrap();
    let told = told(&connection).await;
    let left: Vec<u64> = told.iter().filter(|(s, _)| s.status == ShipmentStatus::Shipped).map(|(s, _)| s.units()).collect();
    assert_eq!((told.len(), left), (2, vec![5]));
    let orders = connection.order_source.clone().unwrap();
    let first = orders.list(&ever(), None).await.unwrap();
    let second = orders.list(&ever(), first.next.as_ref()).await.unwrap();
    assert_eq!((first.raws.len(), second.raws.len(), second.next), (0, 1, None));
}

#[tokio::test]
async fn an_order_that_was_merged_is_followed_once_all_of_it_has_left() {
    let (veeqo, connection) = account().await;
    let (one, other) = (of_units("1042", 2), of_units("1043", 3));
    let (id, _) = (enter(&connection, &one).await, enter(&connection, &other).await);
    veeqo.meddle_merge("1042", "1043").unwrap();
    let waits = of_order(&connection, "1042").await;
    assert!(waits.iter().all(|(s, p)| s.status == ShipmentStatus::Open && p.is_empty()), "{waits:?}");
    ship(&veeqo);
    let left = of_order(&connection, "1042").await;
    assert!(left.iter().all(|(s, p)| s.status == ShipmentStatus::Shipped && p.is_empty() && s.tracking().len() == 1), "{left:?}");
    assert_eq!(left.iter().map(|(s, _)| s.units()).sum::<u64>(), 2);
    let holder = of_order(&connection, "1043").await;
    assert!(holder.iter().all(|(_, p)| p[0].rule == "shipment.merged"), "whose goods are in it nobody can say: {holder:?}");
    veeqo.meddle_unship("1043").unwrap();
    assert!(of_order(&connection, "1042").await.iter().all(|(s, _)| s.status == ShipmentStatus::Open));

    let (sink, values) = (connection.order_sink.clone().unwrap(), words(&connection).await);
    let raw = connection.order_source.clone().unwrap().fetch(&[id], Priority::Orders).await.unwrap().pop().unwrap();
    let own = Standing { own: Some(&raw), needed: None };
    assert_eq!(sink.encode(&one, &values, own), Ok(Encoded::Nothing));
    for changed in [of_units("1042", 4), Order { status: OrderStatus::Cancelled, ..one }] {
        assert_eq!(sink.encode(&changed, &values, own).unwrap_err()[0].rule, "pick.merged");
    }
    assert_eq!(veeqo.violations(), Vec::<String>::new());
}

#[tokio::test]
async fn an_order_merged_into_one_that_is_not_shown_holds_itself_and_no_other() {
    let (veeqo, connection) = account().await;
    for number in ["1042", "1043", "1044"] {
        enter(&connection, &of_units(number, 1)).await;
    }
    veeqo.meddle_merge("1042", "1043").unwrap();
    veeqo.meddle_break("1043", true).unwrap();
    let source = connection.shipment_source.clone().unwrap();
    let all = async || {
        let (mut raws, mut page) = (Vec::new(), None);
        loop {
            let read = source.list(&ever(), page.as_ref()).await.unwrap();
            raws.extend(read.raws);
            page = read.next;
            if page.is_none() {
                return raws;
            }
        }
    };
    let raws = all().await;
    let decoded: Vec<_> = raws.iter().map(|raw| source.decode(raw, &Values::default())).collect();
    let unread: Vec<_> = decoded.iter().filter(|one| one.record.is_none()).collect();
    assert_eq!(unread.len(), 1, "{decoded:?}");
    let problem = &unread[0].problems[0];
    assert!(problem.rule == "shipment.unread" && problem.message.contains("order 1042"), "{problem:?}");
    for number in ["1043", "1044"] {
        assert!(decoded.iter().any(|one| one.record.as_ref().is_some_and(|s| s.order.as_str() == number)), "{number}");
    }
    veeqo.meddle_break("1043", false).unwrap();
    let raws = all().await;
    assert!(raws.iter().all(|raw| source.decode(raw, &Values::default()).record.is_some()));
}

#[tokio::test]
async fn goods_of_two_orders_in_several_parcels_are_never_shared_out_by_guess() {
    let (veeqo, connection) = account().await;
    enter(&connection, &of_units("1042", 4)).await;
    enter(&connection, &of_units("1043", 7)).await;
    veeqo.meddle_merge("1042", "1043").unwrap();
    ship(&veeqo);
    let told = of_order(&connection, "1042").await;
    assert!(told.len() > 1 && told.iter().all(|(_, problems)| problems[0].rule == "shipment.merged"), "{told:?}");
}

#[tokio::test]
async fn an_allocation_that_was_deleted_is_not_there_any_more() {
    let (veeqo, connection) = account().await;
    enter(&connection, &order("1042")).await;
    let source = connection.shipment_source.clone().unwrap();
    let raws = source.list(&ever(), None).await.unwrap().raws;
    veeqo.meddle_unallocate("1042").unwrap();
    assert!(source.fetch(&[raws[0].id.clone()], Priority::Shipments).await.unwrap().is_empty());
    let orders = connection.order_source.clone().unwrap();
    let order = orders.list(&ever(), None).await.unwrap().raws.pop().unwrap();
    let read = orders.decode(&order, &Values::default()).record.unwrap();
    assert_eq!(read.status, OrderStatus::Confirmed, "nothing allocated is neither cancelled nor shipped");
}

#[tokio::test]
async fn a_tracking_number_may_be_none_or_void_or_have_blanks() {
    let (veeqo, connection) = account().await;
    enter(&connection, &of_units("1042", 2)).await;
    ship(&veeqo);
    for (tracking, numbers) in [
        (Tracking::Nothing, vec![]),
        (Tracking::Is("  RB123456785GB ".into()), vec!["RB123456785GB"]),
        (Tracking::Is("RB123456785GB, RB123456785GB".into()), vec!["RB123456785GB"]),
        (Tracking::Void, vec![]),
    ] {
        veeqo.meddle_tracking("1042", &tracking).unwrap();
        let told = told(&connection).await;
        assert_eq!(told[0].0.status, ShipmentStatus::Shipped);
        assert_eq!(told[0].0.tracking(), numbers, "{tracking:?}");
    }
}

#[tokio::test]
async fn an_order_edited_there_is_not_what_we_handed_over() {
    let (veeqo, connection) = account().await;
    let order = order("1042");
    let id = enter(&connection, &order).await;
    veeqo.meddle_units("1042", 6).unwrap();
    let raw = connection.order_source.clone().unwrap().fetch(&[id], Priority::Orders).await.unwrap().pop().unwrap();
    let own = Standing { own: Some(&raw), needed: None };
    let values = words(&connection).await;
    assert_eq!(connection.order_sink.clone().unwrap().encode(&order, &values, own).unwrap_err()[0].rule, "pick.changed");
}

#[tokio::test]
async fn an_order_whose_address_changed_after_the_hand_over_is_a_persons_business() {
    let (_veeqo, connection) = account().await;
    let address = Address {
        first_name: Some("Ann".into()),
        last_name: Some("Lee".into()),
        line1: Some("1 High St".into()),
        city: Some("Leeds".into()),
        postcode: Some("LS1 1AA".into()),
        country: Some("GB".into()),
        ..Address::default()
    };
    let to = |shipping: Address| Order { shipping: Some(shipping), ..order("1042") };
    let id = enter(&connection, &to(address.clone())).await;
    let raw = connection.order_source.clone().unwrap().fetch(&[id], Priority::Orders).await.unwrap().pop().unwrap();
    let (own, sink) = (Standing { own: Some(&raw), needed: None }, connection.order_sink.clone().unwrap());
    let mut values = words(&connection).await;
    assert_eq!(sink.encode(&to(address.clone()), &values, own), Ok(Encoded::Nothing));
    let same = Address { postcode: Some("ls11aa".into()), line2: Some(" ".into()), ..address.clone() };
    assert_eq!(sink.encode(&to(same), &values, own), Ok(Encoded::Nothing));
    for (moved, named) in [
        (Address { first_name: Some("Bo".into()), ..address.clone() }, "name is now \"Bo Lee\", and Veeqo has \"Ann Lee\""),
        (
            Address { line1: Some("2 High St".into()), ..address.clone() },
            "line 1 is now \"2 High St\", and Veeqo has \"1 High St\"",
        ),
        (Address { line2: Some("Flat 2".into()), ..address.clone() }, "line 2 is now \"Flat 2\", and Veeqo has \"\""),
        (Address { postcode: Some("LS2 1AA".into()), ..address.clone() }, "post code is now"),
        (Address { city: Some("York".into()), ..address.clone() }, "city is now"),
    ] {
        let problems = sink.encode(&to(moved), &values, own).unwrap_err();
        assert_eq!(problems[0].rule, "pick.changed");
        assert!(problems[0].message.contains(named), "{}", problems[0].message);
    }
    let (_, key, was) = values.iter().find(|(table, ..)| *table == "shipping_service").unwrap();
    let (key, was) = (key.to_owned(), was.to_owned());
    values.set("shipping_service", key.replace("GB", "IE"), "999");
    let abroad = sink.encode(&to(Address { country: Some("IE".into()), ..address }), &values, own).unwrap_err();
    for named in ["country is now \"IE\", and Veeqo has \"GB\"", &format!("service is now \"999\", and Veeqo has \"{was}\"")] {
        assert!(abroad[0].message.contains(named), "{abroad:?}");
    }
}

#[tokio::test]
async fn an_order_is_looked_for_before_it_is_made_and_after_its_answer_was_lost() {
    let (veeqo, connection) = account().await;
    let sink = connection.order_sink.clone().unwrap();
    assert!(sink.looks_first());
    let values = words(&connection).await;
    // Too short to be searched for.
    for number in ["7", "1042"] {
        let order = order(number);
        assert_eq!(sink.find(&order).await.unwrap(), None);
        let Ok(Encoded::Put(request)) = sink.encode(&order, &values, Standing::default()) else { panic!() };
        veeqo.lose_answers(1);
        assert!(matches!(sink.put(&request).await, Err(Fault::Unanswered { .. })));
        assert!(sink.find(&order).await.unwrap().is_some());
        veeqo.meddle_double(number).unwrap();
        let Err(Fault::Refused { problems, .. }) = sink.find(&order).await else { panic!() };
        assert_eq!(problems[0].rule, "pick.doubled");
    }
    assert_eq!(veeqo.violations(), Vec::<String>::new());
}
