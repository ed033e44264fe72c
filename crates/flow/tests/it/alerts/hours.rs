//! A night with a digest beside what is told at once, by a local clock that changes.

use jiff::civil::{Time, Weekday};
use selvedge_model::{
    alert::{Digest, Quiet},
    team::Team,
};

use super::*;

const ZONE: &str = "Europe/Stockholm";

fn instant(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// What a channel heard since the last time: when, why, and of which rules.
fn heard(ear: &Ear) -> Vec<(String, Event, Vec<String>)> {
    let heard = std::mem::take(&mut *ear.heard.lock().unwrap());
    let one = |(message, _): &(Message, Links)| {
        let clock = message.at.to_zoned(TimeZone::get(ZONE).unwrap());
        let rules = message.items.iter().map(|item| format!("{} {}", item.rule, item.message)).collect();
        (clock.strftime("%d %H:%M").to_string(), message.event, rules)
    };
    heard.iter().map(one).collect()
}

impl Office {
    /// Works minute by minute until an instant.
    async fn until(&self, text: &str) {
        while self.fake.clock.now() < instant(text) {
            self.fake.clock.advance(Duration::from_secs(60));
            self.engine.tick().await.unwrap();
        }
        self.balanced().await;
    }

    async fn raise_by(&self, rule: &str, what: &str) {
        let (problem, now) = (Problem::new(rule, "", what, "Mend it.").cause(what), self.fake.clock.now());
        self.store.write(move |tx| tx.raise_standing(&brand(), &"orders".into(), &problem, now)).await.unwrap();
    }

    async fn settle_by(&self, rule: &str, what: &str) {
        let (cause, now) = (format!("{rule}:{what}"), self.fake.clock.now());
        self.store.write(move |tx| tx.settle_standing(&brand(), &cause, "it is mended", now)).await.unwrap();
    }
}

#[tokio::test]
async fn a_night_keeps_back_what_can_wait_and_a_digest_comes_at_its_hour() {
    let mail = Arc::new(Ear::default());
    let daily = mail.clone();
    let office = Office::new(move |setup| {
        let zone = TimeZone::get(ZONE).unwrap();
        let hour = |hour| Time::constant(hour, 0, 0, 0);
        setup.alerts.channels.insert("mail".into(), Channel { kind: "ear", sink: daily });
        let mut at_once = setup.alerts.routes.remove(0);
        at_once.steps.truncate(1);
        at_once.repeat = None;
        let step = Step { after: Duration::ZERO, channels: vec!["mail".into()] };
        setup.alerts.routes = vec![
            Route {
                name: "finance".to_owned(),
                teams: vec![Team::Finance],
                steps: vec![step],
                digest: Some(Digest { at: hour(8), day: None, zone: zone.clone() }),
                ..at_once.clone()
            },
            Route {
                quiet: Some(Quiet { from: hour(22), to: hour(7), days: Vec::<Weekday>::new(), zone, except: Severity::Critical }),
                ..at_once
            },
        ];
    })
    .await;
    // Half past seven on the last Saturday of March; the night to come has no hour between two and three.
    office.fake.clock.set(instant("2026-03-28T06:30:00Z"));
    office.raise_by("credit.unlinked", "a credit of January").await;
    office.until("2026-03-28T07:10:00Z").await;
    let digest = |at: &str, of: &[&str]| {
        (at.to_owned(), Event::Digest, of.iter().map(|one| format!("credit.unlinked {one}")).collect::<Vec<_>>())
    };
    assert_eq!(heard(&mail), [digest("28 08:00", &["a credit of January"])]);

    office.until("2026-03-28T20:30:00Z").await;
    office.raise_by("mapping.item", "of the evening").await;
    office.raise_by("credit.unlinked", "of the evening").await;
    office.until("2026-03-28T21:30:00Z").await;
    let opened = |at: &str, what: &str| (at.to_owned(), Event::Opened, vec![what.to_owned()]);
    assert_eq!(heard(&office.chat), [opened("28 21:32", "mapping.item of the evening")], "half past nine is no night yet");
    // Night: what can wait, what comes and goes, and what cannot wait.
    office.raise_by("mapping.item", "of the night").await;
    office.raise_by("mapping.item", "gone by morning").await;
    office.raise_by("credit.unlinked", "gone by morning").await;
    office.until("2026-03-28T23:00:00Z").await;
    assert_eq!(heard(&office.chat), [], "it is quiet");
    office.raise_by("source.silent", "at midnight").await;
    office.until("2026-03-28T23:10:00Z").await;
    assert_eq!(heard(&office.chat), [opened("29 00:02", "source.silent at midnight")]);
    office.settle_by("mapping.item", "gone by morning").await;
    office.settle_by("credit.unlinked", "gone by morning").await;

    // Seven and eight of the new clock: an hour sooner than they would be by the old one.
    office.until("2026-03-29T04:59:00Z").await;
    assert_eq!((heard(&office.chat), heard(&mail)), (vec![], vec![]));
    office.until("2026-03-29T05:50:00Z").await;
    assert_eq!(
        heard(&office.chat),
        [opened("29 07:00", "mapping.item of the night")],
        "whoever was told of nothing is told of no end"
    );
    assert_eq!(heard(&mail), []);
    office.until("2026-03-29T06:30:00Z").await;
    assert_eq!(heard(&mail), [digest("29 08:00", &["a credit of January", "of the evening"])]);
    // Once a day, and what is over is told to be over at once.
    office.settle_by("credit.unlinked", "of the evening").await;
    office.until("2026-03-30T06:30:00Z").await;
    let over = ("29 08:31".to_owned(), Event::Resolved, vec!["credit.unlinked of the evening".to_owned()]);
    assert_eq!(heard(&mail), [over, digest("30 08:00", &["a credit of January"])]);
}
