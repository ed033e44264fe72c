//! What becomes of a document when its order changes.

use selvedge_model::Problem;

use super::*;

#[test]
fn a_change_keeps_the_line_numbers_and_replaces_the_whole_list() {
    let (order, form) = (order_se(), Form::default());
    let raw = stored(&put(&order, &words(&order, &form), None, &form).body, "10423");
    let mut after = order.clone();
    after.lines.remove(0);
    after.lines.insert(0, line("SEK", "9003", "CAP", "Cap", 1, "80.00", &[("25", "20.00")]));
    let after = sum_up(after);
    let mut values = words(&after, &form);
    for (sku, id) in [("CAP", "77"), ("SOCK-BLK", "99")] {
        values.set("item", format!("sku={sku}"), id);
    }
    let request = put(&after, &values, Some(&raw), &form);
    assert_eq!(request.method, "PATCH");
    assert_eq!(request.path, "/services/rest/record/v1/salesOrder/10423?replace=item,taxDetails");
    assert_eq!(request.update, Some(ExternalId::new("10423")));
    let rows = wire::rows(&request.body, "item");
    let shown: Vec<(Option<String>, Option<String>)> =
        rows.iter().map(|row| (wire::text(row, "line"), wire::text(row, "taxDetailsReference"))).collect();
    assert_eq!(shown, [(None, Some("L9003".into())), (Some("4".into()), Some("L9002".into()))]);
    assert_eq!(wire::rows(&request.body, "taxDetails").len(), 3);
    assert!(request.body.get("shippingAddress").is_none() && request.body.get("entity").is_none(), "only what differs");
}

#[test]
fn without_references_lines_are_known_by_what_they_sell() {
    let (order, form) = (order_se(), Form::default());
    let values = words(&order, &form);
    let raw = stored(&put(&order, &values, None, &form).body, "10423");
    let raw = edited(&raw, |document| {
        for row in document["item"]["items"].as_array_mut().unwrap() {
            row.as_object_mut().unwrap().remove("taxDetailsReference");
        }
    });
    let mut after = order;
    after.lines.swap(0, 1);
    after.lines[0].quantity = 4;
    let request = put(&after, &values, Some(&raw), &form);
    let numbers: Vec<Option<String>> = wire::rows(&request.body, "item").iter().map(|row| wire::text(row, "line")).collect();
    assert_eq!(numbers, [Some("4".to_owned()), Some("1".to_owned())]);
}

#[test]
fn an_address_that_lost_a_line_loses_it_there_too() {
    let (mut order, form) = (order_se(), Form::default());
    let values = words(&order, &form);
    let raw = stored(&put(&order, &values, None, &form).body, "10423");
    order.shipping.as_mut().unwrap().line2 = None;
    let request = put(&order, &values, Some(&raw), &form);
    assert_eq!(request.path, "/services/rest/record/v1/salesOrder/10423");
    let keys: Vec<&String> = request.body.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["shippingAddress"]);
    assert_eq!(request.body["shippingAddress"]["addr2"], Value::Null);
}

#[test]
fn past_change_only_what_moves_nothing_is_still_changed() {
    let (order, form) = (order_se(), Form::default());
    let values = words(&order, &form);
    let raw = stored(&put(&order, &values, None, &form).body, "10423");
    let billed = edited(&raw, |d| d["status"] = json!({"id": "G", "refName": "Billed"}));
    assert_eq!(encode::order(&order, &values, Some(&billed), &form), Ok(Encoded::Nothing));
    let mut paid = order.clone();
    paid.payments.push(payment(PaymentKind::Capture, PaymentStatus::Success, "PSP-3"));
    let request = put(&paid, &values, Some(&billed), &form);
    assert_eq!(request.body, json!({"memo": "Payment PSP-1, PSP-2, PSP-3"}));
    for (state, word) in [("C", "cancelled"), ("D", "partially fulfilled"), ("G", "billed"), ("H", "closed")] {
        let raw = edited(&raw, |d| d["status"] = json!({"id": state}));
        let mut more = order.clone();
        more.lines[0].quantity = 3;
        let problems: Vec<Problem> = encode::order(&more, &values, Some(&raw), &form).unwrap_err();
        assert_eq!((problems[0].rule.as_str(), problems[0].value.as_deref()), ("target.not_changeable", Some(word)));
    }
}

#[test]
fn a_cancelled_order_closes_every_line_once() {
    let (mut order, form) = (order_se(), Form::default());
    let values = words(&order, &form);
    let raw = stored(&put(&order, &values, None, &form).body, "10423");
    order.status = OrderStatus::Cancelled;
    order.lines.clear();
    let request = put(&order, &values, Some(&raw), &form);
    assert_eq!(request.path, "/services/rest/record/v1/salesOrder/10423");
    assert_eq!(request.body, json!({"item": {"items": [{"line": 1, "isClosed": true}, {"line": 4, "isClosed": true}]}}));
    let closed = edited(&raw, |d| {
        d["status"] = json!({"id": "H"});
        d["item"]["items"].as_array_mut().unwrap().iter_mut().for_each(|row| row["isClosed"] = json!(true));
    });
    assert_eq!(encode::order(&order, &values, Some(&closed), &form), Ok(Encoded::Nothing));
    assert_eq!(differences(&order, &closed, &values, &form), []);
    let billed = edited(&raw, |d| d["status"] = json!({"id": "F"}));
    let problems = encode::order(&order, &values, Some(&billed), &form).unwrap_err();
    assert_eq!(problems[0].rule, "target.not_cancellable");
    let shipped = edited(&raw, |d| d["item"]["items"][0]["quantityFulfilled"] = json!("1.0"));
    assert!(encode::order(&order, &values, Some(&shipped), &form).is_err());
}

#[test]
fn a_mapping_that_moved_cannot_move_a_document() {
    let (order, form) = (order_se(), Form::default());
    let mut values = words(&order, &form);
    let raw = stored(&put(&order, &values, None, &form).body, "10423");
    values.set("subsidiary", "market=1", "3");
    let problems = encode::order(&order, &values, Some(&raw), &form).unwrap_err();
    assert_eq!((problems[0].rule.as_str(), problems[0].path.as_str()), ("target.not_changeable", "market"));
}

#[test]
fn a_document_that_shows_only_a_page_of_its_lines_is_not_changed() {
    let (order, form) = (order_se(), Form::default());
    let values = words(&order, &form);
    let raw = stored(&put(&order, &values, None, &form).body, "10423");
    for raw in [
        edited(&raw, |d| d["item"]["hasMore"] = json!(true)),
        edited(&raw, |d| d["item"] = json!({"links": []})),
        Raw { body: b"<html>".to_vec().into(), ..raw.clone() },
    ] {
        assert_eq!(encode::order(&order, &values, Some(&raw), &form).unwrap_err()[0].rule, "decode.unreadable");
        assert!(decode::order(&raw, &values, &form).record.is_none());
    }
}
