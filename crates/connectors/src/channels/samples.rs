//! One message, as every channel's golden bytes show it.

use selvedge_model::{
    AlertId, ExceptionId, MessageId,
    alert::{Event, Item, Links, Message, Severity},
    team::Team,
};

pub(super) fn opened() -> Message {
    Message {
        id: MessageId(12),
        brand: "nordvik".to_owned(),
        event: Event::Opened,
        severity: Severity::Critical,
        by: None,
        items: vec![Item {
            alert: AlertId(7),
            exception: ExceptionId(3),
            severity: Severity::Critical,
            rule: "mapping.shipping_item".to_owned(),
            flow: "orders".to_owned(),
            team: Team::Engineering,
            message: "shipping method 'express' has no entry".to_owned(),
            remedy: "Add it under Mappings.".to_owned(),
            held: 214,
            behind: 0,
            money: vec!["18200.00 EUR".to_owned()],
            since: "2026-03-02T09:00:00Z".parse().unwrap(),
            resolved: None,
        }],
        more: 0,
        at: "2026-03-02T09:01:00Z".parse().unwrap(),
    }
}

pub(super) fn links() -> Links {
    Links { base: Some("https://desk.example".to_owned()), acknowledge: Some("https://desk.example/alerts/ack/abc".to_owned()) }
}
