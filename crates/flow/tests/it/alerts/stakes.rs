//! How bad an exception is: by what it holds, by what it tells of and holds nothing of, and by how near its deadline is.

use selvedge_model::{
    Currency, ExceptionId, Interval, Kind, Money, alert::text::subject, compare::Cause, dispatch::Promise, reconcile::Why,
    team::Team,
};
use selvedge_store::{differences::NewDifference, reconciliations::NewReconciliation};

use super::*;

impl Office {
    /// A look finds so many orders missing at the books, each worth ten euros.
    async fn miss(&self, orders: std::ops::Range<u32>) -> ExceptionId {
        let now = self.fake.clock.now();
        let problem =
            Problem::new("reconcile.missing", "", "orders are missing at books", "Deliver them.").cause("never_arrived");
        let missed = move |tx: &selvedge_store::Tx<'_>| {
            let window = Interval { from: start() - Duration::from_secs(86_400), to: now };
            let look = NewReconciliation {
                pair: "shop-books".to_owned(),
                sources: vec!["shop".into()],
                target: "books".into(),
                via: "demand".to_owned(),
                window,
                read: window,
            };
            let run = tx.begin_reconciliation(&brand(), &look, now)?;
            let exception = tx.raise_standing(&brand(), &"orders".into(), &problem, now)?;
            for number in orders {
                let new = NewDifference {
                    kind: Kind::Order,
                    subject: number.to_string(),
                    family: number.to_string(),
                    cause: Cause::Missing,
                    why: Why::NeverArrived,
                    path: String::new(),
                    expected: None,
                    actual: None,
                    money: None,
                    stake: Some(Money::from_minor(1_000, Currency::EUR)),
                    source: Some("shop".into()),
                    source_id: Some(number.to_string()),
                    target_id: None,
                    at: now,
                    team: Team::Operations,
                    exception: Some(exception),
                    detail: "it never arrived".to_owned(),
                    fix: "Deliver it.".to_owned(),
                };
                tx.note_difference(&brand(), "shop-books", run, &new, now)?;
            }
            Ok(exception)
        };
        self.store.write(missed).await.unwrap()
    }

    /// The subjects of what the chat heard since the last time.
    fn subjects(&self) -> Vec<String> {
        std::mem::take(&mut *self.chat.heard.lock().unwrap()).iter().map(|(message, _)| subject(message)).collect()
    }
}

#[tokio::test]
async fn what_two_ends_disagree_on_is_as_bad_as_what_is_held() {
    let office = Office::new(|_| {}).await;
    office.miss(0..214).await;
    office.minutes(3).await;
    assert_eq!(office.subjects(), ["[critical] 214 records differ: orders are missing at books (2,140.00 EUR)"]);
    // By money alone.
    let office = Office::new(|setup| {
        setup.alerts.thresholds.critical_money = vec![Money::from_minor(2_000, Currency::EUR)];
    })
    .await;
    office.miss(0..2).await;
    office.minutes(3).await;
    assert_eq!(office.subjects(), ["[critical] 2 records differ: orders are missing at books (20.00 EUR)"]);
}

#[tokio::test]
async fn what_two_ends_disagree_on_wakes_when_it_doubles() {
    let office = Office::new(|_| {}).await;
    let id = office.miss(0..2).await;
    office.minutes(3).await;
    assert_eq!(office.subjects(), ["[warning] 2 records differ: orders are missing at books (20.00 EUR)"]);
    let until = office.fake.clock.now() + Duration::from_secs(86_400);
    office.actions().snooze(id, until, "the books are mended on Monday").await.unwrap();
    office.miss(2..3).await;
    office.minutes(3).await;
    assert_eq!(office.subjects(), [""; 0], "three are not twice as many as two");
    office.miss(3..400).await;
    office.minutes(3).await;
    assert_eq!(office.subjects(), ["[critical] 400 records differ: orders are missing at books (4,000.00 EUR)"]);
    let (row, events) = office.store.read(move |view| Ok((view.exception(id)?, view.exception_events(id, 10)?))).await.unwrap();
    assert_eq!(row.snoozed, None);
    let said: Vec<&str> = events.iter().map(|event| event.detail.as_str()).collect();
    assert!(said.contains(&"400 are at stake now, 2 when it was snoozed"), "{said:?}");
}

#[tokio::test]
async fn a_near_deadline_makes_it_worse() {
    let time = |hour| jiff::civil::Time::constant(hour, 0, 0, 0);
    let office = Office::new(|setup| {
        let any = Vec::new;
        setup.desk.promises =
            vec![Promise { markets: any(), methods: any(), countries: any(), cutoff: time(12), days: 2, by: time(18) }];
    })
    .await;
    map_items(&office.store, &office.fake, &[1, 2]).await;
    // Nine of one item that has no mapping, at nine o'clock; the last collection is at twelve.
    (1..=9).for_each(|nth| office.fake.place(nth * 3, 1));
    office.minutes(30).await;
    let told = office.subjects();
    assert!(told.len() == 1 && told[0].starts_with("[warning] 9 records held"), "{told:?}");
    office.minutes(30).await;
    assert_eq!(office.subjects(), [""; 0], "two hours and more");
    office.minutes(3).await;
    let told = office.subjects();
    assert!(told.len() == 1 && told[0].starts_with("[error] 9 records held"), "{told:?}");
}

#[tokio::test]
async fn credits_that_are_missing_are_finances_as_each_of_them_is() {
    let office = Office::new(|_| {}).await;
    let now = office.fake.clock.now();
    let raised = office.store.write(move |tx| {
        let mut ids = Vec::new();
        for kind in ["order", "credit_note", "stock"] {
            let mut problem = Problem::new("reconcile.missing", "", "something is missing at books", "Deliver it.");
            problem.cause = format!("reconcile:shop-books:{kind}:reconcile.missing:never_arrived");
            ids.push(tx.raise_standing(&brand(), &"orders".into(), &problem, now)?);
        }
        Ok(ids)
    });
    let ids = raised.await.unwrap();
    office.minutes(1).await;
    let mut teams = Vec::new();
    for id in ids {
        teams.push(office.store.read(move |view| view.exception(id)).await.unwrap().owner.team);
    }
    assert_eq!(teams, [Team::Operations, Team::Finance, Team::Operations]);
}
