//! Two looks at the sample shop and its books: the first found more than the second.

use selvedge_model::{
    DifferenceId, ReconciliationId,
    compare::Cause,
    reconcile::{
        Sum, Tallies, Tally, Why,
        habits::{Habit, Told},
    },
    team::Team,
};
use selvedge_store::{Tx, differences::NewDifference, reconciliations::NewReconciliation};

use super::*;

const PAIR: &str = "shop-books";

fn sek(minor: i64) -> Money {
    Money::from_minor(minor, Currency::from_code("SEK").unwrap())
}

/// The pair of the sample: its orders and its credit notes.
pub(crate) fn pair() -> PairSetup {
    PairSetup {
        name: PAIR.to_owned(),
        sources: vec!["shop".into()],
        target: "books".into(),
        kinds: vec![Kind::Order, Kind::CreditNote],
        places: BTreeMap::new(),
        shared: Vec::new(),
        stock_flow: None,
        parts_only: false,
        buffered: false,
        every: None,
        back: Duration::from_secs(7 * 86_400),
        far_every: None,
        far_back: Duration::from_secs(90 * 86_400),
        around: Duration::from_secs(86_400),
        tolerance: Default::default(),
        allowance: Duration::from_secs(3_600),
        late_after: Duration::from_secs(6 * 3_600),
        exclude_markets: Vec::new(),
        flows: vec![(Kind::Order, "orders".into())],
    }
}

fn difference(kind: Kind, subject: &str, order: &str, cause: Cause, why: Why) -> NewDifference {
    NewDifference {
        kind,
        subject: subject.to_owned(),
        family: order.to_owned(),
        cause,
        why,
        path: String::new(),
        expected: None,
        actual: None,
        money: None,
        stake: None,
        source: Some("shop".into()),
        source_id: None,
        target_id: None,
        at: start(),
        team: Team::Finance,
        exception: None,
        detail: format!("{subject}: {}", why.title()),
        fix: why.fix().to_owned(),
    }
}

fn look(tx: &Tx<'_>, at: Timestamp) -> selvedge_store::Result<ReconciliationId> {
    let window = Interval { from: start() - Duration::from_secs(7 * 86_400), to: at };
    let new = NewReconciliation {
        pair: PAIR.to_owned(),
        sources: vec!["shop".into()],
        target: "books".into(),
        via: "timer".to_owned(),
        window,
        read: window,
    };
    tx.begin_reconciliation(&brand(), &new, at)
}

fn sum(count: u64, minor: i128) -> Sum {
    Sum { count, money: [(Currency::from_code("SEK").unwrap(), minor)].into() }
}

/// What is open, what is closed, and the exception that groups the open ones.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Found {
    pub(crate) missing: DifferenceId,
    pub(crate) alone: DifferenceId,
    pub(crate) tax: DifferenceId,
    pub(crate) closed: DifferenceId,
    pub(crate) exception: ExceptionId,
}

/// The pair before anybody looked.
pub(crate) async fn unlooked() -> (Arc<App>, Arc<ManualClock>) {
    with(Vec::new(), &[], vec![pair()]).await
}

/// Four differences at the first look, of which the second saw one agree. The credit notes do not meet.
pub(crate) async fn reconciled() -> (Arc<App>, Found) {
    let (app, clock) = unlooked().await;
    place(&app, order("1001", "Åsa", 1), start(), Fate::Confirmed).await;
    let found = app
        .store
        .write(|tx| {
            let day = |days: u64| start() + Duration::from_secs(days * 86_400);
            let first = look(tx, day(1))?;
            let missing = NewDifference {
                stake: Some(sek(355_000)),
                expected: Some("3550.00 SEK".to_owned()),
                source_id: Some("1002".to_owned()),
                ..difference(Kind::Order, "1002", "1002", Cause::Missing, Why::NeverArrived)
            };
            let alone = NewDifference {
                stake: Some(sek(355_000)),
                actual: Some(NAUGHTY.to_owned()),
                source: None,
                target_id: Some("901, 902".to_owned()),
                detail: NAUGHTY.to_owned(),
                ..difference(Kind::Order, "~901", "~901", Cause::Orphan, Why::Foreign)
            };
            let tax = NewDifference {
                path: "lines[COAT-42].tax".to_owned(),
                expected: Some("600.00 SEK".to_owned()),
                actual: Some("600.01 SEK".to_owned()),
                money: Some(sek(1)),
                stake: Some(sek(1)),
                source_id: Some("1001".to_owned()),
                target_id: Some("801001".to_owned()),
                ..difference(Kind::Order, "1001", "1001", Cause::TaxRounding, Why::Rounding)
            };
            let closed = NewDifference {
                path: "status".to_owned(),
                ..difference(Kind::Order, "1001", "1001", Cause::Status, Why::CancelledOnce)
            };
            let note = |run, new: &NewDifference, at| tx.note_difference(&brand(), PAIR, run, new, at).map(|(id, _)| id);
            let ids = [&missing, &alone, &tax, &closed].map(|new| note(first, new, day(1)));
            let [missing_id, alone_id, tax_id, closed_id] = ids;
            let (missing_id, alone_id, tax_id, closed_id) = (missing_id?, alone_id?, tax_id?, closed_id?);
            let told = serde_json::to_vec(&Told::default()).unwrap();
            tx.finish_reconciliation(&brand(), first, &told, 4, true, day(1))?;

            let second = look(tx, day(2))?;
            for new in [&missing, &alone, &tax] {
                note(second, new, day(2))?;
            }
            let window = Interval { from: start() - Duration::from_secs(1), to: day(2) };
            tx.close_differences(&brand(), PAIR, &[Kind::Order], &window, second, day(2))?;
            tx.suggest_difference(
                missing_id,
                Some(&format!("perhaps 901 (80 %, the same amount, within a day): see {alone_id}")),
            )?;
            let mut tallies = Tallies::default();
            *tallies.of(Kind::Order) = Tally {
                told: sum(1_204, 18_200_000),
                agreed: sum(1_190, 17_000_000),
                open: sum(2, 700_000),
                excluded: [("called_off v1".to_owned(), sum(11, 400_000))].into(),
                in_flight: sum(1, 100_000),
                alone_there: sum(1, 355_000),
                there: sum(1_200, 18_000_000),
                there_paired: sum(1_192, 17_545_000),
                there_aside: sum(7, 100_000),
                read: 2_404,
                seen: 2_404,
                tolerated: 3,
                uncaptured: 2,
                unread: 0,
            };
            *tallies.of(Kind::CreditNote) = Tally { told: sum(5, 10_000), agreed: sum(4, 9_000), unread: 1, ..Tally::default() };
            let habits = vec![Habit {
                habit: "poll_window".to_owned(),
                title: "A poll looks back exactly as far as it waits".to_owned(),
                evidence: NAUGHTY.to_owned(),
                count: 2,
                fix: "Let each poll overlap the last.".to_owned(),
                examples: vec!["1002".to_owned()],
            }];
            let told = serde_json::to_vec(&Told { tallies, habits }).unwrap();
            tx.finish_reconciliation(&brand(), second, &told, 3, false, day(2))?;

            let mut problem =
                Problem::new("reconcile.missing", "", "1 of 1 order records never arrived", Why::NeverArrived.fix());
            problem.cause = format!("reconcile:{PAIR}:order:reconcile.missing:never_arrived");
            let exception = tx.raise_standing_anew(&brand(), &"orders".into(), &problem, day(2))?;
            Ok(Found { missing: missing_id, alone: alone_id, tax: tax_id, closed: closed_id, exception })
        })
        .await
        .unwrap();
    clock.advance(Duration::from_secs(2 * 86_400 + 60));
    (app, found)
}

/// The same after a look at which everything agreed.
pub(crate) async fn agreed() -> Arc<App> {
    let (app, _) = reconciled().await;
    app.store
        .write(|tx| {
            let at = start() + Duration::from_secs(3 * 86_400);
            let third = look(tx, at)?;
            let window = Interval { from: start() - Duration::from_secs(1), to: at };
            tx.close_differences(&brand(), PAIR, &[Kind::Order], &window, third, at)?;
            let mut tallies = Tallies::default();
            *tallies.of(Kind::Order) = Tally { told: sum(3, 900), agreed: sum(3, 900), ..Tally::default() };
            let told = serde_json::to_vec(&Told { tallies, habits: Vec::new() }).unwrap();
            tx.finish_reconciliation(&brand(), third, &told, 0, true, at)
        })
        .await
        .unwrap();
    app
}
