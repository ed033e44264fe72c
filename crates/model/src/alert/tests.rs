//! The policy as tables of cases, and what messages say.

use std::time::Duration;

use jiff::{
    SignedDuration, Timestamp,
    civil::{Time, Weekday, time},
    tz::TimeZone,
};
use proptest::prelude::*;

use super::{
    policy::{Subject, route_of},
    text::{plain, plain_text, subject, words},
    *,
};
use crate::{AlertId, Currency, ExceptionId, MessageId, Money, alert::severity::Weight};

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn minutes(count: u64) -> Duration {
    Duration::from_secs(60 * count)
}

fn route() -> Route {
    let step = |after, channel: &str| Step { after: minutes(after), channels: vec![channel.into()] };
    Route {
        name: "all".to_owned(),
        severity: Severity::Info,
        teams: Vec::new(),
        rules: Vec::new(),
        steps: vec![step(0, "chat"), step(10, "pager"), step(30, "boss")],
        repeat: Some(minutes(60)),
        group: minutes(1),
        quiet: None,
        digest: None,
    }
}

fn standing(opened_at: &str) -> Standing {
    Standing {
        opened_at: at(opened_at),
        severity: Severity::Error,
        told_severity: None,
        steps_told: 0,
        first_told_at: None,
        last_told_at: None,
        acknowledged: false,
        unreached: false,
    }
}

/// Plays an alert forward minute by minute: what is told, and in which minute.
fn played(
    route: &Route,
    mut standing: Standing,
    for_minutes: u64,
    mut act: impl FnMut(u64, &mut Standing),
) -> Vec<(u64, Event, String)> {
    let mut told = Vec::new();
    let start = standing.opened_at;
    for minute in 0..for_minutes {
        act(minute, &mut standing);
        let now = start + minutes(minute);
        if let Plan::Tell(due) = route.plan(&standing, now) {
            told.push((minute, due.event, due.channels.iter().map(ChannelName::as_str).collect::<Vec<_>>().join("+")));
            if matches!(due.event, Event::Opened | Event::Digest) {
                standing.first_told_at = Some(now);
            }
            standing.last_told_at = Some(now);
            standing.told_severity = Some(standing.severity);
            standing.unreached = false;
            standing.steps_told = due.step + 1;
        }
    }
    told
}

fn told(told: &[(u64, Event, &str)]) -> Vec<(u64, Event, String)> {
    told.iter().map(|(minute, event, channel)| (*minute, *event, (*channel).to_owned())).collect()
}

#[test]
fn steps_follow_each_other_until_somebody_acknowledges() {
    use Event::{Escalated, Opened, Repeated};
    let start = || standing("2026-03-02T09:00:00Z");
    let nobody = played(&route(), start(), 180, |_, _| {});
    assert_eq!(
        nobody,
        told(&[
            (1, Opened, "chat"),
            (11, Escalated, "pager"),
            (31, Escalated, "boss"),
            (91, Repeated, "boss"),
            (151, Repeated, "boss")
        ])
    );
    let acknowledged = played(&route(), start(), 180, |minute, standing| standing.acknowledged = minute >= 9);
    assert_eq!(acknowledged, told(&[(1, Opened, "chat")]));
    // What becomes worse is told anew, from the first step, even though somebody looked after the lesser trouble.
    let worse = played(&route(), start(), 60, |minute, standing| {
        standing.acknowledged = (5..20).contains(&minute);
        if minute == 20 {
            standing.severity = Severity::Critical;
        }
    });
    assert_eq!(worse, told(&[(1, Opened, "chat"), (20, Opened, "chat"), (30, Escalated, "pager"), (50, Escalated, "boss")]));
    // A channel that reaches nobody is passed over at once.
    let unreached = played(&route(), start(), 40, |minute, standing| standing.unreached = minute == 3);
    assert_eq!(unreached, told(&[(1, Opened, "chat"), (3, Escalated, "pager"), (31, Escalated, "boss")]));
}

#[test]
fn quiet_hours_are_the_local_clocks_and_spare_what_is_critical() {
    let zone = TimeZone::get("Europe/Stockholm").unwrap();
    let quiet =
        Quiet { from: time(22, 0, 0, 0), to: time(7, 0, 0, 0), days: vec![Weekday::Sunday], zone, except: Severity::Critical };
    for (now, until) in [
        ("2026-03-03T12:00:00+01:00", None),
        ("2026-03-03T21:59:59+01:00", None),
        ("2026-03-03T22:00:00+01:00", Some("2026-03-04T07:00:00+01:00")),
        ("2026-03-04T06:59:59+01:00", Some("2026-03-04T07:00:00+01:00")),
        ("2026-03-04T07:00:00+01:00", None),
        // Saturday night leads through Sunday into Monday morning.
        ("2026-03-07T23:00:00+01:00", Some("2026-03-09T07:00:00+01:00")),
        ("2026-03-08T15:00:00+01:00", Some("2026-03-09T07:00:00+01:00")),
        // The night that loses an hour is an hour shorter, and ends at seven all the same.
        ("2026-03-27T22:30:00+01:00", Some("2026-03-28T07:00:00+01:00")),
        ("2026-03-28T23:30:00+01:00", Some("2026-03-30T07:00:00+02:00")),
        // The night that has an hour twice.
        ("2026-10-24T22:00:00+02:00", Some("2026-10-26T07:00:00+01:00")),
    ] {
        assert_eq!(quiet.until(at(now)), until.map(at), "{now}");
    }
    let route = Route { quiet: Some(quiet), ..route() };
    let mut night = standing("2026-03-03T22:30:00+01:00");
    assert_eq!(route.plan(&night, at("2026-03-03T23:00:00+01:00")), Plan::Wait(at("2026-03-04T07:00:00+01:00")));
    assert!(matches!(route.plan(&night, at("2026-03-04T07:00:00+01:00")), Plan::Tell(_)));
    night.severity = Severity::Critical;
    assert!(matches!(route.plan(&night, at("2026-03-03T23:00:00+01:00")), Plan::Tell(_)));
}

#[test]
fn quiet_hours_within_a_day_and_no_hours_at_all() {
    let quiet = |from: Time, to: Time| Quiet { from, to, days: Vec::new(), zone: TimeZone::UTC, except: Severity::Critical };
    let lunch = quiet(time(12, 0, 0, 0), time(13, 0, 0, 0));
    assert_eq!(lunch.until(at("2026-03-03T12:30:00Z")), Some(at("2026-03-03T13:00:00Z")));
    assert_eq!(lunch.until(at("2026-03-03T13:00:00Z")), None);
    assert_eq!(quiet(time(12, 0, 0, 0), time(12, 0, 0, 0)).until(at("2026-03-03T12:00:00Z")), None);
    // Somebody who wants to be left alone always is told of it: it ends, and is looked at again.
    let always = Quiet {
        days: vec![
            Weekday::Monday,
            Weekday::Tuesday,
            Weekday::Wednesday,
            Weekday::Thursday,
            Weekday::Friday,
            Weekday::Saturday,
            Weekday::Sunday,
        ],
        ..lunch
    };
    assert!(always.until(at("2026-03-03T12:00:00Z")).is_some());
}

#[test]
fn digests_come_at_the_local_time() {
    let zone = TimeZone::get("Europe/Stockholm").unwrap();
    let daily = Digest { at: time(8, 0, 0, 0), day: None, zone: zone.clone() };
    let weekly = Digest { at: time(8, 0, 0, 0), day: Some(Weekday::Monday), zone };
    for (digest, after, next) in [
        (&daily, "2026-03-03T07:59:59+01:00", "2026-03-03T08:00:00+01:00"),
        (&daily, "2026-03-03T08:00:00+01:00", "2026-03-04T08:00:00+01:00"),
        (&daily, "2026-03-28T12:00:00+01:00", "2026-03-29T08:00:00+02:00"),
        (&weekly, "2026-03-03T08:00:00+01:00", "2026-03-09T08:00:00+01:00"),
        (&weekly, "2026-03-09T08:00:00+01:00", "2026-03-16T08:00:00+01:00"),
    ] {
        assert_eq!(digest.next(at(after)), Some(at(next)), "{after}");
    }
    let route = Route { digest: Some(daily), ..route() };
    let days = played(&route, standing("2026-03-03T09:00:00+01:00"), 3 * 1_440, |_, _| {});
    assert_eq!(
        days.iter().map(|(minute, event, _)| (*minute / 60, *event)).collect::<Vec<_>>(),
        [(23, Event::Digest), (47, Event::Digest), (71, Event::Digest)]
    );
}

#[test]
fn the_first_route_that_takes_it_has_it() {
    let named = |name: &str| Route { name: name.to_owned(), ..route() };
    let routes = [
        Route { severity: Severity::Critical, ..named("bad") },
        Route { teams: vec![Team::Finance], ..named("money") },
        Route { rules: vec!["stock.".to_owned()], ..named("stock") },
    ];
    let taken = |severity, team, rule: &str| route_of(&routes, &Subject { severity, team, rule }).map(|route| route.name.clone());
    assert_eq!(taken(Severity::Critical, Team::Finance, "stock.x").as_deref(), Some("bad"));
    assert_eq!(taken(Severity::Info, Team::Finance, "stock.x").as_deref(), Some("money"));
    assert_eq!(taken(Severity::Info, Team::Operations, "stock.x").as_deref(), Some("stock"));
    assert_eq!(taken(Severity::Error, Team::Operations, "mapping.x"), None);
}

#[test]
fn severity_follows_what_is_at_stake() {
    let eur = |minor| Money::from_minor(minor, Currency::from_code("EUR").unwrap());
    let thresholds = Thresholds {
        error_money: vec![eur(100_000)],
        critical_money: vec![eur(1_000_000)],
        info_rules: vec!["product.".to_owned()],
        ..Thresholds::default()
    };
    let sek = Money::from_minor(i64::MAX, Currency::from_code("SEK").unwrap());
    for (rule, records, money, hours, left, severity) in [
        ("mapping.item", 0, vec![], 0, None, Severity::Warning),
        ("mapping.item", 10, vec![], 0, None, Severity::Error),
        ("mapping.item", 1, vec![eur(99_999)], 0, None, Severity::Warning),
        ("mapping.item", 1, vec![eur(100_000)], 0, None, Severity::Error),
        ("mapping.item", 1, vec![eur(1_000_000)], 0, None, Severity::Critical),
        // Of a currency without a limit nothing is said.
        ("mapping.item", 1, vec![sek], 0, None, Severity::Warning),
        ("mapping.item", 1, vec![], 24, None, Severity::Error),
        // Two hours to its deadline, less, and past it.
        ("mapping.item", 1, vec![], 0, Some(120), Severity::Warning),
        ("mapping.item", 1, vec![], 0, Some(119), Severity::Error),
        ("mapping.item", 1, vec![], 0, Some(-600), Severity::Error),
        ("mapping.item", 100, vec![], 0, Some(1), Severity::Critical),
        ("product.twin", 99, vec![], 48, Some(1), Severity::Info),
        ("product.twin", 100, vec![], 0, None, Severity::Critical),
        ("connection.credentials", 0, vec![], 0, None, Severity::Critical),
    ] {
        let (open_for, due_in) = (Duration::from_secs(hours * 3_600), left.map(SignedDuration::from_mins));
        let weight = Weight { rule, records, money: &money, open_for, due_in };
        assert_eq!(thresholds.severity(&weight), severity, "{rule} {records} {money:?} {hours} {left:?}");
    }
    let unhurried = Thresholds { error_before: None, ..thresholds };
    let open_for = Duration::ZERO;
    let weight = Weight { rule: "mapping.item", records: 1, money: &[], open_for, due_in: Some(SignedDuration::ZERO) };
    assert_eq!(unhurried.severity(&weight), Severity::Warning);
}

fn item(held: u64, money: &[&str]) -> Item {
    Item {
        alert: AlertId(7),
        exception: ExceptionId(3),
        severity: Severity::Critical,
        rule: "mapping.shipping_item".to_owned(),
        flow: "orders".to_owned(),
        team: Team::Engineering,
        message: "shipping method 'express' has no entry".to_owned(),
        remedy: "Add it under Mappings.".to_owned(),
        held,
        behind: 0,
        money: money.iter().map(|m| (*m).to_owned()).collect(),
        since: at("2026-03-02T09:00:00Z"),
        resolved: None,
    }
}

fn message(event: Event, items: Vec<Item>, more: u64) -> Message {
    Message {
        id: MessageId(12),
        brand: "nordvik".to_owned(),
        event,
        severity: Severity::Critical,
        by: None,
        items,
        more,
        at: at("2026-03-02T09:01:00Z"),
    }
}

#[test]
fn subjects_say_what_is_at_stake() {
    for (event, items, more, line) in [
        (
            Event::Opened,
            vec![item(214, &["18200.00 EUR"])],
            0,
            "[critical] 214 records held: shipping method 'express' has no entry (18,200.00 EUR)",
        ),
        (Event::Opened, vec![item(0, &[])], 0, "[critical] shipping method 'express' has no entry"),
        (
            Event::Opened,
            vec![Item { behind: 1_200, rule: "reconcile.missing".to_owned(), ..item(0, &["18200.00 EUR"]) }],
            0,
            "[critical] 1,200 records differ: shipping method 'express' has no entry (18,200.00 EUR)",
        ),
        (
            Event::Opened,
            vec![Item { behind: 1, rule: "connection.down".to_owned(), ..item(0, &[]) }],
            0,
            "[critical] 1 record waits: shipping method 'express' has no entry",
        ),
        (
            Event::Escalated,
            vec![item(1, &["5.00 EUR", "1234567 JPY"])],
            0,
            "[critical, nobody acknowledged] 1 record held: shipping method 'express' has no entry (5.00 EUR, 1,234,567 JPY)",
        ),
        (
            Event::Opened,
            vec![item(2, &[]), item(1, &[])],
            3,
            "[critical] 5 exceptions, the worst: 2 records held: shipping method 'express' has no entry",
        ),
        (Event::Resolved, vec![item(0, &[])], 0, "[resolved] shipping method 'express' has no entry"),
        (Event::Test, vec![], 0, "[test] nordvik: this channel works"),
    ] {
        assert_eq!(subject(&message(event, items, more)), line);
    }
}

#[test]
fn the_body_has_cause_stake_owner_remedy_and_links() {
    let links = Links {
        base: Some("https://desk.example".to_owned()),
        acknowledge: Some("https://desk.example/alerts/ack/abc".to_owned()),
    };
    let text = plain_text(&words(&message(Event::Opened, vec![item(214, &["18200.00 EUR"])], 0), &links));
    assert_eq!(
        text,
        "214 records held: shipping method 'express' has no entry (18,200.00 EUR)\n  Rule: mapping.shipping_item\n  Flow: orders\n  Owner: Engineering\n  Since: 2026-03-02 09:00 UTC\n  What to do: Add it under Mappings.\n  https://desk.example/exceptions/exc_3\n\nAcknowledge, so that nobody else is told: https://desk.example/alerts/ack/abc\nAll alerts: https://desk.example/alerts\nnordvik · msg_12\n"
    );
    // Without an address of the server, the command line does.
    let text = plain_text(&words(&message(Event::Opened, vec![item(1, &[])], 4), &Links::default()));
    assert!(text.contains("selvedge alerts ack alr_7") && text.contains("And 4 more.") && !text.contains("http"), "{text}");
    // What is over asks for nothing.
    assert!(!plain_text(&words(&message(Event::Resolved, vec![item(1, &[])], 0), &links)).contains("cknowledge"));
}

#[test]
fn nobody_is_named() {
    assert_eq!(plain("mapping.item", "ada@example.com ordered\n it, call +46701234567"), "… ordered it, call …");
    assert_eq!(plain("mapping.item", "call (+46701234567) or order 1042123456"), "call … or order 1042123456");
    assert_eq!(plain("mapping.item", "4 @ 20.00 and @user stay"), "4 @ 20.00 and @user stay");
    for rule in ["address.postcode", "customer.email", "target.customer_name"] {
        assert!(!plain(rule, "Ada Lovelace, Storgatan 1").contains("Ada"), "{rule}");
    }
    assert_eq!(plain("mapping.item", &"ä".repeat(900)).chars().count(), 300);
}

proptest! {
    /// Whatever happens, a plan that waits waits for something later, so that nothing is looked at for ever.
    #[test]
    fn waiting_ends(
        opened in 0_i64..10_000_000, told in proptest::option::of(0_i64..10_000_000), steps in 0_usize..5, now in 0_i64..20_000_000,
        from in 0_i8..24, to in 0_i8..24, digest in any::<bool>(),
    ) {
        let base = at("2026-01-01T00:00:00Z").as_second();
        let moment = |second: i64| Timestamp::from_second(base + second).unwrap();
        let zone = TimeZone::get("America/New_York").unwrap();
        let route = Route {
            quiet: Some(Quiet { from: time(from, 30, 0, 0), to: time(to, 0, 0, 0), days: vec![Weekday::Saturday], zone: zone.clone(), except: Severity::Critical }),
            digest: digest.then(|| Digest { at: time(2, 30, 0, 0), day: None, zone }),
            ..route()
        };
        let told = told.map(|after| moment(opened + after));
        let standing = Standing { opened_at: moment(opened), first_told_at: told, last_told_at: told, steps_told: steps, ..standing("2026-01-01T00:00:00Z") };
        if let Plan::Wait(until) = route.plan(&standing, moment(now)) {
            prop_assert!(until > moment(now));
        }
    }

    /// No subject breaks a header or a card: one line, bounded, whatever an exception says.
    #[test]
    fn subjects_are_one_line(text in "\\PC*|[\\r\\n\\t a-z]*", held in any::<u64>()) {
        let mut one = item(held, &["1.00 EUR"]);
        one.message = plain("mapping.item", &text);
        let line = subject(&message(Event::Opened, vec![one], 0));
        prop_assert!(!line.contains(['\r', '\n']) && line.chars().count() <= 200, "{line:?}");
    }
}
