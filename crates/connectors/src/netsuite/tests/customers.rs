//! Customers, and the connector as a whole.

use selvedge_connector::{Connector, OpenContext, Secret, Secrets, clock::ManualClock};

use super::{super::NetSuite, *};

#[test]
fn a_customer_is_written_and_read_back() {
    let form = Form { customer_number: true, ..Form::default() };
    let values = customer_words();
    let Ok(Encoded::Put(request)) = encode::customer(&customer(), &values, None, &form) else { panic!() };
    assert_eq!(
        request.body,
        json!({"externalId": "cust_77-1", "entityId": "cust_77-1", "isPerson": true, "firstName": "Anna", "lastName": "Åkesson",
               "email": "anna@example.com", "subsidiary": {"id": "2"}, "currency": {"id": "4"}})
    );
    let mut there = request.body.clone();
    there["currency"]["refName"] = json!("Swedish Krona");
    let raw = Raw { kind: Kind::Customer, ..raw(&there, "110") };
    let decoded = decode::customer(&raw, &values, &form);
    let read = decoded.record.unwrap();
    assert_eq!((read.key.as_str(), read.id.as_str(), read.market.id.as_str()), ("77-1", "77", "1"));
    assert_eq!(compare(&customer().into(), &read.into(), carries()), []);
    assert_eq!(encode::customer(&customer(), &values, Some(&raw), &form), Ok(Encoded::Nothing));
    let moved = Customer { email: Some("a@example.com".into()), ..customer() };
    let Ok(Encoded::Put(request)) = encode::customer(&moved, &values, Some(&raw), &form) else { panic!() };
    assert_eq!(
        (request.path.as_str(), request.body),
        ("/services/rest/record/v1/customer/110", json!({"email": "a@example.com"}))
    );
}

#[test]
fn nobodys_name_is_made_up() {
    let form = Form::default();
    let made = |first: Option<&str>, last: Option<&str>, company: Option<&str>| {
        let text = |t: Option<&str>| t.map(str::to_owned);
        let customer = Customer { first_name: text(first), last_name: text(last), company: text(company), ..customer() };
        let values = customer_words();
        let request = match encode::customer(&customer, &values, None, &form) {
            Ok(Encoded::Put(request)) => request,
            Ok(Encoded::Nothing) => panic!(),
            Err(problems) => return problems[0].rule.clone(),
        };
        let raw = Raw { kind: Kind::Customer, ..raw(&request.body, "1") };
        let read = decode::customer(&raw, &values, &form).record.unwrap();
        assert_eq!(compare(&customer.into(), &read.into(), carries()), []);
        format!(
            "{}|{}|{}|{}",
            request.body["isPerson"], request.body["firstName"], request.body["lastName"], request.body["companyName"]
        )
    };
    assert_eq!(made(None, None, None), "target.customer_name");
    assert_eq!(made(None, None, Some("Åkesson AB")), r#"false|null|null|"Åkesson AB""#);
    assert_eq!(made(Some("Cher"), None, None), r#"true|null|"Cher"|null"#);
    assert_eq!(made(None, Some("Cher"), None), r#"true|null|"Cher"|null"#);
    assert_eq!(made(Some("A"), None, Some("B")), r#"true|null|"A"|"B""#);
}

#[test]
fn opening_makes_no_call_and_shows_no_secret() {
    let settings = json!({"account": "1234567_SB1", "auth": {"client_id": "c", "certificate_id": "k"}});
    let mut secrets = Secrets::default();
    secrets.set("auth.private_key", Secret::new(KEY));
    let clock = std::sync::Arc::new(ManualClock::at("2026-02-03T10:00:00Z".parse().unwrap()));
    let name = selvedge_model::ConnectionName::new("erp");
    let context = OpenContext {
        name: &name,
        settings: &settings,
        secrets: &secrets,
        clock,
        read_only: false,
        reach: selvedge_connector::Reach::ANYWHERE,
    };
    let connection = NetSuite.open(&context).unwrap();
    assert!(
        connection.order_sink.is_some()
            && connection.customer_sink.is_some()
            && connection.lists.is_some()
            && connection.probe.is_some()
    );
    assert!(connection.feed.is_none() && connection.stock_sink.is_none());
    assert!(connection.hooks.is_some() && connection.stock_source.is_some());
    let read = super::super::settings::read(&settings, &secrets).unwrap();
    let auth = super::super::auth::Auth::new(
        read.credentials.clone(),
        &read.base_url,
        std::sync::Arc::new(ManualClock::at(jiff::Timestamp::UNIX_EPOCH)),
    );
    assert!(!format!("{read:?} {auth:?} {secrets:?}").contains(&KEY[40..80]));
    let known = NetSuite.settings();
    assert!(NetSuite.secret_settings().iter().all(|path| known.contains_key(path)));
}

#[test]
fn a_key_that_cannot_sign_is_a_wrong_setting() {
    let settings = json!({"account": "1", "auth": {"client_id": "c", "certificate_id": "k", "algorithm": "PS256"}});
    for key in [KEY, "-----BEGIN PRIVATE KEY-----\nhidden\n-----END PRIVATE KEY-----", "hidden"] {
        let mut secrets = Secrets::default();
        secrets.set("auth.private_key", Secret::new(key));
        let problems = super::super::settings::read(&settings, &secrets).unwrap_err();
        assert_eq!((problems.len(), problems[0].path.as_str()), (1, "auth.private_key"), "{problems:?}");
        assert!(!format!("{problems:?}").contains("hidden"));
    }
}
