//! The pure halves against the partners' samples, and the ports against the stand-in over SFTP.

mod credits;
mod files;
mod returns;
mod server;

use std::sync::Arc;

use selvedge_connector::{Connection, Connector, OpenContext, Secret, Secrets, SettingProblem, clock::ManualClock, picking};
use selvedge_model::{
    ConnectionName, Currency, ExternalId, Money, Order,
    gate::Values,
    records::{Address, Named},
};
use serde_json::{Value, json};

use super::{
    ThreePl,
    settings::{Form, Settings},
};

/// The settings that must be there.
pub(super) fn settings(change: Value) -> Value {
    let mut settings = json!({ "host": "127.0.0.1", "user": "brand", "host_key": "SHA256:none", "settle_seconds": 0 });
    for (name, value) in change.as_object().unwrap() {
        settings[name] = value.clone();
    }
    settings
}

pub(super) fn with_context<T>(
    settings: &Value,
    password: &str,
    clock: Arc<ManualClock>,
    act: impl FnOnce(&OpenContext<'_>) -> T,
) -> T {
    let mut secrets = Secrets::default();
    secrets.set("password", Secret::new(password));
    let name = ConnectionName::new("depot");
    act(&OpenContext {
        name: &name,
        settings,
        secrets: &secrets,
        clock,
        read_only: false,
        reach: selvedge_connector::Reach::ANYWHERE,
    })
}

pub(super) fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::at("2026-02-04T10:10:00Z".parse().unwrap()))
}

pub(super) fn form(change: Value) -> Form {
    with_context(&settings(change), "secret", clock(), |context| Settings::read(context).unwrap().form)
}

pub(super) fn x12() -> Value {
    json!({ "format": "x12", "x12": { "sender": "ZZ:SHOP01", "receiver": "ZZ:WH01", "production": false } })
}

pub(super) fn open(change: Value, password: &str, clock: Arc<ManualClock>) -> Result<Connection, Vec<SettingProblem>> {
    with_context(&settings(change), password, clock, |context| ThreePl.open(context))
}

/// Two lines, three units, an address with everything that parts cells in it.
pub(super) fn order(number: &str) -> Order {
    let currency = Currency::from_code("SEK").unwrap();
    let at = "2026-02-03T09:10:00Z".parse().unwrap();
    let mut lines = vec![picking::line("7", "TEE-BLK-M", 2, currency), picking::line("8.1", "00123", 1, currency)];
    lines[0].net = Money::from_minor(31_840, currency);
    lines[1].bundle = Some(ExternalId::new("8"));
    let address = Address {
        first_name: Some("Åsa".into()),
        last_name: Some("Öberg".into()),
        line1: Some("Gatan 1, \"bakom\"; 2 tr".into()),
        postcode: Some("01234".into()),
        city: Some("Malmö".into()),
        country: Some("SE".into()),
        ..Address::default()
    };
    Order {
        market: Named { id: "1".into(), name: "Sweden".into() },
        shipping: Some(address),
        shipping_method: Some(Named { id: "s".into(), name: "Standard".into() }),
        lines,
        ..picking::order(number, number.into(), currency, at)
    }
}

pub(super) fn values() -> Values {
    let mut values = Values::default();
    values.set("shipping_service", "market=1,method=Standard,country=SE,weight=any", "STD");
    values
}
