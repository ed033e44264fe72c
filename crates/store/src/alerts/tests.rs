use proptest::prelude::*;
use selvedge_model::{
    MessageId, Problem,
    alert::{Event as Why, Message},
    obligation::{Event, State},
};

use super::*;
use crate::samples::{World, at, brand, flow};

fn problem(detail: &str) -> Problem {
    Problem::new("mapping.item", "lines[0].sku", "has no entry", "add it").cause(detail)
}

fn message(event: Why) -> Message {
    Message {
        id: MessageId(0),
        brand: "brand".to_owned(),
        event,
        severity: Severity::Error,
        by: None,
        items: Vec::new(),
        more: 0,
        at: at(100),
    }
}

fn new(channel: &str, event: Why, alerts: &[AlertId]) -> NewMessage {
    NewMessage { channel: channel.into(), route: "all".to_owned(), step: 0, message: message(event), alerts: alerts.to_vec() }
}

/// An exception and its alert.
fn open(tx: &Tx<'_>, detail: &str) -> Result<(ExceptionId, AlertId)> {
    let exception = tx.raise(&brand(), &flow(), &problem(detail), at(100))?;
    Ok((exception, tx.open_alert(&brand(), exception, "all", Severity::Error, at(100))?))
}

fn send(tx: &Tx<'_>, id: MessageId, how: Event) -> Result<State> {
    let step = MessageStep::default();
    tx.step_message(id, Event::Clear, &step, at(101))?;
    tx.step_message(id, Event::Claim, &step, at(102))?;
    tx.step_message(id, how, &step, at(103))
}

#[tokio::test]
async fn one_root_cause_has_one_open_alert() {
    World::new()
        .await
        .tx(|tx| {
            let (exception, alert) = open(tx, "a")?;
            assert!(tx.open_alert(&brand(), exception, "all", Severity::Error, at(100)).is_err(), "a second one");
            assert_eq!(tx.alerts_behind(&brand())?, (vec![], vec![]));
            let other = tx.raise(&brand(), &flow(), &problem("b"), at(100))?;
            assert_eq!(tx.alerts_behind(&brand())?, (vec![other], vec![]));
            assert_eq!(tx.alerts_due(&brand(), at(100), 10)?.len(), 1);
            // It closes, and opens again: that is another alert, with the end of the first known.
            assert!(tx.close_empty(&brand(), at(200))?.contains(&exception));
            assert_eq!(tx.alerts_behind(&brand())?.1, [alert]);
            tx.resolve_alert(alert, at(201))?;
            assert_eq!((tx.last_alert_end(exception)?, tx.open_alerts(&brand())?.len()), (Some(at(201)), 0));
            tx.raise(&brand(), &flow(), &problem("a"), at(300))?;
            assert_ne!(tx.open_alert(&brand(), exception, "all", Severity::Error, at(300))?, alert);
            assert!(matches!(tx.alert(&"other".into(), alert), Err(StoreError::Absent(_))));
            Ok(())
        })
        .await;
}

#[tokio::test]
async fn the_clocks_of_a_route() {
    World::new()
        .await
        .tx(|tx| {
            let (_, alert) = open(tx, "a")?;
            tx.alert_told(alert, Why::Opened, 0, at(160))?;
            tx.alert_told(alert, Why::Escalated, 1, at(700))?;
            let standing = tx.alert(&brand(), alert)?.standing;
            assert_eq!((standing.steps_told, standing.first_told_at, standing.last_told_at), (2, Some(at(160)), Some(at(700))));
            assert_eq!(standing.told_severity, Some(Severity::Error));
            assert_eq!(tx.acknowledge_alerts(&brand(), &[alert, AlertId(99)], "anna", at(800))?, [alert]);
            assert!(tx.acknowledge_alerts(&brand(), &[alert], "ben", at(801))?.is_empty());
            let row = tx.alert(&brand(), alert)?;
            assert_eq!((row.acknowledged, row.due_at), (Some((at(800), "anna".to_owned())), None));
            // Worse than what she saw: she is asked once more, from the first step on.
            tx.reweigh_alert(alert, "all", Severity::Critical, true, at(900))?;
            let row = tx.alert(&brand(), alert)?;
            assert_eq!((row.acknowledged, row.due_at, row.standing.severity), (None, Some(at(900)), Severity::Critical));
            tx.alert_told(alert, Why::Opened, 0, at(900))?;
            let standing = tx.alert(&brand(), alert)?.standing;
            assert_eq!((standing.steps_told, standing.first_told_at), (1, Some(at(900))));
            Ok(())
        })
        .await;
}

#[tokio::test]
async fn a_message_waits_for_an_older_one_of_the_same_alert_and_a_newer_one_takes_its_place() {
    World::new()
        .await
        .tx(|tx| {
            let ((_, one), (_, other)) = (open(tx, "a")?, open(tx, "b")?);
            let first = tx.owe_message(&brand(), &new("chat", Why::Opened, &[one]), at(100))?;
            let second = tx.owe_message(&brand(), &new("chat", Why::Resolved, &[one]), at(100))?;
            let apart = tx.owe_message(&brand(), &new("chat", Why::Opened, &[other]), at(100))?;
            let elsewhere = tx.owe_message(&brand(), &new("mail", Why::Resolved, &[one]), at(100))?;
            let due = |tx: &Tx<'_>| -> Result<Vec<MessageId>> {
                Ok(tx.messages_due(&brand(), &"chat".into(), State::Captured, at(100), 10)?.iter().map(|row| row.id).collect())
            };
            assert_eq!(due(tx)?, [first, apart]);
            send(tx, first, Event::Answer)?;
            assert_eq!(due(tx)?, [apart], "it is not proven to have been taken");
            tx.step_message(first, Event::Confirm, &MessageStep::default(), at(104))?;
            assert_eq!(due(tx)?, [second, apart]);
            assert_eq!(tx.gate_message(&tx.message(second)?)?, None);
            // Over a channel that was told nothing, nothing is over.
            assert!(matches!(tx.gate_message(&tx.message(elsewhere)?)?, Some((Event::Exclude, why)) if why.starts_with("alert.untold")));
            let newer = tx.owe_message(&brand(), &new("chat", Why::Escalated, &[one, other]), at(100))?;
            let (event, why) = tx.gate_message(&tx.message(apart)?)?.unwrap();
            assert_eq!((event, why), (Event::Supersede, format!("{newer} says the same, newer")));
            assert_eq!(tx.gate_message(&tx.message(newer)?)?, None);
            tx.acknowledge_alerts(&brand(), &[one, other], "anna", at(105))?;
            assert!(matches!(tx.gate_message(&tx.message(newer)?)?, Some((Event::Exclude, _))));
            assert_eq!(tx.channels_due(&brand(), at(100))?, ["chat".into(), "mail".into()]);
            Ok(())
        })
        .await;
}

#[tokio::test]
async fn what_was_being_sent_when_the_process_ended_is_unanswered() {
    World::new()
        .await
        .tx(|tx| {
            let (exception, one) = open(tx, "a")?;
            let id = tx.owe_message(&brand(), &new("chat", Why::Opened, &[one]), at(100))?;
            assert!(matches!(tx.step_message(id, Event::Claim, &MessageStep::default(), at(100)), Err(StoreError::Moved(_))));
            tx.step_message(id, Event::Clear, &MessageStep::default(), at(101))?;
            tx.step_message(id, Event::Claim, &MessageStep::default(), at(102))?;
            assert_eq!(tx.recover_messages(&brand(), at(103))?, 1);
            assert_eq!(tx.message(id)?.state, State::Unanswered);
            tx.step_message(id, Event::FindNothing, &MessageStep::default(), at(104))?;
            tx.step_message(id, Event::Claim, &MessageStep::default(), at(105))?;
            let held = MessageStep { exception: Some(exception), note: Some("404".to_owned()), ..MessageStep::default() };
            tx.step_message(id, Event::Hold, &held, at(106))?;
            let row = tx.message(id)?;
            assert_eq!((row.state, row.attempts, row.exception), (State::Held, 2, Some(exception)));
            tx.alert_told(one, Why::Opened, 0, at(100))?;
            tx.message_unreached(id, at(107))?;
            let row = tx.alert(&brand(), one)?;
            assert_eq!((row.standing.unreached, row.due_at), (true, Some(at(107))));
            assert_eq!(tx.release_messages(&brand(), &"chat".into(), at(108))?, 1);
            assert_eq!(tx.message(id)?.state, State::Captured);
            Ok(())
        })
        .await;
}

#[tokio::test]
async fn a_link_works_once_for_a_while_and_is_not_kept() {
    World::new()
        .await
        .tx(|tx| {
            let (_, one) = open(tx, "a")?;
            let id = tx.owe_message(&brand(), &new("chat", Why::Opened, &[one]), at(100))?;
            tx.add_alert_link(id, "secret-token", at(200))?;
            tx.add_alert_link(id, "of-the-repetition", at(200))?;
            assert_eq!(tx.alert_link(&brand(), "secret-token", at(199))?, Some(id));
            for (brand, token, now) in [("brand", "guessed", 150), ("other", "secret-token", 150), ("brand", "secret-token", 200)]
            {
                assert_eq!(tx.use_alert_link(&brand.into(), token, at(now))?, None, "{brand} {token} {now}");
            }
            assert_eq!(tx.use_alert_link(&brand(), "secret-token", at(150))?, Some(id));
            assert_eq!(tx.use_alert_link(&brand(), "secret-token", at(151))?, None, "it was used");
            assert_eq!(tx.use_alert_link(&brand(), "of-the-repetition", at(151))?, None, "so was its twin");
            let kept: i64 = tx.connection.query_row(
                "SELECT count(*) FROM alert_links WHERE hash = CAST('secret-token' AS BLOB)",
                [],
                |row| row.get(0),
            )?;
            assert_eq!(kept, 0);
            Ok(())
        })
        .await;
}

#[tokio::test]
async fn what_is_old_is_forgotten_and_what_is_held_is_not() {
    World::new()
        .await
        .tx(|tx| {
            let ((exception, one), (_, two)) = (open(tx, "a")?, open(tx, "b")?);
            let done = tx.owe_message(&brand(), &new("chat", Why::Opened, &[one]), at(100))?;
            send(tx, done, Event::Answer)?;
            tx.step_message(done, Event::Confirm, &MessageStep::default(), at(104))?;
            tx.add_alert_link(done, "t", at(200))?;
            let held = tx.owe_message(&brand(), &new("chat", Why::Opened, &[two]), at(100))?;
            tx.step_message(held, Event::Hold, &MessageStep { exception: Some(exception), ..MessageStep::default() }, at(104))?;
            tx.resolve_alert(one, at(105))?;
            assert_eq!(tx.forget_alerts(&brand(), at(104), 10)?, 0);
            assert_eq!(tx.forget_alerts(&brand(), at(1_000), 10)?, 1);
            assert!(matches!(tx.alert(&brand(), one), Err(StoreError::Absent(_))));
            assert_eq!(tx.messages(&brand(), 10)?.len(), 1);
            assert!(tx.alert(&brand(), two).is_ok());
            Ok(())
        })
        .await;
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Whatever happens to messages, in whatever order: nothing is lost, and every one stands somewhere.
    #[test]
    fn the_balance_of_a_channel_holds(acts in proptest::collection::vec((0_usize..6, 0_usize..17), 1..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let world = World::new().await;
            world.tx(move |tx| {
                let (exception, alert) = open(tx, "a")?;
                let mut ids = Vec::new();
                for (which, act) in acts {
                    if ids.len() <= which {
                        ids.push(tx.owe_message(&brand(), &new("chat", Why::Opened, &[alert]), at(100))?);
                    }
                    let id = ids[which.min(ids.len() - 1)];
                    let step = MessageStep { exception: Some(exception), ..MessageStep::default() };
                    match tx.step_message(id, Event::ALL[act], &step, at(101)) {
                        Ok(_) | Err(StoreError::Moved(_)) => {}
                        // Two states belong to flows that compare; no message is ever in one.
                        Err(StoreError::Database(_)) if Event::ALL[act] == Event::Compare => {}
                        Err(other) => return Err(other),
                    }
                    let counts = tx.channel_counts(&brand())?;
                    let one = &counts[0];
                    assert_eq!(one.owed, one.confirmed + one.in_flight + one.held + one.excluded + one.superseded, "{one:?}");
                    assert_eq!(one.owed, ids.len() as u64);
                }
                Ok(())
            }).await;
        });
    }
}
