//! The pages of what runs: flows, connections, mappings, settings.

use axum::http::StatusCode;
use selvedge_model::Kind;

use super::{super::sample::NAUGHTY, *};

#[tokio::test]
async fn flows_are_a_picture_and_a_table_that_says_the_same() {
    let (app, _) = busy().await;
    let page = get(&app, "/flows").await.text;
    for says in [
        "<title>Flows · Selvedge</title>",
        "<svg class=\"map\"",
        "1 in flight · 2 held",
        "href=\"/flows/orders\"",
        "shop → books",
        "href=\"/exceptions?flow=orders\"",
        "✓ </span>live",
        "aria-current=\"page\">Flows",
    ] {
        assert!(page.contains(says), "{says}: {page}");
    }
    let (app, _) = empty().await;
    let page = get(&app, "/flows").await.text;
    assert!(page.contains("at rest") && page.contains("none yet"), "{page}");
}

#[tokio::test]
async fn one_flow_tells_its_states_its_hours_its_rules_and_what_is_proven() {
    let (app, exception) = busy().await;
    let page = get(&app, "/flows/orders").await.text;
    for says in [
        "<title>Flow orders · Selvedge</title>",
        "✓ it balances",
        "Confirmed or compared, by hour",
        "2 records in all; most in 02-03 09:00 UTC: 2.",
        "Express (market=2,method=express) has no entry",
        &format!("/exceptions/{exception}"),
        "href=\"/orders/1001\"",
        "Orders without payment",
        "every 1m",
        "Nothing older than",
        "href=\"/flows/orders/replay\"",
        "Pause the flow",
    ] {
        assert!(page.contains(says), "{says}: {page}");
    }
    let strange = get(&app, "/flows/nosuch").await;
    assert_eq!(strange.status, StatusCode::NOT_FOUND);
    assert!(strange.text.contains("There is no flow nosuch."), "{}", strange.text);
    let hostile = get(&app, "/flows/%3Cscript%3E").await;
    assert!(hostile.status == StatusCode::NOT_FOUND && !hostile.text.contains("<script>"), "{}", hostile.text);
    let stock = stocked(0).await.0;
    let page = get(&stock, "/flows/stock").await.text;
    assert!(page.contains("under Stock") && page.contains("Pause the flow"), "{page}");
}

#[tokio::test]
async fn a_flow_is_paused_for_a_reason_and_resumed_and_both_are_told() {
    let (app, _) = busy().await;
    let refused = form(&app, "/flows/orders/pause", "reason=%20").await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(refused.text.contains("Give a reason") && refused.text.contains("aria-invalid=\"true\""), "{}", refused.text);
    let paused = form(&app, "/flows/orders/pause", "reason=the+books+are+closed").await;
    assert_eq!((paused.status, paused.header("location")), (StatusCode::SEE_OTHER, "/flows/orders?done=paused"));
    let page = get(&app, "/flows/orders?done=paused").await.text;
    for says in ["Paused. What comes is captured", "the books are closed", "Resume the flow", ADMIN] {
        assert!(page.contains(says), "{says}: {page}");
    }
    assert!(!page.contains("Pause the flow"), "{page}");
    for path in ["/", "/flows"] {
        let page = get(&app, path).await.text;
        assert!(page.contains("paused"), "{path}: {page}");
    }
    let again = form(&app, "/flows/orders/pause", "reason=x").await;
    assert_eq!(again.header("location"), "/flows/orders?done=paused-before");
    let resumed = form(&app, "/flows/orders/resume", "reason=").await;
    assert_eq!(resumed.header("location"), "/flows/orders?done=resumed");
    assert!(get(&app, "/flows/orders").await.text.contains("Pause the flow"));
    let led = get(&app, "/flows/orders/resume").await;
    assert_eq!((led.status, led.header("location")), (StatusCode::SEE_OTHER, "/flows/orders"));
    // One that left the configuration while it was paused.
    app.store
        .write(|tx| tx.pause_flow(&brand(), &"gone".into(), "ada", "moved away", jiff::Timestamp::UNIX_EPOCH))
        .await
        .unwrap();
    let page = get(&app, "/flows/gone").await;
    assert!(page.status == StatusCode::OK && page.text.contains("moved away") && page.text.contains("Resume the flow"));
    assert_eq!(form(&app, "/flows/gone/resume", "reason=").await.header("location"), "/flows");
    assert_eq!(get(&app, "/flows/gone").await.status, StatusCode::NOT_FOUND);
    let trail = app.store.read(|view| view.audit_rows(&brand(), 10)).await.unwrap();
    let acts: Vec<&str> = trail.iter().map(|row| row.action.as_str()).collect();
    assert!(acts.contains(&"flow.pause") && acts.contains(&"flow.resume"), "{acts:?}");
}

#[tokio::test]
async fn a_sweep_is_foreseen_before_it_is_asked_for() {
    let (app, _) = busy().await;
    let page = get(&app, "/flows/orders?since=12h").await.text;
    for says in ["5 records came from there in that time", "Nothing in it is unproven.", "Sweep it"] {
        assert!(page.contains(says), "{says}: {page}");
    }
    let cut = get(&app, "/flows/orders?since=30d").await.text;
    assert!(cut.contains("Nothing older is captured, so it begins there."), "{cut}");
    let unclear = get(&app, "/flows/orders?since=yesterday").await.text;
    assert!(unclear.contains("Write it as 3d") && unclear.contains("value=\"yesterday\""), "{unclear}");
    let wrong = form(&app, "/flows/orders/sweep", "since=never").await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
    let swept = form(&app, "/flows/orders/sweep", "since=12h").await;
    assert_eq!(swept.header("location"), "/flows/orders?done=swept");
    let page = get(&app, "/flows/orders").await.text;
    assert!(page.contains("A sweep is under way"), "{page}");
    let begun = app.store.read(|view| view.reading(&brand(), &"shop".into(), Kind::Order, "sweep")).await.unwrap();
    assert_eq!(begun.unwrap().interval.to, app.clock.now());
}

#[tokio::test]
async fn the_api_pauses_resumes_and_sweeps_as_the_pages_do() {
    let (app, _) = busy().await;
    let got = api(&app, Method::POST, "/api/flows/orders/pause", json!({ "reason": NAUGHTY })).await;
    assert_eq!(got.json(), json!({ "paused": true, "changed": true }));
    assert!(!get(&app, "/flows/orders").await.text.contains("<script>alert"));
    assert_eq!(get(&app, "/api/flows/orders").await.json()["lane"]["paused"]["reason"], NAUGHTY);
    let got = api(&app, Method::POST, "/api/flows/orders/resume", json!({})).await;
    assert_eq!(got.json(), json!({ "paused": false, "changed": true }));
    let foreseen = get(&app, "/api/flows/orders/sweep?since=1h").await.json();
    assert_eq!((&foreseen["known"], &foreseen["cut"]), (&json!(5), &json!(false)));
    let got = api(&app, Method::POST, "/api/flows/orders/sweep", json!({ "since": "1h" })).await;
    assert_eq!(got.status, StatusCode::OK, "{}", got.text);
    for (path, body, status) in [
        ("/api/flows/nosuch/pause", json!({ "reason": "x" }), StatusCode::NOT_FOUND),
        ("/api/flows/orders/pause", json!({ "reason": "" }), StatusCode::UNPROCESSABLE_ENTITY),
        ("/api/flows/orders/sweep", json!({ "since": "soon" }), StatusCode::UNPROCESSABLE_ENTITY),
    ] {
        assert_eq!(api(&app, Method::POST, path, body).await.status, status, "{path}");
    }
}

#[tokio::test]
async fn a_replay_says_what_it_looked_at_and_refuses_in_words() {
    let (app, _) = busy().await;
    let page = get(&app, "/flows/orders/replay").await.text;
    for says in ["<title>Replay of orders · Selvedge</title>", "value=\"7d\"", "selvedge replay --flow orders --since 7d"] {
        assert!(page.contains(says), "{says}: {page}");
    }
    assert!(!page.contains("id=\"result\""), "{page}");
    let nothing = get(&app, "/flows/orders/replay?since=7d").await;
    assert!(nothing.status == StatusCode::OK && nothing.text.contains("so there is nothing to compare"), "{}", nothing.text);
    let unclear = get(&app, "/flows/orders/replay?since=lately").await;
    assert_eq!(unclear.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(unclear.text.contains("Write it as 7d") && unclear.text.contains("value=\"lately\""), "{}", unclear.text);
    let bad =
        form(&app, "/flows/orders/replay", "since=7d&csv=connection%2Ctable%2Ckey%2Cvalue%0Anowhere%2Citem%2Csku%3DA%2C7").await;
    assert_eq!(bad.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(
        bad.text.contains("1 row is not right") && bad.text.contains("Line 2: ") && bad.text.contains("nowhere,item"),
        "{}",
        bad.text
    );
    let good =
        form(&app, "/flows/orders/replay", "since=7d&csv=connection%2Ctable%2Ckey%2Cvalue%0Abooks%2Citem%2Csku%3DA%2C7").await;
    assert!(good.status == StatusCode::OK && good.text.contains("nothing to compare"), "{}", good.text);
    let set = app.store.read(|view| view.mappings(&brand())).await.unwrap();
    assert!(set.iter().all(|row| row.key != "sku=A"), "nothing is set: {set:?}");

    // Nothing is delivered again that nobody has seen.
    for (sent, says) in [
        ("since=7d&records=3", "3 were shown, and it would be 0 now"),
        ("since=7d&records=0", "every record is as it was delivered"),
        ("since=lately&records=1", "Write it as 7d"),
    ] {
        let refused = form(&app, "/flows/orders/redeliver", sent).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{sent}");
        assert!(refused.text.contains(says), "{sent}: {}", refused.text);
    }
    let led = get(&app, "/flows/orders/redeliver").await;
    assert_eq!((led.status, led.header("location")), (StatusCode::SEE_OTHER, "/flows/orders/replay"));
    form(&app, "/flows/orders/pause", "reason=stocktaking").await;
    let refused = form(&app, "/flows/orders/redeliver", "since=7d&records=0").await;
    assert!(refused.text.contains("orders is paused"), "{}", refused.text);
    assert_eq!(get(&app, "/flows/nosuch/replay").await.status, StatusCode::NOT_FOUND);
    let stock = stocked(0).await.0;
    let refused = get(&stock, "/flows/stock/replay").await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(refused.text.contains("worked out, not replayed"), "{}", refused.text);
    assert!(!get(&stock, "/flows/stock").await.text.contains("/flows/stock/replay"));

    let got = get(&app, "/api/flows/orders/replay?since=7d").await.json();
    assert_eq!(
        (&got["flow"], &got["tally"]["records"], &got["deliverable"]["records"]),
        (&json!("orders"), &json!(0), &json!(0))
    );
    let entry = json!({ "connection": "books", "table": "item", "key": "sku=A", "value": "7" });
    let got = api(&app, Method::POST, "/api/flows/orders/replay", json!({ "since": "7d", "entries": [entry] })).await;
    assert_eq!((got.status, got.json()["deliverable"].is_null()), (StatusCode::OK, true), "{}", got.text);
    assert_eq!(get(&app, "/api/flows/orders/redeliver").await.text.trim(), "null");
    let wanted = json!({ "since": "7d", "records": 2 });
    let got = api(&app, Method::POST, "/api/flows/orders/redeliver", wanted).await;
    assert_eq!(got.status, StatusCode::CONFLICT, "{}", got.text);
    assert!(got.text.contains("is paused"), "{}", got.text);
}

#[tokio::test]
async fn what_left_the_configuration_paused_is_resumed_by_the_api_too() {
    let (app, _) = empty().await;
    app.store
        .write(|tx| tx.pause_flow(&brand(), &"gone".into(), "ada", "moved away", jiff::Timestamp::UNIX_EPOCH))
        .await
        .unwrap();
    let got = api(&app, Method::POST, "/api/flows/gone/resume", json!({})).await;
    assert_eq!(got.json(), json!({ "paused": false, "changed": true }));
    assert_eq!(api(&app, Method::POST, "/api/flows/gone/resume", json!({})).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn each_connection_says_how_it_does_what_is_used_and_what_is_the_matter() {
    let (app, exception) = busy().await;
    let page = get(&app, "/connections").await.text;
    for says in [
        "<title>Connections · Selvedge</title>",
        "shop <span class=\"quiet\">on storefront</span>",
        "Nothing was called since the start<",
        "requests per 10 s",
        "0 of 60",
        "Until when they are good is not known",
        "expires = ",
        &format!("/exceptions/{exception}"),
        "href=\"/flows/orders\"",
        "Last order",
    ] {
        assert!(page.contains(says), "{says}: {page}");
    }
}

const CSV: &str = "connection,table,key,value\nbooks,shipping_item,\"market=2,method=express\",417\nbooks,item,sku=A,1\n";

fn encoded(csv: &str) -> String {
    format!("csv={}", super::super::words::part(csv))
}

#[tokio::test]
async fn a_file_of_mappings_is_shown_before_it_is_set_and_releases_what_waits() {
    let (app, _) = busy().await;
    assert!(get(&app, "/mappings/import").await.text.contains("connection,table,key,value"));
    let wrong =
        form(&app, "/mappings/import", &encoded("connection,table,key,value\nnowhere,item,sku=A,1\nbooks,item,sku,1\n")).await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
    for says in ["Nothing was changed.", "2 rows are not right", "Line 2: ", "Line 3: ", "nowhere,item,sku=A,1"] {
        assert!(wrong.text.contains(says), "{says}: {}", wrong.text);
    }
    // As a browser sends it: a form ends its lines in its own way.
    let foreseen = form(&app, "/mappings/import", &encoded(&CSV.replace('\n', "\r\n"))).await;
    assert_eq!(foreseen.status, StatusCode::OK, "{}", foreseen.text);
    for says in ["<b>2 entries</b> would be new", "Nothing is set yet.", "market=2,method=express", "Set 2 entries"] {
        assert!(foreseen.text.contains(says), "{says}: {}", foreseen.text);
    }
    let stands = || app.store.read(|view| view.mappings(&brand()));
    assert!(stands().await.unwrap().is_empty(), "a look sets nothing");
    let shown = mark_of(&foreseen.text);
    // What came in between is shown before it is set over.
    app.store
        .write(|tx| tx.map(&brand(), &"books".into(), "item", "sku=A", Some("9"), "bo", jiff::Timestamp::UNIX_EPOCH))
        .await
        .unwrap();
    let otherwise = form(&app, "/mappings/import/apply", &format!("{}&shown={shown}", encoded(CSV))).await;
    assert_eq!(otherwise.status, StatusCode::CONFLICT);
    for says in ["Somebody has changed these mappings", "<b>1 entry</b> would be new, <b>1</b> would change", "Set 2 entries"] {
        assert!(otherwise.text.contains(says), "{says}: {}", otherwise.text);
    }
    let set = form(&app, "/mappings/import/apply", &format!("{}&shown={}", encoded(CSV), mark_of(&otherwise.text))).await;
    assert_eq!(set.header("location"), "/mappings?imported=2&set=1&following=1", "{}", set.text);
    assert!(get(&app, set.header("location")).await.text.contains("2 entries set. 2 records that waited go back"));
    assert_eq!(stands().await.unwrap().len(), 2);
    let again = form(&app, "/mappings/import/apply", &encoded(CSV)).await;
    assert!(get(&app, again.header("location")).await.text.contains("stood like that already"));
    let exported = get(&app, "/mappings.csv").await;
    assert_eq!(exported.header("content-type"), "text/csv; charset=utf-8");
    assert!(exported.header("content-disposition").contains("mappings-nordwind-"), "{:?}", exported.headers);
    let back = form(&app, "/mappings/import", &encoded(&exported.text)).await;
    assert!(back.text.contains("2 are as they stand"), "{}", back.text);
    let hostile = form(&app, "/mappings/import", &encoded(&format!("{NAUGHTY}</textarea>\n"))).await;
    assert!(!hostile.text.contains("<script>alert") && !hostile.text.contains("&quot;</textarea></"), "{}", hostile.text);
}

/// The mark of what a page has shown.
fn mark_of(page: &str) -> &str {
    let (_, after) = page.split_once("name=\"shown\" value=\"").unwrap_or_else(|| panic!("{page}"));
    after.split('"').next().unwrap()
}

#[tokio::test]
async fn an_import_takes_two_people_as_a_whole_where_mappings_do() {
    let (app, _) = busy().await;
    let marked = selvedge_model::people::FourEyes { map: true, ..Default::default() };
    app.store.write(move |tx| tx.set_four_eyes(&brand(), &marked)).await.unwrap();
    let look = form(&app, "/mappings/import", &encoded(CSV)).await;
    assert!(look.text.contains("take two people here") && look.text.contains("Ask for all of it"), "{}", look.text);
    let asked = form(&app, "/mappings/import/apply", &format!("{}&shown={}", encoded(CSV), mark_of(&look.text))).await;
    assert!(asked.header("location").starts_with("/approvals?asked="), "{:?}", asked.headers);
    assert!(app.store.read(|view| view.mappings(&brand())).await.unwrap().is_empty());
    let page = get(&app, "/approvals").await.text;
    for says in ["set 2 mappings together", "All 2 entries", "You asked for it, so somebody else has to approve."] {
        assert!(page.contains(says), "{says}: {page}");
    }
    let id = asked.header("location").rsplit_once('=').unwrap().1.to_owned();
    let second = signed_in(&app, "bo@example.com", &[Role::Engineer]).await;
    let request = Request::post(format!("/approvals/{id}/approve")).header("host", "localhost:8080").header("cookie", second);
    let request = request.header("origin", "http://localhost:8080").header("content-type", "application/x-www-form-urlencoded");
    let done = got(&app, request.body(Body::empty()).unwrap()).await;
    assert_eq!(done.status, StatusCode::SEE_OTHER, "{}", done.text);
    assert_eq!(app.store.read(|view| view.mappings(&brand())).await.unwrap().len(), 2);
}

#[tokio::test]
async fn mappings_are_found_changed_and_their_history_told() {
    let (app, _) = busy().await;
    for value in ["1", "2"] {
        form(&app, "/mappings", &format!("connection=books&table=item&key=sku%3DA&value={value}")).await;
    }
    form(&app, "/mappings", "connection=books&table=tax_code&key=*&value=7").await;
    let page = get(&app, "/mappings?table=item").await.text;
    assert!(page.contains("1 to 1 of 1") && page.contains("<h2 id=\"coverage\">Coverage"), "{page}");
    assert!(get(&app, "/mappings?search=zzz").await.text.contains("Nothing of this kind is set."));
    let edit = get(&app, "/mappings?connection=books&table=item&edit=sku%3DA").await.text;
    assert!(edit.contains("Change a mapping") && edit.contains("value=\"2\""), "{edit}");
    let history = get(&app, "/mappings/history?connection=books&table=item&key=sku%3DA").await.text;
    assert!(history.contains("<del>1</del>") && history.contains("<ins>2</ins>") && !history.contains("tax_code"), "{history}");
    let before = get(&app, "/mappings/history?before=1").await.text;
    assert!(before.contains("That was all."), "{before}");
    assert_eq!(get(&app, "/mappings/history?before=x").await.status, StatusCode::UNPROCESSABLE_ENTITY);
}

#[tokio::test]
async fn settings_say_what_runs_and_where_it_is_changed() {
    let (app, _) = busy().await;
    let page = get(&app, "/settings").await.text;
    for says in
        ["<title>Settings · Selvedge</title>", "SQLite 3.", "none was made by", "selvedge config schema", "Takes two people"]
    {
        assert!(page.contains(says), "{says}: {page}");
    }
}

#[tokio::test]
async fn a_key_that_ends_in_a_blank_is_changed_and_not_doubled() {
    let (app, _) = busy().await;
    let sent = encoded("connection,table,key,value\nbooks,item,sku=A ,1\n");
    let look = form(&app, "/mappings/import", &sent).await;
    let set = form(&app, "/mappings/import/apply", &format!("{sent}&shown={}", mark_of(&look.text))).await;
    assert_eq!(set.status, StatusCode::SEE_OTHER, "{}", set.text);
    assert!(get(&app, set.header("location")).await.text.contains("1 entry set.<"), "nothing waited for it");
    let edit = get(&app, "/mappings?connection=books&table=item&edit=sku%3DA%20").await.text;
    assert!(edit.contains("name=\"key\" value=\"sku=A \"") && edit.contains("name=\"seen\" value=\"1\""), "{edit}");
    let older = form(&app, "/mappings", "connection=books&table=item&key=sku%3DA%20&value=2&seen=7").await;
    assert_eq!(older.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(older.text.contains("was 7 when it was looked at and is 1 now"), "{}", older.text);
    // Typed as a new one, what stands is seen before it is replaced.
    let blind = form(&app, "/mappings", "connection=books&table=item&key=sku%3DB&value=2&seen=").await;
    assert_eq!(blind.status, StatusCode::SEE_OTHER, "{}", blind.text);
    let blind = form(&app, "/mappings", "connection=books&table=item&key=sku%3DB&value=3&seen=").await;
    assert_eq!(blind.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(
        blind.text.contains("was not set when it was looked at and is 2 now") && blind.text.contains("Change a mapping"),
        "{}",
        blind.text
    );
    assert!(blind.text.contains("name=\"seen\" value=\"2\"") && blind.text.contains("value=\"3\""), "{}", blind.text);
    form(&app, "/mappings/remove", "connection=books&table=item&key=sku%3DB&seen=2").await;
    let changed = form(&app, "/mappings", "connection=books&table=item&key=sku%3DA%20&value=2&seen=1").await;
    assert_eq!(changed.status, StatusCode::SEE_OTHER, "{}", changed.text);
    let stands = app.store.read(|view| view.mappings(&brand())).await.unwrap();
    let stands: Vec<(&str, &str)> = stands.iter().map(|row| (row.key.as_str(), row.value.as_str())).collect();
    assert_eq!(stands, [("sku=A ", "2")]);
}
