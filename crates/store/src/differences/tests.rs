//! One row a disagreement, closed by the look that saw both ends agree.

use super::*;
use crate::{
    Store,
    reconciliations::NewReconciliation,
    samples::{at, brand, connection, memory},
};
use selvedge_model::Currency;

fn money(minor: i64, code: &str) -> Money {
    Money::from_minor(minor, Currency::from_code(code).unwrap())
}

fn difference(subject: &str, second: i64) -> NewDifference {
    NewDifference {
        kind: Kind::Order,
        subject: subject.to_owned(),
        family: subject.to_owned(),
        cause: Cause::Price,
        why: Why::EditedAmount,
        path: "totals".to_owned(),
        expected: Some("10.00 EUR".to_owned()),
        actual: Some("11.00 EUR".to_owned()),
        money: Some(money(100, "EUR")),
        stake: Some(money(100, "EUR")),
        source: Some(connection("shop")),
        source_id: Some(format!("s{subject}")),
        target_id: Some(format!("t{subject}, t{subject}b")),
        at: at(second),
        team: Team::Finance,
        exception: None,
        detail: "a price was changed".to_owned(),
        fix: "set it back".to_owned(),
    }
}

fn window(from: i64, to: i64) -> Interval {
    Interval { from: at(from), to: at(to) }
}

fn look(tx: &Tx<'_>, pair: &str, second: i64) -> ReconciliationId {
    let new = NewReconciliation {
        pair: pair.to_owned(),
        sources: vec![connection("shop")],
        target: connection("books"),
        via: "demand".to_owned(),
        window: window(0, 100),
        read: window(0, 100),
    };
    tx.begin_reconciliation(&brand(), &new, at(second)).unwrap()
}

fn open(view: &View<'_>) -> Vec<(String, DifferenceId)> {
    let rows = view.differences(&brand(), &Wanted { most: 100, ..Wanted::default() }).unwrap();
    rows.into_iter().map(|row| (row.found.subject, row.id)).collect()
}

async fn written<T: Send + 'static>(store: &Store, work: impl FnOnce(&Tx<'_>) -> T + Send + 'static) -> T {
    store.write(move |tx| Ok(work(tx))).await.unwrap()
}

#[tokio::test]
async fn the_same_disagreement_is_one_row_until_it_is_closed() {
    written(&memory().await, |tx| {
        let (first, second) = (look(tx, "a", 200), look(tx, "a", 300));
        let (id, new) = tx.note_difference(&brand(), "a", first, &difference("1", 50), at(210)).unwrap();
        assert!(new);
        let worse = NewDifference {
            why: Why::Misread,
            actual: Some("1000.00 EUR".to_owned()),
            money: Some(money(99_000, "EUR")),
            ..difference("1", 50)
        };
        assert_eq!(tx.note_difference(&brand(), "a", second, &worse, at(310)).unwrap(), (id, false));
        let row = tx.difference(&brand(), id).unwrap().unwrap();
        assert_eq!(row.found, worse, "in its newest words");
        assert_eq!((row.first_run, row.first_seen_at), (first, at(210)), "and as old as it is");
        assert_eq!((row.last_run, row.last_seen_at, row.closed), (second, at(310), None));
        // Another path, cause, kind, pair or document is another disagreement.
        for other in [
            NewDifference { path: "lines[0].net".to_owned(), ..difference("1", 50) },
            NewDifference { cause: Cause::TaxRate, ..difference("1", 50) },
            NewDifference { kind: Kind::CreditNote, ..difference("1", 50) },
            difference("2", 50),
        ] {
            assert!(tx.note_difference(&brand(), "a", second, &other, at(310)).unwrap().1, "{other:?}");
        }
        assert!(tx.note_difference(&brand(), "b", look(tx, "b", 300), &difference("1", 50), at(310)).unwrap().1);
        // Closed, it comes again as a row of its own, and the old one stays as it was.
        let third = look(tx, "a", 400);
        assert_eq!(tx.close_differences(&brand(), "a", &[Kind::Order], &window(0, 100), third, at(410)).unwrap(), 4);
        let (again, new) = tx.note_difference(&brand(), "a", look(tx, "a", 500), &worse, at(510)).unwrap();
        assert!(new && again != id);
        let old = tx.difference(&brand(), id).unwrap().unwrap();
        assert_eq!((old.last_run, old.last_seen_at), (second, at(310)));
        let (closed_at, why) = old.closed.unwrap();
        assert_eq!(closed_at, at(410));
        assert!(why.contains(&third.to_string()), "{why}");
    })
    .await;
}

#[tokio::test]
async fn a_look_closes_what_it_covered_and_did_not_see_and_nothing_else() {
    written(&memory().await, |tx| {
        let first = look(tx, "a", 200);
        let credit = NewDifference { kind: Kind::CreditNote, ..difference("credit", 50) };
        for new in [
            difference("before", 9),
            difference("first", 10),
            difference("seen", 50),
            difference("on its way", 50),
            difference("unread", 50),
            difference("gone", 50),
            difference("after", 90),
            credit,
        ] {
            tx.note_difference(&brand(), "a", first, &new, at(210)).unwrap();
        }
        let elsewhere = look(tx, "b", 200);
        tx.note_difference(&brand(), "b", elsewhere, &difference("elsewhere", 50), at(210)).unwrap();
        let second = look(tx, "a", 300);
        tx.note_difference(&brand(), "a", second, &difference("seen", 50), at(310)).unwrap();
        tx.keep_differences(&brand(), "a", second, Kind::Order, "on its way").unwrap();
        // An id that is another's at the other end, or a part of another, is another document.
        for (end, id) in [(End::Target, "tunreadb"), (End::Source, "tgone"), (End::Target, "sgone"), (End::Target, "tgon")] {
            tx.keep_differences_unread(&brand(), "a", second, Kind::Order, end, &ExternalId::new(id)).unwrap();
        }
        assert_eq!(tx.close_differences(&brand(), "a", &[Kind::Order], &window(10, 90), second, at(310)).unwrap(), 2);
        let mut left: Vec<String> = open(tx).into_iter().map(|(subject, _)| subject).collect();
        left.sort();
        assert_eq!(left, ["after", "before", "credit", "elsewhere", "on its way", "seen", "unread"]);
        let kept = open(tx).into_iter().find(|(subject, _)| subject == "on its way").unwrap().1;
        assert_eq!(tx.difference(&brand(), kept).unwrap().unwrap().last_seen_at, at(210), "it was not seen again");
        // Of another brand nothing is touched.
        assert_eq!(tx.close_differences(&"other".into(), "a", &[Kind::Order], &window(0, 100), second, at(310)).unwrap(), 0);
    })
    .await;
}

#[tokio::test]
async fn a_list_has_the_most_at_stake_first_and_a_cause_adds_it_up_by_currency() {
    written(&memory().await, |tx| {
        let run = look(tx, "a", 200);
        let of =
            |subject: &str, why: Why, stake: Option<Money>| NewDifference { why, stake, money: None, ..difference(subject, 50) };
        for new in [
            of("1", Why::Misread, Some(money(5, "EUR"))),
            of("2", Why::Misread, Some(money(900, "EUR"))),
            of("3", Why::Misread, Some(money(70, "SEK"))),
            of("4", Why::Misread, None),
            NewDifference { path: "lines[0].net".to_owned(), ..of("4", Why::Misread, None) },
            of("5", Why::Rounding, Some(money(1, "EUR"))),
        ] {
            tx.note_difference(&brand(), "a", run, &new, at(210)).unwrap();
        }
        let subjects = |wanted: Wanted| -> Vec<String> {
            let rows = tx.differences(&brand(), &Wanted { most: 100, ..wanted }).unwrap();
            rows.into_iter().map(|row| row.found.subject).collect()
        };
        assert_eq!(subjects(Wanted::default()), ["2", "3", "1", "5", "4", "4"]);
        assert_eq!(subjects(Wanted { why: Some(Why::Rounding), ..Wanted::default() }), ["5"]);
        assert_eq!(subjects(Wanted { family: Some("3".to_owned()), ..Wanted::default() }), ["3"]);
        assert!(subjects(Wanted { cause: Some(Cause::Missing), ..Wanted::default() }).is_empty());
        assert!(subjects(Wanted { pair: Some("b".to_owned()), ..Wanted::default() }).is_empty());
        let causes = tx.difference_causes(&brand()).unwrap();
        assert_eq!(causes.len(), 2);
        let misread = &causes[0];
        assert_eq!((misread.why, misread.count, misread.documents), (Why::Misread, 5, 4), "two of them are of one document");
        let mut stake = misread.stake.clone();
        stake.sort_by_key(|money| money.minor());
        assert_eq!(stake, [money(70, "SEK"), money(905, "EUR")], "currencies do not mix");
    })
    .await;
}
